"""Augmentations: what each does to pixels whose values tell where they were."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from csp_core.augment import AUGMENTATIONS, augment, augmentation
from csp_core.augment.pixels import (
    as_kind,
    colour,
    crop,
    mirror,
    recolour,
    shift,
    turn,
    weak_reflect,
    weak_reflect_upright,
)
from csp_core.errors import ConfigError, UnknownNameError


def images(n=4, bands=3, side=16, dtype=torch.uint8):
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(0, 256, (n, bands, side, side), generator=generator)
    return drawn.to(dtype) / 255 if dtype.is_floating_point else drawn.to(dtype)


def seeded(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float32])
@pytest.mark.parametrize("shape", [(3, 16, 16), (13, 16, 16), (3, 16, 24)])
def test_shape_and_kind_stay_and_the_same_numbers_give_the_same_images(name, dtype, shape):
    image = images(5, shape[0], 24, dtype)[:, :, : shape[1], : shape[2]]
    before, uniform = image.clone(), seeded(5, augmentation(name).draws)
    found = augment(image, name, uniform)
    assert found.shape == image.shape and found.dtype == image.dtype
    assert torch.equal(found, augment(image, name, uniform)) and torch.equal(image, before)
    # Each image depends on its own numbers alone, so a part of a batch comes out the same.
    assert torch.equal(augment(image[2:4], name, uniform[2:4]), found[2:4])
    assert not torch.equal(found, image)


def test_eight_ways_to_turn_a_square_are_all_different():
    image = images(1).expand(8, -1, -1, -1)
    found = turn(image, (torch.arange(8) + 0.5) / 8)
    assert len({tuple(some.flatten().tolist()) for some in found}) == 8
    assert torch.equal(found[0], image[0]) and torch.equal(found[1], image[0].flip(2))
    assert torch.equal(found[4], image[0].transpose(1, 2))
    assert torch.equal(found[3], image[0].rot90(2, (1, 2)))


def test_photos_stay_upright():
    image = images(2)
    found = mirror(image, torch.tensor([0.1, 0.9]))
    assert torch.equal(found[0], image[0].flip(2)) and torch.equal(found[1], image[1])


def test_shift_moves_and_mirrors_at_the_edge():
    row = torch.arange(16, dtype=torch.uint8).expand(3, 1, 16, 16)
    found = shift(row, torch.tensor([[0.5, 0.0], [0.5, 0.5], [0.5, 0.999]]))
    assert found[0, 0, 3].tolist() == [1, *range(15)]
    assert torch.equal(found[1], row[1])
    assert found[2, 0, 3].tolist() == [*range(1, 16), 14]


@pytest.mark.parametrize("shape", [(3, 32, 32), (13, 16, 40), (1, 7, 9)])
def test_reflected_crops_are_cut_out_of_the_padded_image(shape):
    image = images(8, shape[0], 40)[:, :, : shape[1], : shape[2]]
    down, right = (int(side * 0.125) for side in shape[1:])
    uniform = seeded(8, 4)
    found, photos = weak_reflect(image, uniform), weak_reflect_upright(image, uniform)
    for row, (y, x, upside, sides) in enumerate(uniform.tolist()):
        padded = np.pad(image[row].numpy(), ((0, 0), (down, down), (right, right)), mode="reflect")
        y, x = int(y * (2 * down + 1)), int(x * (2 * right + 1))
        cut = padded[:, y : y + shape[1], x : x + shape[2]]
        cut = cut[:, :, ::-1] if sides < 0.5 else cut
        assert np.array_equal(photos[row].numpy(), cut)
        assert np.array_equal(found[row].numpy(), cut[:, ::-1] if upside < 0.5 else cut)


def test_crop_of_everything_is_the_image_and_a_part_is_larger():
    image = images(2, dtype=torch.float32)
    whole = crop(image, torch.tensor([[0.9999999, 0.5, 0.5, 0.5]]).expand(2, 4))
    assert torch.allclose(whole, image, atol=1e-4)
    ramp = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    part = crop(ramp, torch.tensor([[0.0, 0.5, 0.5, 0.0]]))
    assert part[0, 0, 0, -1] - part[0, 0, 0, 0] == pytest.approx(0.35**0.5, abs=0.02)
    assert part[0, 0, 0, 0] == pytest.approx(0, abs=0.01)


def test_colour_changes_what_it_says():
    image = images(1, dtype=torch.float32)
    middle = [0.5, 0.5, 0.5, 0.9, 0.9]
    change = {
        "none": (middle, lambda f: torch.allclose(f, image, atol=1e-6)),
        "brightness": ([1.0, *middle[1:]], lambda f: torch.allclose(f, 1.4 * image, atol=1e-5)),
        "grey": ([*middle[:3], 0.0, 0.9], lambda f: torch.allclose(f[:, 0], f[:, 2], atol=1e-6)),
        "soft": ([*middle[:4], 0.0], lambda f: f.std() < 0.6 * image.std()),
        "contrast": (
            [0.5, 0.0, *middle[2:]],
            lambda f: torch.isclose(f.std(), 0.6 * image.std(), rtol=1e-3),
        ),
    }
    for name, (numbers, holds) in change.items():
        assert holds(colour(image, torch.tensor([numbers]))), name
    bright = colour(torch.full((1, 3, 4, 4), 250, dtype=torch.uint8), torch.full((1, 5), 0.99))
    assert bright.max() == 255  # no overflow


def test_recolour_changes_each_by_at_most_15_percent():
    image = images(1, dtype=torch.float32)
    assert torch.allclose(recolour(image, torch.full((1, 3), 0.5)), image, atol=1e-6)
    bright = recolour(image, torch.tensor([[1.0, 0.5, 0.5]]))
    assert torch.allclose(bright, 1.15 * image, atol=1e-5)
    flat = recolour(image, torch.tensor([[0.5, 0.0, 0.5]]))
    assert flat.std() == pytest.approx(0.85 * float(image.std()), rel=1e-3)
    pale = recolour(image, torch.tensor([[0.5, 0.5, 0.0]]))
    grey = image.mean(dim=1, keepdim=True)
    assert torch.allclose(pale - grey, 0.85 * (image - grey), atol=1e-5)


def test_what_does_not_fit():
    with pytest.raises(UnknownNameError, match="Did you mean 'strong'"):
        augmentation("stron")
    with pytest.raises(ConfigError, match="Features cannot be augmented"):
        augment(torch.zeros(3, 128), "weak", torch.rand(3, 3))
    with pytest.raises(ConfigError, match="by 3 numbers"):
        augment(images(), "weak", torch.rand(4, 2))
    with pytest.raises(ConfigError, match="give uint8, int16, int32"):
        augment(images().long(), "strong", torch.rand(4, 10))


def test_sixteen_bits_without_a_sign_keep_their_brightest():
    image = torch.tensor([0.0, 32_768.4, 65_535.0, 70_000.0])
    assert as_kind(image, torch.int32).tolist() == [0, 32_768, 65_535, 65_535]
    assert as_kind(image, torch.int16).tolist() == [0, 32_767, 32_767, 32_767]
