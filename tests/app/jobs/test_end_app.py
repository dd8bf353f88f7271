"""Ending a run by force from its page, asked twice: its process, and no other."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from csp_core.files import write_json
from csp_core.runs import RunDir
from csp_core.runs.reading import read_object
from tests.app.jobs.conftest import MakeRun, Open, texts


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like one that trains and listens to nobody."""
    script = tmp_path / "csp"
    script.write_text("import time\nprint(flush=True)\ntime.sleep(60)\n")
    command = [sys.executable, str(script), "train", "x.yaml"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.read(1)
        try:
            yield process
        finally:
            process.kill()


def under_way(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Have the status of a run say that a process is at it."""
    run, started = RunDir(path), psutil.Process(process.pid).create_time()
    run.write_status("running", step=5, total_steps=30)
    write_json(
        run.status_file,
        read_object(run.status_file) | {"pid": process.pid, "pid_started": started},
    )


def test_a_run_is_ended_by_force_when_asked_twice(
    open_train: Open, make_run: MakeRun, child: subprocess.Popen[bytes]
) -> None:
    under_way(make_run("mine"), child)
    app = open_train(run="mine")
    assert "▶ running" in texts(app)
    app.button(key="train-stop").click().run()
    assert not app.exception and "Asked to stop" in texts(app) and child.poll() is None
    app.button(key="train-yes-end-it-now").click().run()
    assert not app.exception and "Ended by force" in texts(app)
    assert child.wait(10) == -signal.SIGKILL
    time.sleep(1.6)  # the list's age
    app.run()
    assert "⚠ interrupted" in texts(app) and "ended by force" in texts(app)
    assert {"train-resume", "train-yes-delete-it"} <= {button.key for button in app.button}


def test_a_copy_of_a_run_that_goes_on_cannot_be_ended(
    open_train: Open, make_run: MakeRun, child: subprocess.Popen[bytes]
) -> None:
    path = make_run("mine")
    under_way(path, child)
    shutil.copytree(path, path.with_name("copy"))
    app = open_train(run="copy")
    assert "⚠ interrupted" in texts(app) and "copied or moved from" in texts(app)
    assert "train-yes-end-it-now" not in [button.key for button in app.button]
    app.button(key="train-yes-delete-it").click().run()
    assert not app.exception and not path.with_name("copy").exists() and child.poll() is None
