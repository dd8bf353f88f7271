"""Build land.geojson, borders.geojson and places.csv from Natural Earth files that are at hand.

Usage: python make_world.py FOLDER [OUT], where FOLDER holds
``ne_110m_admin_0_countries.geojson`` and ``ne_110m_populated_places_simple.geojson``.
README.md beside this file says which package carries them.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import shapely
from babel import Locale
from shapely.geometry import mapping, shape

DECIMALS = 2
HERE = Path(__file__).resolve().parent


def features(path: Path) -> list[dict[str, Any]]:
    """Read the features of a GeoJSON file.

    Args:
        path: The file.

    Returns:
        Its features.
    """
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["features"]
    return found


def round_geometry(geometry: shapely.Geometry) -> shapely.Geometry:
    """Snap to a grid of 0.01 degrees, which keeps shapes valid where plain rounding may not.

    Args:
        geometry: Any shape in degrees.

    Returns:
        The shape on the grid.
    """
    return shapely.set_precision(geometry, 10.0**-DECIMALS)


def land_and_borders(countries: Path) -> tuple[shapely.Geometry, shapely.Geometry]:
    """Join the countries to land, and keep the lines that two countries share.

    Args:
        countries: Country polygons.

    Returns:
        Land (a multipolygon) and borders (a multilinestring).
    """
    shapes = [shapely.make_valid(shape(f["geometry"])) for f in features(countries)]
    polygons = [round_geometry(s) for s in shapes]
    land = round_geometry(shapely.union_all(polygons))
    # Coasts belong to one country and are drawn with the land; only shared lines are borders.
    edges = shapely.union_all([p.boundary for p in polygons])
    return land, shapely.line_merge(shapely.difference(edges, land.boundary))


def collection(geometry: shapely.Geometry, name: str) -> str:
    """Write a shape as a GeoJSON feature collection of one feature.

    Args:
        geometry: The shape.
        name: Its name.

    Returns:
        Compact GeoJSON.
    """

    def rounded(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [rounded(item) for item in value]
        return round(value, DECIMALS)

    shape_ = mapping(geometry)
    feature = {
        "type": "Feature",
        "properties": {"name": name, "source": "Natural Earth 1:110m, public domain"},
        "geometry": {"type": shape_["type"], "coordinates": rounded(shape_["coordinates"])},
    }
    whole = {"type": "FeatureCollection", "features": [feature]}
    return json.dumps(whole, separators=(",", ":")) + "\n"


def place_rows(places: Path) -> list[tuple[str, str, float, float]]:
    """List the populated places.

    Args:
        places: Points with a name and a country.

    Returns:
        (name, country, lon, lat), sorted.
    """
    english = Locale("en").territories
    rows = []
    for feature in features(places):
        lon, lat = feature["geometry"]["coordinates"][:2]
        facts = feature["properties"]
        # As everywhere else; what has no code keeps the source's name.
        country = english.get(facts["iso_a2"], facts["adm0name"])
        rows.append((facts["name"], country, round(lon, 3), round(lat, 3)))
    return sorted(rows)


def main(source: Path, out: Path) -> None:
    """Write the three files.

    Args:
        source: Folder with the two Natural Earth files.
        out: Folder to write to.
    """
    land, borders = land_and_borders(source / "ne_110m_admin_0_countries.geojson")
    (out / "land.geojson").write_text(collection(land, "land"), encoding="utf-8")
    (out / "borders.geojson").write_text(collection(borders, "borders"), encoding="utf-8")
    with (out / "places.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("name", "country", "lon", "lat"))
        writer.writerows(place_rows(source / "ne_110m_populated_places_simple.geojson"))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"usage: python {Path(__file__).name} FOLDER [OUT]")
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else HERE)
