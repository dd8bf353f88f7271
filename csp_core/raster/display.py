"""A scene as a web map shows it: which of its pixels stands at each of the map's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from csp_core.data.shapes import to_wgs84
from csp_core.errors import BadRecordError

# Latitude at which a web map of the world ends, and its pixels on the longer side.
EDGE, MOST = 85.05, 1400
# Points on each side of a scene whose outline is asked where it lies.
ALONG = 33


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the pixels of a scene lie on a map in Web Mercator.

    Args:
        crs: The scene's coordinate reference system.
        grid: Six numbers that take column and row of a pixel's corner to x and y.
        size: Rows and columns of the scene.
        bounds: West, south, east and north of what is drawn, degrees; east passes 180 where the
            scene lies over the antimeridian.
        cells: ``(h, w)`` int64, the scene's pixel at each of the map's: row times columns plus
            column; -1 for none.
    """

    crs: str
    grid: Sequence[float]
    size: tuple[int, int]
    bounds: tuple[float, float, float, float]
    cells: npt.NDArray[np.int64]

    @cached_property
    def _to_wgs84(self) -> Any:
        return to_wgs84(self.crs)

    def place(self, row: int, column: int) -> tuple[float, float]:
        """Give the longitude and latitude of the middle of a pixel, degrees."""
        x, y = _xy(self.grid, column + 0.5, row + 0.5)
        lon, lat = (x, y) if self._to_wgs84 is None else self._to_wgs84.transform(x, y)
        return (float(lon) + 180) % 360 - 180, float(lat)

    def pixel(self, lon: float, lat: float) -> tuple[int, int] | None:
        """Give the row and column of the pixel at a place; None beside the scene."""
        found = _pixels(self, np.array([lon]), np.array([lat]))
        return (
            None if found[0] < 0 else (int(found[0]) // self.size[1], int(found[0]) % self.size[1])
        )

    def pixel_metres(self) -> float:
        """Give the side of a pixel in the middle of the scene on the ground, metres.

        It is the root of its area, as pixels need not be square.
        """
        import pyproj

        rows, columns = self.size
        corners = [(columns / 2 + dx, rows / 2 + dy) for dx, dy in ((0, 0), (1, 0), (1, 1), (0, 1))]
        at = [_xy(self.grid, *corner) for corner in corners]
        if self._to_wgs84 is not None:
            at = [self._to_wgs84.transform(*one) for one in at]
        lon, lat = zip(*at, strict=True)
        area, _ = pyproj.Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)
        return math.sqrt(abs(area))


def lay_out(crs: str, grid: Sequence[float], size: tuple[int, int], most: int = MOST) -> Layout:
    """Lay a scene out on a map in Web Mercator; every pixel of the map shows the one below it.

    Args:
        crs: The scene's coordinate reference system.
        grid: Six numbers that take column and row of a pixel's corner to x and y.
        size: Rows and columns of the scene.
        most: Pixels of the map on its longer side.

    Returns:
        The layout.

    Raises:
        BadRecordError: If the scene lies on no map: nowhere on Earth, or wholly beyond the
            latitudes that a web map shows.
    """
    rows, columns = size
    side = np.linspace(0, 1, ALONG)
    across = np.concatenate([side, side, np.zeros(ALONG), np.ones(ALONG)]) * columns
    down = np.concatenate([np.zeros(ALONG), np.ones(ALONG), side, side]) * rows
    x, y = _xy(grid, across, down)
    convert = to_wgs84(crs)
    lon, lat = (x, y) if convert is None else convert.transform(x, y)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all() and (np.abs(lat) <= 90.001).all()):
        raise BadRecordError("The scene's grid leads to places that are not on Earth.")
    # Points on both sides of the antimeridian are neighbours.
    lon = lon[0] + (lon - lon[0] + 180) % 360 - 180
    west, east = float(lon.min()), float(lon.max())
    south, north = (float(np.clip(edge, -EDGE, EDGE)) for edge in (lat.min(), lat.max()))
    if not (south < north and west < east):
        raise BadRecordError(f"The scene lies beyond {EDGE}° of latitude, where a web map ends.")
    low, high = _mercator(south), _mercator(north)
    wide, tall = math.radians(east - west), high - low
    scale = min(most, 2 * max(rows, columns)) / max(wide, tall)
    w, h = max(1, round(wide * scale)), max(1, round(tall * scale))
    lons = west + (np.arange(w) + 0.5) * (east - west) / w
    lats = np.degrees(np.arctan(np.sinh(high - (np.arange(h) + 0.5) * tall / h)))
    found = Layout(crs, tuple(grid), size, (west, south, east, north), np.empty((0, 0), np.int64))
    lon_all, lat_all = np.meshgrid(lons, lats)
    cells = _pixels(found, lon_all.ravel(), lat_all.ravel()).reshape(h, w)
    return Layout(crs, tuple(grid), size, found.bounds, cells)


def _mercator(lat: float) -> float:
    return math.asinh(math.tan(math.radians(lat)))


def _xy(grid: Sequence[float], across: Any, down: Any) -> tuple[Any, Any]:
    a, b, c, d, e, f = grid
    return a * across + b * down + c, d * across + e * down + f


def _pixels(
    layout: Layout, lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Give the pixel at each of some places, -1 beside the scene."""
    lon = (lon + 180) % 360 - 180
    if layout._to_wgs84 is None:
        # A grid of longitudes may go on beyond 180, or count from 0 to 360.
        first = layout.grid[2]
        x, y = first + (lon - first) % 360 if layout.grid[0] > 0 else lon, lat
    else:
        x, y = layout._to_wgs84.transform(lon, lat, direction="INVERSE")
    a, b, c, d, e, f = layout.grid
    turned = a * e - b * d
    across = (e * (x - c) - b * (y - f)) / turned
    down = (a * (y - f) - d * (x - c)) / turned
    rows, columns = layout.size
    inside = np.isfinite(across) & np.isfinite(down)
    inside &= (across >= 0) & (across < columns) & (down >= 0) & (down < rows)
    found = np.full(len(lon), -1, np.int64)
    found[inside] = down[inside].astype(np.int64) * columns + across[inside].astype(np.int64)
    return found
