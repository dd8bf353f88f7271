"""Who holds a run: one process at a time, which is known again by its start and its command.

The operating system gives a run to one process and takes it back when that ends, however it ends
(``control/held``). ``control/lock`` says who that is, for people and for hosts whose file systems
share no locks; its time of change is a sign of life. Both that and the status name the folder, as
a copy of a run that goes on is no run that goes on.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from csp_core.errors import CheckpointError, CspError
from csp_core.files import write_json
from csp_core.runs.reading import is_number, read_object

FRESH_SECONDS = 300.0
PULSE_SECONDS = 60.0
# A clock may be wrong, but not by more than this; a sign of life from later than that is none.
AHEAD_SECONDS = 86400.0
# What a process is called that may be ended by force.
COMMANDS = ("train", "resume", "sweep")
# The locks that this process holds.
_OWN: set[str] = set()


def identity(run: Path) -> dict[str, Any]:
    """Describe this process, which is at a run.

    Args:
        run: The run's directory.

    Returns:
        ``pid``, ``pid_started`` (seconds since 1970), ``host``, ``heartbeat`` (now) and ``folder``
        (of the run, without links).
    """
    process = psutil.Process()
    return {
        "pid": process.pid,
        "pid_started": process.create_time(),
        "host": socket.gethostname(),
        "heartbeat": time.time(),
        "folder": _place(run),
    }


def is_here(owner: Mapping[str, Any]) -> bool:
    """Say whether a process runs on this host, if it runs.

    Args:
        owner: As ``identity`` describes it.

    Returns:
        Whether it names this host.
    """
    here = socket.gethostname()
    return bool(owner.get("host", here) == here)


def is_alive(owner: Mapping[str, Any], run: Path) -> bool:
    """Say whether a process is at a run, as far as that can be known from here.

    Args:
        owner: As ``identity`` describes it; what does not fit is no process.
        run: The run's directory.

    Returns:
        Whether there is such a process and it is at this folder, not at one that this is a copy
        of; on another host, whether its heartbeat is fresh.
    """
    if not is_here(owner):
        # It cannot be seen from here: a fresh heartbeat is the only sign of life.
        return _is_fresh(owner.get("heartbeat"))
    if find_process(owner) is None:
        return False
    # One folder may have two names that no link tells of. The lock is tried only then: who just
    # begins would find it taken.
    here = _place(run)
    return owner.get("folder", here) == here or _is_held(run / "control" / "held")


def find_process(owner: Mapping[str, Any]) -> psutil.Process | None:
    """Find a process of this host by its number and its start.

    Args:
        owner: As ``identity`` describes it.

    Returns:
        The process, or None if there is none such or it has ended.
    """
    pid, started = owner.get("pid"), owner.get("pid_started")
    if type(pid) is not int or not 0 < pid < 2**31 or not is_number(started):
        return None
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < 2
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def kill(owner: Mapping[str, Any], run: Path) -> None:
    """End the process of a run by force, if it is one beyond doubt.

    Args:
        owner: The status of the run.
        run: Its directory.

    Raises:
        CheckpointError: If the process is of another host or no ``csp`` command that trains.
    """
    if not is_here(owner):
        raise CheckpointError(
            f"{run} runs on the host {owner.get('host')!r}; nothing there is ended from"
            f" {socket.gethostname()!r}. Use `csp stop --kill` on that host."
        )
    process = find_process(owner)
    if process is None:
        return
    try:
        command = process.cmdline()
        if not _trains(command):
            raise CheckpointError(
                f"Process {process.pid} is not ended: {' '.join(command)[:200]!r} is no `csp`"
                f" command that trains. If it is the run {run}, end it by hand."
            )
        process.kill()  # psutil looks once more whether the number was given to another
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied as error:
        raise CheckpointError(f"Process {process.pid} may not be ended by this user.") from error


@contextmanager
def hold(control: Path) -> Iterator[None]:
    """Hold a run for this process, until the block ends or the process does.

    Args:
        control: The run's folder ``control``.

    Yields:
        Nothing.

    Raises:
        CheckpointError: If another process holds it, or did on another host until just now.
        OSError: If nothing can be written there.
    """
    note = control / "lock"
    try:
        # It stays there when it is free: a file that goes can be held twice.
        held = FileLock(control / "held", timeout=0).acquire()
    except Timeout as error:
        raise CheckpointError(_taken(control.parent, _read(note))) from error
    with held, _known(control / "held"):
        refuse_if_alive(_with_change(note, _read(note)), control.parent)
        write_json(note, identity(control.parent))
        ended = threading.Event()
        pulse = threading.Thread(target=_beat, args=(note, ended), daemon=True)
        pulse.start()
        try:
            yield
        finally:
            ended.set()
            pulse.join()
            note.unlink(missing_ok=True)


def refuse_if_alive(owner: Mapping[str, Any], run: Path) -> None:
    """Refuse a run that a file says another process is at.

    Args:
        owner: As ``identity`` describes it.
        run: The run's directory.

    Raises:
        CheckpointError: If that process may live.
    """
    own = is_here(owner) and owner.get("pid") == os.getpid()
    if not own and is_alive(owner, run):
        raise CheckpointError(_taken(run, owner))


def _place(path: Path) -> str:
    """Name a file by its place without links, as a JSON file can hold it."""
    return os.path.realpath(path).encode("utf-8", "replace").decode("utf-8")


@contextmanager
def _known(lock: Path) -> Iterator[None]:
    """Remember that this process holds a lock, which it could not tell from another's."""
    place = _place(lock)
    _OWN.add(place)
    try:
        yield
    finally:
        _OWN.discard(place)


def _is_held(lock: Path) -> bool:
    """Say whether another process holds a lock; one that cannot be tried may be held."""
    if _place(lock) in _OWN or not lock.is_file():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except (Timeout, OSError):
        return True


def _read(note: Path) -> dict[str, Any]:
    try:
        return read_object(note)
    except CspError:
        return {}


def _with_change(note: Path, owner: Mapping[str, Any]) -> dict[str, Any]:
    """Take the note's time of change for a heartbeat, where it is a later one."""
    with contextlib.suppress(OSError):
        beats = (owner.get("heartbeat"), note.stat().st_mtime)
        return {**owner, "heartbeat": max(beat for beat in beats if is_number(beat))}
    return dict(owner)


def _beat(note: Path, ended: threading.Event) -> None:
    while not ended.wait(PULSE_SECONDS):
        with contextlib.suppress(OSError):
            os.utime(note)


def _is_fresh(heartbeat: object) -> bool:
    return is_number(heartbeat) and (-AHEAD_SECONDS < time.time() - heartbeat < FRESH_SECONDS)


def _taken(run: Path, owner: Mapping[str, Any]) -> str:
    who = f"process {owner['pid']}" if is_number(owner.get("pid")) else "another process"
    if owner and not is_here(owner):
        return (
            f"{run} is being trained by {who} on the host {owner.get('host')!r}. Stop it with"
            f" `csp stop {run}`, or wait until it has given no sign of life for"
            f" {FRESH_SECONDS / 60:.0f} minutes."
        )
    return (
        f"{run} is being trained by {who}. Stop it with `csp stop {run}`, or choose another run"
        " directory."
    )


def _trains(command: list[str]) -> bool:
    """Say whether a command line is that of ``csp`` with a command that trains."""
    for before, name, after in zip(["", *command], command, command[1:], strict=False):
        ours = Path(name).name in ("csp", "csp.exe") or (before, name) == ("-m", "csp_core")
        ours = ours or Path(name).parts[-2:] == ("csp_core", "__main__.py")
        if ours and after in COMMANDS:
            return True
    return False
