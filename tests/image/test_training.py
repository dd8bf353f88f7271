"""Training with pixels: all of the backbone or none, from the configuration to the model kept."""

from __future__ import annotations

import pytest
import torch

from csp_core.config import load_config, parse_config
from csp_core.files import cache_folder, hash_file
from csp_core.store import load_model
from csp_core.training import train
from csp_core.training.loop import Stage
from tests.data.sets import eurosat


def tree(root, image, **training):
    return {
        "name": "patches",
        "data": {"name": "eurosat", "root": str(root), "val_fraction": 0.2, "test_fraction": 0.2},
        "model": {"dim": 8, "location": {"name": "xyz"}, "image": image},
        "objective": {"name": "csp_mc", "dropout_weight": 0},
        "training": {"epochs": 2, "batch_size": 4, "device": "cpu", **training},
    }


SMALL = {"name": "small_convnet", "width": 8}


def weights_of(result):
    return hash_file(result.model_directory / "model.safetensors")


def test_a_model_is_trained_kept_and_read_back(tmp_path):
    config = parse_config(tree(eurosat.make(tmp_path), SMALL, saved_as="float16"))
    result = train(config, run_dir=tmp_path / "run")
    model = load_model(result.model_directory)
    image = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    # What was measured is what is kept: the weights were rounded before.
    assert torch.equal(model.embed_image(image), result.model.embed_image(image))
    assert not (cache_folder() / "features").exists()


@pytest.mark.parametrize("trainable", ["all", "last", "none"])
def test_resume_after_a_crash_equals_a_run_without_one(tmp_path, monkeypatch, trainable):
    root = eurosat.make(tmp_path)
    config = parse_config(tree(root, {**SMALL, "trainable": trainable}, checkpoint_every=2))
    undisturbed = weights_of(train(config, run_dir=tmp_path / "a"))
    step = Stage._train_step

    def crashing(self, batch):
        if self.progress.step == 5:
            raise RuntimeError
        step(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Stage, "_train_step", crashing)
        with pytest.raises(RuntimeError):
            train(config, run_dir=tmp_path / "b")
    assert weights_of(train(config, run_dir=tmp_path / "b", resume=True)) == undisturbed


def test_a_frozen_backbone_is_run_once_and_answers_like_one_that_is_not(tmp_path):
    root = eurosat.make(tmp_path)
    image = {**SMALL, "trainable": "none"}
    kept = train(parse_config(tree(root, image)), run_dir=tmp_path / "a")
    assert len(list((cache_folder() / "features").glob("*.npy"))) == 2
    plain = train(parse_config(tree(root, image, cache_features=False)), run_dir=tmp_path / "b")
    for name, value in plain.model.state_dict().items():
        assert torch.allclose(value, kept.model.state_dict()[name], atol=2e-3), name
    assert kept.history[-1]["loss"] == pytest.approx(plain.history[-1]["loss"], rel=1e-3)


def test_weights_are_found_beside_the_configuration(tmp_path):
    import yaml

    root = eurosat.make(tmp_path)
    first = train(parse_config(tree(root, SMALL)), run_dir=tmp_path / "first")
    start = {**SMALL, "weights": "first", "trainable": "none"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tree(root, start)))
    config = load_config(tmp_path / "config.yaml")
    assert config.model.image.options["weights"] == str(tmp_path / "first")
    assert str(tmp_path) not in str(config.without_folders())
    second = train(config, run_dir=tmp_path / "second")
    before, after = first.model.image.net.state_dict(), second.model.image.net.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    tree_of_hub = tree(root, {"name": "timm", "weights": "pretrained"})
    (tmp_path / "hub.yaml").write_text(yaml.safe_dump(tree_of_hub))
    assert load_config(tmp_path / "hub.yaml").model.image.options["weights"] == "pretrained"
