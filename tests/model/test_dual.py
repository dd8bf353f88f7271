"""The dual encoder: its parts, its prior and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from csp_core.errors import ConfigError
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder

PLACES = torch.tensor([[36.8, -1.3], [16.4, 48.2], [0.0, 90.0]])


class Pixels(nn.Module):
    out_dim = 12

    def forward(self, image):
        return image.flatten(1)


def model(**options):
    torch.manual_seed(0)
    location = make_location_encoder("xyz", 8)
    return DualEncoder(None, location, dim=8, classes=["a", "b", "c"], **options)


def test_logits_are_the_classifier_over_the_embedding():
    made = model().eval()
    want = made.location(PLACES) @ made.classifier.weight.T + made.classifier.bias
    torch.testing.assert_close(made.class_logits(PLACES), want)


def test_share_is_a_softmax_at_the_temperature():
    made = model().eval()
    made.calibration = replace(made.calibration, temperature=2.5)
    want = (made.class_logits(PLACES) / 2.5).exp()
    torch.testing.assert_close(made.prior(PLACES), want / want.sum(1, keepdim=True))


def test_relative_is_one_sigmoid_a_class():
    made = model(prior_kind="relative").eval()
    torch.testing.assert_close(made.prior(PLACES), 1 / (1 + (-made.class_logits(PLACES)).exp()))


@pytest.mark.parametrize("training", [True, False])
def test_prior_has_no_dropout_and_keeps_the_mode(training):
    made = model().train(training)
    assert torch.equal(made.prior(PLACES), made.prior(PLACES))
    assert made.training is made.location.training is training
    assert not made.prior(PLACES).requires_grad


def test_prior_takes_places_of_another_type():
    made = model()
    torch.testing.assert_close(made.prior(PLACES.double()), made.prior(PLACES))


def test_class_frequency_becomes_the_bias():
    made = model()
    frequency = torch.tensor([0.7, 0.3, 0.0])
    made.set_class_frequency(frequency)
    torch.testing.assert_close(made.classifier.bias.exp(), torch.tensor([0.7, 0.3, 1e-6]))
    with torch.no_grad():
        made.classifier.weight.zero_()
    torch.testing.assert_close(made.prior(PLACES)[0], frequency, atol=2e-6, rtol=0)


@pytest.mark.parametrize("options", [{"bias": False}, {"prior_kind": "relative"}])
def test_class_frequency_has_no_place_in_other_models(options):
    made = model(**options)
    before = [p.clone() for p in made.parameters()]
    made.set_class_frequency(torch.tensor([0.7, 0.3, 0.0]))
    assert all(map(torch.equal, before, made.parameters()))


def test_images_go_through_one_affine_head():
    made = DualEncoder(Pixels(), None, dim=5)
    image = torch.rand(2, 3, 2, 2)
    want = image.flatten(1) @ made.image_head.weight.T + made.image_head.bias
    torch.testing.assert_close(made.embed_image(image), want)
    assert made.classifier is None and len(made.classes) == 0


def test_what_is_missing_is_named():
    with pytest.raises(ConfigError, match="no location classifier"):
        DualEncoder(Pixels(), None, dim=5).class_logits(PLACES)
    with pytest.raises(ConfigError, match="no location classifier"):
        DualEncoder(None, make_location_encoder("xyz", 8), dim=8).prior(PLACES)
    with pytest.raises(ConfigError, match="no image encoder"):
        model().embed_image(torch.rand(1, 3, 2, 2))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="gives 8 dimensions, the model wants 9"):
        DualEncoder(None, make_location_encoder("xyz", 8), dim=9)
    with pytest.raises(ConfigError, match="'likelihood'"):
        model(prior_kind="likelihood")
    with pytest.raises(ConfigError, match="out_dim"):
        DualEncoder(nn.Identity(), None, dim=8)
