"""The sphere: uniformity, distances, edges of the map, and what is said of bad coordinates."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from csp_core.errors import BadRecordError
from csp_core.geo import (
    EARTH_RADIUS_KM,
    cell_centres,
    cell_ids,
    check_lonlat,
    displace,
    great_circle_km,
    jitter,
    lonlat_of,
    sphere_points,
    unit_vectors,
    wrap_longitude,
)

LON, LAT = st.floats(-180, 180), st.floats(-90, 90)
ONE = st.tuples(LON, LAT)


def uniform(n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def one(place: tuple[float, float]) -> torch.Tensor:
    return torch.tensor([place], dtype=torch.float64)


def test_points_are_uniform_on_the_sphere():
    xyz = unit_vectors(sphere_points(uniform(20_000))).numpy()
    # Every coordinate of a uniform point on the sphere is itself uniform (Archimedes).
    turned = xyz @ np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    for column in (*xyz.T, *turned.T):
        assert stats.kstest(column, stats.uniform(-1, 2).cdf).pvalue > 0.001


@given(ONE)
def test_unit_vectors_and_back(place):
    vector = unit_vectors(one(place))
    assert torch.allclose(vector.norm(dim=1), torch.ones(1, dtype=torch.float64))
    back = lonlat_of(vector)
    assert great_circle_km(back, one(place)).item() < 1e-5


@given(ONE, ONE)
def test_distance_is_the_angle_between_vectors(a, b):
    chord = (unit_vectors(one(a)) - unit_vectors(one(b))).norm().item()
    want = 2 * EARTH_RADIUS_KM * math.asin(min(1.0, chord / 2))
    assert great_circle_km(one(a), one(b)).item() == pytest.approx(want, abs=1e-3)


def test_distance_over_the_antimeridian_and_of_neighbours():
    assert great_circle_km(one((179.5, 0)), one((-179.5, 0))).item() == pytest.approx(111.195, 1e-4)
    metres = great_circle_km(one((10, 50)), one((10, 50 + 1e-6))).item() * 1000
    assert metres == pytest.approx(0.1112, rel=1e-3)


@settings(deadline=None)
@given(ONE, st.floats(0, 15_000), st.floats(0, 2 * math.pi))
def test_displacement_goes_as_far_as_asked(place, km, bearing):
    moved = displace(
        one(place), torch.tensor([km]).double(), torch.tensor([bearing], dtype=torch.float64)
    )
    check_lonlat(moved)
    assert great_circle_km(moved, one(place)).item() == pytest.approx(km, abs=0.01)


@pytest.mark.parametrize("place", [(0.0, 0.0), (179.99, -40.0), (12.0, 89.9)])
def test_jitter_follows_a_rayleigh_law_in_every_direction(place):
    start = one(place).expand(8000, 2)
    moved = jitter(start, 80.0, uniform(8000, seed=2))
    km = great_circle_km(moved, start).numpy()
    assert stats.kstest(km, stats.rayleigh(scale=80.0).cdf).pvalue > 0.001
    check_lonlat(moved)
    drift = unit_vectors(moved).mean(0) - unit_vectors(start)[0]
    assert drift.norm().item() * EARTH_RADIUS_KM < 5


@pytest.mark.parametrize("degrees", [0.01, 0.7, 1.0, 2.0, 7.0, 45.0])
def test_cells_at_the_edges_of_the_map(degrees):
    edges = torch.tensor([[180.0, 10.0], [-180.0, 10.0]])
    assert len(cell_ids(edges, degrees).unique()) == 1
    columns, rows = math.ceil(360 / degrees), math.ceil(180 / degrees)
    poles = cell_ids(torch.tensor([[0.0, 90.0], [0.0, -90.0], [180.0, 90.0]]), degrees)
    assert torch.div(poles, columns, rounding_mode="floor").tolist() == [rows - 1, 0, rows - 1]


@settings(deadline=None)
@given(ONE, st.sampled_from([0.25, 1.0, 2.0, 5.0, 7.0]))
def test_a_cell_holds_its_centre(place, degrees):
    ids = cell_ids(one(place), degrees)
    centre = cell_centres(ids, degrees)
    assert ids >= 0 and torch.equal(cell_ids(centre, degrees), ids)


def test_cells_differ_across_a_line():
    ids = cell_ids(torch.tensor([[1.99, 0.5], [2.01, 0.5], [1.99, 1.99], [1.99, 2.01]]), 2.0)
    assert ids[0] != ids[1] and ids[0] == ids[2] and ids[0] != ids[3]


@given(st.floats(-1e6, 1e6))
def test_longitudes_wrap(lon):
    wrapped = wrap_longitude(lon)
    assert -180 <= wrapped < 180
    assert abs(math.remainder(wrapped - lon, 360)) < 1e-6


@pytest.mark.parametrize(
    ("lonlat", "said"),
    [
        ([[10.0, 95.0]], r"look swapped.*\(95, 10\)"),
        ([[170.0, 95.0]], "Latitude goes from -90 to 90"),
        ([[190.0, 5.0]], "same meridian is -170"),
        ([[math.nan, 5.0]], "finite degrees"),
        ([[0.0, 5.0], [math.inf, 5.0]], "Coordinate 1 is"),
        ([1.0, 2.0], r"shape \(2,\); give \(N, 2\)"),
        ([[1.0, 2.0, 3.0]], r"shape \(1, 3\)"),
    ],
)
def test_bad_coordinates_are_named(lonlat, said):
    with pytest.raises(BadRecordError, match=said):
        check_lonlat(torch.tensor(lonlat))


def test_good_coordinates_pass():
    edges = torch.tensor([[180.0, 90.0], [-180.0, -90.0]])
    assert torch.equal(check_lonlat(edges), edges)
    assert check_lonlat(torch.tensor([[1, 2]])).is_floating_point()
    missing = torch.tensor([[math.nan, math.nan], [3.0, 4.0]])
    assert check_lonlat(missing, allow_missing=True).shape == (2, 2)
    assert check_lonlat(torch.empty(0, 2)).shape == (0, 2)


def test_normalised_coordinates_are_warned_of():
    with pytest.warns(UserWarning, match="multiply longitude by 180"):
        check_lonlat(torch.rand(20, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_lonlat(torch.rand(20, 2) * 3 + 1)
