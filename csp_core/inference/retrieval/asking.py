"""Asking the towers of a model, so that what they give can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core import geo
from csp_core.errors import BadRecordError, ConfigError
from csp_core.inference.photo import image_fits
from csp_core.model.compared import TOWERS, by_tokens, compared_sides
from csp_core.model.parts import evaluating
from csp_core.model.towers import TowerOut

PLACES_AT_ONCE, IMAGES_AT_ONCE, CAPTIONS_AT_ONCE = 2048, 128, 256
# What is asked for where a side is missing.
WAYS = {
    "image": (
        "looks at no pictures that it could compare",
        "one that was trained by `clip` or `csp_mc` on images and places",
    ),
    "location": (
        "has no places that it could compare",
        "one that was trained by `clip` or `csp_mc` on images and places",
    ),
    "text": (
        "reads no words",
        "one that was trained by `clip` with model.text and captions (`csp caption`)",
    ),
}


def sides_of(model: Any) -> tuple[str, ...]:
    """Tell which sides of a model can be compared with each other.

    Args:
        model: Any model; a baseline has none.

    Returns:
        Some of ``image``, ``location`` and ``text``; none where nothing can be compared.
    """
    heads = getattr(model, "heads", None)
    classifiers = ("classifier", "image_classifier", "pixel_classifier")
    if heads is None or any(getattr(model, name, None) is not None for name in classifiers):
        return ()
    sides = [side for side in TOWERS if getattr(model, side, None) is not None]
    # Heads say what was asked for; that no classifier was made is known by now.
    return compared_sides(replace(heads, classifiers=(), pixels=False), sides)


def check_side(model: Any, side: str) -> None:
    """Refuse a question to a side that a model has not, or that nothing can be compared with.

    Args:
        model: The model.
        side: ``image``, ``location`` or ``text``.

    Raises:
        ConfigError: If it cannot be asked, with what would work.
    """
    if side in sides_of(model):
        return
    name, (lacks, way) = getattr(model, "name", "of yours"), WAYS[side]
    if getattr(model, side, None) is not None:
        raise ConfigError(
            f"Model {name!r} does not compare its sides: {_why_not(model)}. Take {way}, as it was"
            " before any fine-tuning."
        )
    raise ConfigError(f"Model {name!r} {lacks}: take {way}.")


def _why_not(model: Any) -> str:
    """Say why the sides of a model cannot be compared."""
    heads, towers = getattr(model, "heads", None), [getattr(model, one, None) for one in TOWERS]
    ranks = ("classifier", "image_classifier", "pixel_classifier")
    if any(getattr(model, name, None) is not None for name in ranks):
        return "it ranks classes, for which its encoders were moved"
    if getattr(heads, "location", None) is not None:
        return "it was taught to guess features of a picture from its place, not to tell places"
    if sum(one is not None for one in towers) < 2:
        return "it has one side alone"
    return "one of them was trained without the other"


def see_places(
    model: Any, lonlat: Tensor, *, date: float | Tensor | None = None, hour: Tensor | None = None
) -> TowerOut:
    """Ask the location tower.

    Args:
        model: A model that compares places.
        lonlat: ``(N, 2)`` degrees.
        date: Part of the year in [0, 1) for all, or ``(N,)`` with NaN where unknown; None for all
            unknown. A model that knows no time ignores it.
        hour: ``(N,)`` part of the day, likewise.

    Returns:
        What can be compared, on the CPU.

    Raises:
        ConfigError: If the model has no such side.
        BadRecordError: If a place is none, or the model gives what is no number.
    """
    check_side(model, "location")
    lonlat = geo.check_lonlat(lonlat)
    if isinstance(date, float) and not 0 <= date < 1:
        raise BadRecordError(f"The date is {date}; it is a part of the year in [0, 1).")
    nothing = torch.full((len(lonlat),), float("nan"))
    when = nothing if date is None else torch.as_tensor(date).float().expand(len(lonlat))
    columns = (lonlat, when, nothing if hour is None else hour)
    return _asked(model, "location", _parts(columns, PLACES_AT_ONCE))


def see_images(
    model: Any, images: Tensor | Sequence[Tensor], *, days: Tensor | None = None
) -> TowerOut:
    """Ask the image tower.

    Args:
        model: A model that compares images.
        images: ``(N, C, H, W)``, series ``(N, T, C, H, W)`` or ``(N, F)`` precomputed features, as
            it learned from them; or a list of such rows.
        days: ``(N, T)`` part of the year of each date of series, NaN where there is none.

    Returns:
        What can be compared, on the CPU.

    Raises:
        ConfigError: If the model has no such side.
        BadRecordError: If the model gives what is no number.
    """
    check_side(model, "image")
    rows = images if isinstance(images, Tensor) else torch.stack(list(images))
    columns = (rows,) if days is None else (rows, days)
    return _asked(model, "image", _parts(columns, IMAGES_AT_ONCE))


def see_captions(model: Any, captions: Sequence[str]) -> TowerOut:
    """Ask the text tower.

    Args:
        model: A model that reads words.
        captions: The texts, none of them empty.

    Returns:
        What can be compared, on the CPU.

    Raises:
        ConfigError: If the model has no such side.
        BadRecordError: If a text is empty.
    """
    check_side(model, "text")
    for number, caption in enumerate(captions, start=1):
        if not caption.strip():
            which = "" if len(captions) == 1 else f" {number} of {len(captions)}"
            raise BadRecordError(f"Text{which} is empty: give some words, such as 'a forest'.")
    tokens = model.text.tokenise(list(captions))
    return _asked(model, "text", _parts((tokens,), CAPTIONS_AT_ONCE))


def compares_by_tokens(model: Any) -> bool:
    """Tell whether a model compares token by token, and not by whole embeddings."""
    return by_tokens(model.heads)


def fits(model: Any, image: Tensor) -> tuple[bool, str]:
    """Say whether a picture looks like those that a model learned from.

    Args:
        model: A model with an image encoder.
        image: ``(C, H, W)``.

    Returns:
        Whether it does, and one sentence that says why.
    """
    return image_fits(model, image)


def joined(parts: Sequence[TowerOut]) -> TowerOut:
    """Put what was said of several inputs one below the other.

    Args:
        parts: At least one, of one tower.

    Returns:
        All of it.
    """
    first = parts[0]
    return TowerOut(
        torch.cat([part.embedding for part in parts]),
        None if first.tokens is None else torch.cat([_there(part.tokens) for part in parts]),
        None if first.mask is None else torch.cat([_there(part.mask) for part in parts]),
    )


def rows_of(seen: TowerOut, rows: Tensor | slice) -> TowerOut:
    """Take some of what was said.

    Args:
        seen: What a tower said.
        rows: Which.

    Returns:
        Those.
    """
    tokens, mask = seen.tokens, seen.mask
    return TowerOut(
        seen.embedding[rows],
        None if tokens is None else tokens[rows],
        None if mask is None else mask[rows],
    )


def _there(tensor: Tensor | None) -> Tensor:
    assert tensor is not None  # one tower gives tokens to all rows or to none
    return tensor


def _parts(columns: tuple[Tensor, ...], size: int) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(torch.split(column, size) for column in columns), strict=True)


def _asked(model: Any, side: str, parts: Iterator[tuple[Tensor, ...]]) -> TowerOut:
    tokens, device = by_tokens(model.heads), next(model.parameters()).device
    # By tokens alone the whole embedding has learned nothing, and may be missing.
    head: Callable[[Tensor], Tensor] | None = model.token_heads[side] if tokens else None
    found = []
    with evaluating(model):
        for part in parts:
            inputs = (column.to(device) for column in part)
            found.append(_plain(model.tower(side, *inputs, tokens=tokens), head))
    if not found:
        return TowerOut(torch.zeros(0, model.dim))
    seen = joined(found)
    compared = seen.embedding if seen.tokens is None else seen.tokens
    bad = ~compared.flatten(1).isfinite().all(dim=1)
    if bool(bad.any()):
        raise BadRecordError(
            f"{int(bad.sum())} of {len(bad)} embeddings of model {model.name!r} are no finite"
            " numbers, so they cannot be compared: train the model anew."
        )
    return seen


def _plain(seen: TowerOut, head: Callable[[Tensor], Tensor] | None) -> TowerOut:
    """Bring what a tower says into the common space, at unit length, on the CPU."""
    whole = F.normalize(seen.embedding.float(), dim=-1).cpu()
    if head is None or seen.tokens is None:
        return TowerOut(whole)
    tokens = F.normalize(head(seen.tokens).float(), dim=-1).cpu()
    return TowerOut(whole, tokens, None if seen.mask is None else seen.mask.cpu())
