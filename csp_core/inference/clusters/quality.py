"""How far clusters can be trusted, in numbers and in plain words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.geo import unit_vectors
from csp_core.inference.clusters.groups import NOISE, check_seed, cluster
from csp_core.inference.clusters.vectors import check_finite

NEIGHBOURS = 6
# Distances of all pairs of so many points are looked at.
MOST_PAIRED = 4000
# Of the points, in each repetition of a method without chance.
PART = 0.8
CAUTION = "Colours of clusters compare within one model and region, distances within one view only."


@dataclass(frozen=True)
class Quality:
    """Five measures of a clustering; one that cannot be taken is None.

    Args:
        silhouette: Mean of (b - a) / max(a, b) in [-1, 1], where a is a point's mean distance
            to its own cluster and b to the nearest other; noise is left out.
        stability: Mean adjusted Rand index, at most 1, between repetitions: other seeds of
            k-means, HDBSCAN of four fifths of the points.
        contiguity: Share of the six nearest places on the sphere that are of the same cluster.
        by_chance: What that share would be with the clusters shuffled.
        explained: Share of the variance that lies between clusters; noise is left out.
        noise: Share of the points in no cluster.
        clusters: How many there are.
        method: ``kmeans`` or ``hdbscan``.
    """

    silhouette: float | None
    stability: float | None
    contiguity: float
    by_chance: float
    explained: float | None
    noise: float
    clusters: int
    method: str = "kmeans"

    @property
    def sentences(self) -> dict[str, str]:
        """What each measure says, by its name."""
        told = {
            "silhouette": _silhouette_words(self.silhouette),
            "stability": _stability_words(self.stability, self.method),
            "contiguity": (
                f"{self.contiguity:.0%} of a place's nearest neighbours are of its cluster, where"
                f" chance would give {self.by_chance:.0%}: the clusters"
                f" {_contiguity_words(self.contiguity, self.by_chance)}."
            ),
            "explained": (
                "With fewer than two clusters nothing lies between them."
                if self.explained is None
                else f"{self.explained:.0%} of the variance of the vectors lies between clusters;"
                " the rest is inside them."
            ),
            "noise": (
                "Every point is in a cluster."
                if not self.noise
                else f"{self.noise:.0%} of the points are in no cluster."
            ),
        }
        return told

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, the sentences among them."""
        return asdict(self) | {"sentences": self.sentences, "caution": CAUTION}


def quality(
    vectors: Tensor,
    labels: Tensor,
    lonlat: Tensor,
    *,
    seed: int = 0,
    again: int = 3,
    method: str = "kmeans",
    min_size: int | None = None,
) -> Quality:
    """Measure a clustering.

    Args:
        vectors: ``(N, D)`` that were clustered.
        labels: ``(N,)`` int64, -1 for noise.
        lonlat: ``(N, 2)`` degrees.
        seed: The seed it was made with; repetitions take the next ones.
        again: How often to repeat it; 0 leaves ``stability`` out.
        method: What made it.
        min_size: The smallest cluster of HDBSCAN, as it was asked for.

    Returns:
        The measures.

    Raises:
        ConfigError: If the three differ in length, or there are fewer than two points.
        BadRecordError: If a vector is not finite.
    """
    from sklearn.metrics import silhouette_score

    if not len(vectors) == len(labels) == len(lonlat) or len(labels) < 2:
        raise ConfigError(
            f"{len(vectors)} vectors, {len(labels)} labels and {len(lonlat)} places; give as many"
            " of each, two or more."
        )
    check_finite(vectors, "the sample")
    kept = labels != NOISE
    points, groups = vectors[kept].double(), labels[kept]
    own, row = torch.unique(groups, return_inverse=True)
    silhouette = explained = None
    if 2 <= len(own) < len(groups):
        size = MOST_PAIRED if len(groups) > MOST_PAIRED else None
        seen = _both(row, size, seed)
        silhouette = float(silhouette_score(points[seen].numpy(), row[seen].numpy()))
        explained = _explained(points, row, len(own))
    again_labels = _repeat(vectors, len(own), seed, again, method, min_size)
    near, chance = contiguity(labels, lonlat)
    return Quality(
        silhouette=silhouette,
        stability=_stability(labels, again_labels),
        contiguity=near,
        by_chance=chance,
        explained=explained,
        noise=float((~kept).double().mean()),
        clusters=len(own),
        method=method,
    )


