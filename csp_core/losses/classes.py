"""Losses over classes: cross-entropies of one label and of label sets."""

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


def binary_cross_entropy(
    logits: Tensor, labels: Tensor, *, class_weight: Tensor | None = None
) -> Tensor:
    """Sigmoid cross-entropy of label sets, each class by itself.

    Args:
        logits: ``(N, K)``.
        labels: ``(N, K)``, 1 where a record has a class, 0 where it has not, -1 where that is
            unknown, which counts neither way; or a teacher's probabilities in [0, 1].
        class_weight: ``(K,)`` weight of each class, or None for equal weights.

    Returns:
        Scalar, nats, sum over what is known divided by how much that is; 0 where nothing is.
    """
    known, logits = labels >= 0, logits.float() if logits.itemsize < 4 else logits
    each = F.binary_cross_entropy_with_logits(
        logits, labels.clamp_min(0).to(logits.dtype), weight=class_weight, reduction="none"
    )
    return (each * known).sum() / known.sum().clamp_min(1)
