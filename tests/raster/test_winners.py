"""Who wins where: areas, the clearest places, numbers, and cells without support."""

from __future__ import annotations

import pytest
import torch

from csp_core import load_model
from csp_core.raster import WinningMap, make_grid, winning_map
from csp_core.raster.prior import extrapolates

GRID = make_grid((0, 0, 40, 20), 10.0)
WINNER = torch.tensor([[5, 5, 2, 2], [7, 5, 2, 2]])
SHARE = torch.tensor([[0.9, 0.5, 0.4, 0.6], [0.3, 0.6, 0.7, 0.5]])
GAPS = torch.tensor([[True, False, False, False], [True, False, False, False]])


def make_map(extrapolated=GAPS):
    return WinningMap(GRID, WINNER, SHARE, (2, 5, 7), extrapolated)


def test_areas_are_parts_of_what_has_support():
    size = GRID.cell_areas_km2().tolist()
    areas = make_map().areas
    assert list(areas) == [2, 5]  # class 7 wins only where the model extrapolates
    assert areas[2] == pytest.approx(2 / 3) and sum(areas.values()) == pytest.approx(1)
    everywhere = make_map(torch.zeros_like(GAPS))
    assert everywhere.areas[7] == pytest.approx(size[1] / (4 * size[0] + 4 * size[1]))
    assert not everywhere.any_extrapolated and make_map().any_extrapolated
    assert make_map(torch.ones_like(GAPS)).areas == {}


def test_the_clearest_place_is_the_centre_of_a_cell_with_support():
    assert make_map().best_place(5) == (15, 5)  # (5, 15) is clearer, and a guess
    assert make_map(torch.zeros_like(GAPS)).best_place(5) == (5, 15)
    assert make_map().best_place(2) == (25, 5)


def test_cells_are_numbered_in_the_order_of_the_classes():
    assert make_map().numbered((5, 2)).tolist() == [[1, 1, 2, 2], [3, 1, 2, 2]]
    assert make_map().numbered(()).unique().tolist() == [1]


def test_support_is_that_of_the_place_report_and_nobodys_without_counts(model_dir):
    model = load_model(model_dir)
    probs = torch.full((len(model.classes),), 1 / len(model.classes))
    found = winning_map(model, probs, step=10.0)
    assert found.extrapolated.equal(extrapolates(model, found.grid)) and found.any_extrapolated
    model.support = None
    assert not winning_map(model, probs, step=10.0).any_extrapolated
