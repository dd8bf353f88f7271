"""A part of the world: which cells and places are in it, and how a map looks at it."""

import numpy as np
import pytest

from clusters import pixels, region
from csp_core.geo import WORLD
from csp_core.grid import Bounds
from shared import home


def test_cells_beyond_a_region_are_empty() -> None:
    places = [[175.0, 0.0], [-175.0, 0.0]]
    over = pixels.nearest_points(places, land=False, bounds=(170.0, -10.0, -170.0, 10.0))
    rows, columns = np.nonzero(over >= 0)
    assert len(rows) == 40 * 40 and {*rows.tolist()} == {*range(160, 200)}
    assert {*columns.tolist()} == {*range(20), *range(700, 720)}
    # A region within a cell is that cell.
    small = pixels.nearest_points(places, land=False, bounds=(7.1, 46.1, 7.4, 46.4))
    assert np.argwhere(small >= 0).tolist() == [[87, 374]]
    whole = pixels.nearest_points(places, land=False)
    assert (whole >= 0).all() and (over[over >= 0] == whole[over >= 0]).all()


@pytest.mark.parametrize(
    "bounds",
    [(-20.0, -36.0, 52.0, 38.0), (170.0, -50.0, -170.0, -30.0), (0.0, 80.0, 10.0, 90.0),
     (7.0, 46.0, 7.0001, 46.0001)],
)  # fmt: skip
def test_a_map_shows_all_of_a_region(bounds: Bounds) -> None:
    look = home.look_of(bounds)
    assert look is not None and home.look_of(WORLD) is None
    lon, lat, zoom = look
    assert region.inside(bounds, lon, lat) and 0.5 <= zoom <= home.NEAREST
    west, _, east, _ = bounds
    width = (east - west) % 360
    assert 256 * 2**zoom * width / 360 <= home.ROOM
