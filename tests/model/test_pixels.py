"""A model of images alone may tell the class of each pixel."""

from __future__ import annotations

import json

import pytest
import torch

from csp_core.errors import CheckpointError, ConfigError
from csp_core.image import IMAGE_ENCODERS, make_image_encoder
from csp_core.location import make_location_encoder
from csp_core.model import PIXELS, Calibration, DualEncoder, Heads, is_dense
from csp_core.model.pixels import PIXELS_AT_ONCE
from csp_core.store import list_models, load_model, save_model
from tests.dense import NAMES, TinyDense

HEADS = Heads(image=None, classifiers=(), pixels=True)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(IMAGE_ENCODERS, "tiny_dense", TinyDense)


def model(heads=HEADS, classes=NAMES, image="tiny_dense"):
    torch.manual_seed(0)
    encoder = None if image is None else make_image_encoder(image, 8)
    location = make_location_encoder("xyz", 8) if image is None else None
    return DualEncoder(encoder, location, dim=8, classes=classes, heads=heads, name="fields")


def test_heads_say_nothing_of_pixels_where_there_are_none():
    assert "pixels" not in Heads().to_dict()
    assert Heads.from_dict(HEADS.to_dict()) == HEADS
    assert Heads().beside(HEADS).pixels and HEADS.beside(Heads()).pixels
    with pytest.raises(ConfigError, match="pixels is 1; give true or false"):
        Heads(pixels=1)


def test_logits_and_embeddings_keep_the_pixels():
    made = model()
    image = torch.randint(0, 255, (3, 3, 9, 13), dtype=torch.uint8)
    logits, maps = made.pixel_logits(image), made.embed_pixels(image)
    assert logits.shape == (3, 4, 9, 13) and logits.requires_grad
    assert maps.shape == (3, 8, 9, 13) and not maps.requires_grad
    torch.testing.assert_close(made.pixel_classifier(maps.clone()), logits)
    assert list(dict(made.named_children())) == ["image", "pixel_classifier"]


def test_the_prior_is_the_calibrated_softmax_in_parts_of_any_size(monkeypatch):
    made = model().train()
    made.calibration = Calibration(pixel_temperature=2.0)
    image = torch.rand(5, 3, 8, 8)
    prior = made.pixel_prior(image)
    want = (made.pixel_logits(image) / 2).softmax(dim=1)
    torch.testing.assert_close(prior.clone(), want.detach())
    assert prior.dtype == torch.float32 and made.training
    torch.testing.assert_close(prior.sum(dim=1).clone(), torch.ones(5, 8, 8))
    seen = []
    dense_maps = made.image.dense_maps

    def counted(image, days):
        seen.append(len(image))
        return dense_maps(image, days)

    monkeypatch.setattr(made.image, "dense_maps", counted)
    monkeypatch.setattr("csp_core.model.pixels.PIXELS_AT_ONCE", 2 * 64)
    torch.testing.assert_close(made.pixel_prior(image).clone(), prior.clone())
    assert seen == [2, 2, 1] and PIXELS_AT_ONCE > 128
    assert made.pixel_prior(image[:0]).shape == (0, 4, 8, 8)


def test_series_pass_with_their_dates():
    made = model()
    series = torch.rand(2, 3, 3, 8, 8)
    days = torch.tensor([[0.1, 0.5, torch.nan]]).repeat(2, 1)
    got = made.pixel_prior(series, days)
    torch.testing.assert_close(got, made.pixel_prior(series[:, :2]))
    assert made.embed_pixels(series, days).shape == (2, 8, 8, 8)


def test_the_bias_starts_at_the_shares_of_the_pixels():
    made = model()
    share = torch.tensor([0.5, 0.34, 0.12, 0.04])
    made.set_class_frequency(share)
    torch.nn.init.zeros_(made.pixel_classifier.weight)
    prior = made.pixel_prior(torch.rand(1, 3, 4, 4))
    torch.testing.assert_close(prior[0, :, 2, 2].clone(), share)


def test_a_model_is_read_as_it_was_saved(tmp_path, monkeypatch):
    made = model()
    made.calibration = Calibration(pixel_temperature=1.7)
    save_model(made, tmp_path / "fields")
    read = load_model(tmp_path / "fields")
    image = torch.rand(2, 3, 8, 8)
    assert torch.equal(read.pixel_prior(image), made.pixel_prior(image))
    assert read.heads == HEADS and read.calibration.divisors(PIXELS) == 1.7
    monkeypatch.setenv("CSP_MODELS", str(tmp_path))
    found = next(one for one in list_models() if one.name == "fields")
    assert found.sees_pixels and not found.sees_images and not found.knows_places
    config = json.loads((tmp_path / "fields" / "config.json").read_text())
    config["heads"]["pixels"] = "yes"
    (tmp_path / "fields" / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="pixels is 'yes'"):
        load_model(tmp_path / "fields")


@pytest.mark.parametrize("pixels", [False, True])
def test_only_a_model_of_pixels_keeps_their_temperature(pixels):
    values = Calibration().to_dict(images=True, pixels=pixels)
    assert ("pixel_temperature" in values) is pixels
    assert Calibration.from_dict(values) == Calibration()
    with pytest.raises(ConfigError, match="pixel_temperature is 0"):
        Calibration(pixel_temperature=0.0)


def test_who_keeps_no_pixels_gets_no_classifier_of_them():
    assert is_dense(model().image) and not is_dense(None)
    with pytest.raises(ConfigError, match="gives a vector a picture"):
        model(image="small_convnet")
    with pytest.raises(ConfigError, match="no image encoder"):
        model(image=None)
    with pytest.raises(ConfigError, match="pictures with masks"):
        model(classes=None)
    plain = model(Heads(image=None, classifiers=()))
    with pytest.raises(ConfigError, match="objective segmentation"):
        plain.pixel_logits(torch.rand(1, 3, 8, 8))
    small = model(Heads(), image="small_convnet")
    with pytest.raises(ConfigError, match="says nothing of each of them"):
        small.embed_pixels(torch.rand(1, 3, 16, 16))


def test_who_asks_about_a_whole_picture_or_a_place_is_told_of_the_map():
    with pytest.raises(ConfigError, match="csp segment"):
        model().image_prior(torch.rand(1, 3, 8, 8))
    with pytest.raises(ConfigError, match="csp segment"):
        model().prior(torch.zeros(1, 2))
