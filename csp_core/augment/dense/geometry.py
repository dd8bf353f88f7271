"""Square windows of images, flipped, turned and zoomed, with where each of their pixels is from."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.augment.pixels import as_kind

# A pixel between others has data where these have, but for the rounding of the weights.
ALL_VALID = 1 - 1e-4


def origins(
    sides: tuple[int, int], size: int, zoom: float, uniform: Tensor, near: Tensor | None = None,
    reach: float = 0.0,
) -> Tensor:  # fmt: skip
    """Say where windows begin.

    Args:
        sides: Height and width of the source in pixels.
        size: Side of the window in its own pixels.
        zoom: Pixels of the source to one of the window, at most ``min(sides) / size``.
        uniform: ``(N, 2)`` in [0, 1), down and right.
        near: ``(N, 2)`` beginnings of other windows that these shall overlap with, or None.
        reach: How far from there they may begin, in pixels of the source.

    Returns:
        ``(N, 2)`` float32 row and column of the upper left corner, from 0 for that of the source;
        whole numbers where the zoom is 1.
    """
    most = torch.tensor(sides, dtype=torch.float32) - size * zoom
    low, high = torch.zeros_like(uniform), most.clamp_min(0).expand_as(uniform)
    if near is not None:
        low, high = (near - reach).clamp_min(0), (near + reach).minimum(high)
        low = low.minimum(high)
    if zoom == 1:
        low, high = low.ceil(), high.floor()
        return (low + (uniform * (high - low + 1)).floor()).minimum(high)
    return low + uniform * (high - low)


def window(origin: Tensor, size: int, zoom: float) -> Tensor:
    """Give the coordinates in the source of each pixel of upright windows.

    Args:
        origin: ``(N, 2)``, from ``origins``.
        size: Side of the window in its own pixels.
        zoom: Pixels of the source to one of the window.

    Returns:
        ``(N, 2, size, size)`` float32 row and column in the source, 0 in the middle of the first
        pixel.
    """
    along = (torch.arange(size, dtype=torch.float32) + 0.5) * zoom - 0.5
    rows, columns = (origin[:, axis, None] + along for axis in (0, 1))
    shape = (len(origin), size, size)
    return torch.stack((rows[:, :, None].expand(shape), columns[:, None].expand(shape)), dim=1)


def ways(*, flip: bool, rotate: bool) -> list[tuple[int, bool]]:
    """List how a square may be turned: quarter turns, and whether it is mirrored after them.

    Args:
        flip: Whether it may be flipped, in either direction.
        rotate: Whether it may be turned by multiples of 90 degrees.

    Returns:
        The ways, all alike likely.

    Example:
        >>> ways(flip=True, rotate=False)
        [(0, False), (0, True), (2, False), (2, True)]
    """
    turns = range(4) if rotate else (0, 2) if flip else (0,)
    return [(quarter, mirrored) for quarter in turns for mirrored in ((False, True)[: 1 + flip])]


def turned(coordinates: Tensor, uniform: Tensor, *, flip: bool, rotate: bool) -> Tensor:
    """Flip and turn windows.

    Args:
        coordinates: ``(N, 2, size, size)``.
        uniform: ``(N,)`` in [0, 1).
        flip: See ``ways``.
        rotate: See ``ways``.

    Returns:
        The same shape.
    """
    known = ways(flip=flip, rotate=rotate)
    way = (uniform * len(known)).long()
    found = torch.empty_like(coordinates)
    for number, (quarter, mirrored) in enumerate(known):
        some = coordinates[way == number].rot90(quarter, (2, 3))
        found[way == number] = some.flip(3) if mirrored else some
    return found


def take(image: Tensor, coordinates: Tensor, *, whole: bool) -> Tensor:
    """Fill windows with the pixels at their coordinates.

    Args:
        image: ``(N, C, H, W)``.
        coordinates: ``(N, 2, h, w)`` rows and columns in it.
        whole: Whether they are whole numbers, so that each pixel is exactly one of the source; else
            it is what lies between four of them.

    Returns:
        ``(N, C, h, w)`` of the same kind.
    """
    height, width = image.shape[2:]
    if whole:
        number = coordinates[:, 0].long() * width + coordinates[:, 1].long()
        index = number.flatten(1)[:, None].expand(-1, image.shape[1], -1)
        return image.flatten(2).gather(2, index).view(*image.shape[:2], *number.shape[1:])
    last = torch.tensor((max(width - 1, 1), max(height - 1, 1)), dtype=torch.float32)
    grid = 2 * coordinates.flip(1).permute(0, 2, 3, 1) / last - 1
    found = F.grid_sample(image.float(), grid, padding_mode="border", align_corners=True)
    return as_kind(found, image.dtype)


def take_valid(valid: Tensor, coordinates: Tensor, *, whole: bool) -> Tensor:
    """Tell which pixels of windows have data: those of which all they are made of has.

    Args:
        valid: ``(N, H, W)`` bool.
        coordinates: ``(N, 2, h, w)``.
        whole: See ``take``.

    Returns:
        ``(N, h, w)`` bool.
    """
    return take(valid[:, None].float(), coordinates, whole=whole)[:, 0] > ALL_VALID
