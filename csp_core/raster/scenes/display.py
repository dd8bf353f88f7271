"""A scene as a web map shows it: which of its pixels stands at each of the map's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from csp_core.data.pictures.ground import Ground
from csp_core.errors import BadRecordError

# Latitude at which a web map of the world ends, and pixels of the map on a scene's longer side.
EDGE, MOST = 85.05, 1400
# Points on each side of a scene whose outline is asked where it lies.
ALONG = 33


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the pixels of a scene lie on a map in Web Mercator.

    Args:
        ground: The scene's grid.
        bounds: West, south, east and north of what is drawn, degrees; east passes 180 where the
            scene lies over the antimeridian.
        cells: ``(h, w)`` int64, the scene's pixel at each of the map's: row times columns plus
            column; -1 for none.
    """

    ground: Ground
    bounds: tuple[float, float, float, float]
    cells: npt.NDArray[np.int64]

    @property
    def metres(self) -> float:
        """Side of a pixel in the middle of the scene on the ground."""
        return self.ground.pixel_metres

    def place(self, row: int, column: int) -> tuple[float, float]:
        """Give the longitude and latitude of the middle of a pixel, degrees."""
        lon, lat = self.ground.lonlat(row + 0.5, column + 0.5)
        return (float(lon) + 180) % 360 - 180, float(lat)

    def pixel(self, lon: float, lat: float) -> tuple[int, int] | None:
        """Give the row and column of the pixel at a place; None beside the scene."""
        return self.ground.pixel(lon, lat)


def lay_out(ground: Ground, most: int = MOST) -> Layout:
    """Lay a scene out on a map in Web Mercator; every pixel of the map shows the one below it.

    Args:
        ground: The scene's grid.
        most: Pixels of the map on its longer side.

    Returns:
        The layout.

    Raises:
        BadRecordError: If the scene lies on no map: nowhere on Earth, or wholly beyond the
            latitudes that a web map shows.
    """
    west, south, east, north = _bounds(ground)
    low, high = _mercator(south), _mercator(north)
    wide, tall = math.radians(east - west), high - low
    scale = min(most, 2 * max(ground.height, ground.width)) / max(wide, tall)
    w, h = max(1, round(wide * scale)), max(1, round(tall * scale))
    lons = west + (np.arange(w) + 0.5) * (east - west) / w
    lats = np.degrees(np.arctan(np.sinh(high - (np.arange(h) + 0.5) * tall / h)))
    lon, lat = np.meshgrid(lons, lats)
    return Layout(ground, (west, south, east, north), _pixels(ground, lon, lat))


def _bounds(ground: Ground) -> tuple[float, float, float, float]:
    side = np.linspace(0, 1, ALONG)
    down = np.concatenate([np.zeros(ALONG), np.ones(ALONG), side, side]) * ground.height
    across = np.concatenate([side, side, np.zeros(ALONG), np.ones(ALONG)]) * ground.width
    lon, lat = ground.lonlat(down, across)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all() and (np.abs(lat) <= 90.001).all()):
        raise BadRecordError("The scene's grid leads to places that are not on Earth.")
    # Points on both sides of the antimeridian are neighbours, but for a grid of the whole world.
    if ground.convert is not None or np.ptp(lon) < 180:
        lon = lon[0] + (lon - lon[0] + 180) % 360 - 180
    west, east = float(lon.min()), float(lon.max())
    south, north = (float(np.clip(edge, -EDGE, EDGE)) for edge in (lat.min(), lat.max()))
    if not (south < north and west < east):
        raise BadRecordError(f"The scene lies beyond {EDGE}° of latitude, where a web map ends.")
    return west, south, east, north


def _mercator(lat: float) -> float:
    return math.asinh(math.tan(math.radians(lat)))


def _pixels(
    ground: Ground, lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Give the pixel at each of some places, -1 beside the scene; see ``Ground.pixel``."""
    x, y = lon, lat
    if ground.convert is not None:
        from pyproj.enums import TransformDirection

        around = (lon + 180) % 360 - 180
        x, y = ground.convert.transform(around, lat, direction=TransformDirection.INVERSE)
    a, b, c, d, e, f = ground.transform
    whole = a * e - b * d
    column = (e * (x - c) - b * (y - f)) / whole
    row = (a * (y - f) - d * (x - c)) / whole
    inside = np.isfinite(row) & np.isfinite(column) & (row >= 0) & (row < ground.height)
    inside &= (column >= 0) & (column < ground.width)
    found = np.full(lon.shape, -1, np.int64)
    found[inside] = row[inside].astype(np.int64) * ground.width + column[inside].astype(np.int64)
    return found
