"""The queue of runs for this machine: so many at once, the others in the order in which they came.

What is held is held by the operating system's locks below ``.slots`` in the folder of the runs, so
a process that is killed gives back its slot and its place in the queue.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from csp_core.errors import CheckpointError, ConfigError, CspError
from csp_core.files import write_json, write_text
from csp_core.runs.directory import RunDir
from csp_core.runs.reading import read_object

SLOTS = ".slots"
POLL_SECONDS = 0.5
BEAT_SECONDS = 30.0
DOOR_SECONDS = 60.0


def most(variable: str, default: int) -> int:
    """Read a limit from the environment.

    Args:
        variable: Its name.
        default: What holds if it is unset or empty.

    Returns:
        The limit.

    Raises:
        ConfigError: If it is no whole number of 1 or more.
    """
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    if not re.fullmatch(r"0*[1-9]\d{0,8}", text, re.ASCII):
        raise ConfigError(f"{variable} is {text[:40]!r}; give a whole number of 1 or more.")
    return int(text)


class Queue:
    """The queue of a folder of runs, as it stands on this host.

    Args:
        home: The folder of the runs.
    """

    def __init__(self, home: Path) -> None:
        host = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())[:100]
        self.folder = home / SLOTS / (host or "host")

    @contextmanager
    def _door(self) -> Iterator[None]:
        """Let one process at a time look and change."""
        door = FileLock(self.folder / "door", timeout=DOOR_SECONDS)
        with self._explained():
            self.folder.mkdir(parents=True, exist_ok=True)
            door.acquire()
        try:
            with self._explained():
                yield
        finally:
            door.release()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say in one sentence that the queue's folder is of no use."""
        try:
            yield
        except Timeout as error:
            raise CheckpointError(
                f"The queue in {self.folder} did not answer for {DOOR_SECONDS:.0f} seconds: a"
                " process that looks at it hangs. End that, or start without the queue."
            ) from error
        except OSError as error:
            raise CheckpointError(
                f"The queue in {self.folder} cannot be written to ({error.strerror or error})."
                " Allow writing there, have CSP_RUNS name another folder of runs, or start without"
                " the queue."
            ) from error

    def check_room(self) -> None:
        """Make sure that one more run may wait.

        Raises:
            ConfigError: If as many wait as may.
        """
        if not self.folder.is_dir():
            return
        with self._door():
            self._refuse_if_full(self._waiting())

    def enter(self, run: Path, since: float | None = None) -> tuple[Path, FileLock]:
        """Take the last place, or the one before those that came later.

        Args:
            run: Who waits.
            since: When it was launched, seconds since 1970, as its process may have been slow to
                start; None for now.

        Returns:
            The ticket, and the lock that holds it.

        Raises:
            ConfigError: If as many wait as may.
        """
        with self._door():
            waiting = self._waiting()
            self._refuse_if_full(waiting)
            taken = [int(ticket.name[7:]) for ticket in waiting]
            number = max(int(time.time() * 1000), *(n + 1 for n in taken), 0)
            if since is not None:
                number = max(0, min(int(since * 1000), number))
            while number in taken:
                number += 1
            ticket = self.folder / f"ticket-{number:015d}"
            # Who waits is written first: a ticket is there only once it is held.
            write_json(ticket.with_suffix(".json"), {"run": _text(run.absolute())})
            held = FileLock(ticket, timeout=0)
            held.acquire()
            return ticket, held

    def leave(self, ticket: Path, held: FileLock) -> None:
        """Give a place up.

        Args:
            ticket: The ticket.
            held: Its lock.
        """
        with self._door():
            held.release(force=True)
            _remove(ticket)

    def slot(self, run: Path, ticket: Path | None = None) -> FileLock | None:
        """Take a slot, if one is free and nobody came before.

        Args:
            run: Who takes it.
            ticket: Its place in the queue, or None for one that does not wait.

        Returns:
            The lock that holds the slot, or None.
        """
        with self._door():
            if ticket is not None and self._waiting()[:1] != [ticket]:
                return None
            for path in self._slots():
                lock = FileLock(path, timeout=0)
                with suppress(Timeout):
                    lock.acquire()
                    write_json(path.with_suffix(".json"), {"run": _text(run.absolute())})
                    return lock
        return None

    def ahead(self, ticket: Path) -> list[str]:
        """List what a run waits for.

        Args:
            ticket: Its place in the queue.

        Returns:
            Names of the runs in the slots, then of those before it.
        """
        with self._door():
            busy = [path for path in self._slots() if not _is_free(path)]
            waiting = self._waiting()
            before = waiting[: waiting.index(ticket)] if ticket in waiting else []
            return [_run_of(path) for path in (*busy, *before)]

    def _slots(self) -> list[Path]:
        return [self.folder / f"slot-{n}" for n in range(most("CSP_MAX_JOBS", 1))]

    def _waiting(self) -> list[Path]:
        """List the tickets that somebody holds; those of processes that ended go."""
        found = []
        for path in sorted(self.folder.glob("ticket-" + "?" * 15)):
            if not path.name[7:].isdecimal():
                continue
            if _is_free(path):
                _remove(path)
            else:
                found.append(path)
        return found

    def _refuse_if_full(self, waiting: list[Path]) -> None:
        limit = most("CSP_MAX_QUEUED", 20)
        if len(waiting) >= limit:
            raise ConfigError(
                f"{len(waiting)} runs wait already, and CSP_MAX_QUEUED allows {limit}. Try again"
                " when one has begun, or stop one that waits (`csp runs`, `csp stop RUN`)."
            )


