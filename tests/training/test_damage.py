"""Runs that meet damage: to their checkpoints, by a full disk, by numbers that are none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from csp_core.config import load_config
from csp_core.errors import CheckpointError, ConfigError, DivergedError
from csp_core.files import hash_file
from csp_core.objectives.supervised import Softmax
from csp_core.runs import RunDir
from csp_core.training import loop, train
from csp_core.training.schedule import Schedule
from tests import small

# 16 steps an epoch; a crash in step 30 leaves the checkpoints of steps 21 and 28.
CRASH, BEFORE, NEWEST = 30, "step-000000021", "step-000000028"


def configured(records_csv):
    training = {"epochs": 3, "checkpoint_every": 7, "threads": 1}
    return small.config(records_csv, training=training)


@pytest.fixture(scope="module")
def undisturbed(records_csv, tmp_path_factory):
    """The hash of the weights of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    train(configured(records_csv), run_dir=folder)
    return hash_file(folder / "model" / "model.safetensors")


@pytest.fixture(scope="module")
def left(records_csv, tmp_path_factory):
    """The directory of a run that crashed; not to be written to."""
    folder = tmp_path_factory.mktemp("left") / "run"
    forward, calls = Softmax.forward, []

    def crash(self, batch):
        calls.append(1) if self.training else None
        if len(calls) == CRASH:
            raise RuntimeError("power cut")
        return forward(self, batch)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(Softmax, "forward", crash)
        train(configured(records_csv), run_dir=folder)
    assert sorted(p.name for p in RunDir(folder).checkpoints.iterdir()) == [BEFORE, NEWEST]
    return folder


@pytest.fixture
def run(left, tmp_path):
    return RunDir(shutil.copytree(left, tmp_path / "run"))


def edited(**fields):
    def change(folder):
        path = folder / "state.json"
        state = json.loads(path.read_text()) | fields
        path.write_text(json.dumps({k: v for k, v in state.items() if v is not ...}))

    return change


def written(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def cut(name, count):
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size - count)


def flipped(folder):
    path = folder / "state.safetensors"
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)


def of_the_one_before(name):
    return lambda folder: shutil.copy(folder.with_name(BEFORE) / name, folder / name)


def nothing_but_a_file(folder):
    shutil.rmtree(folder)
    folder.write_text("x")


def piped(name):
    def change(folder):
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def linked(folder):
    kept = folder.with_name("kept.json")
    (folder / "state.json").rename(kept)
    (folder / "state.json").symlink_to(kept)


