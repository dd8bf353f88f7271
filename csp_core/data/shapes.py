"""Geometries of any reference system as places in WGS84."""

from __future__ import annotations

from typing import Any

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


def points_of(geometry: pl.Series, transform: Any) -> tuple[Floats, Floats]:
    """Give one place for each geometry.

    Args:
        geometry: ``(N,)`` well-known binary.
        transform: As ``to_wgs84`` returned.

    Returns:
        ``(N,)`` longitudes and latitudes in degrees: those of a point, or of a point on the surface
        of another shape; NaN where there is none.

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


def places_of(shapes: npt.NDArray[np.object_], transform: Any) -> tuple[Floats, Floats]:
    """Give one place for each shape.

    Args:
        shapes: ``(N,)`` shapely geometries or None.
        transform: As ``to_wgs84`` returned.

    Returns:
        ``(N,)`` longitudes and latitudes, as ``points_of``.
    """
    shapes = shapes.copy()
    shapes[shapely.is_empty(shapes)] = None
    other = shapely.get_type_id(shapes) > 0
    shapes[other] = shapely.point_on_surface(shapes[other])
    lon, lat = shapely.get_x(shapes), shapely.get_y(shapes)
    if transform is None or not len(shapes):
        return lon, lat
    lon, lat = transform.transform(lon, lat)
    # A place outside the reach of its reference system comes back as infinity.
    bad = ~(np.isfinite(lon) & np.isfinite(lat))
    return np.where(bad, np.nan, lon), np.where(bad, np.nan, lat)
