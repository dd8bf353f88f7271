"""Starting runs in processes of their own: what to run, who began it, and what it said."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from csp_core.errors import CheckpointError, CspError
from csp_core.files import write_json
from csp_core.runs.causes import cause_of
from csp_core.runs.directory import RunDir
from csp_core.runs.owner import hold
from csp_core.runs.reading import last_error, read_object
from csp_core.runs.status import OUTPUT

START_SECONDS = 60.0
# What ended a moment ago gives its lock back a moment later.
LOCK_SECONDS = 5.0
ORDER = "launched.json"
DAMAGED = "status.damaged.json"
# Set for a process that begins once its launcher has written who it is.
GATE = "CSP_GATE"


def write_order(run: RunDir, config: Path, overrides: Sequence[str]) -> None:
    """Keep what a run was launched with, until it has a configuration of its own.

    Args:
        run: The run.
        config: The configuration file.
        overrides: ``section.key=value``.
    """
    order = {
        "config": str(Path(config).absolute()),
        "overrides": list(overrides),
        "folder": str(Path.cwd()),
    }
    write_json(run.path / ORDER, order)


def read_order(run: RunDir) -> tuple[Path, list[str], Path] | None:
    """Read what a run was launched with that has not come to a configuration.

    Args:
        run: The run.

    Returns:
        Configuration file, overrides and the working directory; None if the run has a
        configuration or nothing can be read.
    """
    if run.config.exists():
        return None
    with suppress(CspError):
        order = read_object(run.path / ORDER)
        config, folder, overrides = (order.get(k) for k in ("config", "folder", "overrides"))
        whole = isinstance(overrides, list) and all(isinstance(o, str) for o in overrides)
        if whole and isinstance(config, str) and isinstance(folder, str):
            return Path(config), list(overrides or ()), Path(folder)
    return None


def spawn_told(run: RunDir, prepare: Callable[[], list[str]], *, state: str) -> None:
    """Start a process for a run, tell in its status that it comes, and do not wait.

    Args:
        run: The run, held meanwhile.
        prepare: Makes sure that the run may begin, and gives the arguments of the ``csp`` command.
        state: ``queued`` or ``starting``.

    Raises:
        CheckpointError: If the process cannot be started.
    """
    process = None
    try:
        with run.create().explain_unwritable(), _held(run):
            arguments = prepare()
            run.stop_file.unlink(missing_ok=True)
            offset = _size(run.path / OUTPUT)
            process = _popen(arguments, run, gate=True)
            run.write_early(
                state,
                message="waits for its process to start",
                output_from=offset,
                pid=process.pid,
                pid_started=psutil.Process(process.pid).create_time(),
            )
    except BaseException:
        if process is not None:
            process.kill()
        raise
    finally:
        # Only now, as it needs the run for itself.
        if process is not None and process.stdin is not None:
            process.stdin.close()
            # A server lives on: somebody must take note when the process ends.
            threading.Thread(target=process.wait, daemon=True).start()


def spawn_and_wait(arguments: Sequence[str], run: RunDir) -> None:
    """Start a process for a run and wait until it has written its status.

    Args:
        arguments: Of the ``csp`` command.
        run: The run.

    Raises:
        CheckpointError: If the process ends before the run begins; says why.
    """
    offset = _size(run.path / OUTPUT)
    with run.explain_unwritable():
        process = _popen(arguments, run)
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if run.status_file.is_file() and run.read_status().get("pid") == process.pid:
            threading.Thread(target=process.wait, daemon=True).start()
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    process.poll()
    reason = last_error(run.path / OUTPUT, start=offset, otherwise=True)
    raise CheckpointError(f"The run did not start: {reason or f'exit code {process.returncode}'}")


def wait_for_launcher() -> None:
    """Wait until who launched this process has written who it is, or has ended."""
    if os.environ.pop(GATE, None):
        sys.stdin.buffer.read()


@contextmanager
def tell_failure(folder: Path | None) -> Iterator[None]:
    """Write into the status of a run that was launched why it could not begin.

    Args:
        folder: Its directory, or None if there is none yet.

    Yields:
        Nothing.
    """
    try:
        yield
    except Exception as error:
        if folder is not None and RunDir(folder).awaits_this_process():
            kind = "" if isinstance(error, CspError) else f"{type(error).__name__}: "
            with suppress(OSError):
                RunDir(folder).write_end("failed", message=f"{kind}{error}", cause=cause_of(error))
        raise


def mend_status(run: RunDir) -> None:
    """Set a status aside that cannot be read, of a run that nobody is at and that has all else.

    Args:
        run: The run.

    Raises:
        CheckpointError: If the run has no configuration, or a process is at it.
        DataNotFoundError: If it is no run.
    """
    try:
        run.read_status()
        return
    except CspError:
        if not run.config.is_file() or not any(run.checkpoints.glob("step-*")):
            raise
    with run.create().explain_unwritable(), hold(run.stop_file.parent):
        message = "its status was missing"
        if os.path.lexists(run.status_file):
            os.replace(run.status_file, run.path / DAMAGED)
            message = f"its status could not be read and is kept as {DAMAGED}"
        run.write_status("stopped", message=message)


def discard(folder: Path) -> None:
    """Remove the folder of a run that did not begin; one that holds a run stays.

    Args:
        folder: The folder.
    """
    run, kept = RunDir(folder), {"checkpoints", "control", OUTPUT, ORDER}
    with ExitStack() as stack:
        if run.stop_file.parent.is_dir():
            try:  # another process may just begin there
                stack.enter_context(FileLock(run.stop_file.parent / "held", timeout=0))
            except (Timeout, OSError):
                return
        begun = run.status_file.exists() or run.config.exists()
        if not begun and folder.is_dir() and {path.name for path in folder.iterdir()} <= kept:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _held(run: RunDir) -> Iterator[None]:
    """Hold a run for the moment that launching takes, also one whose last process just ends."""
    end = time.monotonic() + LOCK_SECONDS
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(run.lock())
                break
            except CheckpointError:
                if time.monotonic() > end or run.is_under_way():
                    raise
                time.sleep(0.1)
        yield


def _popen(arguments: Sequence[str], run: RunDir, *, gate: bool = False) -> subprocess.Popen[bytes]:
    with (run.path / OUTPUT).open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "csp_core", *arguments],
            stdin=subprocess.PIPE if gate else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, **({GATE: "1"} if gate else {})},
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
