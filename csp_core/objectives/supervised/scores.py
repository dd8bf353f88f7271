"""Distillation of relative scores: a teacher is asked at the places and times of each batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor

from csp_core.data.batch import Batch
from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError
from csp_core.model import DualEncoder, Heads, Mixture, Prior
from csp_core.objectives.base import Objective
from csp_core.objectives.draws import BatchRandom
from csp_core.objectives.rows import times


class SoftScores(Objective):
    """Distillation of scores: learn what a teacher says of each class, and nothing from labels.

    The records tell where and when it is asked, such as those of the data set ``places``. It is
    asked anew at each step, so that scattered places never come again and thousands of classes need
    no room for its answers.

    Args:
        model: The model to train.
        rank: Numbers that the classifier goes through; 0 for a full matrix. See ``Heads``.
        jitter_km: Scatter of the places; see ``Objective``.

    Source:
        Hinton et al. 2015, Distilling the Knowledge in a Neural Network, with the sigmoid
        cross-entropy of each class in the place of the softmax's.
    """

    augments = False
    taught = True
    prior_kind = "relative"
    label_sets = None
    example_options: ClassVar[Mapping[str, Any]] = {"rank": 3}

    def __init__(
        self,
        model: DualEncoder,
        *,
        rank: int = 0,
        jitter_km: float | tuple[float, float] = 0.0,
    ) -> None:
        super().__init__(model, jitter_km=jitter_km)
        self.rank = rank
        # In a tuple, as a model that is not trained here is no part of this module.
        self.teacher: tuple[Prior, ...] = ()

    @classmethod
    def heads(cls, options: Mapping[str, Any]) -> Heads:
        """Tell which heads the model needs.

        Args:
            options: All options of the objective.

        Returns:
            A classifier of places, through ``rank`` numbers.
        """
        return Heads(rank=options["rank"])

    def fit(self, dataset: RecordDataset, teacher: Prior | None = None) -> None:
        """Keep the teacher.

        Args:
            dataset: The training records.
            teacher: A prior over the same classes. Of a mixture, each class is mixed by itself.

        Raises:
            ConfigError: If there is no teacher, or its classes differ.
        """
        if teacher is None or teacher.classes.names != dataset.classes.names:
            raise ConfigError(
                "The objective SoftScores needs `teachers` with the classes of the training"
                " records: a model, and the data set places with that model's folder as its root;"
                " or baselines of the same data."
            )
        self.teacher = (teacher.by_class() if isinstance(teacher, Mixture) else teacher,)

    def draw(self, batch: Batch, random: BatchRandom) -> Batch:
        """Scatter the places, in training, and ask the teacher there.

        Args:
            batch: A batch on the CPU.
            random: Its source of random numbers.

        Returns:
            The batch with ``target`` ``(N, K)`` in [0, 1].
        """
        batch = super().draw(batch, random)
        # Models answer with tensors of which no gradient may be asked; a copy of one is free.
        target = self.teacher[0].prior(batch["lonlat"], *times(batch)).clone()
        return {**batch, "target": target}

    def counted(self, batch: Batch) -> int:
        """Count the records: each has an answer of the teacher, whatever its label.

        Args:
            batch: A batch as ``draw`` gave it.

        Returns:
            The number.
        """
        return len(batch["lonlat"])

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the cross-entropy of the teacher's scores.

        Args:
            batch: ``lonlat`` ``(N, 2)``, ``target`` ``(N, K)`` and, for models that know time,
                ``date`` and ``hour`` ``(N,)``.

        Returns:
            ``{"loss"}``, nats of all classes together, mean over N.
        """
        logits = self.model.class_logits(batch["lonlat"], *times(batch))
        target = batch["target"].to(logits.dtype)
        total = F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
        return {"loss": total / len(logits)}
