"""Jobs: runs in processes of their own, which go on when a browser, shell or server closes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csp_core.errors import CheckpointError, CspError
from csp_core.runs.directory import ALIVE, RunDir
from csp_core.runs.owner import kill as kill_owner

START_SECONDS = 60.0
OUTPUT = "output.txt"


@dataclass(frozen=True)
class Job:
    """One line of the list of runs.

    Args:
        path: The run directory.
        state: As in its status, or ``interrupted`` or ``unreadable``.
        status: The fields of its status.
    """

    path: Path
    state: str
    status: dict[str, Any]


def runs_home() -> Path:
    """Return the folder that runs are made in: ``CSP_RUNS``, or ``runs`` in the working directory.

    Returns:
        The folder, which need not exist.
    """
    return Path(os.environ.get("CSP_RUNS", "runs"))


def new_run_dir(name: str, home: Path | None = None) -> Path:
    """Choose a run directory that does not exist yet.

    Args:
        name: Name of the run.
        home: Folder to make it in; ``runs_home()`` if None.

    Returns:
        ``home/name-YYYYMMDD-HHMMSS``, with a number behind it if that is taken.
    """
    stem = re.sub(r"[^A-Za-z0-9_.-]", "-", name)
    base = (home or runs_home()) / f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = base, 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path


def find_run(name_or_path: str | Path) -> RunDir:
    """Find a run by its path, or by its folder's name in ``runs_home()``.

    Args:
        name_or_path: The path or name.

    Returns:
        The run.

    Raises:
        DataNotFoundError: If there is no such run.
    """
    path = Path(name_or_path)
    if not path.exists() and (runs_home() / path).is_dir():
        path = runs_home() / path
    run = RunDir(path)
    run.read_status()
    return run


def launch(config: Path, overrides: Sequence[str] = (), *, run_dir: Path) -> Job:
    """Start a run in a process of its own and wait until it has written its status.

    Args:
        config: The configuration file.
        overrides: ``section.key=value``.
        run_dir: Where it shall live; must not hold a run.

    Returns:
        The job.

    Raises:
        CheckpointError: If a run stands there, or the process ends before the run begins; says why.
    """
    RunDir(run_dir).check_free()
    arguments = ["train", str(config), *overrides, "--run-dir", str(run_dir)]
    return _spawn(arguments, run_dir)


def resume(name_or_path: str | Path) -> Job:
    """Go on with a run in a process of its own.

    Args:
        name_or_path: The run.

    Returns:
        The job.

    Raises:
        CheckpointError: If it is under way, or the process ends before the run begins.
    """
    run = find_run(name_or_path)
    if run.read_status()["state"] in ALIVE:
        raise CheckpointError(f"{run.path} is under way already.")
    return _spawn(["resume", str(run.path)], run.path)


def stop(name_or_path: str | Path, *, wait: float = 60.0, kill: bool = False) -> Job:
    """Ask a run to save and end.

    Args:
        name_or_path: The run.
        wait: Seconds to wait for it.
        kill: Whether to end its process by force if it has not ended by then.

    Returns:
        The job as it stands then.

    Raises:
        CheckpointError: If the run is not under way, cannot be asked, or is not to be ended from
            here: its process is of another host or does not look like one of ``csp``.
    """
    run = find_run(name_or_path)
    status = run.read_status()
    if status["state"] not in ALIVE:
        raise CheckpointError(f"{run.path} is not under way; it is {status['state']}.")
    try:
        run.stop_file.touch()
    except OSError as error:
        raise CheckpointError(f"Cannot ask {run.path} to stop ({error}).") from error
    end = time.monotonic() + wait
    while time.monotonic() < end and run.read_status()["state"] in ALIVE:
        time.sleep(0.1)
    status = run.read_status()
    if kill and status["state"] in ALIVE:
        kill_owner(status, run.path)
        time.sleep(0.2)
    return _describe(run)


def list_jobs(home: Path | None = None) -> list[Job]:
    """List the runs of a folder, newest first.

    Args:
        home: The folder; ``runs_home()`` if None.

    Returns:
        The jobs; those with unreadable files say so.
    """
    folder = home or runs_home()
    if not folder.is_dir():
        return []
    try:
        runs = [RunDir(path) for path in folder.iterdir() if _has_status(path)]
    except OSError as error:
        raise CheckpointError(f"Cannot list the runs of {folder} ({error.strerror}).") from error
    return sorted(map(_describe, runs), key=lambda job: -job.status.get("heartbeat", 0.0))


def _has_status(path: Path) -> bool:
    try:
        RunDir(path).status_file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # it is listed with the reason
    return True


def _describe(run: RunDir) -> Job:
    try:
        status = run.read_status()
    except CspError as error:
        # A folder's name may hold what no text does.
        reason = str(error).encode("utf-8", "replace").decode("utf-8")
        return Job(run.path, "unreadable", {"message": reason})
    return Job(run.path, str(status["state"]), status)


def _spawn(arguments: list[str], run_dir: Path) -> Job:
    run = RunDir(run_dir).create()
    with run.explain_unwritable(), (run_dir / OUTPUT).open("ab") as output:
        offset = output.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "csp_core", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if run.status_file.is_file() and run.read_status().get("pid") == process.pid:
            # A server lives on: somebody must take note when the process ends.
            threading.Thread(target=process.wait, daemon=True).start()
            return _describe(run)
        if process.poll() is not None:
            break
        time.sleep(0.1)
    with (run_dir / OUTPUT).open("rb") as output:
        output.seek(offset)
        said = output.read().decode("utf-8", "replace").strip()
    process.poll()
    lines = said.splitlines() or [f"exit code {process.returncode}"]
    errors = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    reason = (errors or lines)[-1]
    raise CheckpointError(f"The run did not start: {reason}")
