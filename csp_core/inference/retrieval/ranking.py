"""How well a query agrees with what is in a gallery, and what fits it best."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from csp_core.errors import BadRecordError
from csp_core.inference.clusters.countries import place_names
from csp_core.inference.retrieval.asking import rows_of
from csp_core.inference.retrieval.gallery import Gallery
from csp_core.losses.interaction import token_agreement
from csp_core.model.compared import by_tokens
from csp_core.model.towers import TowerOut

# Queries compared at a time, which bounds the memory.
CHUNK, TOKEN_CHUNK = 4096, 32
# Cosines that differ by less are those of one embedding, computed in another order.
SAME = 1e-6


@dataclass(frozen=True)
class Found:
    """One line of what fits a query.

    Args:
        rank: From 1; equal agreements share the middle of the ranks that they take up.
        name: What it is called; of a place, where it is in words.
        agreement: Cosine in [-1, 1], or the mean of the tokens' best cosines.
        lon: Longitude, degrees, or None.
        lat: Latitude, degrees, or None.
        index: Its number in the gallery, from 0.
    """

    rank: float
    name: str
    agreement: float
    lon: float | None
    lat: float | None
    index: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


def agreement(model: Any, query: TowerOut, gallery: Gallery | TowerOut) -> Tensor:
    """Compare queries with all that is in a gallery.

    A model that was trained token by token compares so: each token of the query looks for its best
    in the other, and the mean of their cosines counts. Others compare whole embeddings.

    Args:
        model: The model that both were asked of.
        query: What it says of Q queries.
        gallery: What it says of G others, of any side.

    Returns:
        ``(Q, G)`` float32 in [-1, 1].
    """
    seen = gallery.seen if isinstance(gallery, Gallery) else gallery
    if not by_tokens(model.heads):
        parts = torch.split(query.embedding, CHUNK)
        return torch.cat([(part @ seen.embedding.T).clamp(-1, 1) for part in parts])
    assert seen.tokens is not None  # `asking` gives them for such a model
    found = []
    for start in range(0, len(query.embedding), TOKEN_CHUNK):
        part = rows_of(query, slice(start, start + TOKEN_CHUNK))
        assert part.tokens is not None
        found.append(token_agreement(part.tokens, seen.tokens, part.mask, seen.mask))
    return torch.cat(found).clamp(-1, 1)


def retrieve(
    model: Any, query: TowerOut, gallery: Gallery, *, top: int = 10
) -> tuple[list[Found], ...]:
    """List what fits each query best.

    Args:
        model: The model that both were asked of.
        query: What it says of Q queries.
        gallery: What is looked through.
        top: How many to list; what ties with the last one is not.

    Returns:
        Q lists, best first; of equal ones in the order of the gallery.

    Raises:
        BadRecordError: If none are to be listed.
    """
    values = agreement(model, query, gallery)
    return tuple(ranked(gallery, row, top=top) for row in values)


def ranked(gallery: Gallery, values: Tensor, *, top: int = 10) -> list[Found]:
    """List what agrees best with one query.

    Args:
        gallery: What was looked through.
        values: ``(G,)`` agreements.
        top: How many to list; what ties with the last one is not.

    Returns:
        The list, best first; of equal ones in the order of the gallery.

    Raises:
        BadRecordError: If none are to be listed.
    """
    if top < 1:
        raise BadRecordError(f"top is {top}; list at least 1.")
    # By rank, so that what differs by rounding alone keeps the order of the gallery.
    return lines_of(gallery, values, torch.argsort(tie_ranks(values), stable=True)[:top].tolist())


def lines_of(gallery: Gallery, values: Tensor, rows: list[int]) -> list[Found]:
    """Tell of some of a gallery how they rank among all.

    Args:
        gallery: What was looked through.
        values: ``(G,)`` agreements.
        rows: Their numbers.

    Returns:
        A line each, in their order.
    """
    ranks, names = tie_ranks(values), _names(gallery, rows)
    return [_line(gallery, names, values, ranks, k) for k in rows]


def tie_ranks(values: Tensor) -> Tensor:
    """Rank values, equal ones sharing the middle of the ranks that they take up.

    Args:
        values: ``(G,)``, more is better.

    Returns:
        ``(G,)`` ranks from 1; halves occur.

    Example:
        >>> tie_ranks(torch.tensor([0.5, 0.9, 0.5, 0.1])).tolist()
        [2.5, 1.0, 2.5, 4.0]
    """
    order = torch.argsort(-values.double(), stable=True)
    ordered = values.double()[order]
    # A step of more than rounding begins another group.
    new = torch.cat((torch.ones(1, dtype=torch.bool), ordered.diff().abs() > SAME))[: len(values)]
    group = new.long().cumsum(0) - 1
    count = torch.bincount(group)
    last = count.cumsum(0)
    middle = (last - count + 1 + last) / 2
    ranks = torch.empty(len(values), dtype=torch.float64)
    ranks[order] = middle[group].double()
    return ranks


def _names(gallery: Gallery, rows: list[int]) -> dict[int, str]:
    """Name what is listed; places without names by the nearest town."""
    if gallery.names:
        return {k: gallery.names[k] for k in rows}
    if gallery.lonlat is None:
        return {k: f"{gallery.kind} {k + 1}" for k in rows}
    return dict(zip(rows, place_names(gallery.lonlat[rows]), strict=True))


def _line(gallery: Gallery, names: dict[int, str], row: Tensor, rank: Tensor, k: int) -> Found:
    lon, lat = (None, None)
    if gallery.lonlat is not None and not bool(gallery.lonlat[k].isnan().any()):
        lon, lat = gallery.lonlat[k].tolist()
    return Found(float(rank[k]), names[k], float(row[k]), lon, lat, k)
