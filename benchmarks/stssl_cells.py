"""One cell of the tables on few labels: a run of the real training loop, and what it answers."""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from csp_core.config import parse_config
from csp_core.data import DATASETS
from csp_core.data.records import RecordDataset
from csp_core.data.sets.eurosat import load_eurosat
from csp_core.data.sets.facts import FACTS
from csp_core.model import DualEncoder
from csp_core.objectives.semisup import SemiSupervised
from csp_core.runs import RunDir
from csp_core.training.average import copy_layers
from csp_core.training.loop import Stage
from csp_core.training.plan import TrainResult, plan_stages
from csp_core.training.run import make_accelerator

CHUNK, JUDGED = 512, 4000
PERMUTED = "eurosat_permuted"


@dataclass(frozen=True)
class Trained:
    """What a run leaves.

    Args:
        model: The model that is kept, on the CPU.
        objective: The objective, whose teacher has its averaged weights, on the CPU.
        seconds: Of the loop's steps, epochs' ends included.
        steps: How many.
        device: Where it computed.
    """

    model: DualEncoder
    objective: SemiSupervised
    seconds: float
    steps: int
    device: str


@functools.wraps(load_eurosat)
def load_permuted(split: str = "train", **options: Any) -> RecordDataset:
    """Load EuroSAT with the places of the training images dealt out among them anew."""
    data = load_eurosat(split, **options)
    if split != "train":
        return data
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(1))
    return replace(data, lonlat=data.lonlat[order])


def register() -> None:
    """Let configurations name the data whose places are permuted."""
    DATASETS[PERMUTED] = load_permuted
    FACTS[PERMUTED] = FACTS["eurosat"]


def run_stage(tree: Mapping[str, Any], folder: Path) -> tuple[Stage, TrainResult, float]:
    """Train as ``csp train`` does, and keep hold of what it worked on.

    Args:
        tree: The configuration, with absolute paths.
        folder: The run's folder.

    Returns:
        The last stage, its result, and the seconds that it took.
    """
    config = parse_config(copy.deepcopy(dict(tree)))
    torch.set_num_threads(config.training.threads or 1)
    run, accelerator = RunDir(folder), make_accelerator(config)
    run.create()
    stage = Stage(plan_stages(config, run)[-1], run, accelerator)
    began = time.monotonic()
    result = stage.run()
    return stage, result, time.monotonic() - began


def train_cell(tree: Mapping[str, Any], folder: Path) -> Trained:
    """Train as ``csp train`` does, and keep hold of the objective.

    Args:
        tree: The configuration, with absolute paths.
        folder: The run's folder.

    Returns:
        What it leaves.
    """
    stage, result, seconds = run_stage(tree, folder)
    objective = stage.parts.objective
    assert isinstance(objective, SemiSupervised)
    if stage.average is not None:
        copy_layers(objective.layers(), stage.average.layers)
    return Trained(
        result.model.cpu().eval(),
        objective.cpu().eval(),
        seconds,
        stage.progress.step,
        str(stage.accelerator.device.type),
    )


@torch.no_grad()
def right(answer: Callable[[Tensor, Tensor], Tensor], data: RecordDataset) -> float:
    """Give the share of records whose class is first.

    Args:
        answer: Images and places → logits.
        data: Records, all labelled.

    Returns:
        Top-1 accuracy.
    """
    hits = 0
    for rows in torch.arange(len(data)).split(CHUNK):
        batch = data.__getitems__(rows.tolist())
        logits = answer(batch["image"], batch["lonlat"])
        hits += int((logits.argmax(dim=1) == batch["label"]).sum())
    return hits / len(data)


def by_image(trained: Trained) -> Callable[[Tensor, Tensor], Tensor]:
    """Ask the model that is kept: it is given no place."""
    return lambda image, lonlat: trained.model.image_logits(image)


def by_teacher(trained: Trained) -> Callable[[Tensor, Tensor], Tensor]:
    """Ask the teacher, which is given the place too."""
    teacher = trained.objective.teacher
    assert teacher is not None
    return lambda image, lonlat: teacher(image, lonlat)[0]


@torch.no_grad()
def judge(trained: Trained, truth: RecordDataset) -> dict[str, float]:
    """Measure the pseudo-labels at the end of training, on images as they are.

    Args:
        trained: The run.
        truth: Its training records, all labelled.

    Returns:
        ``kept``, the share that counts, and ``kept_right``, how many of these are right.
    """
    policy = trained.objective.policy
    if not policy.unlabelled:
        return {}
    ask = by_image(trained) if trained.objective.teacher is None else by_teacher(trained)
    rows = torch.linspace(0, len(truth) - 1, min(JUDGED, len(truth))).long().unique()
    kept, good = 0.0, 0.0
    for some in rows.split(CHUNK):
        batch = truth.__getitems__(some.tolist())
        judged = policy.judge(ask(batch["image"], batch["lonlat"]), policy.current())
        guess = judged.target if judged.target.ndim == 1 else judged.target.argmax(dim=1)
        kept += float(judged.weight.sum())
        good += float((judged.weight * (guess == batch["label"])).sum())
    return {"kept": kept / len(rows), **({"kept_right": good / kept} if kept else {})}
