"""Runs of few labels: killed and resumed, on two processes, from other models, and what is left."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from csp_core.config import parse_config
from csp_core.data import DATASETS, load_dataset
from csp_core.errors import ConfigError
from csp_core.evaluation import evaluate
from csp_core.files import load_tensors
from csp_core.inference.photo import answer_photo
from csp_core.runs import RunDir
from csp_core.store import load_model
from csp_core.training import estimate, train
from csp_core.training.setup import make_parts
from tests import small
from tests.processes import run_python, run_two

VIT = {
    "name": "timm", "model": "vit_tiny_patch16_224", "size": 16,
    "architecture": {"patch_size": 8, "embed_dim": 12, "depth": 1, "num_heads": 2},
}  # fmt: skip
DATA = {"name": "demo", "size": 240, "val_fraction": 0.2}
FEW = {**DATA, "labels": 24, "unlabelled": True}
FREEMATCH = {
    "name": "freematch", "teacher": "metadata", "distil": "mse", "ratio": 2,
    "thresholds": {"momentum": 0.9},
}  # fmt: skip
CAP = {"name": "cap", "teacher": "metadata", "follow": 0.9, "thresholds": {"queue": 64}}
TRAINING = {
    "epochs": 2, "batch_size": 8, "checkpoint_every": 4, "ema_decay": 0.9, "weight_decay": 0.01,
    "decay_vectors": False, "schedule": "cosine_7_16", "device": "cpu", "threads": 1,
}  # fmt: skip
RUNS = {
    "freematch": {"data": FEW, "objective": FREEMATCH, "training": TRAINING},
    "cap": {"data": DATA, "objective": CAP, "training": {**TRAINING, "batch_size": 16}},
}
METHODS = sorted(RUNS)
# In the second epoch, behind its last checkpoint.
KILLED = {"freematch": 14, "cap": 15}


def config(name, *, objective=None, model=None, training=None):
    tree = dict(RUNS[name])
    tree["model"] = {"dim": 8, "location": None, "image": VIT, **(model or {})}
    tree["objective"] = tree["objective"] | (objective or {})
    tree["training"] = tree["training"] | (training or {})
    return parse_config(tree)


def tensors(run_dir):
    return load_tensors(max(RunDir(run_dir).checkpoints.glob("*/state.safetensors")))


@pytest.fixture(scope="module", autouse=True)
def label_sets_for_cap():
    """Let ``cap`` find label sets, also in the processes that are started."""
    plain = DATASETS["demo"]
    sets = small.of_sets(plain)

    def load(*given, **options):
        return (plain if options.get("unlabelled") else sets)(*given, **options)

    load.__wrapped__ = plain
    DATASETS["demo"] = load
    yield
    DATASETS["demo"] = plain


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    made = {}

    def get(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name) / "run"
            made[name] = train(config(name), run_dir=folder), folder
        return made[name]

    return get


SCRIPT = """
import os, signal, sys
from csp_core.config import load_config
from csp_core.data import DATASETS
from csp_core.training.loop import Stage
from csp_core.training import train
from tests import small

if sys.argv[4] == "cap":
    DATASETS["demo"] = small.of_sets(DATASETS["demo"])
step, calls = Stage._train_step, []

def killed(self, batch):
    step(self, batch)
    calls.append(1)
    if len(calls) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

Stage._train_step = killed
train(load_config(sys.argv[1]), run_dir=sys.argv[2])
"""


def script(tmp_path, name, kill_at=0):
    """Write the script and its configuration, and give what calls it."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "config.yaml").write_text(config(name).to_yaml())
    return tmp_path / "script.py", tmp_path / "config.yaml", tmp_path / "run", kill_at, name


@pytest.mark.parametrize("name", METHODS)
def test_kill_9_then_resume_gives_the_same_weights_and_thresholds(name, tmp_path, whole):
    killed = run_python(*script(tmp_path, name, KILLED[name]))
    assert killed.returncode == -9, killed.stderr
    begun = RunDir(tmp_path / "run")
    steps = [int(path.parent.name.split("-")[-1]) for path in
             begun.checkpoints.glob("*/state.safetensors")]  # fmt: skip
    assert len(begun.read_metrics()) == 1 and max(steps) < KILLED[name]
    result = train(config(name), run_dir=tmp_path / "run", resume=True)
    want, found = tensors(whole(name)[1]), tensors(tmp_path / "run")
    assert set(found) == set(want)
    assert all(torch.equal(found[key], value) for key, value in want.items())
    assert small.without_time(result.history) == small.without_time(whole(name)[0].history)
    held = {"freematch": ("level", "model", "guessed"), "cap": ("label", "present", "rows")}
    for statistic in held[name]:
        assert f"objective/policy.{statistic}" in want
    assert want["objective/policy.step"] == result.history[-1]["step"]


@pytest.mark.parametrize("name", METHODS)
def test_two_processes_learn_what_one_does(name, tmp_path, whole):
    run_two(*script(tmp_path, name))
    result, folder = whole(name)
    for one, two in zip(result.history, RunDir(tmp_path / "run").read_metrics(), strict=True):
        for key in ("loss", "val_objective", "kept"):
            assert two[key] == pytest.approx(one[key], rel=1e-5), key
    want, found = tensors(folder), tensors(tmp_path / "run")
    assert set(found) == set(want)
    for key, value in want.items():
        # The biases of keys pull at nothing, so AdamW makes its steps of rounding there.
        moved = key.startswith(("model/", "objective/")) and "qkv.bias" not in key
        if moved and value.is_floating_point():
            torch.testing.assert_close(found[key], value, atol=2e-5, rtol=1e-4, msg=key)


