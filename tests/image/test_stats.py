"""What training images look like: pixels without data have no part in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from csp_core.errors import BadRecordError
from csp_core.image.stats import TRAITS, ImageStats, describe
from csp_core.training.image_side import describe_images
from tests import dense


def holes(number=12, side=16):
    """Give some images and where they have data: in some columns, and not in single pixels."""
    draws = torch.Generator().manual_seed(0)
    image = torch.rand(number, 2, side, side, generator=draws)
    valid = torch.rand(number, side, side, generator=draws) < 0.9
    valid[:, :, : side // 4] = False
    return image, valid


def by_loops(image, valid):
    """Describe one image as ``describe`` does, pixel by pixel."""
    image, here = image.double().numpy(), valid.numpy()
    found = np.zeros((len(TRAITS), len(image)))
    for band, values in enumerate(image):
        known = values[here]
        found[0, band], found[1, band] = known.mean(), np.log(known.std())
        smaller, there = values, here
        for level in range(3):
            steps = [np.abs(np.diff(smaller, axis=axis)) for axis in (1, 0)]
            both = there[:, 1:] & there[:, :-1], there[1:] & there[:-1]
            found[2 + level, band] = np.log(
                sum(step[known].mean() for step, known in zip(steps, both, strict=True))
            )
            half = len(smaller) // 2
            cut = [m[: 2 * half, : 2 * half].reshape(half, 2, half, 2) for m in (smaller, there)]
            count = cut[1].sum(axis=(1, 3))
            smaller = (cut[0] * cut[1]).sum(axis=(1, 3)) / np.maximum(count, 1)
            there = count > 0
        found[5, band] = np.log((values - image.mean(axis=0))[here].std())
        ordered, end = np.sort(known), len(known) // 50
        found[6, band], found[7, band] = ordered[end], ordered[-1 - end]
    return found.ravel()


def test_images_are_described_as_a_loop_does_over_pixels_with_data():
    image, valid = holes()
    want = np.stack([by_loops(*each) for each in zip(image, valid, strict=True)])
    np.testing.assert_allclose(describe(image, valid).numpy(), want, atol=1e-9)
    whole = torch.ones_like(valid)
    want = np.stack([by_loops(*each) for each in zip(image, whole, strict=True)])
    np.testing.assert_allclose(describe(image).numpy(), want, atol=1e-9)
    torch.testing.assert_close(describe(image, whole), describe(image), rtol=0, atol=1e-12)


def test_what_stands_where_there_is_no_data_does_not_matter():
    image, valid = holes()
    valid[3] = False
    first, second = (
        ImageStats.of(image.where(valid[:, None], filled), valid) for filled in (0.0, torch.nan)
    )
    for name, value in first.tensors().items():
        assert torch.equal(value, second.tensors()[name]), name
    assert int(first.count) == 11 and bool(first.mean.isfinite().all())
    assert first.low[first.bands * 6] > 0  # the darkest pixels are not those of the holes
    with pytest.raises(BadRecordError, match="7 images cannot be described"):
        ImageStats.of(image[:8], valid[:8])


def test_a_model_is_told_of_training_pixels_with_data_alone():
    records, model = dense.pictures(), dense.model()
    model.image.sees_pixels = True
    image = records.store.array
    valid = torch.ones(len(image), 16, 16, dtype=torch.bool)
    valid[:, :6] = False
    told = []
    for black in (image, image * valid[:, None]):
        store = replace(records.store, array=black)
        told.append(describe_images(model, replace(records, store=store, valid=valid)))
    assert torch.equal(told[0].mean, told[1].mean) and torch.equal(told[0].low, told[1].low)
    blind = describe_images(model, replace(records, store=store))
    assert blind.low[-5] == 0 < told[0].low[-5]  # the darkest of green
    valid[7:] = False
    assert describe_images(model, replace(records, valid=valid)) is None
