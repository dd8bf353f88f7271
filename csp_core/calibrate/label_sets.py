"""What is fitted to label sets, class by class: temperatures, thresholds, the place's weight."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.calibrate.temperature import find_minimum
from csp_core.calibrate.weight import MOST_WEIGHT

COLDEST, HOTTEST = math.log(0.2), math.log(5.0)
# Of the logarithm of a temperature; halvings that it takes from the ends above.
PRECISION = 1e-4
# A class that is nowhere, or that nothing is known of, has no threshold of its own.
NO_THRESHOLD = 0.5
# Probabilities are kept so far from 0 and 1 that their log-odds are finite.
EDGE = 1e-7


def fit_class_temperatures(logits: Tensor, labels: Tensor) -> tuple[float, Tensor]:
    """Find the divisor of each class's logits with the lowest log-loss on held-out label sets.

    A class that is in every set or in none, as far as is known, says nothing of its own and takes
    the temperature that serves all classes together.

    Args:
        logits: ``(N, K)`` on records that the model was not fitted to.
        labels: ``(N, K)`` label sets, 1, 0, or -1 where unknown.

    Returns:
        The common temperature and ``(K,)`` that of each class, between 0.2 and 5; 1.0 where nothing
        is known.

    Source:
        Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2, class by class.
    """
    known, truth = labels >= 0, (labels == 1).to(logits.dtype)
    if not known.any():
        return 1.0, torch.ones(logits.shape[1], dtype=torch.float64)

    def slope(log_temperature: Tensor) -> Tensor:
        # Of the log-loss by the inverse of the temperature, which rises: the loss is convex in it.
        pull = (logits * torch.exp(-log_temperature).to(logits)).sigmoid() - truth
        return (pull * logits * known).double().sum(dim=0)

    one = _turning_point(lambda value: slope(value).sum()[None], 1)
    each = _turning_point(slope, logits.shape[1])
    both = ((labels == 1).any(dim=0)) & ((labels == 0).any(dim=0))
    return math.exp(float(one)), torch.where(both, each, one).exp()


def _turning_point(slope: Callable[[Tensor], Tensor], number: int) -> Tensor:
    """Halve intervals of log-temperatures until they are narrow: ``(number,)`` their middles."""
    low = torch.full((number,), COLDEST, dtype=torch.float64)
    high = torch.full((number,), HOTTEST, dtype=torch.float64)
    while float(high[0] - low[0]) > PRECISION:
        middle = (low + high) / 2
        # A slope below 0 wants larger inverses, which are lower temperatures.
        colder = slope(middle) < 0
        low, high = torch.where(colder, low, middle), torch.where(colder, middle, high)
    return (low + high) / 2


def fit_thresholds(probs: Tensor, labels: Tensor) -> Tensor:
    """Find, for each class, the probability from which on it is best taken to be in the set.

    Best is the highest F1; of thresholds that do equally well, the lowest. It lies in the middle
    between two probabilities that occur, so that no last bit decides.

    Args:
        probs: ``(N, K)`` probabilities on held-out records.
        labels: ``(N, K)`` label sets, 1, 0, or -1 where unknown.

    Returns:
        ``(K,)`` float64 in [0, 1]; 0.5 for a class that is in no set.

    Example:
        >>> probs = torch.tensor([[0.9], [0.6], [0.4], [0.1]])
        >>> fit_thresholds(probs, torch.tensor([[1], [0], [1], [0]])).round(decimals=6).tolist()
        [0.25]
    """
    rows = sort_classes(probs, labels)
    present = rows.hits[:, -1:] if rows.hits.shape[1] else rows.hits.new_zeros(len(rows.hits), 1)
    f1 = 2 * rows.hits.double() / (rows.told + present).clamp_min(1)
    # Only after the last of equal probabilities is there room for a threshold.
    f1 = f1.masked_fill(~rows.last, -1.0)
    if not f1.shape[1]:
        return torch.full((len(f1),), NO_THRESHOLD, dtype=torch.float64)
    # The last of equal maxima is the lowest threshold.
    best = f1.shape[1] - 1 - f1.flip(1).argmax(dim=1, keepdim=True)
    value = rows.value.double()
    below = F.pad(value, (0, 1))[:, 1:].clamp_min(0)
    middle = ((value + below) / 2).gather(1, best)[:, 0]
    return torch.where(present[:, 0] > 0, middle, NO_THRESHOLD).clamp(0, 1)


def fit_set_thresholds(probs: Tensor, labels: Tensor) -> Tensor:
    """Find, for each class, the threshold of a set: its own, but none below that of all together.

    The threshold of the highest F1 of a rare class that nothing foretells lies where all
    probabilities lie, and would put it in every set. That of all classes and records in one, which
    rests on many more, is what any class must reach.

    Args:
        probs: ``(N, K)`` probabilities on held-out records.
        labels: ``(N, K)`` label sets, 1, 0, or -1 where unknown.

    Returns:
        ``(K,)`` float64 in [0, 1].

    Example:
        >>> probs = torch.tensor([[0.9, 0.02], [0.8, 0.01], [0.4, 0.02], [0.1, 0.03]])
        >>> labels = torch.tensor([[1, 0], [1, 0], [1, 1], [0, 0]])
        >>> [round(value, 3) for value in fit_set_thresholds(probs, labels).tolist()]
        [0.25, 0.25]
    """
    own = fit_thresholds(probs, labels)
    return own.maximum(fit_thresholds(probs.reshape(-1, 1), labels.reshape(-1, 1)))


class SortedClasses:
    """The scores of each class from the highest down, with what counting along them gives.

    Args:
        value: ``(K, N)`` scores; -1 after those of which the truth is known.
        hit: ``(K, N)`` whether the record has the class.
        known: ``(K, N)`` whether that is known.
    """

    def __init__(self, value: Tensor, hit: Tensor, known: Tensor) -> None:
        self.value, self.hit = value, hit
        self.hits = hit.cumsum(dim=1, dtype=torch.int32)
        self.told = known.cumsum(dim=1, dtype=torch.int32)
        following = F.pad(value, (0, 1), value=-2.0)[:, 1:]
        self.last = known & (value != following)


def sort_classes(scores: Tensor, labels: Tensor) -> SortedClasses:
    """Sort the records of each class by their scores.

    Args:
        scores: ``(N, K)``, at least 0.
        labels: ``(N, K)`` label sets, 1, 0, or -1 where unknown.

    Returns:
        The classes.
    """
    labels = labels.T.contiguous()
    kept = scores.T.contiguous().masked_fill(labels < 0, -1.0)
    value, order = kept.sort(dim=1, descending=True)
    truth = labels.gather(1, order)
    return SortedClasses(value, truth == 1, truth >= 0)


def add_place(image: Tensor, place: Tensor, frequency: Tensor, weight: float) -> Tensor:
    """Add to an image's log-odds of each class what a place says beyond the class frequency.

    Args:
        image: ``(N, K)`` probability of each class given the image.
        place: ``(N, K)`` the same given the place; rows of NaN change nothing.
        frequency: ``(K,)`` the same given neither.
        weight: Factor of what the place adds, at least 0.

    Returns:
        ``(N, K)`` log-odds, float64.

    Source:
        Bayes' rule for one class and its absence, image and place being independent given either;
        Mac Aodha et al. 2019, eq. 2, is the same for classes that exclude each other.
    """
    base = _log_odds(frequency)
    added = torch.where(place.isnan(), 0.0, _log_odds(place) - base)
    return _log_odds(image) + weight * added


def fit_set_weight(image: Tensor, place: Tensor, labels: Tensor, frequency: Tensor) -> float:
    """Find how much a place weighs beside an image, on held-out label sets.

    Args:
        image: ``(N, K)`` probability of each class given the image.
        place: ``(N, K)`` the same given the place.
        labels: ``(N, K)`` label sets, 1, 0, or -1 where unknown.
        frequency: ``(K,)`` the same given neither.

    Returns:
        The factor with the lowest log-loss, in [0, 3]; 1 where nothing is known.
    """
    known, truth = labels >= 0, (labels == 1).double()
    if not known.any():
        return 1.0
    alone = add_place(image, place, frequency, 0.0)
    added = add_place(image, place, frequency, 1.0) - alone

    def loss(weight: float) -> float:
        logits = alone + weight * added
        each = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        return float(each[known].mean())

    # The log-loss of logits that are straight lines of the weight is convex in it.
    return find_minimum(loss, 0.0, MOST_WEIGHT, precision=1e-3)


def _log_odds(probs: Tensor) -> Tensor:
    return probs.double().clamp(EDGE, 1 - EDGE).logit()
