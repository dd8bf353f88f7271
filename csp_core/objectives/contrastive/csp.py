"""CSP: pre-training a location encoder on pairs of an image and its place, without labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from csp_core import losses
from csp_core.data.batch import Batch
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
