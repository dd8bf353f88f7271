"""What a model is: the dual encoder, and baselines that answer the same calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csp_core.tables import lazily

if TYPE_CHECKING:
    from csp_core.model.baselines import BASELINES, make_baseline
    from csp_core.model.borrowed import Borrowed, match_taxa, taxa_of
    from csp_core.model.calibration import (
        BOTH,
        IMAGE,
        PIXELS,
        PLACE,
        Calibration,
        calibration_of,
    )
    from csp_core.model.classifier import LowRank
    from csp_core.model.dual import DualEncoder
    from csp_core.model.grouped import REST, Grouped, group_logits
    from csp_core.model.heads import PRIOR_KINDS, SIDES, Heads, Side, read_heads
    from csp_core.model.mixture import Mixture
    from csp_core.model.outside import OutsidePrior
    from csp_core.model.parts import see
    from csp_core.model.pixels import is_dense
    from csp_core.model.prior import Prior, class_frequency
    from csp_core.model.support import (
        LEVEL_MEANING,
        LEVEL_RADIUS_KM,
        LEVELS,
        UNKNOWN_LEVEL,
        PlaceSupport,
        Support,
    )
    from csp_core.model.towers import TOWERS, TowerOut, token_size

_HOMES = {
    "BASELINES": "csp_core.model.baselines",
    "BOTH": "csp_core.model.calibration",
    "Borrowed": "csp_core.model.borrowed",
    "Calibration": "csp_core.model.calibration",
    "DualEncoder": "csp_core.model.dual",
    "Grouped": "csp_core.model.grouped",
    "Heads": "csp_core.model.heads",
    "IMAGE": "csp_core.model.calibration",
    "LEVELS": "csp_core.model.support",
    "LEVEL_MEANING": "csp_core.model.support",
    "LEVEL_RADIUS_KM": "csp_core.model.support",
    "LowRank": "csp_core.model.classifier",
    "Mixture": "csp_core.model.mixture",
    "OutsidePrior": "csp_core.model.outside",
    "PIXELS": "csp_core.model.calibration",
    "PLACE": "csp_core.model.calibration",
    "PRIOR_KINDS": "csp_core.model.heads",
    "PlaceSupport": "csp_core.model.support",
    "Prior": "csp_core.model.prior",
    "REST": "csp_core.model.grouped",
    "SIDES": "csp_core.model.heads",
    "Side": "csp_core.model.heads",
    "Support": "csp_core.model.support",
    "TOWERS": "csp_core.model.towers",
    "TowerOut": "csp_core.model.towers",
    "UNKNOWN_LEVEL": "csp_core.model.support",
    "calibration_of": "csp_core.model.calibration",
    "is_dense": "csp_core.model.pixels",
    "class_frequency": "csp_core.model.prior",
    "group_logits": "csp_core.model.grouped",
    "make_baseline": "csp_core.model.baselines",
    "match_taxa": "csp_core.model.borrowed",
    "read_heads": "csp_core.model.heads",
    "see": "csp_core.model.parts",
    "taxa_of": "csp_core.model.borrowed",
    "token_size": "csp_core.model.towers",
}

__all__ = [
    "BASELINES",
    "BOTH",
    "IMAGE",
    "LEVELS",
    "LEVEL_MEANING",
    "LEVEL_RADIUS_KM",
    "PIXELS",
    "PLACE",
    "PRIOR_KINDS",
    "REST",
    "SIDES",
    "TOWERS",
    "UNKNOWN_LEVEL",
    "Borrowed",
    "Calibration",
    "DualEncoder",
    "Grouped",
    "Heads",
    "LowRank",
    "Mixture",
    "OutsidePrior",
    "PlaceSupport",
    "Prior",
    "Side",
    "Support",
    "TowerOut",
    "calibration_of",
    "class_frequency",
    "group_logits",
    "is_dense",
    "make_baseline",
    "match_taxa",
    "read_heads",
    "see",
    "taxa_of",
    "token_size",
]

__getattr__ = lazily(__name__, _HOMES)
