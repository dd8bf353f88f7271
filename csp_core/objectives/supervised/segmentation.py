"""Which class each pixel of a picture is of, from the masks of pictures."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from csp_core import losses
from csp_core.augment.together import DRAWS, change_together, find_together
from csp_core.data.batch import Batch
from csp_core.data.records import RecordDataset
from csp_core.data.streams import OneStream, Stream
from csp_core.errors import ConfigError
from csp_core.model import DualEncoder, Heads, Prior
from csp_core.objectives.base import Objective
from csp_core.objectives.draws import BatchRandom
from csp_core.objectives.gather import gather_rows
from csp_core.objectives.supervised.standard import measure_maps, rescale

MODES = ("full", "linear")
Mode = Literal["full", "linear"]


class Segmentation(Objective):
    """Cross-entropy over the pixels of pictures whose class is known.

    All known pixels of a batch count alike, whichever picture they are in, and however many
    processes share it. Pictures without a known pixel are left out of training.

    Args:
        model: The model to train, with an image encoder that keeps pixels.
        mode: ``full``, the encoder learns with the classifier of pixels; ``linear``, the encoder
            stays as it is, and the classifier, which is linear, learns alone. It learns on maps
            brought to mean 0 and spread 1, so that the learning rate does not hang on their scale,
            and answers on them as they are.
        class_weights: Weight of each class in training: ``none``, all alike; ``balanced``, one over
            its share of the training pixels; or a number for each class. They are brought to 1 in
            the mean; what is measured is not weighted.
        dice_weight: Weight of the soft Dice loss beside the cross-entropy, at least 0.
        augmentation: Changes to pictures and their masks together, a name in ``TOGETHER``: ``weak``
            flips and turns, ``medium`` also changes the light, ``strong`` also adds noise; or None.

    Raises:
        ConfigError: If the encoder keeps no pixels, or an option is out of range.
    """

    learns_from = ("labels", "images")
    trains = ("image", "classifier")
    augments = True
    masks = True
    example_options: ClassVar[Mapping[str, Any]] = {"augmentation": "weak"}
    class_weight: Tensor | None
    centre: Tensor | None
    spread: Tensor | None

    def __init__(
        self,
        model: DualEncoder,
        *,
        mode: Mode = "full",
        class_weights: str | Sequence[float] = "none",
        dice_weight: float = 0.0,
        augmentation: str | None = "weak",
    ) -> None:
        super().__init__(model)
        if mode not in MODES or not 0 <= dice_weight < float("inf"):
            raise ConfigError(
                f"mode is {mode!r} and dice_weight {dice_weight}; give one of {', '.join(MODES)}"
                " and a number of at least 0."
            )
        if augmentation is not None:
            find_together(augmentation)
        self.mode, self.dice_weight, self.augmentation = mode, dice_weight, augmentation
        weight = pixel_weights(model, class_weights)
        # Not persistent: it follows from the classes.
        self.register_buffer("class_weight", weight, persistent=False)
        # Nor are these: they follow from the training records, as ``fit`` finds them.
        self.register_buffer("centre", None, persistent=False)
        self.register_buffer("spread", None, persistent=False)

    @classmethod
    def heads(cls, options: Mapping[str, Any]) -> Heads:
        """Ask for a classifier of pixels, and no other head."""
        return Heads(image=None, classifiers=(), pixels=True)

    def fit(self, dataset: RecordDataset, teacher: Prior | None = None) -> None:
        """Check that a pixel of some picture is of a known class, and measure maps that rest.

        Args:
            dataset: The training records.
            teacher: None: this objective learns from none.

        Raises:
            ConfigError: If no class is known, or the records have no masks.
        """
        super().fit(dataset, teacher)
        if not bool(dataset.labelled().any()):
            raise ConfigError(
                f"None of {len(dataset):,} training pictures of the data set {dataset.name!r} has a"
                " pixel of a known class: give masks, or pre-train without any."
            )
        if self.mode == "linear" and self.centre is None:
            self.centre, self.spread = measure_maps(self.model, dataset)
            # What the model says at the start stays as it was.
            rescale(self.model, -self.centre / self.spread, 1 / self.spread)

    def settled(self, model: DualEncoder) -> DualEncoder:
        """Give the model as it answers: in the mode ``linear`` on maps of their own scale.

        Args:
            model: The model that trains, or an average of it.

        Returns:
            It, or a copy whose classifier of pixels does the scaling, too.
        """
        if self.centre is None or self.spread is None:
            return model
        found = copy.deepcopy(model)
        weight = next(found.parameters())
        rescale(found, self.centre.to(weight.device), self.spread.to(weight.device))
        return found

    def stream(self, dataset: RecordDataset, batch_size: int) -> Stream:
        """Leave out the pictures that no class is known of.

        Args:
            dataset: The training records.
            batch_size: Records of a step.

        Returns:
            Batches of all others, each once an epoch.
        """
        known = dataset.labelled()
        if bool(known.all()):
            return OneStream(dataset, batch_size)
        return OneStream(dataset, batch_size, rows=known.nonzero().flatten())

    def resting(self) -> list[nn.Module]:
        """List the other heads, what looks at places, and the encoder in the mode ``linear``."""
        model = self.model
        found = [model.image_head, model.image_classifier, model.location, model.location_head]
        found += [model.text, model.classifier, *([model.image] if self.mode == "linear" else [])]
        return [part for part in found if part is not None]

    def draw(self, batch: Batch, random: BatchRandom) -> Batch:
        """Change pictures and masks together, in training.

        Args:
            batch: A batch on the CPU.
            random: Its source of random numbers.

        Returns:
            The batch, in whose masks a pixel without data is unknown.
        """
        mask = known_mask(batch)
        if self.training and self.augmentation is not None:
            image, uniform, normal = batch["image"], random.uniform(DRAWS), None
            if find_together(self.augmentation).noise:
                normal = random.rows(
                    lambda generator, total: torch.randn(
                        (total, *image.shape[1:]), generator=generator
                    )
                )
            changed = change_together(image, mask[:, None], self.augmentation, uniform, normal)
            image, mask = changed[0], changed[1][:, 0]
            batch = {**batch, "image": image}
        known: Batch = {**batch, "mask": mask}
        known.pop("valid", None)
        return known

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the losses over the known pixels.

        Args:
            batch: ``image`` ``(N, C, H, W)`` or ``(N, T, C, H, W)`` with ``days`` ``(N, T)``, and
                ``mask`` ``(N, H, W)``.

        Returns:
            ``{"loss"}``, nats, and, where Dice counts, ``cross_entropy`` and ``dice``.
        """
        mask = batch["mask"]
        logits = self._logits(batch["image"], batch.get("days"))
        # Weights are part of learning, not of what is measured.
        weight = self.class_weight if self.training else None
        sums = losses.pixel_sums(logits, mask, class_weight=weight)
        entropy = losses.pixel_cross_entropy(*self._everyone(sums))
        if not self.dice_weight:
            return {"loss": entropy}
        dice = losses.soft_dice(*self._everyone(losses.overlap_sums(logits, mask)))
        loss = entropy + self.dice_weight * dice
        return {"loss": loss, "cross_entropy": entropy, "dice": dice}

    def _logits(self, image: Tensor, days: Tensor | None) -> Tensor:
        if self.centre is None or self.spread is None:
            return self.model.pixel_logits(image, days)
        assert self.model.pixel_classifier is not None
        maps = (self.model.pixel_maps(image, days) - self.centre) / self.spread
        logits: Tensor = self.model.pixel_classifier(maps)
        return logits

    def _everyone(self, sums: tuple[Tensor, ...]) -> list[Tensor]:
        """Join the sums of the pictures of all processes, of which some know more pixels."""
        return [gather_rows(each)[0] if self.training else each for each in sums]


