"""The numbers of an evaluation, from what was said and what is true."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from csp_core.errors import BadRecordError

ECE_BINS = 15
# Of these more is better.
RISING = frozenset({"mrr", "top1", "top3", "top5", "macro_top5"})
# How the metrics are called on a card.
COLUMNS = {
    "mrr": "MRR",
    "top1": "top-1",
    "top3": "top-3",
    "top5": "top-5",
    "macro_top5": "macro top-5",
    "log_loss": "log-loss (nats)",
    "ece": "ECE",
    "n": "records",
}


@dataclass(frozen=True)
class Metrics:
    """The numbers of one evaluation.

    Args:
        top1: Part of the records whose class ranks first.
        top3: Part whose class is among the first 3.
        top5: Part whose class is among the first 5.
        mrr: Mean of 1 / rank; equal scores share the middle of their ranks.
        macro_top5: Mean over the classes present of the part among the first 5.
        log_loss: Mean of -log share of the true class, nats; relative scores are normalised first.
        ece: Expected calibration error of the first-ranked share, 15 equal bins.
        n: Records evaluated.
        unmatched: Records left out because the model does not know their class, or because they
            have no place or label.
    """

    top1: float
    top3: float
    top5: float
    mrr: float
    macro_top5: float
    log_loss: float
    ece: float
    n: int
    unmatched: int = 0

    def to_dict(self) -> dict[str, float]:
        """Return the fields as plain numbers.

        Returns:
            Name to value.
        """
        return asdict(self)


def mid_ranks(scores: Tensor, label: Tensor) -> Tensor:
    """Rank the true class, equal scores sharing the middle of the ranks they take up.

    Args:
        scores: ``(N, K)``.
        label: ``(N,)`` int64.

    Returns:
        ``(N,)`` ranks from 1; halves occur.

    Example:
        >>> mid_ranks(torch.tensor([[0.5, 0.5, 0.1]]), torch.tensor([0])).tolist()
        [1.5]
    """
    own = scores.gather(1, label[:, None])
    higher, equal = (scores > own).sum(dim=1), (scores == own).sum(dim=1)
    return 1 + higher + (equal - 1) / 2


def compute_metrics(prior: Tensor, label: Tensor, *, unmatched: int = 0) -> Metrics:
    """Compute the metrics of a prior against the true classes.

    Args:
        prior: ``(N, K)`` shares or relative scores, at least 0.
        label: ``(N,)`` int64.
        unmatched: Records left out before, to be told.

    Returns:
        The metrics.

    Raises:
        BadRecordError: If there is no record.
    """
    if not len(label):
        raise BadRecordError(
            f"No record is left to evaluate ({unmatched} had no place or a class the model does"
            " not know). Classes are matched by scientific name."
        )
    from torchmetrics.functional.classification import multiclass_calibration_error

    rank = mid_ranks(prior, label)
    share = prior / prior.sum(dim=1, keepdim=True).clamp_min(1e-30)
    truth = share.gather(1, label[:, None])[:, 0].double()
    hit5 = (rank <= 5).double()
    present = torch.bincount(label)
    per_class = torch.bincount(label, weights=hit5)[present > 0] / present[present > 0]
    ece = (
        multiclass_calibration_error(share, label, num_classes=share.shape[1], n_bins=ECE_BINS)
        if share.shape[1] > 1
        else torch.tensor(0.0)
    )
    return Metrics(
        top1=float((rank <= 1).double().mean()),
        top3=float((rank <= 3).double().mean()),
        top5=float(hit5.mean()),
        mrr=float((1 / rank.double()).mean()),
        macro_top5=float(per_class.mean()),
        log_loss=float(-truth.clamp_min(math.exp(-50)).log().mean()),
        ece=float(ece),
        n=len(label),
        unmatched=unmatched,
    )
