"""CSP: pre-training a location encoder on pairs of an image and its place, without labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from csp_core import losses
from csp_core.data.batch import Batch
from csp_core.errors import ConfigError
from csp_core.model import DualEncoder, Heads, see
from csp_core.objectives.contrastive.csp_parts import Contrastive
from csp_core.objectives.contrastive.pairs import Pairs
from csp_core.objectives.rows import times


class CSPMC(Contrastive):
    """CSP-MC: each part a softmax over candidates. Options as in ``Contrastive``.

    Source:
        Mai et al. 2023, CSP, "CSP-MC-BLD".
    """

    def among(
        self, similarity: Tensor, target: Tensor, temperature: float | Tensor, weight: Tensor | None
    ) -> Tensor:
        """Find the partner among the candidates; see ``Contrastive.among``."""
        return losses.info_nce(similarity, target, temperature=temperature, weight=weight)

    def away(
        self, own: Tensor, away: Tensor, temperature: float | Tensor, weight: Tensor | None
    ) -> Tensor:
        """Find the own place among random ones; see ``Contrastive.away``."""
        target = torch.zeros(len(own), dtype=torch.int64, device=own.device)
        if weight is not None:
            weight = torch.cat((torch.ones_like(own), weight), dim=1)
        return self.among(torch.cat((own, away), dim=1), target, temperature, weight)


class CSPNCE(Contrastive):
    """CSP-NCE: each part one binary decision a pair. Options as in ``Contrastive``.

    The two directions of ``symmetric`` differ only under a mask.

    Source:
        Mai et al. 2023, CSP, "CSP-NCE-BLD".
    """

    def among(
        self, similarity: Tensor, target: Tensor, temperature: float | Tensor, weight: Tensor | None
    ) -> Tensor:
        """Tell the partner from each other candidate; see ``Contrastive.among``."""
        return losses.binary_nce(
            similarity, target, temperature=temperature, weight=weight, exact=self.compat is None
        )

    def away(
        self, own: Tensor, away: Tensor, temperature: float | Tensor, weight: Tensor | None
    ) -> Tensor:
        """Turn random places away; see ``Contrastive.away``."""
        exact = self.compat is None
        return losses.binary_negatives(away, temperature=temperature, weight=weight, exact=exact)


class CSPFeatures(CSPMC):
    """CSP-MC whose places also predict the features of their images, as those of the baseline MSE.

    Telling pairs apart pulls all places apart, and keeps little of what far places share; the
    features that they predict do. The image encoder stays as it is.

    Args:
        model: The model to train, with both sides.
        batch_weight: Weight of the in-batch part: a place against the images of the batch.
        features_weight: Weight of the squared error of the features, mean over them, above 0.
        batch_temperature: Divisor of the similarities of the in-batch part, above 0.
        learn_temperature: Learn it from there; see ``Contrastive``.
        symmetric: See ``Contrastive``.
        jitter_km: Scatter of places in training; see ``Objective``.
        shuffle_pairs: See ``Pairs``.

    Raises:
        ConfigError: If an option is out of range.

    Source:
        Mai et al. 2023, CSP: the in-batch part of "CSP-MC-BLD" beside "MSE".
    """

    def __init__(
        self,
        model: DualEncoder,
        *,
        batch_weight: float = 0.03,
        features_weight: float = 1.0,
        batch_temperature: float = 0.07,
        learn_temperature: bool = True,
        symmetric: bool = True,
        jitter_km: float | tuple[float, float] = 0.0,
        shuffle_pairs: bool = False,
    ) -> None:
        super().__init__(
            model,
            batch_weight=batch_weight,
            random_weight=0.0,
            dropout_weight=0.0,
            batch_temperature=batch_temperature,
            learn_temperature=learn_temperature,
            symmetric=symmetric,
            jitter_km=jitter_km,
            lock_image=True,
            shuffle_pairs=shuffle_pairs,
        )
        if not 0 < features_weight < math.inf:
            raise ConfigError(f"features_weight is {features_weight}; give more than 0.")
        self.weights["features"] = features_weight

    @classmethod
    def heads(cls, options: Mapping[str, Any]) -> Heads:
        """Ask for a projection head on each side, and the temperature where it is learned.

        Args:
            options: All options of the objective.

        Returns:
            The heads.
        """
        others = {"random_weight": 0.0, "dropout_weight": 0.0, "deep_head": False}
        others |= {"random_temperature": 1.0, "dropout_temperature": 1.0}
        return replace(super().heads({**options, **others}), location="linear")

    def _parts(
        self,
        batch: Batch,
        place: Tensor,
        again: Tensor,
        image: Tensor | None,
        random: Tensor | None,
    ) -> dict[str, Tensor]:
        """Add the part of the features to those of CSP-MC."""
        parts = super()._parts(batch, place, again, image, random)
        assert self.model.image is not None and self.model.location_head is not None
        with torch.no_grad():
            feature = see(self.model.image, batch["image"], batch.get("days")).float()
        prediction = self.model.location_head(place).float()
        return {**parts, "features": losses.feature_regression(prediction, feature)}


class CSPMSE(Pairs):
    """The baseline MSE: predict an image's features from its place; no negatives.

    The projection head stands on the location side, and the image encoder stays as it is: features
    that could learn would only learn to be easy to predict.

    Args:
        model: The model to train, with both sides.
        jitter_km: Scatter of places in training; see ``Objective``.
        shuffle_pairs: See ``Pairs``.

    Source:
        Mai et al. 2023, CSP, "MSE".
    """

    trains = ("location",)

    def __init__(
        self,
        model: DualEncoder,
        *,
        jitter_km: float | tuple[float, float] = 0.0,
        shuffle_pairs: bool = False,
    ) -> None:
        super().__init__(model, jitter_km=jitter_km, shuffle_pairs=shuffle_pairs)

    @classmethod
    def heads(cls, options: Mapping[str, Any]) -> Heads:
        """Ask for the projection head on the location side."""
        return Heads(image=None, location="linear", classifiers=())

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the squared error.

        Args:
            batch: ``lonlat`` ``(N, 2)`` and ``image``.

        Returns:
            ``{"loss"}``, mean over records and features.
        """
        assert self.model.image is not None  # the constructor has seen to it
        with torch.no_grad():
            feature = see(self.model.image, batch["image"], batch.get("days")).float()
        prediction = self.model.predict_features(batch["lonlat"], *times(batch)).float()
        return {"loss": losses.feature_regression(prediction, feature)}
