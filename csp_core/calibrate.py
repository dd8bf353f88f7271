"""Calibration: one temperature that makes shares mean what they say."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

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
