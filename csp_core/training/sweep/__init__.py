"""Sweeps: one run for each combination of settings, and one table of what came of them.

A sweep's folder holds a run directory for each cell and ``table.md``, ``table.csv`` and
``table.json``, replaced whenever a cell ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from csp_core.config import RunConfig
from csp_core.data import load_dataset
from csp_core.errors import CspError
from csp_core.evaluation import BOTH, evaluate, find_measure
from csp_core.evaluation.retrieval import PAIRS
from csp_core.files import read_json, write_json
from csp_core.runs import ALIVE, RunDir
from csp_core.store import load_model
from csp_core.training.sweep.cells import Cell, Sweep, load_sweep, make_cells
from csp_core.training.sweep.table import describe, markdown_table, write_tables

__all__ = ["Cell", "Sweep", "load_sweep", "make_cells", "markdown_table", "run_sweep"]

EVALUATION = "evaluation.json"
Train = Callable[[RunConfig, Path, bool], object]


def _silent(text: str) -> None:
    """Say nothing."""


def run_sweep(
    sweep: Sweep,
    folder: str | Path,
    *,
    train: Train,
    overrides: Sequence[str] = (),
    say: Callable[[str], None] = _silent,
) -> list[dict[str, Any]]:
    """Run the cells one after the other and write the table.

    Finished cells are passed over and interrupted ones go on where they were; a cell that fails is
    listed with its reason, and the rest goes on. A cell that is stopped on request ends the sweep,
    which goes on when it is run again.

    Args:
        sweep: What to vary.
        folder: Where the runs and the table stand.
        train: Trains, given a configuration, a run directory and whether to resume.
        overrides: ``section.key=value`` for all cells.
        say: Is told what happens.

    Returns:
        One row a cell: ``values``, ``state``, ``message``, ``run`` and, as far as it has come,
        ``epoch``, ``seconds``, ``val_objective`` and the metrics of each part evaluated.

    Raises:
        CspError: If the sweep itself does not fit.
    """
    folder = Path(folder)
    cells = make_cells(sweep, folder, overrides)
    rows = [_row(cell) for cell in cells]
    for number, cell in enumerate(cells):
        rows[number] = _run_cell(cell, sweep, train)
        row = rows[number]
        reason = f" ({row['message']})" if row["state"] == "failed" else ""
        say(f"[{number + 1}/{len(cells)}] {describe(cell.values)}: {row['state']}{reason}")
        write_tables(rows, folder)
        if row["state"] == "stopped":
            break
    return rows


def _run_cell(cell: Cell, sweep: Sweep, train: Train) -> dict[str, Any]:
    """Bring a cell to its end, unless it is there, elsewhere or beyond help."""
    before = _row(cell)
    if cell.config is None or before["state"] in ALIVE:
        return before
    try:
        if before["state"] != "finished":
            train(cell.config, cell.run.path, cell.run.status_file.exists())
        return _row(cell) | _measure(cell.config, cell.run, sweep.evaluate)
    except Exception as error:
        # Whatever it was, it concerns this cell alone.
        kind = "" if isinstance(error, CspError) else f"{type(error).__name__}: "
        message = " ".join(f"{kind}{error}".split())
        return _row(cell) | {"state": "failed", "message": message}


def _row(cell: Cell) -> dict[str, Any]:
    """Read what a cell has come to."""
    row: dict[str, Any] = {
        "values": dict(cell.values),
        "state": "waiting",
        "message": "",
        "run": "",
    }
    if cell.config is None:
        return row | {"state": "failed", "message": cell.problem}
    row["run"] = cell.run.path.name
    if not cell.run.status_file.exists():
        return row
    try:
        status, history = cell.run.read_status(), cell.run.read_metrics()
    except CspError as error:
        return row | {"state": "failed", "message": str(error)}
    row |= {"state": status["state"], "message": str(status.get("message", ""))}
    row |= {key: status[key] for key in ("epoch", "seconds") if key in status}
    objectives = [
        line["val_objective"] for line in history if line.get("val_objective") is not None
    ]
    return row | ({"val_objective": min(objectives)} if objectives else {})


def _measure(config: RunConfig, run: RunDir, splits: Sequence[str]) -> dict[str, Any]:
    """Measure a finished model, once; a run has measured itself on what it held out."""
    if not run.model.exists():
        return {}
    path = run.path / EVALUATION
    known = read_json(path) if path.is_file() else {}
    val = read_json(run.model / "metrics.json").get("val")
    # Of a model that sees images it holds each answer; the others are told by both together.
    # So does one that compares for each pair of its sides, of which the first stands for all.
    first = next((name for name in (BOTH, *PAIRS.values()) if name in (val or {})), None)
    known |= {} if val is None else {"val": val[first] if first else val}
    missing = [split for split in splits if split not in known]
    model = load_model(run.model) if missing else None
    if model is not None and len(model.classes):
        options = config.data.loading()
        for split in missing:
            records = load_dataset(config.data.name, split, **options)
            if find_measure(model, records) is not None:
                known[split] = evaluate(model, records).to_dict()
        write_json(path, known)
    return {split: known[split] for split in splits if split in known}
