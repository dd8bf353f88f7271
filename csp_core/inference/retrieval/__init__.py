"""Finding what fits: places, pictures and texts compared by what a model has learned of them."""

from __future__ import annotations

from csp_core.inference.retrieval.answers import Fit, where_from, where_words
from csp_core.inference.retrieval.asking import (
    check_side,
    compares_by_tokens,
    fits,
    joined,
    rows_of,
    see_captions,
    see_images,
    see_places,
    sides_of,
)
from csp_core.inference.retrieval.bank import Bank
from csp_core.inference.retrieval.embedding import Embedded, embed_all, write_embedded
from csp_core.inference.retrieval.files import (
    Pictures,
    check_pixels,
    has_columns,
    read_captions,
    read_pictures,
    read_places,
    stacked,
)
from csp_core.inference.retrieval.gallery import (
    PLACES,
    SIDES_OF,
    Gallery,
    captions_gallery,
    images_gallery,
    learned_places,
    places_gallery,
)
from csp_core.inference.retrieval.parts import TokenPicture, token_names, token_picture
from csp_core.inference.retrieval.ranking import Found, agreement, ranked, retrieve, tie_ranks
from csp_core.inference.retrieval.spread import UNKNOWN, Spread, learned_centre, spread_of
from csp_core.inference.retrieval.words import as_captions, notes_on_text
from csp_core.inference.retrieval.zero_shot import TEMPLATES, check_templates, top1, zero_shot

__all__ = [
    "PLACES",
    "SIDES_OF",
    "TEMPLATES",
    "UNKNOWN",
    "Bank",
    "Embedded",
    "Fit",
    "Found",
    "Gallery",
    "Pictures",
    "Spread",
    "TokenPicture",
    "agreement",
    "as_captions",
    "captions_gallery",
    "check_pixels",
    "check_side",
    "check_templates",
    "compares_by_tokens",
    "embed_all",
    "fits",
    "has_columns",
    "images_gallery",
    "joined",
    "learned_centre",
    "learned_places",
    "notes_on_text",
    "places_gallery",
    "ranked",
    "read_captions",
    "read_pictures",
    "read_places",
    "retrieve",
    "rows_of",
    "see_captions",
    "see_images",
    "see_places",
    "sides_of",
    "spread_of",
    "stacked",
    "tie_ranks",
    "token_names",
    "token_picture",
    "top1",
    "where_from",
    "where_words",
    "write_embedded",
    "zero_shot",
]
