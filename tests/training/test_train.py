"""The training loop: it learns, stops, resumes bit by bit, and shares its batches."""

from __future__ import annotations

import json
import math
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from csp_core.config import parse_config
from csp_core.data import load_dataset
from csp_core.errors import CheckpointError, ConfigError, CspError, DataNotFoundError
from csp_core.evaluation import evaluate
from csp_core.files import hash_file
from csp_core.objectives.supervised import Softmax
from csp_core.runs import RunDir
from csp_core.store import load_model
from csp_core.training import train
from tests import small
from tests.processes import run_two

# 540 records make 16 steps an epoch; checkpoints and stops fall inside epochs.
STEPS = 16
RESUMABLE = {
    "training": {"epochs": 4, "checkpoint_every": 7, "ema_decay": 0.9, "weight_decay": 0.01},
    "objective": {"jitter_km": [5.0, 50.0], "label_smoothing": 0.05},
}


def resumable(records_csv, **training):
    sections = RESUMABLE | {"training": RESUMABLE["training"] | training}
    return small.config(records_csv, **sections)


def weights(run_dir):
    return hash_file(run_dir / "model" / "model.safetensors")


def state(run_dir):
    return RunDir(run_dir).read_status()["state"]


@pytest.fixture(scope="module")
def undisturbed(records_csv, tmp_path_factory):
    """The hash of the weights, and the history, of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    result = train(resumable(records_csv), run_dir=folder)
    return weights(folder), small.without_time(result.history)


def interrupt_at(monkeypatch, call, action):
    """Do something when the objective computes its ``call``-th training loss."""
    forward, calls = Softmax.forward, []

    def counted(self, batch):
        if self.training:
            calls.append(1)
            if len(calls) == call:
                action()
        return forward(self, batch)

    monkeypatch.setattr(Softmax, "forward", counted)


class Crash(Exception):
    pass


def crash():
    raise Crash("power cut")


# What a run does


def test_it_learns(finished_run, records_csv):
    model = load_model(finished_run)
    val = load_dataset("occurrences", "val", root=records_csv, split_method="random")
    metrics = evaluate(model, val)
    assert metrics.n == 60
    assert metrics.log_loss < 0.55 * evaluate(model, val, prior=False).log_loss
    assert metrics.to_dict() == json.loads((finished_run / "model/metrics.json").read_text())["val"]


def test_what_a_run_leaves(finished_run):
    run = RunDir(finished_run)
    status = run.read_status()
    assert status["state"] == "finished"
    assert status["step"] == status["total_steps"] == 4 * STEPS
    assert status["epoch"] == status["epochs"] == 4
    lines = [json.loads(line) for line in run.metrics_file.read_text().splitlines()]
    assert [row["epoch"] for row in lines] == [1, 2, 3, 4]
    assert [row["step"] for row in lines] == [STEPS, 2 * STEPS, 3 * STEPS, 4 * STEPS]
    wanted = {"loss", "learning_rate", "val_objective", "val_log_loss", "val_mrr", "seconds"}
    assert all(wanted <= set(row) for row in lines)
    assert lines[-1]["loss"] < lines[0]["loss"]
    rates = [row["learning_rate"] for row in lines]
    assert rates == sorted(rates, reverse=True) and rates[-1] < 0.001
    assert "epoch 4: loss" in run.log.read_text()
    kept = sorted(path.name for path in run.checkpoints.iterdir())
    assert kept == [f"step-{3 * STEPS:09d}", f"step-{4 * STEPS:09d}"]
    assert "two are kept" in run.log.read_text()
    assert not run.stop_file.exists() and not (finished_run / "control" / "lock").exists()


def test_what_a_model_knows_of_its_making(finished_run, records_csv):
    made = json.loads((finished_run / "model/config.json").read_text())["provenance"]
    train_set = load_dataset("occurrences", "train", root=records_csv, split_method="random")
    assert made["data"]["hash"] == train_set.content_hash()
    assert made["config"]["training"]["epochs"] == 4
    # A file's name, not where one machine keeps it.
    assert made["config"]["data"]["root"] == "records.csv"
    assert made["versions"]["torch"] == torch.__version__
    assert load_model(finished_run).classes == train_set.classes


@pytest.mark.parametrize(
    ("monitor", "field", "sign"),
    [("auto", "calibrated_log_loss", 1), ("log_loss", "log_loss", 1), ("mrr", "mrr", -1)],
)
def test_early_stopping_keeps_the_best_epoch(records_csv, tmp_path, monitor, field, sign):
    training = {
        "epochs": 60,
        "patience": 3,
        "learning_rate": 0.05,
        "schedule": "constant",
        "monitor": monitor,
    }
    config = small.config(records_csv, training=training, objective={"jitter_km": 0.0})
    result = train(config, run_dir=tmp_path / "run")
    values = [sign * row[f"val_{field}"] for row in result.history]
    best = values.index(min(values))
    assert len(values) == best + 1 + 3 < 60
    assert result.state == "finished"
    model = load_model(tmp_path / "run")
    if field != "calibrated_log_loss":
        model.calibration = replace(model.calibration, temperature=1.0)
    val = load_dataset("occurrences", "val", root=records_csv, split_method="random")
    measured = evaluate(model, val).to_dict()[field.removeprefix("calibrated_")]
    assert sign * measured == pytest.approx(values[best], rel=1e-5)


def test_calibration_does_not_make_it_worse(finished_run, records_csv):
    model = load_model(finished_run)
    val = load_dataset("occurrences", "val", root=records_csv, split_method="random")
    calibrated = evaluate(model, val).log_loss
    assert model.calibration.temperature != 1.0
    model.calibration = replace(model.calibration, temperature=1.0)
    assert calibrated <= evaluate(model, val).log_loss


def test_the_same_configuration_gives_the_same_weights(records_csv, tmp_path, undisturbed):
    torch.manual_seed(1234)
    result = train(resumable(records_csv), run_dir=tmp_path / "run")
    assert weights(tmp_path / "run") == undisturbed[0]
    assert small.without_time(result.history) == undisturbed[1]


def test_another_seed_gives_other_weights(records_csv, tmp_path, undisturbed):
    other = small.tree(records_csv, **RESUMABLE) | {"seed": 1}
    train(parse_config(other), run_dir=tmp_path / "run")
    assert weights(tmp_path / "run") != undisturbed[0]


def test_without_validation(records_csv, tmp_path):
    config = small.config(records_csv, data={"val_fraction": 0.0}, training={"epochs": 2})
    result = train(config, run_dir=tmp_path / "run")
    assert state(tmp_path / "run") == "finished"
    assert not any(key.startswith("val_") for row in result.history for key in row)
    assert sum(result.model.classes.counts) == 600
    assert load_model(tmp_path / "run").calibration.temperature == 1.0
    assert json.loads((tmp_path / "run/model/metrics.json").read_text()) == {}


def test_geo_prior_trains_a_relative_model(records_csv, tmp_path):
    tree = small.tree(records_csv, training={"epochs": 2}) | {"objective": {"name": "geo_prior"}}
    result = train(parse_config(tree), run_dir=tmp_path / "run")
    model = load_model(tmp_path / "run")
    assert model.prior_kind == "relative" and model.calibration.temperature == 1.0
    assert result.history[1]["loss"] < result.history[0]["loss"]
    assert result.history[1]["val_mrr"] > 0.7


def test_schedules(records_csv, tmp_path):
    want = {"constant": [0.01, 0.01, 0.01], "exponential": [0.01, 0.005, 0.0025]}
    for schedule, rates in want.items():
        training = {"epochs": 3, "schedule": schedule, "decay": 0.5}
        result = train(small.config(records_csv, training=training), run_dir=tmp_path / schedule)
        assert [row["learning_rate"] for row in result.history] == pytest.approx(rates)


def test_init_from(records_csv, tmp_path, model_dir):
    still = {"epochs": 1, "learning_rate": 1e-12}
    begun = small.config(records_csv, training=still, model={"init_from": str(model_dir)})
    result = train(begun, run_dir=tmp_path / "run")
    before, after = load_model(model_dir).state_dict(), result.model.state_dict()
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, atol=1e-8, rtol=0)


def test_init_from_a_model_of_another_shape(records_csv, tmp_path, model_dir):
    config = small.config(records_csv, model={"init_from": str(model_dir), "dim": 8})
    with pytest.raises(ConfigError, match="has another location encoder"):
        train(config, run_dir=tmp_path / "run")
    assert state(tmp_path / "run") == "failed"


def test_warm_up(records_csv, tmp_path):
    training = {"epochs": 2, "schedule": "constant", "warmup": 0.75}
    result = train(small.config(records_csv, training=training), run_dir=tmp_path / "run")
    # Step 16 of 24 warming steps, then the full rate.
    assert [row["learning_rate"] for row in result.history] == pytest.approx([0.01 * 16 / 24, 0.01])


# What a run refuses


def test_a_loss_that_is_no_number(records_csv, tmp_path):
    config = small.config(records_csv, training={"learning_rate": 1e30})
    with pytest.raises(ConfigError, match=r"The loss became nan in epoch 1. Lower training"):
        train(config, run_dir=tmp_path / "run")
    status = RunDir(tmp_path / "run").read_status()
    assert status["state"] == "failed" and "learning_rate" in status["message"]
    assert not (tmp_path / "run" / "model").exists()
    assert "failed" in (tmp_path / "run" / "log.txt").read_text()


def test_a_directory_with_a_run(records_csv, finished_run, tmp_path):
    folder = shutil.copytree(finished_run, tmp_path / "run")
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.suffix != ".txt"}
    with pytest.raises(CheckpointError, match="holds a run already"):
        train(small.config(records_csv), run_dir=folder)
    assert {p: p.read_bytes() for p in before} == before


def test_a_file_where_the_directory_should_be(records_csv, tmp_path):
    (tmp_path / "run").write_text("x")
    with pytest.raises(CheckpointError, match="Cannot make the run directory"):
        train(small.config(records_csv), run_dir=tmp_path / "run")


@pytest.mark.parametrize(
    ("sections", "kind", "says"),
    [
        ({"data": {"root": "absent.csv"}}, DataNotFoundError, "absent.csv"),
        ({"training": {"precision": "fp16"}}, ConfigError, "needs a GPU"),
        ({"model": {"init_from": "unheard-of"}}, CspError, "unheard-of"),
    ],
)
def test_what_does_not_fit(records_csv, tmp_path, sections, kind, says):
    with pytest.raises(kind, match=says):
        train(small.config(records_csv, **sections), run_dir=tmp_path / "run")


def test_a_gpu_that_is_not_there(records_csv, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no GPU is found"):
        train(small.config(records_csv, training={"device": "cuda"}), run_dir=tmp_path / "run")


# Resuming


KILLED = """
import os, signal, sys
from pathlib import Path
from csp_core.config import load_config
from csp_core.objectives.supervised import Softmax
from csp_core.training import train

