"""Asking a model: about a place, about a picture, and about both together."""

from __future__ import annotations

from csp_core.inference.photo import (
    PhotoAnswer,
    RankedAnswer,
    Terms,
    answer_photo,
    image_fits,
    odds_words,
)
from csp_core.inference.place import (
    INLAND_ICE,
    OFTEN,
    RARELY,
    SEASONLESS,
    SOMETIMES,
    UNKNOWN,
    PlaceReport,
    RankedTaxon,
    describe_place,
    likely_swapped,
    recorded_here,
    remarks,
    set_meaning,
)
from csp_core.inference.prior import (
    CHUNK,
    VALUE_MEANING,
    location_prior,
    prior_around,
    write_score,
)
from csp_core.inference.taken import Taken, When, taken
from csp_core.model.combine import combine, posterior, posterior_within, set_posterior

__all__ = [
    "CHUNK",
    "INLAND_ICE",
    "OFTEN",
    "RARELY",
    "SEASONLESS",
    "SOMETIMES",
    "UNKNOWN",
    "VALUE_MEANING",
    "PhotoAnswer",
    "PlaceReport",
    "RankedAnswer",
    "RankedTaxon",
    "Taken",
    "Terms",
    "When",
    "answer_photo",
    "combine",
    "describe_place",
    "image_fits",
    "likely_swapped",
    "location_prior",
    "odds_words",
    "posterior",
    "posterior_within",
    "prior_around",
    "recorded_here",
    "remarks",
    "set_meaning",
    "set_posterior",
    "taken",
    "write_score",
]
