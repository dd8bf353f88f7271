"""Distillation: a teacher's answers at places around the records, beside the labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from csp_core.data.batch import Batch
from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError
from csp_core.losses import binary_cross_entropy, class_cross_entropy, soft_cross_entropy
from csp_core.model import DualEncoder, Prior
from csp_core.objectives.draws import BatchRandom
from csp_core.objectives.gather import gather_rows
from csp_core.objectives.labels import check_labels
from csp_core.objectives.rows import join_times, times
from csp_core.objectives.supervised.softmax import Softmax

POOL_BYTES = 4e9
POOL_CHUNK = 4096


class SoftTargets(Softmax):
    """Distillation: learn a teacher's shares at places around the records, beside the labels.

    The teacher, a model, a baseline or a mixture, is asked once at ``copies`` scattered places for
    each record; each step draws from these. What it knows by holding records, as counting does,
    moves into one encoder that holds none.

    Args:
        model: The model to train.
        hard_weight: Weight of the labels in [0, 1); the rest is the teacher's.
        copies: Places asked about for each record.
        label_smoothing: See ``Softmax``; on the labels' part.
        rarity_power: See ``Softmax``; on the labels' part.
        jitter_km: Scatter of the places, also of those the teacher is asked about.
        seed: Seed of the places asked about.

    Source:
        Hinton et al. 2015, Distilling the Knowledge in a Neural Network.
    """

    taught = True
    example_options: ClassVar[Mapping[str, Any]] = {"copies": 2}
    # Training records around which the teacher is asked, at most; None for all.
    asked: int | None = None

    def __init__(
        self,
        model: DualEncoder,
        *,
        hard_weight: float = 0.3,
        copies: int = 8,
        label_smoothing: float = 0.0,
        rarity_power: float = 0.0,
        jitter_km: float | tuple[float, float] = (2.0, 500.0),
        seed: int = 0,
    ) -> None:
        super().__init__(
            model,
            label_smoothing=label_smoothing,
            rarity_power=rarity_power,
            jitter_km=jitter_km,
        )
        if not 0 <= hard_weight < 1 or copies < 1:
            raise ConfigError(
                f"hard_weight is {hard_weight} and copies {copies}; give a part in [0, 1) and at"
                " least 1."
            )
        self.hard_weight, self.copies, self.seed = hard_weight, copies, seed
        self.places, self.targets = torch.empty(0, 2), torch.empty(0, 0)
        self.dates = self.hours = torch.empty(0)

    def fit(self, dataset: RecordDataset, teacher: Prior | None = None) -> None:
        """Ask the teacher about places around the training records.

        Args:
            dataset: The training records.
            teacher: A prior over the same classes.

        Raises:
            ConfigError: If there is no teacher, its classes differ, its answers would not fit in
                memory, or it or the records have labels of the other kind.
        """
        check_labels(type(self).__name__, self.label_sets, dataset)
        if teacher is None or teacher.classes.names != dataset.classes.names:
            raise ConfigError(
                f"The objective {type(self).__name__} needs `teachers` with the classes of the"
                " training records: baselines of the same data, or models trained on them."
            )
        if (teacher.prior_kind == "probability") != self.label_sets:
            kind = "label sets" if self.label_sets else "one label a record"
            raise ConfigError(
                f"The objective {type(self).__name__} learns {kind}, and its teacher answers with"
                f" values of the kind {teacher.prior_kind!r}: give teachers of the same kind."
            )
        rows = self.asked_about(len(dataset))
        total = self.copies * len(rows)
        size = 2 * total * len(dataset.classes)
        if size > POOL_BYTES:
            raise ConfigError(
                f"The teacher's answers would take {size / 1e9:.1f} GB; lower objective.copies"
                f" (now {self.copies}) to stay under {POOL_BYTES / 1e9:.0f} GB."
            )
        draws = BatchRandom(torch.Generator().manual_seed(self.seed), 0, total, total)
        self.places = self.scatter(dataset.lonlat[rows].repeat(self.copies, 1), draws)
        # A scattered place keeps its record's time: the question is what else lives near it then.
        self.dates, self.hours = (t[rows].repeat(self.copies) for t in (dataset.date, dataset.hour))
        columns = (self.places, self.dates, self.hours)
        parts = zip(*(torch.split(column, POOL_CHUNK) for column in columns), strict=True)
        self.targets = torch.cat([teacher.prior(*part).half() for part in parts])

    def asked_about(self, number: int) -> Tensor:
        """Draw the records around which the teacher is asked.

        Args:
            number: How many training records there are.

        Returns:
            ``(n,)`` rows, ascending; all of them where ``asked`` is None or more.
        """
        if self.asked is None or self.asked >= number:
            return torch.arange(number)
        order = torch.randperm(number, generator=torch.Generator().manual_seed(self.seed))
        return order[: self.asked].sort().values

    def draw(self, batch: Batch, random: BatchRandom) -> Batch:
        """Scatter the places and add some that the teacher was asked about.

        Args:
            batch: A batch on the CPU.
            random: Its source of random numbers.

        Returns:
            The batch with ``soft_lonlat``, ``soft_date``, ``soft_hour`` and ``target``.
        """
        batch = super().draw(batch, random)
        if not self.training:
            return batch
        number = len(self.places)
        rows = random.rows(lambda generator, n: torch.randint(number, (n,), generator=generator))
        return {
            **batch,
            "soft_lonlat": self.places[rows],
            "soft_date": self.dates[rows],
            "soft_hour": self.hours[rows],
            "target": self.mended(self.targets[rows].float()),
        }

    def mended(self, target: Tensor) -> Tensor:
        """Mend what half precision, which keeps the answers small, did to them.

        Args:
            target: ``(N, K)`` answers of the teacher.

        Returns:
            ``(N, K)``, rows sum to 1.
        """
        return target / target.sum(dim=1, keepdim=True)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute both cross-entropies.

        Args:
            batch: ``lonlat`` and ``soft_lonlat`` ``(N, 2)``, ``label`` ``(N,)`` or ``labels``
                ``(N, K)``, ``target`` ``(N, K)`` and, for models that know time, ``date``,
                ``soft_date``, ``hour`` and ``soft_hour`` ``(N,)``; in evaluation nothing of the
                teacher's.

        Returns:
            ``{"loss"}`` and, in training, its parts ``"hard"`` and ``"soft"``, nats.
        """
        if not self.training:
            logits = self.model.class_logits(batch["lonlat"], *times(batch))
            return {"loss": self.from_labels(logits, batch)}
        # One pass through the network for both kinds of places.
        places = torch.cat((batch["lonlat"], batch["soft_lonlat"]))
        soft = (batch.get("soft_date"), batch.get("soft_hour"))
        when = [join_times(own, asked) for own, asked in zip(times(batch), soft, strict=True)]
        logits = self.model.class_logits(places, *when)
        own, asked = logits.chunk(2)
        hard = self.from_labels(own, batch)
        taught = self.from_teacher(asked, batch["target"])
        loss = self.hard_weight * hard + (1 - self.hard_weight) * taught
        return {"loss": loss, "hard": hard, "soft": taught}

    def from_labels(self, logits: Tensor, batch: Batch) -> Tensor:
        """Compute the cross-entropy of the records.

        Args:
            logits: ``(N, K)`` at their places.
            batch: ``label`` ``(N,)``.

        Returns:
            Scalar, nats.
        """
        # Smoothing and weights are part of learning, not of what is measured.
        smoothing = self.label_smoothing if self.training else 0.0
        weight = self.class_weight if self.training else None
        return class_cross_entropy(logits, batch["label"], smoothing=smoothing, class_weight=weight)

    def from_teacher(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the cross-entropy of the teacher's answers.

        Args:
            logits: ``(N, K)`` at the places that it was asked about.
            target: ``(N, K)`` its answers, mended.

        Returns:
            Scalar, nats.
        """
        return soft_cross_entropy(logits, target)


class SoftLabelSets(SoftTargets):
    """Distillation of label sets: of each class by itself, a teacher's probability and the labels.

    As ``SoftTargets``, with the sigmoid cross-entropy of each class on both parts. What is unknown
    of a record's label set counts neither way; the teacher answers all classes.

    Args:
        model: The model to train.
        hard_weight: Weight of the labels in [0, 1); the rest is the teacher's.
        copies: Places asked about for each record.
        asked: Records around which the teacher is asked, at most, drawn anew for each seed; None
            for all. Many records lie side by side, and some teachers are slow to answer.
        rarity_power: See ``LabelSets``; on the labels' part.
        jitter_km: Scatter of the places, also of those the teacher is asked about.
        seed: Seed of the places asked about.

    Raises:
        ConfigError: If an option is out of range.

    Source:
        Hinton et al. 2015, Distilling the Knowledge in a Neural Network, with the cross-entropy of
        label sets in the place of the softmax's.
    """

    prior_kind = "probability"
    label_sets = True

    def __init__(
        self,
        model: DualEncoder,
        *,
        hard_weight: float = 0.3,
        copies: int = 2,
        asked: int | None = None,
        rarity_power: float = 0.0,
        jitter_km: float | tuple[float, float] = (2.0, 100.0),
        seed: int = 0,
    ) -> None:
        super().__init__(
            model,
            hard_weight=hard_weight,
            copies=copies,
            rarity_power=rarity_power,
            jitter_km=jitter_km,
            seed=seed,
        )
        if asked is not None and asked < 1:
            raise ConfigError(f"asked is {asked}; give at least 1, or null for all records.")
        self.asked = asked

    def mended(self, target: Tensor) -> Tensor:
        """Leave the answers as they are: probabilities of label sets need not sum to 1.

        Args:
            target: ``(N, K)``.

        Returns:
            The same.
        """
        return target

    def from_labels(self, logits: Tensor, batch: Batch) -> Tensor:
        """Compute the cross-entropy of the records' label sets.

        Args:
            logits: ``(N, K)`` at their places.
            batch: ``labels`` ``(N, K)``, 1, 0, or -1 where unknown.

        Returns:
            Scalar, nats; 0 where nothing is known.
        """
        truth, weight = batch["labels"], self.class_weight if self.training else None
        if self.training:  # what is known may be more of one process's rows than of another's
            logits, truth = gather_rows(logits)[0], gather_rows(truth)[0]
        return binary_cross_entropy(logits, truth, class_weight=weight)

    def from_teacher(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the cross-entropy of the teacher's probabilities.

        Args:
            logits: ``(N, K)`` at the places that it was asked about.
            target: ``(N, K)`` in [0, 1].

        Returns:
            Scalar, nats, mean over N and K.
        """
        return binary_cross_entropy(logits, target)
