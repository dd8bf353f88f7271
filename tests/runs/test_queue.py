"""Runs that start without anybody waiting, and the queue that they stand in."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from csp_core.config import load_config
from csp_core.errors import CheckpointError, ConfigError
from csp_core.files import hash_file
from csp_core.runs import RunDir, jobs, launch
from csp_core.runs.queue import Queue, most, turn
from csp_core.runs.reading import last_error, read_tail
from csp_core.training import loop, train
from tests import small


@pytest.fixture
def home(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return jobs.runs_home()


@pytest.fixture
def short(records_csv, tmp_path):
    """The file of a configuration whose run takes a moment."""
    training = {"epochs": 2, "checkpoint_every": 5, "threads": 1}
    path = tmp_path / "short.yaml"
    path.write_text(small.config(records_csv, training=training).to_yaml())
    return path


def wait_until(condition, seconds=90.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def state(run):
    return run.read_status()["state"]


@contextlib.contextmanager
def taken(home, name="other"):
    """A slot that another run holds."""
    held = Queue(home).slot(home / name)
    try:
        yield held
    finally:
        held.release(force=True)


def ended(job):
    with contextlib.suppress(psutil.Error):
        psutil.Process(job.status["pid"]).kill()
    wait_until(lambda: state(RunDir(job.path)) not in ("queued", "starting", "running"))


# The queue itself


def test_first_come_first_served(home):
    queue = Queue(home)
    with taken(home, "before"):
        first, held_first = queue.enter(home / "first")
        second, held_second = queue.enter(home / "second")
        assert queue.ahead(first) == ["before"]
        assert queue.ahead(second) == ["before", "first"]
        assert queue.slot(home / "first", first) is None
    assert queue.slot(home / "second", second) is None, "it is not its turn"
    slot = queue.slot(home / "first", first)
    queue.leave(first, held_first)
    assert slot is not None and queue.ahead(second) == ["first"]
    assert queue.slot(home / "second", second) is None
    slot.release()
    slot = queue.slot(home / "second", second)
    queue.leave(second, held_second)
    assert slot is not None
    slot.release()
    assert not list(queue.folder.glob("ticket-*"))


def test_whose_process_is_slow_to_start_keeps_its_place(home):
    queue, now = Queue(home), time.time()
    with taken(home, "before"):
        places = [
            queue.enter(home / name, since)
            for name, since in (("late", None), ("first", now - 9), ("second", now - 5))
        ]
        later = queue.enter(home / "ahead of time", now + 10**9)
        same = queue.enter(home / "third", now - 5)
        order = ["before", "first", "second", "third", "late"]
        assert queue.ahead(later[0]) == order and queue.ahead(places[0][0]) == order[:-1]
        for ticket, held in (*places, later, same):
            queue.leave(ticket, held)
    assert not list(queue.folder.glob("ticket-*"))


def test_as_many_slots_as_are_allowed(home, monkeypatch):
    monkeypatch.setenv("CSP_MAX_JOBS", "2")
    with taken(home, "one"), taken(home, "two"):
        assert Queue(home).slot(home / "three") is None
    monkeypatch.setenv("CSP_MAX_JOBS", "none")
    with pytest.raises(ConfigError, match="CSP_MAX_JOBS is 'none'; give a whole number"):
        Queue(home).slot(home / "three")


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "²", "1e3", "9" * 12])
def test_limits_that_are_none(monkeypatch, text):
    monkeypatch.setenv("CSP_MAX_QUEUED", text)
    with pytest.raises(ConfigError, match="CSP_MAX_QUEUED"):
        most("CSP_MAX_QUEUED", 20)
    monkeypatch.setenv("CSP_MAX_QUEUED", "")
    assert most("CSP_MAX_QUEUED", 20) == 20


def test_no_more_than_so_many_wait(home, monkeypatch, short):
    monkeypatch.setenv("CSP_MAX_QUEUED", "1")
    _, held = Queue(home).enter(home / "one")
    with pytest.raises(ConfigError, match="1 runs wait already, and CSP_MAX_QUEUED allows 1"):
        Queue(home).enter(home / "two")
    folder = jobs.new_run_dir("full")
    with pytest.raises(ConfigError, match="CSP_MAX_QUEUED"):
        jobs.start(short, run_dir=folder)
    assert not folder.exists(), "what did not start leaves nothing"
    held.release()
    _, held = Queue(home).enter(home / "two")
    held.release()


KILLED = """
import sys, time
from pathlib import Path
from csp_core.runs.queue import Queue
queue, name = Queue(Path(sys.argv[1])), Path(sys.argv[2])
kept = queue.slot(name) if name.name == "holder" else queue.enter(name)
print("held", flush=True)
time.sleep(60)
"""


def test_who_is_killed_gives_back_slot_and_place(home):
    command = [sys.executable, "-c", KILLED, str(home)]
    with contextlib.ExitStack() as stack:
        for name in ("holder", "waits"):
            process = subprocess.Popen([*command, name], stdout=subprocess.PIPE)
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout.readline() == b"held\n"
        ticket, held = Queue(home).enter(home / "me")
        assert Queue(home).ahead(ticket) == ["holder", "waits"]
        assert Queue(home).slot(home / "me", ticket) is None
    slot = Queue(home).slot(home / "me", ticket)
    assert slot is not None and Queue(home).ahead(ticket) == ["me"]
    slot.release()
    held.release()


def test_a_queue_that_cannot_be_written_to(home, short, csp):
    home.mkdir()
    (home / ".slots").write_text("in the way")
    for ask in (Queue(home).enter, Queue(home).slot):
        with pytest.raises(CheckpointError, match=r"queue in .*cannot be written to.*CSP_RUNS"):
            ask(home / "mine")
    code, _, said = csp("train", short, "--queue")
    assert code == 1 and "cannot be written to" in said
    assert [path.name for path in home.iterdir()] == [".slots"]
    jobs.start(short, run_dir=home / "mine")
    wait_until(lambda: state(RunDir(home / "mine")) == "failed")
    assert "cannot be written to" in RunDir(home / "mine").read_status()["message"]
    code, said, _ = csp("train", short, "--run-dir", home / "other")
    assert code == 0 and "Model:" in said, "who does not wait needs no queue"


def waiting(run, home, **options):
    given = {"wait": True, "config": "name: x\n", "name": "x", "resume": False, "say": lambda _: 0}
    return turn(run, home, **given | options)


def test_a_run_waits_and_can_be_stopped_meanwhile(home, monkeypatch):
    run, told = RunDir(home / "mine"), []
    with taken(home), ThreadPoolExecutor(1) as pool:

        def wait():
            with waiting(run, home, say=told.append) as goes_on:
                return goes_on

        future = pool.submit(wait)
        wait_until(lambda: run.status_file.exists() and state(run) == "queued")
        assert run.read_status()["message"] == "waits for other" == told[0]
        assert jobs.list_jobs()[0].state == "queued"
        with pytest.raises(CheckpointError, match="under way already"):
            jobs.resume_job("mine")
        assert jobs.stop("mine", wait=20).state == "stopped"
        assert future.result() is False
    assert "before its turn" in run.read_status()["message"]
    with waiting(run, home) as goes_on:
        assert goes_on and Queue(home).slot(home / "other") is None
        assert run.awaits_this_process()
        # What it waited for begins: a wish to stop since then is kept.
        run.stop_file.touch()
        run.claim("name: x\n", resume=False)
        assert run.stop_file.exists()


def test_who_does_not_wait_takes_a_slot_that_is_free(home):
    home.mkdir()
    with waiting(RunDir(home / "a"), home, wait=False):
        assert Queue(home).slot(home / "other") is None
        with waiting(RunDir(home / "b"), home, wait=False) as goes_on:
            assert goes_on
    with taken(home):
        pass


def test_a_shared_run_does_not_queue(home, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="one process"), waiting(RunDir(home / "a"), home):
        pass
    assert jobs.new_run_dir("x") == jobs.new_run_dir("x"), "its processes share one folder"


# Folders and starts


def test_many_starts_in_one_second_get_a_folder_each(home):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: jobs.new_run_dir("same"), range(40)))
    assert len(set(found)) == 40 and all(path.is_dir() for path in found)


def test_a_start_is_seen_at_once_and_ends_as_an_undisturbed_run(home, short, tmp_path):
    train(load_config(short), run_dir=tmp_path / "undisturbed")
    run = RunDir(jobs.new_run_dir("tiny"))
    with taken(home):
        began = time.monotonic()
        job = jobs.start(short, run_dir=run.path)
        assert time.monotonic() - began < 2 and job.state == "queued"
        assert psutil.Process(job.status["pid"]).create_time() == job.status["pid_started"]
        assert os.getsid(job.status["pid"]) == job.status["pid"]
        # Killed before it began: it is started again with what it was launched with.
        os.kill(job.status["pid"], signal.SIGKILL)
        wait_until(lambda: state(run) == "interrupted")
        assert "before the run began" in run.read_status()["message"]
        job = jobs.resume_job(run.path)
        wait_until(lambda: run.config.exists() and "waits for other" in str(run.read_status()))
        # Killed while it waits.
        os.kill(job.status["pid"], signal.SIGKILL)
        wait_until(lambda: state(run) == "interrupted")
        jobs.resume_job(run.path)
    wait_until(lambda: state(run) == "finished")
    models = [folder / "model/model.safetensors" for folder in (run.path, tmp_path / "undisturbed")]
    assert hash_file(models[0]) == hash_file(models[1])
    with pytest.raises(CheckpointError, match="is finished"):
        jobs.resume_job(run.path)


def test_two_starts_of_one_folder(home, short):
    folder, found = home / "one", []

    def begin():
        with contextlib.suppress(CheckpointError):
            found.append(jobs.start(short, run_dir=folder))

    threads = [threading.Thread(target=begin) for _ in range(4)]
    with taken(home):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 1 and state(RunDir(folder)) == "queued"
        ended(found[0])


def test_a_start_that_fails_says_why_in_its_status(home, records_csv, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(small.config(records_csv).to_yaml())
    job = jobs.start(path, ["training.epochs=0"], run_dir=home / "bad", queue=False)
    assert job.state == "starting"
    wait_until(lambda: state(RunDir(home / "bad")) == "failed")
    status = RunDir(home / "bad").read_status()
    assert "training.epochs" in status["message"] and status["cause"] == "config"


def test_a_process_that_died_before_its_first_word(home):
    run = RunDir(home / "mute").create()
    output = run.path / jobs.OUTPUT
    output.write_text("Error: of another time\n")
    size = output.stat().st_size
    with subprocess.Popen(["true"]) as gone:
        fields = {"pid": gone.pid, "pid_started": time.time(), "output_from": size}
    run.write_early("starting", **fields)
    assert run.read_status()["state"] == "interrupted"
    assert "before the run began" in run.read_status()["message"]
    with output.open("a") as stream:
        stream.write("noise\nError: No file x.csv.\n")
    status = run.read_status()
    assert (status["state"], status["message"]) == ("failed", "No file x.csv.")
    # A run that had begun is interrupted, whatever it printed.
    run.write_status("running", **fields)
    assert run.read_status()["state"] == "interrupted"


def test_the_end_of_a_text_is_read_within_bounds(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("".join(f"line {n}\n" for n in range(100000)))
    assert read_tail(path, limit=30).splitlines() == ["line 99997", "line 99998", "line 99999"][1:]
    assert read_tail(path, limit=10**7).startswith("line 0\n")
    assert last_error(path) == "" and last_error(path, otherwise=True) == "line 99999"
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(CheckpointError, match="is a link"):
        read_tail(tmp_path / "link")
    assert last_error(tmp_path / "absent") == ""


def test_a_folder_with_a_run_is_not_discarded(home):
    for name, keeps in (("status.json", True), ("mine.txt", True), (jobs.OUTPUT, False)):
        folder = Path(home / name)
        folder.mkdir(parents=True)
        (folder / name).write_text("x")
        launch.discard(folder)
        assert folder.exists() is keeps


def test_the_command_leaves_no_folder_of_a_run_that_cannot_begin(home, short, csp):
    code, _, said = csp("train", short, "training.device=cuda")
    if code == 0:
        pytest.skip("a GPU is there")
    assert code == 1 and "no GPU is found" in said
    assert [path for path in home.iterdir() if path.name != ".slots"] == []


def test_the_command_waits_for_its_turn(home, short, csp):
    run = RunDir(home / "mine")

    def stop():
        wait_until(lambda: run.status_file.exists() and state(run) == "queued")
        run.stop_file.touch()

    with taken(home):
        stopper = threading.Thread(target=stop)
        stopper.start()
        code, said, errors = csp("train", short, "--run-dir", run.path, "--queue")
        stopper.join()
    assert code == 0 and "Stopped." in said and "waits for other" in errors
    code, said, _ = csp("resume", run.path, "--queue")
    assert code == 0 and "Model:" in said


@pytest.mark.parametrize("change", ["moved", "deleted"])
def test_a_run_whose_folder_goes_while_it_waits(home, short, change):
    run, there = RunDir(jobs.new_run_dir("goes")), RunDir(home / "elsewhere")
    with taken(home):
        job = jobs.start(short, run_dir=run.path)
        wait_until(lambda: run.config.exists() and "waits for other" in str(run.read_status()))
        process = psutil.Process(job.status["pid"])
        # It has not imported what trains, as many may wait.
        assert process.memory_info().rss < 120e6
        if change == "moved":
            run.path.rename(there.path)
        else:
            shutil.rmtree(run.path)
        wait_until(lambda: not process.is_running() or process.status() == "zombie")
    assert not run.path.exists(), "nothing makes it anew"
    if change == "moved":
        assert state(there) == "failed" and "moved or deleted" in there.read_status()["message"]
        jobs.resume_job(there.path)
        wait_until(lambda: state(there) == "finished")


def test_a_run_whose_folder_goes_while_it_trains(home, short, monkeypatch):
    run, there = RunDir(home / "goes"), RunDir(home / "elsewhere")
    close = loop.Stage._close_epoch

    def move(self):
        close(self)
        if self.progress.epoch == 1 and run.path.exists():
            run.path.rename(there.path)
            self.last_beat = 0.0

    monkeypatch.setattr(loop.Stage, "_close_epoch", move)
    with pytest.raises(CheckpointError, match=r"moved or deleted.*csp resume"):
        train(load_config(short), run_dir=run.path)
    assert not run.path.exists()
    assert "moved or deleted" in there.log.read_text()
    train(load_config(short), run_dir=there.path, resume=True)
    train(load_config(short), run_dir=home / "undisturbed")
    files = [folder / "model/model.safetensors" for folder in (there.path, home / "undisturbed")]
    assert hash_file(files[0]) == hash_file(files[1])


def test_its_turn_is_told_before_it_begins(home):
    run = RunDir(home / "mine")
    with waiting(run, home):
        status = run.read_status()
        assert (status["state"], status["message"]) == ("starting", "its turn has come")


def test_settings_that_do_not_fit_are_told_before_it_waits(home, short, csp, monkeypatch):
    monkeypatch.setenv("CSP_MAX_EPOCHS", "1")
    with taken(home):
        code, _, said = csp("train", short, "--queue")
        assert code == 1 and "CSP_MAX_EPOCHS allows 1" in said
        code, _, said = csp("train", short, "training.epochs=0", "--queue")
        assert code == 1 and "training.epochs" in said
    assert jobs.list_jobs() == []
