"""What five supervisions, SigLIP, data and towers are worth between pictures and places.

    python benchmarks/clip_family.py [--cells FOLDER] [--seconds 3600] [--draws 3]

The questions of Cui et al. 2022 (arXiv 2203.05796) on a part of EuroSAT, small enough for one core.
Every cell is a file, so a killed run goes on. A draw is a seed of weights, batches and wrong pairs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import clip_findings as named
import clip_tables
from clip_runs import IMAGES, PART, SUPERVISED, work
from report import arguments, write_report
from stssl_common import ROOT, Cell, Outcome, add_options, run_cells
from stssl_eurosat import settle
from stssl_tables import missing_list, numbers

FEW = {"token_dim": 64}
# The published heads of image views would cost more than the small towers themselves.
HEADS = {"head_hidden": 256, "head_dim": 128}
# Row to its objective and how often an image passes the image tower in a step.
PRESETS: dict[str, tuple[dict[str, Any], int]] = {
    "CLIP": ({"name": "clip"}, 1),
    "SLIP": ({"name": "slip", **HEADS}, 3),
    "FILIP": ({"name": "filip", **FEW}, 1),
    "DeCLIP": ({"name": "declip", **HEADS}, 2),
    "DeFILIP": ({"name": "defilip", **FEW, **HEADS}, 2),
    "SigLIP": ({"name": "siglip"}, 1),
}
BESIDE: dict[str, tuple[dict[str, Any], int]] = {
    named.CSP: ({"name": "csp_mc", "augmentation": "medium"}, 1),
    named.SIMCLR: ({"name": "simclr", "augmentation": "strong"}, 2),
    named.RANDOM: ({"name": "clip"}, 1),
    named.LABELS: ({"name": SUPERVISED, "sides": ["image"], "augmentation": "medium"}, 1),
}
WRONG = {"shuffled": 0.3}
ALIKE = {"near_duplicates": 0.7, "embedding": "pixels"}
# What is done to the pairs, and what part of the records that leaves, about; none is looked at less
# often for it.
QUALITY: dict[str, tuple[dict[str, Any], float]] = {
    named.SHUFFLED: (WRONG, 1.0),
    named.FILTERED: ({**WRONG, "disagreeing": 0.3}, 0.7),
    named.UNLIKE: (ALIKE, 0.835),
    named.FEWER: ({**ALIKE, "at_random": "as near_duplicates"}, 0.835),
}
# Layers of the towers where nothing else is said.
LAYERS = 2
# Passes of each training image through the image tower, whatever the objective does with it.
WHOLE = {"passes": 6, "batch_size": 128, "data": {"name": PART, "records": 6000}}
QUICK = {
    "passes": 2,
    "batch_size": 64,
    "data": {"name": "demo", "size": 300, "test_fraction": 0.2},
}
# Tried once on the validation blocks, by CLIP with the vision transformer.
RATES, SEARCHED, SEARCH_DRAW = (1e-3, 3e-3), "CLIP", 99


def cell_of(row: str, image: str, draw: int, objective: tuple[dict[str, Any], int],
            size: Mapping[str, Any], *, left: float = 1.0, **more: Any) -> Cell:  # fmt: skip
    """Describe a cell.

    Args:
        row: Row of the tables.
        image: Name of the image tower, the column.
        draw: Seed.
        objective: What is trained, and how often an image passes the image tower in a step.
        size: How long, and on what.
        left: Part of the training records that is left.
        **more: Other settings, as of ``tree_of``.

    Returns:
        The cell.
    """
    options, passes = objective
    epochs = max(1, round(size["passes"] / passes / left))
    settings = {
        "data": size["data"],
        "batch_size": size["batch_size"],
        "learning_rate": size["learning_rate"],
        "objective": options,
        "image": image,
        "location": 0 if options["name"] in ("simclr", SUPERVISED) else LAYERS,
        "text": 0,
        "epochs": epochs,
        "part": "test",
    }
    return Cell(row, image, draw, {**settings, **more})


def main_cells(size: Mapping[str, Any], draw: int, towers: tuple[str, ...]) -> list[Cell]:
    """List the cells of the first table, the presets before what stands beside them."""
    found = []
    for rows in (PRESETS, BESIDE):
        for image in towers:
            for row, objective in rows.items():
                more: dict[str, Any] = {}
                if row == named.RANDOM:
                    more["quality"] = {"shuffled": 1.0}
                if row == named.CSP:
                    # One of its parts sets two dropout masks of a place against each other.
                    more["dropout"] = 0.1
                found.append(cell_of(row, image, draw, objective, size, **more))
    # What fewer steps cost CLIP itself, beside objectives whose views take the passes.
    for row, share in ((named.HALF, 2), (named.THIRD, 3)):
        found.append(cell_of(row, "ViT", draw, (PRESETS["CLIP"][0], share), size))
    return found


def data_cells(
    size: Mapping[str, Any], draw: int, towers: tuple[str, ...], preset: str
) -> list[Cell]:
    """List the cells on what the pairs are worth."""
    found = []
    mark = f"{size['learning_rate']:g}-{size['passes']}-{size['data']['name']}"
    for image in towers:
        for name, (quality, left) in QUALITY.items():
            more: dict[str, Any] = {"quality": quality, "mark": mark, "left": left}
            if name == named.SHUFFLED:
                more["keeps"] = True
            if name == named.FILTERED:
                # The judge has seen the wrong pairs too: nobody tells which they are.
                judge = round(size["passes"] / PRESETS[preset][1])
                more |= {"filter": True, "judge_epochs": judge}
            row = f"{preset}, {name}"
            found.append(cell_of(row, image, draw, PRESETS[preset], size, **more))
    return found


def tower_cells(size: Mapping[str, Any], draw: int) -> list[Cell]:
    """List the cells with words: two towers and three, captions without the class and with it."""
    found = []
    for name, captions in named.CAPTIONS.items():
        for title, place in ((named.WORDS, 0), (named.THREE, LAYERS)):
            more = {"captions": captions, "text": LAYERS, "location": place}
            row = f"{title}, {name}"
            found.append(cell_of(row, "ViT", draw, PRESETS["CLIP"], size, **more))
    return found


def depth_cells(size: Mapping[str, Any], draw: int) -> list[Cell]:
    """List the cells on how deep the second tower is; two layers stand in the other tables."""
    clip = PRESETS["CLIP"]
    found = []
    for layers in (1, 4):
        row = named.deep("location", layers)
        found.append(cell_of(row, "ViT", draw, clip, size, location=layers))
    for layers in (1, 4):
        row = named.deep("text", layers)
        more = {"captions": named.CAPTIONS[named.WITH_CLASS], "location": 0}
        found.append(cell_of(row, "ViT", draw, clip, size, text=layers, **more))
    return found


def cells_of(options: argparse.Namespace, rate: float) -> list[Cell]:
    """List the cells in the order in which they are run, those that matter most first."""
    size = {**(QUICK if options.quick else WHOLE), "learning_rate": rate}
    if options.quick:
        chosen = ("FILIP", "DeFILIP", named.SIMCLR)
        cells = main_cells(size, 0, ("ViT",)) + data_cells(size, 0, ("ViT",), "CLIP")[1:2]
        cells += tower_cells(size, 0)[-1:]
        return [cell for cell in cells if cell.row in chosen or cell.row not in (*PRESETS, *BESIDE)]
    towers = tuple(IMAGES)
    found: list[Cell] = []
    for draw in range(options.draws):
        found += main_cells(size, draw, towers)
        found += data_cells(size, draw, towers, "CLIP")
        found += tower_cells(size, draw)
        found += depth_cells(size, draw) if draw < 2 else []
    for draw in range(options.draws):
        found += data_cells(size, draw, towers, "DeFILIP")
    return found


def run(cells: list[Cell], options: argparse.Namespace) -> Outcome:
    """Run cells as long as there is time; one at a time, in the order given."""
    if options.workers > 1:
        left = None if options.seconds is None else max(0.0, options.until - time.monotonic())
        return run_cells(
            cells, work, options.cells, workers=options.workers, seconds=left,
            tables_only=options.tables_only,
        )  # fmt: skip
    outcome = Outcome(tuple(cells))
    for cell in cells:
        left = None if options.seconds is None else max(0.0, options.until - time.monotonic())
        one = run_cells(
            [cell], work, options.cells, seconds=left, tables_only=options.tables_only
        )  # fmt: skip
        outcome.found |= one.found
        outcome.failed |= one.failed
    return outcome


def choose_rate(options: argparse.Namespace) -> tuple[float, Outcome]:
    """Choose the learning rate of all cells by what CLIP finds in the validation blocks."""
    size = QUICK if options.quick else WHOLE
    cells = []
    for rate in RATES[1:2] if options.quick else RATES:
        tried = {**size, "learning_rate": rate}
        made = cell_of(SEARCHED, "ViT", SEARCH_DRAW, PRESETS[SEARCHED], tried, part="val")
        cells.append(Cell(made.row, f"{rate:g}", made.draw, made.settings))
    if options.quick:
        return RATES[1], Outcome(())
    outcome = run(cells, options)
    reached = {
        float(column): told["recall_at_100"] + told["back_recall_at_100"]
        for (_, column, _), told in outcome.found.items()
    }
    return max(reached, key=lambda rate: reached[rate], default=RATES[1]), outcome


def extend(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    add_options(parser, "clip_family")
    parser.set_defaults(draws=3)
    parser.add_argument("--root", type=Path, default=ROOT / "../shared/data/eurosat")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))


def main() -> None:
    """Train, measure and write the tables."""
    options = arguments(__doc__.splitlines()[0], extend)
    settle(options)
    rate, searched = choose_rate(options)
    outcome = run(cells_of(options, rate), options)
    text, data = clip_tables.page(outcome, searched, tuple(RATES), rate)
    text += f"\n\n## Not run\n\n{missing_list(outcome)}"
    record = {**numbers(outcome), **data, "learning_rate": rate}
    write_report(
        "clip_family", "The CLIP family between pictures and places", text, record, options
    )


if __name__ == "__main__":
    main()
