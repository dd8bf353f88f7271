"""RandAugment as a whole: one image after the other with Pillow, and how strong it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from csp_core.augment import AUGMENTATIONS, augment
from csp_core.augment.pixels import weak_reflect, weak_reflect_upright
from csp_core.augment.randaugment import DRAWS, NUMBER, OPERATIONS, cutout, rand_augment
from tests.pillow_operations import PILLOW, pictures

FORMS = sorted(name for name in AUGMENTATIONS if name.startswith("rand_augment"))


def uniform_numbers(n, columns=DRAWS, seed=0):
    return torch.rand(n, columns, generator=torch.Generator().manual_seed(seed))


def cut_by_pillow(picture, side, across, down):
    width, height = picture.size
    side = 0.5 * side * width
    left, top = (int(max(0, c * s - side / 2)) for c, s in ((across, width), (down, height)))
    corners = (left, top, min(width, left + side), min(height, top + side))
    ImageDraw.Draw(picture).rectangle(corners, (125, 123, 114))
    return picture


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("shape", [(32, 32), (20, 28)])
def test_a_batch_is_what_pillow_makes_of_its_images_one_by_one(name, shape):
    image = pictures(3, *shape, n=60)
    uniform = uniform_numbers(60)
    found = augment(image, name, uniform)
    weak = weak_reflect_upright if "upright" in name else weak_reflect
    start = weak(image, uniform[:, :4])
    names = list(OPERATIONS)
    for row, numbers in enumerate(uniform.tolist()):
        picture = Image.fromarray(start[row].permute(1, 2, 0).numpy().copy())
        for turn in range(NUMBER):
            which, strength = numbers[4 + 2 * turn : 6 + 2 * turn]
            chosen = names[int(which * len(names))]
            value = OPERATIONS[chosen].number(strength, 5 if "m5" in name else None)
            picture = PILLOW[chosen](picture, value)
        if "cutout" in name:
            picture = cut_by_pillow(picture, *numbers[-3:])
        assert np.array_equal(found[row].permute(1, 2, 0).numpy(), np.array(picture)), row


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.float32])
@pytest.mark.parametrize("bands", [1, 3, 12])
def test_each_image_depends_on_its_own_numbers_alone(name, kind, bands):
    image = pictures(bands, 16, 24, n=12)
    image = image / 255 if kind.is_floating_point else image.to(kind)
    uniform, order = uniform_numbers(12), torch.arange(11, -1, -1)
    found = augment(image, name, uniform)
    assert found.dtype == kind and found.shape == image.shape and found.isfinite().all()
    assert torch.equal(augment(image[order], name, uniform[order]), found[order])
    for row in range(12):
        one = slice(row, row + 1)
        assert torch.equal(augment(image[one], name, uniform[one]), found[one])
    others = torch.cat((uniform[:1], uniform_numbers(11, seed=1)))
    assert torch.equal(augment(image, name, others)[0], found[0])
    assert len(augment(image[:0], name, uniform[:0])) == 0


def test_every_operation_comes_equally_often():
    drawn = uniform_numbers(14_000)[:, 4]
    times = torch.bincount((drawn * len(OPERATIONS)).long(), minlength=len(OPERATIONS))
    assert len(times) == 14 and times.min() > 850 and times.max() < 1150


def test_a_magnitude_is_a_part_of_the_way_from_no_change():
    numbers = {name: o.number(0.7, 5) for name, o in OPERATIONS.items()}
    assert numbers["brightness"] == pytest.approx(1 - 0.95 / 6)
    assert numbers["rotate"] == pytest.approx(-5) and numbers["posterize"] == pytest.approx(
        7 + 1 / 3
    )
    assert OPERATIONS["rotate"].number(0.2, 5) == pytest.approx(5)
    assert numbers["solarize"] == pytest.approx(256 * 5 / 6)
    still = pictures(3, 16, 16, n=40)
    uniform = uniform_numbers(40)
    # What has no magnitude is left out here: stretching and making frequencies even.
    fixed = [i for i, name in enumerate(OPERATIONS) if name not in ("autocontrast", "equalize")]
    for turn in range(NUMBER):
        choice = torch.arange(40) % len(fixed)
        uniform[:, 4 + 2 * turn] = (torch.tensor(fixed)[choice] + 0.5) / len(OPERATIONS)
    none = rand_augment(still, uniform, magnitude=0)
    assert torch.equal(none, weak_reflect(still, uniform[:, :4]))
    away = [
        (rand_augment(still, uniform, magnitude=m).float() - none.float()).abs().mean()
        for m in (5, 15, 30)
    ]
    assert 0 < away[0] < away[1] < away[2]


@pytest.mark.parametrize("bands", [1, 13])
@pytest.mark.parametrize("kind", [torch.uint8, torch.int16])
def test_a_hole_in_many_bands_is_as_each_band_is_in_the_mean(bands, kind):
    image = pictures(bands, 20, 28, n=10).to(kind)
    uniform = uniform_numbers(10, 3)
    found = cutout(image, uniform)
    for row, (side, across, down) in enumerate(uniform.tolist()):
        mean = image[row].double().mean(dim=(1, 2))
        blank = Image.new("RGB", (28, 20))
        hole = np.array(cut_by_pillow(blank, side, across, down))[..., 0] == 125
        inside, outside = torch.from_numpy(hole), torch.from_numpy(~hole)
        assert (found[row][:, inside] == mean.to(kind)[:, None]).all() and hole.any()
        assert torch.equal(found[row][:, outside], image[row][:, outside])
    assert torch.equal(cutout(image, torch.zeros(10, 3)), image)
