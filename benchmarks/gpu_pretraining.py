"""Seconds of a pre-training epoch on a GPU: the loop of `csp train`, and features that stay there.

Pairs are as many as iNaturalist 2018 has to learn from, and are invented. Model, objective, rate
and optimiser are those of the preset of the paper.
"""

from __future__ import annotations

import json
import math
import random
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from gpu_cells import ROOT, Measure, Setting, run_cells, seconds_of
from pretraining_speed import BATCH, FEATURES, PAIRS_OF_INAT2018
from torch import Tensor

from csp_core import (
    DualEncoder,
    load_config,
    load_dataset,
    make_image_encoder,
    make_location_encoder,
    make_objective,
    train,
)
from csp_core.config import RunConfig
from csp_core.data.features import FeatureDataset
from csp_core.data.sets.inat2018 import LAYOUT
from csp_core.objectives import BatchRandom

PRESET = ROOT / "configs" / "csp-inat2018-paper.yaml"
LARGE, EPOCHS = 4096, 5
SPECIES = 100
CHUNK = 32_768


def write_pairs(root: Path, pairs: int, features: int, device: str) -> None:
    """Invent pairs in the published form: annotations, places and a file of features.

    Args:
        root: Folder above that of the data set.
        pairs: How many.
        features: Numbers an image, in half precision.
        device: Where the numbers are drawn.
    """
    folder, chance = root / LAYOUT.folder, random.Random(0)
    path = folder / LAYOUT.features["pretrain"].format(part="train")
    path.parent.mkdir(parents=True, exist_ok=True)
    places = [
        {
            "id": number,
            "lon": chance.uniform(-180, 180),
            "lat": math.degrees(math.asin(chance.uniform(-1, 1))),
            "user_id": number,
            "date_c": None,
        }
        for number in range(pairs)
    ]
    labels = [{"image_id": n, "category_id": n % SPECIES} for n in range(pairs)]
    annotations = {"images": [{"id": n} for n in range(pairs)], "annotations": labels}
    classes = [{"id": n, "name": f"Species {n}"} for n in range(SPECIES)]
    for name, value in (
        (LAYOUT.annotations, annotations), (LAYOUT.places, places), (LAYOUT.classes, classes)
    ):  # fmt: skip
        (folder / name.format(part="train")).write_text(json.dumps(value), encoding="utf-8")
    array = np.lib.format.open_memmap(path, "w+", np.float16, (pairs, features))
    generator = torch.Generator(device).manual_seed(0)
    for start in range(0, pairs, CHUNK):
        rows = min(CHUNK, pairs - start)
        drawn = torch.rand(rows, features, generator=generator, device=device)
        array[start : start + rows] = drawn.half().cpu().numpy()
    array.flush()


