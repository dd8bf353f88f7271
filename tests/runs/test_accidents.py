"""Jobs that are killed at any moment, meet a full disk or are edited by hand: nothing is lost."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, nullcontext, suppress

import pytest

from csp_core.config import load_config
from csp_core.errors import CheckpointError, CspError
from csp_core.files import hash_file
from csp_core.runs import ALIVE, RunDir, jobs
from csp_core.runs.queue import Queue
from csp_core.training import train
from tests import small

EPOCHS = 12


@pytest.fixture(scope="module")
def config(records_csv, tmp_path_factory):
    """The file of a configuration whose run takes some seconds."""
    training = {"epochs": EPOCHS, "checkpoint_every": 9, "threads": 1}
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(small.config(records_csv, training=training).to_yaml())
    return path


@pytest.fixture(scope="module")
def undisturbed(config, tmp_path_factory):
    """The weights and the metrics of a run that nothing disturbed."""
    return told(RunDir(train_in(tmp_path_factory.mktemp("undisturbed") / "run", config)))


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def train_in(folder, config):
    train(load_config(config), run_dir=folder)
    return folder


def told(run):
    rows = small.without_time(run.read_metrics())
    return hash_file(run.model / "model.safetensors"), rows


def state(run):
    return run.read_status()["state"]


def wait_until(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def whole(run):
    """Say whether all files of a run are as somebody wrote them to the end."""
    for path in run.path.rglob("*.json"):
        if not path.name.startswith("."):
            json.loads(path.read_text())
    return run.read_status() and all(row["loss"] for row in run.read_metrics())


# What a job is doing when it is killed, and how much later.
MOMENTS = (("spawned", 1.0), ("queued", 0.3), ("starting", 0.0), ("running", 0.8))


def test_a_job_that_is_killed_again_and_again(config, undisturbed):
    chance, home = random.Random(5), jobs.runs_home()
    run = RunDir(jobs.new_run_dir("tiny"))
    job = jobs.start(config, run_dir=run.path)
    for moment, spread in MOMENTS:
        pid = job.status["pid"]
        with taken(home) if moment == "queued" else nullcontext():
            if moment != "spawned":
                wait_until(lambda m=moment: reached(run, m))
            time.sleep(chance.uniform(0, spread))
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: state(run) not in ALIVE)
        assert state(run) in ("interrupted", "finished") and whole(run)
        if state(run) == "finished":
            break
        job = jobs.resume_job(run.path)
        assert job.state == "queued" and job.status["pid"] != pid
    wait_until(lambda: state(run) == "finished")
    assert told(run) == undisturbed


@contextmanager
def taken(home):
    """The only slot, which another run has."""
    held = []
    wait_until(lambda: held.append(Queue(home).slot(home / "other")) or held[-1] is not None)
    try:
        yield
    finally:
        held[-1].release(force=True)


def reached(run, moment):
    """Say whether a job does what was asked for, or more."""
    order = ("queued", "starting", "running", "finished")
    now = run.read_status()
    early = now.get("begun") is False and now["message"].startswith("waits for its process")
    return not early and order.index(now["state"]) >= order.index(moment)


@contextmanager
def full(size):
    """A disk on which a file may have no more than so many bytes, for this process and others."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def left(config, tmp_path_factory):
    """A run that was stopped after half of its epochs; not to be written to."""
    from csp_core.training import loop

    run = RunDir(tmp_path_factory.mktemp("left") / "run")
    close = loop.Stage._close_epoch

    def ask(self):
        close(self)
        if self.progress.epoch == EPOCHS // 2:
            run.stop_file.touch()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Stage, "_close_epoch", ask)
        train(load_config(config), run_dir=run.path)
    assert state(run) == "stopped"
    return run


@pytest.fixture
def stopped(left):
    return RunDir(shutil.copytree(left.path, jobs.runs_home() / "stopped"))


def test_a_full_disk_at_the_start_leaves_nothing(config):
    folder = jobs.new_run_dir("full")
    with full(0), pytest.raises(CheckpointError, match=r"File too large.*Make room"):
        jobs.start(config, run_dir=folder, queue=False)
    assert not folder.exists()


