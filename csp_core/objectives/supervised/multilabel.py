"""Learning label sets: of each class by itself, whether it is in the set of a picture or place."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from csp_core.losses import binary_cross_entropy
from csp_core.model import SIDES, DualEncoder, Side
from csp_core.objectives.gather import gather_rows
from csp_core.objectives.supervised.sides import Mode, TwoSides
from csp_core.objectives.supervised.softmax import class_weight


class LabelSets(TwoSides):
    """Binary cross-entropy of each class on each side: image and location.

    What is unknown of a record's label set counts neither way, and neither does a record without a
    label set. Records without a place count for the image alone.

    Args:
        model: The model to train, with an encoder for each side that learns.
        sides: Which sides learn: ``image``, ``location`` or both. Without ``location`` the model
            knows nothing of places, without ``image`` nothing of pictures.
        mode: ``full``, both encoders learn; ``heads``, the image's backbone and the location
            encoder stay, and what stands behind them learns; ``linear``, the classifiers alone
            learn.
        augmentation: Changes to the images in training, a name in ``AUGMENTATIONS``, or None.
        rarity_power: Weight of a class is its frequency to minus this power, in [0, 1]: of its
            presences and absences alike, so that probabilities stay what they are.
        jitter_km: Scatter of places in training; see ``Objective``.

    Raises:
        ConfigError: If the model lacks a side that learns, or an option is out of range.
    """

    prior_kind = "probability"
    label_sets = True
    class_weight: Tensor

    def __init__(
        self,
        model: DualEncoder,
        *,
        sides: Sequence[Side] = SIDES,
        mode: Mode = "full",
        augmentation: str | None = "weak",
        rarity_power: float = 0.0,
        jitter_km: float | tuple[float, float] = 0.0,
    ) -> None:
        super().__init__(
            model, sides=sides, mode=mode, augmentation=augmentation, jitter_km=jitter_km
        )
        weight = class_weight(model, rarity_power)
        # Not persistent: it follows from the classes.
        self.register_buffer("class_weight", weight, persistent=False)

    def compare(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Compute the cross-entropy of a side.

        Args:
            logits: ``(N, K)``.
            truth: ``(N, K)`` label sets, 1, 0, or -1 where unknown.

        Returns:
            Scalar, nats; 0 where nothing is known.
        """
        # Weights are part of learning, not of what is measured.
        weight = self.class_weight if self.training else None
        if self.training:  # what is known may be more of one process's rows than of another's
            logits, truth = gather_rows(logits)[0], gather_rows(truth)[0]
        return binary_cross_entropy(logits, truth, class_weight=weight)
