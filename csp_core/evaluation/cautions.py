"""When the numbers of an evaluation say little or nothing, in words to stand beside them."""

from __future__ import annotations

import torch
from torch import Tensor

from csp_core.data.records import ClassTable

# Below this a part of the records moves by ten points with each of them.
FEW = 10


def set_cautions(classes: ClassTable, labels: Tensor) -> list[str]:
    """Say why numbers measured on label sets tell little.

    Args:
        classes: What the model knows, counted in its training records.
        labels: ``(N, K)`` label sets of the measured records, 1, 0, or -1 where unknown; records of
            which nothing is known do not count.

    Returns:
        Sentences; none where nothing is odd.

    Example:
        >>> set_cautions(ClassTable(("a",), ("",), (5,), 9), torch.tensor([[1], [-1], [0]]))[0]
        'Only 2 records were measured: these numbers say little.'
    """
    labels = labels[(labels >= 0).any(dim=1)]
    if not len(labels):
        return []
    said = []
    if len(labels) < FEW:
        records = "record was" if len(labels) == 1 else "records were"
        said.append(f"Only {len(labels)} {records} measured: these numbers say little.")
    few = (labels == 1).sum(dim=0) < FEW
    if bool(few.any()):
        said.append(
            f"{int(few.sum()):,} of {len(classes):,} classes ({name_some(classes, few)}) are in"
            f" fewer than {FEW} of the measured label sets: what is said of each of them is chance."
        )
    unlearned = torch.tensor(classes.counts) == 0
    if sum(classes.counts) and bool(unlearned.any()):
        said.append(
            f"{int(unlearned.sum()):,} of {len(classes):,} classes are in no label set of the"
            f" training ({name_some(classes, unlearned)}): no model can find them but by chance."
        )
    return said


def name_some(classes: ClassTable, which: Tensor) -> str:
    """Name the first few of some classes.

    Args:
        classes: The classes.
        which: ``(K,)`` bool.

    Returns:
        Up to three names.
    """
    names = [name for name, yes in zip(classes.names, which.tolist(), strict=True) if yes]
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def cautions(classes: ClassTable, label: Tensor) -> list[str]:
    """Say why numbers measured on records tell little.

    Args:
        classes: What the model knows, counted in its training records.
        label: ``(N,)`` int64 labels of the measured records in ``classes``; negative ones do not
            count.

    Returns:
        Sentences; none where nothing is odd.

    Example:
        >>> cautions(ClassTable(("a",), ("",), (5,)), torch.zeros(30, dtype=torch.int64))[0][:33]
        'The model knows one class alone, '
    """
    label = label[label >= 0]
    if not len(label):
        return []
    if len(classes) == 1:
        return [
            "The model knows one class alone, which ranks first whatever it learned: these numbers"
            " say nothing. It takes records of two classes or more."
        ]
    said = []
    if len(label) == 1:
        said.append("One record was measured: these numbers say nothing.")
    elif len(label) < FEW:
        said.append(f"Only {len(label)} records were measured: these numbers say little.")
    present = torch.bincount(label, minlength=len(classes))
    if len(label) > 1 and int((present > 0).sum()) == 1:
        name = classes.names[int(present.argmax())]
        said.append(
            f"All {len(label):,} measured records are of one class, {name}: these numbers say"
            " nothing of the others."
        )
    counts = torch.tensor(classes.counts)
    unlearned = counts == 0
    if int(counts.sum()) and bool(unlearned.any()):
        said.append(
            f"{int(unlearned.sum()):,} of {len(classes):,} classes have no training record after"
            f" the split ({name_some(classes, unlearned)}); {int(present[unlearned].sum()):,} of"
            f" {len(label):,} measured records are of them, which no model can get right but by"
            " chance."
        )
    return said