DAMAGES = {
    "tensors cut": cut("state.safetensors", 100),
    "tensors empty": written("state.safetensors", b""),
    "tensors of zeros": written("state.safetensors", bytes(10000)),
    "one bit": flipped,
    "tensors gone": lambda folder: (folder / "state.safetensors").unlink(),
    "tensors of the one before": of_the_one_before("state.safetensors"),
    "tensors a pipe": piped("state.safetensors"),
    "state of the one before": of_the_one_before("state.json"),
    "state cut": cut("state.json", 30),
    "state empty": written("state.json", b""),
    "state gone": lambda folder: (folder / "state.json").unlink(),
    "state a list": written("state.json", b"[]"),
    "state deep": written("state.json", b"[" * 60000),
    "state large": written("state.json", b" " * 10**7),
    "state a pipe": piped("state.json"),
    "state a link": linked,
    "state in another encoding": written("state.json", b"\xff\xfe{}"),
    "step": edited(step=27),
    "step of another kind": edited(step="x"),
    "epoch": edited(epoch=0),
    "epoch beyond": edited(epoch=500),
    "loss": edited(loss_sum=0.0),
    "loss infinite": edited(loss_sum=float("inf")),
    "best": edited(best=float("nan")),
    "seconds": edited(seconds=-1.0),
    "origin": edited(origin=3),
    "a field gone": edited(epoch=...),
    "a field more": edited(more=1),
    "checksum gone": edited(checksum=...),
    "checksum": edited(checksum="0" * 64),
    "format of before": edited(format="csp-checkpoint/2"),
    "format of another": edited(format="csp-checkpoint/1"),
    "empty": lambda folder: [path.unlink() for path in folder.iterdir()],
    "a file": nothing_but_a_file,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_is_used(run, undisturbed, damage):
    DAMAGES[damage](run.checkpoints / NEWEST)
    result = train(load_config(run.config), run_dir=run.path, resume=True)
    said = run.log.read_text()
    assert f"{NEWEST} is damaged: " in said and f"going on from {BEFORE}" in said
    assert hash_file(run.model / "model.safetensors") == undisturbed
    assert [row["epoch"] for row in result.history] == [1, 2, 3]
    # What is kept then is whole.
    kept = sorted(path.name for path in run.checkpoints.glob("step-*"))
    assert kept == ["step-000000042", "step-000000048"]


@pytest.mark.parametrize("damage", ["one bit", "step", "state gone", "a file"])
def test_a_run_without_a_whole_checkpoint_is_refused(run, damage):
    for name in (NEWEST, BEFORE):
        DAMAGES[damage](run.checkpoints / name)
    with pytest.raises(CheckpointError, match="is whole") as caught:
        train(load_config(run.config), run_dir=run.path, resume=True)
    assert NEWEST in str(caught.value) and BEFORE in str(caught.value)


def as_before(folder):
    """Make a checkpoint one of earlier versions, which had no checksums."""
    edited(format="csp-checkpoint/2", tensors=..., checksum=...)(folder)


def test_a_checkpoint_without_checksums_goes_on(run, undisturbed):
    shutil.rmtree(run.checkpoints / BEFORE)
    as_before(run.checkpoints / NEWEST)
    train(load_config(run.config), run_dir=run.path, resume=True)
    assert hash_file(run.model / "model.safetensors") == undisturbed


@pytest.mark.parametrize(
    "fields",
    [{"step": 27}, {"epoch": 29}, {"epoch": True}, {"best": "x"}, {"seconds": []}, {"origin": ...}],
)
def test_a_checkpoint_without_checksums_says_nothing_that_cannot_be(run, fields):
    shutil.rmtree(run.checkpoints / BEFORE)
    as_before(run.checkpoints / NEWEST)
    edited(**fields)(run.checkpoints / NEWEST)
    with pytest.raises(CheckpointError, match=f"{NEWEST} is damaged: state.json says"):
        train(load_config(run.config), run_dir=run.path, resume=True)


# Disks that take no more


LIMITED = """
import resource, sys
from csp_core.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.argv[1:] = sys.argv[2:]
main()
"""


# What a file may have: less than a log line, than a status, than a checkpoint.
@pytest.mark.parametrize("limit", [0, 200, 4000])
def test_a_full_disk_ends_a_run_with_a_sentence_and_keeps_its_checkpoints(run, undisturbed, limit):
    before = {p: p.read_bytes() for p in run.checkpoints.rglob("state.*")}
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), "resume", str(run.path)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    said = ended.stderr.strip().splitlines()
    assert ended.returncode == 1 and said[-1].startswith("Error: "), ended.stderr
    assert "File too large" in said[-1] and "make room" in said[-1].lower()
    assert "Traceback" not in ended.stderr
    assert {p: p.read_bytes() for p in run.checkpoints.rglob("state.*")} == before
    assert not list(run.path.rglob("*.tmp"))
    train(load_config(run.config), run_dir=run.path, resume=True)
    assert hash_file(run.model / "model.safetensors") == undisturbed


