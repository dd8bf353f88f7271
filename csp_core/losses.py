"""Loss formulas: tensors in, scalar out; no model, no device, no randomness."""

from __future__ import annotations

import torch
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


def _minus_log(probability: Tensor) -> Tensor:
    """Return -log(p + 1e-5), the published form, which saturates at 11.51."""
    return -(probability + EPSILON).log()


def _presence(logits: Tensor, exact: bool) -> Tensor:
    return -F.logsigmoid(logits) if exact else _minus_log(logits.sigmoid())


def _absence(logits: Tensor, exact: bool) -> Tensor:
    return -F.logsigmoid(-logits) if exact else _minus_log(1 - logits.sigmoid())


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
        Mac Aodha et al. 2019, eq. 7, without the photographer terms. With a constant weight it is
        the "full assume negative" loss of Cole et al. 2023, whose weight is 2048.
    """
    weight = float(logits.shape[1]) if positive_weight is None else positive_weight
    recorded = F.one_hot(label, logits.shape[1]).bool()
    terms = (weight * _presence(logits, exact)).where(recorded, _absence(logits, exact))
    return terms.mean() + background_weight * _absence(background_logits, exact).mean()


def an_ssdl(
    logits: Tensor, background_logits: Tensor, label: Tensor, *, exact: bool = False
) -> Tensor:
    """Presence-only loss: the recorded class is here, and not at one place drawn at random.

    Args:
        logits: ``(N, K)`` at the records.
        background_logits: ``(N, K)`` at one background point for each record.
        label: ``(N,)`` int64, the class recorded.
        exact: Use log-sigmoid instead of the published -log(p + 1e-5).

    Returns:
        Scalar, mean over N.

    Source:
        Cole et al. 2023, "assume negative, same species, different location".
    """
    own = label[:, None]
    present = _presence(logits.gather(1, own), exact)
    return present.mean() + _absence(background_logits.gather(1, own), exact).mean()


def an_slds(logits: Tensor, label: Tensor, absent: Tensor, *, exact: bool = False) -> Tensor:
    """Presence-only loss: the recorded class is here, and one other class is not.

    Args:
        logits: ``(N, K)`` at the records.
        label: ``(N,)`` int64, the class recorded.
        absent: ``(N,)`` int64, another class, taken to be absent.
        exact: Use log-sigmoid instead of the published -log(p + 1e-5).

    Returns:
        Scalar, mean over N.

    Source:
        Cole et al. 2023, "assume negative, same location, different species".
    """
    both = logits.gather(1, torch.stack((label, absent), dim=1))
    return _presence(both[:, 0], exact).mean() + _absence(both[:, 1], exact).mean()