forward, calls = Softmax.forward, []

def killed(self, batch):
    calls.append(self.training)
    if sum(calls) == 30:
        os.kill(os.getpid(), signal.SIGKILL)
    return forward(self, batch)

Softmax.forward = killed
train(load_config(sys.argv[1]), run_dir=sys.argv[2])
"""


def test_kill_9_inside_an_epoch_then_resume(records_csv, tmp_path, undisturbed):
    config = resumable(records_csv)
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    run_dir = tmp_path / "run"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "config.yaml"), str(run_dir)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=120,
    )
    assert killed.returncode == -9, killed.stderr.decode()
    run = RunDir(run_dir)
    assert run.read_status()["state"] == "interrupted"
    # Killed in step 30, of the second epoch; the last checkpoint is that of step 28.
    kept = sorted(path.name for path in run.checkpoints.iterdir())
    assert kept == ["step-000000021", "step-000000028"]
    assert len(run.read_metrics()) == 1 and not run.model.exists()
    result = train(config, run_dir=run_dir, resume=True)
    assert weights(run_dir) == undisturbed[0]
    assert small.without_time(result.history) == undisturbed[1]
    assert run.read_status()["state"] == "finished"


@pytest.mark.parametrize("step", [1, 15, 17, 49])
def test_a_crash_then_resume(records_csv, tmp_path, undisturbed, monkeypatch, step):
    config = resumable(records_csv)
    with monkeypatch.context() as patch, pytest.raises(Crash):
        interrupt_at(patch, step, crash)
        train(config, run_dir=tmp_path / "run")
    status = RunDir(tmp_path / "run").read_status()
    assert status["state"] == "failed" and "power cut" in status["message"]
    result = train(config, run_dir=tmp_path / "run", resume=True)
    assert weights(tmp_path / "run") == undisturbed[0]
    assert small.without_time(result.history) == undisturbed[1]


def test_a_stop_then_resume(records_csv, tmp_path, undisturbed, monkeypatch):
    config, run = resumable(records_csv), RunDir(tmp_path / "run")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 22, run.stop_file.touch)
        result = train(config, run_dir=run.path)
    assert result.state == "stopped" and result.model_directory is None
    status = run.read_status()
    assert status["state"] == "stopped" and status["step"] < status["total_steps"]
    assert not run.model.exists()
    result = train(config, run_dir=run.path, resume=True)
    assert result.state == "finished" and not run.stop_file.exists()
    assert weights(run.path) == undisturbed[0]
    assert small.without_time(result.history) == undisturbed[1]


def test_sigterm_means_stop(records_csv, tmp_path, monkeypatch):
    import signal

    before = signal.getsignal(signal.SIGTERM)
    interrupt_at(monkeypatch, 3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    result = train(resumable(records_csv), run_dir=tmp_path / "run")
    assert result.state == state(tmp_path / "run") == "stopped"
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture
def crashed(records_csv, tmp_path):
    """A run that ended at step 9 with a checkpoint of step 7, on records of its own."""
    data = shutil.copy(records_csv, tmp_path / "records.csv")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Crash):
        interrupt_at(patch, 9, crash)
        train(resumable(data), run_dir=tmp_path / "run")
    return resumable(data), RunDir(tmp_path / "run")


def test_records_that_changed_meanwhile(crashed):
    config, run = crashed
    small.write_csv(config.data.root, seed=1)
    with pytest.raises(CheckpointError, match="records have changed"):
        train(config, run_dir=run.path, resume=True)


def test_a_model_that_changed_meanwhile(crashed):
    config, run = crashed
    other = small.config(config.data.root, **RESUMABLE, model={"dim": 12})
    with pytest.raises(CheckpointError, match="does not fit the run's configuration"):
        train(other, run_dir=run.path, resume=True)


@pytest.mark.parametrize(
    "change", [{"batch_size": 16}, {"learning_rate": 0.5}, {"epochs": 5}, {"schedule": "constant"}]
)
def test_settings_that_changed_meanwhile(crashed, change):
    config, run = crashed
    with pytest.raises(CheckpointError, match="does not fit the run's configuration"):
        train(resumable(config.data.root, **change), run_dir=run.path, resume=True)


def test_settings_that_leave_the_weights_alone_may_change(crashed, undisturbed):
    config, run = crashed
    train(resumable(config.data.root, checkpoint_every=3), run_dir=run.path, resume=True)
    assert weights(run.path) == undisturbed[0]


@pytest.mark.parametrize("change", [{"step": "x"}, {"epoch": 500}, {"step": -1}, {"origin": 3}])
def test_a_checkpoint_with_fields_of_another_kind(crashed, change):
    config, run = crashed
    (path,) = run.checkpoints.glob("*/state.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError):
        train(config, run_dir=run.path, resume=True)


def test_a_truncated_checkpoint(crashed):
    config, run = crashed
    (path,) = run.checkpoints.glob("*/state.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"step-000000007 is damaged: state\.safetensors"):
        train(config, run_dir=run.path, resume=True)


class Canary:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_planted_pickle_is_never_opened(crashed, undisturbed, tmp_path):
    config, run = crashed
    canary = tmp_path / "canary"
    planted = pickle.dumps(Canary(canary))
    (folder,) = run.checkpoints.iterdir()
    names = ("random_states_0.pkl", "custom_checkpoint_0.pkl", "optimizer.bin", "scheduler.bin",
             "pytorch_model.bin", "sampler.bin")  # fmt: skip
    for place in (run.path, run.checkpoints, folder):
        for name in names:
            (place / name).write_bytes(planted)
    train(config, run_dir=run.path, resume=True)
    assert weights(run.path) == undisturbed[0]
    assert not canary.exists()


def test_a_pickle_in_place_of_the_checkpoint_is_refused(crashed, tmp_path):
    config, run = crashed
    canary = tmp_path / "canary"
    (path,) = run.checkpoints.glob("*/state.safetensors")
    torch.save({"model": Canary(canary)}, path)
    with pytest.raises(CheckpointError, match=r"step-000000007 is damaged: state\.safetensors"):
        train(config, run_dir=run.path, resume=True)
    assert not canary.exists()


def test_resuming_a_finished_run_changes_nothing(records_csv, finished_run, tmp_path):
    folder = shutil.copytree(finished_run, tmp_path / "run")
    result = train(small.config(records_csv), run_dir=folder, resume=True)
    assert weights(folder) == weights(finished_run)
    assert len(result.history) == 4


# Many processes


def test_two_processes_give_the_losses_of_one(records_csv, tmp_path):
    network = {"name": "residual_mlp", "hidden_dim": 16, "dropout": 0.0}
    location = small.tree(records_csv)["model"]["location"] | {"network": network}
    config = small.config(
        records_csv, model={"location": location}, training={"epochs": 2}, **JITTER
    )
    one = train(config, run_dir=tmp_path / "one").history
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    run_two("-m", "csp_core", "train", tmp_path / "config.yaml", "--run-dir", tmp_path / "two")
    two = RunDir(tmp_path / "two").read_metrics()
    assert len(one) == len(two) == 2
    for a, b in zip(one, two, strict=True):
        for key in ("loss", "val_objective", "val_log_loss"):
            assert math.isfinite(a[key]) and b[key] == pytest.approx(a[key], rel=1e-5), key
    assert state(tmp_path / "two") == "finished"
    models = [load_model(tmp_path / name).state_dict() for name in ("one", "two")]
    for name, value in models[0].items():
        torch.testing.assert_close(models[1][name], value, atol=1e-4, rtol=1e-4)


JITTER = {"objective": {"jitter_km": [5.0, 50.0]}}
