"""Geometries of any reference system as places in WGS84."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import shapely

from csp_core.errors import BadRecordError

Floats = npt.NDArray[np.float64]


def to_wgs84(crs: Any) -> Any:
    """Find how to convert places of a reference system.

    Args:
        crs: Anything pyproj reads: a name such as ``EPSG:3857``, PROJJSON; None for WGS84.

    Returns:
        A pyproj transformer of x and y to longitude and latitude, or None where they are those
        already.

    Raises:
        BadRecordError: If the reference system is unknown.
    """
    if crs is None or crs == "OGC:CRS84":
        return None
    import pyproj

    try:
        known = pyproj.CRS.from_user_input(crs)
        # GeoParquet and GeoJSON put longitude first, whatever the axis order of the system.
        if known.equals(pyproj.CRS("OGC:CRS84"), ignore_axis_order=True):
            return None
        return pyproj.Transformer.from_crs(known, "OGC:CRS84", always_xy=True)
    except (pyproj.exceptions.ProjError, TypeError, KeyError) as error:
        said = str(crs)[:60]
        raise BadRecordError(
            f"The coordinate reference system {said!r} is unknown; convert the places to WGS84"
            " (EPSG:4326)."
        ) from error


class Places(NamedTuple):
    """Where some shapes are.

    Args:
        row: ``(M,)`` which shape each place is of; a shape of several points has several places.
        lon: ``(M,)`` degrees, NaN where a shape has no place.
        lat: ``(M,)`` degrees.
        radius_m: ``(M,)`` metres from the place to the farthest corner of its shape, on the
            ellipsoid; NaN for points.
        counts: Sentences with ``{}`` for a number, and the numbers.
    """

    row: npt.NDArray[np.int64]
    lon: Floats
    lat: Floats
    radius_m: Floats
    counts: dict[str, int]

    def each(self) -> Iterator[tuple[int, float, float, float]]:
        """Give shape, longitude, latitude and radius of one place after the other."""
        columns = (self.row, self.lon, self.lat, self.radius_m)
        return zip(*(column.tolist() for column in columns), strict=True)


SEVERAL = "records made of the points of features with several points: {}"
AREA = (
    "records that are areas or lines: {}, each at a point of it, with the distance to its farthest"
    " corner as its uncertainty"
)
ACROSS = "areas or lines that reach over 180° of longitude, read the short way round: {}"
# A point of many takes six bytes in a file, and as a record hundreds.
MAX_POINTS = 500_000
POINT, SEVERAL_POINTS, COLLECTION = 0, 4, 7


def places_of_wkb(geometry: pl.Series, transform: Any) -> Places:
    """Give the places of geometries.

    Args:
        geometry: ``(N,)`` well-known binary.
        transform: As ``to_wgs84`` returned.

    Returns:
        As ``places_of``.

    Raises:
        BadRecordError: If the column holds something else.
    """
    if geometry.dtype != pl.Binary:
        raise BadRecordError(
            f"The geometry is stored as {geometry.dtype}; write it as well-known binary (WKB).",
            column=geometry.name,
        )
    shapes = shapely.from_wkb(np.array(geometry.to_list(), dtype=object), on_invalid="ignore")
    return places_of(np.atleast_1d(shapes), transform)


def places_of(shapes: npt.NDArray[np.object_], transform: Any) -> Places:
    """Give the places of shapes: one for a point, an area or a line, several for several points.

    Args:
        shapes: ``(N,)`` shapely geometries or None.
        transform: As ``to_wgs84`` returned.

    Returns:
        The places in the order of the shapes; each shape has one at least.
    """
    shapes, row, several = _apart(shapes)
    shapes[shapely.is_empty(shapes)] = None
    other = np.flatnonzero(shapely.get_type_id(shapes) > POINT)
    lon, lat = shapely.get_x(shapes), shapely.get_y(shapes)
    if transform is not None and len(shapes):
        lon, lat = transform.transform(lon, lat)
    radius, across = np.full(len(shapes), np.nan), 0
    if len(other):
        lon[other], lat[other], radius[other], across = _middles(shapes[other], transform)
    # A place outside the reach of its reference system comes back as infinity.
    bad = ~(np.isfinite(lon) & np.isfinite(lat))
    lon, lat = np.where(bad, np.nan, lon), np.where(bad, np.nan, lat)
    areas = int(np.isfinite(radius).sum())
    return Places(row, lon, lat, radius, {SEVERAL: several, AREA: areas, ACROSS: across})


def _apart(shapes: npt.NDArray[np.object_]) -> tuple[Any, npt.NDArray[np.int64], int]:
    """Take shapes of several points apart; return also whose each is, and how many these are."""
    row = np.arange(len(shapes))
    kinds, parts = shapely.get_type_id(shapes), shapely.get_num_geometries(shapes)
    many = (kinds == SEVERAL_POINTS) & (parts > 0)
    for i in np.flatnonzero((kinds == COLLECTION) & (parts > 0)).tolist():
        many[i] = (shapely.get_type_id(shapely.get_parts(shapes[i])) == POINT).all()
    if not many.any():
        return shapes.copy(), row, 0
    check_points(int(parts[many].sum()))
    times = np.where(many, parts, 1)
    apart = np.repeat(shapes, times)
    apart[np.repeat(many, times)] = shapely.get_parts(shapes[many])
    return apart, np.repeat(row, times), int(parts[many & (parts > 1)].sum())


def check_points(number: int) -> None:
    """Refuse features of too many points.

    Args:
        number: Of points.

    Raises:
        BadRecordError: If there are more than 500,000.
    """
    if number > MAX_POINTS:
        raise BadRecordError(
            f"Features of several points hold {number:,} points; up to {MAX_POINTS:,} are read:"
            " give a feature for each, or parts of the file."
        )


def _middles(shapes: Any, transform: Any) -> tuple[Floats, Floats, Floats, int]:
    """Give points of shapes in degrees, the metres to their corners, how many are over 180°."""
    import pyproj

    if transform is not None:
        shapes = shapely.transform(shapes, transform.transform, interleaved=False)
    corners, of = shapely.get_coordinates(shapes, return_index=True)
    known = np.isfinite(corners).all(axis=1) & (np.abs(corners[:, 1]) <= 90)
    starts = np.flatnonzero(np.diff(of, prepend=-1))
    good = np.logical_and.reduceat(known, starts)
    seam, first = _seams(corners[:, 0], of, starts)
    over = good & (seam > first)
    turned = corners.copy()
    turned[:, 0] += 360.0 * (over[of] & (corners[:, 0] < seam[of]))
    shapes = shapely.set_coordinates(shapes.copy(), np.where(good[of, None], turned, 0.0))
    points = shapely.centroid(shapes)
    valid, single = shapely.is_valid(shapes), shapely.get_type_id(shapes) < COLLECTION
    # What crosses itself has no surface, and collections have none in common.
    points[~valid] = shapely.centroid(shapely.envelope(shapes[~valid]))
    beside = np.flatnonzero(valid & single)
    beside = beside[~shapely.covers(shapes[beside], points[beside])]
    points[beside] = shapely.point_on_surface(shapes[beside])
    lon, lat = shapely.get_x(points), shapely.get_y(points)
    lon, lat = np.where(good, lon - 360.0 * (lon > 180), np.nan), np.where(good, lat, np.nan)
    _, _, metres = pyproj.Geod(ellps="WGS84").inv(lon[of], lat[of], corners[:, 0], corners[:, 1])
    return lon, lat, np.maximum.reduceat(metres, starts), int(over.sum())


def _seams(lon: Floats, of: npt.NDArray[np.int64], starts: Any) -> tuple[Floats, Floats]:
    """Give the longitude east of the widest gap between corners of each shape, and its least."""
    order = np.lexsort((lon, of))
    ranked = lon[order]
    ends = np.append(starts[1:], len(lon)) - 1
    first, last = ranked[starts], ranked[ends]
    gaps = np.diff(ranked, append=np.nan)
    # Where the widest gaps are equal, the one over 180° of longitude stays.
    gaps[ends] = -np.inf
    widest = np.maximum.reduceat(np.nan_to_num(gaps, nan=-np.inf), starts)
    inside = widest > first + 360 - last
    at = np.flatnonzero(gaps == widest[of])
    which, index = np.unique(of[at], return_index=True)
    seam = first.copy()
    seam[which] = np.where(
        inside[which], ranked[np.minimum(at[index] + 1, len(lon) - 1)], seam[which]
    )
    return seam, first
