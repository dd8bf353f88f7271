"""Presence-only objectives: recorded classes against places or classes drawn at random."""

from __future__ import annotations

import torch
from torch import Tensor

from csp_core import losses
from csp_core.data.batch import Batch
from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError
from csp_core.model import DualEncoder, Prior
from csp_core.objectives.background import make_background
from csp_core.objectives.base import Objective
from csp_core.objectives.draws import BatchRandom
from csp_core.objectives.rows import times

SINR_WEIGHT = 2048.0


class _AgainstBackground(Objective):
    """Base of the objectives that draw one background point for each record.

    For models that know time, a background point has the time of its record. With a time of its
    own, the seasons in which people record would tell records from background, whatever the place.

    Args:
        model: The model to train.
        background: A name in ``BACKGROUNDS``.
        exact: Use log-sigmoid instead of the published -log(p + 1e-5).
        jitter_km: Scatter of places in training; see ``Objective``.
    """

    augments = False
    prior_kind = "relative"

    def __init__(
        self,
        model: DualEncoder,
        *,
        background: str,
        exact: bool,
        jitter_km: float | tuple[float, float],
    ) -> None:
        super().__init__(model, jitter_km=jitter_km)
        self.background, self.exact = make_background(background), exact

    def fit(self, dataset: RecordDataset, teacher: Prior | None = None) -> None:
        """Show the background the training records.

        Args:
            dataset: The training records.
            teacher: None: this objective learns from none.
        """
        super().fit(dataset, teacher)
        self.background.fit(dataset)

    def draw(self, batch: Batch, random: BatchRandom) -> Batch:
        """Scatter the places and add background points.

        Args:
            batch: A batch on the CPU.
            random: Its source of random numbers.

        Returns:
            The batch with ``background`` ``(N, 2)``.
        """
        batch = super().draw(batch, random)
        return {**batch, "background": random.rows(self.background.draw)}


class GeoPrior(_AgainstBackground):
    """The presence-only loss of the geographical prior.

    Args:
        model: The model to train.
        positive_weight: Weight of the recorded class; the number of classes if None.
        background_weight: Weight of the background term, at least 0.
        background: Where background points are drawn, a name in ``BACKGROUNDS``.
        exact: Use log-sigmoid instead of the published -log(p + 1e-5).
        jitter_km: Scatter of places in training; see ``Objective``.

    Source:
        Mac Aodha et al. 2019, eq. 7.
    """

    def __init__(
        self,
        model: DualEncoder,
        *,
        positive_weight: float | None = None,
        background_weight: float = 1.0,
        background: str = "sphere",
        exact: bool = False,
        jitter_km: float | tuple[float, float] = 0.0,
    ) -> None:
        super().__init__(model, background=background, exact=exact, jitter_km=jitter_km)
        if background_weight < 0 or (positive_weight is not None and positive_weight <= 0):
            raise ConfigError(
                f"positive_weight is {positive_weight} and background_weight {background_weight};"
                " give more than 0 and at least 0."
            )
        self.positive_weight, self.background_weight = positive_weight, background_weight

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the presence-only loss.

        Args:
            batch: ``lonlat`` and ``background`` ``(N, 2)``, ``label`` ``(N,)``.

        Returns:
            ``{"loss"}``.
        """
        loss = losses.geo_prior(
            self.model.class_logits(batch["lonlat"], *times(batch)),
            self.model.class_logits(batch["background"], *times(batch)),
            batch["label"],
            positive_weight=self.positive_weight,
            background_weight=self.background_weight,
            exact=self.exact,
        )
        return {"loss": loss}


class ANFull(GeoPrior):
    """SINR's AN-full: the geographical prior's loss with one weight, however many classes.

    Args:
        model: The model to train.
        positive_weight: Weight of the recorded class, above 0.
        background: Where background points are drawn, a name in ``BACKGROUNDS``.
        exact: Use log-sigmoid instead of the published -log(p + 1e-5).
        jitter_km: Scatter of places in training; see ``Objective``.

    Source:
        Cole et al. 2023, Spatial Implicit Neural Representations, "full assume negative".
    """

    def __init__(
        self,
        model: DualEncoder,
        *,
        positive_weight: float = SINR_WEIGHT,
        background: str = "sphere",
        exact: bool = False,
        jitter_km: float | tuple[float, float] = 0.0,
    ) -> None:
        super().__init__(
            model,
            positive_weight=positive_weight,
            background=background,
            exact=exact,
            jitter_km=jitter_km,
        )


class ANSSDL(_AgainstBackground):
    """SINR's AN-SSDL: the recorded class here and not at one background point.

    Args:
        model: The model to train.
        background: Where background points are drawn, a name in ``BACKGROUNDS``.
        exact: Use log-sigmoid instead of the published -log(p + 1e-5).
        jitter_km: Scatter of places in training; see ``Objective``.

    Source:
        Cole et al. 2023, "assume negative, same species, different location".
    """

    def __init__(
        self,
        model: DualEncoder,
        *,
        background: str = "sphere",
        exact: bool = False,
        jitter_km: float | tuple[float, float] = 0.0,
    ) -> None:
        super().__init__(model, background=background, exact=exact, jitter_km=jitter_km)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the loss.

        Args:
            batch: ``lonlat`` and ``background`` ``(N, 2)``, ``label`` ``(N,)``.

        Returns:
            ``{"loss"}``.
        """
        here = self.model.class_logits(batch["lonlat"], *times(batch))
        there = self.model.class_logits(batch["background"], *times(batch))
        return {"loss": losses.an_ssdl(here, there, batch["label"], exact=self.exact)}


class ANSLDS(Objective):
    """SINR's AN-SLDS: the recorded class here, and one other class, drawn at random, not.

    Args:
        model: The model to train, of two classes or more.
        exact: Use log-sigmoid instead of the published -log(p + 1e-5).
        jitter_km: Scatter of places in training; see ``Objective``.

    Raises:
        ConfigError: If there is no other class.

    Source:
        Cole et al. 2023, "assume negative, same location, different species".
    """

    augments = False
    prior_kind = "relative"

    def __init__(
        self,
        model: DualEncoder,
        *,
        exact: bool = False,
        jitter_km: float | tuple[float, float] = 0.0,
    ) -> None:
        super().__init__(model, jitter_km=jitter_km)
        if len(model.classes) < 2:
            raise ConfigError(
                f"an_slds sets each class against another; the model has {len(model.classes)}."
            )
        self.exact = exact

    def draw(self, batch: Batch, random: BatchRandom) -> Batch:
        """Scatter the places and draw another class for each record.

        Args:
            batch: A batch on the CPU.
            random: Its source of random numbers.

        Returns:
            The batch with ``absent`` ``(N,)``, uniform over the classes not recorded.
        """
        batch = super().draw(batch, random)
        others = len(self.model.classes) - 1
        drawn = random.rows(lambda generator, n: torch.randint(others, (n,), generator=generator))
        return {**batch, "absent": drawn + (drawn >= batch["label"])}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the loss.

        Args:
            batch: ``lonlat`` ``(N, 2)``, ``label`` and ``absent`` ``(N,)``.

        Returns:
            ``{"loss"}``.
        """
        logits = self.model.class_logits(batch["lonlat"], *times(batch))
        loss = losses.an_slds(logits, batch["label"], batch["absent"], exact=self.exact)
        return {"loss": loss}
