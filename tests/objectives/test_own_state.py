"""What an objective owns is trained, saved, left alone by measuring and equal on all processes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from csp_core.config import parse_config
from csp_core.errors import CheckpointError
from csp_core.files import load_tensors
from csp_core.objectives import OBJECTIVES
from csp_core.runs import RunDir
from csp_core.store import load_model
from csp_core.training import train
from csp_core.training.average import copy_layers
from csp_core.training.loop import Stage
from csp_core.training.setup import make_parts
from csp_core.training.validate import validate
from tests import remembering, small
from tests.processes import run_python, run_two

ROOT = Path(__file__).resolve().parents[2]
TRAINING = {
    "epochs": 3,
    "checkpoint_every": 7,
    "ema_decay": 0.9,
    "weight_decay": 0.01,
    "threads": 1,
}


@pytest.fixture(scope="module", autouse=True)
def in_the_table():
    with remembering.in_the_table():
        yield


def config(records_csv, training=None, **options):
    objective = {"name": "remembering", "jitter_km": 20.0, **options}
    return small.config(records_csv, objective=objective, training=TRAINING | (training or {}))


def tensors(run_dir):
    return load_tensors(max(RunDir(run_dir).checkpoints.glob("*/state.safetensors")))


@pytest.fixture(scope="module")
def undisturbed(records_csv, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "run"
    result = train(config(records_csv), run_dir=folder)
    return tensors(folder), result.history


def equal(found, want):
    assert set(found) == set(want)
    return all(torch.equal(found[name], want[name]) for name in want)


def test_own_layers_queue_and_teacher_are_trained_and_saved(records_csv, undisturbed):
    first = make_parts(config(records_csv)).objective
    saved, _ = undisturbed
    own = {k.removeprefix("objective/"): v for k, v in saved.items() if k.startswith("objective/")}
    assert set(own) == set(first.own_state()) and "queue" in own and "gain" in own
    for name in ("gain", "predict.weight", "predict.bias", "queue"):
        assert not torch.equal(own[name], first.own_state()[name]), name
    teacher = {name for name in own if name.startswith("teacher.") and "weight" in name}
    assert teacher and all(not torch.equal(own[n], first.own_state()[n]) for n in teacher)
    # Averages and the best epoch hold the layers that are trained, and nothing else of the own.
    layers = {"gain", "predict.weight", "predict.bias"}
    for group in ("average", "best"):
        prefix = f"{group}/objective."
        assert {k.removeprefix(prefix) for k in saved if k.startswith(prefix)} == layers
    assert not torch.equal(saved["average/objective.gain"], own["gain"])


def test_slots_are_told_by_name_with_the_model_first(records_csv, undisturbed):
    saved, _ = undisturbed
    names = {key.split("/")[1] for key in saved if key.startswith("optimizer/")}
    assert {"gain", "predict.weight", "model.classifier.weight"} <= names
    assert not any(name.isdigit() or name.startswith("teacher") for name in names)
    made = make_parts(config(records_csv)).objective
    order = [name for name, _ in made.named_weights()]
    model = [f"model.{name}" for name, _ in made.model.named_parameters()]
    assert order[: len(model)] == model and next(iter(made.named_parameters()))[0] == "gain"


@pytest.mark.parametrize("writes", [False, True])
def test_validation_leaves_the_state_alone(records_csv, writes):
    parts = make_parts(config(records_csv, writes=writes))
    objective = parts.objective
    objective.queue.normal_(generator=torch.Generator().manual_seed(0))
    objective.train()
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    modes = [module.training for module in objective.modules()]
    first = validate(objective, parts.model, parts.val_set, seed=0)
    assert equal(objective.state_dict(), before)
    assert [module.training for module in objective.modules()] == modes
    assert objective._stash == {}
    assert validate(objective, parts.model, parts.val_set, seed=0) == first


def test_validation_measures_the_layers_that_go_with_the_model(records_csv):
    parts = make_parts(config(records_csv))
    values = {name: torch.zeros_like(w) for name, w in parts.objective.layers().items()}
    as_it_trains = validate(parts.objective, parts.model, parts.val_set, seed=0)
    measured = validate(parts.objective, parts.model, parts.val_set, layers=values, seed=0)
    assert measured["val_pull"] != as_it_trains["val_pull"]
    assert measured["val_log_loss"] == as_it_trains["val_log_loss"]


def test_a_teacher_begins_as_what_the_run_starts_from(records_csv, tmp_path):
    train(small.config(records_csv, training={"epochs": 1}), run_dir=tmp_path / "start")
    alone = make_parts(config(records_csv)).objective
    one = config(records_csv)
    model = one.model.model_copy(update={"init_from": str(tmp_path / "start")})
    begun = make_parts(one.model_copy(update={"model": model})).objective
    start = load_model(tmp_path / "start").location.state_dict()
    assert equal(begun.model.location.state_dict(), start)
    assert equal(begun.teacher.state_dict(), start)
    # What it draws for layers of its own is as without a start.
    assert equal(begun.predict.state_dict(), alone.predict.state_dict())


class Aliased(remembering.Remembering):
    """Holds the model's encoder by a name of its own too."""

    def __init__(self, model):
        super().__init__(model)
        self.student = model.location


