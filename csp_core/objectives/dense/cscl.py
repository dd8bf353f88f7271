"""CSCL: cells learn from masks which of their neighbours are of their own class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from csp_core import losses
from csp_core.augment.pixels import turn
from csp_core.data.batch import Batch
from csp_core.data.images import known_mask
from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError
from csp_core.model import DualEncoder, Heads, Prior
from csp_core.objectives.base import Objective
from csp_core.objectives.dense.checks import check_dense, check_pixels
from csp_core.objectives.draws import BatchRandom


class CSCL(Objective):
    """Context-self contrast: agree with neighbouring cells of one class, differ from others.

    The supervised relative of dense contrast. Each cell asks the cells of the window around it; its
    layers are the objective's own and dropped with it. Pixels without data neither ask nor answer.

    Args:
        model: The model to train; its image encoder gives a map as large as the image.
        dim: Size of what is compared, at least 2.
        window: Side of the window in cells, odd and at least 3.
        positive_weight: Weight of the cells of one class, at least 0.
        unit: Whether what is compared has unit length.
        masked: Whether the centre of a window, what lies beyond the edge and cells of unknown class
            are left out; False for the plain form of the release, where they count.
        flips: Whether images and masks are flipped and turned in training.

    Raises:
        ConfigError: If the image encoder gives no maps, or an option is out of range.

    Source:
        Tarasiou, Guler & Zafeiriou 2022, Context-self contrastive pre-training for crop type
        semantic segmentation, as in their released code.
    """

    learns_from = ("labels", "images")
    trains = ("image",)
    masks = True
    example_options: ClassVar[Mapping[str, Any]] = {"dim": 16}

    def __init__(
        self,
        model: DualEncoder,
        *,
        dim: int = 128,
        window: int = 3,
        positive_weight: float = losses.POSITIVE_WEIGHT,
        unit: bool = True,
        masked: bool = True,
        flips: bool = True,
    ) -> None:
        super().__init__(model)
        features = check_dense("cscl", model.image)
        if dim < 2 or window < 3 or window % 2 == 0 or not positive_weight >= 0:
            raise ConfigError(
                f"dim is {dim}, window {window} and positive_weight {positive_weight}; give at"
                " least 2, an odd number of at least 3, and at least 0."
            )
        self.window, self.positive_weight = window, positive_weight
        self.unit, self.masked, self.augments_images = unit, masked, flips
        self.query = nn.Conv2d(features, dim, 1, bias=False)
        self.key = nn.Conv2d(features, dim, 1, bias=False)
        self.down = nn.Parameter(torch.randn(dim // 2, window))
        self.right = nn.Parameter(torch.randn(dim - dim // 2, window))

    @classmethod
    def heads(cls, options: Mapping[str, Any]) -> Heads:
        """Ask for no heads: those of cells are the objective's own."""
        return Heads(image=None, classifiers=())

    @property
    def changes_images(self) -> bool:
        """Whether images are changed in training."""
        return self.augments_images

    def fit(self, dataset: RecordDataset, teacher: Prior | None = None) -> None:
        """Check that there are images of pixels with masks.

        Args:
            dataset: The training records.
            teacher: None: this objective learns from none.

        Raises:
            ConfigError: If there are none.
        """
        super().fit(dataset, teacher)
        check_pixels("cscl", self.model.image, dataset)

    def draw(self, batch: Batch, random: BatchRandom) -> Batch:
        """Flip and turn images with their masks, in training.

        Args:
            batch: A batch on the CPU.
            random: Its source of random numbers.

        Returns:
            The batch, in whose masks a pixel without data is unknown.
        """
        if "valid" in batch:
            batch = {**batch, "mask": known_mask(batch)}
        if not (self.training and self.augments_images):
            return batch
        way = random.uniform(1)[:, 0]
        image = batch["image"]
        frames = image.flatten(1, 2) if image.ndim == 5 else image
        changed: Batch = {**batch, "image": turn(frames, way).view_as(image)}
        changed["mask"] = turn(batch["mask"][:, None], way)[:, 0]
        if "valid" in batch:
            changed["valid"] = turn(batch["valid"][:, None], way)[:, 0]
        return changed

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the loss of all windows.

        Args:
            batch: ``image`` ``(N, C, H, W)`` or ``(N, T, C, H, W)``, ``mask`` ``(N, H, W)``, of
                series ``days``, and ``valid`` ``(N, H, W)`` where not all pixels have data.

        Returns:
            ``{"loss"}``.

        Raises:
            ConfigError: If the encoder's map is smaller than the mask.
        """
        encoder: Any = self.model.image
        days = (batch["days"],) if "days" in batch else ()
        maps: Tensor = encoder.dense_maps(batch["image"], *days)
        mask = batch["mask"]
        if maps.shape[2:] != mask.shape[1:]:
            raise ConfigError(
                f"The image encoder gives {tuple(maps.shape[2:])} cells for masks of"
                f" {tuple(mask.shape[1:])} pixels: cscl needs one for each, as of unet."
            )
        query, key = self.query(maps), self.key(maps)
        with torch.autocast(maps.device.type, enabled=False):
            similarity = losses.window_similarities(
                query.float(), key.float(), self.down, self.right, unit=self.unit
            )
            agrees, told = losses.window_agreement(mask, size=self.window)
            counts: Tensor | None = told
            if not self.masked:
                valid = batch.get("valid")
                counts = None if valid is None else losses.window_pairs(valid, size=self.window)
            loss = losses.cscl(
                similarity, agrees, counts=counts, positive_weight=self.positive_weight
            )
        return {"loss": loss}
