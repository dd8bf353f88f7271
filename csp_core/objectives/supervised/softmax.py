"""The softmax over classes, from the labels of records."""

from __future__ import annotations

from torch import Tensor

from csp_core.data.batch import Batch
from csp_core.errors import ConfigError
from csp_core.losses import class_cross_entropy
from csp_core.model import DualEncoder
from csp_core.objectives.base import Objective, times


def class_weight(model: DualEncoder, rarity_power: float, label_smoothing: float = 0.0) -> Tensor:
    """Give the weight of each class in a loss, and check the options of a classifier.

    Args:
        model: The model, whose classes are counted.
        rarity_power: Weight of a class is its frequency to minus this power.
        label_smoothing: Part of the target spread evenly over all classes.

    Returns:
        ``(K,)``, 1 in the mean.

    Raises:
        ConfigError: If an option is out of range.
    """
    if not 0 <= label_smoothing < 1:
        raise ConfigError(f"label_smoothing is {label_smoothing}; give a part in [0, 1).")
    if not 0 <= rarity_power <= 1:
        raise ConfigError(f"rarity_power is {rarity_power}; give a power in [0, 1].")
    weight = model.classes.frequency().clamp_min(1e-6) ** -rarity_power
    return weight / weight.mean()


class Softmax(Objective):
    """Which of the classes was recorded here: softmax cross-entropy.

    Args:
        model: The model to train.
        label_smoothing: Part of the target spread evenly over all classes, in [0, 1).
        rarity_power: Weight of a class is its frequency to minus this power, in [0, 1]; a little
            lifts rare classes at a small cost elsewhere.
        jitter_km: Scatter of places in training; see ``Objective``.
    """

    augments = False
    class_weight: Tensor

    def __init__(
        self,
        model: DualEncoder,
        *,
        label_smoothing: float = 0.0,
        rarity_power: float = 0.0,
        jitter_km: float | tuple[float, float] = 0.0,
    ) -> None:
        super().__init__(model, jitter_km=jitter_km)
        weight = class_weight(model, rarity_power, label_smoothing)
        self.label_smoothing = label_smoothing
        # Not persistent: it follows from the classes.
        self.register_buffer("class_weight", weight, persistent=False)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the cross-entropy.

        Args:
            batch: ``lonlat`` ``(N, 2)``, ``label`` and, for models that know time, ``date`` and
                ``hour`` ``(N,)``.

        Returns:
            ``{"loss"}``, nats.
        """
        logits = self.model.class_logits(batch["lonlat"], *times(batch))
        # Smoothing and weights are part of learning, not of what is measured.
        if not self.training:
            return {"loss": class_cross_entropy(logits, batch["label"])}
        loss = class_cross_entropy(
            logits,
            batch["label"],
            smoothing=self.label_smoothing,
            class_weight=self.class_weight,
        )
        return {"loss": loss}
