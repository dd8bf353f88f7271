"""Which parts of a picture and which scales of a place agree, by a model of tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from csp_core.inference.photo import bring
from csp_core.inference.retrieval.asking import compares_by_tokens, see_images, see_places


@dataclass(frozen=True)
class TokenPicture:
    """What agrees with what.

    Args:
        grid: Rows and columns that the picture is cut into.
        patches: Of each part, row by row, the cosine with its best token of the place.
        scales: Of each token of the place, what it is and the cosine with its best part of the
            picture; those that are not known, such as of a missing date, are left out.
    """

    grid: tuple[int, int]
    patches: tuple[float, ...]
    scales: tuple[tuple[str, float], ...]


def token_picture(model: Any, image: Tensor, place: tuple[float, float]) -> TokenPicture | None:
    """Compare a picture with a place, part by part.

    Args:
        model: A model that compares images and places.
        image: ``(C, H, W)`` of any kind and size.
        place: Longitude and latitude, degrees.

    Returns:
        What agrees; None of a model that compares whole embeddings.

    Raises:
        CspError: If the model compares no pictures or places.

    Source:
        Yao et al. 2022, FILIP, figure 2.
    """
    if not compares_by_tokens(model):
        return None
    brought = bring(model, image)
    seen, there = see_images(model, brought), see_places(model, torch.tensor([place]))
    assert seen.tokens is not None and there.tokens is not None  # of such a model
    known = torch.ones(there.tokens.shape[1], dtype=torch.bool)
    known = known if there.mask is None else there.mask[0]
    cosine = seen.tokens[0] @ there.tokens[0][known].T
    names = [name for name, real in zip(token_names(model), known.tolist(), strict=True) if real]
    best = cosine.amax(dim=0).tolist()
    return TokenPicture(
        _grid(len(cosine), tuple(brought.shape[-2:])),
        tuple(cosine.amax(dim=1).tolist()),
        tuple(zip(names, best, strict=True)),
    )


def token_names(model: Any) -> list[str]:
    """Say what each token of a place is.

    Args:
        model: A model of tokens.

    Returns:
        A name for each, in their order.
    """
    slots = getattr(model.location, "scale_slots", slice(0, 0))
    count = slots.stop - slots.start
    if not count:
        return ["the place"]
    further = len(getattr(model.location.network, "further", ()))
    names = [f"scale {k + 1} of {count}" for k in range(count)]
    frequency = getattr(getattr(model.location, "encoding", None), "frequencies", None)
    if isinstance(frequency, torch.Tensor) and len(frequency) == count > 1:
        # Encodings list them from the finest on, or the other way round.
        high = frequency.reshape(count, -1).abs().mean(dim=1)
        ends = ("finest", "coarsest") if high[0] > high[-1] else ("coarsest", "finest")
        names[0], names[-1] = f"{names[0]}, {ends[0]}", f"{names[-1]}, {ends[1]}"
    return ["all of the place", *names, *(f"further input {k + 1}" for k in range(further))]


def _grid(count: int, shape: tuple[int, ...]) -> tuple[int, int]:
    """Find into how many rows and columns a picture of some shape was cut."""
    rows = max(1, round(math.sqrt(count * shape[0] / shape[1])))
    while count % rows:
        rows -= 1
    return rows, count // rows
