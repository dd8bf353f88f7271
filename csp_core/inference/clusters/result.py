"""The clusters of a model's location space, with all that is to be told of them."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.geo import WORLD, unit_vectors
from csp_core.grid import Bounds
from csp_core.inference.clusters.facts import ClusterFacts, describe
from csp_core.inference.clusters.groups import METHODS, cluster, match
from csp_core.inference.clusters.projection import PROJECTIONS, project, rgb
from csp_core.inference.clusters.quality import Quality, quality
from csp_core.inference.clusters.reference import make_reference, numbered
from csp_core.inference.clusters.sampling import Sample, Where, make_sample
from csp_core.inference.clusters.vectors import embed

# Okabe and Ito's colours, which are told apart with any sight, then more by turns of the hue.
_FIRST = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#f0e442", "#7f5539")
NOISE_COLOUR = "#9aa3a5"
GOLDEN = 0.618033988749895
STAGES = ("sample", "embed", "cluster", "project", "describe", "measure")
Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class Clusters:
    """Clusters of a model's location space.

    Args:
        sample: The places.
        labels: ``(N,)`` int64, -1 for what is in no cluster.
        vectors: ``(N, D)`` float32 embeddings of unit length.
        projection: ``(N, 2)`` float32, for a scatter.
        explained: ``(2,)`` shares of the variance that the projection shows; None of UMAP.
        facts: What is typical of each cluster, the noise last.
        quality: How far they can be trusted.
        method: ``kmeans`` or ``hdbscan``.
        layout: ``pca`` or ``umap``.
        count: How many clusters were asked for; HDBSCAN finds its own number.
        min_size: The smallest cluster that was asked for, or None.
        seed: The seed.
        model: Name of the model.
        date: Part of the year in [0, 1) that was asked about; None of a model that knows no time.
    """

    sample: Sample
    labels: Tensor
    vectors: Tensor
    projection: Tensor
    explained: Tensor | None
    facts: tuple[ClusterFacts, ...]
    quality: Quality
    method: str
    layout: str
    count: int
    min_size: int | None
    seed: int
    model: str
    date: float | None = None

    @property
    def colours(self) -> dict[int, str]:
        """The colour of each cluster, ``#rrggbb``, by its number."""
        return {fact.label: colour_of(fact.label) for fact in self.facts}

    @property
    def rgb(self) -> Tensor:
        """``(N, 3)`` uint8: three leading components of the vectors as colours."""
        return rgb(self.vectors)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values of all but the points."""
        return {
            "model": self.model,
            "method": self.method,
            "projection": self.layout,
            "seed": self.seed,
            "date": self.date,
            "clusters": self.quality.clusters,
            "min_size": self.min_size,
            "points": len(self.sample),
            "where": self.sample.kind,
            "bounds": list(self.sample.bounds),
            "step": self.sample.step,
            "area_km2": float(self.sample.area_km2.sum()),
            "explained": None if self.explained is None else self.explained.tolist(),
            "quality": self.quality.to_dict(),
            "facts": [f.to_dict() | {"colour": colour_of(f.label)} for f in self.facts],
        }

    def to_files(self, *paths: str | Path, **about: Any) -> None:
        """Write the clusters to files; see ``write_clusters``.

        Args:
            *paths: Files to write, their kinds told by their endings.
            **about: Keywords of ``write_clusters``.

        Raises:
            ConfigError: If an ending is not known.
            BadRecordError: If a file cannot be written.
        """
        from csp_core.inference.clusters.files import write_clusters

        for path in paths:
            write_clusters(self, path, **about)


def colour_of(label: int) -> str:
    """Give the colour of a cluster: always the same for a number.

    Args:
        label: Its number; -1 for noise.

    Returns:
        ``#rrggbb``.

    Example:
        >>> colour_of(0), colour_of(-1)
        ('#0072b2', '#9aa3a5')
    """
    if label < 0:
        return NOISE_COLOUR
    if label < len(_FIRST):
        return _FIRST[label]
    value = (0.85, 0.6, 0.45)[label % 3]
    parts = colorsys.hsv_to_rgb(label * GOLDEN % 1, 0.65, value)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)


def embedding_clusters(
    model: Any,
    *,
    bounds: Bounds = WORLD,
    step: float | None = None,
    count: int = 8,
    method: str = "kmeans",
    seed: int = 0,
    points: int = 4000,
    where: Where = "land",
    projection: str = "pca",
    min_size: int | None = None,
    date: float | None = None,
    like: Clusters | None = None,
    progress: Progress | None = None,
) -> Clusters:
    """Cluster what a model has learned of places.

    Clusters bear the numbers, and so the colours, of those of the model's reference that they share
    most area with, or of the clusters given by ``like``. The reference depends on the model and the
    region alone, so colours stay, as far as clusters do, between sizes of the sample, seeds,
    methods, dates and numbers of clusters.

    Args:
        model: Any model with a location side, imported ones too.
        bounds: West, south, east, north, degrees; west above east crosses the antimeridian.
        step: Take the cells of a grid of this side in degrees; an equal-area sample if None.
        count: Clusters of k-means, from 2.
        method: ``kmeans`` or ``hdbscan``.
        seed: Of k-means and UMAP.
        points: How many places the equal-area sample has.
        where: ``land`` or ``world``.
        projection: ``pca`` or ``umap``, for the scatter.
        min_size: The smallest cluster of HDBSCAN; a hundredth of the places if None.
        date: Part of the year in [0, 1), for models that know time.
        like: Clusters whose numbers and colours to keep, of any model and sample.
        progress: Called with a stage of ``STAGES`` and the part that is done before it; what it
            raises ends the work.

    Returns:
        The clusters.

    Raises:
        ConfigError: If the model has no location encoder, an option is none, there is no land, or
            no cluster is found.
        BadRecordError: If embeddings are not finite.

    Example:
        >>> from csp_core import load_model
        >>> found = embedding_clusters(load_model("demo"), count=4, points=300)
        >>> len(found.labels), found.quality.clusters
        (300, 4)
    """
    if projection not in PROJECTIONS or method not in METHODS:
        raise ConfigError(
            f"The method is {method!r} and the projection {projection!r}; give one of"
            f" {', '.join(METHODS)} and one of {', '.join(PROJECTIONS)}."
        )
    tell = progress or _silently
    tell("sample", 0.0)
    sample = make_sample(points, where=where, bounds=bounds, step=step)
    tell("embed", 0.05)
    date = date if getattr(model, "uses_date", False) else None
    vectors = embed(model, sample.lonlat, date=date)
    tell("cluster", 0.3)
    labels = cluster(vectors, method=method, count=count, min_size=min_size, seed=seed)
    if like is None:
        reference = make_reference(model, bounds=bounds, where=where)
        labels = numbered(labels, sample, vectors, reference, method=method)
    else:
        labels = _as_in(like, labels, sample)
    tell("project", 0.5)
    layout, explained = project(vectors, method=projection, seed=seed)
    tell("describe", 0.7)
    facts = tuple(describe(model, sample, labels, date=date))
    tell("measure", 0.8)
    told = quality(vectors, labels, sample.lonlat, seed=seed, method=method, min_size=min_size)
    tell("done", 1.0)
    return Clusters(
        sample, labels, vectors, layout, explained, facts, told,
        method, projection, count, min_size, seed, str(getattr(model, "name", "")),
        date,
    )  # fmt: skip


def _silently(stage: str, part: float) -> None:
    """Tell nobody."""


def _as_in(like: Clusters, labels: Tensor, sample: Sample) -> Tensor:
    """Number clusters as given ones that they share most places with."""
    from sklearn.neighbors import KDTree

    tree = KDTree(unit_vectors(like.sample.lonlat.double()).numpy())
    nearest = tree.query(unit_vectors(sample.lonlat.double()).numpy(), k=1)[1][:, 0]
    return match(labels, like.labels[torch.from_numpy(nearest)])
