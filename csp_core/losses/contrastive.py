"""Contrastive losses on similarities of pairs: CSP's in-batch, random-location and dropout parts.

Each part is one of two formulas, ``info_nce`` (one softmax over candidates) or ``binary_nce`` (one
decision a candidate), on another matrix: in-batch, places against images; dropout, places against a
second look at the places; random-location, an image against its place and places drawn at random.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core import geo
from csp_core.losses.logistic import absence_term, presence_term

EPSILON = 1e-8


def similarities(embedding: Tensor, others: Tensor) -> Tensor:
    """Compute the cosine of every embedding with every other one.

    Args:
        embedding: ``(..., N, D)``.
        others: ``(..., M, D)``.

    Returns:
        ``(..., N, M)`` in [-1, 1]; 0 where a vector is zero, which would give NaN as published.

    Example:
        >>> similarities(torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.0000]])
    """
    unit = F.normalize(embedding, dim=-1, eps=EPSILON)
    return unit @ F.normalize(others, dim=-1, eps=EPSILON).mT


def negative_weight(lonlat: Tensor, others: Tensor, *, mask_km: float, near: float = 0.0) -> Tensor:
    """Weigh candidates by distance: a pair that is close together is hardly a negative.

    Args:
        lonlat: ``(..., N, 2)`` degrees.
        others: ``(..., M, 2)`` degrees, the places of the candidates.
        mask_km: Great-circle distance under which a pair is close, kilometres.
        near: Weight left to a close pair, in [0, 1]; 0 takes it out.

    Returns:
        ``(..., N, M)`` float32: ``near`` for close pairs, 1 for the others.

    Example:
        >>> cities = torch.tensor([[2.35, 48.86], [2.13, 48.80], [-0.13, 51.51]])
        >>> negative_weight(cities[:1], cities, mask_km=50.0)
        tensor([[0., 0., 1.]])
    """
    # Straight lines between unit vectors, in double precision: metres apart still differ.
    chord = torch.cdist(geo.unit_vectors(lonlat.double()), geo.unit_vectors(others.double()))
    angle = 2 * torch.asin((chord / 2).clamp(max=1))
    close = angle * geo.EARTH_RADIUS_KM < mask_km
    return torch.where(close, near, 1.0).to(torch.float32)


def info_nce(
    similarity: Tensor,
    target: Tensor,
    *,
    temperature: float | Tensor = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """Find the partner among the candidates: softmax cross-entropy over similarities.

    Args:
        similarity: ``(N, M)``, each row one anchor against its candidates.
        target: ``(N,)`` int64, the column of each row's partner.
        temperature: Divisor of the similarities, above 0.
        weight: ``(N, M)`` at least 0, how much a candidate counts in the sum of the softmax; that
            of the partner is not read. All 1 if None.

    Returns:
        Scalar, nats, mean over N. It goes to log M as the temperature goes to infinity.

    Source:
        van den Oord et al. 2018; Mai et al. 2023, CSP: the parts of CSP-MC.
    """
    logits = similarity / temperature
    if weight is not None:
        # In logarithms a weight is added, and a candidate of weight 0 falls out exactly.
        logits = logits + weight.log().scatter(1, target[:, None], 0.0)
    return F.cross_entropy(logits, target)


def binary_nce(
    similarity: Tensor,
    target: Tensor,
    *,
    temperature: float | Tensor = 1.0,
    weight: Tensor | None = None,
    exact: bool = True,
) -> Tensor:
    """Tell the partner from each other candidate: one binary decision a pair.

    Args:
        similarity: ``(N, M)``, each row one anchor against its candidates.
        target: ``(N,)`` int64, the column of each row's partner.
        temperature: Divisor of the similarities, above 0.
        weight: ``(N, M)`` at least 0, weight of a candidate in the mean over a row's negatives;
            that of the partner is not read. All 1 if None.
        exact: Use log-sigmoid instead of the published -log(p + 1e-5).

    Returns:
        Scalar, nats: mean over N of the partner's term plus the mean over its negatives, which is 0
        where there are none. At temperature 1 the partner's term is at least 0.313.

    Source:
        Mai et al. 2023, CSP: the in-batch and dropout parts of CSP-NCE.
    """
    logits = similarity / temperature
    own = target[:, None]
    partner = presence_term(logits.gather(1, own), exact).mean()
    kept = torch.ones_like(logits) if weight is None else weight.to(logits.dtype)
    return partner + _weighted(absence_term(logits, exact), kept.scatter(1, own, 0.0))


def binary_negatives(
    similarity: Tensor,
    *,
    temperature: float | Tensor = 1.0,
    weight: Tensor | None = None,
    exact: bool = True,
) -> Tensor:
    """Turn candidates away that are all negatives, such as places drawn at random.

    Args:
        similarity: ``(N, C)``.
        temperature: Divisor of the similarities, above 0.
        weight: ``(N, C)`` at least 0, weight in the mean over a row. All 1 if None.
        exact: Use log-sigmoid instead of the published -log(p + 1e-5).

    Returns:
        Scalar, nats, mean over N of the means over C.

    Source:
        Mai et al. 2023, CSP: the random-location part of CSP-NCE.
    """
    terms = absence_term(similarity / temperature, exact)
    return _weighted(terms, torch.ones_like(terms) if weight is None else weight.to(terms.dtype))


def nt_xent(view: Tensor, others: Tensor, target: Tensor, own: Tensor, *,
            temperature: float) -> Tensor:  # fmt: skip
    """Find an image's other view among the views of a batch: normalised, temperature-scaled.

    Args:
        view: ``(N, D)`` projections of some views.
        others: ``(M, D)`` projections of all views of the batch, these included.
        target: ``(N,)`` int64, the row of each view's partner.
        own: ``(N,)`` int64, the row of each view itself, which is no candidate.
        temperature: Divisor of the cosines, above 0.

    Returns:
        Scalar, nats, mean over N.

    Source:
        Chen et al. 2020, SimCLR, eq. 1.
    """
    similarity = similarities(view, others)
    weight = torch.ones_like(similarity).scatter(1, own[:, None], 0.0)
    return info_nce(similarity, target, temperature=temperature, weight=weight)


def feature_regression(prediction: Tensor, feature: Tensor) -> Tensor:
    """Compute the squared error of features predicted from places.

    Args:
        prediction: ``(N, F)``.
        feature: ``(N, F)``.

    Returns:
        Scalar, mean over N and F.

    Source:
        Mai et al. 2023, CSP: the baseline "MSE".
    """
    return F.mse_loss(prediction, feature)


def _weighted(terms: Tensor, weight: Tensor) -> Tensor:
    """Average each row by its weights, 0 where they are all 0, then average the rows."""
    total = weight.sum(dim=1)
    rows = (terms * weight).sum(dim=1) / total.where(total > 0, 1.0)
    return rows.mean()
