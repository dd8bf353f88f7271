"""When numbers say nothing, this is said beside them."""

from __future__ import annotations

import pytest
import torch

from csp_core.data.records import ClassTable
from csp_core.evaluation import cautions

TWO = ClassTable(("Aus bus", "Cus dus"), ("", ""), (5, 7))
RARE = ClassTable(("Aus bus", "Cus dus", "Eus fus"), ("", "", ""), (5, 0, 7))


@pytest.mark.parametrize(
    ("classes", "label", "said"),
    [
        (ClassTable(("Aus bus",), ("",), (9,)), [0] * 40, ["one class alone"]),
        (TWO, [0], ["One record was measured"]),
        (TWO, [0, 1, 1], ["Only 3 records"]),
        (TWO, [1] * 20, ["All 20 measured records are of one class, Cus dus"]),
        (TWO, [0, 1] * 20, []),
        (TWO, [-1, -1], []),
        (
            RARE,
            [0, 2] * 20,
            ["1 of 3 classes have no training record after the split (Cus"],
        ),
        (RARE, [0, 1, 2, 2] * 20, ["20 of 80 measured records are of them"]),
        (ClassTable(("Aus bus", "Cus dus")), [0, 1] * 20, []),
    ],
)
def test_what_is_said(classes, label, said):
    found = cautions(classes, torch.tensor(label))
    assert len(found) == len(said)
    assert all(part in sentence for part, sentence in zip(said, found, strict=True))
