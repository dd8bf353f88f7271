"""The shipped settings hold what the release states, and what their headers name can be given."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch

from csp_core.config import load_config
from csp_core.objectives.semisup.thresholds import POLICIES, Task

FOLDER = Path(__file__).parents[3] / "configs" / "stssl"
BIGEARTHNET = FOLDER / "bigearthnet_fixmatch.yaml"
# Images learned from, of the published part less what is held out here to choose by.
EUROSAT, STEPS = 19_440, 204_800
TRAINING = {"weight_decay": 5e-4, "decay_vectors": False, "schedule": "cosine_7_16"}


def named(path: Path) -> dict[str, list[str]]:
    """Read the overrides that a header gives each method."""
    header = "\n".join(one[1:] for one in path.read_text().splitlines() if one.startswith("#"))
    found = re.findall(r"^   (\w+) +(objective\.name=.*?)(?=^   \w|^ \w)", header, re.M | re.S)
    return {name: shlex.split(overrides) for name, overrides in found}


@pytest.mark.parametrize("name", ["eurosat_fixmatch", "eurosat_supervised"])
@pytest.mark.parametrize("labels", [10, 20, 40, 80])
def test_eurosat_is_learned_as_published(name, labels):
    given = [f"data.labels={labels}", "data.label_seed=4"]
    config = load_config(FOLDER / f"{name}.yaml", given)
    training = config.training.model_dump()
    assert training.items() >= {**TRAINING, "learning_rate": 5e-5, "batch_size": 8}.items()
    assert training["epochs"] * (EUROSAT // 8) == pytest.approx(STEPS, rel=0.005)
    assert training["warmup"] * STEPS == 5120
    assert training["ema_decay"] == (0.999 if name == "eurosat_fixmatch" else None)
    assert config.data.options["protocol"] == "published" and config.data.options["size"] == 32
    image = config.model.image.options
    assert image["architecture"] == {"patch_size": 2, "drop_path_rate": 0.2}
    assert (*image["mean"], *image["std"]) == (0.5,) * 6
    taught = ["objective.teacher=metadata", "objective.distil=mse", "objective.distil_weight=0.01"]
    options = load_config(FOLDER / f"{name}.yaml", taught).objective.options
    assert (options["metadata"], options["ratio"]) == ("reference", 1)
    plain = ["objective.teacher=none", "objective.distil=none"]
    assert load_config(FOLDER / f"{name}.yaml", plain).objective.options["teacher"] == "none"


def test_fixmatch_on_eurosat_is_the_published_one():
    options = load_config(FOLDER / "eurosat_fixmatch.yaml").objective.options
    assert options["thresholds"] == {"threshold": 0.95}
    assert (options["teacher"], options["distil"], options["distil_weight"]) == (
        ("metadata", "mse", 0.01)
    )  # fmt: skip
    assert (options["weak"], options["strong"]) == ("weak_reflect", "rand_augment_cutout")


def test_bigearthnet_is_learned_as_published():
    config = load_config(BIGEARTHNET)
    training = config.training.model_dump()
    assert training.items() >= {**TRAINING, "learning_rate": 1e-4, "batch_size": 64}.items()
    assert training["epochs"] * (311_667 // (64 * 8 - 64)) == pytest.approx(64_000, rel=0.005)
    assert (training["warmup"], training["ema_decay"]) == (0, 0.999)
    options = config.objective.options
    assert (options["ratio"], options["distil_weight"]) == (7, 1.0)
    assert options["thresholds"] == {"threshold": [0.05, 0.70]}
    assert config.model.image.options["size"] == 128


def test_every_method_that_a_header_names_can_be_made():
    found = named(BIGEARTHNET)
    wanted = {"freematch", "softmatch", "defixmatch", "udal", "cap", "cdmad", "supervised"}
    assert set(found) == wanted
    for name, overrides in found.items():
        options = load_config(BIGEARTHNET, overrides).objective
        assert options.name == name
        kept = options.options["thresholds"] or {}
        if name == "defixmatch":  # it keeps FixMatch's
            assert kept == {"threshold": [0.05, 0.70]}
        frequency = torch.full((43,), 0.1)
        POLICIES[name](Task(43, several=True, frequency=frequency, steps=64_000), **kept)
