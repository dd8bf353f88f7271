"""When the numbers of an evaluation say little or nothing, in words to stand beside them."""

from __future__ import annotations

import torch
from torch import Tensor

from csp_core.data.records import ClassTable

# Below this a part of the records moves by ten points with each of them.
FEW = 10


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
        names = [name for name, none in zip(classes.names, unlearned.tolist(), strict=True) if none]
        some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        said.append(
            f"{len(names):,} of {len(classes):,} classes have no training record after the split"
            f" ({some}); {int(present[unlearned].sum()):,} of {len(label):,} measured records are"
            " of them, which no model can get right but by chance."
        )
    return said
