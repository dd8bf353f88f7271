"""Some of the records of a data set, as a data set of the same kind."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import Tensor

from csp_core.data.records import RecordDataset, recounted


def take_rows(dataset: RecordDataset, rows: Tensor) -> RecordDataset:
    """Take some of the records; what all parts share, such as classes and images, stays.

    Args:
        dataset: The records.
        rows: ``(M,)`` int64 numbers of those to take, in their new order.

    Returns:
        The records; classes are counted as before.
    """
    columns = {field.name: getattr(dataset, field.name) for field in dataclasses.fields(dataset)}
    own: dict[str, Any] = {
        name: column[rows]
        for name, column in columns.items()
        if isinstance(column, Tensor) and len(column) == len(dataset)
    }
    return dataclasses.replace(dataset, **own)


def keep_rows(dataset: RecordDataset, keep: Tensor) -> RecordDataset:
    """Leave some of the training records out, and count the classes in the others.

    Args:
        dataset: Training records.
        keep: ``(N,)`` bool.

    Returns:
        The records that are kept, in their order.
    """
    kept = take_rows(dataset, keep.nonzero().flatten())
    masks = getattr(kept, "masks", None)
    classes = recounted(kept.classes, kept.label, kept.labels, masks)
    return dataclasses.replace(kept, classes=classes)
