"""Keeping runs in order: notes on them, and a trash that gives back what was deleted."""

from __future__ import annotations

import os
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from csp_core.errors import CheckpointError, CspError, DataNotFoundError
from csp_core.files import write_text
from csp_core.runs.directory import RunDir
from csp_core.runs.jobs import runs_home
from csp_core.runs.owner import hold
from csp_core.runs.reading import read_regular
from csp_core.runs.status import ALIVE

NOTE, NOTE_LENGTH = "note.txt", 2000
TRASH, TRASH_SECONDS = ".trash", 7 * 86400.0
# Stands in a folder in the trash and tells by its time of change since when it does.
SINCE = "deleted.txt"


@dataclass(frozen=True)
class Trashed:
    """A run in the trash.

    Args:
        name: What ``restore`` knows it by.
        path: Where it is.
        deleted: When it came there, seconds since 1970.
    """

    name: str
    path: Path
    deleted: float


def read_note(run: RunDir) -> str:
    """Read what somebody wrote about a run.

    Args:
        run: The run.

    Returns:
        The note, of at most 2,000 characters; empty if there is none, or it cannot be read.
    """
    try:
        # Letters have up to four bytes; a line's end has up to two.
        text = read_regular(run.path / NOTE, limit=4 * NOTE_LENGTH + 2).decode("utf-8", "replace")
    except CspError:
        return ""
    return text[:NOTE_LENGTH].strip()


def write_note(run: RunDir, text: str) -> None:
    """Write about a run; an empty note is removed.

    Args:
        run: The run.
        text: At most 2,000 characters.

    Raises:
        CheckpointError: If it is longer, or the run takes no file.
    """
    text = text.strip().encode("utf-8", "replace").decode("utf-8")
    if len(text) > NOTE_LENGTH:
        raise CheckpointError(
            f"The note has {len(text):,} characters; at most {NOTE_LENGTH:,} are kept."
        )
    run.read_status()  # only of what is a run
    try:
        with run.explain_unwritable():
            if text:
                write_text(run.path / NOTE, f"{text}\n")
            else:
                (run.path / NOTE).unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(f"Cannot write a note to {run.path} ({error}).") from error


def delete(run: RunDir) -> Path:
    """Move a run to the trash, and remove for good what has been there for 7 days.

    Args:
        run: A run in ``runs_home()``.

    Returns:
        Where it is now; its name is what ``restore`` takes.

    Raises:
        CheckpointError: If it is under way, is no folder of ``runs_home()``, or cannot be moved.
        DataNotFoundError: If it is no run.
    """
    home, path = _checked(run)
    trash_folder = home / TRASH
    try:
        trash_folder.mkdir(exist_ok=True)
        _empty_old(trash_folder)  # first, as the disk may be full
        (run.path / "control").mkdir(exist_ok=True)
        # Nobody may begin it meanwhile; its lock moves along with it.
        with run.explain_unwritable(), hold(run.path / "control"):
            _refuse_alive(run)
            write_text(path / SINCE, "The time of change of this file tells when.\n")
            target = _free(trash_folder / path.name)
            os.rename(path, target)
    except OSError as error:
        raise CheckpointError(f"Cannot delete {run.path} ({error}).") from error
    (target / "control" / "lock").unlink(missing_ok=True)
    return target


def restore(name: str) -> RunDir:
    """Bring a run back from the trash.

    Args:
        name: As ``trash`` lists it.

    Returns:
        The run, where it was or, if that is taken, beside it.

    Raises:
        DataNotFoundError: If there is none of that name.
        CheckpointError: If it cannot be moved.
    """
    found = next((one for one in trash() if one.name == name), None)
    if found is None:
        raise DataNotFoundError(f"No run {name[:200]!r} in {runs_home() / TRASH}.")
    try:
        target = _free(runs_home() / found.name)
        os.rename(found.path, target)
        (target / SINCE).unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(f"Cannot restore {found.path} ({error}).") from error
    return RunDir(target)


def trash() -> list[Trashed]:
    """List what is in the trash, latest first.

    Returns:
        The runs.
    """
    found = []
    with suppress(OSError):
        for path in (runs_home() / TRASH).iterdir():
            if path.is_dir() and not path.is_symlink():
                found.append(Trashed(path.name, path, _since(path)))
    return sorted(found, key=lambda one: -one.deleted)


def _checked(run: RunDir) -> tuple[Path, Path]:
    """Make sure that a run may be moved; give the folder of runs and its own, without links."""
    home, path = runs_home().resolve(), run.path.absolute()
    inside = path.parent.resolve() == home and not path.name.startswith(".")
    if not inside or path.is_symlink() or not path.is_dir():
        raise CheckpointError(
            f"{run.path} is no run in {runs_home()}, and nothing else is deleted; remove it by"
            " hand."
        )
    if not os.path.lexists(run.status_file):
        raise DataNotFoundError(f"{run.path} is not a run directory (no status.json).")
    _refuse_alive(run)
    return home, home / path.name


def _refuse_alive(run: RunDir) -> None:
    state = ""
    with suppress(CspError):  # one that cannot be read may go
        state = run.read_status()["state"]
    if state in ALIVE:
        raise CheckpointError(f"{run.path} is under way. Stop it first: `csp stop {run.path}`.")


def _free(path: Path) -> Path:
    """Choose a name that is not taken."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{re.sub(r'~[0-9]+$', '', path.name)}~{number}")
    return free


def _since(path: Path) -> float:
    try:
        return (path / SINCE).lstat().st_mtime
    except OSError:
        return 0.0


def _empty_old(folder: Path) -> None:
    now = time.time()
    for path in folder.iterdir():
        since = _since(path)
        # What came there by hand was not put there by us.
        if path.is_dir() and not path.is_symlink() and since and now - since > TRASH_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