class Data:
    """The pairs, written and read once for all cells."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.root = setting, setting.folder / "pairs"
        self.batch, self.large = (64, 128) if setting.quick else (BATCH, LARGE)
        self.pairs = 512 if setting.quick else PAIRS_OF_INAT2018
        self.features = 64 if setting.quick else FEATURES

    @cached_property
    def dataset(self) -> FeatureDataset:
        """The pairs as `csp train` loads them."""
        write_pairs(self.root, self.pairs, self.features, self.setting.device)
        found = load_dataset("inat2018", "train", root=self.root, with_user=True, val_fraction=0.0)
        assert isinstance(found, FeatureDataset)
        return found

    @cached_property
    def resident(self) -> Tensor:
        """All features on the device, in half precision."""
        rows = self.dataset.rows.numpy()
        return torch.from_numpy(np.asarray(self.dataset.files[0])[rows]).to(self.setting.device)

    def config(self, **overrides: Any) -> RunConfig:
        """Give the preset, for these pairs on this device."""
        given = {
            "data.root": self.root,
            "model.image.dim": self.features,
            "training.device": self.setting.device,
            "training.batch_size": self.batch,
            "training.epochs": 2,
            **overrides,
        }
        return load_config(PRESET, [f"{key}={value}" for key, value in given.items()])


def run_of_csp_train(data: Data, **overrides: Any) -> dict[str, Any]:
    """Time the epochs of a run as `csp train` makes it, features read from the file.

    The first epoch allocates, the second begins with writing a checkpoint; the quicker one counts.
    """
    _ = data.dataset
    config = data.config(**overrides)
    folder = data.setting.folder / f"run-{config.training.precision}"
    history = train(config, run_dir=folder).history
    ends = [0.0, *(row["seconds"] for row in history)]
    epochs = [after - before for before, after in pairwise(ends)]
    losses = [row["loss"] for row in history]
    return {"seconds": min(epochs), "epochs": epochs, "losses": losses, "batch": data.batch}


class Resident:
    """The steps of a run with all features on the device, which costs 1.8 GB of its memory.

    Args:
        data: The pairs.
        batch: Pairs a step.
        replay: Record a step once as a graph of the device and replay it; without a GPU, which
            alone has such graphs, steps are taken one by one.
    """

    def __init__(self, data: Data, batch: int, *, replay: bool) -> None:
        self.data, self.device = data, torch.device(data.setting.device)
        self.replay = replay and self.device.type == "cuda"
        config = data.config()
        settings, options = config.model, config.training
        assert settings.image is not None
        model = DualEncoder(
            make_image_encoder(**settings.image.model_dump()),
            make_location_encoder(dim=settings.dim, **settings.location.model_dump()),
            dim=settings.dim,
        )
        self.objective = make_objective(config.objective.name, model, **config.objective.options)
        self.objective.fit(data.dataset)
        self.objective.to(self.device).train()
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        for group in self.optimizer.param_groups:
            group["capturable"] = self.replay
        self.draws = torch.Generator().manual_seed(0)
        self.order = torch.Generator(self.device).manual_seed(0)
        self.features = data.resident
        self.drawn = {key: value.to(self.device) for key, value in self.draw().items()}
        self.rows = torch.arange(batch, device=self.device)
        self.loss = torch.zeros((), device=self.device)
        self.graph = self.record() if self.replay else None

    def draw(self) -> dict[str, Tensor]:
        """Draw what chance decides of a whole epoch, on the CPU as `csp train` does for a batch."""
        places = self.data.dataset.lonlat
        random = BatchRandom(self.draws, 0, len(places), len(places))
        drawn: dict[str, Tensor] = dict(self.objective.draw({"lonlat": places}, random))  # type: ignore[arg-type]
        return drawn

    def step(self) -> None:
        """Take the step of the pairs in ``rows``."""
        batch: Any = {key: value[self.rows] for key, value in self.drawn.items()}
        batch["image"] = self.features[self.rows]
        with torch.autocast(self.device.type, torch.bfloat16):
            loss = self.objective(batch)["loss"]
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.loss += loss.detach()

    def record(self) -> torch.cuda.CUDAGraph:
        """Record a step as a graph, after some on a stream of their own."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.step()
        return graph

    def epoch(self) -> None:
        """Take the steps of an epoch: an order drawn anew, random places drawn anew."""
        for key, value in self.draw().items():
            self.drawn[key].copy_(value)
        self.loss.zero_()
        order = torch.randperm(len(self.features), device=self.device, generator=self.order)
        for number in range(self.steps):
            size = len(self.rows)
            self.rows.copy_(order[number * size : (number + 1) * size])
            if self.graph is None:
                self.step()
            else:
                self.graph.replay()

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return len(self.features) // len(self.rows)


def resident(data: Data, batch: int, *, replay: bool) -> dict[str, Any]:
    """Time epochs with all features on the device; the first is not counted."""
    steps = Resident(data, batch, replay=replay)
    losses, epochs = [], []
    for _ in range(2 if data.setting.quick else EPOCHS):
        epochs.append(seconds_of(steps.epoch, data.setting.device))
        losses.append(float(steps.loss) / steps.steps)
    if not all(map(math.isfinite, losses)):
        raise ArithmeticError(f"the loss became {losses}")
    return {"seconds": median(epochs[1:]), "epochs": epochs, "losses": losses, "batch": batch}


def cells(setting: Setting) -> dict[str, Measure]:
    """Give the cells: how the steps are taken, to what times an epoch."""
    data = Data(setting)
    found: dict[str, Measure] = {}
    for size in (data.batch, data.large):
        for replay, words in ((False, ""), (True, ", replayed")):
            name = f"resident, batch {size:,}, bf16{words}"
            found[name] = partial(resident, data, size, replay=replay)
    run = partial(run_of_csp_train, data)
    found[f"csp train, batch {data.batch:,}"] = run
    found[f"csp train, batch {data.batch:,}, bf16"] = partial(run, **{"training.precision": "bf16"})
    return found


if __name__ == "__main__":
    run_cells("pretraining", cells)
