"""What accidents of jobs are made of: launch as the page does, strike, look, resume, compare."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from safetensors import SafetensorError

from csp_core.config.presets import preset
from csp_core.errors import CspError, DataNotFoundError
from csp_core.files import check_tensors, hash_file
from csp_core.runs import ALIVE, RunDir, jobs
from csp_core.runs.queue import Queue
from csp_core.runs.status import MACHINE

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PATIENCE, LOOK = 300.0, 0.02
DISK_MEGABYTES, SMALL_FILE = 16, 2000


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Args:
        weights: Hash of ``model.safetensors``.
        rows: Its lines of metrics, without what the machine's speed says.
        seconds: From its launch to its end.
    """

    weights: str
    rows: list[dict[str, Any]]
    seconds: float = 0.0

    def same(self, other: Result) -> bool:
        """Say whether another run came to the same weights and the same numbers."""
        return (self.weights, self.rows) == (other.weights, other.rows)


def settings(seed: int, *, epochs: int, checkpoint_every: int) -> dict[str, Any]:
    """Give the settings of a run of some seconds, which draws dropout and moves places by chance.

    Args:
        seed: Of the run.
        epochs: How many.
        checkpoint_every: Steps from one checkpoint to the next, besides those of each epoch.

    Returns:
        Sections of plain values, as the page sends them.
    """
    tree = preset("demo", "seconds")
    training = {**tree["training"], "epochs": epochs, "checkpoint_every": checkpoint_every}
    return {
        **tree,
        "name": "job",
        "seed": seed,
        "data": {**tree["data"], "size": 3000},
        "training": training,
    }


@contextmanager
def runs_in(home: Path) -> Iterator[None]:
    """Let runs be made in a folder, one at a time, for this process and those that it starts."""
    known = {
        "CSP_RUNS": str(home),
        "CSP_MAX_JOBS": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "app")]),
    }
    before = {key: os.environ.get(key) for key in known}
    os.environ.update(known)
    try:
        yield
    finally:
        for path in home.glob("*-*"):
            with contextlib.suppress(CspError):
                jobs.stop(path, wait=0.0, kill=True)
        for key, value in before.items():
            if value is None:
                os.environ.pop(key)
            else:
                os.environ[key] = value


def launch(tree: Mapping[str, Any]) -> RunDir:
    """Start a run by the page's own code, which checks, asks the queue and starts a process."""
    sys.path.insert(0, str(ROOT / "app"))
    try:
        from jobs.start import launch as page_launch
    finally:
        sys.path.pop(0)
    return RunDir(page_launch(tree).path)


def state_of(run: RunDir) -> str:
    """Read the state of a run; ``unreadable`` where that cannot be."""
    try:
        return str(run.read_status()["state"])
    except CspError:
        return "unreadable"


def wait(condition: Callable[[], bool], words: str) -> None:
    """Wait until something is so.

    Raises:
        DataNotFoundError: If it takes more than five minutes.
    """
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise DataNotFoundError(f"Waited {PATIENCE:.0f} s in vain: {words}.")
        time.sleep(LOOK)


def reach(run: RunDir, step: int) -> None:
    """Wait until a run is at a step, or ended; it says where it is twice a second or so."""

    def there() -> bool:
        state = state_of(run)
        return state not in ALIVE or (state == "running" and step <= run.read_status()["step"])

    wait(there, f"{run.path.name} at step {step}")


@contextlib.contextmanager
def slot_taken(home: Path) -> Iterator[None]:
    """Hold the only slot, as another run would."""
    held: list[Any] = []

    def take() -> bool:
        # The process of the undisturbed run may still be about to end.
        held.append(Queue(home).slot(home / "another-run"))
        return held[-1] is not None

    wait(take, "a slot")
    try:
        yield
    finally:
        held[-1].release(force=True)


def rest(run: RunDir) -> str:
    """Wait until no process is at a run any more; gives the state that it is left in."""
    wait(lambda: state_of(run) not in ALIVE, f"{run.path.name} ends")
    return state_of(run)


def result(run: RunDir, seconds: float = 0.0) -> Result:
    """Read what a finished run came to."""
    rows = [{k: v for k, v in row.items() if k not in MACHINE} for row in run.read_metrics()]
    return Result(hash_file(run.model / "model.safetensors"), rows, seconds)


