"""What is done to training records on purpose, against the same written slowly."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from csp_core.data import quality
from csp_core.data.captions.column import number
from csp_core.data.quality import (
    at_random,
    near_duplicates,
    noisy_captions,
    shuffle_pairs,
    thumbnails,
    worst_pairs,
)
from csp_core.data.subsets import keep_rows, take_rows
from csp_core.errors import BadRecordError
from tests import small


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def records(count=40):
    """Records whose place, time, caption and image all tell the number of the record."""
    data = take_rows(small.dataset(), torch.arange(count))
    at = torch.arange(count)
    captions, caption = number([f"{row:03d}" if row % 4 else "" for row in range(count)])
    return replace(
        data,
        lonlat=torch.stack((at, at / 2), dim=1).float(),
        date=at / count,
        hour=at / count,
        image=at.float()[:, None],
        captions=captions,
        caption=caption,
    )


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 1.0])
def test_shuffled_pairs_keep_images_and_move_places_with_their_captions(share):
    data = records()
    mixed = shuffle_pairs(data, share, seeded())
    moved = mixed.lonlat[:, 0] != data.lonlat[:, 0]
    assert int(moved.sum()) == round(share * len(data))
    assert sorted(mixed.lonlat[:, 0].tolist()) == data.lonlat[:, 0].tolist()
    source = mixed.lonlat[:, 0].long()
    for name in ("lonlat", "date", "hour", "caption"):
        assert torch.equal(getattr(mixed, name), getattr(data, name)[source])
    assert torch.equal(mixed.label, data.label) and torch.equal(mixed.image, data.image)
    assert torch.equal(data.lonlat[:, 0], torch.arange(40.0))
    again = shuffle_pairs(data, share, seeded())
    assert again.content_hash() == mixed.content_hash()
    if share > 0.1:
        assert shuffle_pairs(data, share, seeded(1)).content_hash() != mixed.content_hash()


def test_one_record_alone_has_nobody_to_exchange_with():
    data = records()
    assert torch.equal(shuffle_pairs(data, 1 / 40, seeded()).lonlat, data.lonlat)


def test_noisy_captions_leave_places_and_records_without_a_caption():
    data = records()
    noisy = noisy_captions(data, 0.5, seeded())
    wrong = noisy.caption != data.caption
    assert int(wrong.sum()) == 15 and torch.equal(noisy.lonlat, data.lonlat)
    assert torch.equal(noisy.caption < 0, data.caption < 0)
    assert sorted(noisy.caption.tolist()) == sorted(data.caption.tolist())
    with pytest.raises(BadRecordError, match=r"give data\.captions"):
        noisy_captions(small.dataset(), 0.5, seeded())


def slowly(embedding, threshold):
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    kept = []
    for row, one in enumerate(unit):
        if not any(one @ unit[other] >= threshold for other in kept):
            kept.append(row)
    return kept


@pytest.mark.parametrize("chunk", [1, 7, 1000])
@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_near_duplicates_as_found_one_by_one(chunk, threshold, monkeypatch):
    monkeypatch.setattr(quality, "CHUNK", chunk)
    embedding = torch.randn(60, 3, generator=seeded(2), dtype=torch.float64)
    keep = near_duplicates(embedding, threshold)
    assert keep.nonzero().flatten().tolist() == slowly(embedding.numpy(), threshold)
    assert 3 < int(keep.sum()) < 60


def test_rows_of_zeros_are_like_nothing():
    keep = near_duplicates(torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [3.0, 0.0]]), 0.98)
    assert keep.tolist() == [True, True, True, False]
    # At a threshold that any two reach, too.
    assert near_duplicates(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]), -0.5).all()
    assert near_duplicates(torch.empty(0, 4), 0.98).shape == (0,)
    same = torch.randn(20, 5, generator=seeded()).repeat(2, 1) * torch.rand(40, 1)
    assert near_duplicates(same, 1.0).tolist() == [True] * 20 + [False] * 20


def test_worst_pairs_as_sorted_by_hand():
    agreement = torch.tensor([0.5, math.nan, -0.1, 0.5, 0.2, 0.9])
    assert worst_pairs(agreement, 0.4).tolist() == [True, True, False, True, False, True]
    assert worst_pairs(agreement, 0.6).tolist() == [False, True, False, True, False, True]
    assert worst_pairs(agreement, 0.0).all()
    assert worst_pairs(torch.full((3,), math.nan), 0.9).all()


def test_as_many_as_asked_for_go_out_at_random():
    keep = at_random(50, 12, seeded())
    assert int((~keep).sum()) == 12 and torch.equal(keep, at_random(50, 12, seeded()))
    assert not torch.equal(keep, at_random(50, 12, seeded(1)))


def test_thumbnails_know_neither_brightness_nor_contrast():
    image = torch.rand(3, 4, 32, 24, generator=seeded())
    small_ones = F.normalize(thumbnails(image), dim=1)
    darker = F.normalize(thumbnails(0.5 * image + torch.rand(4, 1, 1)), dim=1)
    torch.testing.assert_close((small_ones * darker).sum(dim=1), torch.ones(3))
    by_hand = image.view(3, 4, 8, 4, 8, 3).mean(dim=(3, 5))
    by_hand = (by_hand - by_hand.mean(dim=(2, 3), keepdim=True)).flatten(1)
    torch.testing.assert_close(thumbnails(image), by_hand)
    assert thumbnails(torch.full((1, 3, 9, 9), 0.7)).abs().max() == 0
    series = torch.stack((image, image), dim=1)
    torch.testing.assert_close(thumbnails(series), thumbnails(image))
    assert thumbnails((255 * image).byte()).dtype == torch.float32


def test_classes_are_counted_in_what_is_kept():
    data = small.dataset()
    kept = keep_rows(data, data.label != 0)
    assert kept.classes.counts == (0, *data.classes.counts[1:]) and len(kept.recorder) == len(kept)
    sets = small.label_sets(data)
    few = keep_rows(sets, torch.arange(len(data)) < 100)
    assert few.classes.records == int((few.labels >= 0).any(dim=1).sum()) < 100
