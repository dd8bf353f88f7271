"""Records with masks, dates of a series and pixels without data, in samples, batches and hashes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.utils.data import DataLoader

from csp_core.data import collate
from csp_core.data.counts import pixels
from csp_core.data.images import ImageDataset, MemoryImages
from csp_core.data.records import ClassTable, join_records, recounted
from csp_core.data.streams import TwoStreams
from csp_core.errors import BadRecordError


def series(seed=0, **more):
    """Make ten records of series of three dates, of which the last four have no label."""
    chance = torch.Generator().manual_seed(seed)
    masks = torch.randint(-1, 3, (10, 4, 5), generator=chance).to(torch.int8)
    masks[6:] = -1
    days = torch.rand((10, 3), generator=chance)
    days[2, 2] = math.nan
    given = {
        "lonlat": torch.rand((10, 2), generator=chance),
        "label": torch.full((10,), -1),
        "classes": ClassTable(("a", "b", "c"), counts=pixels(masks, 3)),
        "store": MemoryImages(torch.rand((10, 3, 2, 4, 5), generator=chance)),
        "rows": torch.arange(10),
        "masks": masks,
        "days": days,
        "valid": torch.rand((10, 4, 5), generator=chance) > 0.1,
    }
    return ImageDataset(**given | more)


def test_samples_and_batches_hold_what_records_have():
    data = series()
    one = data[2]
    assert one["image"].shape == (3, 2, 4, 5) and one["days"].isnan().tolist() == [
        False,
        False,
        True,
    ]
    assert one["mask"].dtype == torch.int64 and torch.equal(one["mask"], data.masks[2].long())
    batch, stacked = data.__getitems__([2, 0]), collate([data[2], data[0]])
    assert set(batch) == set(stacked) == {*one}
    for key in batch:
        torch.testing.assert_close(batch[key], stacked[key], rtol=0, atol=0, equal_nan=True)
    first = next(iter(DataLoader(data, batch_size=4, collate_fn=collate)))
    assert first["mask"].shape == (4, 4, 5)
    plain = series(masks=None, days=None, valid=None)
    assert set(plain[0]) == {"lonlat", "date", "hour", "label", "image"}


def test_a_record_is_labelled_that_has_a_pixel_of_a_class():
    data = series()
    assert data.labelled().tolist() == [True] * 6 + [False] * 4
    masks = torch.full((10, 4, 5), -1)
    masks[3, 1, 1] = 0
    assert series(masks=masks).labelled().nonzero().tolist() == [[3]]


def test_what_is_there_is_hashed_and_nothing_else():
    data = series()
    seen = {data.content_hash(), series(masks=None, days=None, valid=None).content_hash()}
    assert series().content_hash() in seen
    masks, days, valid = data.masks.clone(), data.days.clone(), data.valid.clone()
    masks[0, 0, 0], days[0, 0], valid[0, 0, 0] = (masks[0, 0, 0] + 1) % 3, 0.123, ~valid[0, 0, 0]
    for more in ({"masks": masks}, {"days": days}, {"valid": valid}, {"days": None}):
        seen.add(series(**more).content_hash())
    assert len(seen) == 6
    # Data without any of them keeps the hash that it had before there were such.
    plain = series(masks=None, days=None, valid=None)
    assert plain.content_hash().startswith("616e617bf19409e4d9c26bb290bcc14c")


def test_pixels_are_counted():
    data = series()
    want = tuple(int((data.masks == number).sum()) for number in range(3))
    assert pixels(data.masks, 3) == want and data.classes.counts == want
    assert recounted(ClassTable(("a", "b", "c")), data.label, None, data.masks).counts == want
    assert pixels(torch.full((2, 3, 3), -1), 2) == (0, 0)


def test_parts_are_joined_with_all_columns():
    first, second = series(), replace(series(1), store=series().store)
    both = join_records(first, second)
    for name in ("masks", "days", "valid"):
        want = torch.cat((getattr(first, name), getattr(second, name)))
        torch.testing.assert_close(getattr(both, name), want, rtol=0, atol=0, equal_nan=True)
    assert both.classes.counts == pixels(both.masks, 3)
    for name in ("masks", "days", "valid"):
        with pytest.raises(BadRecordError, match=f"one alone has {name}"):
            join_records(first, series(**{name: None}))


def test_the_unlabelled_stream_holds_no_mask():
    stream = TwoStreams(series(), batch_size=2, ratio=1)
    batch = next(iter(stream.batches(lambda name: torch.Generator().manual_seed(1), 0, 0, 2)))
    assert (batch["mask"] >= 0).flatten(1).any(dim=1).all()
    assert not {"mask", "label", "labels"} & set(batch["unlabelled"])
    assert {"image", "days", "valid"} <= set(batch["unlabelled"])


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"masks": torch.zeros(9, 4, 5)}, r"masks has shape \(9, 4, 5\) for 10 records"),
        ({"masks": torch.zeros(10, 4)}, "give 3 dimensions"),
        ({"days": torch.zeros(10)}, r"days has shape \(10,\)"),
        ({"valid": torch.ones(10, 4, 4, dtype=torch.bool)}, r"valid has shape \(10, 4, 4\), masks"),
        ({"masks": torch.full((10, 4, 5), 3)}, "A mask holds class 3, but there are 3"),
        ({"label": torch.zeros(10, dtype=torch.int64)}, "give one of them"),
        ({"labels": torch.zeros(10, 3, dtype=torch.int8)}, "give one of them"),
    ],
)
def test_what_does_not_fit(more, match):
    with pytest.raises(BadRecordError, match=match):
        series(**more)