def undisturbed(tree: Mapping[str, Any]) -> Result:
    """Run settings to the end, with nothing in their way."""
    began = time.monotonic()
    run = launch(tree)
    if rest(run) != "finished":
        raise DataNotFoundError(f"The undisturbed run is {run.read_status()}.")
    return result(run, time.monotonic() - began)


def kill(run: RunDir) -> dict[str, Any]:
    """End the process of a run by SIGKILL.

    Returns:
        How it stood: ``state``, ``step``, ``of`` all steps, ``checkpoint``: step of the newest.
    """
    status = run.read_status()
    with contextlib.suppress(ProcessLookupError):
        os.kill(status["pid"], signal.SIGKILL)
    found = {"state": status["state"], "step": status.get("step"), "of": status.get("total_steps")}
    wait(lambda: state_of(run) not in ALIVE, f"{run.path.name} is gone")
    return {**found, "checkpoint": newest(run)}


def newest(run: RunDir) -> int | None:
    """Give the step of a run's newest checkpoint."""
    steps = [int(path.name.removeprefix("step-")) for path in run.checkpoints.glob("step-*")]
    return max(steps, default=None)


def listed(run: RunDir) -> tuple[str, str]:
    """Ask ``csp runs`` for the state of a run and for what is said of it."""
    command = [sys.executable, "-m", "csp_core", "runs", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (one,) = [line for line in json.loads(done.stdout) if Path(line["path"]).name == run.path.name]
    return one["state"], plain(str(one["status"].get("message", "")), run)


def plain(text: str, run: RunDir) -> str:
    """Leave the folders of this machine out of a sentence."""
    return text.replace(f"{run.path.parent.absolute()}/", "")


def files(run: RunDir) -> tuple[int, list[str]]:
    """Read all files of a run whose kind has an end, as whoever watches or resumes it would.

    Returns:
        How many there are, and the names of those that are not whole. The last line of metrics may
        be half a line, as a process was ended while it wrote: readers pass over it.
    """
    count, broken = 0, []
    for path in sorted(run.path.rglob("*")):
        try:
            if path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
            elif path.suffix == ".jsonl":
                for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
                    json.loads(line)
            elif path.suffix == ".safetensors":
                check_tensors(path)
            else:
                continue
        except (ValueError, OSError, CspError, SafetensorError):
            broken.append(str(path.relative_to(run.path)))
        count += 1
    return count, broken


def new_lines(run: RunDir, before: int) -> list[str]:
    """Give what a run's log says of checkpoints since it had so many bytes."""
    text = run.log.read_bytes()[before:].decode("utf-8", "replace") if run.log.exists() else ""
    said = [line.split(" ", 2)[-1] for line in text.splitlines()]
    return [line for line in said if "damaged" in line or line.startswith("going on from")]


class Disk:
    """A small disk that can be filled.

    Args:
        folder: Where it is; a ``tmpfs`` if this process may mount one, else a folder like any.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mounted = False

    def __enter__(self) -> Disk:
        """Mount it."""
        self.folder.mkdir()
        size = f"size={DISK_MEGABYTES}m"
        command = ["mount", "-t", "tmpfs", "-o", size, "csp-small-disk", str(self.folder)]
        with contextlib.suppress(OSError):
            self.mounted = not subprocess.run(command, capture_output=True, check=False).returncode
        return self

    def __exit__(self, *_: object) -> None:
        """Unmount it, once the processes that were on it have gone."""
        command = ["umount", str(self.folder)]
        if self.mounted:
            gone = lambda: not subprocess.run(command, capture_output=True, check=False).returncode  # noqa: E731
            wait(gone, f"{self.folder} is not busy")

    @property
    def words(self) -> str:
        """How it is made to be full."""
        return f"tmpfs of {DISK_MEGABYTES} MB" if self.mounted else "RLIMIT_FSIZE"

    def fill(self, run: RunDir | None = None) -> None:
        """Leave no room on it; without a disk of its own, none for this process or a run's."""
        if self.mounted:
            with (self.folder / ".ballast").open("wb", buffering=0) as stream:
                with contextlib.suppress(OSError):
                    while stream.write(bytes(4096)):
                        pass
            return
        process = psutil.Process(run.read_status()["pid"]) if run else psutil.Process()
        process.rlimit(resource.RLIMIT_FSIZE, (SMALL_FILE if run else 0, resource.RLIM_INFINITY))

    def empty(self) -> None:
        """Make room again."""
        if self.mounted:
            (self.folder / ".ballast").unlink()
        else:
            infinite = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            psutil.Process().rlimit(resource.RLIMIT_FSIZE, infinite)
