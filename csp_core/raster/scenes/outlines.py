"""The classes of a map as polygons: GeoPackage or GeoJSON, with areas on the ellipsoid."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from csp_core.data.pictures.ground import Ground
from csp_core.errors import BadRecordError, ConfigError
from csp_core.files.writing import writing
from csp_core.inference.clusters.tables import by_driver
from csp_core.raster.scenes.legend import MapLegend

DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON"}
LAYER = "classes"
MOST = 1_000_000
# A millimetre, in degrees.
DECIMALS = 8
# Edges are measured in pieces no longer than this, as they are straight on the grid of the picture
# and not along the shortest line on the ellipsoid.
PIECE_M = 2000.0


@dataclass(frozen=True, eq=False)
class Outlines:
    """The polygons of one map.

    Args:
        name: The picture's file.
        labels: ``(N,)`` class of each polygon.
        shapes: ``(N,)`` shapely polygons: longitude and latitude in degrees, which go on beyond 180
            where a picture lies over the antimeridian, or, without a grid on the ground, column and
            row of the picture.
        areas: ``(N,)`` square metres, or pixels.
        placed: Whether the picture lies on a known grid.
    """

    name: str
    labels: npt.NDArray[np.int64]
    shapes: npt.NDArray[np.object_]
    areas: npt.NDArray[np.float64]
    placed: bool


def check_outlines_ending(path: Path) -> None:
    """Refuse a name whose ending is no format of polygons.

    Args:
        path: The file to write.

    Raises:
        ConfigError: If it is none of ``.gpkg`` and ``.geojson``.
    """
    if path.suffix.lower() not in DRIVERS:
        raise ConfigError(f"{path} has no ending of polygons; give one of {', '.join(DRIVERS)}.")


def outline(
    path: str | Path, legend: MapLegend, ground: Ground | None, name: str, *, smallest: int = 1
) -> Outlines:
    """Outline the classes of a map.

    Args:
        path: The map, as ``class_file`` wrote it.
        legend: Its legend.
        ground: Its grid, or None.
        name: What to call it.
        smallest: Pixels of the smallest polygon; smaller ones join the largest beside them.

    Returns:
        Polygons along the edges of pixels, which touch and do not overlap.

    Raises:
        BadRecordError: If there are more than a million, or it holds a pole or corners
            beyond the Earth.
    """
    labels, found = [], []
    of_number = {number: label for label, number in enumerate(legend.numbers)}
    for shape, number in _shapes(path, smallest):
        if number in of_number:
            labels.append(of_number[number])
            rings = shape["coordinates"]
            found.append(shapely.Polygon(rings[0], rings[1:]))
        if len(found) > MOST:
            raise BadRecordError(
                f"The map has more than {MOST:,} polygons: give --smallest, such as 10 pixels, or"
                " leave the polygons out.",
                file=name,
            )
    shapes = np.array(found, dtype=object)
    invalid = ~shapely.is_valid(shapes)
    # Rings that touch themselves at a corner, as pixels do.
    shapes[invalid] = shapely.make_valid(shapes[invalid])
    which = np.array(labels, dtype=np.int64)
    if ground is None:
        return Outlines(name, which, shapes, np.asarray(shapely.area(shapes)), False)
    if ground.convert is not None and (ground.pixel(0, 90) or ground.pixel(0, -90)):
        raise BadRecordError(
            "The picture holds a pole, around which longitude and latitude outline nothing: leave"
            " the polygons out; its map and areas are right.",
            file=name,
        )
    placed = _lonlat(shapes, ground, DECIMALS)
    if ground.is_of_degrees:
        areas = _areas_between_parallels(shapes, ground)
    else:
        areas = np.array([abs(a) for a in _areas(shapes, ground)], dtype=np.float64)
    return Outlines(name, which, placed, areas, True)


def _shapes(path: str | Path, smallest: int) -> Iterator[tuple[Any, int]]:
    """Give each connected part of a map, in columns and rows, with its number."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.features import shapes, sieve

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        file = rasterio.open(path, driver="GTiff")
    with file:
        if smallest > 1:
            joined = sieve(rasterio.band(file, 1), smallest, mask=file.read_masks(1) > 0)
            yield from ((shape, int(number)) for shape, number in shapes(joined, connectivity=4))
            return
        # Of a file they come in its own system, and row by row.
        a, b, c, d, e, f = tuple(~file.transform)[:6]
        for shape, number in shapes(rasterio.band(file, 1), connectivity=4):
            rings = [np.asarray(ring) @ [[a, d], [b, e]] + [c, f] for ring in shape["coordinates"]]
            yield {"type": "Polygon", "coordinates": [np.rint(ring) for ring in rings]}, int(number)


