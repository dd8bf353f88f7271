"""Loss formulas: tensors in, scalar out; no model, no device, no randomness."""

from __future__ import annotations

from csp_core.losses.captions import (
    IGNORED,
    clip_loss,
    masked_token_loss,
    masked_value_loss,
    match_loss,
    neighbour_loss,
    sigmoid_loss,
    simsiam,
)
from csp_core.losses.classes import (
    binary_cross_entropy,
    class_cross_entropy,
    soft_cross_entropy,
)
from csp_core.losses.consistency import (
    asymmetric_loss,
    weighted_binary_cross_entropy,
    weighted_cross_entropy,
)
from csp_core.losses.contrastive import (
    binary_nce,
    binary_negatives,
    feature_regression,
    info_nce,
    negative_weight,
    nt_xent,
    similarities,
)
from csp_core.losses.dense import (
    POSITIVE_WEIGHT,
    cosine_match,
    cscl,
    dense_info_nce,
    dense_negatives,
    match_info_nce,
    window_agreement,
    window_similarities,
)
from csp_core.losses.interaction import (
    fine_loss,
    late_interaction,
    prune_tokens,
    token_agreement,
)
from csp_core.losses.pixels import overlap_sums, pixel_cross_entropy, pixel_sums, soft_dice
from csp_core.losses.presence import an_slds, an_ssdl, geo_prior

__all__ = [
    "IGNORED",
    "POSITIVE_WEIGHT",
    "an_slds",
    "an_ssdl",
    "asymmetric_loss",
    "binary_cross_entropy",
    "binary_nce",
    "binary_negatives",
    "class_cross_entropy",
    "clip_loss",
    "cosine_match",
    "cscl",
    "dense_info_nce",
    "dense_negatives",
    "feature_regression",
    "fine_loss",
    "geo_prior",
    "info_nce",
    "late_interaction",
    "masked_token_loss",
    "masked_value_loss",
    "match_info_nce",
    "match_loss",
    "negative_weight",
    "neighbour_loss",
    "nt_xent",
    "overlap_sums",
    "pixel_cross_entropy",
    "pixel_sums",
    "prune_tokens",
    "sigmoid_loss",
    "similarities",
    "simsiam",
    "soft_cross_entropy",
    "soft_dice",
    "token_agreement",
    "weighted_binary_cross_entropy",
    "weighted_cross_entropy",
    "window_agreement",
    "window_similarities",
]
