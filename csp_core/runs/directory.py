"""The files of a run: configuration, status, metrics, log, control and checkpoints.

``config.yaml`` (what was asked), ``status.json`` (replaced atomically), ``metrics.jsonl``
(appended, one line an epoch), ``log.txt``, ``control/stop`` (asks the run to end), ``checkpoints/``
and, at the end, ``model/``. Whoever watches a run reads only these files.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from csp_core.errors import CheckpointError, DataNotFoundError
from csp_core.files import read_json, write_json, write_text

ALIVE = ("starting", "running")
FORMAT = "csp-run/1"


@dataclass(frozen=True)
class RunDir:
    """A run's directory.

    Args:
        path: Where it is.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The configuration of the run."""
        return self.path / "config.yaml"

    @property
    def status_file(self) -> Path:
        """The state of the run."""
        return self.path / "status.json"

    @property
    def metrics_file(self) -> Path:
        """One JSON line an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def log(self) -> Path:
        """What the run said."""
        return self.path / "log.txt"

    @property
    def checkpoints(self) -> Path:
        """What a run resumes from."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The finished model."""
        return self.path / "model"

    def teacher(self, number: int) -> Path:
        """Name the folder of a network that is trained before the one that learns from it.

        Args:
            number: From 1.

        Returns:
            The folder of its checkpoints and models.
        """
        return self.path / "teachers" / str(number)

    @property
    def pretrained(self) -> Path:
        """The stage that starts the model: its checkpoints and its model."""
        return self.path / "pretrained"

    @property
    def stop_file(self) -> Path:
        """Its presence asks the run to save and end."""
        return self.path / "control" / "stop"

    def create(self) -> RunDir:
        """Make the folders of the run.

        Returns:
            Itself.

        Raises:
            CheckpointError: If the path cannot be made.
        """
        try:
            for folder in (self.checkpoints, self.stop_file.parent):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(
                f"Cannot make the run directory {self.path} ({error})."
            ) from error
        return self

    def claim(self, config: str, *, resume: bool, message: str = "loading data") -> None:
        """Begin a run here, making sure that a new one overwrites nothing.

        Args:
            config: The configuration as YAML.
            resume: Whether a run that stands here goes on.
            message: What the run does first.

        Raises:
            CheckpointError: If a run stands here and none is to be resumed.
        """
        if not resume:
            self.check_free()
        self.stop_file.unlink(missing_ok=True)
        write_text(self.config, config)
        self.write_status("starting", message=message)

    def check_free(self) -> None:
        """Make sure that a new run may begin here.

        Raises:
            CheckpointError: If a run stands here that is under way or has something to lose.
        """
        # A run that failed before its first checkpoint has nothing to lose.
        worth_keeping = self.model.exists() or any(self.checkpoints.glob("step-*"))
        under_way = self.status_file.exists() and self.read_status()["state"] in ALIVE
        if worth_keeping or under_way:
            raise CheckpointError(
                f"{self.path} holds a run already. Go on with it by `csp resume {self.path}`, or"
                " give another run directory."
            )

    @contextmanager
    def stop_on_sigterm(self) -> Iterator[None]:
        """Let SIGTERM mean the same as ``csp stop``; only the main thread may set signals.

        Yields:
            Nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, lambda *_: self.stop_file.touch())
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def write_status(self, state: str, **fields: Any) -> None:
        """Replace the status file.

        Args:
            state: ``starting``, ``running``, ``stopped``, ``finished`` or ``failed``.
            **fields: Progress and message.
        """
        process = psutil.Process()
        value = {
            "format": FORMAT,
            "state": state,
            "pid": process.pid,
            "pid_started": process.create_time(),
            "host": socket.gethostname(),
            "heartbeat": time.time(),
            **fields,
        }
        write_json(self.status_file, value)

    def read_status(self) -> dict[str, Any]:
        """Read the status; a run whose process is gone without a word is ``interrupted``.

        Returns:
            The fields of the status file.

        Raises:
            DataNotFoundError: If this is no run directory.
            CheckpointError: If the status file is damaged or of another program.
        """
        if not self.status_file.is_file():
            raise DataNotFoundError(
                f"{self.path} is not a run directory (no status.json). `csp runs` lists the runs."
            )
        status: dict[str, Any] = read_json(self.status_file)
        if not _is_status(status):
            raise CheckpointError(f"{self.status_file} is not the status of a run of csp_core.")
        if status.get("state") in ALIVE and not _alive(status):
            status["state"] = "interrupted"
        return status

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Add a line to the metrics.

        Args:
            row: Plain values; NaN and infinity become null.
        """
        clean = {k: None if isinstance(v, float) and not _finite(v) else v for k, v in row.items()}
        with self.metrics_file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(clean, allow_nan=False) + "\n")
            stream.flush()

    def read_metrics(self) -> list[dict[str, Any]]:
        """Read the metrics; a half-written last line is passed over.

        Returns:
            One dictionary an epoch.
        """
        if not self.metrics_file.is_file():
            return []
        rows = []
        for line in self.metrics_file.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                break
            if not isinstance(row, dict):
                break
            rows.append(row)
        return rows

    def truncate_metrics(self, epoch: int, *, stage: str = "", before: Sequence[str] = ()) -> None:
        """Drop the lines of epochs that a resumed run will do again.

        Args:
            epoch: First epoch to drop, counted from 1.
            stage: Which stage it is of.
            before: The stages whose lines are kept whole; lines of later ones are dropped.
        """
        rows = [
            row
            for row in self.read_metrics()
            if row.get("stage", "") in before
            or (row.get("stage", "") == stage and row.get("epoch", 0) < epoch)
        ]
        self.metrics_file.unlink(missing_ok=True)
        for row in rows:
            self.append_metrics(row)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for one process.

        Yields:
            Nothing.

        Raises:
            CheckpointError: If a living process holds it.
        """
        path = self.path / "control" / "lock"
        if not _take(path):
            holder = _holder(path)
            if holder:
                raise CheckpointError(
                    f"{self.path} is being trained by process {holder}. Stop it with"
                    f" `csp stop {self.path}`, or choose another run directory."
                )
            path.unlink(missing_ok=True)
            if not _take(path):
                raise CheckpointError(f"{self.path} was taken by another process just now.")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def log_to(path: Path, logger: logging.Logger) -> Iterator[None]:
    """Append what a logger says to a file, with the time.

    Args:
        path: The file.
        logger: The logger.

    Yields:
        Nothing.
    """
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()


def _is_status(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.get("format") == FORMAT
        and isinstance(value.get("state"), str)
        and isinstance(value.get("heartbeat"), (int, float))
    )


def _take(path: Path) -> bool:
    # A link to a file that is already whole: nobody ever sees a lock without its owner in it.
    own = path.with_name(f"lock.{os.getpid()}")
    own.write_text(json.dumps(_identity()), encoding="utf-8")
    try:
        os.link(own, path)
    except FileExistsError:
        return False
    finally:
        own.unlink()
    return True


def _identity() -> dict[str, Any]:
    process = psutil.Process()
    created = process.create_time()
    return {"pid": process.pid, "pid_started": created, "host": socket.gethostname()}


def _holder(path: Path) -> int | None:
    try:
        identity = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    held = isinstance(identity, dict) and _alive(identity)
    return int(identity["pid"]) if held else None


def _alive(identity: dict[str, Any]) -> bool:
    # On another host the process cannot be seen: a fresh heartbeat is the only sign of life.
    if identity.get("host") != socket.gethostname():
        return time.time() - float(identity.get("heartbeat", 0)) < 300
    try:
        process = psutil.Process(int(identity["pid"]))
        same = abs(process.create_time() - float(identity["pid_started"])) < 2
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False


def _finite(value: float) -> bool:
    return value == value and value not in (float("inf"), float("-inf"))
