"""Label sets from 20 labelled crops of tiles: what unlabelled crops are worth to each method.

    python benchmarks/stssl_korea.py [--workers 2] [--seconds 3600]

Crops of 64 pixels of Sentinel-2 tiles in Korea; a class covers 1 % of a crop or more.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import stssl_cells
from report import arguments, write_report
from stssl_common import ROOT, Cell, add_options, run_cells
from stssl_eurosat import here, settle
from stssl_tables import difference_table, measure_table, missing_list, numbers

from csp_core import evaluate, load_dataset

FLOOR = "labels alone"
METHODS = {FLOOR: "supervised", "FixMatch": "fixmatch", "CAP": "cap", "UDAL": "udal",
           "CDMAD": "cdmad"}  # fmt: skip
LABELS = 20
SIZES: dict[str, Any] = {"batch_size": 10, "ratio": 4, "epochs": 20, "learning_rate": 2.0e-3}
QUICK: dict[str, Any] = {**SIZES, "epochs": 1}
MEASURES = {"macro_ap": "macro average precision", "micro_ap": "micro average precision"}


def cells_of(options: argparse.Namespace) -> list[Cell]:
    """List the cells."""
    size = QUICK if options.quick else SIZES
    return [
        Cell(row, f"{LABELS} crops", draw, {**size, "method": name, "labels": LABELS})
        for draw in range(1 if options.quick else options.draws)
        for row, name in METHODS.items()
    ]


def tree_of(settings: dict[str, Any], draw: int) -> dict[str, Any]:
    """Write out the configuration of a cell."""
    return {
        "name": "cell",
        "seed": draw,
        "data": {
            "name": "tiles",
            "root": here("root"),
            "classes": {10: "building", 30: "road", 50: "field", 70: "forest"},
            "ignored": [100],
            "labels": settings["labels"],
            "label_seed": draw,
            "unlabelled": True,
        },
        "model": {
            "location": None,
            "image": {"name": "small_convnet", "dim": None, "width": 16, "norm": "group"},
        },
        "objective": {"name": settings["method"], "ratio": settings["ratio"]},
        "training": {
            "epochs": settings["epochs"],
            "batch_size": settings["batch_size"],
            "learning_rate": settings["learning_rate"],
            "weight_decay": 5.0e-4,
            "decay_vectors": False,
            "schedule": "cosine_7_16",
            "ema_decay": 0.99,
            "keep": "last",
            "device": here("device"),
            "threads": 1,
        },
    }


def work(cell: Cell) -> dict[str, float]:
    """Train a cell and measure it on the test crops."""
    tree = tree_of(dict(cell.settings), cell.draw)
    with tempfile.TemporaryDirectory(prefix="stssl-") as folder:
        trained = stssl_cells.train_cell(tree, Path(folder) / "run")
    given = {key: value for key, value in tree["data"].items() if key != "name"}
    found = evaluate(trained.model, load_dataset("tiles", "test", **given)).to_dict()
    kept = trained.objective.told()
    return {name: float(found[name]) for name in MEASURES} | kept | {"steps": float(trained.steps)}


def main() -> None:
    """Train, measure and write the tables."""
    options = arguments(__doc__.splitlines()[0], extend)
    settle(options)
    outcome = run_cells(
        cells_of(options),
        work,
        options.cells,
        workers=options.workers,
        seconds=options.seconds,
        tables_only=options.tables_only,
    )
    tables = [measure_table(outcome, name, title=title) for name, title in MEASURES.items()]
    pairs, data = difference_table(outcome, "macro_ap", other=FLOOR)
    text = PAGE.format(
        tables="\n\n".join(tables),
        kept=measure_table(outcome, "kept", title="pseudo-labels that count, %"),
        pairs=pairs,
        missing=missing_list(outcome),
    )
    body = {**numbers(outcome), "differences": data}
    write_report("stssl_korea", "Korea: label sets from 20 crops", text, body, options)


def extend(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    add_options(parser, "stssl_korea")
    parser.add_argument("--root", type=Path, default=ROOT / "../shared/data/korea_landcover")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))


PAGE = """\
Per cent on test crops of ground that no other part shows, mean ± standard deviation over draws of
20 labelled crops (every class in two at least), the number of draws in brackets. A small
convolutional network from chance, 10 labelled and 40 unlabelled crops a step, 480 steps, averaged
weights, the last step. Methods have their published settings for label sets.

{tables}

## Against labels alone

Points of macro average precision, draw by draw, with the 95 % interval over draws.

{pairs}

Such intervals of five draws missed the truth in about one of six simulated samples: one that just
leaves out 0 says little.

{kept}

## Not run

{missing}
"""


if __name__ == "__main__":
    main()
