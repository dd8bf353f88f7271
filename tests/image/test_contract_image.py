"""What every entry of the table of image encoders keeps to."""

from __future__ import annotations

import json

import pytest
import torch

from csp_core.config.schema import options, summary
from csp_core.errors import ConfigError
from csp_core.image import IMAGE_ENCODERS, make_image_encoder

# Small ones where the default is large.
EXAMPLES = {
    "timm": {"model": "test_resnet"},
    "unet3d": {"dates": 4, "width": 4},
    "small_convnet": {"width": 8},
}


def made(name, dim=6):
    torch.manual_seed(0)
    return make_image_encoder(name, dim, **EXAMPLES.get(name, {})).eval()


def images(encoder):
    chance = torch.Generator().manual_seed(1)
    shape = (2, 4, 3, 32, 32) if encoder.takes_series else (2, 3, 32, 32)
    return torch.rand(shape if encoder.sees_pixels else (2, 6), generator=chance)


@pytest.mark.parametrize("name", IMAGE_ENCODERS)
def test_images_become_rows_that_learn(name):
    encoder = made(name)
    found = encoder(images(encoder))
    assert found.shape == (2, encoder.out_dim) == (2, 6) and found.isfinite().all()
    if list(encoder.parameters()):
        found.square().sum().backward()
        assert sum(p.grad is not None and bool(p.grad.any()) for p in encoder.parameters())


@pytest.mark.parametrize("name", IMAGE_ENCODERS)
def test_its_spec_makes_it_again(name):
    encoder = made(name)
    if encoder.sees_pixels:
        encoder.fit_bands(images(encoder))
    twin = make_image_encoder(**json.loads(json.dumps(encoder.spec)))
    twin.load_state_dict(encoder.state_dict())
    assert torch.equal(twin.eval()(images(encoder)), encoder(images(encoder)))
    assert twin.spec == encoder.spec


@pytest.mark.parametrize("name", IMAGE_ENCODERS)
def test_its_bands_are_measured_if_it_sees_pixels(name):
    encoder, state = made(name), made(name).state_dict()
    image = images(encoder)
    encoder.fit_bands(image)
    moved = [key for key, value in encoder.state_dict().items() if not value.equal(state[key])]
    assert [key.split(".")[-1] for key in moved] == ["mean", "std"] * encoder.sees_pixels
    if encoder.sees_pixels:
        assert torch.allclose(
            encoder.mean, image.movedim(-3, 0).flatten(1).mean(dim=1)[:, None, None]
        )


@pytest.mark.parametrize("name", [n for n, kind in IMAGE_ENCODERS.items() if kind.dense])
def test_dense_ones_describe_each_pixel(name):
    encoder = made(name)
    found = encoder.dense_maps(images(encoder))
    assert found.shape == (2, 6, 32, 32) and found.dtype == torch.float32
    whole = (images(encoder) * 255).round().to(torch.uint8)
    assert torch.allclose(encoder.dense_maps(whole), encoder.dense_maps(whole / 255), atol=1e-4)
    with pytest.raises(ConfigError):
        make_image_encoder(name, 0, **EXAMPLES.get(name, {}))


@pytest.mark.parametrize("name", IMAGE_ENCODERS)
def test_forms_can_tell_of_it(name):
    assert summary("image", name).endswith(".")
    told = {option.name: option.help for option in options("image", name)}
    assert all(sentence.endswith(".") for sentence in told.values()), told
