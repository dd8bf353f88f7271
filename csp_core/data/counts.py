"""Counts of classes: of records and pixels, and what they say where the place is not known."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def frequency(counts: Sequence[int], records: int | None = None) -> Tensor:
    """Turn counts of classes into P(class).

    Args:
        counts: Records of each class, K.
        records: Records of label sets that the classes were counted in; None where each record has
            one class.

    Returns:
        ``(K,)`` float32. With one class a record they sum to 1, even when no counts are known; of
        label sets each is the part of the records that have the class.

    Example:
        >>> frequency((3, 1)).tolist(), frequency((3, 1), records=4).tolist()
        ([0.75, 0.25], [0.75, 0.25])
        >>> frequency((4, 3), records=4).tolist()
        [1.0, 0.75]
    """
    numbers = torch.tensor(counts, dtype=torch.float64)
    if records is not None:
        return (numbers / records).to(torch.float32)
    numbers = numbers if numbers.sum() > 0 else torch.ones_like(numbers)
    return (numbers / numbers.sum()).to(torch.float32)


def usual(counts: Tensor, records: int | None = None) -> Tensor:
    """Turn counts of classes into an answer in which nothing is impossible, or certain.

    Args:
        counts: ``(K,)`` training records of each class.
        records: As for ``frequency``.

    Returns:
        ``(K,)`` float32, as ``frequency``; a class without records counts as half a record, and so
        do, of label sets, the records without a class that all others have.

    Example:
        >>> usual(torch.tensor([4, 0]), records=4).tolist()
        [0.875, 0.125]
    """
    counts = counts.double().clamp_min(0.5)
    if records is not None:
        return (counts.clamp_max(records - 0.5) / records).to(torch.float32)
    return (counts / counts.sum()).to(torch.float32)


def pixels(masks: Tensor, classes: int) -> tuple[int, ...]:
    """Count the pixels of each class.

    Args:
        masks: ``(N, H, W)`` whole numbers of classes, -1 where unknown or ignored.
        classes: How many classes there are.

    Returns:
        A number for each class.

    Example:
        >>> pixels(torch.tensor([[[0, 1], [1, -1]]]), 3)
        (1, 2, 0)
    """
    # One record after another: as int64 all of them would take eight times their memory.
    counts = torch.zeros(classes, dtype=torch.int64)
    for mask in masks:
        counts += torch.bincount(mask[mask >= 0].long(), minlength=classes)
    return tuple(counts.tolist())


def count_classes(label: Tensor, labels: Tensor | None, classes: int) -> tuple[int, ...]:
    """Count the records of each class.

    Args:
        label: ``(N,)`` int64, -1 where unlabelled.
        labels: ``(N, K)`` label sets, where 1 says that a record has the class; None where each
            record has one label at most.
        classes: How many classes there are.

    Returns:
        A number for each class.

    Example:
        >>> count_classes(torch.tensor([-1, -1]), torch.tensor([[1, 0], [1, -1]]), 2)
        (2, 0)
    """
    if labels is not None:
        return tuple((labels == 1).sum(dim=0).tolist())
    return tuple(torch.bincount(label[label >= 0], minlength=classes).tolist())
