"""The status of a run: its states, and what its fields may hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from csp_core.runs.owner import find_process, is_here
from csp_core.runs.reading import is_number, last_error

ALIVE = ("queued", "starting", "running")
STATES = (*ALIVE, "stopped", "finished", "failed")
FORMAT = "csp-run/1"
MESSAGE_LENGTH = 10000
# What the process of a run prints.
OUTPUT = "output.txt"
# How fast a run is and how long it will last are not known at first.
UNKNOWN = ("seconds_left", "samples_per_second")
PROGRESS = (
    *("step", "total_steps", "epoch", "epochs", "seconds"),
    *("samples_per_second", "memory_bytes"),
)
# What a status keeps of the one before.
KEPT = (*PROGRESS, "name", "device", "output_from")
# What a line of metrics says of the machine: two runs that are equal differ in it.
MACHINE = ("seconds", "samples_per_second", "memory_bytes")
NUMBERS = (*PROGRESS, "seconds_left", "output_from")


def after_death(status: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Say what a run is whose process is gone without a word.

    Args:
        status: The last that it said.
        folder: The run's directory.

    Returns:
        The status, ``interrupted`` with the likely reason; ``failed`` with what the process printed
        last if it had not begun the run.
    """
    if status.get("begun") is not False:
        return {**status, "state": "interrupted", "message": _reason(status, folder)}
    # Without it, what was printed is of processes before.
    start = status.get("output_from")
    if start is not None and (reason := last_error(folder / OUTPUT, start=int(start))):
        return {**status, "state": "failed", "message": storable(reason), "cause": "other"}
    message = "its process ended before the run began; `csp resume` starts it again"
    return {**status, "state": "interrupted", "message": message}


def _reason(status: Mapping[str, Any], folder: Path) -> str:
    """Say why a process is gone without a word, as far as that can be known from here."""
    if not is_here(status):
        return f"the host {str(status['host'])[:100]!r} has given no sign of life of it for minutes"
    if find_process(status) is not None:
        return f"it was copied or moved from {status.get('folder')} while its process was at it"
    if psutil.boot_time() > status["heartbeat"]:
        return "the machine was restarted after its last sign of life"
    return "its process was ended by force or for want of memory"


def wrong_fields(status: Mapping[str, Any]) -> str:
    """Say which field of a status cannot be.

    Args:
        status: As it was read.

    Returns:
        What is wrong with it; empty if nothing is.
    """
    if status.get("format") != FORMAT:
        return f"its format is not {FORMAT!r}"
    if status.get("state") not in STATES:
        return f"its state is none of {', '.join(STATES)}"
    if not is_number(status.get("heartbeat")):
        return "its heartbeat is no number"
    for key, value in status.items():
        if isinstance(value, (dict, list)) or (type(value) is int and not is_number(value)):
            return f"{key[:40]!r} is no plain value"
    for key in NUMBERS:
        if not is_number(status.get(key, 0)) and not (key in UNKNOWN and status[key] is None):
            return f"its {key} is no number"
    return ""


def storable(text: str) -> str:
    """Make a text one that a file can hold and a reader will take.

    Args:
        text: Any text.

    Returns:
        Its beginning, without halves of characters.
    """
    return text[:MESSAGE_LENGTH].encode("utf-8", "replace").decode("utf-8")
