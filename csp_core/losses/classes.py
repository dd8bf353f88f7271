"""Losses over classes: softmax cross-entropies."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def class_cross_entropy(
    logits: Tensor, label: Tensor, *, smoothing: float = 0.0, class_weight: Tensor | None = None
) -> Tensor:
    """Softmax cross-entropy over classes.

    Args:
        logits: ``(N, K)``.
        label: ``(N,)`` int64.
        smoothing: Part of the target spread evenly over all classes, in [0, 1).
        class_weight: ``(K,)`` weight of each class, or None for equal weights.

    Returns:
        Scalar, nats, weighted mean over N.

    Source:
        Label smoothing as in Szegedy et al. 2016.
    """
    return F.cross_entropy(logits, label, weight=class_weight, label_smoothing=smoothing)


def soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Softmax cross-entropy against a distribution over classes.

    Args:
        logits: ``(N, K)``.
        target: ``(N, K)``, rows sum to 1.

    Returns:
        Scalar, nats, mean over N.

    Source:
        Hinton et al. 2015, Distilling the Knowledge in a Neural Network, at temperature 1.
    """
    return -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()