def test_a_full_disk_while_it_goes_on(config, stopped, undisturbed):
    before = {path: path.read_bytes() for path in stopped.checkpoints.rglob("state.*")}
    with full(4000):
        jobs.resume_job(stopped.path, queue=False)
    wait_until(lambda: state(stopped) not in ALIVE)
    status = stopped.read_status()
    assert (status["state"], status["cause"]) == ("failed", "disk"), status
    assert "File too large" in status["message"] and status["epoch"] >= EPOCHS // 2 - 1
    assert {path: path.read_bytes() for path in stopped.checkpoints.rglob("state.*")} == before
    train(load_config(stopped.config), run_dir=stopped.path, resume=True)
    assert told(stopped) == undisturbed


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 4 MB, and what leaves not a byte on it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "csp-tiny-disk", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")

    def fill():
        with suppress(OSError), (folder / "ballast").open("wb", buffering=0) as stream:
            while stream.write(bytes(4096)):
                pass

    yield folder, fill
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_without_a_byte_left_takes_the_last_word(
    config, undisturbed, tiny_disk, monkeypatch
):
    from csp_core.training import loop

    (disk, fill), close = tiny_disk, loop.Stage._close_epoch
    run = RunDir(disk / "run")

    def close_and_fill(self):
        close(self)
        if self.progress.epoch == EPOCHS // 2:
            fill()

    with monkeypatch.context() as patch:
        patch.setattr(loop.Stage, "_close_epoch", close_and_fill)
        with pytest.raises(CheckpointError, match="No space left"):
            train_in(run.path, config)
    status = run.read_status()
    assert (status["state"], status["cause"]) == ("failed", "disk") and whole(run)
    assert "No space left" in run.log.read_text().splitlines()[-1]
    (disk / "ballast").unlink()
    train(load_config(run.config), run_dir=run.path, resume=True)
    assert told(run) == undisturbed and not (run.stop_file.parent / "room").exists()


def test_one_of_many_resumes_gets_the_run(stopped, undisturbed):
    found, refused = [], []

    def go_on():
        try:
            found.append(jobs.resume_job(stopped.path))
        except CheckpointError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=go_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1 and len(refused) == 3
    assert all("under way" in said or "being trained" in said for said in refused)
    wait_until(lambda: state(stopped) == "finished")
    assert told(stopped) == undisturbed


EDITS = {
    "cut": lambda path: path.write_text(path.read_text()[:40]),
    "empty": lambda path: path.write_text(""),
    "of another kind": lambda path: path.write_text("[1, 2]"),
    "another state": lambda path: path.write_text(path.read_text().replace("stopped", "[/x]")),
    "a link": lambda path: (path.unlink(), path.symlink_to("/etc/passwd")),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_run_whose_status_was_edited_goes_on(stopped, undisturbed, edit, csp):
    EDITS[edit](stopped.status_file)
    with pytest.raises(CspError):
        stopped.read_status()
    code, _, said = csp("resume", stopped.path)
    assert code == 0, said
    assert told(stopped) == undisturbed
    assert os.path.lexists(stopped.path / "status.damaged.json") is (edit != "gone")


CUTS = {
    **EDITS,
    "inside a line": lambda path: path.write_text(path.read_text()[:-30]),
    "in the middle": lambda path: path.write_text(path.read_text().replace("loss", "", 1)),
    "of bytes": lambda path: path.write_bytes(b"\xff\x00" * 99),
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_run_whose_metrics_were_edited_loses_none(stopped, undisturbed, cut, csp):
    CUTS[cut](stopped.metrics_file)
    code, _, said = csp("resume", stopped.path)
    assert code == 0, said
    assert told(stopped) == undisturbed


def test_a_status_that_says_finished_or_more_steps_deceives_nobody(stopped, undisturbed):
    status = json.loads(stopped.status_file.read_text())
    status["folder"] = os.path.realpath(stopped.path)
    stopped.status_file.write_text(json.dumps(status | {"step": 10**6, "state": "running"}))
    assert state(stopped) == "running", "its process, this one, lives"
    stopped.status_file.write_text(
        json.dumps(status | {"step": 10**6, "state": "running", "pid_started": 1.0})
    )
    assert state(stopped) == "interrupted"
    train(load_config(stopped.config), run_dir=stopped.path, resume=True)
    assert told(stopped) == undisturbed


SETTINGS = {
    "cut": (EDITS["cut"], "Unknown data set 'occurre'"),
    "cut between lines": (
        lambda path: path.write_text(path.read_text().partition("training:")[0]),
        "Restore config.yaml, or start a new run",
    ),
    "empty": (EDITS["empty"], "config.yaml, which says what this run trains, is empty"),
    "gone": (EDITS["gone"], "config.yaml, which says what this run trains, is gone"),
}


@pytest.mark.parametrize("edit", SETTINGS)
def test_a_run_whose_settings_were_edited_goes_on_once_they_are_back(
    stopped, undisturbed, edit, csp
):
    change, told_then = SETTINGS[edit]
    before = stopped.config.read_text()
    change(stopped.config)
    code, _, said = csp("resume", stopped.path)
    assert code == 1 and told_then in " ".join(said.split())
    stopped.config.write_text(before)
    code, _, said = csp("resume", stopped.path)
    assert code == 0, said
    assert told(stopped) == undisturbed


def test_a_run_whose_control_folder_was_removed_goes_on(stopped, undisturbed, csp):
    shutil.rmtree(stopped.stop_file.parent)
    code, _, said = csp("resume", stopped.path)
    assert code == 0, said
    assert told(stopped) == undisturbed
