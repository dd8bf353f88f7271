"""Embeddings of places, pictures and texts as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.files import spreadsheet_cell
from csp_core.files.writing import writing
from csp_core.inference.clusters.vectors import embed as embed_places
from csp_core.inference.retrieval.asking import see_captions, see_images, see_places, sides_of
from csp_core.inference.retrieval.files import stacked
from csp_core.model.compared import by_tokens
from csp_core.model.parts import evaluating, see
from csp_core.model.towers import TowerOut

ENDINGS = (".csv", ".parquet", ".npy")
SHARED = "in the space that the model compares in"
OWN = "of the encoder itself, before any head: this model compares nothing with them"
NEAR = "the last number says how near the places of its species lie"
TOKENS = "means of the tokens, as this model compares token by token"


@dataclass(frozen=True, eq=False)
class Embedded:
    """Embeddings with what they are of.

    Args:
        vectors: ``(N, D)`` float32, each of unit length.
        names: N names, or none.
        lonlat: ``(N, 2)`` degrees, or None.
        space: What kind of embedding it is, as part of a sentence.
    """

    vectors: Tensor
    names: tuple[str, ...]
    lonlat: Tensor | None
    space: str


def embed_all(
    model: Any,
    kind: str,
    what: Tensor | Sequence[Tensor] | Sequence[str],
    *,
    names: tuple[str, ...] = (),
    lonlat: Tensor | None = None,
    date: float | None = None,
) -> Embedded:
    """Embed places, pictures or texts.

    Args:
        model: Any model with that side; one that compares sides gives vectors of the common space.
        kind: ``places``, ``images`` or ``captions``.
        what: ``(N, 2)`` degrees, pictures as ``read_pictures`` gives them, or texts.
        names: What each is called.
        lonlat: ``(N, 2)`` degrees where pictures were made.
        date: Part of the year that places are asked about, or None.

    Returns:
        The embeddings.

    Raises:
        CspError: If the model has no such side.
    """
    sides = sides_of(model)
    if kind == "places":
        assert isinstance(what, Tensor)
        if "location" not in sides:
            near = getattr(model.location, "nearness", None)
            space = OWN if near is None else f"{OWN}; {NEAR}"
            return Embedded(embed_places(model, what, date=date), names, what, space)
        return _of(model, see_places(model, what, date=date), names, what)
    if kind == "captions":
        texts = [str(text) for text in what]
        return _of(model, see_captions(model, texts), names or tuple(texts), None)
    pictures = stacked([image for image in what if isinstance(image, Tensor)])
    if "image" in sides:
        seen = [_of(model, see_images(model, part), (), None).vectors for part in pictures]
        return Embedded(torch.cat(seen), names, lonlat, _space(model))
    return Embedded(_seen_alone(model, pictures), names, lonlat, OWN)


def check_ending(path: Path) -> str:
    """Check that embeddings can be written to a file of this name.

    Args:
        path: The file.

    Returns:
        Its ending.

    Raises:
        ConfigError: If they cannot.
    """
    suffix = path.suffix.lower()
    if suffix not in ENDINGS:
        raise ConfigError(f"{path} has no known ending; give one of {', '.join(ENDINGS)}.")
    return suffix


def write_embedded(found: Embedded, path: Path) -> None:
    """Write embeddings: a row each, with name and place before ``e0``, ``e1`` and so on.

    Args:
        found: The embeddings.
        path: ``.csv``, ``.parquet``, or ``.npy`` for the bare array.

    Raises:
        ConfigError: If the ending is not known.
        BadRecordError: If the file cannot be written.
    """
    suffix = check_ending(path)
    with writing(path) as temporary:
        if suffix == ".npy":
            with temporary.open("wb") as stream:
                np.save(stream, found.vectors.numpy())
            return
        columns: dict[str, Any] = {}
        if found.names:
            plain = suffix == ".csv"
            columns["name"] = [spreadsheet_cell(n) if plain else n for n in found.names]
        if found.lonlat is not None:
            columns |= {"lon": found.lonlat[:, 0].numpy(), "lat": found.lonlat[:, 1].numpy()}
        columns |= {f"e{k}": column.numpy() for k, column in enumerate(found.vectors.T)}
        table = pl.DataFrame(columns)
        if suffix == ".csv":
            table.write_csv(temporary)
        else:
            table.write_parquet(temporary)


def _space(model: Any) -> str:
    return TOKENS if by_tokens(model.heads) else SHARED


def _of(model: Any, seen: TowerOut, names: tuple[str, ...], lonlat: Tensor | None) -> Embedded:
    vectors = seen.embedding
    if seen.tokens is not None:
        real = torch.ones(seen.tokens.shape[:2]) if seen.mask is None else seen.mask.float()
        vectors = F.normalize((seen.tokens * real[..., None]).sum(dim=1), dim=1)
    return Embedded(vectors, names, lonlat, _space(model))


def _seen_alone(model: Any, pictures: Sequence[Tensor]) -> Tensor:
    device = next(model.parameters()).device
    with evaluating(model):
        found = [see(model.image, part.to(device)).float().cpu() for part in pictures]
    return F.normalize(torch.cat(found), dim=1)