@contextmanager
def turn(
    run: RunDir,
    home: Path,
    *,
    wait: bool,
    config: str,
    name: str,
    resume: bool,
    say: Callable[[str], None],
) -> Iterator[bool]:
    """Hold one of the machine's slots while a run trains.

    Args:
        run: The run.
        home: The folder of the runs, which has the queue.
        wait: Whether to wait for a slot. Who does not takes one if it is free, so that others wait
            for it, and goes on all the same if none is.
        config: The configuration as YAML, kept while it waits.
        name: What the configuration calls the run.
        resume: Whether a run that stands there goes on.
        say: Is told what it waits for.

    Yields:
        False if the run was asked to stop while it waited.

    Raises:
        ConfigError: If as many wait as may, or the run is shared by several processes.
        CheckpointError: If a run stands there, or another process holds it.
    """
    queue = Queue(home)
    if not wait:
        held, first = None, os.environ.get("RANK", "0") == "0"
        with suppress(OSError, CspError):  # a place that takes no more concerns the run alone
            held = queue.slot(run.path) if first and home.is_dir() else None
        try:
            yield True
        finally:
            if held is not None:
                held.release(force=True)
        return
    if int(os.environ.get("WORLD_SIZE", "1") or 1) > 1:
        raise ConfigError("--queue is for a run of one process; start this one without it.")
    slot = _wait(queue, run.create(), config=config, name=name, resume=resume, say=say)
    try:
        with run.stop_on_sigterm():  # what it waited for may take long to begin
            yield slot is not None
    finally:
        if slot is not None:
            slot.release(force=True)


def _wait(
    queue: Queue, run: RunDir, *, config: str, name: str, resume: bool, say: Callable[[str], None]
) -> FileLock | None:
    """Wait for a slot; None if asked to stop."""
    with run.explain_unwritable(), run.lock(), run.stop_on_sigterm():
        if not resume:
            run.check_free()
        since = None
        if run.awaits_this_process():
            since = (run.own_status() or {}).get("heartbeat")
        else:
            run.stop_file.unlink(missing_ok=True)
        # First, as a run that may not wait leaves nothing.
        ticket, held = queue.enter(run.path, since)
        told, beat = "", 0.0
        try:
            write_text(run.config, config)
            run.write_early("queued", message="waits for its turn", name=name)
            look = 0.0
            while True:
                run.check_there()
                if run.stop_file.exists():
                    message = "stopped before its turn came; `csp resume` goes on"
                    run.write_end("stopped", message=message)
                    return None
                if time.monotonic() >= look:
                    if (slot := queue.slot(run.path, ticket)) is not None:
                        run.write_early("starting", message="its turn has come", name=name)
                        return slot
                    ahead = queue.ahead(ticket)
                    # The more there are before it, the less there is to look for.
                    look = time.monotonic() + POLL_SECONDS * (min(len(ahead), 8) - 0.5)
                    message = _describe(ahead)
                    if message != told:
                        say(message)
                    if message != told or time.monotonic() - beat > BEAT_SECONDS:
                        told, beat = message, time.monotonic()
                        run.write_early("queued", message=message, name=name)
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            run.write_end("stopped", message="interrupted; `csp resume` goes on")
            raise
        finally:
            queue.leave(ticket, held)


def _describe(ahead: list[str]) -> str:
    if not ahead:
        return "its turn comes now"
    more = f" and {len(ahead) - 1} more" if len(ahead) > 1 else ""
    return f"waits for {ahead[0]}{more}"


def _is_free(path: Path) -> bool:
    """Say whether nobody holds a lock; to be asked by who holds the door."""
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return False
    lock.release(force=True)
    return True


def _remove(ticket: Path) -> None:
    for path in (ticket, ticket.with_suffix(".json")):
        path.unlink(missing_ok=True)


def _run_of(path: Path) -> str:
    try:
        return Path(str(read_object(path.with_suffix(".json")).get("run"))).name
    except CspError:
        return "another run"


def _text(path: Path) -> str:
    return str(path).encode("utf-8", "replace").decode("utf-8")
