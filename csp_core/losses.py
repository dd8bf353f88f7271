"""Loss formulas: tensors in, scalar out; no model, no device, no randomness."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-5


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


def _minus_log(probability: Tensor) -> Tensor:
    """Return -log(p + 1e-5), the published form, which saturates at 11.51."""
    return -(probability + EPSILON).log()


def geo_prior(
    logits: Tensor,
    background_logits: Tensor,
    label: Tensor,
    *,
    positive_weight: float | None = None,
    background_weight: float = 1.0,
    exact: bool = False,
) -> Tensor:
    """Presence-only loss: one class recorded here, none at places drawn at random.

    Args:
        logits: ``(N, K)`` at the records.
        background_logits: ``(N, K)`` at background points.
        label: ``(N,)`` int64, the class recorded.
        positive_weight: Weight of the recorded class; K if None.
        background_weight: Weight of the background term.
        exact: Use log-sigmoid, whose gradient does not vanish for very wrong scores, instead of
            the published -log(p + 1e-5).

    Returns:
        Scalar, mean over N and K.

    Source:
        Mac Aodha et al. 2019, eq. 7, without the photographer terms.
    """
    weight = float(logits.shape[1]) if positive_weight is None else positive_weight
    if exact:
        present, absent = -F.logsigmoid(logits), -F.logsigmoid(-logits)
        background = -F.logsigmoid(-background_logits)
    else:
        score = logits.sigmoid()
        present, absent = _minus_log(score), _minus_log(1 - score)
        background = _minus_log(1 - background_logits.sigmoid())
    recorded = F.one_hot(label, logits.shape[1]).bool()
    terms = (weight * present).where(recorded, absent)
    return terms.mean() + background_weight * background.mean()
