"""What objectives on pairs of an image and a place share: the check of the pairs, and the draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from csp_core.augment import augmentation as find_augmentation
from csp_core.data.batch import Batch
from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError
from csp_core.model import DualEncoder, Heads, Prior
from csp_core.objectives.base import Objective
from csp_core.objectives.draws import BatchRandom
from csp_core.objectives.rows import change_images


class Pairs(Objective):
    """Base of the objectives that learn from pairs of an image and a place.

    Args:
        model: The model to train, with both sides.
        jitter_km: Scatter of places in training; see ``Objective``.
        lock_image: Leave the image encoder as it is, so that the projection head alone learns on
            the image side.
        augmentation: Changes to images of pixels in training, a name in ``AUGMENTATIONS``, or
            None.
        shuffle_pairs: A control: give each image the place of a training record drawn anew at
            every step, in validation too, so that a pair says nothing of its image.

    Raises:
        ConfigError: If the model lacks a side.
    """

    learns_from = ("images", "places")
    trains: ClassVar[tuple[str, ...]] = ("image", "location")

    def __init__(
        self,
        model: DualEncoder,
        *,
        jitter_km: float | tuple[float, float] = 0.0,
        lock_image: bool = False,
        augmentation: str | None = None,
        shuffle_pairs: bool = False,
    ) -> None:
        super().__init__(model, jitter_km=jitter_km)
        if model.image is None or model.location is None:
            raise ConfigError(
                "CSP learns from pairs of an image and a place: give model.image, such as"
                " {name: features, dim: 2048}, beside model.location."
            )
        if augmentation is not None:
            find_augmentation(augmentation)
        self.lock_image, self.augmentation = lock_image, augmentation
        self.shuffle_pairs = shuffle_pairs
        self.everywhere: RecordDataset | None = None

    @classmethod
    def heads(cls, options: Mapping[str, Any]) -> Heads:
        """Ask for a projection head on the image side, and no classifier."""
        return Heads(classifiers=())

    def resting(self) -> list[nn.Module]:
        """List the image side where no part looks at it, the encoder alone where it is locked."""
        found = super().resting()
        return [*found, self.model.image] if self.lock_image and self.model.image else found

    def draw(self, batch: Batch, random: BatchRandom) -> Batch:
        """Break the pairs if asked to, scatter the places and change the images.

        Args:
            batch: A batch on the CPU.
            random: Its source of random numbers.

        Returns:
            The batch.
        """
        if self.shuffle_pairs and self.everywhere is not None:
            records, count = self.everywhere, len(self.everywhere)
            rows = random.rows(lambda g, n: torch.randint(count, (n,), generator=g))
            columns = {name: getattr(records, name)[rows] for name in ("lonlat", "date", "hour")}
            batch = {**batch, **columns}  # type: ignore[typeddict-item]
        batch = super().draw(batch, random)
        if not self.training or "image" not in batch:
            return batch
        return {**batch, "image": change_images(batch["image"], self.augmentation, random)}

    def fit(self, dataset: RecordDataset, teacher: Prior | None = None) -> None:
        """Check that every record is a pair; labels are not looked at.

        Args:
            dataset: The training records.
            teacher: None: this objective learns from none.

        Raises:
            ConfigError: If records lack an image or a place.
        """
        super().fit(dataset, teacher)
        if "image" not in dataset[0]:
            raise ConfigError(
                f"CSP learns from pairs of an image and a place; the data set {dataset.name!r} has"
                " no images. If it has an option to read them, turn that on."
            )
        missing = int(dataset.lonlat.isnan().any(dim=1).sum())
        if missing:
            raise ConfigError(f"{missing} training records of {dataset.name!r} have no place.")
        self.everywhere = dataset
