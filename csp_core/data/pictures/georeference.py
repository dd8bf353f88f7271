"""Where on Earth the middle of a GeoTIFF lies: by its grid, control points or camera model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from csp_core.data.pictures.geotiff import opened
from csp_core.data.pictures.position import Place
from csp_core.data.shapes import to_wgs84
from csp_core.errors import BadRecordError

# Curved terms of the fit need this many control points; three give a plane.
FOR_CURVES, FOR_PLANE = 10, 3


def centre(content: bytes, name: str = "") -> Place:
    """Find the place of the middle of a GeoTIFF from its georeference.

    Args:
        content: The bytes of the file.
        name: What to call it in messages.

    Returns:
        The place, or why there is none; the reason is empty where the file says nothing of a place
        at all. Where no grid stands, ground control points or rational polynomials are told in
        ``notes``.
    """
    with opened(content, name) as file:
        across, down = file.width / 2, file.height / 2
        points, of_points = file.gcps
        if file.transform.is_identity and points:
            return _by_points(points, of_points, across, down)
        if file.transform.is_identity and file.rpcs is not None:
            return _by_polynomials(file.rpcs, across, down)
        if file.crs is None and file.transform.is_identity:
            return Place(None)
        if file.crs is None:
            return Place(None, "The GeoTIFF has a grid but no coordinate reference system (CRS).")
        if file.transform.is_identity:
            return Place(None, "The GeoTIFF names a coordinate reference system but has no grid.")
        grid = file.transform
        x, y = (
            grid.a * across + grid.b * down + grid.c,
            grid.d * across + grid.e * down + grid.f,
        )
        crs = file.crs.to_wkt()
    return _on_earth(x, y, crs)


def _on_earth(x: float, y: float, crs: str | None, notes: tuple[str, ...] = ()) -> Place:
    try:
        convert = to_wgs84(crs)
    except BadRecordError as error:
        return Place(None, str(error))
    lon, lat = (x, y) if convert is None else convert.transform(x, y)
    if 180 < abs(lon) <= 360:
        # Grids of the whole Earth count from 0 to 360, and others go on beyond 180.
        lon -= math.copysign(360, lon)
    if not (math.isfinite(lon) and math.isfinite(lat) and abs(lon) <= 180 and abs(lat) <= 90):
        return Place(None, "The GeoTIFF's georeference leads to no place on Earth.")
    return Place((float(lon), float(lat)), notes=notes)


def _by_points(points: Sequence[Any], crs: Any, across: float, down: float) -> Place:
    """Fit places of ground control points over the picture, and read its middle off."""
    if not crs:
        return Place(
            None,
            "The GeoTIFF has ground control points but no coordinate reference system (CRS).",
        )
    columns = np.array([[p.col - across, p.row - down] for p in points], dtype=np.float64)
    places = np.array([[p.x, p.y] for p in points], dtype=np.float64)
    if crs.is_geographic:
        # Points on both sides of the antimeridian are neighbours.
        places[:, 0] = places[0, 0] + (places[:, 0] - places[0, 0] + 180) % 360 - 180
    columns /= max(across, down)
    terms = np.column_stack((np.ones(len(points)), columns))
    if len(points) >= FOR_CURVES:
        curved = np.column_stack((columns**2, columns[:, :1] * columns[:, 1:]))
        terms = np.column_stack((terms, curved))
        if np.linalg.matrix_rank(terms) < terms.shape[1]:
            terms = terms[:, :FOR_PLANE]
    good = np.isfinite(terms).all() and np.isfinite(places).all()
    if not good or np.linalg.matrix_rank(terms) < terms.shape[1]:
        return Place(
            None,
            f"The GeoTIFF has {len(points)} ground control points, which do not suffice to place"
            " it: three are needed that lie on no line.",
        )
    # The columns count from the middle, so its place is the constant.
    x, y = np.linalg.lstsq(terms, places, rcond=None)[0][0]
    if crs.is_geographic:
        x = (x + 180) % 360 - 180
    note = f"Placed by {len(points)} ground control points."
    return _on_earth(float(x), float(y), crs.to_wkt(), (note,))


def _by_polynomials(rpcs: Any, across: float, down: float) -> Place:
    """Ask the rational polynomials of a satellite's camera, at their own mean height."""
    from rasterio.errors import RasterioError
    from rasterio.transform import RPCTransformer

    try:
        with RPCTransformer(rpcs) as model:
            lon, lat = model.xy(down, across, zs=rpcs.height_off, offset="ul")
    except (RasterioError, ValueError, TypeError, AttributeError):
        return Place(None, "The GeoTIFF's rational polynomials (RPC) cannot be read.")
    lon, lat = (float(np.ravel(value)[0]) for value in (lon, lat))
    note = f"Placed by rational polynomials (RPC) at a height of {rpcs.height_off:g} m."
    return _on_earth(lon, lat, None, (note,))
