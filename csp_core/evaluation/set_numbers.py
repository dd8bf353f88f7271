"""The numbers of label sets, from what was said of each class and what is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from csp_core.calibrate import NO_THRESHOLD, SortedClasses, sort_classes
from csp_core.errors import BadRecordError
from csp_core.evaluation.metrics import ECE_BINS

# Of these more is better.
SET_RISING = frozenset({"macro_ap", "micro_ap", "macro_f1", "micro_f1"})
# How the metrics are called on a card.
SET_COLUMNS = {
    "macro_ap": "macro AP",
    "micro_ap": "micro AP",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "log_loss": "log-loss (nats)",
    "ece": "ECE",
    "n": "records",
    "absent_classes": "classes in no set",
}
# How the numbers of each class are called there.
SET_CLASS_COLUMNS = {"n": "records", "ap": "AP", "f1": "F1", "threshold": "threshold"}
TINY = 1e-7


@dataclass(frozen=True)
class ClassNumbers:
    """The numbers of one class.

    Args:
        name: Its name.
        n: Records that have it.
        ap: Average precision; None where no record has the class.
        f1: F1 at the threshold; None where no record has the class.
        threshold: Probability from which on it is taken to be in the set.
    """

    name: str
    n: int
    ap: float | None
    f1: float | None
    threshold: float


@dataclass(frozen=True)
class LabelSetMetrics:
    """The numbers of one evaluation on label sets; what is unknown of a set counts nowhere.

    Args:
        macro_ap: Mean over the classes, of those in a set, of the average precision.
        micro_ap: Average precision of all classes of all records in one ranking.
        macro_f1: Mean over the same classes of F1, at the model's thresholds.
        micro_f1: F1 of all classes of all records together.
        log_loss: Mean of the binary cross-entropy over classes and records, nats.
        ece: Expected calibration error of a class of a record, 15 equal bins.
        n: Records evaluated.
        unmatched: Records left out because nothing is known of their label set, or because they
            have no place.
        absent_classes: Classes that no record has; no mean counts them.
        classes: The numbers of each class.
    """

    macro_ap: float
    micro_ap: float
    macro_f1: float
    micro_f1: float
    log_loss: float
    ece: float
    n: int
    unmatched: int = 0
    absent_classes: int = 0
    classes: tuple[ClassNumbers, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values.

        Returns:
            Name to value; ``classes`` a list of those of each class.
        """
        return {**asdict(self), "classes": [asdict(one) for one in self.classes]}

    def numbers(self) -> dict[str, float]:
        """Return the numbers without those of each class.

        Returns:
            Name to value.
        """
        return {name: value for name, value in self.to_dict().items() if name != "classes"}


def compute_set_metrics(
    probs: Tensor,
    labels: Tensor,
    names: Sequence[str],
    *,
    thresholds: Sequence[float] = (),
    unmatched: int = 0,
) -> LabelSetMetrics:
    """Compute the metrics of probabilities against label sets.

    Args:
        probs: ``(N, K)`` probability of each class.
        labels: ``(N, K)`` label sets, 1, 0, or -1 where unknown.
        names: The K classes.
        thresholds: Of each class; 0.5 for all if empty.
        unmatched: Records left out before, to be told.

    Returns:
        The metrics.

    Raises:
        BadRecordError: If there is no record, or none has a class.

    Source:
        Average precision and F1 as in scikit-learn: equal scores are one step of the ranking.
    """
    if not (labels == 1).any():
        raise BadRecordError(
            f"No record with a class is left to evaluate, of {len(labels)} ({unmatched} more had no"
            " place, or no label set with classes that the model knows). Classes are matched by"
            " name."
        )
    known, truth = labels >= 0, labels == 1
    cut = torch.tensor(thresholds or [NO_THRESHOLD] * probs.shape[1], dtype=torch.float64)
    said = (probs.double() >= cut) & known
    right, told, present = (each.sum(dim=0).double() for each in (said & truth, said, truth))
    seen = present > 0
    ap = average_precision(sort_classes(probs, labels))
    f1 = 2 * right / (told + present).clamp_min(1)
    every, whether = probs[known], truth[known]
    likely = every.double().clamp(TINY, 1 - TINY)
    loss = -torch.where(whether, likely, 1 - likely).log().mean()
    rows = zip(names, present.long().tolist(), ap.tolist(), f1.tolist(), cut.tolist(), strict=True)
    return LabelSetMetrics(
        macro_ap=float(ap[seen].mean()),
        micro_ap=float(average_precision(sort_classes(every[:, None], whether[:, None].char()))),
        macro_f1=float(f1[seen].mean()),
        micro_f1=float(2 * right.sum() / (told.sum() + present.sum())),
        log_loss=float(loss),
        ece=_calibration_error(every, whether),
        n=len(labels),
        unmatched=unmatched,
        absent_classes=int((~seen).sum()),
        classes=tuple(
            ClassNumbers(name, n, a if n else None, f if n else None, threshold)
            for name, n, a, f, threshold in rows
        ),
    )


def average_precision(rows: SortedClasses) -> Tensor:
    """Compute the average precision of each class.

    The sum, over the steps of the ranking, of the precision there times what recall gained: each
    record of the class counts with the precision once all that score like it are listed.

    Args:
        rows: The classes, sorted.

    Returns:
        ``(K,)`` float64; 0 for a class that no record has.

    Example:
        >>> scores = torch.tensor([[0.8], [0.5], [0.5], [0.2]])
        >>> ranked = sort_classes(scores, torch.tensor([[1], [0], [1], [0]]))
        >>> [round(value, 6) for value in average_precision(ranked).tolist()]
        [0.833333]
    """
    row, _ = rows.last.nonzero(as_tuple=True)
    hits, told = rows.hits[rows.last].double(), rows.told[rows.last]
    before = torch.cat((hits.new_zeros(1), hits[:-1])) if len(hits) else hits
    # The first step of a class has none before it.
    before = before.masked_fill(torch.cat((row.new_tensor([-1]), row))[:-1] != row, 0.0)
    total = hits.new_zeros(len(rows.hits)).index_add_(0, row, hits / told * (hits - before))
    return total / rows.hits[:, -1].clamp_min(1)


def _calibration_error(probs: Tensor, truth: Tensor) -> float:
    """Weigh, over equal bins, how far the mean probability is from how often it came true."""
    bins = (probs * ECE_BINS).long().clamp_max(ECE_BINS - 1)
    off = (probs - truth.to(probs.dtype)).double()
    return float(torch.bincount(bins, weights=off, minlength=ECE_BINS).abs().sum() / len(probs))
