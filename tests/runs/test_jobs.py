"""Jobs: runs in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import psutil
import pytest

from csp_core.config import load_config
from csp_core.errors import CheckpointError, DataNotFoundError
from csp_core.runs import RunDir, jobs
from csp_core.training import train
from tests import small


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return jobs.runs_home()


@pytest.fixture
def endless(records_csv, tmp_path):
    """The file of a configuration whose run does not end by itself."""
    config = small.config(
        records_csv, training={"epochs": 10**6, "checkpoint_every": 5}, data={"val_fraction": 0.0}
    )
    path = tmp_path / "endless.yaml"
    path.write_text(config.to_yaml())
    return path


def wait_until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def test_the_life_of_a_job(home, endless):
    run = RunDir(home / "long")
    job = jobs.launch(endless, ["seed=5"], run_dir=run.path)
    pid = job.status["pid"]
    try:
        assert job.state in ("starting", "running") and pid != os.getpid()
        assert os.getsid(pid) == pid, "it must outlive the shell that started it"
        wait_until(lambda: run.read_metrics())
        assert run.read_status()["state"] == "running"
        assert jobs.find_run("long").path == run.path
        assert "seed: 5" in run.config.read_text()

        with pytest.raises(CheckpointError, match="holds a run already"):
            jobs.launch(endless, run_dir=run.path)
        with pytest.raises(CheckpointError, match="under way already"):
            jobs.resume("long")
        with pytest.raises(CheckpointError, match=f"being trained by process {pid}"):
            train(load_config(run.config), run_dir=run.path, resume=True)
        assert run.read_status()["pid"] == pid, "a refused trainer must leave the status alone"

        stopped = jobs.stop("long")
        assert stopped.state == "stopped" and stopped.status["step"] > 0
        wait_until(lambda: not psutil.pid_exists(pid) or not alive(pid))
        with pytest.raises(CheckpointError, match="not under way; it is stopped"):
            jobs.stop("long")

        resumed = jobs.resume("long")
        pid = resumed.status["pid"]
        assert resumed.state in ("starting", "running")
        wait_until(lambda: run.read_status().get("step", 0) > stopped.status["step"])
    finally:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: run.read_status()["state"] == "interrupted")
    assert [(job.path, job.state) for job in jobs.list_jobs()] == [(run.path, "interrupted")]
    with pytest.raises(CheckpointError, match="not under way; it is interrupted"):
        jobs.stop("long")


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@contextmanager
def deaf(run, *command, **fields):
    """A process that takes no note of anything, which a run's status names."""
    with subprocess.Popen(command) as process:
        # Only once it is another program has it the command line that is looked at.
        wait_until(lambda: psutil.Process(process.pid).cmdline()[-1:] == [command[-1]])
        run.create().write_status("running")
        started = psutil.Process(process.pid).create_time()
        status = json.loads(run.status_file.read_text())
        status |= {"pid": process.pid, "pid_started": started, **fields}
        run.status_file.write_text(json.dumps(status))
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("form", ["csp", "-m"])
def test_a_job_that_does_not_listen_is_ended_by_force(home, tmp_path, form):
    script = tmp_path / ("csp" if form == "csp" else "csp_core/__main__.py")
    script.parent.mkdir(exist_ok=True)
    script.write_text("import time\ntime.sleep(60)\n")
    run = RunDir(home / "deaf")
    with deaf(run, sys.executable, str(script), "train", "x.yaml") as process:
        assert jobs.stop("deaf", wait=0.1).state == "running"
        assert run.stop_file.exists()
        assert jobs.stop("deaf", wait=0.1, kill=True).state == "interrupted"
        assert process.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("command", "fields", "says"),
    [
        (["sleep", "60"], {}, "'sleep 60' is no `csp` command"),
        (["tail", "-f", "csp", "/dev/null"], {}, "is no `csp` command"),
        (["sleep", "60"], {"host": "elsewhere.invalid"}, "nothing there is ended"),
    ],
)
def test_what_does_not_look_like_the_run_is_not_ended(home, command, fields, says):
    run = RunDir(home / "foreign")
    with deaf(run, *command, **fields) as process:
        with pytest.raises(CheckpointError, match=says):
            jobs.stop("foreign", wait=0.0, kill=True)
        assert process.poll() is None


def test_a_process_that_began_at_another_time_is_not_ended(home):
    run = RunDir(home / "reused")
    with deaf(run, "sleep", "60", pid_started=time.time() - 5000) as process:
        with pytest.raises(CheckpointError, match="it is interrupted"):
            jobs.stop("reused", wait=0.0, kill=True)
        assert process.poll() is None


def test_a_job_that_cannot_start_says_why(home, records_csv, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(small.config(tmp_path / "absent.csv").to_yaml())
    with pytest.raises(CheckpointError) as caught:
        jobs.launch(path, ["training.epochs=0"], run_dir=home / "bad")
    message = str(caught.value)
    assert "The run did not start" in message and "training.epochs" in message
    assert "Traceback" not in (home / "bad" / jobs.OUTPUT).read_text()
    assert jobs.list_jobs() == []


def test_list_newest_first_with_those_that_cannot_be_read(home):
    for number, name in enumerate(("old", "new")):
        run = RunDir(home / name).create()
        run.write_status("finished")
        status = json.loads(run.status_file.read_text()) | {"heartbeat": float(number)}
        run.status_file.write_text(json.dumps(status))
    RunDir(home / "broken").create().status_file.write_text("{")
    (home / "no-run").mkdir()
    listed = {job.path.name: job.state for job in jobs.list_jobs()}
    assert listed == {"new": "finished", "old": "finished", "broken": "unreadable"}
    assert next(job.path.name for job in jobs.list_jobs()) == "new"
    broken = next(job for job in jobs.list_jobs() if job.path.name == "broken")
    assert "status.json" in broken.status["message"]


def test_no_runs(home):
    assert jobs.list_jobs() == []
    with pytest.raises(DataNotFoundError, match="`csp runs` lists the runs"):
        jobs.find_run("absent")


def test_a_path_goes_before_a_name(home, tmp_path):
    for folder in (home / "mine", tmp_path / "mine"):
        RunDir(folder).create().write_status("finished")
    assert jobs.find_run(tmp_path / "mine").path == tmp_path / "mine"
    assert jobs.find_run("mine").path == home / "mine"


def test_new_run_directories_do_not_meet(home, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda _: "20210102-030405")
    found = []
    for _ in range(3):
        found.append(jobs.new_run_dir("a/b c"))
        found[-1].mkdir(parents=True)
    assert [path.name for path in found] == [
        "a-b-c-20210102-030405", "a-b-c-20210102-030405-2", "a-b-c-20210102-030405-3"
    ]  # fmt: skip
    assert {path.parent for path in found} == {home}
