"""Jobs: runs in processes of their own, which go on when a browser, shell or server closes."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from csp_core.errors import CheckpointError, CspError
from csp_core.runs import launch as launching
from csp_core.runs.directory import RunDir
from csp_core.runs.owner import kill as kill_owner
from csp_core.runs.queue import Queue
from csp_core.runs.status import ALIVE, OUTPUT

__all__ = [
    "OUTPUT",
    "Job",
    "find_run",
    "launch",
    "list_jobs",
    "new_run_dir",
    "resume",
    "resume_job",
    "runs_home",
    "start",
    "stop",
]

NAME_LENGTH = 100


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
    """Make a run directory that did not exist before, however many are made at once.

    Args:
        name: Name of the run.
        home: Folder to make it in; ``runs_home()`` if None.

    Returns:
        ``home/name-YYYYMMDD-HHMMSS``, with a number behind it if that is taken; empty.

    Raises:
        CheckpointError: If it cannot be made.
    """
    stem = re.sub(r"[^A-Za-z0-9_.-]", "-", name)[:NAME_LENGTH].lstrip(".") or "run"
    base = (home or runs_home()) / f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    shared = int(os.environ.get("WORLD_SIZE") or 1) > 1
    if shared:  # the processes of one run find the same one, by who started them
        parent = psutil.Process(os.getppid())
        base = base.with_name(f"{stem}-{parent.create_time():.0f}-{parent.pid}")
    path, number = base, 1
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                path.mkdir(exist_ok=shared)
                return path
            except FileExistsError:
                number += 1
                path = base.with_name(f"{base.name}-{number}")
    except OSError as error:
        raise CheckpointError(f"Cannot make the run directory {path} ({error}).") from error


def find_run(name_or_path: str | Path, *, mend: bool = False) -> RunDir:
    """Find a run by its path, or by its folder's name in ``runs_home()``.

    Args:
        name_or_path: The path or name.
        mend: Whether a status that cannot be read is set aside, so that the run can go on.

    Returns:
        The run.

    Raises:
        DataNotFoundError: If there is no such run.
    """
    path = Path(name_or_path)
    if not path.exists() and (runs_home() / path).is_dir():
        path = runs_home() / path
    run = RunDir(path)
    if mend:
        launching.mend_status(run)
    run.read_status()
    return run


def start(config: Path, overrides: Sequence[str] = (), *, run_dir: Path, queue: bool = True) -> Job:
    """Start a run in a process of its own and return at once; its status says what becomes of it.

    Args:
        config: The configuration file.
        overrides: ``section.key=value``.
        run_dir: Where it shall live; must not hold a run.
        queue: Whether it waits for its turn (``csp train --queue``).

    Returns:
        The job, ``queued`` or ``starting``.

    Raises:
        CheckpointError: If a run stands there, or no process can be started.
        ConfigError: If as many runs wait as may.
    """
    run, file = RunDir(run_dir), Path(config).absolute()
    options = ["--run-dir", str(run.path.absolute()), *(["--queue"] if queue else [])]

    def prepare() -> list[str]:
        run.check_free()
        launching.write_order(run, file, overrides)
        return ["train", *options, str(file), *overrides]

    run.check_free()
    try:
        return _start(run, prepare, queue=queue)
    except Exception:
        launching.discard(run.path)
        raise


def resume_job(name_or_path: str | Path, queue: bool = True) -> Job:
    """Go on with a run in a process of its own and return at once.

    Args:
        name_or_path: The run; one whose process ended before the run began is started again.
        queue: Whether it waits for its turn.

    Returns:
        The job, ``queued`` or ``starting``.

    Raises:
        CheckpointError: If it is under way or finished, or no process can be started.
        ConfigError: If as many runs wait as may.
    """
    run = find_run(name_or_path, mend=True)

    def prepare() -> list[str]:
        state = run.read_status()["state"]
        if state in ALIVE:
            raise CheckpointError(f"{run.path} is under way already.")
        if state == "finished":
            raise CheckpointError(f"{run.path} is finished; its model is {run.model}.")
        return ["resume", *(["--queue"] if queue else []), str(run.path.absolute())]

    prepare()
    return _start(run, prepare, queue=queue)


def _start(run: RunDir, prepare: Callable[[], list[str]], *, queue: bool) -> Job:
    if queue:
        Queue(runs_home()).check_room()
    launching.spawn_told(run, prepare, state="queued" if queue else "starting")
    return _describe(run)


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
    run = RunDir(run_dir)
    run.check_free()
    arguments = ["train", str(config), *overrides, "--run-dir", str(run_dir)]
    launching.spawn_and_wait(arguments, run.create())
    return _describe(run)


def resume(name_or_path: str | Path) -> Job:
    """Go on with a run in a process of its own and wait until it has written its status.

    Args:
        name_or_path: The run.

    Returns:
        The job.

    Raises:
        CheckpointError: If it is under way, or the process ends before the run begins.
    """
    run = find_run(name_or_path, mend=True)
    if run.read_status()["state"] in ALIVE:
        raise CheckpointError(f"{run.path} is under way already.")
    launching.spawn_and_wait(["resume", str(run.path)], run.create())
    return _describe(run)


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
        paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
        runs = [RunDir(path) for path in paths if _has_status(path)]
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