@pytest.mark.parametrize("name", METHODS)
def test_a_line_of_metrics_says_what_was_measured_and_how_many_count(name, whole):
    for row in whole(name)[0].history:
        assert 0 <= row["kept"] <= 1 and math.isfinite(row["val_objective"])
        assert math.isfinite(row["loss"])
    assert any(key.startswith("val_") and key != "val_objective" for key in row)
    assert any(row["kept"] > 0 for row in whole(name)[0].history)


def test_a_finished_model_knows_no_place_and_has_no_teacher(whole):
    result, folder = whole("freematch")
    model = load_model(folder)
    saved = load_tensors(folder / "model" / "model.safetensors")
    assert not any("teacher" in key or "metadata" in key or "policy" in key for key in saved)
    assert set(saved) <= set(model.state_dict()) and "image.token" in saved
    assert model.location is None and model.heads.classifiers == ("image",)
    held_out = load_dataset("demo", "val", **{k: v for k, v in FEW.items() if k != "name"})
    told = evaluate(model, held_out)
    assert told.n == len(held_out)
    nowhere = replace(
        held_out,
        lonlat=torch.full_like(held_out.lonlat, math.nan),
        date=torch.full_like(held_out.date, math.nan),
    )
    assert torch.equal(model.image_prior(nowhere.image), model.image_prior(held_out.image))
    assert evaluate(model, nowhere) == told
    answer = answer_photo(model, held_out.image[0])
    assert answer.to_dict()
    assert torch.equal(model.image(held_out.image[:4]), result.model.image(held_out.image[:4]))


def test_label_sets_are_answered_by_a_finished_model(whole):
    model = load_model(whole("cap")[1])
    held_out = load_dataset("demo", "val", **{k: v for k, v in DATA.items() if k != "name"})
    assert model.prior_kind == "probability" and evaluate(model, held_out).n == len(held_out)


@pytest.mark.parametrize("name", METHODS)
def test_an_estimate_counts_the_steps_of_the_unlabelled(name, whole):
    found = estimate.estimate(config(name))
    result, folder = whole(name)
    assert found["total_steps"] == RunDir(folder).read_status()["total_steps"]
    assert found["steps_per_epoch"] == result.history[0]["step"]
    assert found["parameters"] == sum(w.numel() for w in result.model.parameters())
    newest = max(RunDir(folder).checkpoints.iterdir())
    size = sum(path.stat().st_size for path in newest.iterdir())
    assert found["checkpoint_bytes"] == pytest.approx(size, rel=0.05)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A model that CSP pre-trained, and one of SimCLR of images alone, without a further token."""
    folder = tmp_path_factory.mktemp("before")
    place = {"name": "sphere_c", "num_scales": 4}
    for name, objective, location in (
        ("csp", {"name": "csp_mc"}, place),
        ("simclr", {"name": "simclr", "augmentation": "weak"}, None),
    ):
        tree = {
            "data": DATA,
            "model": {"dim": 8, "location": location, "image": VIT},
            "objective": objective,
            "training": {"epochs": 1, "batch_size": 64, "device": "cpu", "threads": 1},
        }
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(DATASETS, "demo", DATASETS["demo"].__wrapped__)
            train(parse_config(tree), run_dir=folder / name)
    return folder


@pytest.mark.parametrize("trained", [False, True])
def test_a_teacher_knows_places_from_a_model_of_csp(trained, pretrained, tmp_path):
    given = {"metadata": {"init_from": str(pretrained / "csp")}, "metadata_trained": trained}
    one = config("freematch", objective=given, training={"epochs": 1})
    parts, source = make_parts(one), load_model(pretrained / "csp")
    start = source.location.state_dict()
    inner = parts.objective.teacher.metadata.encoding.encoder
    assert all(torch.equal(inner.state_dict()[key], value) for key, value in start.items())
    train(one, run_dir=tmp_path / "run")
    prefix = "objective/teacher.metadata.encoding.encoder."
    saved = {k.removeprefix(prefix): v for k, v in tensors(tmp_path / "run").items()
             if k.startswith(prefix)}  # fmt: skip
    learned = [name for name, _ in source.location.named_parameters()]
    assert set(learned) <= set(saved)
    assert all(torch.equal(saved[name], start[name]) != trained for name in learned)


def test_what_is_no_source_of_metadata(pretrained):
    nothing = {"metadata": {"init_from": str(pretrained / "simclr")}}
    with pytest.raises(ConfigError, match=r"objective.metadata: .*simclr' knows no places"):
        make_parts(config("freematch", objective=nothing))
    both = {"metadata": {"init_from": str(pretrained / "csp"), "num_scales": 3}}
    with pytest.raises(ConfigError, match=r"beside init_from, .* nothing else fits"):
        make_parts(config("freematch", objective=both))


def test_a_model_without_a_token_starts_one_with_it(pretrained):
    begun = make_parts(config("freematch", model={"init_from": str(pretrained / "simclr")}))
    start = load_model(pretrained / "simclr").image.state_dict()
    assert "token" not in start
    for image in (begun.model.image, begun.objective.teacher.image):
        state = image.state_dict()
        assert set(state) == {*start, "token"}
        assert all(torch.equal(state[name], value) for name, value in start.items())
        assert 0 < image.token.abs().max() < 0.2
    # The new token is that which the seed gives without a start.
    fresh = make_parts(config("freematch"))
    assert torch.equal(fresh.model.image.token, begun.model.image.token)