@pytest.fixture
def locked(left):
    """A run that this process may read and not write to, wherever the tests may write."""
    home = Path(tempfile.mkdtemp())
    home.chmod(0o755)
    run = RunDir(shutil.copytree(left, home / "run"))
    for path in (run.path, *run.path.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield run
    os.seteuid(before)
    for path in (run.path, *run.path.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(home)


@pytest.mark.skipif(sys.platform == "win32", reason="needs users")
def test_a_read_only_run_is_read_and_not_resumed(locked):
    assert locked.read_status()["state"] == "failed"
    config = load_config(locked.config)
    with pytest.raises(CheckpointError, match=r"cannot write to .*Permission denied"):
        train(config, run_dir=locked.path, resume=True)
    with pytest.raises(CheckpointError, match="Cannot make the run directory"):
        train(config, run_dir=locked.path / "new" / "run")


# Numbers that are none


@pytest.mark.parametrize("value", ["nan", "inf", "1e999", ".inf", ".nan"])
def test_a_learning_rate_that_is_no_number_is_refused(records_csv, tmp_path, value):
    path = tmp_path / "config.yaml"
    path.write_text(configured(records_csv).to_yaml())
    with pytest.raises(ConfigError, match=r"training\.learning_rate"):
        load_config(path, [f"training.learning_rate={value}"])


def ended_before_it_reported(run):
    """Say whether nothing that is no number was saved or told."""
    state = run.read_status()
    return state["state"] == "failed" and run.read_metrics() == [] and not run.model.exists()


def test_a_learning_rate_that_becomes_no_number_ends_the_run(records_csv, tmp_path, monkeypatch):
    monkeypatch.setattr(Schedule, "__call__", lambda self, step: float("nan"))
    with pytest.raises(ConfigError, match=r"learning rate became nan in step 1\. .*learning_rate"):
        train(configured(records_csv), run_dir=tmp_path / "run")
    assert ended_before_it_reported(RunDir(tmp_path / "run"))
    assert not list(RunDir(tmp_path / "run").checkpoints.iterdir())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_becomes_no_number_is_not_saved(records_csv, tmp_path, monkeypatch, value):
    forward, calls = Softmax.forward, []

    def spoilt(self, batch):
        found, _ = forward(self, batch), calls.append(1)
        return {**found, "loss": found["loss"] * value} if len(calls) == 9 else found

    monkeypatch.setattr(Softmax, "forward", spoilt)
    with pytest.raises(ConfigError, match=rf"loss became {value} in epoch 1\. .*learning_rate"):
        train(configured(records_csv), run_dir=tmp_path / "run")
    run = RunDir(tmp_path / "run")
    assert ended_before_it_reported(run) and len(calls) == 9
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-000000007"]


def test_weights_that_the_last_step_of_an_epoch_spoils(records_csv, tmp_path, monkeypatch):
    finish = Softmax.finish_step

    def spoil(self, step):
        finish(self, step)
        if step == 15:
            next(self.model.parameters()).data[0] = torch.nan

    monkeypatch.setattr(Softmax, "finish_step", spoil)
    with pytest.raises(ConfigError, match=r"weights became infinite in epoch 1\. .*learning_rate"):
        train(configured(records_csv), run_dir=tmp_path / "run")
    assert ended_before_it_reported(RunDir(tmp_path / "run"))


@pytest.mark.parametrize(("spoilt", "asked"), [(6, False), (13, False), (15, True)])
def test_a_checkpoint_within_an_epoch_has_finite_weights(
    records_csv, tmp_path, monkeypatch, spoilt, asked
):
    finish, run = Softmax.finish_step, RunDir(tmp_path / "run")

    def spoil(self, step):
        finish(self, step)
        if step == spoilt:
            next(self.model.parameters()).data[0] = torch.inf
            if asked:  # to stop, at which it saves too
                run.stop_file.touch()

    with monkeypatch.context() as patch:
        patch.setattr(Softmax, "finish_step", spoil)
        with pytest.raises(DivergedError, match="weights became infinite in epoch 1"):
            train(configured(records_csv), run_dir=run.path)
    assert run.read_status()["state"] == "failed" and run.read_status()["cause"] == "diverged"
    saved = sorted(path.name for path in run.checkpoints.iterdir())
    assert saved == [f"step-{step:09d}" for step in (7, 14) if step <= spoilt]
    assert train(configured(records_csv), run_dir=run.path, resume=True).state == "finished"


def test_a_value_that_is_watched_and_no_number(records_csv, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "monitored", lambda *_: float("nan"))
    with pytest.raises(ConfigError, match=r"training\.monitor watches became nan in epoch 1"):
        train(configured(records_csv), run_dir=tmp_path / "run")
    assert ended_before_it_reported(RunDir(tmp_path / "run"))
