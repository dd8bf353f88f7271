"""Objectives: one table of everything that can train a model."""

from __future__ import annotations

from typing import Any

from csp_core.model import DualEncoder
from csp_core.objectives.base import BatchRandom, Objective
from csp_core.objectives.csp import CSPMC, CSPMSE, CSPNCE
from csp_core.objectives.pictures import ImageSoftmax
from csp_core.objectives.presence import ANSLDS, ANSSDL, ANFull, GeoPrior
from csp_core.objectives.simclr import SimCLR
from csp_core.objectives.supervised import Softmax, SoftTargets
from csp_core.tables import construct

__all__ = ["OBJECTIVES", "BatchRandom", "Objective", "make_objective"]

OBJECTIVES: dict[str, type[Objective]] = {
    "softmax": Softmax,
    "soft_targets": SoftTargets,
    "image_softmax": ImageSoftmax,
    "geo_prior": GeoPrior,
    "an_full": ANFull,
    "an_ssdl": ANSSDL,
    "an_slds": ANSLDS,
    "csp_mc": CSPMC,
    "csp_nce": CSPNCE,
    "csp_mse": CSPMSE,
    "simclr": SimCLR,
}


def make_objective(name: str, model: DualEncoder, **options: Any) -> Objective:
    """Make an objective that trains a model.

    Args:
        name: A name in ``OBJECTIVES``.
        model: The model; its ``prior_kind`` becomes the objective's.
        **options: Options of the objective.

    Returns:
        The objective, which owns the model.

    Raises:
        UnknownNameError: If the objective is unknown.
        ConfigError: If an option is unknown or out of range.
    """
    objective = construct("objective", OBJECTIVES, name, model, **options)
    model.prior_kind = objective.prior_kind
    return objective
