"""Presence-only losses: a class recorded here, against places or classes taken to be without it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.losses.logistic import absence_term, presence_term


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
    terms = (weight * presence_term(logits, exact)).where(recorded, absence_term(logits, exact))
    return terms.mean() + background_weight * absence_term(background_logits, exact).mean()


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
    present = presence_term(logits.gather(1, own), exact)
    return present.mean() + absence_term(background_logits.gather(1, own), exact).mean()


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
    return presence_term(both[:, 0], exact).mean() + absence_term(both[:, 1], exact).mean()
