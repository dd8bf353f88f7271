"""The files of a run: status, metrics, lock."""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import socket
import subprocess
import time
import tracemalloc

import psutil
import pytest

from csp_core.errors import CheckpointError, DataNotFoundError
from csp_core.runs import RunDir, log_to, owner
from csp_core.runs.metrics import restore_metrics
from csp_core.runs.reading import LINE_BYTES, WATCHED_BYTES, WATCHED_ROWS
from tests.runs import lock_races


@pytest.fixture
def run(tmp_path):
    return RunDir(tmp_path / "run").create()


def rewrite(run, **fields):
    status = json.loads(run.status_file.read_text())
    run.status_file.write_text(json.dumps(status | fields))


def gone():
    """The number of a process that has ended."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    return pid


def test_status(run):
    run.write_status("running", step=3, message="epoch 1")
    status = run.read_status()
    assert (status["state"], status["step"], status["message"]) == ("running", 3, "epoch 1")
    assert status["pid"] == os.getpid() and status["host"] == socket.gethostname()
    assert abs(status["heartbeat"] - time.time()) < 5


def test_status_is_replaced_whole(run):
    run.write_status("running", step=3)
    run.write_status("finished")
    assert "step" not in run.read_status()
    assert sorted(p.name for p in run.path.iterdir()) == ["checkpoints", "control", "status.json"]


@pytest.mark.parametrize("state", ["starting", "running"])
def test_a_run_whose_process_is_gone_is_interrupted(run, state):
    run.write_status(state)
    rewrite(run, pid=gone())
    assert run.read_status()["state"] == "interrupted"


@pytest.mark.parametrize(
    ("fields", "restarted", "reason"),
    [
        ({}, False, "ended by force or for want of memory"),
        ({}, True, "the machine was restarted after its last sign of life"),
        ({"host": "elsewhere.invalid", "heartbeat": 1}, True, "the host 'elsewhere.invalid' has"),
    ],
)
def test_an_interrupted_run_tells_the_likely_reason(run, monkeypatch, fields, restarted, reason):
    run.write_status("running", message="epoch 3")
    rewrite(run, **{"pid": gone(), **fields})
    moment = time.time() + (100 if restarted else -100)
    monkeypatch.setattr(psutil, "boot_time", lambda: moment)
    status = run.read_status()
    assert status["state"] == "interrupted" and reason in status["message"]


def test_a_process_number_given_to_another_is_not_the_run(run):
    run.write_status("running")
    rewrite(run, pid_started=psutil.Process().create_time() - 100)
    assert run.read_status()["state"] == "interrupted"


@pytest.mark.parametrize("state", ["stopped", "finished", "failed"])
def test_a_run_that_has_ended_stays_as_it_was(run, state):
    run.write_status(state)
    rewrite(run, pid=gone())
    assert run.read_status()["state"] == state


@pytest.mark.parametrize(("age", "state"), [(10, "running"), (1000, "interrupted")])
def test_on_another_host_the_heartbeat_decides(run, age, state):
    run.write_status("running")
    rewrite(run, host="elsewhere.invalid", heartbeat=time.time() - age)
    assert run.read_status()["state"] == state


def test_no_run(tmp_path):
    with pytest.raises(DataNotFoundError, match="not a run directory"):
        RunDir(tmp_path).read_status()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '"running"',
        '{"state": "running"}',
        '{"format": "csp-run/1", "heartbeat": 1}',
        '{"format": "csp-run/1", "state": "running", "heartbeat": "now"}',
        '{"format": "csp-run/1", "state": "running", "heartbeat": true}',
        '{"format": "csp-run/1", "state": "[red]", "heartbeat": 1}',
        "\x00",
    ],
)
def test_a_status_that_is_none(run, content):
    run.status_file.write_text(content)
    with pytest.raises(CheckpointError, match=r"status\.json"):
        run.read_status()


@pytest.mark.parametrize("fields", [{"pid": "x"}, {"pid": None}, {"pid_started": None}])
def test_a_status_with_fields_of_another_kind(run, fields):
    run.write_status("running")
    rewrite(run, **fields)
    assert run.read_status()["state"] == "interrupted"


# Metrics


def test_metrics(run):
    assert run.read_metrics() == []
    run.append_metrics({"epoch": 1, "loss": 0.5})
    run.append_metrics({"epoch": 2, "loss": float("nan"), "other": float("-inf")})
    assert run.read_metrics() == [
        {"epoch": 1, "loss": 0.5},
        {"epoch": 2, "loss": None, "other": None},
    ]


@pytest.mark.parametrize("rest", ['{"epoch": 3, "lo', '{"epoch": 3, "loss": 0.25', "{"])
def test_a_half_written_last_line_is_passed_over(run, rest):
    run.append_metrics({"epoch": 1})
    run.append_metrics({"epoch": 2})
    with run.metrics_file.open("a") as stream:
        stream.write(rest)
    assert [row["epoch"] for row in run.read_metrics()] == [1, 2]
    restore_metrics(run.metrics_file, [], 2)
    run.append_metrics({"epoch": 3})
    assert [row["epoch"] for row in run.read_metrics()] == [1, 2, 3]


@pytest.mark.parametrize("line", ["[" * 100000, '{"epoch": NaN}', '{"epoch": 1e999}', "\x00"])
def test_metrics_end_where_they_are_none(run, line):
    run.append_metrics({"epoch": 1})
    with run.metrics_file.open("a") as stream:
        stream.write(f'{line}\n{{"epoch": 2}}\n')
    assert run.read_metrics() == [{"epoch": 1}]


def test_who_watches_reads_the_last_of_the_metrics(run):
    assert run.read_last_metrics() == ([], False)
    run.append_metrics({"epoch": 1, "loss": 0.5, "odd": [{}] * 100, "other": {"a": 1}})
    run.append_metrics({"epoch": 2})
    assert run.read_last_metrics() == ([{"epoch": 1, "loss": 0.5}, {"epoch": 2}], False)
    assert run.read_metrics()[0]["other"] == {"a": 1}
    run.metrics_file.write_text(f'{{"epoch": 1}}\n{{"epoch": "{"x" * LINE_BYTES}"}}\n{{}}\n')
    assert run.read_last_metrics() == ([{"epoch": 1}], False)
    run.metrics_file.unlink()
    run.metrics_file.symlink_to("/dev/zero")
    with pytest.raises(CheckpointError, match="link"):
        run.read_last_metrics()


@pytest.mark.parametrize("line", ["{}\n", "\n", '{"epoch": 1, "loss": 0.1234}' + " " * 5000 + "\n"])
def test_metrics_of_any_size_take_little_of_who_watches(run, line):
    number = 2 * WATCHED_BYTES // len(line)
    run.metrics_file.write_text(line * number)
    tracemalloc.start()
    try:
        rows, cut = run.read_last_metrics()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert cut and len(rows) <= min(WATCHED_ROWS, number) and most < 6 * WATCHED_BYTES
    assert bool(rows) == (line != "\n")


def test_a_status_keeps_what_a_file_can_hold(run):
    run.write_status("failed", message=f"\ud800 bad {'x' * 10**6}")
    message = run.read_status()["message"]
    assert message.startswith("? bad xxx") and len(message) == 10000


def test_epochs_that_are_done_again_are_dropped(run):
    for epoch in (1, 2, 3):
        run.append_metrics({"epoch": epoch})
    assert restore_metrics(run.metrics_file, [], 1) == run.read_metrics() == [{"epoch": 1}]


def test_lines_that_a_checkpoint_knows_are_written_anew(run):
    known = [run.append_metrics({"stage": "first", "epoch": 1})]
    known += [run.append_metrics({"stage": "second", "epoch": n, "loss": math.nan}) for n in (1, 2)]
    run.metrics_file.write_text('{"stage": "fi\n{"stage": "second", "epo')
    restore_metrics(run.metrics_file, known, 2, "second", ["first"])
    found = [(row["stage"], row["epoch"], row.get("loss", 0)) for row in run.read_metrics()]
    assert found == [("first", 1, 0), ("second", 1, None), ("second", 2, None)]


# The lock


def test_a_run_has_one_owner(run):
    with run.lock():
        with pytest.raises(CheckpointError, match=f"trained by process {os.getpid()}"):
            with run.lock():
                pass
        with pytest.raises(CheckpointError), run.lock():
            pass
    with run.lock():
        assert sorted(p.name for p in run.stop_file.parent.iterdir()) == ["held", "lock"]
    assert [p.name for p in run.stop_file.parent.iterdir()] == ["held"]


@pytest.mark.parametrize("content", ["", "{", '{"pid": 1}', "[]", "3"])
def test_a_lock_that_nobody_holds_is_taken(run, content):
    (run.path / "control" / "lock").write_text(content)
    with run.lock():
        pass


def test_the_lock_of_a_killed_process_is_taken(run):
    identity = {"pid": gone(), "pid_started": time.time(), "host": socket.gethostname()}
    (run.path / "control" / "lock").write_text(json.dumps(identity))
    with run.lock():
        assert json.loads((run.path / "control" / "lock").read_text())["pid"] == os.getpid()


def test_the_lock_is_given_back_after_an_error(run):
    with pytest.raises(ZeroDivisionError), run.lock():
        _ = 1 / 0
    assert not (run.path / "control" / "lock").exists()


HOST, ELSEWHERE = socket.gethostname(), "elsewhere.invalid"


def note(run, *, age=0.0, **fields):
    """Leave the note of another holder; its file was changed so many seconds ago."""
    path = run.path / "control" / "lock"
    path.write_text(json.dumps({"pid": os.getpid(), "pid_started": 1.0, **fields}))
    os.utime(path, (time.time() - age,) * 2)


@pytest.mark.parametrize("fields", [{}, {"heartbeat": 1}, {"pid": None}, {"heartbeat": 1e300}])
def test_the_lock_of_another_host_is_not_taken_while_fresh(run, fields):
    note(run, host=ELSEWHERE, **fields)
    before = (run.path / "control" / "lock").read_text()
    with pytest.raises(CheckpointError, match=r"on the host 'elsewhere\.invalid'.* 5 minutes"):
        with run.lock():
            pass
    assert (run.path / "control" / "lock").read_text() == before
    note(run, host=ELSEWHERE, age=1000, **fields)
    with run.lock():
        pass


def test_a_heartbeat_from_a_far_future_holds_nothing(run):
    note(run, host=ELSEWHERE, age=1000, heartbeat=time.time() + 1e9)
    with run.lock():
        pass


@pytest.mark.parametrize("state", ["starting", "running"])
def test_the_status_of_another_host_is_not_taken_over_while_fresh(run, state):
    run.write_status(state)
    rewrite(run, host=ELSEWHERE, heartbeat=time.time() - 100)
    with pytest.raises(CheckpointError, match="on the host"), run.lock():
        pass
    rewrite(run, host=ELSEWHERE, heartbeat=time.time() - 1000)
    with run.lock():
        pass


def test_a_run_whose_lock_was_removed_is_known_by_its_status(run):
    with subprocess.Popen(["sleep", "60"]) as process:
        run.write_status("running")
        rewrite(run, pid=process.pid, pid_started=psutil.Process(process.pid).create_time())
        try:
            with pytest.raises(CheckpointError, match=f"process {process.pid}"), run.lock():
                pass
        finally:
            process.kill()


def test_a_holder_of_an_earlier_version_is_respected(run):
    with subprocess.Popen(["sleep", "60"]) as process:
        started = psutil.Process(process.pid).create_time()
        note(run, pid=process.pid, pid_started=started, host=HOST)
        try:
            with pytest.raises(CheckpointError, match=f"process {process.pid}"), run.lock():
                pass
        finally:
            process.kill()


def test_a_lock_gives_signs_of_life(run, monkeypatch):
    monkeypatch.setattr(owner, "PULSE_SECONDS", 0.01)
    with run.lock():
        os.utime(run.path / "control" / "lock", (1, 1))
        end = time.monotonic() + 10
        while (run.path / "control" / "lock").stat().st_mtime == 1 and time.monotonic() < end:
            time.sleep(0.01)
        assert (run.path / "control" / "lock").stat().st_mtime > time.time() - 60


def test_many_who_race_for_a_run_after_a_crash_never_hold_it_together(tmp_path):
    found = lock_races.race(tmp_path, trials=30, contenders=6)
    assert found == {"trials": 30, "two holders": 0, "no holder": 0}


# Places that take no more


def test_a_full_disk_is_told_in_one_sentence(run):
    with pytest.raises(CheckpointError, match=r"cannot write to .*No space left.*Make room"):
        with run.explain_unwritable():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_read_only_directory_is_told_in_one_sentence(run, code):
    with pytest.raises(CheckpointError, match=r"cannot write to .*status\.json"):
        with run.explain_unwritable():
            raise OSError(code, os.strerror(code), str(run.status_file))


def test_other_errors_are_left_as_they_are(run):
    for error in (OSError(errno.EACCES, "no", "/elsewhere"), OSError("odd"), KeyError("x")):
        with pytest.raises(type(error)), run.explain_unwritable():
            raise error


def test_a_log_on_a_full_disk_says_nothing_more(run, capsys):
    logger = logging.getLogger("tests.full")
    run.log.symlink_to("/dev/full")
    with log_to(run.log, logger):
        logger.info("x")
    assert "Traceback" not in capsys.readouterr().err


# Claims and logs


def test_a_claim(run):
    run.stop_file.touch()
    run.claim("name: x\n", resume=False)
    assert run.config.read_text() == "name: x\n" and not run.stop_file.exists()
    assert run.read_status()["state"] == "starting"
    with pytest.raises(CheckpointError, match="holds a run already"):
        run.claim("name: y\n", resume=False)
    assert run.config.read_text() == "name: x\n"
    run.claim("name: y\n", resume=True)
    assert run.config.read_text() == "name: y\n"


def test_what_has_nothing_to_lose_may_begin_again(run):
    run.claim("name: x\n", resume=False)
    run.write_status("failed", message="no such file")
    run.claim("name: y\n", resume=False)
    assert run.config.read_text() == "name: y\n"


@pytest.mark.parametrize("kept", ["checkpoints/step-000000001", "model"])
@pytest.mark.parametrize("state", ["failed", "stopped", "finished"])
def test_what_has_something_to_lose_is_kept(run, kept, state):
    run.claim("name: x\n", resume=False)
    run.write_status(state)
    (run.path / kept).mkdir()
    with pytest.raises(CheckpointError, match="holds a run already"):
        run.claim("name: y\n", resume=False)
    assert run.config.read_text() == "name: x\n" and run.read_status()["state"] == state


def test_log_appends_and_leaves_the_logger_as_it_was(run):
    logger = logging.getLogger("tests.rundir")
    before = (logger.level, list(logger.handlers))
    for word in ("first", "second"):
        with log_to(run.log, logger):
            logger.info("%s", word)
    logger.info("third")
    lines = run.log.read_text().splitlines()
    assert [line.split()[-1] for line in lines] == ["first", "second"]
    assert (logger.level, logger.handlers) == before
