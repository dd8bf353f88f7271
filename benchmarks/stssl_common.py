"""What the benchmarks of few labels and many pictures share: cells, and processes that run them.

A cell is one row of a table, one column and one draw of labels. It is one JSON file, written when
it is done, so that a killed benchmark goes on; its name holds a hash of what decides it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from csp_core.files import read_json, write_json

ROOT = Path(__file__).resolve().parent.parent
Key = tuple[str, str, int]
Measures = dict[str, float]


@dataclass(frozen=True)
class Cell:
    """One thing to train and measure.

    Args:
        row: Row of the table.
        column: Column of the table, such as ``"40 labels"``.
        draw: Number of the draw of labels, from 0; rows are paired by it.
        settings: What else decides the outcome, of what JSON can hold.
    """

    row: str
    column: str
    draw: int
    settings: Mapping[str, Any] = field(hash=False)

    @property
    def key(self) -> Key:
        """Return row, column and draw."""
        return self.row, self.column, self.draw

    @property
    def file(self) -> str:
        """Return the name of its file."""
        text = json.dumps([self.row, self.column, self.draw, self.settings], sort_keys=True)
        mark = hashlib.sha256(text.encode()).hexdigest()[:10]
        words = re.sub(r"[^a-z0-9]+", "-", f"{self.row} {self.column}".lower()).strip("-")
        return f"{words[:80]}-{self.draw}-{mark}.json"


@dataclass
class Outcome:
    """What there is of a benchmark.

    Args:
        planned: All cells that were asked for.
        found: Row, column and draw of those that are there to what they measured.
        failed: Those that failed to the reason.
    """

    planned: tuple[Cell, ...]
    found: dict[Key, Measures] = field(default_factory=dict)
    failed: dict[Key, str] = field(default_factory=dict)

    @property
    def missing(self) -> list[Cell]:
        """Return the cells that are not there."""
        return [cell for cell in self.planned if cell.key not in self.found]


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the options of every benchmark made of cells.

    Args:
        parser: The parser.
        name: Of the benchmark, for the folder of its cells.
    """
    home = ROOT / "runs" / "benchmarks" / name
    parser.add_argument("--cells", type=Path, default=home, help="folder of the finished cells")
    parser.add_argument("--workers", type=int, default=1, help="cells that run at a time")
    parser.add_argument("--draws", type=int, default=5, help="draws of labels")
    parser.add_argument("--seconds", type=float, help="after them no further cell begins")
    parser.add_argument("--tables-only", action="store_true", help="tables of what is there")


def read_cell(cell: Cell, folder: Path) -> Measures | None:
    """Read what a cell measured.

    Args:
        cell: The cell.
        folder: Of all cells.

    Returns:
        Name to number, or None if it was not run.
    """
    path = folder / cell.file
    return dict(read_json(path)["measures"]) if path.is_file() else None


def run_cell(work: Callable[[Cell], Mapping[str, float]], cell: Cell, folder: Path) -> Measures:
    """Run a cell and write its file, or read it where it is there.

    Args:
        work: Gives the measures.
        cell: The cell.
        folder: Of all cells.

    Returns:
        Name to number.

    Raises:
        ValueError: If a measure is no finite number.
    """
    done = read_cell(cell, folder)
    if done is not None:
        return done
    started, used = time.monotonic(), time.process_time()
    measures = {name: float(value) for name, value in work(cell).items()}
    wrong = sorted(name for name, value in measures.items() if not math.isfinite(value))
    if wrong:
        raise ValueError(f"no finite number: {', '.join(wrong)}")
    told = {"row": cell.row, "column": cell.column, "draw": cell.draw}
    spent = {"seconds": time.monotonic() - started, "processor": time.process_time() - used}
    write_json(folder / cell.file, {
        **told, "settings": dict(cell.settings), **spent, "measures": measures})  # fmt: skip
    return measures


def run_cells(
    cells: Iterable[Cell],
    work: Callable[[Cell], Mapping[str, float]],
    folder: Path,
    *,
    workers: int = 1,
    seconds: float | None = None,
    tables_only: bool = False,
) -> Outcome:
    """Run the cells that are not there, the first draws of all rows before the later ones.

    Args:
        cells: What to run.
        work: Gives a cell's measures; with several workers, a function that a module holds.
        folder: Where the files are.
        workers: Processes; 1 runs them here. Each computes with one thread.
        seconds: After them no further cell begins; those that run end.
        tables_only: Whether to run none.

    Returns:
        What there is then. A cell that fails stops no other, and the next call tries it again.

    Raises:
        ValueError: If two cells have the same row, column and draw.
    """
    planned = tuple(sorted(cells, key=lambda cell: cell.draw))
    if len({cell.key for cell in planned}) < len(planned):
        raise ValueError("Two cells have the same row, column and draw.")
    folder.mkdir(parents=True, exist_ok=True)
    outcome = Outcome(planned)
    for cell in planned:
        measures = read_cell(cell, folder)
        if measures is not None:
            outcome.found[cell.key] = measures
    if not tables_only:
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        run = _run_here if workers == 1 else _run_beside
        run(outcome, work, folder, workers, deadline)
    return outcome


Work = Callable[[Cell], Mapping[str, float]]


def _run_here(outcome: Outcome, work: Work, folder: Path, _: int, deadline: float) -> None:
    _one_thread()
    for cell in outcome.missing:
        if time.monotonic() >= deadline:
            break
        try:
            _keep(outcome, cell, run_cell(work, cell, folder))
        except Exception as error:  # whatever it is, other cells are no worse for it
            _keep(outcome, cell, error)


def _run_beside(outcome: Outcome, work: Work, folder: Path, workers: int, deadline: float) -> None:
    """Hold as many cells in work as there are workers, so that none waits when time is over."""
    left = iter(outcome.missing)
    running: dict[Future[Measures], Cell] = {}
    with ProcessPoolExecutor(workers, get_context("spawn"), _one_thread) as pool:
        while True:
            try:
                while len(running) < workers and time.monotonic() < deadline:
                    cell = next(left)
                    running[pool.submit(run_cell, work, cell, folder)] = cell
            except StopIteration:
                pass
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                error = future.exception()
                _keep(outcome, running.pop(future), error or future.result())
                if isinstance(error, BrokenProcessPool):
                    raise SystemExit("A worker was killed; the same command goes on.")


def _one_thread() -> None:
    torch.set_num_threads(1)


def _keep(outcome: Outcome, cell: Cell, told: Measures | BaseException) -> None:
    name = f"{cell.row}, {cell.column}, draw {cell.draw}"
    if isinstance(told, BaseException):
        outcome.failed[cell.key] = f"{type(told).__name__}: {told}".splitlines()[0][:200]
        print(f"{name}: failed, {outcome.failed[cell.key]}", flush=True)
        return
    outcome.found[cell.key] = told
    numbers = ", ".join(f"{measure} {value:.4g}" for measure, value in told.items())
    print(f"{name}: {numbers}", flush=True)
