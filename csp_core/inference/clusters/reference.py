"""Numbers, and so colours, that stay with the clusters of a model, whatever is asked of it.

Clusters are found anew for every sample, seed, method and number of clusters. Their numbers come
from one tree of groups of the model: a thousand places, the same in every process, of which one
group splits into two, one of these into two, and so on. The larger part of a group keeps its
number and the smaller gets the next, so that K groups and K + 1 differ in the one that splits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from csp_core.errors import CspError
from csp_core.geo import EARTH_RADIUS_KM, WORLD, unit_vectors
from csp_core.grid import Bounds
from csp_core.inference.clusters.sampling import Sample, Where, make_sample
from csp_core.inference.clusters.vectors import embed

PLACES = 1000
# Groups that clusters of HDBSCAN, which finds its own number, are held against at least: as many as
# k-means makes by default, so that the two methods share colours.
USUAL = 8
# Places so many spacings from all places of the tree, such as those at sea, are no ground for a
# number.
REACH = 1.5
# How alike two groups are to the model decides where they share no place.
LIKENESS = 1e-3


@dataclass(frozen=True, eq=False)
class Reference:
    """The groups of a model that clusters take their numbers from.

    Args:
        lonlat: ``(M, 2)`` degrees.
        vectors: ``(M, D)`` embeddings of unit length.
        tree: ``(M - 1, 4)`` merges by Ward's method, as SciPy's ``linkage`` gives them.
        reach: Chord of the unit sphere up to which a place counts as one of the nearest of these.
    """

    lonlat: Tensor
    vectors: Tensor
    tree: NDArray[np.float64]
    reach: float

    def parts(self, count: int) -> Tensor:
        """Cut the tree.

        Args:
            count: How many groups; at most as many as there are places.

        Returns:
            ``(M,)`` int64, from 0 to ``count`` - 1.
        """
        leaves = len(self.lonlat)
        node = {0: 2 * leaves - 2}
        for new in range(1, min(count, leaves)):
            # The later a node was merged, the more its two halves differ.
            number = max(node, key=node.__getitem__)
            node[number], node[new] = self._halves(node[number])
        labels = torch.zeros(leaves, dtype=torch.int64)
        for number, top in node.items():
            labels[self._leaves(top)] = number
        return labels

    def _halves(self, node: int) -> tuple[int, int]:
        """Give the larger half of a node and the smaller."""
        leaves = len(self.lonlat)
        first, second = (int(half) for half in self.tree[node - leaves, :2])
        sizes = [1 if half < leaves else self.tree[half - leaves, 3] for half in (first, second)]
        return (first, second) if sizes[0] >= sizes[1] else (second, first)

    def _leaves(self, node: int) -> list[int]:
        found, open_nodes = [], [node]
        while open_nodes:
            node = open_nodes.pop()
            if node < len(self.lonlat):
                found.append(node)
            else:
                open_nodes.extend(self._halves(node))
        return found


def make_reference(
    model: Any, *, bounds: Bounds = WORLD, where: Where = "land"
) -> Reference | None:
    """Find the groups that clusters of a model take their numbers from.

    They depend on the model and the region alone. They are those of land, so that clusters of land
    and sea keep the colours of the land.

    Args:
        model: A model with a location side; one that knows time is told none.
        bounds: West, south, east, north, degrees.
        where: Of a region without land, ``world`` takes the sea.

    Returns:
        The groups; None of a model that cannot be asked about these places.
    """
    from scipy.cluster.hierarchy import linkage

    for kind in dict.fromkeys(("land", where)):
        try:
            sample = make_sample(PLACES, where=kind, bounds=bounds)
            vectors = embed(model, sample.lonlat)
        except CspError:  # no land here, or vectors that are no numbers
            continue
        tree = linkage(vectors.double().numpy(), "ward")
        return Reference(sample.lonlat, vectors, tree, REACH * sample.spacing_km / EARTH_RADIUS_KM)
    return None


def numbered(
    labels: Tensor,
    sample: Sample,
    vectors: Tensor,
    reference: Reference | None,
    *,
    method: str = "kmeans",
) -> Tensor:
    """Renumber clusters as the groups of the reference that they share most area with.

    Args:
        labels: ``(N,)`` int64; -1 stays.
        sample: The places, in the region of the reference.
        vectors: ``(N, D)`` embeddings by the model of the reference.
        reference: Its groups; without them clusters keep their numbers.
        method: By which they were found. Those of ``kmeans`` have the numbers from 0 on; of
            ``hdbscan``, which finds fewer as a rule, some numbers may be missing.

    Returns:
        ``(N,)`` int64.
    """
    own, row = torch.unique(labels[labels >= 0], return_inverse=True)
    if reference is None or not len(own):
        return labels.clone()
    parts = reference.parts(max(len(own), USUAL if method == "hdbscan" else 0))
    known = labels >= 0
    shared = _shared(row, sample.lonlat[known], sample.area_km2[known], reference, parts)
    like = _means(vectors[known], row) @ _means(reference.vectors, parts).T
    number = _assigned((shared / sample.area_km2.sum() + LIKENESS * like).numpy())
    size = torch.bincount(row, minlength=len(own))
    left = [i for i in size.argsort(descending=True, stable=True).tolist() if i not in number]
    number |= {i: shared.shape[1] + more for more, i in enumerate(left)}
    result = labels.clone()
    result[known] = torch.tensor([number[i] for i in range(len(own))])[row]
    return result


def _shared(
    row: Tensor, lonlat: Tensor, area: Tensor, reference: Reference, parts: Tensor
) -> Tensor:
    """Measure the area that each cluster shares with each group."""
    from scipy.spatial import cKDTree

    tree = cKDTree(unit_vectors(reference.lonlat.double()).numpy())
    away, nearest = tree.query(unit_vectors(lonlat.double()).numpy())
    near = torch.from_numpy(away <= reference.reach)
    theirs = parts[torch.from_numpy(nearest)]
    shared = torch.zeros(int(row.max()) + 1, int(parts.max()) + 1, dtype=torch.float64)
    shared.index_put_((row[near], theirs[near]), area[near].double(), accumulate=True)
    return shared


def _means(vectors: Tensor, labels: Tensor) -> Tensor:
    total = torch.zeros(int(labels.max()) + 1, vectors.shape[1], dtype=torch.float64)
    total.index_add_(0, labels, vectors.double())
    return torch.nn.functional.normalize(total, dim=1)


def _assigned(score: NDArray[np.float64]) -> dict[int, int]:
    from scipy.optimize import linear_sum_assignment

    pairs = zip(*linear_sum_assignment(score, maximize=True), strict=True)
    return {int(cluster): int(part) for cluster, part in pairs}
