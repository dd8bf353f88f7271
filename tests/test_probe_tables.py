"""The benchmark of probes: data are looked up where they are, means leave out what was learned."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def test_metres_are_those_of_the_package_that_holds_them(module):
    location = pytest.importorskip("pvlib.location", reason="needs the package pvlib")
    data = module("probe_data")
    lonlat = torch.cat((data.land_points(200), torch.tensor([[179.99, 89.99], [-180, -90]])))
    (found,) = data._elevation(lonlat)
    want = [location.lookup_altitude(lat, lon) for lon, lat in lonlat.tolist()]
    assert (found.values == want).all() and found.values.max() > 2000


def test_climate_is_looked_up_at_the_right_place(module):
    data = module("probe_data")
    # Vienna, Lima, the South Pole; Iquique on the driest shore, and Debundscha on the wettest.
    lonlat = torch.tensor([[16.4, 48.2], [-77.0, -12.0], [0.0, -90], [-70.0, -20.5], [9.0, 4.1]])
    try:
        temperature, spread, rain, _ = (target.values for target in data._climate(lonlat))
    except data.DataNotFoundError as error:
        pytest.skip(str(error))
    assert 8 < temperature[0] < 14 and 16 < temperature[1] < 24 and temperature[2] < -40
    assert spread[0] > 15 > 8 > spread[1]
    assert np.expm1(rain[0]) == pytest.approx(650, abs=250)
    assert np.expm1(rain[3]) < 60 and np.expm1(rain[4]) > 2000


def test_people_nearby_are_summed(module):
    data = module("probe_data")
    vienna, ocean = data._people(torch.tensor([[16.4, 48.2], [-30.0, -40.0]]))
    assert 14.5 < vienna < 16.5 and ocean == 0


def test_places_on_land_follow_from_the_seed(module):
    data = module("probe_data")
    first, again, other = (data.land_points(50, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other) and len(first) == 50
    assert module("csp_core.land").on_land(first).all()


def test_means_leave_out_what_was_learned(module):
    common, tables = module("stssl_common"), module("probe_tables")
    found, planned = {}, []
    for row in ("raw coordinates", "birds"):
        for name, where, draw, told in (
            ("numbers", "random", 0, {"a/r2": 0.2, "b/r2": 0.4}),
            ("numbers", "random", 1, {"a/r2": 0.4, "b/r2": 0.8}),
            ("zones", "random", 0, {"continent/accuracy": 0.9, "continent/balanced": 0.5}),
            ("birds", "random", 0, {"species of bird/accuracy": 1, "species of bird/balanced": 1}),
            ("zones", "40°", 0, {"continent/accuracy": 0.9, "continent/balanced": 0.3}),
            ("birds", "40°", 0, {"groups": 4.0}),
            ("zones", "10°", 0, {}),
        ):
            cell = common.Cell(row, f"{name}, {where}", draw, {})
            planned.append(cell)
            if told:
                found[cell.key] = told
    text = tables.body(common.Outcome(tuple(planned), found), ["raw coordinates", "birds"])
    means = [line for line in text.splitlines() if line.startswith("| birds |")]
    assert means[0] == "| birds | 0.450 ± 0.212 | not run | not run | not run | not run |"
    # At random, 10° and 40°: of what none learned, and of its own.
    assert means[1] == (
        "| birds | 0.500 (1) | 0.500 (1) | not run | not run | 0.300 (1) | 0.300 (1) |"
    )
    other = next(line for line in text.splitlines() if line.startswith("| raw") and "(2)" in line)
    assert other.startswith("| raw coordinates | 0.500 (1) | 0.750 (2) |")
    assert "| birds | 0.500 | 1.000† |" in text and "| birds | 0.300 | n/a |" in text
    assert "- birds, zones, 10°: draw 0" in text


def test_rows_are_compared_over_what_none_of_them_learned_from(module):
    common, tables = module("stssl_common"), module("probe_tables")
    rows = {"GeoCLIP, file of the package": 0.2, "earth": 0.4, tables.VARIANTS[0]: 0.3}
    found, planned = {}, []
    for row, value in rows.items():
        told = {"people nearby/r2": value, "elevation/r2": 1.0}
        for name, measures in (
            ("numbers", told),
            ("life", {"kinds of birds/r2": value + 0.2}),
            ("zones", {"continent/balanced": 0.9, "main climate/balanced": 1.0}),
            ("crustaceans", {"groups": 4.0}),
        ):
            cell = common.Cell(row, f"{name}, 40°", 0, {})
            planned.append(cell)
            found[cell.key] = measures
    text = tables.body(common.Outcome(tuple(planned), found), list(rows)[:2])
    judged, added = text.split("## What each family adds")
    # Elevation and the main climate were learned from; crustaceans have too few blocks.
    assert "| earth | not run | not run | not run | not run | 0.633 (3) |" in judged
    assert (
        "| GeoCLIP, file of the package | not run | not run | not run | not run | 0.500 (3)" in text
    )
    lines = added.split("## Numbers")[0].splitlines()
    assert "| earth, trained shortly | not run | not run | not run | not run | 0.400 |" in lines
    assert "| 0.700† |" in text and "| 0.600 |" in text
