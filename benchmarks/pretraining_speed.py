"""Steps a second of CSP pre-training on precomputed features, beside the published way."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from encoder_speed import least_seconds, matrix_product
from report import arguments, markdown, write_report
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from csp_core.data.batch import collate
from csp_core.data.features import FeatureDataset, map_features
from csp_core.data.records import ClassTable
from csp_core.geo import sphere_points
from csp_core.image import make_image_encoder
from csp_core.location import make_location_encoder
from csp_core.location.multiscale import geometric_frequencies
from csp_core.model import DualEncoder
from csp_core.objectives import BatchRandom, make_objective
from csp_core.training.validate import to_device

BATCH, FEATURES, SCALES, HIDDEN, DIM = 1024, 2048, 32, 512, 256
PAIRS_OF_INAT2018 = 437_513
TARGET = 2.0
PUBLISHED = {
    "batch_temperature": 20.0,
    "random_temperature": 1.0,
    "dropout_temperature": 1.0,
    "learn_temperature": False,
    "symmetric": False,
    "compat": "reference",
}
# What is computed: name, options of our objective, weights of the published loss.
CASES = (
    ("MC-BLD", {}, (1.0, 1.0)),
    ("MC-BL", {"dropout_weight": 0.0}, (1.0, 0.0)),
    ("MC-B", {"dropout_weight": 0.0, "random_weight": 0.0}, (0.0, 0.0)),
)


def write_data(folder: Path, pairs: int) -> FeatureDataset:
    """Invent pairs, their features in a file on the disk."""
    chance = np.random.default_rng(0)
    path = folder / "features.npy"
    array = np.lib.format.open_memmap(path, "w+", np.float32, (pairs, FEATURES))
    for start in range(0, pairs, BATCH):
        array[start : start + BATCH] = chance.random((min(BATCH, pairs - start), FEATURES))
    array.flush()
    generator = torch.Generator().manual_seed(0)
    return FeatureDataset(
        lonlat=sphere_points(torch.rand(pairs, 2, generator=generator)),
        label=torch.zeros(pairs, dtype=torch.int64),
        classes=ClassTable(("a",)),
        files=(map_features(path),),
        rows=torch.arange(pairs),
    )


# Ours


class Ours:
    """The steps of a run with this package's objective, as ``csp train`` makes them."""

    def __init__(
        self, data: FeatureDataset, device: str = "cpu", *, half: bool = False, **options: Any
    ) -> None:
        torch.manual_seed(0)
        self.half = half
        network = {"name": "residual_mlp", "hidden_dim": HIDDEN, "final_activation": "leaky_relu"}
        location = make_location_encoder("grid", DIM, num_scales=SCALES, network=network)
        model = DualEncoder(make_image_encoder("features", FEATURES), location, dim=DIM)
        self.objective = make_objective("csp_mc", model, **options).to(device)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.0)
        self.data, self.device = data, torch.device(device)

    def steps(self) -> Iterator[None]:
        """Take a step each time one is asked for, epoch after epoch."""
        generator = torch.Generator().manual_seed(0)
        while True:
            order = torch.randperm(len(self.data), generator=generator)
            rows = [part.tolist() for part in order.split(BATCH) if len(part) == BATCH]
            for batch in DataLoader(self.data, batch_sampler=rows, collate_fn=collate):
                draws = BatchRandom(generator, 0, BATCH, BATCH)
                drawn = to_device(self.objective.draw(batch, draws), self.device)
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                    loss = self.objective(drawn)["loss"]
                loss.backward()
                self.optimizer.step()
                self.optimizer.zero_grad()
                yield


# The published way, written anew from its description: position encodings in NumPy and double
# precision for each batch, three passes whatever the weights, records read one by one.


