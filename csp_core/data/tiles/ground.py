"""The ground that tiles and crops lie on: blocks, strips, gaps, and what overlaps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from csp_core.data.parts import LEFT_OUT, PARTS


def overlapping_pairs(places: Sequence[tuple[int, int, int, int]]) -> int:
    """Count the pairs of rectangles that share ground.

    A line goes over the rows; of the rectangles that it is in, all share columns with another but
    those that end before it and those that begin behind it.

    Args:
        places: Row, column, height and width of each, of whole numbers, the latter two above 0.

    Returns:
        How many pairs; those that only touch are none.
    """
    # At one row, those that end there come before those that begin.
    events = [(row, True, column, column + width) for row, column, _, width in places]
    events += [
        (row + height, False, column, column + width) for row, column, height, width in places
    ]
    begins: list[int] = []
    ends: list[int] = []
    pairs = 0
    for _, opens, begin, end in sorted(events):
        if opens:
            pairs += len(ends) - bisect_right(ends, begin)
            pairs -= len(begins) - bisect_left(begins, end)
            insort(begins, begin)
            insort(ends, end)
        else:
            del begins[bisect_left(begins, begin)]
            del ends[bisect_left(ends, end)]
    return pairs


def blocks_of(cells: Tensor, side: int) -> Tensor:
    """Number the blocks of ground that crops belong to.

    Args:
        cells: ``(N, 2)`` row and column of each in the lattice.
        side: Side of a block in crops.

    Returns:
        ``(N,)`` int64, in the order of the blocks' rows and columns.
    """
    blocks = cells.div(side, rounding_mode="floor")
    found: Tensor = torch.unique(blocks, dim=0, return_inverse=True)[1]
    return found


def overlaps(cells: Tensor, parts: Tensor) -> int:
    """Count the pairs of crops of different parts of the data that share ground.

    Args:
        cells: ``(N, 2)`` row and column of each in the lattice.
        parts: ``(N,)`` the part of each, negative where it is left out.

    Returns:
        How many pairs.
    """
    used = parts >= 0
    ground = torch.unique(cells[used], dim=0, return_inverse=True)[1]
    each = torch.stack((ground, parts[used]), dim=1)
    crops = torch.bincount(ground)
    of_part = torch.unique(each, dim=0, return_counts=True)[1]
    # Of n crops of one ground, n² pairs in either order, those of one part among them.
    return int(crops.square().sum() - of_part.square().sum()) // 2


def largest_overlap(places: Sequence[tuple[int, int, int, int]]) -> int:
    """Count the rectangles of the largest group that are joined by ground they share.

    Args:
        places: As for ``overlapping_pairs``.

    Returns:
        How many; 1 where none share any.
    """
    group = list(range(len(places)))

    def top(at: int) -> int:
        while group[at] != at:
            group[at] = group[group[at]]
            at = group[at]
        return at

    order = sorted(range(len(places)), key=lambda at: places[at])
    active: list[int] = []
    for at in order:
        row, column, _, width = places[at]
        active = [one for one in active if places[one][0] + places[one][2] > row]
        for one in active:
            left, wide = places[one][1], places[one][3]
            if left < column + width and column < left + wide:
                group[top(one)] = top(at)
        active.append(at)
    return int(np.bincount([top(at) for at in range(len(places))]).max()) if places else 0


def covered(places: Sequence[tuple[int, int, int, int]]) -> int:
    """Count the pixels of ground that rectangles cover, each once.

    Args:
        places: As for ``overlapping_pairs``.

    Returns:
        How many.
    """
    events = [(row, True, (column, column + width)) for row, column, _, width in places]
    events += [(row + high, False, (column, column + wide)) for row, column, high, wide in places]
    spans: list[tuple[int, int]] = []
    pixels, last = 0, -(1 << 62)
    for row, opens, span in sorted(events):
        if row > last:
            pixels += (row - last) * _length(spans)
        last = row
        if opens:
            insort(spans, span)
        else:
            del spans[bisect_left(spans, span)]
    return pixels


def _length(spans: Sequence[tuple[int, int]]) -> int:
    """Measure the union of intervals that are sorted by where they begin."""
    length, end = 0, -(1 << 62)
    for left, right in spans:
        length += max(0, right - max(left, end))
        end = max(end, right)
    return length


def strips(cells: Tensor, among: Tensor, shares: Sequence[float], seed: int) -> Tensor:
    """Deal ground by straight lines: a strip to each of training, validation and test.

    Which of them lies first, and whether the lines run east or south, follows from the seed. A
    line runs between two rows or columns of the lattice.

    Args:
        cells: ``(N, 2)`` row and column of each crop in the lattice.
        among: ``(N,)`` bool, which crops the shares are of; others lie where they lie.
        shares: Part of the crops of training, validation and test; they sum to 1.
        seed: Seed.

    Returns:
        ``(N,)`` the part of each.
    """
    chance = torch.Generator().manual_seed(seed)
    axis = int(torch.randint(2, (), generator=chance))
    order = torch.randperm(len(shares), generator=chance).tolist()
    lines, sizes = torch.unique(cells[among, axis], return_counts=True)
    # A line of crops belongs where its middle does.
    middle = (sizes.cumsum(0) - sizes / 2) / sizes.sum()
    ends = torch.tensor([shares[part] for part in order], dtype=torch.float64).cumsum(0)
    place = torch.bucketize(middle.double(), ends[:-1])
    along = cells[:, axis].contiguous()
    nearest = (torch.bucketize(along, lines, right=True) - 1).clamp_min(0)
    return torch.tensor(order)[place[nearest]]


def leave_gap(parts: Tensor, cells: Tensor, gap: int) -> Tensor:
    """Leave out ground between parts, so that crops of two parts are apart.

    Training gives way to validation and test, validation to test.

    Args:
        parts: ``(N,)`` the part of each crop, negative where it is left out.
        cells: ``(N, 2)`` row and column of each crop in the lattice.
        gap: How many crops lie between those of two parts; 0 if only the same ground is left out.

    Returns:
        ``(N,)`` the part of each, -1 in a gap.
    """
    parts = parts.clone()
    for part in (PARTS["val"], PARTS["train"]):
        later = cells[parts > part]
        mine = (parts == part).nonzero().flatten()
        parts[mine[near_cells(cells[mine], later, gap)]] = LEFT_OUT
    return parts


def near_cells(cells: Tensor, others: Tensor, gap: int) -> Tensor:
    """Tell which cells lie near others, corner to corner too.

    Args:
        cells: ``(N, 2)`` int64 row and column of each.
        others: ``(M, 2)`` the others.
        gap: How many rows and columns away counts as near; 0 for the same cell.

    Returns:
        ``(N,)`` bool.
    """
    if not len(others) or not len(cells):
        return torch.zeros(len(cells), dtype=torch.bool)
    least = torch.minimum(cells.amin(dim=0), others.amin(dim=0)) - gap
    most = torch.maximum(cells.amax(dim=0), others.amax(dim=0)) + gap
    wide = int(most[1] - least[1]) + 1
    ground = others - least
    number = torch.unique(ground[:, 0] * wide + ground[:, 1])
    steps = torch.arange(-gap, gap + 1)
    # First along the columns, then along the rows.
    number = torch.unique((number[:, None] + steps).flatten())
    number = torch.unique((number[:, None] + steps * wide).flatten())
    own = cells - least
    return torch.isin(own[:, 0] * wide + own[:, 1], number)
