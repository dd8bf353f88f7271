"""Dense encoders in runs: what a model of places learned of images goes into a U-Net."""

from __future__ import annotations

import json

import pytest
import torch

from csp_core.config import parse_config
from csp_core.errors import CheckpointError
from csp_core.image import make_image_encoder
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from csp_core.store import load_model, save_model
from csp_core.training import train
from tests.data.sets import eurosat

SMALL = {"name": "small_convnet", "width": 8}


def saved(folder, image, location=None):
    model = DualEncoder(image, location, dim=8, classes=("a",))
    return save_model(model.eval(), folder)


def test_a_unet_in_a_run_starts_from_the_image_side_of_a_model_of_places(tmp_path):
    first = make_image_encoder(dim=None, **SMALL)
    first.fit_bands(torch.rand(8, 3, 32, 32))
    start = saved(tmp_path / "first", first, make_location_encoder("xyz", dim=8))
    tree = {
        "name": "patches",
        "data": {"name": "eurosat", "root": str(eurosat.make(tmp_path)), "val_fraction": 0.3},
        "model": {
            **{"dim": 8, "location": None, "init_from": str(start)},
            "image": {"name": "unet", "backbone": SMALL, "width": 8, "dim": 6},
        },
        "objective": {"name": "image_softmax", "sides": ["image"]},
        "training": {"epochs": 1, "batch_size": 8, "device": "cpu", "learning_rate": 1e-9},
    }
    found = train(parse_config(tree), run_dir=tmp_path / "run")
    model = load_model(found.model_directory)
    assert model.image.spec["backbone"]["cells"] == 1  # defaults are written out
    assert torch.equal(model.image.mean, first.mean)
    before = dict(first.net.named_parameters())
    for name, value in model.image.backbone.net.named_parameters():
        assert torch.allclose(value, before[name], atol=1e-6), name
    assert model.image_stats is not None  # so that strange pictures can be told


def test_a_model_that_names_files_inside_is_refused(tmp_path):
    folder = saved(tmp_path / "model", make_image_encoder("unet", 4, backbone=SMALL))
    config = json.loads((folder / "config.json").read_text())
    config["image"]["backbone"]["weights"] = str(tmp_path / "other.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="backbone has the option 'weights'"):
        load_model(folder)
