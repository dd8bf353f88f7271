"""Sets of classes that hold the truth as often as they say."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from csp_core.errors import ConfigError


@dataclass(frozen=True)
class SetReport:
    """How prediction sets did on records.

    Args:
        coverage: Part of the records whose true class was in their set.
        mean_size: Classes in a set, in the mean.
        n: Records.
    """

    coverage: float
    mean_size: float
    n: int


def _shares_ahead(share: Tensor) -> Tensor:
    """Sum up, for each class, the shares of the classes ranked ahead of it: ``(N, K)``."""
    ordered, order = share.double().sort(dim=1, descending=True, stable=True)
    ahead = (ordered.cumsum(dim=1) - ordered).clamp(0, 1)
    return torch.zeros_like(ahead).scatter(1, order, ahead)


def fit_set_level(share: Tensor, label: Tensor, coverage: float = 0.9) -> float:
    """Find the level at which ``prediction_sets`` hold the truth as often as wanted.

    The promise holds for new records that are like the ones given; records in regions that none of
    them describes may do worse. Where the first class alone holds the truth often enough, any level
    would do, and that of 0 would leave the set of a doubtful record at one class: the level is then
    the coverage itself, so that sets hold that much of the shares.

    Args:
        share: ``(N, K)``, rows sum to 1.
        label: ``(N,)`` int64.
        coverage: How often the truth shall be in the set, in (0, 1).

    Returns:
        The level in [0, 1]; 1, which puts every class in the set, where records are too few to
        promise anything less.

    Raises:
        ConfigError: If the coverage is out of range.

    Source:
        Romano, Sesia & Candès 2020, Classification with valid and adaptive coverage: split
        conformal sets. Without their randomisation, and counting only the shares ranked ahead of a
        class, so that the first class is always in the set.
    """
    if not 0 < coverage < 1:
        raise ConfigError(f"coverage is {coverage}; give a part between 0 and 1.")
    ahead = _shares_ahead(share).gather(1, label.long()[:, None])[:, 0]
    rank = math.ceil((len(ahead) + 1) * coverage)
    level = float(ahead.sort().values[rank - 1]) if rank <= len(ahead) else 1.0
    return level or coverage


def prediction_sets(share: Tensor, level: float) -> Tensor:
    """List the classes that the truth is among, as often as the level was fitted to.

    Args:
        share: ``(N, K)``, rows sum to 1.
        level: What ``fit_set_level`` returned.

    Returns:
        ``(N, K)`` bool: the first-ranked classes, as many as it takes for their shares to pass the
        level, at least one.

    Example:
        >>> prediction_sets(torch.tensor([[0.2, 0.7, 0.1]]), 0.8).tolist()
        [[True, True, False]]
    """
    return _shares_ahead(share) <= level


def crossfit_sets(share: Tensor, label: Tensor, group: Tensor, coverage: float = 0.9) -> Tensor:
    """Make the set of every record at a level fitted to records of other groups.

    So that the coverage measured on them is not the one they were fitted to. The groups are halved:
    from the largest to the smallest, they go to one half and the other in turn.

    Args:
        share: ``(N, K)``, rows sum to 1.
        label: ``(N,)`` int64.
        group: ``(N,)`` int64, such as blocks of the map.
        coverage: How often the truth shall be in the set, in (0, 1).

    Returns:
        ``(N, K)`` bool.

    Raises:
        ConfigError: If the coverage is out of range.
    """
    half = halve_groups(group)
    sets = torch.zeros(share.shape, dtype=torch.bool)
    for own in (half, ~half):
        level = fit_set_level(share[~own], label[~own], coverage)
        sets[own] = prediction_sets(share[own], level)
    return sets


def halve_groups(group: Tensor) -> Tensor:
    """Deal groups to two halves: from the largest to the smallest, to one and the other in turn.

    Args:
        group: ``(N,)`` int64, such as blocks of the map.

    Returns:
        ``(N,)`` bool, whether a record is in the first half.
    """
    member, size = torch.unique(group, return_inverse=True, return_counts=True)[1:]
    place = size.argsort(descending=True, stable=True).argsort()
    first: Tensor = place[member] % 2 == 0
    return first


def measure_sets(sets: Tensor, label: Tensor) -> SetReport:
    """Measure how often sets hold the truth, and how large they are.

    Args:
        sets: ``(N, K)`` bool.
        label: ``(N,)`` int64, N at least 1.

    Returns:
        Coverage, mean size and number of records.
    """
    held = sets.gather(1, label.long()[:, None]).double().mean()
    return SetReport(float(held), float(sets.sum(dim=1).double().mean()), len(label))
