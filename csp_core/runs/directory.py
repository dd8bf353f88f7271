"""The files of a run: configuration, status, metrics, log, control and checkpoints.

``config.yaml`` (what was asked), ``status.json`` (replaced atomically), ``metrics.jsonl``
(appended, one line an epoch), ``log.txt``, ``control/stop`` (asks the run to end), ``checkpoints/``
and, at the end, ``model/``. Whoever watches a run reads only these files.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csp_core.errors import CheckpointError, CspError, DataNotFoundError
from csp_core.files import write_json, write_text
from csp_core.runs.causes import FULL
from csp_core.runs.owner import hold, identity, is_alive, is_here, refuse_if_alive
from csp_core.runs.reading import as_line, read_last_rows, read_object, read_rows
from csp_core.runs.status import ALIVE, FORMAT, KEPT, after_death, storable, wrong_fields


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
    def artifacts(self) -> Path:
        """What whoever watches the run looks at."""
        return self.path / "artifacts"

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

    def claim(
        self, config: str, *, resume: bool, message: str = "loading data", name: str = ""
    ) -> None:
        """Begin a run here, making sure that a new one overwrites nothing.

        Args:
            config: The configuration as YAML.
            resume: Whether a run that stands here goes on.
            message: What the run does first.
            name: What the configuration calls it.

        Raises:
            CheckpointError: If a run stands here and none is to be resumed.
        """
        if not resume:
            self.check_free()
        # Who launched this process may have asked it to end since.
        if not self.awaits_this_process():
            self.stop_file.unlink(missing_ok=True)
        write_text(self.config, config)
        known = self._kept() if resume else {}
        known |= {"name": name} if name else {}
        self.write_status("starting", **{**known, "message": message})

    def check_there(self) -> None:
        """Make sure that the run's folder is where it was made.

        Raises:
            CheckpointError: If it was moved or deleted; what writes there would make it anew.
        """
        if not self.stop_file.parent.is_dir():
            raise CheckpointError(
                f"{self.path} was moved or deleted while its process was at it, which ends. Where"
                " the folder is now, `csp resume` goes on."
            )

    def check_free(self) -> None:
        """Make sure that a new run may begin here.

        Raises:
            CheckpointError: If a run stands here that is under way or has something to lose.
        """
        # A run that failed before its first checkpoint has nothing to lose.
        worth_keeping = self.model.exists() or any(self.checkpoints.glob("step-*"))
        if worth_keeping or (self.is_under_way() and not self.awaits_this_process()):
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
            state: ``queued``, ``starting``, ``running``, ``stopped``, ``finished`` or ``failed``.
            **fields: Progress and message.
        """
        plain = {k: storable(v) if isinstance(v, str) else v for k, v in fields.items()}
        value = {"format": FORMAT, "state": state, **identity(self.path), **plain}
        write_json(self.status_file, value)

    def is_under_way(self) -> bool:
        """Say whether a process is at the run, or is about to be.

        Returns:
            Whether its status says so.
        """
        return self.status_file.exists() and self.read_status()["state"] in ALIVE

    def write_early(self, state: str, **fields: Any) -> None:
        """Say that a process is there for the run, which has not begun.

        Args:
            state: ``queued`` or ``starting``.
            **fields: What else there is to say; what an earlier process said of progress, name and
                output stays.
        """
        known = {"name": self.path.name, **self._kept()}
        self.write_status(state, **{**known, **fields}, begun=False)

    def _kept(self) -> dict[str, Any]:
        """Read what a new status keeps of the one before."""
        with suppress(CspError):
            before = self.read_status()
            return {key: before[key] for key in KEPT if key in before}
        return {}

    def write_end(self, state: str, *, message: str, **fields: Any) -> None:
        """Replace the status by a last one, which keeps how far the run was.

        Args:
            state: ``stopped`` or ``failed``.
            message: Why it ended.
            **fields: What else there is to say.
        """
        self.write_status(state, **self._kept(), message=message, **fields)

    def awaits_this_process(self) -> bool:
        """Say whether somebody made the run for this process, which has not begun it yet.

        Returns:
            Whether the status says so.
        """
        return (self.own_status() or {}).get("begun") is False

    def own_status(self) -> dict[str, Any] | None:
        """Read the status if it says that this process is at the run.

        Returns:
            Its fields, or None.
        """
        with suppress(CspError):
            status = self.read_status()
            if status["state"] in ALIVE and is_here(status) and status.get("pid") == os.getpid():
                return status
        return None

    def read_status(self) -> dict[str, Any]:
        """Read the status; a run whose process is gone without a word is ``interrupted``.

        Returns:
            The fields of the status file.

        Raises:
            DataNotFoundError: If this is no run directory.
            CheckpointError: If the status file is damaged or of another program.
        """
        try:
            status = read_object(self.status_file)
        except DataNotFoundError as error:
            raise DataNotFoundError(
                f"{self.path} is not a run directory (no status.json). `csp runs` lists the runs."
            ) from error
        if wrong := wrong_fields(status):
            raise CheckpointError(
                f"{self.status_file} is not the status of a run of csp_core ({wrong})."
            )
        if status["state"] in ALIVE and not is_alive(status, self.path):
            return after_death(status, self.path)
        return status

    def append_metrics(self, row: dict[str, Any]) -> dict[str, Any]:
        """Add a line to the metrics.

        Args:
            row: Plain values; NaN and infinity become null.

        Returns:
            What stands there.
        """
        line = as_line(row)
        with self.metrics_file.open("a", encoding="utf-8") as stream:
            stream.write(line)
        return dict(json.loads(line))

    def read_metrics(self) -> list[dict[str, Any]]:
        """Read the metrics; a half-written last line is passed over.

        Returns:
            One dictionary an epoch.

        Raises:
            CheckpointError: If the file is of another kind or too large.
        """
        return read_rows(self.metrics_file)

    def read_last_metrics(self) -> tuple[list[dict[str, Any]], bool]:
        """Read the last of the metrics, as much as is fit to be watched.

        Returns:
            One dictionary of plain values an epoch, and whether there are earlier ones.

        Raises:
            CheckpointError: If the file is of another kind or cannot be read.
        """
        return read_last_rows(self.metrics_file)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for one process.

        Yields:
            Nothing.

        Raises:
            CheckpointError: If another process holds it, or did on another host until just now.
            OSError: If nothing can be written there.
        """
        with hold(self.path / "control"):
            # A file system may share no locks between hosts, and somebody may have removed one.
            with suppress(DataNotFoundError):
                status = self.read_status()
                if status["state"] in ALIVE:
                    refuse_if_alive(status, self.path)
            yield

    @contextmanager
    def explain_unwritable(self) -> Iterator[None]:
        """Say in one sentence that the run's directory takes no more.

        Yields:
            Nothing.

        Raises:
            CheckpointError: If a disk is full, or the directory is read-only or gone.
        """
        try:
            yield
        except CspError:
            raise
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                self.check_there()
            place = Path(error.filename or self.path).absolute()
            inside = place.is_relative_to(self.path.absolute())
            if error.errno not in FULL and not (inside and isinstance(error, PermissionError)):
                raise
            raise CheckpointError(
                f"The run in {self.path} cannot write to {place} ({error.strerror}). Make room or"
                " allow writing there; `csp resume` goes on from the last whole checkpoint, if"
                " there is one."
            ) from error
