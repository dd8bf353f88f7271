"""What a teacher is told of place and date, and that it alone is told."""

from __future__ import annotations

import math
from datetime import date

import pytest
import torch
from torch import nn

from csp_core.errors import ConfigError
from csp_core.image import make_image_encoder
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder, Heads
from csp_core.objectives.semisup.teacher import (
    FourNumbers,
    KnownPlaces,
    Labeller,
    make_metadata,
    white_logits,
)

NAN = math.nan
VIT = {
    "name": "timm", "model": "vit_tiny_patch16_224", "size": 8, "dim": None,
    "architecture": {"patch_size": 4, "embed_dim": 12, "depth": 1, "num_heads": 2},
}  # fmt: skip
CONVNET = {"name": "small_convnet", "dim": None, "width": 8, "norm": "group", "size": 8}
PLACES = torch.tensor([[11.575, 48.137], [NAN, NAN], [151.2, -33.9], [NAN, 10.0]])
DATES = torch.tensor([0.3, 0.5, NAN, NAN])


def part_of_the_year(day: date) -> float:
    """Give the date as records have it."""
    return (day.timetuple().tm_yday - 1) / 365


def model(image=VIT, heads=None):
    torch.manual_seed(0)
    wanted = heads or Heads(None, None, ("image",))
    return DualEncoder(make_image_encoder(**image), None, classes=("a", "b", "c"), heads=wanted)


def pixels(number=4):
    return torch.rand(number, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("lonlat", "day", "want"),
    [
        ((11.575, 48.137), date(2017, 7, 17), (0.534856, 0.064306, -0.263665, -0.964614)),
        ((151.2, -33.9), date(2021, 1, 1), (-0.376667, 0.84, 0.017213, 0.999852)),
    ],
)
def test_the_published_four_numbers(lonlat, day, want):
    found = FourNumbers()(torch.tensor([lonlat]), torch.tensor([part_of_the_year(day)]))
    torch.testing.assert_close(found, torch.tensor([want]), atol=1e-6, rtol=0)


def test_the_year_is_a_circle():
    days = [date(2021, 12, 31), date(2021, 1, 1), date(2021, 1, 2), date(2021, 7, 1)]
    dates = torch.tensor([part_of_the_year(day) for day in days])
    found = FourNumbers()(torch.zeros(4, 2), dates)
    steps = (found[1:] - found[:-1]).norm(dim=1)
    assert steps[0].item() == pytest.approx(steps[1].item(), rel=1e-3)
    assert steps[0] < 0.02 and steps[2] > 1.9


def test_what_is_not_known_has_learned_numbers():
    made = FourNumbers()
    with torch.no_grad():
        made.missing_place.copy_(torch.tensor([3.0, 4.0]))
        made.missing_date.copy_(torch.tensor([5.0, 6.0]))
    found = made(PLACES, DATES)
    assert found[1, :2].tolist() == found[3, :2].tolist() == [3.0, 4.0]
    assert found[2, 2:].tolist() == found[3, 2:].tolist() == [5.0, 6.0]
    assert found.isfinite().all()
    found.sum().backward()
    assert made.missing_place.grad.tolist() == made.missing_date.grad.tolist() == [2.0, 2.0]


SEASONS = {"name": "sphere_c", "num_scales": 4, "time": True}


@pytest.mark.parametrize(
    "metadata", ["reference", "xyz", {"name": "sphere_c", "num_scales": 4}, SEASONS]
)
def test_nothing_is_nan_whatever_is_not_known(metadata):
    torch.manual_seed(0)
    made = make_metadata(metadata, 12)
    for dates, hours in ((DATES, torch.full((4,), NAN)), (None, None)):
        made.zero_grad()
        found = made(PLACES, dates, hours)
        assert found.shape == (4, 12) and found.isfinite().all()
        found.square().sum().backward()
        assert all(w.grad is None or w.grad.isfinite().all() for w in made.parameters())
    assert made.encoding.missing_place.grad.abs().sum() > 0
    # Places that are not known are alike; a half-known one is not known.
    apart = made(torch.tensor([[NAN, 3.0], [NAN, NAN], [5.0, NAN]]), None, None)
    assert torch.equal(apart[0], apart[1]) and torch.equal(apart[0], apart[2])


@pytest.mark.parametrize("image", [VIT, CONVNET])
def test_a_teacher_looks_at_place_and_date_and_one_of_images_does_not(image):
    knows, blind = Labeller(model(image), "reference").eval(), Labeller(model(image)).eval()
    elsewhere, later = PLACES.flip(0), (DATES + 0.25) % 1
    with torch.no_grad():
        first, token = knows(pixels(), PLACES, DATES)
        assert not torch.equal(knows(pixels(), elsewhere, DATES)[0], first)
        assert not torch.equal(knows(pixels(), PLACES, later)[0], first)
        assert (token is None) == (image is CONVNET)
        assert torch.equal(blind(pixels(), PLACES, DATES)[0], blind(pixels(), elsewhere, later)[0])
        assert torch.equal(blind(pixels(), PLACES, DATES)[0], blind(pixels())[0])
    assert blind.metadata is None and blind.image.token is None


def test_a_teacher_begins_with_the_encoder_and_a_classifier_of_its_own():
    one = model()
    made = Labeller(one, "reference")
    state = made.image.state_dict()
    assert all(torch.equal(state[name], value) for name, value in one.image.state_dict().items())
    assert not torch.equal(made.classifier.weight, one.image_classifier.weight)
    own = {id(weight) for weight in one.parameters()}
    assert not any(id(weight) in own for weight in made.parameters())
    assert one.image.token is None and made.image.token is not None


def test_a_location_encoder_that_does_not_learn_stays():
    encoder = make_location_encoder("sphere_c", 6, num_scales=2)
    made = make_metadata(encoder, 12, trained=False).train()
    assert isinstance(made.encoding, KnownPlaces) and made.encoding.encoder is not encoder
    assert not any(w.requires_grad for w in made.encoding.encoder.parameters())
    assert not made.encoding.encoder.training and made.encoding.training
    assert made.encoding.missing_place.requires_grad
    assert all(w.requires_grad for w in encoder.parameters())
    trained = make_metadata(encoder, 12).train()
    assert all(w.requires_grad for w in trained.parameters())
    assert trained.encoding.encoder.training


def test_metadata_that_is_none():
    for given in (3, ["reference"], None):
        with pytest.raises(ConfigError, match=r"give reference, a location encoder such as"):
            make_metadata(given, 12)


def test_white_is_1_everywhere_once_normalised():
    one = model()
    one.image.mean.fill_(0.3)
    one.image.std.fill_(0.2)
    seen = {}
    one.image.net.register_forward_pre_hook(lambda _, given: seen.update(pixels=given[0]))
    logits = white_logits(one.image.eval(), one.image_classifier, (8, 8))
    assert logits.shape == (1, 3)
    torch.testing.assert_close(seen["pixels"], torch.ones(1, 3, 8, 8))
    assert isinstance(one.image_classifier, nn.Linear)
