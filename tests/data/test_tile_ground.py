"""Ground as cells of a lattice and rectangles, against slow counts of each."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from csp_core.data.tiles.ground import covered, largest_overlap, leave_gap, near_cells, strips


@pytest.mark.parametrize("seed", range(4))
def test_strips_and_gaps_as_cell_by_cell(seed):
    chance = torch.Generator().manual_seed(seed)
    cells = torch.randint(-20, 20, (300, 2), generator=chance)
    among = torch.rand(300, generator=chance) < 0.7
    parts = strips(cells, among, (0.6, 0.1, 0.3), seed)
    held = [float((parts[among] == part).float().mean()) for part in range(3)]
    assert held == pytest.approx([0.6, 0.1, 0.3], abs=0.04)
    # Along one axis the parts are three intervals.
    runs = [torch.unique_consecutive(parts[cells[:, axis].argsort(stable=True)]) for axis in (0, 1)]
    assert min(map(len, runs)) == 3
    mixed = torch.randint(0, 3, (300,), generator=chance)
    found = leave_gap(mixed, cells, 1)
    near = (cells[:, None] - cells[None]).abs().amax(dim=2) <= 1
    val = (mixed == 1) & ~(near & (mixed == 2)[None]).any(dim=1)
    train = (mixed == 0) & ~(near & (val | (mixed == 2))[None]).any(dim=1)
    want = torch.full((300,), -1).masked_fill(train, 0).masked_fill(val, 1)
    assert torch.equal(found, want.masked_fill(mixed == 2, 2))
    others = cells[:5]
    far = (cells[:, None] - others[None]).abs().amax(dim=2).amin(dim=1)
    assert torch.equal(near_cells(cells, others, 3), far <= 3)


def test_ground_is_measured_as_pixel_by_pixel():
    chance = np.random.default_rng(2)
    for _ in range(5):
        places = np.concatenate(
            (chance.integers(0, 30, (12, 2)), chance.integers(1, 9, (12, 2))), 1
        )
        seen, joined = np.zeros((40, 40), dtype=int), [{at} for at in range(12)]
        for at, (row, column, height, width) in enumerate(places):
            before = set(np.unique(seen[row : row + height, column : column + width])) - {0}
            seen[row : row + height, column : column + width] = at + 1
            del before
        rows = [tuple(place) for place in places.tolist()]
        assert covered(rows) == int((seen > 0).sum())
        for one, (r, c, h, w) in enumerate(rows):
            for other, (y, x, high, wide) in enumerate(rows):
                if r < y + high and y < r + h and c < x + wide and x < c + w:
                    both = joined[one] | joined[other]
                    for at in both:
                        joined[at] = both
        assert largest_overlap(rows) == max(map(len, joined))
