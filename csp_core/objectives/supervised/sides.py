"""What objectives with a classifier on each side have in common: image and location."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from csp_core.augment import augmentation as find_augmentation
from csp_core.data.batch import Batch
from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError
from csp_core.model import SIDES, DualEncoder, Heads, Prior, Side
from csp_core.objectives.base import Objective
from csp_core.objectives.draws import BatchRandom
from csp_core.objectives.rows import change_images, times

Mode = Literal["full", "heads", "linear"]
MODES = ("full", "heads", "linear")


class TwoSides(Objective):
    """Base of the objectives with a linear classifier on each side: image and location.

    The image classifier stands behind the image encoder's embedding, beside the projection head
    that pre-training needed. Records without a place count for the image alone.

    Args:
        model: The model to train.
        sides: Which sides learn: ``image``, ``location`` or both. Without ``location`` the model
            knows nothing of places.
        mode: ``full``, both encoders learn; ``heads``, the image's backbone and the location
            encoder stay, and what stands behind them learns; ``linear``, the classifiers alone
            learn.
        augmentation: Changes to the images in training, a name in ``AUGMENTATIONS``, or None.
        jitter_km: Scatter of places in training; see ``Objective``.

    Raises:
        ConfigError: If the model lacks a side that learns, or an option is out of range.
    """

    learns_from = ("labels", "images", "places")
    trains = ("image", "location", "classifier")
    augments = True

    def __init__(
        self,
        model: DualEncoder,
        *,
        sides: Sequence[Side],
        mode: Mode,
        augmentation: str | None,
        jitter_km: float | tuple[float, float],
    ) -> None:
        super().__init__(model, jitter_km=jitter_km)
        if not sides or not set(sides) <= set(SIDES) or mode not in MODES:
            raise ConfigError(
                f"sides is {list(sides)} and mode {mode!r}; give some of {', '.join(SIDES)} and one"
                f" of {', '.join(MODES)}."
            )
        if augmentation is not None:
            find_augmentation(augmentation)
        self.sides, self.mode, self.augmentation = tuple(sides), mode, augmentation
        if "location" in sides and model.classifier is None:
            raise ConfigError("The location side needs a location encoder: give model.location.")

    @classmethod
    def heads(cls, options: Mapping[str, Any]) -> Heads:
        """Ask for a classifier on each side that learns.

        Args:
            options: All options of the objective.

        Returns:
            The heads; the projection head stays for what was pre-trained with it.
        """
        return Heads(classifiers=tuple(side for side in SIDES if side in options["sides"]))

    def fit(self, dataset: RecordDataset, teacher: Prior | None = None) -> None:
        """Check that there are images where the image side learns.

        Args:
            dataset: The training records.
            teacher: None: this objective learns from none.

        Raises:
            ConfigError: If the records have no images, or labels of another kind.
        """
        super().fit(dataset, teacher)
        if "image" in self.sides and "image" not in dataset[0]:
            raise ConfigError(
                f"The data set {dataset.name!r} has no images. If it has an option to read them,"
                " turn that on; or give sides=[location]."
            )

    def resting(self) -> list[nn.Module]:
        """List the projection head, sides that are left out, and what the mode freezes."""
        image, found = self.model.image, [self.model.image_head, self.model.text]
        if "image" not in self.sides or self.mode == "linear":
            found.append(image)
        elif self.mode == "heads":
            found.append(getattr(image, "net", None))
        if "location" not in self.sides or self.mode != "full":
            found.append(self.model.location)
        if "location" not in self.sides:
            found.append(self.model.classifier)
        if "image" not in self.sides:
            found.append(self.model.image_classifier)
        return [part for part in found if isinstance(part, nn.Module)]

    def draw(self, batch: Batch, random: BatchRandom) -> Batch:
        """Scatter the places and change the images, in training.

        Args:
            batch: A batch on the CPU.
            random: Its source of random numbers.

        Returns:
            The batch.
        """
        batch = super().draw(batch, random)
        if not self.training or "image" not in self.sides or "image" not in batch:
            return batch
        return {**batch, "image": change_images(batch["image"], self.augmentation, random)}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the loss of each side.

        Args:
            batch: ``label`` ``(N,)`` or ``labels`` ``(N, K)``, ``lonlat`` ``(N, 2)``, ``image``
                and, for models that know time, ``date`` and ``hour`` ``(N,)``.

        Returns:
            ``{"loss"}``, the sum over the sides, and each of them by name, nats.
        """
        truth, parts = batch["labels" if self.label_sets else "label"], {}
        if "image" in self.sides:
            logits = self.model.image_logits(batch["image"], days=batch.get("days"))
            parts["image"] = self.compare(logits, truth)
        if "location" in self.sides:
            known = ~batch["lonlat"].isnan().any(dim=1)
            # Whoever has no place is asked at 0, 0 and not counted: not a number spreads backwards.
            places = torch.where(known[:, None], batch["lonlat"], 0.0)
            logits = self.model.class_logits(places, *times(batch))
            rows = known.view(-1, *(1,) * (truth.ndim - 1))
            parts["location"] = self.compare(logits, truth.where(rows, -1))
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    def compare(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Compute the loss of a side.

        Args:
            logits: ``(N, K)``.
            truth: Labels ``(N,)`` or label sets ``(N, K)``, -1 where unknown.

        Returns:
            Scalar, nats; 0 where nothing is known.
        """
        raise TypeError(f"{type(self).__name__} must define compare.")
