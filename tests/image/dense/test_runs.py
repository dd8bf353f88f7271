"""Dense encoders in runs: what CSP learned goes into a U-Net, by either key."""

from __future__ import annotations

import json

import pytest
import torch

from csp_core.config import parse_config
from csp_core.errors import CheckpointError
from csp_core.store import load_model
from csp_core.training import train
from tests.data.sets import eurosat

SMALL = {"name": "small_convnet", "width": 8}


def tree(root, image, objective, **model):
    return {
        "name": "patches",
        "data": {"name": "eurosat", "root": str(root), "val_fraction": 0.2, "test_fraction": 0.2},
        "model": {"dim": 8, "location": None, "image": image, **model},
        "objective": objective,
        "training": {"epochs": 1, "batch_size": 4, "device": "cpu", "learning_rate": 1e-9},
    }


def test_a_unet_in_a_run_starts_from_an_encoder_that_csp_trained(tmp_path):
    root = eurosat.make(tmp_path)
    csp = {"name": "csp_mc", "dropout_weight": 0}
    first = train(parse_config(tree(root, SMALL, csp, location={"name": "xyz"})),
                  run_dir=tmp_path / "first")  # fmt: skip
    folder = str(first.model_directory)
    unet = {"name": "unet", "backbone": SMALL, "width": 8, "dim": 6}
    runs = (
        tree(root, unet, {"name": "image_softmax"}, init_from=folder),
        tree(root, {**unet, "weights": folder}, {"name": "image_softmax"}),
    )
    for number, plain in enumerate(runs):
        found = train(parse_config(plain), run_dir=tmp_path / str(number))
        model = load_model(found.model_directory)
        assert model.image.spec["backbone"]["cells"] == 1  # defaults are written out
        assert torch.equal(model.image.mean, first.model.image.mean)
        before = dict(first.model.image.net.named_parameters())
        for name, value in model.image.backbone.net.named_parameters():
            assert torch.allclose(value, before[name], atol=1e-6), name
        assert model.image_stats is not None  # so that strange pictures can be told


def test_a_model_that_names_files_inside_is_refused(tmp_path):
    from csp_core.image import make_image_encoder
    from csp_core.model import DualEncoder
    from csp_core.store import save_model

    image = make_image_encoder("unet", 4, backbone=SMALL)
    folder = save_model(DualEncoder(image, None, dim=4, classes=("a",)), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["image"]["backbone"]["weights"] = str(tmp_path / "other.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="backbone has the option 'weights'"):
        load_model(folder)
