"""A species from a handful of places: by the embedding of any model of places, and by distance."""

from __future__ import annotations

from csp_core.inference.few_shot.background import (
    BACKGROUND_MEANING,
    BACKGROUNDS,
    Background,
    draw_background,
)
from csp_core.inference.few_shot.card import card_of, kept_of, told_of
from csp_core.inference.few_shot.ground import DEFAULT_ENCODER, Ground, make_ground
from csp_core.inference.few_shot.learning import FewShot, few_shot
from csp_core.inference.few_shot.leaving import PENALTIES, LeftOut
from csp_core.inference.few_shot.places import MOST_PLACES, at_sea, check_places

__all__ = [
    "BACKGROUNDS",
    "BACKGROUND_MEANING",
    "DEFAULT_ENCODER",
    "MOST_PLACES",
    "PENALTIES",
    "Background",
    "FewShot",
    "Ground",
    "LeftOut",
    "at_sea",
    "card_of",
    "check_places",
    "draw_background",
    "few_shot",
    "kept_of",
    "make_ground",
    "told_of",
]
