"""Watching a run from the command line, through its files."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from csp_core.errors import CspError
from csp_core.files import harmless
from csp_core.runs.directory import RunDir
from csp_core.runs.logs import PlainFormatter


@contextmanager
def watch(folder: Path, console: Console) -> Iterator[None]:
    """Show what a run in this process says: a progress bar in a terminal, its log elsewhere.

    Args:
        folder: The run directory.
        console: Where to show it.

    Yields:
        Nothing.
    """
    logger, handler = logging.getLogger("csp_core.training"), logging.StreamHandler(sys.stderr)
    if not console.is_terminal:
        handler.setFormatter(PlainFormatter())
        # What went wrong is said once, at the end.
        handler.addFilter(lambda record: record.levelno < logging.ERROR)
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)
        return
    done = threading.Event()
    # What a run says is its own text: brackets are no markup, :words: no pictures.
    said = TextColumn("{task.description}", style="progress.description", markup=False)
    columns = (said, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress, _telling(logger, progress):
        thread = threading.Thread(target=_follow, args=(folder, progress, done), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


class _Told(logging.Handler):
    """Prints above the bar what a person should read: warnings, and what is marked so."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record, if it is one of those."""
        warns = logging.WARNING <= record.levelno < logging.ERROR
        if warns or getattr(record, "tell", False):
            self._progress.console.print(
                harmless(record.getMessage()), markup=False, highlight=False
            )


@contextmanager
def _telling(logger: logging.Logger, progress: Progress) -> Iterator[None]:
    handler = _Told(progress)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _follow(folder: Path, progress: Progress, done: threading.Event) -> None:
    run, task = RunDir(folder), progress.add_task("starting", total=None)
    while not done.wait(0.5):
        try:
            status, (rows, _) = run.read_status(), run.read_last_metrics()
        except CspError:  # nothing is there yet, or nothing that can be shown
            continue
        note = f", val log-loss {rows[-1]['val_log_loss']:.3f}" if _validated(rows) else ""
        progress.update(
            task,
            description=harmless(" ".join(f"{status.get('message', '')}{note}".split())),
            total=status.get("total_steps"),
            completed=status.get("step", 0),
        )


def _validated(rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and isinstance(rows[-1].get("val_log_loss"), float)
