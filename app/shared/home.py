"""Where on Earth a map opens that nobody has moved: at what its model has learned from."""

from __future__ import annotations

import math

from csp_core.errors import CspError
from csp_core.geo import WORLD
from csp_core.grid import Bounds
from csp_core.store import ModelInfo
from shared import resources

# Pixels of the map that a region has to fit into, and its nearest look at one.
ROOM, NEAREST = 420, 7.0
# Up to this part of the Earth, a page opens at what a model knows.
SMALL = 0.1


def home_of(info: ModelInfo) -> Bounds:
    """Give the region that a page opens at: where a model of label sets has learned from.

    Others open at the world, as their addresses of before do.

    Args:
        info: The model.

    Returns:
        The region in whole degrees; the world unless that is a small part of it.
    """
    try:
        support = resources.model(info).support
    except CspError:  # the page says so when it asks the model
        return WORLD
    found = None if support is None or not support.of_sets else support.bounds()
    if found is None:
        return WORLD
    west, south, east, north = found
    band = math.sin(math.radians(north)) - math.sin(math.radians(south))
    return found if (east - west) / 360 * band / 2 <= SMALL else WORLD


def look_of(bounds: Bounds) -> tuple[float, float, float] | None:
    """Tell how a map shows a region as a whole.

    Returns:
        Longitude, latitude and zoom, in halves; None for the world.

    Example:
        >>> look_of((170.0, -20.0, -170.0, 0.0))
        (180.0, -10.1559, 4.5)
    """
    if bounds == WORLD:
        return None
    west, south, east, north = bounds
    width = east - west + (360 if west > east else 0)
    low, high = (math.asinh(math.tan(math.radians(max(-85.0, min(85.0, lat)))))
                 for lat in (south, north))  # fmt: skip
    part = max(width / 360, (high - low) / (2 * math.pi), 1e-6)
    zoom = math.floor(2 * math.log2(ROOM / 256 / part)) / 2
    lon = west + width / 2
    lat = math.degrees(math.atan(math.sinh((low + high) / 2)))
    return lon - 360 if lon > 180 else lon, round(lat, 4), max(0.5, min(NEAREST, zoom))
