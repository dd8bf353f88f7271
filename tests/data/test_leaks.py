"""The leak check finds what was put into both sets, and nothing in what was kept apart."""

from __future__ import annotations

import pytest
import torch

from csp_core.data.leaks import QUANTILES, Shared, leak_check
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.data.splits import assign_parts
from csp_core.geo import sphere_points

NAN = float("nan")


def records(lonlat, recorder=(), name="x"):
    lonlat = torch.tensor(lonlat) if isinstance(lonlat, list) else lonlat
    label = torch.zeros(len(lonlat), dtype=torch.int64)
    code = torch.tensor(recorder, dtype=torch.int64)
    return RecordDataset(lonlat.reshape(-1, 2), label, ClassTable(("a",)), name=name, recorder=code)


def test_what_was_planted_is_found():
    a = records([[0.5, 0.5], [0.5, 0.5], [10.5, 10.5], [50.0, 50.5]], [1, 2, 2, -1])
    b = records([[0.5, 0.5], [10.501, 10.499], [51.9, 50.5], [-100.0, -60.0], [NAN, NAN]],
                [2, 3, -1, -1, 9])  # fmt: skip
    leaks = leak_check(a, b)
    assert leaks.places == Shared(1, 2, 1)
    assert leaks.sites == Shared(2, 3, 2)
    assert leaks.blocks == Shared(3, 4, 3)
    assert leaks.recorders == Shared(1, 2, 1)
    assert list(leaks.distance_km) == list(QUANTILES)
    assert leaks.distance_km[0.0] == 0.0 and leaks.distance_km[1.0] > 5000
    assert (leaks.n_a, leaks.n_b) == (4, 5)


def test_it_reads_as_a_table():
    a, b = records([[0.5, 0.5], [9.0, 9.0]], name="birds"), records([[0.5, 0.5]], name="mine")
    text = str(leak_check(a, b))
    assert text.splitlines()[0] == "birds (2 records) and mine (1) share"
    assert "exact places       1 with 50.0% and 100.0% of their records" in text
    assert "recorders     unknown" in text and "100%: 0" in text


def test_an_empty_set_shares_nothing():
    leaks = leak_check(records([[0.5, 0.5]]), records(torch.empty(0, 2)))
    assert leaks.places == leaks.sites == leaks.blocks == Shared(0, 0, 0)
    assert leaks.distance_km == {} and "0.0%" in str(leaks)


@pytest.mark.parametrize(("method", "apart"), [("site", "sites"), ("block", "blocks"),
                                               ("recorder", "recorders")])  # fmt: skip
def test_splits_share_nothing_of_their_kind(method, apart):
    chance = torch.Generator().manual_seed(0)
    lonlat = sphere_points(torch.rand(300, 2, generator=chance)).repeat(3, 1)
    lonlat[:450] /= 20
    recorder = torch.randint(0, 50, (900,), generator=chance)
    parts = assign_parts(lonlat, method=method, val=0.3, recorder=recorder)
    train, val = (
        records(lonlat[parts == part], recorder[parts == part].tolist()) for part in (0, 1)
    )
    leaks = leak_check(train, val)
    assert getattr(leaks, apart) == Shared(0, 0, 0)
    assert sum(s.groups for s in (leaks.blocks, leaks.sites, leaks.recorders)) > 0


def test_a_buffer_shows_in_the_distances():
    lonlat = sphere_points(torch.rand(2000, 2, generator=torch.Generator().manual_seed(0)))
    parts = assign_parts(lonlat, val=0.02, buffer_km=300.0)
    train, val = (records(lonlat[parts == part]) for part in (0, 1))
    assert leak_check(train, val).distance_km[0.0] > 300
