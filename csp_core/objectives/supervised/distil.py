"""Distillation: a teacher's shares at places around the records, beside the labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from csp_core.data.batch import Batch
from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError
from csp_core.losses import class_cross_entropy, soft_cross_entropy
from csp_core.model import DualEncoder, Prior
from csp_core.objectives.base import join_times, times
from csp_core.objectives.draws import BatchRandom
from csp_core.objectives.labels import check_labels
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
                memory, or the records have label sets.
        """
        check_labels(type(self).__name__, self.label_sets, dataset)
        if teacher is None or teacher.classes.names != dataset.classes.names:
            raise ConfigError(
                "The objective soft_targets needs `teachers` with the classes of the training"
                " records: baselines of the same data, or models trained on them."
            )
        size = 2 * self.copies * len(dataset) * len(dataset.classes)
        if size > POOL_BYTES:
            raise ConfigError(
                f"The teacher's answers would take {size / 1e9:.1f} GB; lower objective.copies"
                f" (now {self.copies}) to stay under {POOL_BYTES / 1e9:.0f} GB."
            )
        total = self.copies * len(dataset)
        draws = BatchRandom(torch.Generator().manual_seed(self.seed), 0, total, total)
        self.places = self.scatter(dataset.lonlat.repeat(self.copies, 1), draws)
        # A scattered place keeps its record's time: the question is what else lives near it then.
        self.dates, self.hours = (t.repeat(self.copies) for t in (dataset.date, dataset.hour))
        columns = (self.places, self.dates, self.hours)
        parts = zip(*(torch.split(column, POOL_CHUNK) for column in columns), strict=True)
        self.targets = torch.cat([teacher.prior(*part).half() for part in parts])

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
        # Half precision keeps the answers small; their sum is mended here.
        target = self.targets[rows].float()
        target = target / target.sum(dim=1, keepdim=True)
        return {
            **batch,
            "soft_lonlat": self.places[rows],
            "soft_date": self.dates[rows],
            "soft_hour": self.hours[rows],
            "target": target,
        }

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute both cross-entropies.

        Args:
            batch: ``lonlat`` and ``soft_lonlat`` ``(N, 2)``, ``label`` ``(N,)``, ``target``
                ``(N, K)`` and, for models that know time, ``date``, ``soft_date``, ``hour`` and
                ``soft_hour`` ``(N,)``; in evaluation nothing of the teacher's.

        Returns:
            ``{"loss"}`` and, in training, its parts ``"hard"`` and ``"soft"``, nats.
        """
        if not self.training:
            return super().forward(batch)
        # One pass through the network for both kinds of places.
        places = torch.cat((batch["lonlat"], batch["soft_lonlat"]))
        soft = (batch.get("soft_date"), batch.get("soft_hour"))
        when = [join_times(own, asked) for own, asked in zip(times(batch), soft, strict=True)]
        logits = self.model.class_logits(places, *when)
        own, asked = logits.chunk(2)
        hard = class_cross_entropy(
            own,
            batch["label"],
            smoothing=self.label_smoothing,
            class_weight=self.class_weight,
        )
        taught = soft_cross_entropy(asked, batch["target"])
        loss = self.hard_weight * hard + (1 - self.hard_weight) * taught
        return {"loss": loss, "hard": hard, "soft": taught}
