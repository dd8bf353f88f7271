"""Where two views of an image show the same ground."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

NONE = -1
LEAST_WITHIN = 0.75


def to_cells(coordinates: Tensor, valid: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Give coordinates and data of the cells of an encoder's map, as means over their pixels.

    Args:
        coordinates: ``(N, 2, h, w)`` rows and columns in the source, in pixels.
        valid: ``(N, h, w)`` bool, where the view has data.
        stride: Side of a cell in pixels of the view.

    Returns:
        ``(N, 2, h / stride, w / stride)``, and ``(N, h / stride, w / stride)`` bool, whether all of
        the cell has data.
    """
    if stride == 1:
        return coordinates, valid
    lacking = F.max_pool2d((~valid)[:, None].float(), stride)[:, 0]
    return F.avg_pool2d(coordinates, stride), lacking == 0


def match_cells(
    first: Tensor,
    second: Tensor,
    uniform: Tensor,
    *,
    points: int,
    within: float = LEAST_WITHIN,
    valid: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Draw cells of a view, and find for each the nearest cell of another view of the same image.

    Both views are lattices: their coordinates grow evenly along rows and along columns, which are
    at right angles, as cropping, zooming, flipping and quarter turns leave them.

    Args:
        first: ``(N, 2, h, w)`` coordinates in the source, in its pixels.
        second: ``(N, 2, h', w')`` those of the other view.
        uniform: ``(N, h w)`` in [0, 1): the cells of the highest numbers are drawn.
        points: Cells for each image.
        within: How far from it the cell that is nearest may be, in pixels of the source.
        valid: ``(N, h, w)`` and ``(N, h', w')`` bool, which cells have data; None if all have.

    Returns:
        ``(N, points, 2)`` int64, numbers of the cells in the first and the second view, row by row;
        -1 for both where an image has no more of them.

    Example:
        >>> columns, rows = torch.arange(3.0).expand(3, 3), torch.arange(3.0)[:, None].expand(3, 3)
        >>> grid = torch.stack((rows, columns))[None]
        >>> match_cells(grid[..., 2:], grid.flip(3), torch.tensor([[0.5, 0.9, 0.0]]), points=2)
        tensor([[[1, 3],
                 [0, 0]]])
    """
    number, apart = _nearest(first.flatten(2).transpose(1, 2), second)
    meets = apart < within
    if valid is not None:
        meets &= valid[0].flatten(1) & valid[1].flatten(1).gather(1, number)
    chance = uniform.masked_fill(~meets, NONE)
    drawn = chance.topk(min(points, chance.shape[1]), dim=1)
    cells = torch.stack((drawn.indices, number.gather(1, drawn.indices)), dim=2)
    cells = cells.masked_fill((drawn.values < 0)[..., None], NONE)
    return F.pad(cells, (0, 0, 0, points - cells.shape[1]), value=NONE)


def _nearest(place: Tensor, lattice: Tensor) -> tuple[Tensor, Tensor]:
    """Find the nearest point of each lattice to places ``(N, M, 2)``, and how far it is."""
    height, width = lattice.shape[2:]
    start = lattice[:, None, :, 0, 0]
    at = []
    for axis, side in ((2, height), (3, width)):
        step = lattice.select(axis, min(1, side - 1)).select(2, 0)[:, None] - start
        length = step.square().sum(dim=2).clamp_min(torch.finfo(torch.float32).tiny)
        along = ((place - start) * step).sum(dim=2) / length
        at.append(along.round().long().clamp(0, side - 1))
    number = at[0] * width + at[1]
    found = lattice.flatten(2).gather(2, number[:, None].expand(-1, 2, -1)).transpose(1, 2)
    return number, (place - found).square().sum(dim=2).sqrt()
