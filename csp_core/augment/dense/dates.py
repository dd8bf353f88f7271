"""Which dates of a series two views of it hold."""

from __future__ import annotations

import torch
from torch import Tensor

NONE = -1


def choose_dates(
    known: Tensor, uniform: Tensor, number: int, other: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Draw dates for two views, each in the order of the series.

    Args:
        known: ``(N, T)`` bool, which dates there are.
        uniform: ``(N, T)`` in [0, 1).
        number: Dates of a view.
        other: ``(N, T)`` in [0, 1) to draw the second view's dates apart from the first's; if None,
            the two share none where there are twice as many, and else as few as can be.

    Returns:
        Two ``(N, number)`` int64 of dates, with -1 behind them where a series has too few.

    Example:
        >>> known, chance = torch.ones(1, 4, dtype=torch.bool), torch.tensor([[0.1, 0.7, 0.2, 0.9]])
        >>> [dates.tolist() for dates in choose_dates(known, chance, 2)]
        [[[0, 2]], [[1, 3]]]
    """
    there = known.sum(dim=1, keepdim=True)
    place = torch.arange(number).expand(len(known), -1)

    def picked(chance: Tensor, at: Tensor) -> Tensor:
        order = (chance + 2.0 * ~known).argsort(dim=1, stable=True)
        dates = order.gather(1, at.clamp(0, known.shape[1] - 1))
        # What is not there sorts behind all that is.
        dates = dates.where(place < there, known.shape[1]).sort(dim=1).values
        return dates.where(dates < known.shape[1], NONE)

    if other is not None:
        return picked(uniform, place), picked(other, place)
    return picked(uniform, place), picked(uniform, there - 1 - place)


def drop_dates(dates: Tensor, uniform: Tensor, share: float) -> Tensor:
    """Leave dates out, but for one of each series.

    Args:
        dates: ``(N, T)`` int64, -1 where there is none.
        uniform: ``(N, T)`` in [0, 1).
        share: How often one is left out, in [0, 1).

    Returns:
        ``(N, T)`` int64, -1 where one is left out.
    """
    chance = uniform.masked_fill(dates == NONE, NONE)
    spared = chance == chance.amax(dim=1, keepdim=True)
    return dates.where((chance >= share) | spared, NONE)


def take_dates(image: Tensor, days: Tensor, dates: Tensor) -> tuple[Tensor, Tensor]:
    """Give the images and days of dates.

    Args:
        image: ``(N, T, C, H, W)``.
        days: ``(N, T)`` parts of the year.
        dates: ``(N, t)`` int64, -1 for none.

    Returns:
        ``(N, t, C, H, W)``, and ``(N, t)``, NaN where there is none.
    """
    at = dates.clamp_min(0)
    row = torch.arange(len(image))[:, None]
    return image[row, at], days.gather(1, at).masked_fill(dates == NONE, torch.nan)
