"""Towns of many points at once are those of one point after another."""

from __future__ import annotations

import numpy as np
import pytest

from csp_core.gazetteer import name_points, nearest_place
from csp_core.gazetteer.index import connect


@pytest.fixture(autouse=True)
def needs_the_list():
    if connect() is None:
        pytest.skip("needs the list of places (sh tools/setup.sh test builds it)")


def points(number=120):
    draws = np.random.default_rng(3)
    sphere = np.c_[
        draws.uniform(-180, 180, number), np.degrees(np.arcsin(draws.uniform(-1, 1, number)))
    ]
    europe = np.c_[draws.uniform(-9, 30, number), draws.uniform(36, 60, number)]
    # Inside Paris, at the antimeridian, at the poles, in the open ocean.
    odd = [
        (2.35, 48.86),
        (180.0, -16.8),
        (-180.0, 68.9),
        (0.0, 90.0),
        (0.0, -90.0),
        (-140.0, -45.0),
    ]
    return np.concatenate((sphere, europe, odd))


@pytest.mark.parametrize("within_km", [300.0, 40.0])
def test_the_town_is_that_of_nearest_place(within_km):
    asked = points()
    for (lon, lat), found in zip(asked, name_points(asked, within_km=within_km), strict=True):
        single = nearest_place(lon, lat, within_km=within_km)
        assert (single is None) == (found is None)
        if single is not None:
            assert found.place == single[0] and found.km == pytest.approx(single[1], abs=1e-3)


def test_a_city_that_reaches_a_point_is_told_from_one_that_is_near():
    inside, beside = name_points([(2.35, 48.86), (2.35, 46.0)])
    assert inside.inside and inside.place.name == "Paris" and not beside.inside
    assert name_points(np.empty((0, 2))) == []