def known_mask(batch: Batch) -> Tensor:
    """Give the masks of a batch, unknown where its pictures have no data.

    Args:
        batch: A batch with masks.

    Returns:
        ``(N, H, W)`` int64, -1 where unknown.
    """
    mask = batch["mask"]
    return mask.where(batch["valid"], -1) if "valid" in batch else mask


def pixel_weights(model: DualEncoder, weights: str | Sequence[float]) -> Tensor | None:
    """Give the weight of each class in a loss over pixels.

    Args:
        model: The model, whose classes are counted in pixels.
        weights: ``none``, ``balanced``, or a number for each class, above 0.

    Returns:
        ``(K,)``, 1 in the mean; None where all classes weigh alike. Balanced, a class without a
        training pixel weighs 1.

    Raises:
        ConfigError: If the weights are none of these.
    """
    if weights == "none":
        return None
    if weights == "balanced":
        counts = torch.tensor(model.classes.counts, dtype=torch.float32)
        seen = counts > 0
        found = torch.where(seen, counts.sum() / counts.clamp_min(1), 1.0)
        found[seen] /= found[seen].mean()
        return found
    names, given = model.classes.names, () if isinstance(weights, str) else tuple(weights)
    if len(given) != len(names) or not all(0 < value < float("inf") for value in given):
        raise ConfigError(
            f"class_weights is {weights}; give none, balanced, or {len(names)} numbers above 0, one"
            f" for each of {', '.join(names[:5])}{', …' if len(names) > 5 else ''}."
        )
    each = torch.tensor(given, dtype=torch.float32)
    return each / each.mean()
