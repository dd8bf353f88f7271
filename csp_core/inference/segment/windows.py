"""Overlapping windows over a picture, and the weights by which their answers are blended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from csp_core.errors import ConfigError

# Windows begin at multiples of this many pixels, which encoders halve maps down to at the most, so
# that a map of a window lies on the same pixels as that of the whole picture.
UNIT = 32
SIDE, OVERLAP = 512, 64


@dataclass(frozen=True)
class Windows:
    """Windows that cover a picture, in rows and columns.

    Neighbours overlap. In an overlap the weight of one goes from 1 to 0 along a quarter of a cosine
    squared while that of the other goes from 0 to 1, so that at every pixel the weights sum to 1.
    Next to a window's own edge, where its model sees least, the weight is 0 for an eighth of the
    overlap. At the edges of the picture there is no ramp.

    Args:
        height: Rows of the picture.
        width: Columns of the picture.
        side: Longest side of a window in pixels, a multiple of 32.
        overlap: Pixels that neighbours share, a multiple of 32, at most half of ``side``.

    Raises:
        ConfigError: If a number is out of range.

    Example:
        >>> Windows(600, 100).rows, Windows(600, 100).size
        ((0, 288), (352, 128))
    """

    height: int
    width: int
    side: int = SIDE
    overlap: int = OVERLAP

    def __post_init__(self) -> None:
        """Check the numbers."""
        if min(self.height, self.width) < 1:
            raise ConfigError(
                f"The picture has {self.width} × {self.height} pixels; give one that has some."
            )
        if self.side < UNIT or self.side % UNIT:
            raise ConfigError(
                f"A window of {self.side} pixels a side does not fit: give a multiple of {UNIT},"
                f" such as {SIDE}."
            )
        if self.overlap < 0 or self.overlap % UNIT or 2 * self.overlap > self.side:
            raise ConfigError(
                f"An overlap of {self.overlap} pixels does not fit: give a multiple of {UNIT}, 0 or"
                f" more and at most half of the window's {self.side}."
            )

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of each window: no larger than the picture makes them need to be."""
        return self._fit(self.height), self._fit(self.width)

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """First pixel of each row of windows."""
        return self._starts(self.height, self.size[0])

    @cached_property
    def columns(self) -> tuple[int, ...]:
        """First pixel of each column of windows."""
        return self._starts(self.width, self.size[1])

    @property
    def step(self) -> tuple[int, int]:
        """Pixels from one window to the next, downwards and to the right."""
        return self.size[0] - self.overlap, self.size[1] - self.overlap

    def _fit(self, length: int) -> int:
        number = max(1, math.ceil((length - self.overlap) / (self.side - self.overlap)))
        even = math.ceil((length + (number - 1) * self.overlap) / number / UNIT) * UNIT
        return even if number == 1 else max(even, 2 * self.overlap)

    def _starts(self, length: int, size: int) -> tuple[int, ...]:
        if length <= size:
            return (0,)
        step = size - self.overlap
        number = math.ceil((length - self.overlap) / step)
        return tuple(step * i for i in range(number))

    def weights(self, row: int, column: int) -> tuple[Tensor, Tensor]:
        """Give the weights of a window along its rows and its columns.

        Args:
            row: Which row of windows.
            column: Which column of windows.

        Returns:
            ``(height,)`` and ``(width,)`` of the window; a pixel's weight is their product.
        """
        return (
            self._profile(self.size[0], row == 0, row == len(self.rows) - 1),
            self._profile(self.size[1], column == 0, column == len(self.columns) - 1),
        )

    def _profile(self, size: int, first: bool, last: bool) -> Tensor:
        found = torch.ones(size)
        if self.overlap:
            if not first:
                found[: self.overlap] = ramp(self.overlap)
            if not last:
                found[size - self.overlap :] = 1 - ramp(self.overlap)
        return found


def ramp(overlap: int) -> Tensor:
    """Give the weights along an overlap of the window that begins there.

    Args:
        overlap: Pixels.

    Returns:
        ``(overlap,)`` float32 from 0 to 1; with its mirror image it sums to 1.
    """
    dead = overlap // 8
    at = torch.arange(overlap, dtype=torch.float64) + 0.5 - dead
    part = (at / (overlap - 2 * dead)).clamp(0, 1)
    return torch.sin(part * math.pi / 2).square().float()
