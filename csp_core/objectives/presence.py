"""Presence-only objectives: recorded classes against places drawn at random."""

from __future__ import annotations

from torch import Tensor

from csp_core import geo, losses
from csp_core.data.batch import Batch
from csp_core.errors import ConfigError
from csp_core.model import DualEncoder
from csp_core.objectives.base import BatchRandom, Objective


class GeoPrior(Objective):
    """The presence-only loss of the geographical prior, with background uniform on the sphere.

    Args:
        model: The model to train.
        positive_weight: Weight of the recorded class; the number of classes if None.
        background_weight: Weight of the background term, at least 0.
        exact: Use log-sigmoid instead of the published -log(p + 1e-5).
        jitter_km: Scatter of places in training; see ``Objective``.

    Source:
        Mac Aodha et al. 2019, eq. 7.
    """

    prior_kind = "relative"

    def __init__(
        self,
        model: DualEncoder,
        *,
        positive_weight: float | None = None,
        background_weight: float = 1.0,
        exact: bool = False,
        jitter_km: float | tuple[float, float] = 0.0,
    ) -> None:
        super().__init__(model, jitter_km=jitter_km)
        if background_weight < 0 or (positive_weight is not None and positive_weight <= 0):
            raise ConfigError(
                f"positive_weight is {positive_weight} and background_weight {background_weight};"
                " give more than 0 and at least 0."
            )
        self.positive_weight, self.background_weight = positive_weight, background_weight
        self.exact = exact

    def draw(self, batch: Batch, random: BatchRandom) -> Batch:
        """Scatter the places and add background points.

        Args:
            batch: A batch on the CPU.
            random: Its source of random numbers.

        Returns:
            The batch with ``background`` ``(N, 2)``, uniform on the sphere.
        """
        batch = super().draw(batch, random)
        return {**batch, "background": geo.sphere_points(random.uniform(2))}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the presence-only loss.

        Args:
            batch: ``lonlat`` and ``background`` ``(N, 2)``, ``label`` ``(N,)``.

        Returns:
            ``{"loss"}``.
        """
        loss = losses.geo_prior(
            self.model.class_logits(batch["lonlat"]),
            self.model.class_logits(batch["background"]),
            batch["label"],
            positive_weight=self.positive_weight,
            background_weight=self.background_weight,
            exact=self.exact,
        )
        return {"loss": loss}
