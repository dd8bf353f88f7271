"""How much of a picture each class covers, how sure that is, and where it is doubtful."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.errors import ConfigError

# Errors are taken to be shared within blocks of so many pixels a side, and not between them.
BLOCK = 32
# Of the normal distribution: 9 times in 10 within so many standard deviations.
SPREAD = 1.6449
LEAST = 0.5
INTERVAL_MEANING = (
    "Expected: the sum of the calibrated probabilities of a class over all pixels. Low and high"
    f" enclose it 9 times in 10 if pixels of one block of {BLOCK} × {BLOCK} err together, blocks"
    " err apart, and the model is as well calibrated here as where it was measured; what it gets"
    " wrong everywhere is not in it."
)


@dataclass(frozen=True)
class ClassArea:
    """How much of a picture one class covers.

    Args:
        name: The class.
        pixels: Pixels where it is the most probable.
        share: Those over all pixels with data, in [0, 1].
        counted: Their area.
        expected: Sum of its probabilities times the area of each pixel.
        low: Lower end of the interval of ``expected``; see ``INTERVAL_MEANING``.
        high: Its upper end.
        doubtful: The part of ``counted`` where it is doubtful.
    """

    name: str
    pixels: int
    share: float
    counted: float
    expected: float
    low: float
    high: float
    doubtful: float


def classes_of(probs: Tensor, valid: Tensor) -> Tensor:
    """Take the most probable class of each pixel.

    Args:
        probs: ``(K, H, W)``.
        valid: ``(H, W)`` bool.

    Returns:
        ``(H, W)`` int64; -1 where there is no data, the first of equally probable ones.
    """
    # Class by class, as ``argmax`` over the first dimension takes five times as long.
    top, found = probs[0], torch.zeros(probs.shape[1:], dtype=torch.int64)
    for label in range(1, len(probs)):
        better = probs[label] > top
        found, top = found.masked_fill_(better, label), torch.maximum(top, probs[label])
    return found.masked_fill_(~valid, -1)


def doubtful(probs: Tensor, least: float = LEAST) -> Tensor:
    """Find the pixels whose most probable class is not probable enough.

    Args:
        probs: ``(K, …)`` probabilities.
        least: What the largest must reach, in (0, 1].

    Returns:
        ``(…)`` bool.

    Raises:
        ConfigError: If ``least`` is out of range.
    """
    if not 0 < least <= 1:
        raise ConfigError(f"The least probability is {least}; give one above 0, at most 1.")
    found: Tensor = probs.amax(dim=0) < least
    return found


def entropy(probs: Tensor) -> Tensor:
    """Measure how undecided a model is.

    Args:
        probs: ``(K, …)`` probabilities that sum to 1, K at least 2.

    Returns:
        ``(…)`` from 0, sure of one class, to 1, all equally probable.
    """
    found: Tensor = torch.special.entr(probs).sum(dim=0) / math.log(len(probs))
    return found


class AreaSums:
    """Adds up areas part by part, so that no picture need be held whole.

    Args:
        names: The classes.
        least: A pixel whose largest probability is below this is doubtful.

    Raises:
        ConfigError: If ``least`` is out of range.
    """

    def __init__(self, names: Sequence[str], *, least: float = LEAST) -> None:
        number = len(names)
        self.names, self.least = tuple(names), least
        self.pixels = torch.zeros(number, dtype=torch.int64)
        self.counted, self.expected, self.variance, self.unsure = (
            torch.zeros(number, dtype=torch.float64) for _ in range(4)
        )
        doubtful(torch.ones(1, 1), least)

    def add(self, probs: Tensor, valid: Tensor, size: Tensor | None = None) -> None:
        """Add a part that begins at a corner of a block.

        Args:
            probs: ``(K, h, w)`` probabilities.
            valid: ``(h, w)`` bool, where there is data.
            size: ``(h, w)`` area of each pixel; 1 each if None.
        """
        # In rows of blocks, as numbers of double precision take much memory.
        for at in range(0, probs.shape[1], BLOCK):
            rows = slice(at, at + BLOCK)
            there = valid[rows]
            area = there.double() if size is None else size[rows].double() * there
            self._add(probs[:, rows], there, area)

    def _add(self, probs: Tensor, valid: Tensor, area: Tensor) -> None:
        number = len(self.names)
        # One row more for what has no class.
        labels = (classes_of(probs, valid) + 1).flatten()
        flat = area.flatten()
        self.pixels += torch.bincount(labels, minlength=number + 1)[1:]
        self.counted += torch.bincount(labels, flat, minlength=number + 1)[1:]
        unsure = flat * doubtful(probs, self.least).flatten()
        self.unsure += torch.bincount(labels, unsure, minlength=number + 1)[1:]
        exact = probs.double()
        self.expected += (exact * area).sum(dim=(1, 2))
        # Pixels of one block go wrong together: their standard deviations add up, not the squares.
        deviation = (exact * (1 - exact)).clamp_min(0).sqrt() * area
        whole = F.pad(deviation.sum(dim=1), (0, -deviation.shape[2] % BLOCK))
        self.variance += whole.view(number, -1, BLOCK).sum(dim=2).square().sum(dim=1)

    def merge(self, other: AreaSums) -> None:
        """Add what another has summed up, of other parts of the picture.

        Args:
            other: Of the same classes.
        """
        for name in ("pixels", "counted", "expected", "variance", "unsure"):
            getattr(self, name).add_(getattr(other, name))

    @property
    def total(self) -> float:
        """Area of all that has data."""
        return float(self.counted.sum())

    def results(self) -> tuple[ClassArea, ...]:
        """Return what was summed up.

        Returns:
            One for each class, in the order of the classes.
        """
        return tuple(self._results())

    def _results(self) -> Iterator[ClassArea]:
        pixels, total = max(int(self.pixels.sum()), 1), self.total
        for k, name in enumerate(self.names):
            middle = float(self.expected[k])
            reach = SPREAD * math.sqrt(float(self.variance[k]))
            yield ClassArea(
                name=name,
                pixels=int(self.pixels[k]),
                share=int(self.pixels[k]) / pixels,
                counted=float(self.counted[k]),
                expected=middle,
                low=max(0.0, middle - reach),
                high=min(total, middle + reach),
                doubtful=float(self.unsure[k]),
            )
