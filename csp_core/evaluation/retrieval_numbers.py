"""The numbers of retrieval: how high the right one ranks, and how far off the best place lies."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from csp_core.geo import great_circle_km

# Cosines that differ by less are those of one embedding, computed in another order.
SAME = 1e-6
WITHIN_KM = (25, 200, 750)
# How the numbers are called on a card.
COLUMNS = {
    "recall_at_10": "R@10",
    "recall_at_100": "R@100",
    "back_recall_at_10": "R@10 back",
    "back_recall_at_100": "R@100 back",
    "gallery": "of",
    "median_km": "median km",
    "within_200_km": "within 200 km",
    "centre_median_km": "median km of the training centre",
    "zero_shot_top1": "zero-shot top-1",
    "n": "records",
}


@dataclass(frozen=True)
class Located:
    """How far off guessed places lie.

    Args:
        median_km: Median distance from the true place, kilometres.
        within: Part of the guesses within each of ``WITHIN_KM``.
    """

    median_km: float
    within: tuple[float, ...]


@dataclass(frozen=True)
class RetrievalMetrics:
    """The numbers of one pair of sides, such as images and places.

    Args:
        recall_at_10: How often the right one is among the first 10 of the second side's, asked by
            one of the first; equal ones share the middle of their ranks, and all that are equal to
            the right one are right.
        recall_at_100: Among the first 100.
        back_recall_at_10: The other way round.
        back_recall_at_100: Likewise.
        gallery: How many different ones of the second side were looked through.
        back_gallery: How many of the first.
        n: Records asked about.
        median_km: Median distance of the best of a gallery of places from the true place; None
            where no place is asked for.
        within_25_km: Part of them within 25 km.
        within_200_km: Within 200 km.
        within_750_km: Within 750 km.
        centre_median_km: The same of somebody who always says the middle of the training records;
            None where the model does not tell where these are.
        centre_within_200_km: Part of those within 200 km.
        zero_shot_top1: How often the class whose name agrees best is the true one; None where
            there are no texts and labels.
    """

    recall_at_10: float
    recall_at_100: float
    back_recall_at_10: float
    back_recall_at_100: float
    gallery: int
    back_gallery: int
    n: int
    median_km: float | None = None
    within_25_km: float | None = None
    within_200_km: float | None = None
    within_750_km: float | None = None
    centre_median_km: float | None = None
    centre_within_200_km: float | None = None
    zero_shot_top1: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain numbers; those that are not known are left out.

        Returns:
            Name to value.
        """
        return {name: value for name, value in asdict(self).items() if value is not None}


def right_ranks(agreement: Tensor, right: Tensor) -> Tensor:
    """Rank the best right one of each query among the wrong ones.

    Args:
        agreement: ``(Q, G)``, more is better.
        right: ``(Q, G)`` bool, which are right; at least one a query.

    Returns:
        ``(Q,)`` ranks from 1; halves occur, as the right one and wrong ones that are equal to it
        share the middle of the ranks that they take up.

    Example:
        >>> agreement = torch.tensor([[0.9, 0.5, 0.5], [0.1, 0.7, 0.2]])
        >>> right_ranks(agreement, torch.tensor([[False, True, False], [False, False, True]]))
        tensor([2.5000, 2.0000], dtype=torch.float64)
    """
    value = agreement.double()
    own = value.masked_fill(~right, -torch.inf).amax(dim=1, keepdim=True)
    wrong = ~right
    higher = (wrong & (value > own + SAME)).sum(dim=1)
    equal = (wrong & ((value - own).abs() <= SAME)).sum(dim=1)
    return 1 + higher + equal.double() / 2


def recall_at(ranks: Tensor, k: int) -> float:
    """Tell how often the right one is among the first k.

    Args:
        ranks: ``(Q,)`` as of ``right_ranks``.
        k: How many are looked at.

    Returns:
        Part of the Q; NaN of none.
    """
    return float((ranks <= k).double().mean())


def guess_km(agreement: Tensor, places: Tensor, truth: Tensor) -> Tensor:
    """Measure how far the best place of a gallery lies from the true one.

    Args:
        agreement: ``(Q, G)``, more is better.
        places: ``(G, 2)`` degrees.
        truth: ``(Q, 2)`` degrees.

    Returns:
        ``(Q,)`` float64 kilometres; the mean over the best where several are equal.
    """
    best = agreement >= agreement.amax(dim=1, keepdim=True) - SAME
    away = great_circle_km(truth.double()[:, None], places.double()[None])
    return (away * best).sum(dim=1) / best.sum(dim=1)


def locate(km: Tensor) -> Located:
    """Sum up how far off guesses lie.

    Args:
        km: ``(Q,)`` kilometres, at least one.

    Returns:
        Their median, which is the middle of two where Q is even, and the parts within some radii.
    """
    within = tuple(float((km <= radius).double().mean()) for radius in WITHIN_KM)
    return Located(float(km.double().quantile(0.5)), within)