class Records(Dataset[tuple[Any, ...]]):
    """Records one by one: features, place, class, user and date."""

    def __init__(self, data: FeatureDataset) -> None:
        self.features, self.places = data.files[0], data.lonlat.numpy()

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Return one record."""
        return np.array(self.features[index]), self.places[index], 0, 0, np.float32(0.5)


class PublishedEncoder(nn.Module):
    """Grid cells and one hidden layer, with activation and dropout on the output too."""

    def __init__(self) -> None:
        super().__init__()
        self.frequencies = geometric_frequencies(SCALES, 0.1, 360.0).numpy()
        self.hidden, self.output = nn.Linear(4 * SCALES, HIDDEN), nn.Linear(HIDDEN, DIM)
        self.norm, self.dropout, self.act = nn.LayerNorm(HIDDEN), nn.Dropout(), nn.LeakyReLU(0.2)

    def forward(self, lonlat: Tensor) -> Tensor:
        """Embed places ``(N, 2)``, encoded on the CPU."""
        places = lonlat.detach().cpu().numpy().astype(np.float64)
        angle = np.repeat(places[:, :, None, None], SCALES, axis=2)
        angle = np.repeat(angle, 2, axis=3) * self.frequencies[:, None]
        angle[..., 0], angle[..., 1] = np.sin(angle[..., 0]), np.cos(angle[..., 1])
        encoded = torch.FloatTensor(angle.reshape(len(places), -1)).to(lonlat.device)
        hidden = self.norm(self.dropout(self.act(self.hidden(encoded))))
        return self.dropout(self.act(self.output(hidden)))


class Published:
    """The steps of the published training of CSP-MC."""

    def __init__(
        self,
        data: FeatureDataset,
        device: str = "cpu",
        *,
        weights: tuple[float, float],
        one_by_one: bool,
    ) -> None:
        torch.manual_seed(0)
        self.encoder, self.head = PublishedEncoder().to(device), nn.Linear(FEATURES, DIM).to(device)
        parameters = [*self.encoder.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=5e-4)
        self.weights, self.device = weights, torch.device(device)
        if one_by_one:
            self.loader: Iterable[Any] = DataLoader(
                Records(data), BATCH, shuffle=True, drop_last=True
            )
        else:
            self.loader = InBatches(data)

    def steps(self) -> Iterator[None]:
        """Take a step each time one is asked for, epoch after epoch."""
        while True:
            for batch in self.loader:
                batch = [part.to(self.device) for part in batch]
                self.optimizer.zero_grad()
                self.loss(batch[0], batch[1]).backward()
                self.optimizer.step()
                yield

    def loss(self, features: Tensor, lonlat: Tensor) -> Tensor:
        """Compute all three parts, then weigh them."""
        random = torch.rand(len(lonlat), 2)
        angle, height = 2 * torch.pi * random[:, 0], (1 - random[:, 1] ** 2).sqrt()
        places = torch.stack((180 * height * angle.cos(), 90 * height * angle.sin()), dim=1)
        place, again = _unit(self.encoder(lonlat)), _unit(self.encoder(lonlat))
        far, image = _unit(self.encoder(places.to(lonlat.device))), _unit(self.head(features))
        own = torch.arange(len(place), device=place.device)
        in_batch = F.cross_entropy(place @ image.T / 20, own)
        both = torch.stack(((place * image).sum(1), (far * image).sum(1)), dim=1)
        away = F.cross_entropy(both, torch.zeros_like(own))
        dropout = F.cross_entropy(place @ again.T, own)
        return in_batch + self.weights[0] * away + self.weights[1] * dropout


def _unit(vectors: Tensor) -> Tensor:
    return vectors / (vectors.norm(dim=1, keepdim=True) + 1e-8)


class InBatches:
    """Reads as ours do, to tell what reading makes of the difference."""

    def __init__(self, data: FeatureDataset) -> None:
        self.data = data

    def __iter__(self) -> Iterator[list[Tensor]]:
        """Yield features and places of each batch of an epoch."""
        order = torch.randperm(len(self.data))
        rows = [part.tolist() for part in order.split(BATCH) if len(part) == BATCH]
        for batch in DataLoader(self.data, batch_sampler=rows, collate_fn=collate):
            yield [batch["image"], batch["lonlat"]]


# Measuring


def seconds_a_step(
    makers: dict[str, Callable[[], Any]],
    rounds: int,
    steps: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """Time steps in turns, so that whatever else the machine does slows all alike.

    Args:
        makers: Name to what makes an object with ``steps``.
        rounds: How often each has its turn.
        steps: Steps a turn.
        clock: Tells seconds; by default of this process alone, so that others do not count.

    Returns:
        Name to the median over the rounds of the seconds of a step.
    """
    running = {name: make().steps() for name, make in makers.items()}
    found: dict[str, list[float]] = {name: [] for name in makers}
    for name in running:
        next(running[name])  # the first step of all allocates
    for _ in range(rounds):
        for name, taken in running.items():
            started = clock()
            for _ in range(steps):
                next(taken)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            found[name].append((clock() - started) / steps)
    return {name: median(values) for name, values in found.items()}


COLUMNS = ("ours", "ours, bf16", "published", "published, in batches")


def measure(
    data: FeatureDataset, cases: Sequence[Any], rounds: int, steps: int
) -> list[dict[str, Any]]:
    """Measure cases on the CPU, in steps a second."""
    rows = []
    for name, options, weights in cases:
        settings = {**PUBLISHED, **options}
        makers: dict[str, Callable[[], Any]] = {
            "ours": partial(Ours, data, **settings),
            "ours, bf16": partial(Ours, data, half=True, **settings),
            "published": partial(Published, data, weights=weights, one_by_one=True),
            "published, in batches": partial(Published, data, weights=weights, one_by_one=False),
        }
        found = seconds_a_step(makers, rounds, steps)
        rows.append({"case": name, **{key: 1 / value for key, value in found.items()}})
    return rows


def epoch_on_gpu(data: FeatureDataset, pairs: int, device: str = "cuda") -> dict[str, float]:
    """Time an epoch over as many pairs as iNaturalist 2018 has, on a GPU.

    Args:
        data: Pairs, which stand for all: their features are repeated.
        pairs: How many pairs an epoch has.
        device: Where.

    Returns:
        Seconds of an epoch, ours and as published.
    """
    makers: dict[str, Callable[[], Any]] = {
        "ours": partial(Ours, data, device, **PUBLISHED),
        "published": partial(Published, data, device, weights=(1.0, 1.0), one_by_one=True),
    }
    found = seconds_a_step(makers, 3, 20, time.perf_counter)
    return {name: value * (pairs // BATCH) for name, value in found.items()}


def products_of_a_step(weights: Sequence[float]) -> int:
    """Count the multiply-adds that no step can do without, forward and backward.

    A product costs as much again for the gradient of each of its sides that has one: encoded places
    and features have none.

    Args:
        weights: Of the random and of the dropout part.

    Returns:
        The sum over the location encoder, the projection head and the similarities.
    """
    places = BATCH * (1 + sum(weight > 0 for weight in weights))
    encoder = places * (2 * 4 * SCALES * HIDDEN + 3 * HIDDEN * DIM)
    head = 2 * BATCH * FEATURES * DIM
    similarities = 3 * BATCH**2 * DIM * (1 + (weights[1] > 0))
    return encoder + head + similarities


ABOUT = """\
A batch of {batch:,} pairs, {features:,} precomputed features an image, grid encoding of {scales}
scales, one hidden layer of {hidden}, {dim} dimensions; Adam; {pairs:,} invented pairs, features
mapped from the disk. Ours are the steps of `csp train` with the published settings of CSP-MC, in
single precision and with `training.precision=bf16`. The published way is written anew from its
description: records read one by one, position encodings computed in NumPy in double precision for
each pass, three passes whatever the weights; "in batches" reads as ours do. Steps a second of
processor time on one thread; medians, timed in turns.

