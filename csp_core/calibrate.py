"""Calibration: what makes shares mean what they say, and sets hold the truth as often as they say.

All functions take shares or logits and true classes of records that nothing was fitted to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.errors import ConfigError

GOLDEN = (5**0.5 - 1) / 2


def fit_temperature(logits: Tensor, label: Tensor) -> float:
    """Find the divisor of the logits that gives the lowest log-loss on held-out records.

    Args:
        logits: ``(N, K)`` on records that the model was not fitted to.
        label: ``(N,)`` int64.

    Returns:
        The temperature, between 0.2 and 5; 1.0 without records.

    Source:
        Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2.
    """
    if not len(label):
        return 1.0
    logits, label = logits.double(), label.long()

    def loss(log_temperature: float) -> float:
        return float(F.cross_entropy(logits / math.exp(log_temperature), label))

    # The loss is convex in 1/T, so it has one minimum in log T, which golden sections close in on.
    low, high = math.log(0.2), math.log(5.0)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    loss_left, loss_right = loss(left), loss(right)
    while high - low > 1e-4:
        if loss_left < loss_right:
            high, right, loss_right = right, left, loss_left
            left = high - GOLDEN * (high - low)
            loss_left = loss(left)
        else:
            low, left, loss_left = left, right, loss_right
            right = low + GOLDEN * (high - low)
            loss_right = loss(right)
    return math.exp((low + high) / 2)


def fit_class_bias(logits: Tensor, label: Tensor, *, spread: float = 0.1) -> Tensor:
    """Find what to add to each class's logit, shrunk towards nothing where records are few.

    Minimises the summed log-loss plus the squared biases over twice the squared spread, which is
    what a normal law of that standard deviation expects before any record is seen.

    Args:
        logits: ``(N, K)``, already divided by a temperature.
        label: ``(N,)`` int64.
        spread: Standard deviation expected of the biases, above 0. Wide ones learn where the
            held-out records happen to lie: measure on other blocks of the map before using them.

    Returns:
        ``(K,)`` float64; zeros without records.

    Raises:
        ConfigError: If the spread is not above 0.

    Source:
        The bias of vector scaling (Guo et al. 2017, section 4.2) under a normal prior.
    """
    if not spread > 0:
        raise ConfigError(f"spread is {spread}; give a standard deviation above 0.")
    logits, label = logits.double(), label.long()
    bias, precision = logits.new_zeros(logits.shape[1]), spread**-2
    seen = torch.bincount(label, minlength=logits.shape[1]).double()

    def loss(candidate: Tensor) -> Tensor:
        fit = F.cross_entropy(logits + candidate, label, reduction="sum")
        return fit + precision / 2 * candidate.square().sum()

    # The loss is strictly convex: Newton's steps, halved while they do not help, reach its minimum.
    for _ in range(50 if len(label) else 0):
        share = (logits + bias).softmax(dim=1)
        slope = share.sum(dim=0) - seen + precision * bias
        curvature = torch.diag(share.sum(dim=0) + precision) - share.T @ share
        step = torch.linalg.solve(curvature, slope)
        while loss(bias - step) > loss(bias) and step.abs().max() > 1e-9:
            step = step / 2
        bias = bias - step
        if step.abs().max() < 1e-8:
            break
    return bias


def fit_class_slope(logits: Tensor, label: Tensor, *, spread: float = 0.1) -> Tensor:
    """Find a factor for each class's logits, shrunk towards 1 where records are few.

    A class whose range the model draws too boldly gets a slope below 1, one drawn too timidly a
    slope above. Minimises the summed log-loss plus the squared log-slopes over twice the squared
    spread.

    Args:
        logits: ``(N, K)``, already divided by a temperature.
        label: ``(N,)`` int64.
        spread: Standard deviation expected of the logarithms of the slopes, above 0.

    Returns:
        ``(K,)`` float64, above 0; ones without records.

    Raises:
        ConfigError: If the spread is not above 0.

    Source:
        The slopes of vector scaling (Guo et al. 2017, section 4.2) under a normal prior.
    """
    if not spread > 0:
        raise ConfigError(f"spread is {spread}; give a standard deviation above 0.")
    logits, label = logits.double(), label.long()
    log_slope = torch.zeros(logits.shape[1], dtype=torch.float64, requires_grad=True)
    if not len(label):
        return log_slope.detach().exp()
    search = torch.optim.LBFGS(
        [log_slope], max_iter=100, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        search.zero_grad()
        fit = F.cross_entropy(logits * log_slope.exp(), label, reduction="sum")
        value = fit + log_slope.square().sum() / (2 * spread**2)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        search.step(loss)  # type: ignore[no-untyped-call]
    return log_slope.detach().exp()


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
    them describes may do worse.

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
    return float(ahead.sort().values[rank - 1]) if rank <= len(ahead) else 1.0


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
