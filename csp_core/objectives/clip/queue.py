"""The nearest of what earlier batches held, in place of a record's own partner."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn

from csp_core import losses
from csp_core.objectives.dense.parts import CellQueue

log = logging.getLogger(__name__)
# A queue that held most of the places there are would only give a record its own neighbour back.
SHARE = 4


def capped_size(asked: int, distinct: int, what: str) -> int:
    """Cap a queue by how many different things there are to hold, and say so.

    Args:
        asked: How many it shall hold.
        distinct: How many different ones there are among the training records.
        what: What they are, in the plural.

    Returns:
        How many it holds: at most a quarter of them, and at least 1.
    """
    size = min(asked, max(1, distinct // SHARE))
    if size < asked:
        log.info(
            "the queue of %s holds %s, not %s: a quarter of the %s different ones there are",
            what,
            f"{size:,}",
            f"{asked:,}",
            f"{distinct:,}",
            extra={"tell": True},
        )
    return size


class Neighbours(nn.Module):
    """Embeddings of earlier batches, and whose they are.

    Args:
        size: How many it holds; the oldest are overwritten.
        dim: Size of an embedding.
        apart_km: Entries of places closer than this are no neighbours of a place; 0 for those of
            the same place alone. Captions have no distance.
    """

    def __init__(self, size: int, dim: int, *, apart_km: float = 0.0) -> None:
        super().__init__()
        self.queue = CellQueue(size, dim)
        self.apart_km = apart_km

    @property
    def held(self) -> int:
        """How many it holds so far."""
        return int(self.queue.held)

    @torch.no_grad()
    def nearest(self, query: Tensor, whose: Tensor) -> tuple[Tensor, Tensor]:
        """Find the nearest entry of another place or caption.

        Args:
            query: ``(N, dim)``.
            whose: ``(N, 2)`` the place, or the caption's number in two parts.

        Returns:
            ``(N, dim)`` unit vectors without gradients, and ``(N,)`` int64 the numbers of the
            entries. Where there is none of another, it is the query itself, with a number of its
            own below 0.
        """
        rows, theirs = self.queue.known()
        similarity = losses.similarities(query, rows.to(query.dtype))
        same = (whose.to(theirs.dtype)[:, None] == theirs).all(dim=2)
        if self.apart_km > 0:
            same = same | (losses.negative_weight(whose, theirs, mask_km=self.apart_km) == 0)
        best, entry = similarity.masked_fill(same, -torch.inf).max(dim=1)
        there = best > -torch.inf
        own = -1 - torch.arange(len(query), device=query.device)
        unit = nn.functional.normalize(query, dim=1)
        found = torch.where(there[:, None], rows[entry].to(query.dtype), unit)
        return found, torch.where(there, entry, own)

    def push(self, embedding: Tensor, whose: Tensor) -> None:
        """Put embeddings in the places of the oldest.

        Args:
            embedding: ``(N, dim)``.
            whose: As for ``nearest``.
        """
        self.queue.push(nn.functional.normalize(embedding.float(), dim=1), whose)
