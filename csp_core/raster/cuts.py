"""The cells of a grid in blocks, each as many as are worked on at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from csp_core.grid import Grid

# Some rows, and a stretch of their columns or the numbers of some.
Piece = tuple[slice, slice | Tensor]


@dataclass(frozen=True)
class Cut:
    """Cells that are worked on together.

    Args:
        own: Which they are, of all cells that are computed, counted row by row.
        pieces: Where they lie, in the same order.
    """

    own: slice
    pieces: tuple[Piece, ...]


def cut_all(grid: Grid, cells: int, most_rows: int) -> Iterator[Cut]:
    """Cut a whole grid.

    Args:
        grid: The grid.
        cells: Most cells of a block.
        most_rows: Most rows of a block.

    Yields:
        The blocks: some whole rows each, or a part of one.
    """
    rows = min(max(1, cells // grid.columns), most_rows)
    columns = min(grid.columns, cells)
    for row in range(0, grid.rows, rows):
        last = min(row + rows, grid.rows)
        for column in range(0, grid.columns, columns):
            end = min(column + columns, grid.columns)
            own = slice(row * grid.columns + column, (last - 1) * grid.columns + end)
            yield Cut(own, ((slice(row, last), slice(column, end)),))


def cut_some(wanted: Tensor, cells: int) -> Iterator[Cut]:
    """Cut some cells of a grid; rows that hold none of them cost nothing.

    Args:
        wanted: ``(H, W)`` bool, the cells.
        cells: Most cells of a block.

    Yields:
        The blocks: some cells of a row or of a few rows each.

    Example:
        >>> wanted = torch.tensor([[True, False, True], [False] * 3, [False, True, True]])
        >>> [cut.own for cut in cut_some(wanted, 3)]
        [slice(0, 2, None), slice(2, 4, None)]
    """
    pieces: list[Piece] = []
    start = stop = 0
    for row in wanted.any(dim=1).nonzero()[:, 0].tolist():
        for columns in torch.split(wanted[row].nonzero()[:, 0], cells):
            if pieces and stop - start + len(columns) > cells:
                yield Cut(slice(start, stop), tuple(pieces))
                pieces, start = [], stop
            pieces.append((slice(row, row + 1), columns))
            stop += len(columns)
    if pieces:
        yield Cut(slice(start, stop), tuple(pieces))
