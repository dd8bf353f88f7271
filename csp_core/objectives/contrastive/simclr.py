"""SimCLR: pre-training an image encoder on two views of each image, without labels or places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from csp_core import losses
from csp_core.augment import augmentation as find_augmentation
from csp_core.data.batch import Batch
from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError
from csp_core.model import DualEncoder, Heads, Prior
from csp_core.objectives.base import Objective
from csp_core.objectives.draws import BatchRandom
from csp_core.objectives.gather import gather_rows
from csp_core.objectives.rows import change_images


class SimCLR(Objective):
    """SimCLR: tell the other view of an image from the views of all others.

    The baseline that learns from images alone: the location encoder stays as chance made it. The
    projection head gets a second layer, which is dropped with it.

    Args:
        model: The model to train, with an image encoder.
        temperature: Divisor of the cosines, above 0.
        augmentation: What makes the two views, a name in ``AUGMENTATIONS``.

    Raises:
        ConfigError: If the model has no image encoder, or an option is out of range.

    Source:
        Chen et al. 2020, A Simple Framework for Contrastive Learning of Visual Representations.
    """

    learns_from = ("images",)
    trains = ("image",)
    compares = True
    example_options: ClassVar[Mapping[str, Any]] = {"augmentation": "weak"}

    def __init__(
        self, model: DualEncoder, *, temperature: float = 0.2, augmentation: str = "strong"
    ) -> None:
        super().__init__(model)
        if model.image is None:
            raise ConfigError("SimCLR learns from images: give model.image.")
        if not temperature > 0:
            raise ConfigError(f"temperature is {temperature}; give more than 0.")
        find_augmentation(augmentation)
        self.temperature, self.augmentation = temperature, augmentation

    @classmethod
    def heads(cls, options: Mapping[str, Any]) -> Heads:
        """Ask for a projection head of two layers, and no classifier."""
        return Heads(image="two_layers", classifiers=())

    def fit(self, dataset: RecordDataset, teacher: Prior | None = None) -> None:
        """Check that there are images of pixels; labels and places are not looked at.

        Args:
            dataset: The training records.
            teacher: None: this objective learns from none.

        Raises:
            ConfigError: If there are no images.
        """
        super().fit(dataset, teacher)
        image = dataset[0].get("image")
        if image is None or image.ndim != 3:
            raise ConfigError(
                f"SimCLR makes views of images of pixels; the data set {dataset.name!r} has"
                f" {'none' if image is None else 'features instead'}."
            )

    def draw(self, batch: Batch, random: BatchRandom) -> Batch:
        """Make two views of each image; in evaluation too, where there is nothing else to compare.

        Args:
            batch: A batch on the CPU.
            random: Its source of random numbers.

        Returns:
            The batch with the first view as ``image`` and the other as ``view``.
        """
        first, other = (change_images(batch["image"], self.augmentation, random) for _ in range(2))
        return {**batch, "image": first, "view": other}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the loss of both views.

        Args:
            batch: ``image`` and ``view`` ``(N, C, H, W)``.

        Returns:
            ``{"loss"}``, nats.
        """
        number = len(batch["image"])
        both = self.model.embed_image(torch.cat((batch["image"], batch["view"])))
        with torch.autocast(both.device.type, enabled=False):
            first, other = torch.split(both.float(), number)
            views, start = [], 0
            for part in (first, other):
                # In evaluation each process has all rows already.
                joined, start = gather_rows(part) if self.training else (part, 0)
                views.append(joined)
            everyone, total = torch.cat(views), len(views[0])
            own = torch.arange(start, start + number, device=both.device)
            terms = [
                losses.nt_xent(view, everyone, there, here, temperature=self.temperature)
                for view, here, there in ((first, own, own + total), (other, own + total, own))
            ]
        return {"loss": torch.stack(terms).mean()}
