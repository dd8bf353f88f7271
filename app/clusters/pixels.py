"""Points of a sample as a picture of the world: every cell has the colour of the nearest point."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image

from clusters.region import inside
from csp_core.geo import WORLD
from csp_core.grid import Bounds
from csp_core.land import land_shape
from mapping.values import mercator_rows

# Side of a cell, degrees.
STEP = 0.5
ROWS, COLUMNS = round(180 / STEP), round(360 / STEP)
# Latitude up to which numbers are written, if there is room.
SEEN = 70
# Of points that are not highlighted while others are: how far they still show.
DIM, FULL = 40, 235


def hex_colours(rgb: object) -> list[str]:
    """Write colours as ``#rrggbb``.

    Args:
        rgb: ``(N, 3)`` uint8.

    Returns:
        N texts.
    """
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in np.asarray(rgb).tolist()]


def nearest_points(lonlat: object, *, land: bool, bounds: Bounds = WORLD) -> NDArray[np.int32]:
    """Find the point of a sample that is nearest to every cell of the world.

    Args:
        lonlat: ``(N, 2)`` degrees.
        land: Whether cells at sea have none.
        bounds: West, south, east, north, degrees; cells wholly beyond have none.

    Returns:
        ``(ROWS, COLUMNS)`` positions in the sample from the north; -1 for none.
    """
    centres = _centres()
    # Cells that the region covers in part: a small one may hold the centre of none.
    lon, lat = centres.T
    there = np.asarray(inside(bounds, lon, lat, room=0.499 * STEP))
    if land:
        there &= _on_land()
    found = np.full(len(centres), -1, np.int32)
    found[there] = _nearest(np.asarray(lonlat, np.float64), centres[there])
    return found.reshape(ROWS, COLUMNS)


def nearest_to(lonlat: object, lon: float, lat: float) -> int:
    """Find the point of a sample that is nearest to a place.

    Args:
        lonlat: ``(N, 2)`` degrees.
        lon: Longitude, degrees.
        lat: Latitude, degrees.

    Returns:
        Its position in the sample.
    """
    points = _directions(np.asarray(lonlat, np.float64))
    return int((points @ _directions(np.array([[lon, lat]]))[0]).argmax())


def nearest_of(points: object, places: object) -> NDArray[np.int64]:
    """Find the nearest of some points for every one of some places.

    Args:
        points: ``(M, 2)`` degrees.
        places: ``(N, 2)`` degrees.

    Returns:
        ``(N,)`` positions among the points.
    """
    found = _nearest(np.asarray(points, np.float64), np.asarray(places, np.float64))
    return found.astype(np.int64)


def picture(
    cells: NDArray[np.int32], colours: Sequence[str], shown: Sequence[bool] | None
) -> bytes:
    """Draw the points of a sample for a Mercator map of the world.

    Args:
        cells: As ``nearest_points`` gives them.
        colours: ``#rrggbb`` of each point; ``""`` for one that is not drawn.
        shown: Which are highlighted; all if None.

    Returns:
        A PNG; what is not coloured is transparent.
    """
    return _png(_coloured(cells, colours, shown)[mercator_rows(STEP)])


def flat_picture(cells: NDArray[np.int32], colours: Sequence[str]) -> bytes:
    """Draw the points of a sample with longitude and latitude evenly spaced.

    Args:
        cells: As ``nearest_points`` gives them.
        colours: ``#rrggbb`` of each point.

    Returns:
        A PNG, 2 to 1; what is not coloured is transparent.
    """
    return _png(_coloured(cells, colours, None))


def _coloured(
    cells: NDArray[np.int32], colours: Sequence[str], shown: Sequence[bool] | None
) -> NDArray[np.uint8]:
    rgba = np.zeros((len(colours) + 1, 4), np.uint8)
    drawn = [bytes.fromhex(colour.removeprefix("#") or "000000") for colour in colours]
    rgba[:-1, :3] = np.frombuffer(b"".join(drawn), np.uint8).reshape(-1, 3)
    there = np.array([bool(colour) for colour in colours])
    lit = there if shown is None else np.asarray(shown, bool)
    rgba[:-1, 3] = np.where(there, np.where(lit, FULL, DIM), 0)
    return rgba[cells]


def _png(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(stream, "PNG")
    return stream.getvalue()


def spots(lonlat: object, labels: Sequence[int]) -> Mapping[int, tuple[float, float]]:
    """Choose where the number of each cluster stands: at a point of it near its middle.

    Args:
        lonlat: ``(N, 2)`` degrees.
        labels: N labels; negative ones get none.

    Returns:
        Label to longitude and latitude.
    """
    places = np.asarray(lonlat, np.float64)
    points, of = _directions(places), np.asarray(labels)
    found = {}
    for label in sorted(set(of[of >= 0].tolist())):
        (members,) = np.nonzero(of == label)
        among = points[members]
        # The point with the most of its own around it: a mean may lie between two continents.
        closeness = np.exp(40 * (among @ among[:: max(1, len(among) // 200)].T - 1)).sum(1)
        # A map that shows the whole world ends near there.
        closeness[np.abs(places[members, 1]) > SEEN] /= len(among)
        lon, lat = places[members[closeness.argmax()]].tolist()
        found[label] = (lon, lat)
    return found


def _nearest(points: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.int32]:
    # Not scikit-learn's, which is as fast but takes a second and a half to import: before the
    # first line of the page would be there.
    from scipy.spatial import cKDTree

    return np.asarray(cKDTree(_directions(points)).query(_directions(places))[1], np.int32)


def _directions(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
    lon, lat = np.deg2rad(lonlat).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], 1)


@lru_cache(maxsize=1)
def _centres() -> NDArray[np.float64]:
    row, column = np.indices((ROWS, COLUMNS))
    centres = np.stack([(column + 0.5) * STEP - 180, 90 - (row + 0.5) * STEP], -1)
    return centres.reshape(-1, 2)


@lru_cache(maxsize=1)
def _on_land() -> NDArray[np.bool_]:
    lon, lat = _centres().T
    return np.asarray(shapely.contains_xy(land_shape(), lon, lat))
