"""Divisors, biases and slopes of logits, fitted on held-out records."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.errors import ConfigError

GOLDEN = (5**0.5 - 1) / 2


def find_minimum(
    loss: Callable[[float], float], low: float, high: float, *, precision: float
) -> float:
    """Close in on the one minimum of a function by golden sections.

    Args:
        loss: Function of one number with one minimum between the ends.
        low: Lower end.
        high: Upper end.
        precision: Width of the interval to end with, above 0.

    Returns:
        The middle of that interval.
    """
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    loss_left, loss_right = loss(left), loss(right)
    while high - low > precision:
        if loss_left < loss_right:
            high, right, loss_right = right, left, loss_left
            left = high - GOLDEN * (high - low)
            loss_left = loss(left)
        else:
            low, left, loss_left = left, right, loss_right
            right = low + GOLDEN * (high - low)
            loss_right = loss(right)
    return (low + high) / 2


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

    # The loss is convex in 1/T, so it has one minimum in log T.
    return math.exp(find_minimum(loss, math.log(0.2), math.log(5.0), precision=1e-4))


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
