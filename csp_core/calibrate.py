"""Calibration: one temperature that makes shares mean what they say."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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
    low, high = torch.tensor(0.2).log().item(), torch.tensor(5.0).log().item()
    # The loss is convex in 1/T, so it has one minimum in log T: golden-section search finds it.
    golden = (5**0.5 - 1) / 2
    for _ in range(60):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if _loss_at(left, logits, label) < _loss_at(right, logits, label):
            high = right
        else:
            low = left
    return float(torch.tensor((low + high) / 2).exp())


def _loss_at(log_temperature: float, logits: Tensor, label: Tensor) -> float:
    temperature = torch.tensor(log_temperature).exp()
    return float(F.cross_entropy(logits / temperature, label))
