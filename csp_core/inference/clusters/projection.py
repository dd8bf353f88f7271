"""Vectors in two or three dimensions, and as colours."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.inference.clusters.groups import check_seed
from csp_core.inference.clusters.vectors import check_finite, components

Projection = Literal["pca", "umap"]
PROJECTIONS: tuple[Projection, ...] = ("pca", "umap")
MEANING = {
    "pca": (
        "Principal components: the directions in which the vectors differ most. Distances are"
        " those of the vectors, as far as these components go."
    ),
    "umap": (
        "UMAP keeps neighbours together; distances between far groups, and their sizes, mean"
        " nothing."
    ),
}
NEIGHBOURS = 15
# Seconds of one core: importing and compiling, once a process; then for each vector, of which UMAP
# makes 500 passes up to LARGE vectors and 200 over more.
ONCE, EACH_SMALL, EACH_LARGE, LARGE = 15.0, 5e-3, 2e-3, 10_000


def umap_seconds(count: int, *, first: bool = True) -> float:
    """Estimate how long UMAP takes on one core; within a factor of two on other machines.

    Args:
        count: Vectors.
        first: Whether it is the first layout of the process, which compiles.

    Returns:
        Seconds.

    Example:
        >>> umap_seconds(4000), umap_seconds(20_000), umap_seconds(4000, first=False)
        (35.0, 55.0, 20.0)
    """
    return count * (EACH_SMALL if count <= LARGE else EACH_LARGE) + (ONCE if first else 0.0)


def project(
    vectors: Tensor, *, method: str = "pca", dims: int = 2, seed: int = 0
) -> tuple[Tensor, Tensor | None]:
    """Lay vectors out in a few dimensions.

    Args:
        vectors: ``(N, D)``.
        method: ``pca`` or ``umap``.
        dims: 2 or 3, or any number up to D.
        seed: Of UMAP, which runs on one thread so that a seed gives one picture.

    Returns:
        ``(N, dims)`` float32, and with ``pca`` the ``(dims,)`` shares of the variance explained,
        else None.

    Raises:
        ConfigError: If the method or a number is none, or there are too few vectors.
        BadRecordError: If a vector is not finite.
    """
    check_finite(vectors, "the sample")
    points = vectors.detach().float().cpu().numpy()
    if method not in PROJECTIONS:
        raise ConfigError(f"The projection is {method!r}; give one of {', '.join(PROJECTIONS)}.")
    least = dims + 2 if method == "umap" else 2
    if not 1 <= dims <= points.shape[1] or len(points) < least:
        raise ConfigError(
            f"{dims} dimensions of {len(points)} vectors of {points.shape[1]}; give at least"
            f" {least} vectors and no more dimensions than they have."
        )
    if method == "umap":
        return torch.from_numpy(_umap(points, dims, check_seed(seed))), None
    scores, share = components(points, dims)
    return torch.from_numpy(scores.astype(np.float32)), torch.from_numpy(share)


def _umap(points: NDArray[np.float32], dims: int, seed: int) -> NDArray[np.float32]:
    with warnings.catch_warnings():
        # On import it tells of libraries it does without, and of threads that a seed takes.
        warnings.simplefilter("ignore")
        from umap import UMAP

        neighbours = min(NEIGHBOURS, len(points) - 1)
        layout = UMAP(
            n_components=dims,
            n_neighbors=neighbours,
            random_state=seed,
            n_jobs=1,
            init="random" if len(points) < 4 * NEIGHBOURS else "spectral",
        ).fit_transform(points)
    return np.asarray(layout, dtype=np.float32)


def rgb(vectors: Tensor) -> Tensor:
    """Turn vectors into colours: places that a model sees alike look alike.

    The three leading components are red, green and blue, each stretched so that all its values are
    equally frequent. Colours of one set of vectors say nothing about those of another.

    Args:
        vectors: ``(N, D)``, N at least 2.

    Returns:
        ``(N, 3)`` uint8.

    Raises:
        ConfigError: If there are fewer than two vectors.
        BadRecordError: If a vector is not finite.
    """
    from scipy.stats import rankdata

    scores, _ = project(vectors, dims=min(3, vectors.shape[1]))
    rank = rankdata(scores.numpy(), method="average", axis=0) - 1
    values = np.full((len(rank), 3), 128, dtype=np.uint8)
    values[:, : rank.shape[1]] = np.rint(255 * rank / (len(rank) - 1)).astype(np.uint8)
    return torch.from_numpy(values)
