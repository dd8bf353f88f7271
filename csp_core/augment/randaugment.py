"""RandAugment: a weak change and then operations that each image draws from a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from csp_core.augment import operations
from csp_core.augment.operations import Matrix
from csp_core.augment.pixels import weak_reflect, weak_reflect_upright

NUMBER = 3
WEAK_DRAWS, CUT_DRAWS = 4, 3
DRAWS = WEAK_DRAWS + 2 * NUMBER + CUT_DRAWS
MOST_MAGNITUDE = 30
LARGEST_CUT = 0.5
# What fills a hole in a photo: the mean of ImageNet's.
HOLE = (125, 123, 114)


@dataclass(frozen=True)
class Operation:
    """An operation and the numbers it may be given.

    Args:
        low: Least number.
        high: Greatest number.
        none: The number that changes nothing, or next to nothing.
        change: Function of images ``(N, C, H, W)`` and ``(N,)`` numbers.
        matrix: Where it moves pixels: function of one number and the sides, whose matrix
            ``change`` is given in place of the number.
    """

    low: float
    high: float
    none: float
    change: Callable[[Tensor, Tensor], Tensor]
    matrix: Callable[[float, int, int], Matrix] | None = None

    def number(self, uniform: float, magnitude: float | None) -> float:
        """Give the number for one image.

        Args:
            uniform: In [0, 1).
            magnitude: From 0 to 30, with which it is as far from no change in each image, to
                either side where there are two; None to draw it from the whole range.

        Returns:
            The number.
        """
        if magnitude is None:
            return self.low + (self.high - self.low) * uniform
        two_sided = self.low < self.none < self.high
        farthest = self.high if two_sided and uniform < 0.5 else self.low
        return self.none + (farthest - self.none) * magnitude / MOST_MAGNITUDE


def _moved(most: float, matrix: Callable[[float, int, int], Matrix]) -> Operation:
    return Operation(-most, most, 0, operations.warp, matrix)


def _mixed(change: Callable[[Tensor, Tensor], Tensor]) -> Operation:
    return Operation(0.05, 0.95, 1, change)


OPERATIONS: dict[str, Operation] = {
    "identity": Operation(0, 1, 0, lambda image, _: image),
    "autocontrast": Operation(0, 1, 0, operations.autocontrast),
    "brightness": _mixed(operations.brightness),
    "color": _mixed(operations.color),
    "contrast": _mixed(operations.contrast),
    "equalize": Operation(0, 1, 0, operations.equalize),
    "posterize": Operation(4, 8, 8, operations.posterize),
    "rotate": _moved(30, operations.rotation),
    "sharpness": _mixed(operations.sharpness),
    "shear_x": _moved(0.3, operations.shear_x),
    "shear_y": _moved(0.3, operations.shear_y),
    "solarize": Operation(0, 256, 256, operations.solarize),
    "translate_x": _moved(0.3, operations.translate_x),
    "translate_y": _moved(0.3, operations.translate_y),
}


def rand_augment(
    image: Tensor,
    uniform: Tensor,
    *,
    magnitude: float | None = None,
    cut: bool = False,
    upright: bool = False,
) -> Tensor:
    """Change images weakly, and then by three operations that each draws, with replacement.

    The operations and their ranges are FixMatch's (table 12), where each image draws how strong
    they are; published codes ask for a magnitude there too, which has no effect. With a magnitude,
    as in RandAugment itself, all are as strong as it says; ranges stay FixMatch's.

    Args:
        image: ``(N, C, H, W)``, not yet normalised: uint8, whole numbers in units of 1/10,000
            reflectance, or floating-point numbers in [0, 1].
        uniform: ``(N, 13)`` in [0, 1): the weak change's four, operation and strength three times,
            side and place of the hole.
        magnitude: From 0 to 30, or None to draw it.
        cut: Whether to make a hole at the end.
        upright: Whether the images have an upper side.

    Returns:
        The same shape and kind; what comes in from outside is black.

    Source:
        Cubuk et al. 2020, RandAugment; Sohn et al. 2020, FixMatch; DeVries and Taylor 2017, Cutout.
    """
    weak = weak_reflect_upright if upright else weak_reflect
    image = weak(image, uniform[:, :WEAK_DRAWS])
    drawn = uniform[:, WEAK_DRAWS : DRAWS - CUT_DRAWS].tolist()
    for turn in range(NUMBER):
        image = _turn(image, [row[2 * turn : 2 * turn + 2] for row in drawn], magnitude)
    return cutout(image, uniform[:, -CUT_DRAWS:]) if cut else image


def _turn(image: Tensor, drawn: list[list[float]], magnitude: float | None) -> Tensor:
    """Change every image by the operation that it drew, each operation's images together."""
    height, width = image.shape[2:]
    table = list(OPERATIONS.values())
    rows: dict[Callable[[Tensor, Tensor], Tensor], list[int]] = {}
    numbers: dict[Callable[[Tensor, Tensor], Tensor], list[float | Matrix]] = {}
    for row, (which, uniform) in enumerate(drawn):
        chosen = table[int(which * len(table))]
        number = chosen.number(uniform, magnitude)
        given = number if chosen.matrix is None else chosen.matrix(number, height, width)
        rows.setdefault(chosen.change, []).append(row)
        numbers.setdefault(chosen.change, []).append(given)
    found = torch.empty_like(image)
    for change, some in rows.items():
        index = torch.tensor(some, device=image.device)
        given_numbers = torch.tensor(numbers[change], dtype=torch.float64)
        found.index_copy_(0, index, change(image.index_select(0, index), given_numbers))
    return found


def cutout(image: Tensor, uniform: Tensor) -> Tensor:
    """Fill a square of up to half of the width.

    Args:
        image: ``(N, C, H, W)``.
        uniform: ``(N, 3)`` in [0, 1): side, and the place of its middle, across and down.

    Returns:
        The same shape and kind; the hole has a fixed colour in 8-bit images of three bands, and
        the mean of each band in others.

    Source:
        DeVries and Taylor 2017, Cutout.
    """
    height, width = image.shape[2:]
    side = LARGEST_CUT * uniform[:, 0].double() * width
    across, down = (
        _span(length, uniform[:, axis], side) for axis, length in ((1, width), (2, height))
    )
    hole = (across[:, None] & down[:, :, None])[:, None].to(image.device)
    if image.dtype == torch.uint8 and image.shape[1] == len(HOLE):
        fill = torch.tensor(HOLE, dtype=image.dtype, device=image.device).view(1, -1, 1, 1)
    else:
        fill = image.double().mean(dim=(2, 3), keepdim=True).to(image.dtype)
    return torch.where(hole, fill, image)


def _span(length: int, middle: Tensor, side: Tensor) -> Tensor:
    """Tell the pixels of a side that a hole covers, ``(N, length)``; its last one is within."""
    first = (middle.double() * length - side / 2).clamp_min(0).floor()
    last = (first + side).clamp_max(length).floor()
    pixel = torch.arange(length)
    covered = (pixel >= first[:, None]) & (pixel <= last[:, None])
    return covered & (side > 0)[:, None]