def _both(row: Tensor, size: int | None, seed: int) -> Tensor:
    """Draw points for the silhouette, and see that at least two clusters are among them."""
    if size is None:
        return torch.arange(len(row))
    drawn = torch.randperm(len(row), generator=torch.Generator().manual_seed(check_seed(seed)))
    first = torch.stack([(row == k).nonzero()[0, 0] for k in range(int(row.max()) + 1)])
    chosen: Tensor = torch.unique(torch.cat((first, drawn[:size])))
    return chosen


def _explained(points: Tensor, row: Tensor, count: int) -> float | None:
    total = (points - points.mean(dim=0)).square().sum()
    sums = torch.zeros(count, points.shape[1], dtype=points.dtype).index_add_(0, row, points)
    centre = sums / torch.bincount(row, minlength=count)[:, None]
    within = (points - centre[row]).square().sum()
    return float(1 - within / total) if total > 0 else None


def _repeat(
    vectors: Tensor, count: int, seed: int, again: int, method: str, min_size: int | None
) -> list[tuple[Tensor, Tensor]]:
    """Cluster anew: which points, and their labels."""
    found = []
    for other in range(seed + 1, seed + 1 + again):
        other %= 2**32
        if method == "kmeans":
            if count >= 2:
                rows = torch.arange(len(vectors))
                found.append((rows, cluster(vectors, count=count, seed=other)))
            continue
        chance = torch.Generator().manual_seed(other)
        rows = torch.randperm(len(vectors), generator=chance)[: round(PART * len(vectors))]
        rows = rows.sort().values
        size = None if min_size is None else max(2, round(PART * min_size))
        try:
            found.append((rows, cluster(vectors[rows], method=method, min_size=size)))
        except ConfigError:  # there it finds none, which is agreement on nothing
            found.append((rows, torch.full((len(rows),), NOISE)))
    return found


def _stability(labels: Tensor, others: list[tuple[Tensor, Tensor]]) -> float | None:
    from sklearn.metrics import adjusted_rand_score

    if not others:
        return None
    everything = [(torch.arange(len(labels)), labels), *others]
    scores = []
    for (rows_a, a), (rows_b, b) in combinations(everything, 2):
        first, second = (torch.full((len(labels),), NOISE - 1) for _ in range(2))
        first[rows_a], second[rows_b] = a, b
        both = (first > NOISE - 1) & (second > NOISE - 1)
        scores.append(adjusted_rand_score(first[both].numpy(), second[both].numpy()))
    return float(np.mean(scores))


def contiguity(labels: Tensor, lonlat: Tensor) -> tuple[float, float]:
    """Measure how often neighbours on the map are of one cluster.

    Args:
        labels: ``(N,)`` int64; noise counts as a cluster of its own.
        lonlat: ``(N, 2)`` degrees.

    Returns:
        The share among the nearest neighbours, and among all pairs.
    """
    from sklearn.neighbors import KDTree

    count = len(labels)
    if count < 2:
        return 1.0, 1.0
    places = unit_vectors(lonlat.double()).numpy()
    near = KDTree(places).query(places, k=min(NEIGHBOURS + 1, count))[1]
    # A point is its own nearest, unless another stands on it.
    others = torch.from_numpy(near)
    mine = others == torch.arange(count)[:, None]
    same = (labels[others] == labels[:, None]) & ~mine
    _, size = torch.unique(labels, return_counts=True)
    size = size.double()
    by_chance = float((size * (size - 1)).sum() / (count * (count - 1)))
    return float(same.sum() / (~mine).sum()), by_chance


def _silhouette_words(value: float | None) -> str:
    if value is None:
        return "With fewer than two clusters there is nothing to tell apart."
    told = "are well apart" if value >= 0.5 else "overlap in part" if value >= 0.25 else (
        "run into one another: their borders are cuts through a continuum"
    )  # fmt: skip
    return f"Silhouette {value:.2f} of at most 1: the clusters {told}."


def _stability_words(value: float | None, method: str) -> str:
    if value is None:
        return "It was not repeated, so nothing is known of its stability."
    how = "other seeds" if method == "kmeans" else "four fifths of the points"
    told = "much the same clusters" if value >= 0.8 else (
        "similar clusters" if value >= 0.5 else "other clusters: read none as given by nature"
    )  # fmt: skip
    return f"Repeated with {how}, it gives {told} (adjusted Rand index {value:.2f} of 1)."


def _contiguity_words(value: float, chance: float) -> str:
    gain = (value - chance) / max(1 - chance, 1e-9)
    if gain >= 0.7:
        return "are regions on the map"
    return "are patches on the map" if gain >= 0.3 else "are scattered over the map"
