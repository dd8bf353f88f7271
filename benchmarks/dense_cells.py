"""Cells of the tables of maps from few labelled blocks: starts without a mask, and fine-tuning.

A start is trained once, in the folder of the cells, and named by what decides it.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from dense_blocks import by_block, mean_iou
from report import ended
from stssl_common import ROOT, Cell

from csp_core import load_dataset, train
from csp_core.config import parse_config
from csp_core.data.streams import OneStream, Stream
from csp_core.evaluation.segmentation import confusions
from csp_core.files import read_json, write_json
from csp_core.model import DualEncoder
from csp_core.objectives import OBJECTIVES
from csp_core.objectives.supervised import Segmentation
from csp_core.training import TrainResult

CONFIGS = ROOT / "configs" / "dense"
FOLDERS = {"eurosat": "eurosat", "tiles": "korea_landcover"}
BACKBONE = {"name": "small_convnet", "width": 16}
LARGER = {"name": "timm", "model": "tf_efficientnet_lite0"}
WHEEL = "wheel"
BATCH = 16
# Steps between two looks at the validation ground.
LOOK = 50
# Where the learning rate of a start is chosen, once: blocks and seed.
CHOSEN_ON = (16, 0)
# Learning rate of a classifier that learns before the rest.
CLASSIFIER_RATE = 3e-2
MIOU, BARE = "miou", "without background"
BACKGROUND = "background"


class Again(Segmentation):
    """Segmentation in which few pictures come again until it is time to look at the validation."""

    def stream(self, dataset: Any, batch_size: int) -> Stream:
        """Give batches of an epoch, of which small sets make several passes."""
        rows = dataset.labelled().nonzero().flatten()
        wanted = LOOK * min(batch_size, len(rows))
        times = -(-wanted // len(rows))
        return OneStream(dataset, batch_size, rows=rows.repeat(times)[: max(wanted, len(rows))])


OBJECTIVES["segmentation_again"] = Again


def cells_folder() -> Path:
    """Give the folder of the cells."""
    return Path(os.environ["DENSE_CELLS"])


def data_folder(name: str) -> str:
    """Give the folder of a data set."""
    return str(Path(os.environ["DENSE_ROOT"]) / FOLDERS[name])


def start_folder(tree: Mapping[str, Any]) -> Path:
    """Give the folder of a start, which what decides it names."""
    mark = hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:10]
    return cells_folder() / "starts" / f"{tree['name']}-{mark}"


def pretrain(tree: Mapping[str, Any]) -> Path:
    """Train a start where it is not there, and keep how long that took.

    Args:
        tree: Its configuration without the folder of its data; ``after`` is that of a start that it
            goes on from.

    Returns:
        Its folder.
    """
    folder = start_folder(tree)
    if folder.is_dir():
        return folder
    given = copy.deepcopy(dict(tree))
    before = given.pop("after", None)
    if before is not None:
        given["model"]["init_from"] = str(pretrain(before))
    given["data"]["root"] = data_folder(given["data"]["name"])
    torch.set_num_threads(1)
    # What was killed in between is begun anew, so that its time is that of all of it.
    begun = folder.with_suffix(".part")
    shutil.rmtree(begun, ignore_errors=True)
    began = time.monotonic()
    run(given, begun)
    write_json(begun / "spent.json", {"seconds": time.monotonic() - began})
    begun.rename(folder)
    return folder


def run(tree: Mapping[str, Any], folder: Path) -> TrainResult:
    """Train to the end, and end the benchmark where the run was asked to stop."""
    return ended(train(parse_config(dict(tree)), run_dir=folder))


def seconds_of(tree: Mapping[str, Any]) -> float:
    """Give how long a start took, with what it goes on from; 0 where it is not there."""
    file = start_folder(tree) / "spent.json"
    own = float(read_json(file)["seconds"]) if file.is_file() else 0.0
    return own + (seconds_of(tree["after"]) if own and "after" in tree else 0.0)


def image_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give the image encoder of a cell, and what it starts from."""
    image: dict[str, Any] = {"name": "unet", "dim": 32, "width": 16, "backbone": BACKBONE}
    start = settings["start"]
    if settings["network"] == "larger":
        image["backbone"] = LARGER
    if start is not None:
        image["weights"] = start if start == WHEEL else str(pretrain(start) / "model")
    return image


