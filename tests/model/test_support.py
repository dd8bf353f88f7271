"""Support: counting records near a place."""

from __future__ import annotations

import math

import pytest
import torch

from csp_core.model import LEVEL_MEANING, LEVELS, Support
from tests import small

NAIROBI = (36.8, -1.3)


def slow_km(a, b):
    lon_a, lat_a, lon_b, lat_b = map(math.radians, (*a, *b))
    cosine = math.sin(lat_a) * math.sin(lat_b) + math.cos(lat_a) * math.cos(lat_b) * math.cos(
        lon_a - lon_b
    )
    return 6371.0088 * math.acos(max(-1.0, min(1.0, cosine)))


def centre(lon, lat, side):
    return ((math.floor(lon / side) + 0.5) * side, (math.floor(lat / side) + 0.5) * side)


@pytest.mark.parametrize("side", [0.5, 1.0])
@pytest.mark.parametrize("place", [NAIROBI, (179.9, -18.0), (-179.9, -18.0), (0.0, 0.0)])
@pytest.mark.parametrize("radius", [100.0, 500.0])
def test_counts_against_a_slow_loop(side, place, radius):
    data = small.dataset()
    found = Support.from_records(data.lonlat, data.label, 6, side).near(*place, radius_km=radius)
    want, local, nearest = [0] * 6, 0, math.inf
    for (lon, lat), label in zip(data.lonlat.double().tolist(), data.label.tolist(), strict=True):
        km = slow_km(place, centre(lon, lat, side))
        want[label] += km <= radius
        local += km <= 250
        nearest = min(nearest, km)
    assert found.per_class.tolist() == want and found.records == sum(want)
    assert found.level == next(name for name, least in LEVELS if local >= least)
    assert found.nearest_km == pytest.approx(nearest, rel=1e-4, abs=1.0)


@pytest.mark.parametrize(
    ("records", "level"),
    [(0, "none"), (9, "none"), (10, "little"), (49, "little"), (50, "some"), (199, "some"),
     (200, "good")],
)  # fmt: skip
def test_levels(records, level):
    lonlat = torch.tensor([NAIROBI]).repeat(records, 1)
    near = Support.from_records(lonlat, torch.zeros(records).long(), 2).near(*NAIROBI)
    assert near.level == level and near.level in LEVEL_MEANING
    assert near.extrapolates == (level == "none")


def test_no_record_at_all():
    near = Support.from_records(torch.empty(0, 2), torch.empty(0).long(), 3).near(*NAIROBI)
    assert near.nearest_km is None and near.records == 0 and near.per_class.tolist() == [0, 0, 0]


def test_records_without_place_or_label_are_left_out():
    nan = float("nan")
    lonlat = torch.tensor([[1.5, 1.5], [nan, nan], [1.5, 1.5], [1.5, 1.5]])
    near = Support.from_records(lonlat, torch.tensor([0, 0, -1, 1]), 2).near(1.5, 1.5)
    assert near.per_class.tolist() == [1, 1]


@pytest.mark.parametrize("side", [0.5, 0.7, 1.0, 3.0, 90.0])
@pytest.mark.parametrize("radius", [250.0, 3000.0, 15000.0, 30000.0])
def test_counts_on_a_grid_are_those_of_each_place(side, radius):
    # Records at both poles and at the antimeridian too, where a row's stretch goes all round.
    more = [
        [179.99, 89.9],
        [-179.99, 88.1],
        [10.0, -89.9],
        [-180.0, 0.2],
        [179.6, 0.2],
        [180.0, 80],
    ]
    lonlat = torch.cat((small.dataset().lonlat, torch.tensor(more)))
    support = Support.from_records(lonlat, torch.zeros(len(lonlat)).long(), 1, side)
    lon = torch.cat((torch.arange(-179.0, 180, 7.3), torch.tensor([-179.9, 179.9])))
    lat = torch.tensor([89.8, 87.0, 45.3, 1.1, -0.4, -18.2, -60.7, -88.9])
    found = support.records_on_grid(lon, lat, radius_km=radius)
    want = [
        [support.near(x, y, radius_km=radius).records for x in lon.tolist()] for y in lat.tolist()
    ]
    assert found.tolist() == want


def test_counts_on_a_grid_without_records():
    support = Support.from_records(torch.empty(0, 2), torch.empty(0).long(), 3)
    assert support.records_on_grid(torch.zeros(4), torch.zeros(2)).tolist() == [[0] * 4] * 2


def test_cells_of_a_taxon():
    lonlat = torch.tensor([[10.2, 5.7], [10.9, 5.1], [-0.1, -0.1], [10.5, 5.5]])
    centres, counts = Support.from_records(lonlat, torch.tensor([0, 0, 0, 1]), 2).taxon_cells(0)
    found = dict(zip(map(tuple, centres.tolist()), counts.tolist(), strict=True))
    assert found == {(10.5, 5.5): 2, (-0.5, -0.5): 1}


def test_tensors_make_the_same_support_again():
    data = small.dataset()
    first = Support.from_records(data.lonlat, data.label, 6, 0.5)
    assert {t.dtype for t in first.tensors().values()} == {torch.int32}
    second = Support(**first.tensors(), num_classes=6, cell_degrees=0.5)
    for place in (NAIROBI, (178.0, -18.0)):
        a, b = first.near(*place), second.near(*place)
        assert a.per_class.tolist() == b.per_class.tolist() and a.nearest_km == b.nearest_km


def test_the_cell_with_most_records():
    lonlat = torch.tensor([[0.5, 0.5], [0.4, 0.2], [10.2, 5.5], [10.3, 5.6], [10.9, 5.1]])
    support = Support.from_records(lonlat, torch.tensor([0, 0, 1, 0, 2]), 3)
    assert support.most_recorded() == (10.5, 5.5)
    none = Support.from_records(lonlat[:0], torch.tensor([], dtype=torch.int64), 3)
    assert none.most_recorded() is None
