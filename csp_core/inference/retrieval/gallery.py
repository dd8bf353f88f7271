"""What is looked through: places, pictures or texts, with what a model says of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from csp_core.errors import BadRecordError
from csp_core.geo import WORLD, nearest_km
from csp_core.grid import Bounds
from csp_core.inference.clusters.sampling import MOST_POINTS, make_sample
from csp_core.inference.retrieval.asking import joined, see_captions, see_images, see_places
from csp_core.inference.retrieval.files import stacked
from csp_core.model import Support
from csp_core.model.towers import TowerOut

# Kind of a gallery to the side of a model that sees it.
SIDES_OF = {"places": "location", "images": "image", "captions": "text"}
PLACES = 4000
# How far from the middle of a cell of 1° with training records a model counts as having learned.
REACH_KM = 110.0


@dataclass(frozen=True, eq=False)
class Gallery:
    """Things of one kind that can be compared with a query.

    Args:
        kind: ``places``, ``images`` or ``captions``.
        seen: What the model says of each of the N.
        names: What each is called, N texts; empty where places have none.
        lonlat: ``(N, 2)`` degrees, NaN where unknown; None where nothing has a place.
        about: One sentence on what it holds.
    """

    kind: str
    seen: TowerOut
    names: tuple[str, ...] = ()
    lonlat: Tensor | None = None
    about: str = ""

    def __post_init__(self) -> None:
        """Check that there is something to look through, and that the parts fit together."""
        count = len(self)
        if self.kind not in SIDES_OF:
            raise BadRecordError(f"kind is {self.kind!r}; give one of {', '.join(SIDES_OF)}.")
        if not count:
            raise BadRecordError(f"There are no {self.kind} to look through; give at least one.")
        for column in (self.names or None, self.lonlat):
            if column is not None and len(column) != count:
                raise BadRecordError(f"There are {len(column)} names or places for {count} rows.")

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.seen.embedding)


def learned_places(
    model: Any, count: int = PLACES, *, bounds: Bounds | None = None
) -> tuple[Tensor, str]:
    """Spread places evenly over the land where a model has learned: the same ones at every call.

    Args:
        model: A model; without counts of its training records, all land.
        count: About how many.
        bounds: Keep to these degrees, west, south, east and north; None for wherever it learned.

    Returns:
        ``(N, 2)`` degrees, and one sentence on where they are.

    Raises:
        ConfigError: If there is no land within the bounds.
        BadRecordError: If the model has learned nowhere near them.
    """
    support: Support | None = getattr(model, "support", None)
    own = None if support is None else support.bounds()
    if support is None or own is None:
        sample = make_sample(count, bounds=bounds or WORLD)
        unknown = "all land, as the model does not tell where it has learned"
        return sample.lonlat, f"{len(sample):,} places spread evenly over {unknown}"
    cells = support.cells()[0]
    found = tried = torch.empty(0, 2)
    wanted, left = count, 4
    while left:
        tried = make_sample(min(wanted, MOST_POINTS), bounds=bounds or own).lonlat
        found = tried[nearest_km(tried, cells) <= REACH_KM * support.cell_degrees]
        if len(found) >= 0.9 * count or wanted >= MOST_POINTS:
            break
        wanted, left = int(wanted * count / max(len(found), count / 10)) + 1, left - 1
    if not len(found):
        raise BadRecordError(
            "No land near the training records of this model lies there; give other bounds, or a"
            " gallery of your own."
        )
    # The few too many are left out here and there.
    chosen = torch.linspace(0, len(found) - 1, min(count, len(found)), dtype=torch.float64)
    found = found[chosen.round().long()]
    return found, f"{len(found):,} places spread evenly over the land near its training records"


def places_gallery(
    model: Any,
    lonlat: Tensor | None = None,
    *,
    names: Sequence[str] = (),
    date: float | None = None,
    count: int = PLACES,
    bounds: Bounds | None = None,
) -> Gallery:
    """Ask a model about places, so that they can be looked through.

    Args:
        model: A model that compares places.
        lonlat: ``(N, 2)`` degrees; ``learned_places`` if None.
        names: What each is called, if they have names.
        date: Part of the year in [0, 1) that they are asked about, or None.
        count: About how many, where the places are ours.
        bounds: Which of ours, degrees.

    Returns:
        The gallery.

    Raises:
        CspError: If the model compares no places, or a place is none.
    """
    about = ""
    if lonlat is None:
        lonlat, about = learned_places(model, count, bounds=bounds)
    seen = see_places(model, lonlat, date=date)
    about = about or f"{len(lonlat):,} {'place' if len(lonlat) == 1 else 'places'} of yours"
    return Gallery("places", seen, tuple(names), lonlat, about)


def images_gallery(
    model: Any,
    images: Tensor | Sequence[Tensor],
    *,
    names: Sequence[str] = (),
    lonlat: Tensor | None = None,
) -> Gallery:
    """Ask a model about pictures, so that they can be looked through.

    Args:
        model: A model that compares images.
        images: As ``see_images`` takes them.
        names: What each is called.
        lonlat: ``(N, 2)`` degrees where they were made, NaN where unknown, or None.

    Returns:
        The gallery.

    Raises:
        CspError: If the model compares no images.
    """
    parts = [images] if isinstance(images, Tensor) else stacked(images)
    seen = joined([see_images(model, part) for part in parts])
    about = f"{len(images):,} {'picture' if len(images) == 1 else 'pictures'}"
    return Gallery("images", seen, tuple(names), lonlat, about)


def captions_gallery(model: Any, captions: Sequence[str]) -> Gallery:
    """Ask a model about texts, so that they can be looked through; equal ones stand there once.

    Args:
        model: A model that reads words.
        captions: The texts.

    Returns:
        The gallery.

    Raises:
        CspError: If the model reads no words, or a text is empty.
    """
    distinct = tuple(dict.fromkeys(captions))
    about = f"{len(distinct):,} {'caption' if len(distinct) == 1 else 'captions'}"
    return Gallery("captions", see_captions(model, distinct), distinct, None, about)
