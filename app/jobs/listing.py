"""The runs as every session sees them: read once for all, at most every second and a half."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from csp_core.errors import CspError
from csp_core.runs.directory import RunDir
from csp_core.runs.jobs import Job, list_jobs, runs_home
from csp_core.runs.reading import is_number
from csp_core.runs.status import ALIVE

# Of the list's age, seconds.
FRESH = 1.5
# How often a page that follows runs asks anew, by the seconds that the run has still to go: what
# lasts long is seen by hours, and each question costs the server as much.
PACES = ((180.0, 2.0), (3600.0, 5.0), (float("inf"), 10.0))
# Of a run that has waited for as many seconds without a word of how long it will last.
PATIENCE, WAITING = 60.0, 5.0
# What a state is called, with a mark for those who do not see its colour.
STATES = {
    "queued": "◷ waiting",
    "starting": "▶ starting",
    "running": "▶ running",
    "stopped": "◼ stopped",
    "finished": "✔ finished",
    "failed": "✖ failed",
    "interrupted": "⚠ interrupted",
    "unreadable": "⚠ unreadable",
}


def allowed() -> bool:
    """Tell whether training may be started here; ``CSP_ALLOW_TRAINING=0`` turns it off."""
    return os.environ.get("CSP_ALLOW_TRAINING", "1").strip().casefold() not in ("0", "false", "no")


def jobs() -> list[Job]:
    """List the runs, newest first; the list is shared by all sessions, so change nothing of it."""
    return _jobs(str(runs_home().absolute()))


@st.cache_resource(show_spinner=False, ttl=FRESH, max_entries=2)
def _jobs(home: str) -> list[Job]:
    try:
        found = list_jobs(Path(home))
    except CspError:
        return []  # a folder that cannot be listed has no runs to show
    # A folder whose name is no text has no link; `csp runs` shows it.
    return sorted((job for job in found if job.path.name.isprintable()), key=_order)


def forget() -> None:
    """Have the list read anew, after something was done to a run."""
    _jobs.clear()


def find(name: str) -> Job | None:
    """Find a run by the name of its folder."""
    return next((job for job in jobs() if job.path.name == name), None)


def show(**asked: str) -> None:
    """Have the page show something else: a run, the list, or the form."""
    st.query_params.from_dict(asked)


def _order(job: Job) -> tuple[bool, float]:
    return job.state not in ALIVE, -number(job, "heartbeat")


def number(job: Job, key: str, default: float = 0.0) -> float:
    """Read a number of a status, which anybody may have edited."""
    value = job.status.get(key)
    return float(value) if is_number(value) else default


def is_alive(job: Job) -> bool:
    """Tell whether a run is under way or waits for its turn."""
    return job.state in ALIVE


def pace(found: Iterable[Job], was: float | None = None) -> float | None:
    """Say how often a page that follows runs asks anew.

    Args:
        found: The runs.
        was: What was said before, which is not left for a moment's change of speed.

    Returns:
        Seconds, by the run that changes first; None if none lives.
    """
    return min((_pace(job, was) for job in found if is_alive(job)), default=None)


def _pace(job: Job, was: float | None) -> float:
    quick = PACES[0][1]
    if RunDir(job.path).stop_file.exists():
        return quick  # it ends after the step that it is at
    left = job.status.get("seconds_left")
    if is_number(left):
        # It becomes slower only well beyond the border at which it becomes quicker.
        border = {seconds: 1.3 if was and was <= seconds else 1.0 for _, seconds in PACES}
        return next(seconds for most, seconds in PACES if left <= most * border[seconds])
    started = number(job, "pid_started")
    return WAITING if started and time.time() - started > PATIENCE else quick


def failed_at_once(job: Job) -> bool:
    """Tell whether a run failed before its first step, so that it left nothing but its reason."""
    # Not by how long its process lived: it may have waited for its turn.
    return job.state == "failed" and not number(job, "step")


def progress(job: Job) -> float | None:
    """Give the part of a run's steps that is done, in [0, 1]; None if not known yet."""
    total = number(job, "total_steps")
    return min(1.0, max(0.0, number(job, "step") / total)) if total > 0 else None


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Read a run's last numbers, one dictionary an epoch; none if they cannot be read."""
    return _numbers(path)[0]


def said_of_cut(path: Path) -> str:
    """Say that a run has more numbers than are shown; empty if all are."""
    rows, cut = _numbers(path)
    last = f"Only the last {len(rows):,} epochs are shown; `metrics.jsonl` holds them all."
    return last if cut else ""


def _numbers(path: Path) -> tuple[list[dict[str, Any]], bool]:
    file = RunDir(path).metrics_file
    try:
        stat = file.stat()
        return _rows(str(path), stat.st_mtime_ns, stat.st_size)
    except (CspError, OSError):
        return [], False


# As many as a comparison and the sidebar ask for at once; each may take some 50 MB.
@lru_cache(maxsize=12)
def _rows(path: str, modified: int, size: int) -> tuple[list[dict[str, Any]], bool]:
    return RunDir(Path(path)).read_last_metrics()


def duration(seconds: float) -> str:
    """Write a time span in its two largest units.

    Example:
        >>> duration(8), duration(95), duration(7384), duration(200000)
        ('8 s', '1 min 35 s', '2 h 3 min', '2 d 7 h')
    """
    whole = round(max(seconds, 0.0))
    for unit, small, size, part in (
        ("d", "h", 86400, 3600),
        ("h", "min", 3600, 60),
        ("min", "s", 60, 1),
    ):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part} {small}"
    return f"{whole} s"


def ago(moment: float) -> str:
    """Say how long ago something was."""
    return f"{duration(time.time() - moment)} ago" if moment else "at a time unknown"


def amount(size: float) -> str:
    """Write an amount of memory.

    Example:
        >>> amount(3.1e6), amount(2.5e9)
        ('3 MB', '2.5 GB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def remaining(job: Job) -> str:
    """Say how long a run has still to go; empty if that is not known, or if it does not go on."""
    left = job.status.get("seconds_left")
    return f"about {duration(left)} left" if is_alive(job) and is_number(left) else ""
