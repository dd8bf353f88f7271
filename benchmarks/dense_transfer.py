"""What pre-training is worth for maps of land use from few labelled blocks of ground.

    python benchmarks/dense_transfer.py [--seconds 3600] [--rows 6] [--columns 2] [--draws 2]

Starts are trained once each, without a mask. Then each cell is a file; a killed run goes on.
"""

from __future__ import annotations

import argparse
import copy
import os
from pathlib import Path
from time import monotonic
from typing import Any

import yaml
from dense_blocks import Gain, gain, gain_table, pairs_of
from dense_cells import (
    BACKBONE,
    BARE,
    BATCH,
    CLASSIFIER_RATE,
    CONFIGS,
    LOOK,
    MIOU,
    WHEEL,
    bare_of,
    cell_counts,
    pretrain,
    seconds_of,
    work,
)
from report import arguments, write_report
from stssl_common import ROOT, Cell, Outcome, add_options, run_cells
from stssl_tables import measure_table, missing_list, numbers

from csp_core import make_image_encoder
from csp_core.files import read_json

RANDOM, SIMCLR, CSP = "chance", "SimCLR on EuroSAT", "CSP on EuroSAT"
EUROPE, ASIA, BOTH = "contrast, Europe", "contrast, Asia", "contrast, Europe then Asia"
IMAGENET, TWIN = "ImageNet, larger network", "chance, larger network"
CONTRAST = (ASIA, EUROPE, BOTH)
# The classifier learns first, then all; chance has as many steps.
LONGER = "chance, 250 steps"
FIRST = {f"{row}, classifier first": row for row in CONTRAST}
ROWS = (LONGER, *FIRST, RANDOM, *CONTRAST, SIMCLR, CSP, IMAGENET, TWIN)
# The row that each is compared with.
PAIRS = (
    *((row, LONGER) for row in FIRST),
    (LONGER, RANDOM),
    *((row, RANDOM) for row in (*CONTRAST, SIMCLR, CSP)),
    (IMAGENET, TWIN),
    (BOTH, EUROPE),
    (BOTH, ASIA),
)
CLASSES = ("background", "building", "field", "forest", "road")
# Labelled blocks of 128 pixels; None for all. What tells most comes first.
BLOCKS: dict[str, int | None] = {
    "4 blocks": 4,
    "16 blocks": 16,
    "64 blocks": 64,
    "all blocks": None,
}
STEPS, CLASSIFIER_STEPS = 150, 100
RATES = {"small": (2e-3, 5e-3), "larger": (5e-4, 2e-3), "first": (1e-3, 3e-3)}
# Passes through EuroSAT and through the ground of Korea, and the part of EuroSAT that is used.
PASSES, PART = (1, 5), 0.5
AIM = 5.0


def start_trees(
    passes: tuple[int, int], part: float, *, quick: bool = False
) -> dict[str, dict[str, Any]]:
    """Give the configurations of what is trained without masks, by row."""
    europe = yaml.safe_load((CONFIGS / "eurosat_contrast_cpu.yaml").read_text())
    korea = yaml.safe_load((CONFIGS / "korea_contrast_cpu.yaml").read_text())
    europe["data"]["label_fraction"] = part
    if quick:
        korea["data"]["label_fraction"] = part
    pooled = {"location": None, "dim": 96, "image": {**BACKBONE, "dim": None}}
    slower = {**europe, "training": {**europe["training"], "learning_rate": 1e-3}}
    simclr = {**slower, "model": pooled, "objective": {"name": "simclr", "temperature": 0.2}}
    place = {"name": "sphere_c_plus", "num_scales": 32, "min_radius": 0.02}
    csp = {
        **slower,
        "model": {**pooled, "location": place, "dim": 96},
        "objective": {"name": "csp_mc", "random_weight": 1.0, "deep_head": True},
    }
    found = {EUROPE: europe, ASIA: korea, BOTH: korea, SIMCLR: simclr, CSP: csp}
    for name, tree in found.items():
        tree = found[name] = copy.deepcopy(tree)
        tree.pop("card", None)
        tree["data"].pop("root")
        tree["name"] = name.replace(",", "").replace(" ", "-").lower()
        tree["training"] |= {"epochs": passes[name in (ASIA, BOTH)], "device": "cpu"}
    found[BOTH]["after"] = found[EUROPE]
    return found


