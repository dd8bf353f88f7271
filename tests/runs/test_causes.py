"""Why runs fail, in a word: told where the failure is caught."""

from __future__ import annotations

import errno

import pytest
import torch

from csp_core.errors import (
    BadRecordError,
    CheckpointError,
    ConfigError,
    DataNotFoundError,
    DivergedError,
    UnknownNameError,
)
from csp_core.objectives.supervised import Softmax
from csp_core.runs import RunDir
from csp_core.runs.causes import CAUSES, cause_of, remedy
from csp_core.runs.status import MACHINE
from csp_core.training import train
from csp_core.training.pace import WARM_STEPS, Pace
from tests import small


def caused(error, by):
    error.__cause__ = by
    return error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (DivergedError("x"), "diverged"),
        (ConfigError("x"), "config"),
        (UnknownNameError("taxon", "x", ["y"]), "config"),
        (DataNotFoundError("x"), "data"),
        (BadRecordError("x"), "data"),
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, "x"), "memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "memory"),
        (caused(ConfigError("x"), MemoryError()), "memory"),
        (OSError(errno.ENOSPC, "x"), "disk"),
        (caused(CheckpointError("x"), OSError(errno.EFBIG, "x")), "disk"),
        (caused(CheckpointError("x"), PermissionError(errno.EACCES, "x")), "disk"),
        (CheckpointError("x"), "other"),
        (RuntimeError("x"), "other"),
    ],
)
def test_every_failure_has_a_cause(error, cause):
    assert cause_of(error) == cause and cause in CAUSES
    assert remedy(cause).endswith(".") or remedy(cause).endswith(").")


def test_a_remedy_of_an_edited_status_is_the_general_one():
    assert remedy("[/x]") == remedy("other")


def failing(monkeypatch, error, after=3):
    forward, calls = Softmax.forward, []

    def fail(self, batch):
        calls.append(1)
        if len(calls) > after:
            raise error
        return forward(self, batch)

    monkeypatch.setattr(Softmax, "forward", fail)


@pytest.mark.parametrize(
    ("error", "cause", "says"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "memory", "GPU has not enough"),
        (MemoryError(), "memory", r"Lower training.batch_size \(now 32\)"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk", "Make room"),
        (RuntimeError("odd"), "other", "odd"),
    ],
)
def test_a_run_says_why_it_failed_and_how_far_it_was(
    records_csv, tmp_path, monkeypatch, error, cause, says
):
    run = RunDir(tmp_path / "run")
    failing(monkeypatch, error, after=18)
    with pytest.raises(Exception, match=says):
        train(small.config(records_csv), run_dir=run.path)
    status = run.read_status()
    assert (status["state"], status["cause"], status["name"]) == ("failed", cause, "tiny")
    assert status["epoch"] == 1 and status["device"] == "cpu"
    assert remedy(status["cause"])


def test_data_that_is_not_there(tmp_path):
    run = RunDir(tmp_path / "run")
    with pytest.raises(DataNotFoundError):
        train(small.config(tmp_path / "absent.csv"), run_dir=run.path)
    assert run.read_status()["cause"] == "data"


def test_a_run_that_cannot_begin_makes_no_folder(records_csv, tmp_path):
    config = small.config(records_csv, training={"device": "cuda"})
    if torch.cuda.is_available():
        pytest.skip("a GPU is there")
    with pytest.raises(ConfigError, match="no GPU is found"):
        train(config, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_says_how_fast_it_is_and_what_it_takes(records_csv, tmp_path, monkeypatch):
    run, told = RunDir(tmp_path / "run"), []
    write = RunDir.write_status
    monkeypatch.setattr(
        RunDir, "write_status", lambda self, state, **f: (told.append(f), write(self, state, **f))
    )
    result = train(small.config(records_csv), run_dir=run.path)
    for row in result.history:
        assert row["samples_per_second"] > 0 and row["memory_bytes"] > 1e7
        assert set(MACHINE) <= set(row)
    status = run.read_status()
    assert (status["name"], status["device"], status["seconds_left"]) == ("tiny", "cpu", 0.0)
    assert status["samples_per_second"] > 0 and status["memory_bytes"] > 1e7
    left = [fields["seconds_left"] for fields in told if "seconds_left" in fields]
    # Of so few steps nothing can be said yet.
    assert left[0] is None and left[-1] == 0.0


def test_the_time_left_is_told_once_some_steps_were_made():
    pace = Pace(torch.device("cpu"), batch_size=8)
    assert pace.seconds_left(100) is None
    for _ in range(WARM_STEPS):
        pace.step()
    assert pace.seconds_left(100) == pytest.approx(2 * pace.seconds_left(50), abs=0.2)
    assert pace.seconds_left(0) == 0.0
