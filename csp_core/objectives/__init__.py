"""Objectives: one table of everything that can train a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from csp_core.model import DualEncoder, Heads
from csp_core.objectives.base import Objective
from csp_core.objectives.clip import FAMILY
from csp_core.objectives.contrastive import CSPMC, CSPMSE, CSPNCE, CSPFeatures, SimCLR
from csp_core.objectives.dense import CSCL, DenseContrast
from csp_core.objectives.draws import BatchRandom
from csp_core.objectives.presence import ANSLDS, ANSSDL, ANFull, GeoPrior
from csp_core.objectives.semisup import METHODS
from csp_core.objectives.supervised import (
    ImageSoftmax,
    LabelSets,
    Segmentation,
    SoftLabelSets,
    Softmax,
    SoftScores,
    SoftTargets,
)
from csp_core.tables import check_options, construct, lookup, option_names

__all__ = ["OBJECTIVES", "BatchRandom", "Objective", "heads_for", "make_objective"]

OBJECTIVES: dict[str, type[Objective]] = {
    "softmax": Softmax,
    "soft_targets": SoftTargets,
    "image_softmax": ImageSoftmax,
    "label_sets": LabelSets,
    "segmentation": Segmentation,
    "soft_label_sets": SoftLabelSets,
    "soft_scores": SoftScores,
    "geo_prior": GeoPrior,
    "an_full": ANFull,
    "an_ssdl": ANSSDL,
    "an_slds": ANSLDS,
    "csp_mc": CSPMC,
    "csp_nce": CSPNCE,
    "csp_mse": CSPMSE,
    "csp_features": CSPFeatures,
    "simclr": SimCLR,
    **FAMILY,
    "dense_contrast": DenseContrast,
    "cscl": CSCL,
    **METHODS,
}


def make_objective(name: str, model: DualEncoder, **options: Any) -> Objective:
    """Make an objective that trains a model.

    Args:
        name: A name in ``OBJECTIVES``.
        model: The model; it gets the heads and the ``prior_kind`` that the objective needs.
        **options: Options of the objective.

    Returns:
        The objective, which owns the model.

    Raises:
        UnknownNameError: If the objective is unknown.
        ConfigError: If an option is unknown or out of range.
    """
    heads = heads_for(name, options)
    model.equip(heads, prior_kind=OBJECTIVES[name].prior_kind)
    return construct("objective", OBJECTIVES, name, model, **options)


def heads_for(name: str, options: Mapping[str, Any]) -> Heads:
    """Tell which heads an objective needs behind the encoders of its model.

    Args:
        name: A name in ``OBJECTIVES``.
        options: Options of the objective; those left out have their defaults.

    Returns:
        The heads.

    Raises:
        UnknownNameError: If the objective is unknown.
        ConfigError: If an option is unknown or out of range.
    """
    kind = lookup("objective", OBJECTIVES, name)
    check_options("objective", name, kind, options, given=1)
    return kind.heads({**option_names(kind, given=1), **options})