def _lonlat(shapes: Any, ground: Ground, decimals: int | None = None) -> npt.NDArray[np.object_]:
    middle = float(ground.lonlat(ground.height / 2, ground.width / 2)[0])
    # Grids may count longitudes on beyond 180; those of the whole world stay as they are.
    turns = 360 * math.ceil((middle - 180) / 360) if math.isfinite(middle) else 0

    def convert(at: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        lon, lat = ground.lonlat(at[:, 1], at[:, 0])
        if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
            raise BadRecordError(
                "Corners of its pixels lie beyond the Earth, so that it has no polygons: declare"
                " these pixels as no data, or leave the polygons out."
            )
        if ground.convert is not None:
            # A picture over the antimeridian stays in one piece.
            lon = middle + (lon - middle + 180) % 360 - 180
        return np.stack((lon - turns, lat), axis=1).round(12 if decimals is None else decimals)

    return np.asarray(shapely.transform(shapes, convert), dtype=object)


def _areas_between_parallels(shapes: Any, ground: Ground) -> npt.NDArray[np.float64]:
    """Measure polygons along parallels and meridians: by their edges along the parallels."""
    parts, of_part = shapely.get_parts(shapes, return_index=True)
    rings, of_ring = shapely.get_rings(shapely.orient_polygons(parts), return_index=True)
    at, which = shapely.get_coordinates(rings, return_index=True)
    across = np.diff(at[:, 0]) * (which[1:] == which[:-1])
    each = across * ground.to_equator_m2(at[:-1, 1])
    return np.abs(np.bincount(of_part[of_ring[which[:-1]]], each, len(shapes)))


def _areas(shapes: Any, ground: Ground) -> Iterator[float]:
    import pyproj

    pixel = ground.pixel_metres
    size = PIECE_M / pixel
    earth = pyproj.Geod(ellps="WGS84")
    # Some at a time, as there may be many points between corners.
    for at in range(0, len(shapes), 1000):
        fine = shapely.segmentize(shapes[at : at + 1000], max(size, 1e-3))
        for shape in shapely.orient_polygons(_lonlat(fine, ground)):
            yield float(earth.geometry_area_perimeter(shape)[0])


def cut_at_antimeridian(shapes: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """Cut polygons along the antimeridian, so that none has a longitude beyond 180.

    Args:
        shapes: ``(N,)`` shapely polygons in degrees, within 360 of the longitudes that there are.

    Returns:
        ``(N,)`` the same, those that were cut as multipolygons, or moved by 360 where they lay
        wholly on the other side.

    Source:
        RFC 7946, section 3.1.9.

    Example:
        >>> east, west = shapely.box(170, 0, 180, 9), shapely.box(-180, 0, -170, 9)
        >>> (both,) = cut_at_antimeridian(np.array([shapely.box(170, 0, 190, 9)]))
        >>> both.equals(shapely.multipolygons([east, west]))
        True
    """
    found, bounds = shapes.copy(), shapely.bounds(shapes)
    for at in np.flatnonzero((bounds[:, 0] < -180) | (bounds[:, 2] > 180)):
        parts: list[Any] = []
        for turn in (-360.0, 0.0, 360.0):
            half = shapely.box(turn - 180, -90, turn + 180, 90)
            inside = shapely.intersection(shapes[at], half)
            parts += _polygons_in(_moved(inside, -turn))
        # What goes around the Earth meets itself again.
        found[at] = shapely.union_all(parts)
    return found


def _moved(shape: Any, across: float) -> Any:
    """Move a shape along the parallels, in degrees."""

    def move(at: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        moved: npt.NDArray[np.float64] = at + np.array([across, 0.0])
        return moved.round(DECIMALS)

    return shapely.make_valid(shapely.transform(shape, move))


def _polygons_in(shape: Any) -> list[Any]:
    """List the polygons of a cut shape, without sides that only lie along the cut."""
    if shape.geom_type == "Polygon":
        return [] if shape.is_empty else [shape]
    return [one for part in getattr(shape, "geoms", ()) for one in _polygons_in(part)]


def write_outlines(
    maps: Sequence[Outlines], path: str | Path, legend: MapLegend, about: str
) -> int:
    """Write the polygons of maps.

    Args:
        maps: Of one legend.
        path: ``.gpkg`` or ``.geojson``, in which polygons are cut at the antimeridian.
        legend: The classes.
        about: What to say of them.

    Returns:
        How many there are.

    Raises:
        ConfigError: If the ending is no format of polygons.
        BadRecordError: If some maps lie on a grid and others do not, or it cannot be written.
    """
    import geopandas

    path = Path(path)
    check_outlines_ending(path)
    if len({one.placed for one in maps}) > 1:
        bare = next(one.name for one in maps if not one.placed)
        raise BadRecordError(
            f"Polygons of pictures with and without a grid on the ground do not go into one file:"
            f" {bare} has none."
        )
    placed = all(one.placed for one in maps)
    labels = np.concatenate([one.labels for one in maps]).tolist()
    table = {
        "file": [one.name for one in maps for _ in one.labels],
        "number": [legend.numbers[k] for k in labels],
        "class": [legend.names[k] for k in labels],
        "colour": [legend.colours[k] for k in labels],
        "area_m2" if placed else "area_pixels": np.concatenate([one.areas for one in maps]),
    }
    shapes = np.concatenate([one.shapes for one in maps])
    if placed and path.suffix.lower() == ".geojson":
        shapes = cut_at_antimeridian(shapes)
    frame = geopandas.GeoDataFrame(table, geometry=shapes, crs="EPSG:4326" if placed else None)
    if not placed:
        about += " Coordinates are column and row of the picture, from its upper left corner down."
    options = {"driver": DRIVERS[path.suffix.lower()], "DESCRIPTION": about}
    if path.suffix.lower() == ".gpkg":
        options["layer"] = LAYER
    with writing(path) as temporary:
        by_driver(temporary, path.suffix.lower(), [(frame, options)])
    return len(labels)
