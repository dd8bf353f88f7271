"""How fast a semi-supervised step is beside a bare PyTorch loop of the same networks.

    python benchmarks/stssl_speed.py

Both take the same images, batch, views, networks and optimiser, in turns, so that the machine's
moods meet both alike. The bare loop has FixMatch's formulas and nothing else: no statistics, no
checkpoints, no random numbers that can be repeated.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from report import arguments, markdown, write_report
from torch import Tensor, nn

from csp_core.augment import augment, augmentation
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.image import make_image_encoder
from csp_core.model import DualEncoder
from csp_core.objectives import BatchRandom, heads_for, make_objective
from csp_core.objectives.semisup import SemiSupervised
from csp_core.objectives.semisup.teacher import Labeller, classify

CLASSES, IMAGES, LABELS, THRESHOLD = 10, 2048, 40, 0.95
BATCH, RATIO, ROUNDS, STEPS = 8, 3, 12, 5
FORM = {"patch_size": 4, "embed_dim": 96, "depth": 4, "num_heads": 3}
ROWS: dict[str, dict[str, Any]] = {
    "plain": {},
    "teacher knows": {"teacher": "metadata"},
    "teacher knows, distils": {"teacher": "metadata", "distil": "mse"},
}


def records() -> RecordDataset:
    """Draw images of noise: how fast a step is does not depend on what they show."""
    generator = torch.Generator().manual_seed(0)
    label = torch.arange(IMAGES) % CLASSES
    return RecordDataset(
        lonlat=torch.rand(IMAGES, 2, generator=generator) * 50,
        label=label.masked_fill(torch.arange(IMAGES) >= LABELS, -1),
        classes=ClassTable(tuple("abcdefghij")),
        image=torch.randint(256, (IMAGES, 3, 32, 32), generator=generator, dtype=torch.uint8),
    )


def make(data: RecordDataset, changes: dict[str, Any]) -> SemiSupervised:
    """Make an objective of the small vision transformer."""
    torch.manual_seed(0)
    options = {"ratio": RATIO, **changes}
    image = make_image_encoder(
        "timm", None, model="vit_small_patch16_224", size=32, architecture=FORM
    )
    heads = heads_for("fixmatch", options)
    model = DualEncoder(image, None, dim=96, classes=data.classes, heads=heads)
    made = make_objective("fixmatch", model, **options)
    assert isinstance(made, SemiSupervised)
    made.fit(data)
    made.plan_steps(1000)
    return made.train()


class Ours:
    """Steps of the objective, as the training loop makes them."""

    def __init__(self, data: RecordDataset, changes: dict[str, Any]) -> None:
        self.objective = make(data, changes)
        self.stream = self.objective.stream(data, BATCH)
        self.optimizer = torch.optim.AdamW([w for _, w in self.objective.named_weights()], lr=1e-4)
        self.step = 0

    def run(self, steps: int) -> None:
        """Make so many steps."""

        def drawn(purpose: str) -> torch.Generator:
            return torch.Generator().manual_seed(self.step)

        for number, batch in enumerate(self.stream.batches(drawn, 0, 0, BATCH)):
            if number == steps:
                return
            random = BatchRandom(torch.Generator().manual_seed(self.step), 0, BATCH, BATCH)
            loss = self.objective(self.objective.draw(batch, random))["loss"]
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.objective.finish_step(self.step)
            self.step += 1


class Bare:
    """The same networks in a loop of a few lines."""

    def __init__(self, data: RecordDataset, changes: dict[str, Any]) -> None:
        made = make(data, changes)
        self.data, self.distils = data, "distil" in changes
        self.image, self.classifier = made.model.image, made.model.image_classifier
        self.teacher: Labeller | None = made.teacher
        nets = nn.ModuleList([m for m in (self.image, self.classifier, self.teacher) if m])
        self.optimizer = torch.optim.AdamW(nets.parameters(), lr=1e-4)

    def run(self, steps: int) -> None:
        """Make so many steps."""
        for _ in range(steps):
            own = torch.randint(LABELS, (BATCH,))
            other = torch.randint(IMAGES, (BATCH * RATIO,))
            image, place = self.data.image, self.data.lonlat
            assert image is not None
            labelled, weak = self._view(image[own], "weak"), self._view(image[other], "weak")
            strong = self._view(image[other], "strong")
            places = torch.cat((place[own], place[other]))
            loss = self._loss(labelled, weak, strong, self.data.label[own], places)
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()

    def _view(self, image: Tensor, kind: str) -> Tensor:
        name = {"weak": "weak_reflect", "strong": "rand_augment"}[kind]
        return augment(image, name, torch.rand(len(image), augmentation(name).draws))

    def _loss(
        self, labelled: Tensor, weak: Tensor, strong: Tensor, label: Tensor, places: Tensor
    ) -> Tensor:
        teacher, seen = self.teacher, torch.cat((labelled, strong))
        with torch.no_grad():
            if teacher is None:
                judged = classify(self.image, self.classifier, weak)[0]
            else:
                judged = teacher(weak, places[BATCH:])[0]
        sure, guess = judged.softmax(dim=1).max(dim=1)
        answers = [classify(self.image, self.classifier, seen)]
        answers += [] if teacher is None else [teacher(seen, places)]
        total = torch.zeros(())
        for logits, _ in answers:
            total = total + F.cross_entropy(logits[:BATCH], label)
            each = F.cross_entropy(logits[BATCH:], guess, reduction="none")
            total = total + ((sure >= THRESHOLD) * each).mean()
        if self.distils:
            total = total + F.mse_loss(answers[0][1], answers[1][1].detach())
        return total


def compare(changes: dict[str, Any], rounds: int) -> list[tuple[float, float]]:
    """Time both in turns: seconds a step of ours and of the bare loop, a pair for each round."""
    data = records()
    both = [Ours(data, changes), Bare(data, changes)]
    pairs = []
    for number in range(rounds + 1):
        spent = []
        for one in both:
            began = time.perf_counter()
            one.run(STEPS)
            spent.append((time.perf_counter() - began) / STEPS)
        if number:  # the first warms up
            pairs.append((spent[0], spent[1]))
    return pairs


def main() -> None:
    """Measure and write the table."""
    options = arguments(__doc__.splitlines()[0])
    torch.set_num_threads(1)
    rows, data = [], {}
    for name, changes in ROWS.items():
        pairs = compare(changes, 2 if options.quick else ROUNDS)
        ours, bare = (median(column) for column in zip(*pairs, strict=True))
        ratios = sorted(theirs / own for own, theirs in pairs)
        data[name] = {"ours": ours, "bare": bare, "ratios": ratios}
        told = f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        rows.append([name, f"{1000 * ours:.0f}", f"{1000 * bare:.0f}", told])
    table = markdown(
        ["FixMatch", "ours, ms a step", "bare loop, ms", "steps/s of ours over the bare loop's"],
        rows,
    )
    text = (
        f"{BATCH} labelled and {BATCH * RATIO} unlabelled images of 32 pixels, a vision transformer"
        f" of 0.46 million weights, one thread; medians of {ROUNDS} turns of {STEPS} steps each, in"
        " brackets the lowest and highest ratio. Aim: 0.9.\n\n" + table
    )
    write_report("stssl_speed", "Semi-supervised steps beside a bare loop", text, data, options)


if __name__ == "__main__":
    main()
