"""Grouping vectors: k-means and HDBSCAN, and numbers of clusters that stay from run to run."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.inference.clusters.vectors import check_finite, components

Method = Literal["kmeans", "hdbscan"]
METHODS: tuple[Method, ...] = ("kmeans", "hdbscan")
MOST_CLUSTERS = 100
NOISE = -1
STARTS = 4
# In which density is measured.
DENSE_DIMS = 10
# What is tried, as shares of the smallest size asked for, to say which would find something.
_SMALLER = (0.5, 0.25, 0.1, 0.05, 0.0)


def cluster(
    vectors: Tensor,
    *,
    method: str = "kmeans",
    count: int = 8,
    min_size: int | None = None,
    seed: int = 0,
) -> Tensor:
    """Group vectors.

    Args:
        vectors: ``(N, D)``.
        method: ``kmeans``, the best of four starts, or ``hdbscan``, which finds the number of
            clusters itself and leaves out what belongs to none. It takes the ten leading components
            of longer vectors: density means little in many dimensions, and takes minutes there.
        count: Clusters of k-means, from 2.
        min_size: The smallest cluster of HDBSCAN, from 2; a hundredth of the vectors if not given.
        seed: Of the starts of k-means; HDBSCAN leaves nothing to chance.

    Returns:
        ``(N,)`` int64, from 0; -1 for vectors that belong to no cluster.

    Raises:
        ConfigError: If the method or a number is none, there are fewer vectors that differ than
            clusters, or HDBSCAN finds nothing.
        BadRecordError: If a vector is not finite.
    """
    check_finite(vectors, "the sample")
    points = vectors.detach().float().cpu().numpy()
    if method not in METHODS:
        raise ConfigError(f"The method is {method!r}; give one of {', '.join(METHODS)}.")
    if method == "hdbscan":
        return torch.from_numpy(_hdbscan(points, min_size))
    return torch.from_numpy(_kmeans(points, count, seed))


def import_methods() -> None:
    """Import scikit-learn and SciPy, a second that the first clusters would wait for."""
    from scipy.cluster import hierarchy  # noqa: F401
    from sklearn import cluster, metrics, neighbors  # noqa: F401


def _kmeans(points: NDArray[np.float32], count: int, seed: int) -> NDArray[np.int64]:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    if not 2 <= count <= MOST_CLUSTERS:
        raise ConfigError(f"The number of clusters is {count}; give from 2 to {MOST_CLUSTERS}.")
    if count > len(points):
        raise ConfigError(
            f"{count} clusters of {len(points)} points: give more points, or at most"
            f" {max(len(points), 2)} clusters."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            fit = KMeans(count, n_init=STARTS, random_state=check_seed(seed)).fit(points)
        except ConvergenceWarning:
            different = len(np.unique(points, axis=0))
            raise ConfigError(
                f"Only {different} of {len(points)} vectors differ, too few for {count} clusters:"
                " the model tells these places apart no further."
            ) from None
    return np.asarray(fit.labels_, dtype=np.int64)


def _hdbscan(points: NDArray[Any], min_size: int | None) -> NDArray[np.int64]:
    if points.shape[1] > DENSE_DIMS:
        points = components(points, DENSE_DIMS)[0]
    size = max(5, len(points) // 100) if min_size is None else min_size
    if not 2 <= size <= len(points):
        raise ConfigError(
            f"The smallest cluster would have {size} points; give from 2 to the {len(points)}"
            " there are."
        )
    labels = _density(points, size)
    if labels.max() >= 0:
        return labels
    tried = sorted({max(2, round(size * part)) for part in _SMALLER} - {size}, reverse=True)
    for smaller in tried:
        found = int(_density(points, smaller).max()) + 1
        if found:
            raise ConfigError(
                f"HDBSCAN finds no cluster of {size} points or more; with a smallest size of"
                f" {smaller} it finds {found}."
            )
    raise ConfigError(
        "HDBSCAN finds no cluster of any size: these vectors thin out evenly, with no gaps between"
        " them. Use k-means, which needs none."
    )


def _density(points: NDArray[Any], size: int) -> NDArray[np.int64]:
    from sklearn.cluster import HDBSCAN

    return np.asarray(HDBSCAN(min_cluster_size=size, copy=True).fit(points).labels_, dtype=np.int64)


def check_seed(seed: int) -> int:
    """Check a seed.

    Args:
        seed: A whole number.

    Returns:
        The same.

    Raises:
        ConfigError: If it is none that NumPy takes.
    """
    if not 0 <= seed < 2**32:
        raise ConfigError(f"The seed is {seed}; give a whole number from 0 to {2**32 - 1}.")
    return seed


def match(labels: Tensor, reference_labels: Tensor) -> Tensor:
    """Renumber clusters so that each keeps the number of the one that it shares most points with.

    Colours go by number, so they stay where the clusters do, whatever the seed or the method.

    Args:
        labels: ``(N,)`` int64; -1 stays.
        reference_labels: ``(N,)`` int64 of the same points.

    Returns:
        ``(N,)`` int64; clusters that match none take the numbers left over, the largest first.

    Raises:
        ConfigError: If the two are of different points.

    Example:
        >>> match(torch.tensor([0, 0, 1, 2, -1]), torch.tensor([1, 1, 0, 0, 0])).tolist()
        [1, 1, 0, 2, -1]
    """
    from scipy.optimize import linear_sum_assignment

    if labels.shape != reference_labels.shape or labels.ndim != 1:
        raise ConfigError(
            f"{tuple(labels.shape)} labels and {tuple(reference_labels.shape)} to match them to;"
            " give two of the same points."
        )
    own, row = torch.unique(labels[labels >= 0], return_inverse=True)
    if not len(own):
        return labels.clone()
    theirs = reference_labels[labels >= 0]
    shared = torch.zeros(len(own), int(theirs.max().clamp(min=0)) + 1, dtype=torch.int64)
    known = theirs >= 0
    shared.index_put_((row[known], theirs[known]), torch.tensor(1), accumulate=True)
    pairs = zip(*linear_sum_assignment(shared.numpy(), maximize=True), strict=True)
    number = {int(i): int(j) for i, j in pairs if shared[i, j] > 0}
    size = torch.bincount(row, minlength=len(own))
    free = (n for n in range(len(own) + shared.shape[1]) if n not in set(number.values()))
    left = [i for i in size.argsort(descending=True, stable=True).tolist() if i not in number]
    number |= dict(zip(left, free, strict=False))
    result = labels.clone()
    result[labels >= 0] = torch.tensor([number[i] for i in range(len(own))])[row]
    return result