def data_of(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Give the data section: blocks are labelled as a whole, every class in some of them."""
    data = dict(yaml.safe_load((CONFIGS / "korea.yaml").read_text())["data"])
    data |= {"root": data_folder("tiles"), "unlabelled": False}
    return {**data, "labels": settings["blocks"], "label_seed": seed}


def load(settings: Mapping[str, Any], seed: int, part: str) -> Any:
    """Load a part of the Korean ground."""
    given = data_of(settings, seed)
    return load_dataset(given.pop("name"), part, **given)


def tree_of(settings: Mapping[str, Any], seed: int, steps: int, rate: float) -> dict[str, Any]:
    """Write out a configuration of fine-tuning."""
    size = len(load(settings, seed, "train"))
    return {
        "name": "cell",
        "seed": seed,
        "data": data_of(settings, seed),
        "model": {"location": None, "dim": 32, "image": image_of(settings)},
        "objective": {"name": "segmentation_again", "augmentation": "strong", "dice_weight": 1.0},
        "training": {
            "epochs": max(1, round(steps / max(LOOK, size // BATCH))),
            "batch_size": min(BATCH, size), "learning_rate": rate, "weight_decay": 0.01,
            "warmup": 0.05, "keep": "best", "monitor": "miou", "device": "cpu", "threads": 1,
        },
    }  # fmt: skip


def fit(settings: Mapping[str, Any], seed: int, rate: float) -> dict[str, Any]:
    """Fine-tune once; the epoch that is best in validation is kept.

    Returns:
        The rate, the model, what it ``reached`` in validation, and whether the ``last`` look was
        the best.
    """
    with tempfile.TemporaryDirectory(prefix="dense-") as home:
        folder, tree = Path(home), tree_of(settings, seed, settings["steps"], rate)
        if "first" in settings:
            before = tree_of(settings, seed, settings["first"], CLASSIFIER_RATE)
            before["objective"]["mode"] = "linear"
            run(before, folder / "classifier")
            tree["model"] |= {"image": image_of({**settings, "start": None}),
                              "init_from": str(folder / "classifier")}  # fmt: skip
        result = run(tree, folder / "run")
    seen = [float(line["val_miou"]) for line in result.history]
    model = result.model.eval()
    return {"rate": rate, "model": model, "reached": max(seen), "last": seen[-1] == max(seen)}


def best_fit(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Fine-tune with the start's learning rate, which is chosen by validation where it is not yet.

    Args:
        settings: Of the cell: ``start``, ``network``, ``blocks``, ``steps``, ``rates``, and
            ``first`` where the classifier learns alone for so many steps before.
        seed: Of labels and training.

    Returns:
        As ``fit``.
    """
    rates = settings["rates"]
    told = json.dumps([settings[key] for key in ("start", "network", "steps", "rates")])
    file = cells_folder() / "rates" / f"{hashlib.sha256(told.encode()).hexdigest()[:10]}.json"
    blocks, first = CHOSEN_ON
    if len(rates) > 1 and not file.is_file():
        chosen = {**settings, "blocks": blocks}
        tried = [fit(chosen, first, rate) for rate in rates]
        best = max(tried, key=lambda one: one["reached"])
        reached = {str(one["rate"]): one["reached"] for one in tried}
        write_json(file, {"rate": best["rate"], "reached": reached})
        if (settings["blocks"], seed) == CHOSEN_ON:
            return best
    rate = rates[0] if len(rates) == 1 else float(read_json(file)["rate"])
    return fit(settings, seed, rate)


def count(model: DualEncoder, settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Count the pixels of the test's ground by block, each pixel of the ground once."""
    test = load(settings, seed, "test")
    cells = test.store.cells[test.rows].numpy()
    blocks, counts = by_block(confusions(model, test).double().numpy(), cells)
    names = list(model.classes.names)
    return {"names": names, "blocks": blocks.tolist(), "counts": counts.tolist()}


def work(cell: Cell) -> dict[str, float]:
    """Fine-tune a cell, keep the pixels that it counts, and give its measures."""
    began = time.monotonic()
    found = best_fit(cell.settings, cell.draw)
    spent = time.monotonic() - began
    told = count(found["model"], cell.settings, cell.draw)
    write_json(cell_counts() / cell.file, told)
    counts, names = np.asarray(told["counts"]).sum(axis=0), told["names"]
    each = {name: float(mean_iou(counts, [at])) for at, name in enumerate(names)}
    whole = {MIOU: float(mean_iou(counts, range(len(names)))),
             BARE: float(mean_iou(counts, bare_of(names)))}  # fmt: skip
    return {**whole, **each, "val": found["reached"], "last_is_best": float(found["last"]),
            "rate": found["rate"], "fit_seconds": spent}  # fmt: skip


def cell_counts() -> Path:
    """Give the folder of what the cells have counted."""
    return cells_folder() / "blocks"


def bare_of(names: Iterable[str]) -> list[int]:
    """Give the numbers of all classes but the background."""
    return [number for number, name in enumerate(names) if name != BACKGROUND]
