"""Labelled and unlabelled records in one step: who comes when, and that no label is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from csp_core.data.records import RecordDataset
from csp_core.data.streams import OneStream, TwoStreams
from csp_core.errors import ConfigError
from csp_core.image import make_image_encoder
from csp_core.model import DualEncoder
from csp_core.objectives import BatchRandom, make_objective
from tests import small

DATA = small.dataset()
NUMBERED = replace(DATA, date=torch.arange(600) / 600)


def partly(dataset: RecordDataset, known: int, seed: int = 3) -> RecordDataset:
    """Hide all labels but those of so many records."""
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
    hidden = order[known:]
    label = dataset.label.clone()
    if dataset.labels is None:
        label[hidden] = -1
        return replace(dataset, label=label)
    sets = dataset.labels.clone()
    sets[hidden] = -1
    return replace(dataset, labels=sets)


def drawn(purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(sum(purpose.encode()))


def taken(stream, first=0, start=0, stop=None):
    size = stream.batch_size if stop is None else stop
    return list(stream.batches(drawn, first, start, size))


def rows(batch):
    """Tell which records a batch has, by the date that numbers them."""
    return (batch["date"] * 600).round().long().tolist()


@pytest.mark.parametrize("data", [NUMBERED, small.label_sets(NUMBERED, unknown=False)])
@pytest.mark.parametrize("unlabelled", ["all", "rest"])
def test_an_unlabelled_record_has_no_label_at_all(data, unlabelled):
    stream = TwoStreams(partly(data, 40), 4, 3, unlabelled)
    known = set(stream.dataset.labelled().nonzero().flatten().tolist())
    assert len(known) == 40
    for batch in taken(stream):
        assert set(batch["unlabelled"]) == set(batch) - {"unlabelled", "label", "labels"}
        assert len(batch["label"]) == 4 and len(batch["unlabelled"]["lonlat"]) == 12
        assert set(rows(batch)) <= known
        if unlabelled == "rest":
            assert not set(rows(batch["unlabelled"])) & known


@pytest.mark.parametrize(("unlabelled", "there"), [("all", 600), ("rest", 560)])
def test_an_epoch_is_one_way_through_the_unlabelled(unlabelled, there):
    stream = TwoStreams(partly(NUMBERED, 40), 4, 2, unlabelled)
    seen = [row for batch in taken(stream) for row in rows(batch["unlabelled"])]
    assert len(seen) == len(set(seen)) == there == stream.steps * 8
    assert stream.batch_size == 4 and seen != sorted(seen)


def test_what_does_not_fill_a_step_is_left_for_another_epoch():
    stream = TwoStreams(partly(NUMBERED, 40), 7, 3, "rest")
    assert stream.steps == 560 // 21 == len(taken(stream))


@pytest.mark.parametrize("known", [5, 40, 300])
def test_labelled_records_come_evenly(known):
    stream = TwoStreams(partly(NUMBERED, known), 8)
    seen = [row for batch in taken(stream) for row in rows(batch)]
    counts = torch.bincount(torch.tensor(seen), minlength=600)[stream.dataset.labelled()]
    assert counts.max() - counts.min() <= 1 and counts.sum() == stream.steps * 8
    for start in range(0, len(seen) - known + 1, known):
        assert len(set(seen[start : start + known])) == known


def equal(first, second):
    assert set(first) == set(second)
    for key, value in first.items():
        if isinstance(value, dict):
            equal(value, second[key])
        else:
            torch.testing.assert_close(value, second[key], atol=0, rtol=0, equal_nan=True)


@pytest.mark.parametrize("stream", [TwoStreams(partly(NUMBERED, 40), 4, 2), OneStream(NUMBERED, 8)])
def test_an_epoch_that_goes_on_gives_the_same_batches(stream):
    whole = taken(stream)
    for first in (0, 1, 30, stream.steps - 1, stream.steps):
        rest = taken(stream, first)
        assert len(rest) == stream.steps - first
        for a, b in zip(whole[first:], rest, strict=True):
            equal(a, b)


@pytest.mark.parametrize("ratio", [1, 3])
def test_the_rows_of_two_processes_are_those_of_one(ratio):
    stream = TwoStreams(partly(NUMBERED, 40), 6, ratio)
    parts = zip(taken(stream), taken(stream, stop=3), taken(stream, start=3, stop=6), strict=True)
    for whole, first, second in parts:
        assert rows(whole) == rows(first) + rows(second)
        assert rows(whole["unlabelled"]) == rows(first["unlabelled"]) + rows(second["unlabelled"])
        assert len(first["unlabelled"]["date"]) == 3 * ratio


@pytest.mark.parametrize(
    ("known", "options", "says"),
    [
        (0, {}, r"None of 600 training records has a label: give some .* \(simclr"),
        (40, {"ratio": 0}, "ratio is 0 and batch_size 8; give 1 or more"),
        (40, {"batch_size": 0}, "ratio is 1 and batch_size 0"),
        (600, {"unlabelled": "rest"}, r"8 × 1 = 8 .* there are 0 .*unlabelled=true\): lower"),
        (590, {"ratio": 2, "unlabelled": "rest"}, r"8 × 2 = 16 unlabelled .* there are 10: lower"),
        (40, {"ratio": 76}, r"8 × 76 = 608 unlabelled records, and there are 600: lower"),
    ],
)
def test_streams_that_cannot_be(known, options, says):
    with pytest.raises(ConfigError, match=says):
        TwoStreams(partly(DATA, known), **{"batch_size": 8, **options})


def learned(dataset, stream):
    """Train for some steps, and give the weights."""
    torch.manual_seed(0)
    image = make_image_encoder("small_convnet", None, width=8, norm="group", size=8)
    made = make_objective("freematch", DualEncoder(image, None, dim=4, classes=DATA.classes))
    made.fit(dataset)
    optimizer = torch.optim.SGD(made.parameters(), lr=0.1)
    for step, batch in enumerate(taken(stream)[:3]):
        source = BatchRandom(torch.Generator().manual_seed(step), 0, 16, 16)
        optimizer.zero_grad()
        made.train()(made.draw(batch, source))["loss"].backward()
        optimizer.step()
        made.finish_step(step)
    return {**made.model.state_dict(), **made.own_state()}


def test_labels_that_are_not_seen_change_nothing():
    """All records are in the unlabelled stream; hidden labels are taken away, true or wrong."""
    true = small.pictures(side=8)
    hidden = partly(true, 60)
    known = hidden.labelled()
    wrong = replace(true, label=torch.where(known, true.label, 5 - true.label))
    streams = [TwoStreams(hidden, 16), Shown(true, 16, known), Shown(wrong, 16, known)]
    for first, *others in zip(*(taken(stream) for stream in streams), strict=True):
        for other in others:
            equal(first, other)
    weights, *others = (learned(hidden, stream) for stream in streams)
    for other in others:
        equal(weights, other)
    # And labels that are seen do.
    seen = replace(hidden, label=torch.where(known, 5 - true.label, -1))
    assert not torch.equal(
        learned(seen, TwoStreams(seen, 16))["image_classifier.bias"],
        weights["image_classifier.bias"],
    )


class Shown(TwoStreams):
    """Two streams of records whose labels are all there, of which some count as labelled."""

    def __init__(self, dataset, size, known):
        object.__setattr__(self, "known", known)
        super().__init__(dataset, size)

    def _pools(self):
        return self.known.nonzero().flatten(), torch.arange(len(self.dataset))
