"""How fast a step of CLIP and SigLIP is beside a bare loop with open_clip's losses.

    python benchmarks/clip_speed.py

Both take the same images and places, batch, changes to images, towers and optimiser, in turns, so
that the machine's moods meet both alike. The bare loop has open_clip's loss and nothing else: no
statistics, no checkpoints, no random numbers that can be repeated, and equal places count as wrong.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

import torch
import torch.nn.functional as F
from clip_runs import DIM, IMAGES
from open_clip.loss import ClipLoss, SigLipLoss
from pretraining_speed import seconds_a_step
from report import arguments, markdown, write_report
from torch import Tensor, nn

from csp_core.augment import augment, augmentation
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.image import make_image_encoder
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from csp_core.objectives import BatchRandom, Objective, heads_for, make_objective

AIM, RECORDS, BATCH, RATE, CHANGES = 0.95, 2048, 128, 1e-3, "medium"
LOSSES: dict[str, Callable[[], nn.Module]] = {"clip": ClipLoss, "siglip": SigLipLoss}
TITLES = {"clip": "CLIP, ClipLoss", "siglip": "SigLIP, SigLipLoss"}


def records() -> RecordDataset:
    """Draw images of noise: how fast a step is does not depend on what they show."""
    generator = torch.Generator().manual_seed(0)
    return RecordDataset(
        lonlat=torch.rand(RECORDS, 2, generator=generator) * 50,
        label=torch.zeros(RECORDS, dtype=torch.int64),
        classes=ClassTable(("a",)),
        image=torch.randint(256, (RECORDS, 3, 32, 32), generator=generator, dtype=torch.uint8),
    )


def make(name: str, data: RecordDataset, image: str) -> Objective:
    """Make an objective, whose model both loops train."""
    torch.manual_seed(0)
    network = {"name": "tokens", "width": DIM, "layers": 2, "heads": 4}
    place = make_location_encoder("sphere_c", DIM, num_scales=16, min_radius=0.01, network=network)
    heads = heads_for(name, {"augmentation": CHANGES})
    model = DualEncoder(make_image_encoder(**IMAGES[image]), place, dim=DIM, heads=heads)
    made = make_objective(name, model, augmentation=CHANGES)
    made.fit(data)
    made.plan_steps(10_000)
    for part in made.resting():
        part.requires_grad_(False)
    return made.train()


class Ours:
    """Steps of the objective, as the training loop makes them."""

    def __init__(self, name: str, data: RecordDataset, image: str) -> None:
        self.objective, self.data = make(name, data, image), data
        self.optimizer = torch.optim.AdamW([w for _, w in self.objective.named_weights()], RATE)

    def steps(self) -> Iterator[None]:
        """Take a step each time one is asked for, epoch after epoch."""
        stream, step = self.objective.stream(self.data, BATCH), 0
        for epoch in count():
            drawn = partial(_drawn, epoch)
            for batch in stream.batches(drawn, 0, 0, BATCH):
                random = BatchRandom(torch.Generator().manual_seed(step), 0, BATCH, BATCH)
                loss = self.objective(self.objective.draw(batch, random))["loss"]
                loss.backward()
                self.optimizer.step()
                self.optimizer.zero_grad()
                self.objective.finish_step(step)
                step += 1
                yield


def _drawn(epoch: int, purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(epoch)


class Bare:
    """The same towers in a loop of a few lines, with open_clip's loss."""

    def __init__(self, name: str, data: RecordDataset, image: str) -> None:
        # Towers alike in everything; the learned temperature and bias are the loop's own.
        self.model = copy.deepcopy(make(name, data, image).model)
        self.data, self.loss, self.biased = data, LOSSES[name](), name == "siglip"
        start = 10.0 if self.biased else 1 / 0.07
        self.log_scale = nn.Parameter(torch.tensor(math.log(start)))
        self.bias = nn.Parameter(torch.tensor(-10.0))
        towers = [self.model.image, self.model.image_head, self.model.location]
        weights = [w for tower in towers for w in tower.parameters() if w.requires_grad]
        own = [self.log_scale, self.bias] if self.biased else [self.log_scale]
        self.optimizer = torch.optim.AdamW([*weights, *own], RATE)

    def steps(self) -> Iterator[None]:
        """Take a step each time one is asked for, epoch after epoch."""
        draws, image = augmentation(CHANGES).draws, self.data.image
        assert image is not None
        while True:
            for rows in torch.randperm(RECORDS).split(BATCH):
                seen = augment(image[rows], CHANGES, torch.rand(BATCH, draws))
                self._step(seen, self.data.lonlat[rows])
                yield

    def _step(self, image: Tensor, lonlat: Tensor) -> None:
        one = F.normalize(self.model.embed_image(image), dim=1)
        other = F.normalize(self.model.embed_location(lonlat), dim=1)
        more: tuple[Any, ...] = (self.bias,) if self.biased else ()
        self.loss(one, other, self.log_scale.exp(), *more).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        with torch.no_grad():
            self.log_scale.clamp_(0, math.log(100))


def compare(name: str, image: str, rounds: int, steps: int) -> dict[str, float]:
    """Time both in turns: processor seconds a step, median over the turns."""
    data = records()
    makers = {"ours": partial(Ours, name, data, image), "bare": partial(Bare, name, data, image)}
    return seconds_a_step(makers, rounds, steps)


def main() -> None:
    """Measure and write the table."""
    options = arguments(__doc__.splitlines()[0])
    torch.set_num_threads(1)
    rounds, steps = (2, 1) if options.quick else (11, 4)
    rows, data, missed = [], {}, []
    for image in ("convnet",) if options.quick else tuple(IMAGES):
        for name, title in TITLES.items():
            found = compare(name, image, rounds, steps)
            ratio = found["bare"] / found["ours"]
            data[f"{title}, {image}"] = {**found, "ratio": ratio}
            told = [f"{1 / found[one]:.2f}" for one in ("ours", "bare")]
            rows.append([title, image, *told, f"{ratio:.2f}"])
            missed += [f"{title} with {image}"] if ratio < AIM else []
    head = ["", "image tower", "ours, steps/s", "open_clip loop, steps/s", "ratio"]
    judged = f"missed for {', '.join(missed)}" if missed else "reached for all"
    judged = "not judged in the small form" if options.quick else judged
    text = (
        f"Batches of {BATCH} images of 32 pixels and their places, one thread, processor time;"
        f" medians of {rounds} turns of {steps} steps. Aim: {AIM:g}; {judged}.\n\n"
        + markdown(head, rows)
    )
    record = {"rows": data, "aim": AIM}
    write_report("clip_speed", "Steps of CLIP beside an open_clip loop", text, record, options)


if __name__ == "__main__":
    main()
