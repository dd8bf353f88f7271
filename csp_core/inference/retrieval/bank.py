"""Retrieval beside an embedding: what a bank of other places holds that is alike, or near."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from csp_core.errors import BadRecordError, ConfigError
from csp_core.geo import unit_vectors

Floats = NDArray[np.float64]
# Of the softmax over cosines of embeddings, and over those of the angle between places.
ALIKE, NEAR = 15.0, 40.0
KEPT, CHUNK = 32, 1024
# Nearer than this, of the Earth's radius, is the same place: about 0.1 m.
SAME = 2e-8


class Bank:
    """Embeddings of places that an embedding is compared with.

    Args:
        vectors: ``(M, D)`` embeddings.
        lonlat: ``(M, 2)`` degrees.

    Raises:
        BadRecordError: If it has fewer than two entries, or not one place for each.

    Source:
        Dhakal et al. 2025, RANGE: retrieval by likeness of embeddings mixed with retrieval by
        nearness, each with a softmax. There the entries hold embeddings of pictures; here those
        of the encoder itself.
    """

    def __init__(self, vectors: Floats, lonlat: Tensor) -> None:
        if len(vectors) < 2 or len(vectors) != len(lonlat):
            raise BadRecordError(
                f"A bank of {len(vectors)} embeddings at {len(lonlat)} places: give at least two,"
                " each with its place."
            )
        self.values = torch.from_numpy(np.ascontiguousarray(vectors)).double()
        self.keys = F.normalize(self.values, dim=1)
        self.points = unit_vectors(lonlat.double())

    def beside(self, vectors: Floats, lonlat: Tensor, mix: float) -> Floats:
        """Put beside each embedding the mean of the entries that are alike and that are near.

        An entry at the very place is passed over, so that a place of the bank is told no more of
        itself than any other place.

        Args:
            vectors: ``(N, D)`` embeddings.
            lonlat: ``(N, 2)`` degrees.
            mix: 1 takes the mean of those whose embeddings are alike, 0 of those that lie near,
                numbers between add the two in these parts.

        Returns:
            ``(N, 2 D)``: the embedding, then what was retrieved.

        Raises:
            ConfigError: If ``mix`` is not from 0 to 1.
        """
        if not 0 <= mix <= 1:
            raise ConfigError(f"The bank's mix is {mix:g}; give 0 (near) to 1 (alike).")
        own = torch.from_numpy(np.ascontiguousarray(vectors)).double()
        parts = [
            self._retrieve(some, unit_vectors(places.double()), mix)
            for some, places in zip(
                torch.split(own, CHUNK), torch.split(lonlat, CHUNK), strict=True
            )
        ]
        return torch.cat((own, torch.cat(parts)), dim=1).numpy()

    def _retrieve(self, vectors: Tensor, points: Tensor, mix: float) -> Tensor:
        cosine = points @ self.points.T
        # By differences: a cosine cannot tell metres.
        chord = torch.cdist(points, self.points, compute_mode="donot_use_mm_for_euclid_dist")
        here = chord < SAME
        found = torch.zeros(len(vectors), self.values.shape[1], dtype=torch.float64)
        if mix > 0:
            found += mix * self._mean(ALIKE * (F.normalize(vectors, dim=1) @ self.keys.T), here)
        if mix < 1:
            found += (1 - mix) * self._mean(NEAR * cosine, here)
        return found

    def _mean(self, likeness: Tensor, here: Tensor) -> Tensor:
        best, rows = likeness.masked_fill(here, -torch.inf).topk(min(KEPT, len(self.keys)), dim=1)
        # Where all entries are at the place itself, nothing else is known than they are.
        weight = best.softmax(dim=1).nan_to_num(1 / best.shape[1])
        # The sums as they are, without a copy of the entries for each place.
        return F.embedding_bag(rows, self.values, per_sample_weights=weight, mode="sum")
