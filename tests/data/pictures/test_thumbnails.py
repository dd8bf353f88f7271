"""Pictures made small to be looked at."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from csp_core.data.pictures import thumbnail


def opened(content):
    return Image.open(io.BytesIO(content))


def test_a_large_picture_becomes_a_small_jpeg_and_is_not_changed_itself():
    image = torch.randint(0, 256, (3, 300, 600), dtype=torch.uint8)
    before = image.clone()
    shown = opened(thumbnail(image, 120))
    assert shown.format == "JPEG" and shown.size == (120, 60) and image.equal(before)


def test_a_small_picture_keeps_every_pixel():
    image = torch.randint(0, 256, (3, 20, 130), dtype=torch.uint8)
    shown = opened(thumbnail(image, 480))
    assert shown.format == "PNG"
    assert (np.asarray(shown) == image.permute(1, 2, 0).numpy()).all()


@pytest.mark.parametrize(
    ("bands", "kind", "want"),
    [(1, torch.uint8, [7, 7, 7]), (2, torch.uint8, [7, 7, 7]), (13, torch.int16, [1, 2, 255]),
     (3, torch.float32, [1, 2, 255])],
)  # fmt: skip
def test_many_bands_few_bands_and_deep_ones(bands, kind, want):
    first = torch.tensor([7]) if bands < 3 else torch.tensor([40, 80, 10_000])
    rest = torch.zeros(bands - len(first))
    image = torch.cat([first.float(), rest]).to(kind)[:, None, None].expand(-1, 4, 4)
    shown = np.asarray(opened(thumbnail(image, 480)))
    assert shown[0, 0].tolist() == want


def test_a_black_picture_of_many_bands_stays_black():
    shown = opened(thumbnail(torch.full((13, 8, 8), -5, dtype=torch.int16), 480))
    assert not np.asarray(shown).any()
