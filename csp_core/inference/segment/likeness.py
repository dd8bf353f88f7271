"""What the embeddings of a picture's pixels show: a picture in three colours, and like places."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.errors import BadRecordError

# The colours span so much of the values on either side of the middle, in standard deviations.
REACH = 2.0
# The components are found from this many cells at the most.
SAMPLED = 20_000


@dataclass(frozen=True)
class LikePlace:
    """A place of the picture that is like another.

    Args:
        row: Row of its cell.
        column: Column of its cell.
        likeness: Cosine of the angle between the two embeddings, once the mean is taken off.
    """

    row: int
    column: int
    likeness: float


def component_picture(vectors: Tensor, valid: Tensor) -> Tensor:
    """Show embeddings as red, green and blue: their first three principal components.

    Args:
        vectors: ``(dim, H, W)``.
        valid: ``(H, W)`` bool, where there is data.

    Returns:
        ``(3, H, W)`` uint8; 0 where there is no data. Alike colours are alike embeddings; the
        colours themselves mean nothing. The sign of a component is that of its largest weight.
    """
    picture = torch.zeros(3, *valid.shape, dtype=torch.uint8)
    known = vectors[:, valid].T.double()
    if not len(known):
        return picture
    middle = known.mean(dim=0)
    some = known[:: max(1, len(known) // SAMPLED)] - middle
    _, vector = torch.linalg.eigh(some.T @ some / len(some))
    axes = vector.flip(1)[:, :3]
    axes = axes * axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)).sign()
    values = (known - middle) @ axes
    spread = values.std(dim=0, correction=0).clamp_min(1e-12)
    levels = ((values / spread / REACH).clamp(-1, 1) + 1) * 127.5
    picture[: axes.shape[1], valid] = levels.round().to(torch.uint8).T
    return picture


def like_places(
    vectors: Tensor, valid: Tensor, row: int, column: int, *, count: int = 5, apart: int = 8
) -> tuple[LikePlace, ...]:
    """Find the places of a picture that are most like one of them.

    Args:
        vectors: ``(dim, H, W)``.
        valid: ``(H, W)`` bool, where there is data.
        row: Row of the cell asked about.
        column: Its column.
        count: How many to find at the most.
        apart: Cells that they are away from each other and from the one asked about, at least, in
            rows or in columns.

    Returns:
        The places, the most alike first.

    Raises:
        BadRecordError: If there is no such cell, or it has no data.
    """
    cosine = likeness(vectors, valid, row, column)
    left = cosine.masked_fill(~valid, -2.0)
    found: list[LikePlace] = []
    at = (row, column)
    while len(found) < count:
        rows, columns = (slice(max(0, i - apart + 1), i + apart) for i in at)
        left[rows, columns] = -2.0
        best = int(left.argmax())
        at = divmod(best, left.shape[1])
        if float(left[at]) < -1.5:
            break
        found.append(LikePlace(*at, float(cosine[at])))
    return tuple(found)


def likeness(vectors: Tensor, valid: Tensor, row: int, column: int) -> Tensor:
    """Compare all cells of a picture with one.

    Args:
        vectors: ``(dim, H, W)``.
        valid: ``(H, W)`` bool, where there is data.
        row: Row of the cell asked about.
        column: Its column.

    Returns:
        ``(H, W)`` cosines of the angle between embeddings, once the mean of all is taken off; 0
        where there is no data.

    Raises:
        BadRecordError: If there is no such cell, or it has no data.
    """
    height, width = valid.shape
    if not (0 <= row < height and 0 <= column < width and bool(valid[row, column])):
        raise BadRecordError(
            f"Row {row}, column {column} holds no data; give a place of the picture, which has"
            f" {height} rows and {width} columns."
        )
    middle = vectors[:, valid].mean(dim=1)[:, None, None]
    unit = F.normalize(vectors - middle, dim=0)
    return torch.einsum("dhw,d->hw", unit, unit[:, row, column]).clamp(-1, 1) * valid
