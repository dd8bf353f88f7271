"""Records of label sets: in samples, batches, the hash, and joined."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from csp_core.data.batch import collate
from csp_core.data.records import ClassTable, RecordDataset, join_records
from csp_core.errors import BadRecordError

SETS = torch.tensor([[1, 0, 1], [0, 1, 0], [-1, -1, -1]], dtype=torch.int8)


def records(**changed: object) -> RecordDataset:
    columns = {
        "lonlat": torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]),
        "label": torch.full((3,), -1),
        "classes": ClassTable(("a", "b", "c")),
        "labels": SETS,
    }
    return RecordDataset(**columns | changed)


def test_samples_and_batches_hold_the_label_set() -> None:
    data = records()
    assert data[0]["labels"].tolist() == [1, 0, 1]
    assert data.__getitems__([1, 0])["labels"].tolist() == [[0, 1, 0], [1, 0, 1]]
    assert collate([data[0], data[1]])["labels"].tolist() == SETS[:2].tolist()
    assert "labels" not in replace(data, labels=None)[0]


def test_a_record_without_a_known_class_is_unlabelled() -> None:
    assert records().labelled().tolist() == [True, True, False]
    one = records(labels=None, label=torch.tensor([0, -1, 2]))
    assert one.labelled().tolist() == [True, False, True]


def test_the_hash_tells_other_label_sets_and_stays_without() -> None:
    data = records()
    changed = SETS.clone()
    changed[0, 1] = 1
    assert data.content_hash() != replace(data, labels=changed).content_hash()
    plain = replace(data, labels=None)
    assert plain.content_hash() != data.content_hash()
    bare = RecordDataset(plain.lonlat, plain.label, plain.classes)
    assert plain.content_hash() == bare.content_hash()


def test_parts_are_joined_and_counted() -> None:
    both = join_records(records(), records())
    assert both.labels is not None
    assert both.labels.tolist() == SETS.tolist() * 2
    assert both.classes.counts == (2, 2, 2)
    with pytest.raises(BadRecordError, match="Only parts of one data set"):
        join_records(records(), records(labels=None))


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"labels": SETS[:2]}, "a row for each of 3"), ({"label": torch.tensor([0, -1, -1])}, "or")],
)
def test_what_does_not_fit_is_refused(changed: dict[str, object], said: str) -> None:
    with pytest.raises(BadRecordError, match=said):
        records(**changed)