{table}

The machine was shared with other programs.

Aim: {target:g} times the published way; reached for {reached}; missed for {missed}.
*Ratio at most* is what the products of a step allow in single precision, at the rate of `torch.mm`
measured here ({rate:.1f} thousand million multiply-adds a second) and with all else for nothing.
With all three parts, both ways do the same products, {products:.1f} thousand million multiply-adds:
the location encoder on three batches of places, the projection head on one of images, and two
matrices of similarities, forward and backward. The result needs all of them but {shared:.0%}:
the two views of a place could share their first layer. What is won besides is the
reading, the encoding, dropout masks of 16 random bits a number, and half precision.

An epoch of MC-BLD over {epoch:,} pairs on a GPU: {gpu}.
"""


def main() -> None:
    """Run the benchmark."""
    options = arguments("Steps a second of CSP pre-training on precomputed features.")
    torch.set_num_threads(1)
    pairs, rounds, steps = (2 * BATCH, 1, 1) if options.quick else (32 * BATCH, 9, 8)
    with tempfile.TemporaryDirectory() as name:
        data = write_data(Path(name), pairs)
        rows = measure(data, CASES[::2] if options.quick else CASES, rounds, steps)
        gpu = epoch_on_gpu(data, PAIRS_OF_INAT2018) if torch.cuda.is_available() else None
    table, reached, missed = [], [], []
    product, work = matrix_product()
    rate = work / least_seconds({"product": product}, 10)["product"]
    weights = {name: weights for name, _, weights in CASES}
    for row in rows:
        row["at most"] = rate / products_of_a_step(weights[row["case"]])
        ratios = [row[name] / row["published"] for name in COLUMNS[:2]]
        table.append(
            [row["case"]]
            + [f"{row[name]:.1f}" for name in COLUMNS]
            + [f"{ratio:.2f}" for ratio in ratios]
            + [f"{row['at most'] / row['published']:.2f}"]
        )
        for name, ratio in zip((row["case"], f"{row['case']} in bf16"), ratios, strict=True):
            (reached if ratio >= TARGET else missed).append(name)
    told = (
        "not run, no GPU"
        if gpu is None
        else f"{gpu['ours']:.1f} s; published {gpu['published']:.1f}"
    )
    head = ["parts", *COLUMNS, "ratio", "ratio, bf16", "ratio at most"]
    all_parts = products_of_a_step(CASES[0][2])
    body = ABOUT.format(
        batch=BATCH,
        features=FEATURES,
        scales=SCALES,
        hidden=HIDDEN,
        dim=DIM,
        pairs=pairs,
        table=markdown(head, table),
        target=TARGET,
        rate=rate / 1e9,
        products=all_parts / 1e9,
        shared=2 * BATCH * 4 * SCALES * HIDDEN / all_parts,
        reached=", ".join(reached) or "none",
        missed=", ".join(missed) or "none",
        epoch=PAIRS_OF_INAT2018,
        gpu=told,
    )
    record = {"pairs": pairs, "cases": rows, "gpu_epoch_seconds": gpu, "target": TARGET}
    write_report("pretraining_speed", "Speed of pre-training", body.strip(), record, options)


if __name__ == "__main__":
    main()
