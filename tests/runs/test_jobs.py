"""Jobs: runs in processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from csp_core.config import load_config
from csp_core.errors import CheckpointError, DataNotFoundError
from csp_core.runs import RunDir, jobs, manage
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


def test_a_copy_of_a_run_that_goes_on_is_interrupted_and_its_process_is_left_alone(home, tmp_path):
    script = tmp_path / "csp"
    script.write_text("import time\ntime.sleep(60)\n")
    run, copy = RunDir(home / "a"), RunDir(home / "b")
    with deaf(run, sys.executable, str(script), "train", "x.yaml") as process:
        status = json.loads(run.status_file.read_text())
        (run.path / "control" / "lock").write_text(json.dumps(status))
        (run.path / "control" / "held").touch()
        shutil.copytree(run.path, copy.path)
        assert run.read_status()["state"] == "running"
        assert {job.path.name: job.state for job in jobs.list_jobs()} == {
            "a": "running",
            "b": "interrupted",
        }
        assert f"copied or moved from {run.path.resolve()}" in copy.read_status()["message"]
        with pytest.raises(CheckpointError, match="not under way; it is interrupted"):
            jobs.stop("b", wait=0.1, kill=True)
        assert process.poll() is None
        with copy.lock():
            assert copy.read_status()["state"] == "interrupted"
            copy.check_free()
        with pytest.raises(CheckpointError, match="under way"):
            manage.delete(run)
        manage.delete(copy)
        assert process.poll() is None


def test_a_folder_of_another_name_is_under_way_if_its_lock_is_held(home):
    run = RunDir(home / "a")
    hold = "import sys, filelock, time\nwith filelock.FileLock(sys.argv[1]): time.sleep(60)"
    with deaf(run, "sleep", "60", folder="/mounted/elsewhere/a"):
        assert run.read_status()["state"] == "interrupted"
        held = run.path / "control" / "held"
        with subprocess.Popen([sys.executable, "-c", hold, str(held)]) as holder:
            try:
                wait_until(lambda: run.read_status()["state"] == "running", 20.0)
            finally:
                holder.kill()
        assert run.read_status()["state"] == "interrupted"


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
        assert found[-1].is_dir()
    assert [path.name for path in found] == [
        "a-b-c-20210102-030405", "a-b-c-20210102-030405-2", "a-b-c-20210102-030405-3"
    ]  # fmt: skip
    assert {path.parent for path in found} == {home}


# Folders that anybody may have written


def as_status(**fields):
    """A status whose numbers JSON cannot hold as they are."""
    whole = {"format": "csp-run/1", "state": "failed", "heartbeat": 1, "message": "x", **fields}
    return json.dumps(whole | {"host": socket.gethostname()} | fields)


BAD = {
    "markup": (as_status(message="[/foo] [red]bad[/red] :warning:"), "failed", "[/foo] [red]bad"),
    "escape": (as_status(message="\x1b[2J\x07 beep"), "failed", "�[2J� beep"),
    "lone-surrogate": (as_status(message="\ud800 half"), "failed", "? half"),
    "long": (as_status(message="x" * 50000), "failed", "xxx"),
    "pid-infinite": (as_status(state="running", pid=float("inf")), "unreadable", "Infinity"),
    "pid-1e999": (as_status(state="running", pid=7).replace("7", "1e999"), "unreadable", "1e999"),
    "pid-huge": (as_status(state="running", pid=10**30), "unreadable", "'pid' is no plain value"),
    "pid-beyond": (as_status(state="running", pid=2**40, pid_started=1), "interrupted", "restart"),
    "pid-negative": (as_status(state="running", pid=-1, pid_started=1), "interrupted", "restart"),
    "pid-true": (as_status(state="running", pid=True, pid_started=1), "interrupted", "restart"),
    "started": (as_status(state="running", pid=1, pid_started=1e300), "interrupted", "restart"),
    "heartbeat-nan": (as_status(heartbeat=float("nan")), "unreadable", "NaN is no number"),
    "heartbeat-inf": (as_status(heartbeat=-float("inf")), "unreadable", "Infinity is no number"),
    "heartbeat-huge": (as_status(heartbeat=10**400), "unreadable", "its heartbeat is no number"),
    "heartbeat-digits": (f'{{"heartbeat": 1{"0" * 9999}}}', "unreadable", "readable JSON"),
    "elsewhere": (as_status(state="running", host="x", heartbeat=1e300), "unreadable", "heartbeat"),
    "epoch-nan": (as_status(epoch=float("nan")), "unreadable", "NaN is no number"),
    "epoch-list": (as_status(epoch=[1]), "unreadable", "'epoch' is no plain value"),
    "epoch-text": (as_status(epoch="1"), "unreadable", "its epoch is no number"),
    "nested": (as_status(more={"a": {}}), "unreadable", "'more' is no plain value"),
    "deep": ('{"a":' * 10**4, "unreadable", "recursion"),
    "deep-list": ("[" * 60000, "unreadable", "recursion"),
    "large": (" " * 10**7, "unreadable", "more than the"),
    "state-markup": (as_status(state="[/x]"), "unreadable", "its state is none of"),
    "state-number": (as_status(state=3), "unreadable", "its state is none of"),
    "binary": ("\x00\x01", "unreadable", "readable JSON"),
    "a-list": ("[1]", "unreadable", "holds no object"),
    "empty": ("", "unreadable", "readable JSON"),
    "[/run]": (as_status(message="name"), "failed", "name"),
}  # fmt: skip


@pytest.fixture
def bad_home(home):
    """A good run, and one of each kind of bad folder beside it."""
    RunDir(home / "good").create().write_status("finished", message="all is well", epoch=3)
    for name, (content, _, _) in BAD.items():
        # A name in a folder's name would be two folders.
        folder = home / name.replace("/", "∕")
        folder.mkdir(parents=True)
        (folder / "status.json").write_text(content)
    for name in ("folder", "pipe", "device", "link-out", "link-dangling", "link-loop", "socket"):
        (home / name).mkdir()
    (home / "folder" / "status.json").mkdir()
    os.mkfifo(home / "pipe" / "status.json")
    (home / "device" / "status.json").symlink_to("/dev/zero")
    (home / "link-out" / "status.json").symlink_to("/etc/passwd")
    (home / "link-dangling" / "status.json").symlink_to("/nowhere")
    (home / "link-loop" / "status.json").symlink_to("status.json")
    with socket.socket(socket.AF_UNIX) as listening, contextlib.suppress(OSError):
        listening.bind(str(home / "socket" / "status.json"))
    odd = os.fsdecode(os.fsencode(home) + b"/odd-\xff")
    RunDir(Path(odd)).create().write_status("finished", message="odd name")
    (home / "a-file").write_text("x")
    (home / "no-run").mkdir()
    return home


def test_one_bad_folder_harms_no_other(bad_home):
    began = time.monotonic()
    listed = {job.path.name: job for job in jobs.list_jobs(bad_home)}
    assert time.monotonic() - began < 10
    assert listed["good"].state == "finished" and listed["good"].status["epoch"] == 3
    for name, (_, state, says) in BAD.items():
        job = listed[name.replace("/", "∕")]
        assert job.state == state, name
        if "escape" not in name:
            assert says in job.status["message"], name
    for name in ("link-out", "link-dangling", "link-loop", "device"):
        assert listed[name].state == "unreadable" and "is a link" in listed[name].status["message"]
    for name in ("folder", "pipe"):
        assert "is no regular file" in listed[name].status["message"]
    assert "a-file" not in listed and "no-run" not in listed


# A child, so that what it takes can be limited and no pipe holds the tests.
LISTED = """
import resource, sys
from csp_core.cli import main
resource.setrlimit(resource.RLIMIT_AS, (1500 * 2**20,) * 2)
main()
"""


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_the_command_lists_the_good_with_the_bad(bad_home, form):
    ended = subprocess.run(
        [sys.executable, "-c", LISTED, "runs", "--home", str(bad_home), *form],
        capture_output=True,
        timeout=60,
        env=os.environ | {"COLUMNS": "250"},
    )
    shown = ended.stdout.decode()
    assert ended.returncode == 0, ended.stderr.decode()
    assert "all is well" in shown and "odd name" in shown
    if form:
        rows = {Path(row["path"]).name: row for row in json.loads(shown)}
        for name, (_, state, _) in BAD.items():
            assert rows[name.replace("/", "∕")]["state"] == state
        return
    for name in BAD:
        assert name.replace("/", "∕") in shown
    assert "[/foo] [red]bad[/red] :warning:" in shown
    assert "\x1b" not in shown and "�[2J� beep" in shown and "? half" in shown
    assert max(map(len, shown.splitlines())) < 2000


@pytest.mark.parametrize("name", ["[/foo]", "[red]", "a:warning:b"])
def test_a_message_prints_a_name_as_it_is(home, name, csp):
    folder = home / name.replace("/", "∕")
    RunDir(folder).create().write_status("finished")
    code, said, _ = csp("resume", str(folder))
    assert code == 0 and str(folder) in said
    code, said, _ = csp("runs", "--home", f"nothing-{name}")
    assert code == 0 and f"nothing-{name}" in said
