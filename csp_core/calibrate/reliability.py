"""How often a model is right where it is so sure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from csp_core.errors import ConfigError


@dataclass(frozen=True)
class ReliabilityBin:
    """How often the first-ranked class was right, among records of similar confidence.

    Args:
        low: Lower edge of the confidence.
        high: Upper edge.
        n: Records.
        confidence: Mean share of the first-ranked class.
        accuracy: Part of the records of which that class is the true one.
        accuracy_low: Lower end of the accuracy's 95 % Wilson interval.
        accuracy_high: Its upper end.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float


def reliability_bins(share: Tensor, label: Tensor, bins: int = 15) -> tuple[ReliabilityBin, ...]:
    """Compare confidence with accuracy in equal bins of the first-ranked share.

    Args:
        share: ``(N, K)``, rows sum to 1.
        label: ``(N,)`` int64.
        bins: Number of bins, at least 1.

    Returns:
        The bins that hold records, from low to high.

    Raises:
        ConfigError: If there is no bin.
    """
    if bins < 1:
        raise ConfigError(f"bins is {bins}; give 1 or more.")
    confidence, first = share.double().max(dim=1)
    right = (first == label).double()
    number = (confidence * bins).ceil().long().clamp(1, bins) - 1
    found = []
    for index in torch.unique(number).tolist():
        inside = number == index
        n, hits = int(inside.sum()), float(right[inside].sum())
        low, high = wilson_interval(hits, n)
        edges, mean = (index / bins, (index + 1) / bins), float(confidence[inside].mean())
        found.append(ReliabilityBin(*edges, n, mean, hits / n, low, high))
    return tuple(found)


def wilson_interval(hits: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """Bound a share of independent records.

    Args:
        hits: Records that have a property.
        n: Records, at least 1.
        z: Standard deviations on each side; 1.96 for 95 %.

    Returns:
        Lower and upper end, in [0, 1].

    Source:
        Wilson 1927, Probable inference, the law of succession, and statistical inference.

    Example:
        >>> low, high = wilson_interval(9, 10)
        >>> round(low, 3), round(high, 3)
        (0.596, 0.982)
    """
    share, weight = hits / n, z * z / n
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / n + weight / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)
