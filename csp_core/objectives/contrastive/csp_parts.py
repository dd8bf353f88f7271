"""What CSP's two contrastive objectives share: the three parts, on embeddings of pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from csp_core import losses
from csp_core.data.batch import Batch
from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError
from csp_core.location.base import is_reference
from csp_core.model import DualEncoder, Heads, Prior
from csp_core.objectives.background import make_sampler
from csp_core.objectives.contrastive.pairs import Pairs
from csp_core.objectives.draws import BatchRandom
from csp_core.objectives.gather import gather_rows
from csp_core.objectives.rows import join_times, times

# A learned temperature stays between these; the lower one is that of CLIP.
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.01, 100.0
PARTS = ("in_batch", "random", "dropout")
RECALL_AT = 10


class Contrastive(Pairs):
    """Base of the two contrastive objectives, whose three parts are one formula on other matrices.

    A part of weight 0 is not computed. In evaluation there is no dropout: the dropout part then
    compares places with themselves, which measures how far apart they lie.

    Args:
        model: The model to train, with both sides.
        batch_weight: Weight of the in-batch part: a place against the images of the batch.
        random_weight: Weight of the random-location part: an image against its place and places
            drawn at random.
        dropout_weight: Weight of the dropout part: a place against the places of the batch, seen
            under another dropout mask.
        batch_temperature: Divisor of the similarities of the in-batch part, above 0.
        random_temperature: The same of the random-location part.
        dropout_temperature: The same of the dropout part.
        learn_temperature: Learn the temperatures of the two parts with images from there, held in
            [0.01, 100]. That of the dropout part stays: no image holds it back from driving all
            places apart.
        symmetric: Also find the place among those of the batch given an image; the in-batch part is
            then the mean of the two directions (their sum in ``compat``).
        deep_head: Give the projection head a second layer, as SimCLR does.
        num_random: Random places for each record.
        random_places: Where they are drawn: a name in ``BACKGROUNDS``, or in ``compat``
            ``quadrant`` or ``ellipse``; None for ``sphere``, or ``ellipse`` in ``compat``.
        mask_km: Pairs of records closer than this are no negatives of each other; 0 for no mask.
        mask_weight: Weight left to such pairs, in [0, 1].
        compat: ``"reference"`` for the published forms: -log(p + 1e-5), directions added up, the
            scripts' source of random places.
        jitter_km: Scatter of places in training; see ``Objective``.
        lock_image: See ``Pairs``.
        augmentation: See ``Pairs``.
        shuffle_pairs: See ``Pairs``.

    Raises:
        ConfigError: If an option is out of range, or dropout is asked of an encoder without.
    """

    compares = True

    def __init__(
        self,
        model: DualEncoder,
        *,
        batch_weight: float = 1.0,
        random_weight: float = 1.0,
        dropout_weight: float = 1.0,
        batch_temperature: float = 0.07,
        random_temperature: float = 0.07,
        dropout_temperature: float = 1.0,
        learn_temperature: bool = True,
        symmetric: bool = True,
        deep_head: bool = False,
        num_random: int = 1,
        random_places: str | None = None,
        mask_km: float = 0.0,
        mask_weight: float = 0.0,
        compat: Literal["reference"] | None = None,
        jitter_km: float | tuple[float, float] = 0.0,
        lock_image: bool = False,
        augmentation: str | None = None,
        shuffle_pairs: bool = False,
    ) -> None:
        super().__init__(
            model,
            jitter_km=jitter_km,
            lock_image=lock_image,
            augmentation=augmentation,
            shuffle_pairs=shuffle_pairs,
        )
        temperatures = (batch_temperature, random_temperature, dropout_temperature)
        self.weights = dict(zip(PARTS, (batch_weight, random_weight, dropout_weight), strict=True))
        self.temperatures = dict(zip(PARTS, temperatures, strict=True))
        _check_options(self.weights, self.temperatures)
        _check_negatives(num_random, mask_km, mask_weight)
        self.symmetric, self.num_random, self.compat = symmetric, num_random, compat
        self.mask_km, self.mask_weight = mask_km, mask_weight
        if dropout_weight and not _has_dropout(model.location):
            raise ConfigError(
                "The dropout part sets two dropout masks against each other, and the location"
                " encoder has no dropout: give its network one, or dropout_weight=0."
            )
        self.sampler = make_sampler(random_places, published=is_reference(compat))
        self.sees_images = bool(batch_weight or random_weight)
        self.learn_temperature = learn_temperature and self.sees_images

    @classmethod
    def heads(cls, options: Mapping[str, Any]) -> Heads:
        """Ask for a projection head, and temperatures where they are learned.

        Args:
            options: All options of the objective.

        Returns:
            The heads; where no part looks at an image, there is nothing to deepen or to learn.
        """
        weights = {part: options[f"{part}_weight"] for part in ("batch", "random", "dropout")}
        starts = {part: options[f"{part}_temperature"] for part in weights}
        _check_options(weights, starts)
        sees = bool(weights["batch"] or weights["random"])
        deep = sees and options["deep_head"]
        return Heads(
            image="two_layers" if deep else "linear",
            classifiers=(),
            # Without a part that looks at images, nothing brings them to the places.
            shared=bool(sees) if deep or not sees else None,
            temperatures=(starts["batch"], starts["random"])
            if sees and options["learn_temperature"]
            else None,
        )

    def resting(self) -> list[nn.Module]:
        """List the image side where no part looks at it; see ``Pairs``."""
        found = super().resting()
        if self.sees_images:
            return found
        image_side = (self.model.image, self.model.image_head)
        return [*found, *(part for part in image_side if part is not None and part not in found)]

    def fit(self, dataset: RecordDataset, teacher: Prior | None = None) -> None:
        """Check the pairs and show the source of random places the training records.

        Args:
            dataset: The training records.
            teacher: None: this objective learns from none.
        """
        super().fit(dataset, teacher)
        self.sampler.fit(dataset)

    def draw(self, batch: Batch, random: BatchRandom) -> Batch:
        """Scatter the places and draw random ones.

        Args:
            batch: A batch on the CPU.
            random: Its source of random numbers.

        Returns:
            The batch with ``random_lonlat`` ``(N, C, 2)``, if that part has a weight.
        """
        batch, number = super().draw(batch, random), self.num_random
        if not self.weights["random"]:
            return batch
        drawn = random.rows(lambda g, n: self.sampler.draw(g, n * number).view(n, number, 2))
        return {**batch, "random_lonlat": drawn}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the parts that have a weight.

        Args:
            batch: ``lonlat`` ``(N, 2)``, ``image``, and ``random_lonlat`` ``(N, C, 2)``.

        Returns:
            ``{"loss"}``, the parts ``"in_batch"``, ``"random"`` and ``"dropout"`` that have a
            weight and, in evaluation, how near a place is to its image: ``"alignment"``, their
            mean cosine, and ``"recall_at_10"``, how often the image is among the place's first 10.
        """
        if self.training and self.learn_temperature and self.model.log_scale is not None:
            with torch.no_grad():
                self.model.log_scale.clamp_(
                    -math.log(MOST_TEMPERATURE), -math.log(LEAST_TEMPERATURE)
                )
        place, again, random = self._embed_places(batch)
        days = batch.get("days")
        image = self.model.embed_image(batch["image"], days=days) if self.sees_images else None
        # Similarities are divided by small temperatures: half precision is too coarse for them.
        with torch.autocast(place.device.type, enabled=False):
            parts = self._parts(batch, place.float(), again.float(), image, random)
            weighted = [self.weights[name] * value for name, value in parts.items()]
            if image is not None and not self.training:
                parts |= _retrieval(losses.similarities(place.float(), image.float()))
        return {"loss": torch.stack(weighted).sum(), **parts}

    def _embed_places(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        """Embed the places, again under another mask, and the random ones: one pass for all."""
        lonlat, number = batch["lonlat"], self.num_random
        places, often = [lonlat], [1]
        if twice := self.training and self.weights["dropout"] > 0:
            places.append(lonlat)
            often.append(1)
        if self.weights["random"]:
            places.append(batch["random_lonlat"].flatten(0, 1))
            often.append(number)
        # A random place has the time of its record: the image is to tell where, not when.
        date, hour = (
            None if time is None else join_times(*(time.repeat_interleave(n) for n in often))
            for time in times(batch)
        )
        joined = self.model.embed_location(torch.cat(places), date, hour)
        embedded = torch.split(joined, [len(some) for some in places])
        shape = (len(lonlat), self.num_random, -1)
        random = embedded[-1].view(shape) if self.weights["random"] else None
        return embedded[0], embedded[int(twice)], random

    def _parts(
        self,
        batch: Batch,
        place: Tensor,
        again: Tensor,
        image: Tensor | None,
        random: Tensor | None,
    ) -> dict[str, Tensor]:
        """Compute each part that has a weight, from embeddings ``(N, dim)``."""
        lonlat, parts = batch["lonlat"], {}
        weight = self._mask(lonlat, self._everyone(lonlat)[0]) if self.mask_km else None
        if image is not None and self.weights["in_batch"]:
            parts["in_batch"] = self._in_batch(place, image.float(), weight)
        if image is not None and random is not None:
            far = batch["random_lonlat"]
            near = self._mask(lonlat[:, None], far)[:, 0] if self.mask_km else None
            own = F.cosine_similarity(image.float(), place)[:, None]  # (N, 1)
            away = F.cosine_similarity(image.float()[:, None], random.float(), dim=2)  # (N, C)
            parts["random"] = self.away(own, away, self._temperature("random"), near)
        if self.weights["dropout"]:
            everyone, start = self._everyone(again)
            similarity = losses.similarities(place, everyone)
            parts["dropout"] = self.among(
                similarity, _own(place, start), self._temperature("dropout"), weight
            )
        return parts

    def _in_batch(self, place: Tensor, image: Tensor, weight: Tensor | None) -> Tensor:
        temperature = self._temperature("in_batch")
        images, start = self._everyone(image)
        similarity, target = losses.similarities(place, images), _own(place, start)
        loss = self.among(similarity, target, temperature, weight)
        if not self.symmetric:
            return loss
        # Distance has no direction, so the mask serves both.
        if len(images) == len(image):
            reverse = similarity.mT
        else:
            reverse = losses.similarities(image, self._everyone(place)[0])
        other = self.among(reverse, target, temperature, weight)
        return loss + other if self.compat else (loss + other) / 2

    def _everyone(self, rows: Tensor) -> tuple[Tensor, int]:
        """Join the rows of all processes; in evaluation each has all rows already."""
        return gather_rows(rows) if self.training else (rows, 0)

    def _mask(self, lonlat: Tensor, others: Tensor) -> Tensor:
        return losses.negative_weight(lonlat, others, mask_km=self.mask_km, near=self.mask_weight)

    def _temperature(self, part: str) -> float | Tensor:
        scale = self.model.log_scale
        if part == "dropout" or scale is None or not self.learn_temperature:
            return self.temperatures[part]
        return (-scale[PARTS.index(part)]).exp()

    def among(
        self, similarity: Tensor, target: Tensor, temperature: float | Tensor, weight: Tensor | None
    ) -> Tensor:
        """Compute the formula of the in-batch and dropout parts.

        Args:
            similarity: ``(N, M)``, each row one anchor against its candidates.
            target: ``(N,)`` int64, the column of each row's partner.
            temperature: Divisor of the similarities.
            weight: ``(N, M)`` weights of the candidates, or None.

        Returns:
            Scalar.
        """
        raise TypeError(f"{type(self).__name__} must define among.")

    def away(
        self, own: Tensor, away: Tensor, temperature: float | Tensor, weight: Tensor | None
    ) -> Tensor:
        """Compute the formula of the random-location part.

        Args:
            own: ``(N, 1)`` similarity of each image to its place.
            away: ``(N, C)`` similarity to random places.
            temperature: Divisor of the similarities.
            weight: ``(N, C)`` weights of the random places, or None.

        Returns:
            Scalar.
        """
        raise TypeError(f"{type(self).__name__} must define away.")


def _check_options(weights: dict[str, float], temperatures: dict[str, float]) -> None:
    if min(weights.values()) < 0 or not any(weights.values()):
        raise ConfigError(
            f"The weights of the parts are {weights}; give at least 0, and more to one of them."
        )
    if not all(0 < value < math.inf for value in temperatures.values()):
        raise ConfigError(f"The temperatures of the parts are {temperatures}; give more than 0.")


def _check_negatives(num_random: int, mask_km: float, mask_weight: float) -> None:
    if num_random < 1 or not mask_km >= 0 or not 0 <= mask_weight <= 1:
        raise ConfigError(
            f"num_random is {num_random}, mask_km {mask_km} and mask_weight {mask_weight}; give"
            " at least 1, kilometres of at least 0 and a weight in [0, 1]."
        )


def _has_dropout(module: nn.Module | None) -> bool:
    kinds = (nn.Dropout, nn.AlphaDropout)
    return module is not None and any(isinstance(m, kinds) and m.p > 0 for m in module.modules())


def _own(rows: Tensor, start: int) -> Tensor:
    """Number the own rows in the global batch."""
    return torch.arange(start, start + len(rows), device=rows.device)


def _retrieval(similarity: Tensor) -> dict[str, Tensor]:
    own = similarity.diagonal()
    nearer = (similarity > own[:, None]).sum(dim=1)
    # Equal similarities share the middle of their ranks; the own one equals itself.
    ties = (similarity == own[:, None]).sum(dim=1) - 1
    recall = (1 + nearer + 0.5 * ties <= RECALL_AT).float().mean()
    return {"alignment": own.mean(), f"recall_at_{RECALL_AT}": recall}
