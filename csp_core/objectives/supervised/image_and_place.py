"""Fine-tuning with images: which class is in the picture, and which was recorded at its place."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from csp_core.losses import class_cross_entropy
from csp_core.model import SIDES, DualEncoder, Side
from csp_core.objectives.gather import gather_rows
from csp_core.objectives.supervised.sides import Mode, TwoSides
from csp_core.objectives.supervised.softmax import class_weight


class ImageSoftmax(TwoSides):
    """Softmax cross-entropy of a linear classifier on each side: image and location.

    The sides share no weight, so that P(class | image) and P(class | place) can be multiplied.
    The image classifier stands behind the image encoder's embedding, beside the projection head
    that pre-training needed. Records without a place count for the image alone, records without a
    label not at all.

    Args:
        model: The model to train, with an image encoder.
        sides: Which sides learn: ``image``, ``location`` or both. Without ``location`` the model
            knows nothing of places.
        mode: ``full``, both encoders learn; ``heads``, the image's backbone and the location
            encoder stay, and what stands behind them learns; ``linear``, the classifiers alone
            learn.
        augmentation: Changes to the images in training, a name in ``AUGMENTATIONS``, or None.
        label_smoothing: Part of the target spread evenly over all classes, in [0, 1).
        rarity_power: Weight of a class is its frequency to minus this power, in [0, 1].
        jitter_km: Scatter of places in training; see ``Objective``.

    Raises:
        ConfigError: If the model has no image encoder, or an option is out of range.

    Source:
        Mai et al. 2023, CSP, section 3.3: both sides are tuned apart and multiplied.
    """

    class_weight: Tensor

    def __init__(
        self,
        model: DualEncoder,
        *,
        sides: Sequence[Side] = SIDES,
        mode: Mode = "full",
        augmentation: str | None = "weak",
        label_smoothing: float = 0.0,
        rarity_power: float = 0.0,
        jitter_km: float | tuple[float, float] = 0.0,
    ) -> None:
        super().__init__(
            model, sides=sides, mode=mode, augmentation=augmentation, jitter_km=jitter_km
        )
        weight = class_weight(model, rarity_power, label_smoothing)
        self.label_smoothing = label_smoothing
        # Not persistent: it follows from the classes.
        self.register_buffer("class_weight", weight, persistent=False)

    def compare(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Compute the cross-entropy of a side.

        Args:
            logits: ``(N, K)``.
            truth: ``(N,)`` int64 labels, -1 where unknown.

        Returns:
            Scalar, nats; 0 without a label.
        """
        if self.training:  # of one process's rows more may be labelled than of another's
            logits, truth = gather_rows(logits)[0], gather_rows(truth)[0]
        rows = truth >= 0
        if not rows.any():
            return logits.sum() * 0.0
        # Smoothing and weights are part of learning, not of what is measured.
        if not self.training:
            return class_cross_entropy(logits[rows], truth[rows])
        return class_cross_entropy(
            logits[rows],
            truth[rows],
            smoothing=self.label_smoothing,
            class_weight=self.class_weight,
        )