def trees_of(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Give the starts of a table, small ones of the quick form."""
    if options.quick:
        return start_trees((1, 1), 0.1, quick=True)
    return start_trees(PASSES, PART)


def settings_of(
    options: argparse.Namespace, row: str, blocks: int | None, start: Any
) -> dict[str, Any]:
    """Give what decides a cell."""
    network = "larger" if row in (IMAGENET, TWIN) else "small"
    rates = RATES["first" if row in FIRST else network]
    rates, steps = (rates[:1], LOOK) if options.quick else (rates, STEPS)
    told = {"start": start, "network": network, "blocks": blocks, "steps": steps, "rates": rates}
    before = LOOK if options.quick else CLASSIFIER_STEPS
    if row == LONGER:
        return {**told, "steps": steps + before}
    return {**told, "first": before} if row in FIRST else told


def cells_of(options: argparse.Namespace) -> list[Cell]:
    """List the cells, those that tell most first."""
    rows = tuple(ROWS[:2]) if options.quick else ROWS
    columns = {"4 blocks": 4} if options.quick else BLOCKS
    trees = trees_of(options)
    starts: dict[str, Any] = {
        **trees,
        IMAGENET: WHEEL,
        **{f: trees[row] for f, row in FIRST.items()},
    }
    return [
        Cell(row, column, seed, settings_of(options, row, blocks, starts.get(row)))
        for seed in range(1 if options.quick else 3)
        for column, blocks in columns.items()
        for row in rows
    ]


PAGE = """\
Mean IoU of building, road, field and forest (background left out), in per cent, on ground that no
start and no cell has seen: mean ± standard deviation over seeds, their number in brackets. Each
pixel of the ground counts once; one that was seen on two days counts half on each. 64-pixel crops,
batches of {batch}, {steps} steps with a look at the validation ground every {look}, of which the
best is kept. It was the last look in {last} cells, which so may have gained from more steps. Where
the classifier learns first, it learns alone for {first} steps before, at {rate:g}; *{longer}* is
the same from chance in as many steps together, all at once. The learning rate of each start, of
two, is chosen once, in validation, with 16 blocks and the first seed. A block of ground is 128
pixels a side. The network of the first rows has {weights:,} weights; the larger one is a U-Net on
EfficientNet-Lite0.

{bare}

## With background

{whole}

## What was asked

{aims}

## Gains

Points of mean IoU without background, with 95 % intervals that resample the {blocks} blocks of the
test's ground and the seeds together, the same for both rows; in brackets, how many seeds both have.
With one seed the interval is of ground alone, and of two or three it says little of seeds and is
rather too narrow. The mean weighs the numbers of blocks alike, however many seeds they have.

{gains}

The same with background:

{gains_whole}

## Time of the starts

By the clock, with one thread, and that of the start before where it goes on from one; where other
work is on the machine, that counts, too.

{spent}

## Not run

{missing}
"""


def aims(outcome: Outcome, gains: dict[str, Gain]) -> tuple[str, dict[str, Any]]:
    """Say of each aim whether it was met."""
    columns = list(dict.fromkeys(cell.column for cell in outcome.planned))
    parts = [
        pairs_of(outcome, cell_counts(), row, LONGER, column) for row in FIRST
        for column in columns
    ]  # fmt: skip
    parts = [part for part in parts if part]
    if not parts:
        return "Nothing was run.", {}
    mean = gain(parts, bare_of(CLASSES))
    asked = len(FIRST) * len(columns)
    part = "" if len(parts) == asked else ", of what was run"
    single = {row: {key: told for key, told in gains.items()
                    if key.startswith((f"{row} − {RANDOM},", f"{row} − {LONGER},"))
                    and not key.endswith(", all")} for row in ROWS}  # fmt: skip
    ours = {key: told for row in FIRST for key, told in single[row].items()}
    below = [key for key, told in ours.items() if told.high < 0]
    others = [key for told in single.values() for key, one in told.items()
              if one.high < 0 and key not in ours]  # fmt: skip
    scarce = {key: told for key, told in ours.items() if key.endswith(", 4 blocks")}
    pair = f"{BOTH}, classifier first − {LONGER}"
    both = gains.get(f"{pair}, all") or gains.get(f"{pair}, 4 blocks")
    reached = [key for key, told in scarce.items() if told.mean >= AIM]
    lines = [
        f"- The mean gain of contrast, classifier first, above 0: {mean} over {len(parts)} of"
        f" {asked} pairs of a start and a number of blocks; {verdict(mean.low > 0)}{part}.",
        "- No contrast below 0 beyond its interval: "
        + (f"missed by {'; '.join(below)}." if below else f"met{part}.")
        + (f" Of the other starts below it: {'; '.join(others)}." if others else ""),
        f"- With 4 blocks at least +{AIM:g} points: "
        + ("; ".join(f"{key.split(' − ')[0]} {told}" for key, told in scarce.items()) or "not run")
        + f". Reached by {len(reached)} of {len(scarce)}.",
        "- The gain of *Europe, then Asia* above 0: "
        + ("not run." if both is None else f"{both}; {verdict(both.low > 0)}{part}."),
    ]  # fmt: skip
    return "\n".join(lines), {"mean gain of contrast": mean.told()}


def verdict(met: bool) -> str:
    """Name what became of an aim."""
    return "met" if met else "missed"


def write(options: argparse.Namespace, outcome: Outcome) -> None:
    """Write the page and its numbers."""
    planned = {cell.row for cell in outcome.planned}
    pairs = [pair for pair in PAIRS if planned.issuperset(pair)]
    gains, found = gain_table(outcome, cell_counts(), bare_of(CLASSES), pairs)
    whole, more = gain_table(outcome, cell_counts(), range(len(CLASSES)), pairs)
    judged, mean = aims(outcome, found)
    took = {name: seconds_of(tree) / 60 for name, tree in trees_of(options).items()}
    spent = [f"- {name}: {minutes:.1f} minutes" for name, minutes in took.items()
             if minutes]  # fmt: skip
    text = PAGE.format(
        batch=BATCH, steps=LOOK if options.quick else STEPS, look=LOOK, weights=count_weights(),
        first=LOOK if options.quick else CLASSIFIER_STEPS, rate=CLASSIFIER_RATE, longer=LONGER,
        last=f"{sum(told['last_is_best'] for told in outcome.found.values()):.0f} of"
             f" {len(outcome.found)}",
        bare=measure_table(outcome, BARE, title="start"),
        whole=measure_table(outcome, MIOU, title="start"), aims=judged, gains=gains,
        gains_whole=whole, blocks=count_blocks(outcome), spent="\n".join(spent) or "None.",
        missing=missing_list(outcome),
    )  # fmt: skip
    told = {key: one.told() for key, one in found.items()}
    body = {**numbers(outcome), "gains": told, **mean,
            "gains_with_background": {key: one.told() for key, one in more.items()}}  # fmt: skip
    write_report("dense_transfer", "What pre-training is worth for maps", text, body, options)


def count_blocks(outcome: Outcome) -> int:
    """Count the blocks of the test's ground."""
    some = next((cell for cell in outcome.planned if cell.key in outcome.found), None)
    return 0 if some is None else len(read_json(cell_counts() / some.file)["blocks"])


def count_weights() -> int:
    """Count the weights of the network of most rows."""
    image = make_image_encoder("unet", 32, width=16, backbone=BACKBONE)
    return sum(weight.numel() for weight in image.parameters())


def extend(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    add_options(parser, "dense_transfer")
    parser.set_defaults(draws=3)
    parser.add_argument("--rows", type=int, default=len(ROWS), help="starts, the first ones")
    parser.add_argument("--columns", type=int, default=len(BLOCKS), help="numbers of blocks")
    parser.add_argument("--root", type=Path, default=ROOT / "../shared/data")


def main() -> None:
    """Train, measure and write the tables."""
    options = arguments(__doc__.splitlines()[0], extend)
    os.environ |= {"DENSE_ROOT": str(options.root.resolve()),
                   "DENSE_CELLS": str(options.cells.resolve())}  # fmt: skip
    cells = cells_of(options)
    rows, columns = ROWS[: options.rows], list(BLOCKS)[: options.columns]
    some = [cell for cell in cells if cell.row in rows and cell.column in columns]
    some = [cell for cell in some if cell.draw < options.draws]
    began = monotonic()
    if not options.tables_only:
        planned = {FIRST.get(cell.row, cell.row) for cell in some}
        for tree in [tree for row, tree in trees_of(options).items() if row in planned]:
            pretrain(tree)
    left = None if options.seconds is None else options.seconds - (monotonic() - began)
    run_cells(some, work, options.cells, workers=options.workers, seconds=left,
              tables_only=options.tables_only)  # fmt: skip
    # The page names what was left out, too.
    write(options, run_cells(cells, work, options.cells, tables_only=True))


if __name__ == "__main__":
    main()
