"""Jobs under accident: killed, on a full disk, without their server, launched twice, edited."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from killed_jobs_accidents import (
    EDITS,
    LINES,
    Cell,
    edited,
    full_disk,
    killed,
    twice_by_the_page,
    two_at_once,
    without_server,
)
from killed_jobs_tools import ROOT, runs_in
from report import arguments, code_mark, markdown, write_report

from csp_core.files import write_json

KILLS, EPOCHS = 10, 20
HEAD = ("what happened", "seed", "state then", "step", "newest checkpoint", "`csp runs` says",
        "what was said", "files whole", "in the end")  # fmt: skip


def plan(epochs: int, *, quick: bool) -> dict[str, Callable[[Path], Cell]]:
    """List the accidents; each is given the folder of its runs."""
    rows: dict[str, Callable[[Path], Cell]] = {
        f"kill-{number + 1}": lambda home, n=number: killed(n, home, epochs)
        for number in range(KILLS)
    }
    for words, at_launch in (("full-at-launch", True), ("full-while-running", False)):
        rows[words] = lambda home, at=at_launch: full_disk(home, epochs, at_launch=at)
    for words, resume in (("twice-one-folder", False), ("twice-resumed", True)):
        rows[words] = lambda home, on=resume: two_at_once(home, epochs, resume=on)
    rows["twice-by-the-page"] = lambda home: twice_by_the_page(home, epochs)
    for name in EDITS:
        words = name.replace(" ", "-").replace(".", "-")
        rows[words] = lambda home, edit=name: edited(edit, home, epochs)
    rows["server"] = without_server
    few = ("kill-1", "full-while-running")
    return {name: rows[name] for name in few} if quick else rows


def kept(path: Path, what: Callable[[Path], Cell]) -> Cell:
    """Do a row of the table, or read what it came to."""
    if path.is_file():
        found: Cell = json.loads(path.read_text(encoding="utf-8"))
        return found
    print(path.stem, "…", flush=True)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name).resolve() / "runs"
        home.mkdir()
        with runs_in(home):
            found = what(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, found)
    return found


def row(cell: Cell) -> list[str]:
    """Write one row of the table."""
    step, total = cell.get("step"), cell.get("of")
    said = [*cell["said"], *(f"then: {line}" for line in cell["later"])]
    whole = f"{cell['files'] - len(cell['broken'])} of {cell['files']}"
    values = [
        cell["what"],
        cell["seed"],
        cell["state"],
        "–" if step is None else f"{step:,} of {total:,}" if total else f"{step:,}",
        "–" if cell.get("checkpoint") is None else f"{cell['checkpoint']:,}",
        cell["listed"],
        "; ".join(said) or "–",
        " ".join([whole, *(f"(not {name})" for name in cell["broken"])]),
        f"{cell['end']}, {'bit-equal' if cell['equal'] else 'NOT equal'}",
    ]
    return [" ".join(str(value).replace("|", "\\|").split()) for value in values]


def mark() -> str:
    """Tell this state of the code from others: of what runs a job, and of the accidents."""
    own = Path(__file__).parent.glob("killed_jobs_*.py")
    return code_mark([*(ROOT / "csp_core").rglob("*.py"), ROOT / "app/jobs/start.py", *own])


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--cells", type=Path, default=ROOT / "build" / "killed_jobs",
                        help="folder of the finished rows; remove it to do them anew")  # fmt: skip


def main() -> None:
    """Run the benchmark."""
    options = arguments((__doc__ or "").splitlines()[0], add_options)
    epochs = 3 if options.quick else EPOCHS
    accidents = plan(epochs, quick=options.quick)
    home = options.cells / f"{mark()}-{epochs}"
    cells = {name: kept(home / f"{name}.json", what) for name, what in accidents.items()}
    equal = sum(cell["equal"] for cell in cells.values())
    summary = f"{equal} of {len(cells)} ended bit-equal to a run that nothing disturbed"
    lines = sum(LINES in cell["later"] for cell in cells.values())
    summary += f", {lines} more with bit-equal weights." if lines else "."
    table = markdown(HEAD, [row(cell) for cell in cells.values()])
    body = f"{summary}\n\n{table}\n\n{NOTE.format(epochs=epochs)}"
    write_report("killed_jobs", "Jobs under accident", body, {"cells": cells}, options)


NOTE = (
    "Each job trains on the invented world for {epochs} epochs, with dropout and places moved by"
    " chance, and is launched and resumed by the code of the Train page, in the queue. Those that"
    " are killed have a seed and a number of steps between checkpoints of their own, which were"
    " drawn; the others share theirs. The same settings run undisturbed before. *SIGKILL*: two"
    " at a moment drawn evenly from the time that the undisturbed run took from its launch to its"
    " end, three so behind another run, five once a step that was drawn is told; a job that was"
    " faster is launched anew. *State then, step, newest"
    " checkpoint*: as its folder said just before."
    " *Files*: JSON, lines of metrics and safetensors, read to their ends after the accident; half"
    " a last line of metrics counts as whole, as readers pass over it. *Bit-equal*: by the hash of"
    " `model.safetensors`, and by every number of every epoch except those of the machine's speed."
)

if __name__ == "__main__":
    main()
