"""RandAugment's operations: Pillow's to the grey level, and what stands in for more bands."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from csp_core.augment import operations
from csp_core.augment.randaugment import OPERATIONS
from tests.pillow_operations import PILLOW, pictures

GEOMETRY = sorted(name for name, operation in OPERATIONS.items() if operation.matrix)
COLOUR = sorted(set(OPERATIONS) - set(GEOMETRY))


def change(name, image, values):
    operation = OPERATIONS[name]
    given = values
    if operation.matrix is not None:
        given = [operation.matrix(v, *image.shape[2:]) for v in values]
    return operation.change(image, torch.tensor(given, dtype=torch.float64))


def values_of(name, n):
    drawn = torch.rand(n, generator=torch.Generator().manual_seed(7)).tolist()
    return [OPERATIONS[name].number(u, None) for u in drawn]


def as_pillow(name, image, value):
    array = image.permute(1, 2, 0).numpy()
    picture = Image.fromarray(np.ascontiguousarray(array[..., 0] if len(image) == 1 else array))
    made = torch.from_numpy(np.array(PILLOW[name](picture, value)))
    return made[None] if made.ndim == 2 else made.permute(2, 0, 1)


def test_the_list_is_fixmatchs():
    assert set(OPERATIONS) == set(PILLOW) and len(OPERATIONS) == 14
    ranges = {name: (o.low, o.high) for name, o in OPERATIONS.items()}
    assert {ranges[name] for name in ("brightness", "color", "contrast", "sharpness")} == {
        (0.05, 0.95)
    }
    assert {ranges[n] for n in ("shear_x", "shear_y", "translate_x", "translate_y")} == {
        (-0.3, 0.3)
    }
    assert ranges["rotate"] == (-30, 30) and ranges["posterize"] == (4, 8)
    assert ranges["solarize"] == (0, 256)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 24, 40), (1, 33, 20), (3, 8, 8), (3, 2, 5)])
def test_each_is_pillows_to_the_grey_level(name, shape):
    image = pictures(*shape)
    before, values = image.clone(), values_of(name, len(image))
    found = change(name, image, values)
    assert found.dtype == torch.uint8 and torch.equal(image, before)
    for row, value in enumerate(values):
        assert torch.equal(found[row], as_pillow(name, image[row], value)), (row, value)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.float32])
@pytest.mark.parametrize("bands", [1, 2, 3, 13])
def test_rows_do_not_see_each_other(name, kind, bands):
    image = of_kind(pictures(bands, 24, 20, n=6), kind)
    values = values_of(name, len(image))
    found = change(name, image, values)
    assert found.dtype == kind and found.shape == image.shape
    for row in range(len(image)):
        assert torch.equal(change(name, image[row : row + 1], values[row : row + 1])[0], found[row])


def of_kind(image, kind):
    if kind == torch.uint8:
        return image
    return image / 255 if kind.is_floating_point else image.to(kind) * 20 - 100


@pytest.mark.parametrize("name", GEOMETRY)
def test_geometry_moves_all_bands_together(name):
    image = pictures(13, 24, 30)
    values = values_of(name, len(image))
    found = change(name, image, values)
    for band in range(13):
        one = change(name, image[:, band : band + 1], values)
        assert torch.equal(found[:, band : band + 1], one)
    reflectance = change(name, image.to(torch.int16) * 17, values)
    assert torch.equal(reflectance, found.to(torch.int16) * 17)


@pytest.mark.parametrize("name", sorted(set(COLOUR) - {"color", "identity"}))
def test_colour_of_many_bands_is_that_of_each_band(name):
    image = of_kind(pictures(13, 24, 30), torch.int16)
    values = values_of(name, len(image))
    found = change(name, image, values)
    assert not torch.equal(found, image)
    for band in range(13):
        one = change(name, image[:, band : band + 1], values)
        assert torch.equal(found[:, band : band + 1], one)


@pytest.mark.parametrize("name", COLOUR)
def test_floats_are_changed_as_grey_levels_are(name):
    image = pictures(3, 24, 30)[:-2]
    values = values_of(name, len(image))
    if name == "posterize":
        values = [float(int(value)) for value in values]
    found = 255 * change(name, image.float() / 255, values)
    # Equal frequencies and thresholds fall on other sides of a level here and there.
    away = (found - change(name, image, values).float()).abs()
    assert away.median() <= 2 and (away > 17).float().mean() < 0.01


def test_reflectance_is_stretched_to_white():
    image = of_kind(pictures(12, 24, 30)[:3], torch.int16)
    for name in ("autocontrast", "equalize"):
        found = change(name, image, [0.0] * 3)
        # What is left of a whole number is cut off, as in 8 bits.
        assert found.amin().item() == 0 and found.amin(dim=(2, 3)).eq(0).all()
        assert found.amax().item() == 3558 and found.amax(dim=(2, 3)).ge(3557).all()
    dark = change("solarize", torch.tensor([[[[3000, 9000, 500]]]]).to(torch.int16), [128.0])
    assert dark.flatten().tolist() == [558, 0, 500]  # brighter than white becomes black


def test_colours_of_many_bands_go_to_the_mean_spectrum():
    image = of_kind(pictures(12, 24, 30)[:4], torch.float32) + 0.1
    grey = change("color", image, [0.0] * 4)
    spectrum = image.mean(dim=(2, 3), keepdim=True)
    share = grey / spectrum
    assert torch.allclose(share, share[:, :1].expand_as(share), rtol=1e-4)
    assert torch.allclose(grey.mean(dim=1), image.mean(dim=1), rtol=1e-4)
    assert torch.allclose(grey.mean(dim=(2, 3)), spectrum[..., 0, 0], rtol=1e-4)
    one = image[:, :1]
    assert torch.equal(change("color", one, [0.3] * 4), one)
    assert torch.equal(change("color", torch.zeros(1, 13, 4, 4), [0.3]), torch.zeros(1, 13, 4, 4))


@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.float32])
@pytest.mark.parametrize("bands", [1, 3, 13])
def test_an_image_of_one_value_stays_finite_and_is_not_stretched(kind, bands):
    image = torch.full((1, bands, 16, 16), 1 if kind.is_floating_point else 60, dtype=kind)
    for name in COLOUR:
        found = change(name, image, [OPERATIONS[name].low])
        assert found.isfinite().all() and (found == found[0, 0, 0, 0]).all(), name
    for name in ("autocontrast", "equalize", "contrast", "sharpness", "color"):
        found = change(name, image, [OPERATIONS[name].low])
        assert (found.double() - image.double()).abs().max() <= (
            1e-6 if kind.is_floating_point else 0
        ), name


def test_white():
    assert operations.white_of(torch.zeros(1, dtype=torch.uint8)) == 255
    assert operations.white_of(torch.zeros(1, dtype=torch.int16)) == 3558
    assert operations.white_of(torch.zeros(1)) == 1
