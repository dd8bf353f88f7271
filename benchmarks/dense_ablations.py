"""Which parts of dense contrast a map from few labelled blocks owes something to.

    python benchmarks/dense_ablations.py [--seconds 3600]

Starts on the Korean ground as of dense_transfer.py, each with one thing changed, fine-tuned with 16
labelled blocks. Each cell is a file; a killed run goes on.
"""

from __future__ import annotations

import argparse
import copy
import os
from pathlib import Path
from typing import Any

from dense_blocks import gain_table
from dense_cells import BARE, LOOK, MIOU, bare_of, cell_counts, seconds_of, work
from dense_transfer import ASIA, CLASSES, start_trees
from report import arguments, write_report
from stssl_common import ROOT, Cell, Outcome, add_options, run_cells
from stssl_tables import measure_table, missing_list, numbers

USUAL, NONE = "usual", "no pre-training"
# What is changed in the objective; of its views where a name stands under it.
CHANGES: dict[str, dict[str, Any]] = {
    USUAL: {},
    "sample-level views alone": {"views": {"levels": ["sample"]}},
    "batch-level views alone": {"views": {"levels": ["batch"]}},
    "negatives of the image": {"negatives": "image"},
    "negatives of a queue, too": {"negatives": "queue", "queue_size": 8192},
    "no exclusion radius": {"radius": 0},
    "exclusion radius of 6 cells": {"radius": 6},
}
COLUMN, BLOCKS, STEPS, RATE, PASSES = "16 blocks", 16, 150, 5e-3, 4


def tree_of(change: dict[str, Any], *, quick: bool) -> dict[str, Any]:
    """Give the configuration of a start with something changed."""
    trees = start_trees((1, 1 if quick else PASSES), 0.1 if quick else 1.0, quick=quick)
    tree = copy.deepcopy(trees[ASIA])
    views = {**tree["objective"]["views"], **change.get("views", {})}
    tree["objective"] |= {**change, "views": views}
    tree["name"] = "ablation"
    return tree


def trees_of(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Give the starts by row."""
    return {row: tree_of(change, quick=options.quick) for row, change in CHANGES.items()}


def cells_of(options: argparse.Namespace) -> list[Cell]:
    """List the cells, a seed of all rows before the next."""
    starts: dict[str, Any] = {NONE: None, **trees_of(options)}
    rows = (NONE, "negatives of the image") if options.quick else tuple(starts)
    common = {"network": "small", "blocks": BLOCKS, "rates": (RATE,)}
    steps = LOOK if options.quick else STEPS
    return [
        Cell(row, COLUMN, seed, {**common, "steps": steps, "start": starts[row]})
        for seed in range(1 if options.quick else options.draws)
        for row in rows
    ]


PAGE = """\
Mean IoU in per cent on ground that no start and no cell has seen, with 16 labelled blocks: mean ±
standard deviation over seeds, their number in brackets. All starts are of the Korean ground, with
passes through it: {passes}. All cells have {steps} steps and the learning rate {rate:g}. *Usual*:
views drawn on both levels, negatives of the batch, an exclusion radius of 2 cells.

Without background:

{bare}

With background:

{whole}

## Less the usual

Points of mean IoU without background, with 95 % intervals that resample blocks of the test's ground
and seeds together.

{gains}

## Time of the starts

{spent}

## Not run

{missing}
"""


def write(options: argparse.Namespace, outcome: Outcome) -> None:
    """Write the page and its numbers."""
    rows = list(dict.fromkeys(cell.row for cell in outcome.planned))
    pairs = [(row, USUAL) for row in rows if row != USUAL]
    gains, found = gain_table(outcome, cell_counts(), bare_of(CLASSES), pairs)
    took = {row: seconds_of(tree) / 60 for row, tree in trees_of(options).items()}
    text = PAGE.format(
        bare=measure_table(outcome, BARE, title="start"),
        whole=measure_table(outcome, MIOU, title="start"), gains=gains,
        passes=1 if options.quick else PASSES, steps=LOOK if options.quick else STEPS, rate=RATE,
        spent="\n".join(f"- {row}: {minutes:.1f} minutes by the clock"
                        for row, minutes in took.items() if minutes) or "None was trained.",
        missing=missing_list(outcome),
    )  # fmt: skip
    body = {**numbers(outcome), "gains": {key: one.told() for key, one in found.items()}}
    write_report("dense_ablations", "What parts of dense contrast are worth", text, body, options)


def extend(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    add_options(parser, "dense_ablations")
    parser.set_defaults(draws=2)
    parser.add_argument("--root", type=Path, default=ROOT / "../shared/data")


def main() -> None:
    """Train, measure and write the tables."""
    options = arguments(__doc__.splitlines()[0], extend)
    os.environ |= {"DENSE_ROOT": str(options.root.resolve()),
                   "DENSE_CELLS": str(options.cells.resolve())}  # fmt: skip
    cells = cells_of(options)
    # A start is trained by the first cell that needs it.
    outcome = run_cells(cells, work, options.cells, workers=options.workers,
                        seconds=options.seconds, tables_only=options.tables_only)  # fmt: skip
    write(options, outcome)


if __name__ == "__main__":
    main()
