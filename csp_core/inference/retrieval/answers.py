"""Where on Earth something fits: how well each place agrees with it, and how a page tells that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from csp_core.errors import BadRecordError
from csp_core.geo import great_circle_km
from csp_core.inference.photo import bring
from csp_core.inference.retrieval.asking import see_captions, see_images
from csp_core.inference.retrieval.gallery import Gallery
from csp_core.inference.retrieval.ranking import Found, agreement, lines_of, tie_ranks
from csp_core.inference.retrieval.words import as_captions, notes_on_text

# Of a list that is read: how many places, and how far apart, kilometres.
LISTED, APART_KM = 8, 200.0
MOST_LETTERS = 1000


@dataclass(frozen=True, eq=False)
class Fit:
    """How well the places of a gallery agree with a picture or a text.

    Args:
        gallery: The places.
        values: ``(G,)`` agreements in [-1, 1].
        above: ``(G,)`` part of the places that agree less, in [0, 1]; equal ones have equal parts.
        best: Those that agree best, far apart from each other.
        notes: Sentences on how the query was read.
    """

    gallery: Gallery
    values: Tensor
    above: Tensor
    best: tuple[Found, ...]
    notes: tuple[str, ...] = ()

    def above_at(self, lon: float, lat: float) -> tuple[float, float]:
        """Tell how the place of the gallery that is nearest to another one stands.

        Args:
            lon: Longitude, degrees.
            lat: Latitude, degrees.

        Returns:
            Part of the places that agree less, and how far the nearest is, kilometres.
        """
        assert self.gallery.lonlat is not None  # a gallery of places has them
        here = torch.tensor([lon, lat], dtype=torch.float64)
        away = great_circle_km(self.gallery.lonlat.double(), here)
        nearest = int(away.argmin())
        return float(self.above[nearest]), float(away[nearest])


def where_from(model: Any, image: Tensor, gallery: Gallery) -> Fit:
    """Say where a picture may be from.

    Args:
        model: A model that compares images and places.
        image: ``(C, H, W)`` of any kind and size.
        gallery: Places, as of ``places_gallery``.

    Returns:
        How well each place fits.

    Raises:
        CspError: If the model compares no pictures, or the picture has other bands.
    """
    return fit_of(model, see_images(model, bring(model, image)), gallery)


def where_words(model: Any, text: str, gallery: Gallery) -> Fit:
    """Say where words fit.

    Args:
        model: A model that reads words and compares places.
        text: The words.
        gallery: Places, as of ``places_gallery``.

    Returns:
        How well each place fits.

    Raises:
        CspError: If the model reads no words, or there are none, or more than 1,000 letters.
    """
    if len(text) > MOST_LETTERS:
        raise BadRecordError(
            f"The text has {len(text):,} letters; give at most {MOST_LETTERS:,}, as the model reads"
            " the first words alone."
        )
    text, said = as_captions(model, text)
    notes = (*said, *notes_on_text(model, [text]))
    return fit_of(model, see_captions(model, [text]), gallery, notes)


def fit_of(model: Any, seen: Any, gallery: Gallery, notes: tuple[str, ...] = ()) -> Fit:
    """Compare one query with places.

    Args:
        model: The model that both were asked of.
        seen: What it says of the query.
        gallery: The places.
        notes: Sentences on how the query was read.

    Returns:
        How well each place fits.
    """
    values = agreement(model, seen, gallery)[0]
    count = len(values)
    above = (count - tie_ranks(values)) / max(count - 1, 1)
    return Fit(gallery, values, above, far_apart(gallery, values), notes)


def far_apart(
    gallery: Gallery, values: Tensor, *, km: float = APART_KM, most: int = LISTED
) -> tuple[Found, ...]:
    """List the best places, each at least so far from all before it.

    Args:
        gallery: The places.
        values: ``(G,)`` agreements.
        km: How far, kilometres.
        most: How many.

    Returns:
        The list, best first.
    """
    assert gallery.lonlat is not None
    places, left = gallery.lonlat.double(), values.clone()
    chosen: list[int] = []
    while len(chosen) < most and bool((left > -torch.inf).any()):
        best = int(left.argmax())
        chosen.append(best)
        left[great_circle_km(places, places[best]) < km] = -torch.inf
    return tuple(lines_of(gallery, values, chosen))