def test_a_part_of_the_model_under_another_name_is_the_models(records_csv, tmp_path, monkeypatch):
    monkeypatch.setitem(OBJECTIVES, "aliased", Aliased)
    options = {"name": "aliased"}
    one = parse_config(small.tree(records_csv) | {"objective": options})
    train(one, run_dir=tmp_path / "run")
    assert not any(key.startswith("objective/student") for key in tensors(tmp_path / "run"))
    train(one, run_dir=tmp_path / "run", resume=True)


def test_layers_of_another_shape_are_refused():
    layers = {"gain": torch.zeros(3)}
    for values in ({"gain": torch.ones(1)}, {"gain": torch.ones(())}, {"loss": torch.ones(3)}):
        with pytest.raises(RuntimeError, match="not those here"):
            copy_layers(layers, values)
    assert layers["gain"].eq(0).all()


class Crash(Exception):
    pass


@pytest.mark.parametrize("step", [1, 16, 31])
def test_a_crash_then_resume_is_equal_to_the_last_bit(
    records_csv, tmp_path, undisturbed, monkeypatch, step
):
    finish, calls = Stage._train_step, []

    def crash(self, batch):
        finish(self, batch)
        calls.append(1)
        if len(calls) == step:
            raise Crash

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(Stage, "_train_step", crash)
        train(config(records_csv), run_dir=tmp_path / "run")
    result = train(config(records_csv), run_dir=tmp_path / "run", resume=True)
    assert equal(tensors(tmp_path / "run"), undisturbed[0])
    assert small.without_time(result.history) == small.without_time(undisturbed[1])


def test_a_checkpoint_without_its_state_is_refused(records_csv, tmp_path, monkeypatch):
    monkeypatch.setattr(remembering.Remembering, "own_state", lambda self: {})
    train(config(records_csv, {"epochs": 1}), run_dir=tmp_path / "run")
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="does not fit"):
        train(config(records_csv, {"epochs": 1}), run_dir=tmp_path / "run", resume=True)


SCRIPT = """
import os, signal, sys
from csp_core.config import load_config
from csp_core.training.loop import Stage
from csp_core.training import train
from tests.remembering import in_the_table

step, calls = Stage._train_step, []

def killed(self, batch):
    step(self, batch)
    calls.append(1)
    if len(calls) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

Stage._train_step = killed
with in_the_table():
    train(load_config(sys.argv[1]), run_dir=sys.argv[2])
"""


def script(tmp_path, run_dir, *, kill_at=0):
    """Write the script and give what calls it."""
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path / "script.py", tmp_path / "config.yaml", run_dir, kill_at


def test_kill_9_then_resume(records_csv, tmp_path, undisturbed):
    (tmp_path / "config.yaml").write_text(config(records_csv).to_yaml())
    killed = run_python(*script(tmp_path, tmp_path / "run", kill_at=30))
    assert killed.returncode == -9, killed.stderr
    train(config(records_csv), run_dir=tmp_path / "run", resume=True)
    assert equal(tensors(tmp_path / "run"), undisturbed[0])


def test_two_processes_keep_one_state(records_csv, tmp_path):
    location = small.tree(records_csv)["model"]["location"]
    location = location | {"network": {"name": "residual_mlp", "hidden_dim": 16, "dropout": 0.0}}
    one = small.config(
        records_csv,
        model={"location": location},
        objective={"name": "remembering", "jitter_km": 20.0},
        training=TRAINING | {"epochs": 2},
    )
    (tmp_path / "config.yaml").write_text(one.to_yaml())
    history = train(one, run_dir=tmp_path / "one").history
    run_two(*script(tmp_path, tmp_path / "two"))
    for a, b in zip(history, RunDir(tmp_path / "two").read_metrics(), strict=True):
        for key in ("loss", "val_objective", "val_pull"):
            assert b[key] == pytest.approx(a[key], rel=1e-5), key
    found, want = tensors(tmp_path / "two"), tensors(tmp_path / "one")
    assert set(found) == set(want)
    assert torch.equal(found["objective/next"], want["objective/next"])
    for name in ("queue", "predict.weight", "gain"):
        torch.testing.assert_close(
            found[f"objective/{name}"], want[f"objective/{name}"], atol=1e-4, rtol=1e-4
        )


def test_an_error_in_measuring_leaves_the_modes_as_they_were(records_csv, monkeypatch):
    parts = make_parts(config(records_csv))
    parts.objective.train()
    modes = [module.training for module in parts.objective.modules()]

    def fails(*_):
        raise Crash

    monkeypatch.setattr(remembering.Remembering, "measure", fails)
    with pytest.raises(Crash):
        validate(parts.objective, parts.model, parts.val_set, seed=0)
    assert [module.training for module in parts.objective.modules()] == modes
