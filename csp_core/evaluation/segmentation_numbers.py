"""The numbers of maps of classes, from counts of what was said of pixels and what is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from csp_core.errors import BadRecordError

# Of these more is better.
PIXEL_RISING = frozenset({"miou", "miou_without_background", "overall_accuracy", "macro_f1"})
# How the metrics are called on a card.
PIXEL_COLUMNS = {
    "miou": "mean IoU",
    "miou_without_background": "mean IoU without background",
    "overall_accuracy": "pixels right",
    "macro_f1": "macro F1",
    "log_loss": "log-loss (nats)",
    "ece": "ECE",
    "n": "pixels",
    "records": "pictures",
}
# How the numbers of each class are called there.
PIXEL_CLASS_COLUMNS = {
    "n": "pixels",
    "iou": "IoU",
    "precision": "precision",
    "recall": "recall",
}


@dataclass(frozen=True)
class PixelClassNumbers:
    """The numbers of one class of pixels.

    Args:
        name: Its name.
        n: Pixels that are of it.
        iou: Pixels rightly said to be of it over those that are, or are said to be; None where
            there are none.
        precision: Part of the pixels said to be of it that are; None where none is said to be.
        recall: Part of its pixels that are said to be of it; None where it has none.
    """

    name: str
    n: int
    iou: float | None
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class SegmentationMetrics:
    """The numbers of one evaluation of pixels; those of unknown class count nowhere.

    Args:
        miou: Mean of the intersection over union, over the classes that are true of some pixel or
            said of one; a class that is neither is left out.
        miou_without_background: The same without the background; None where no class is said to be
            that, or no other is there.
        overall_accuracy: Part of the pixels whose class ranks first.
        macro_f1: Mean of F1 over the same classes as ``miou``.
        log_loss: Mean of -log share of the true class, nats.
        ece: Expected calibration error of the first-ranked share, 15 equal bins.
        n: Pixels evaluated.
        records: Pictures that they are in.
        unmatched: Pictures left out, as no pixel is of a class that the model knows.
        background: Name of the class that is the background, or empty.
        classes: The numbers of each class.
        confusion: K rows of K numbers: pixels of the class of the row said to be of that of the
            column.
    """

    miou: float
    miou_without_background: float | None
    overall_accuracy: float
    macro_f1: float
    log_loss: float
    ece: float
    n: int
    records: int
    unmatched: int = 0
    background: str = ""
    classes: tuple[PixelClassNumbers, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values.

        Returns:
            Name to value; ``classes`` a list of those of each class, ``confusion`` one of rows.
        """
        plain = {"classes": [asdict(c) for c in self.classes]}
        return {**asdict(self), **plain, "confusion": [list(row) for row in self.confusion]}

    def numbers(self) -> dict[str, float]:
        """Return the numbers of all classes together, those that there are.

        Returns:
            Name to value.
        """
        return {k: v for k, v in self.to_dict().items() if isinstance(v, int | float)}


def iou_of(confusion: Tensor) -> Tensor:
    """Compute the intersection over union of each class.

    Args:
        confusion: ``(…, K, K)`` pixels by true class (rows) and class said (columns).

    Returns:
        ``(…, K)`` float64, not a number for a class that is neither true nor said of any pixel.

    Example:
        >>> iou_of(torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]])).tolist()
        [0.75, 0.8, nan]
    """
    right, true, said = _sums(confusion)
    return right / (true + said - right)


def mean_iou(confusion: Tensor, *, without: int | None = None) -> Tensor:
    """Compute the mean intersection over union, over the classes that are true or said.

    Args:
        confusion: ``(…, K, K)`` pixels by true class (rows) and class said (columns).
        without: A class that the mean leaves out, such as the background; None for none.

    Returns:
        ``(…,)`` float64; not a number where no class is left.

    Source:
        Everingham et al. 2010, The PASCAL VOC challenge; classes are left out as torchmetrics
        leaves them out of ``MulticlassJaccardIndex``.
    """
    iou = iou_of(confusion)
    if without is not None:
        iou = torch.cat((iou[..., :without], iou[..., without + 1 :]), dim=-1)
    return iou.nanmean(dim=-1)


def summarise(
    confusion: Tensor,
    names: Sequence[str],
    *,
    log_loss: float,
    ece: float,
    records: int,
    unmatched: int = 0,
    background: str = "",
) -> SegmentationMetrics:
    """Make the numbers of an evaluation from the counts of its pixels.

    Args:
        confusion: ``(K, K)`` int64 pixels by true class (rows) and class said (columns).
        names: The K classes.
        log_loss: Of the pixels, nats.
        ece: Of the pixels.
        records: Pictures that they are in.
        unmatched: Pictures left out before, to be told.
        background: Name of the class that is the background; a name of none counts as none.

    Returns:
        The metrics.

    Raises:
        BadRecordError: If there is no pixel.
    """
    total = int(confusion.sum())
    if not total:
        raise BadRecordError(
            f"No pixel is left to evaluate: of {records + unmatched} pictures none has a mask with"
            " a class that the model knows. Classes are matched by name."
        )
    right, true, said = _sums(confusion)
    number = names.index(background) if background in names else None
    bare = None if number is None else float(mean_iou(confusion, without=number))
    iou = iou_of(confusion)
    columns = (true.long(), iou, right / said, right / true)
    rows = zip(names, *(column.tolist() for column in columns), strict=True)
    return SegmentationMetrics(
        miou=float(iou.nanmean()),
        miou_without_background=None if bare is None else _or_none(bare),
        overall_accuracy=float(right.sum()) / total,
        macro_f1=float((2 * right / (true + said)).nanmean()),
        log_loss=log_loss,
        ece=ece,
        n=total,
        records=records,
        unmatched=unmatched,
        background="" if number is None else background,
        classes=tuple(PixelClassNumbers(name, n, *map(_or_none, some)) for name, n, *some in rows),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )


def _sums(confusion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give the pixels of each class that are right, those that are true, and those said."""
    counts = confusion.double()
    return counts.diagonal(dim1=-2, dim2=-1), counts.sum(dim=-1), counts.sum(dim=-2)


def _or_none(value: float) -> float | None:
    return None if value != value else value  # not a number
