"""What the page shows of a model: its sample, vectors, clusters and two directions, by stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from clusters import pixels
from clusters.address import METHODS, PROJECTIONS, SAMPLES, View
from clusters.kept import kept
from clusters.region import words_of
from clusters.stages import LAST, Do, announced, workers
from csp_core.grid import Bounds
from csp_core.inference import clusters
from csp_core.inference.clusters.apart import LAYOUTS
from csp_core.model import DualEncoder
from shared import months, resources
from shared.visits import own
from shared.words import count_of


@dataclass(frozen=True)
class Places:
    """A sample as the page needs it.

    Args:
        sample: The places.
        lonlat: They as N pairs, degrees.
        cells: As ``pixels.nearest_points`` gives them.
    """

    sample: clusters.Sample
    lonlat: list[list[float]]
    cells: Any


@dataclass(frozen=True)
class Study:
    """What is known of a model for one choice of sample, method and layout.

    Args:
        of: Tells the vectors from all others: model, time of year and sample.
        group: Tells the groups from all others.
        key: Tells all that is shown from all others.
        date: Part of the year in [0, 1) that the model is asked about, or None.
        places: The sample.
        vectors: ``(N, D)`` embeddings.
        shown: ``(N,)`` labels, numbered as ``clusters.numbered`` does; -1 for none.
        labels: The same as a list.
        plane: ``(N, 2)``, where the points lie in the scatter.
        x: Its first column.
        y: Its second column.
        shares: Shares of all differences that the two directions hold, or None.
    """

    of: tuple[Any, ...]
    group: tuple[Any, ...]
    key: tuple[Any, ...]
    date: float | None
    places: Places
    vectors: Any
    shown: Any
    labels: list[int]
    plane: Any
    x: list[float]
    y: list[float]
    shares: Any

    @property
    def sample(self) -> clusters.Sample:
        """The places."""
        return self.places.sample

    @property
    def explained(self) -> list[float] | None:
        """Shares of all differences that the two directions hold, or None."""
        return None if self.shares is None else self.shares.tolist()

    def nearest_to(self, lon: float, lat: float) -> int:
        """Find the point nearest to a place, degrees; its position in the sample."""
        return pixels.nearest_to(self.sample.lonlat, lon, lat)


def study(view: View, model: DualEncoder) -> Study:
    """Find the clusters of a model, with a word for each stage that is not known yet.

    Args:
        view: What is asked for.
        model: The model.

    Returns:
        What the map and the scatter show.

    Raises:
        CspError: If the model places nothing, or the method finds no clusters.
    """
    where = (view.where, view.points, view.bounds)
    date = months.date_of(view.month) if model.uses_date else None
    of = (resources.content_hash(view.info), date, *where)
    size = view.count if view.method == "kmeans" else view.size
    group = (*of, view.method, size, view.seed)
    layout = (*of, view.projection, view.seed)
    # While places are chosen and the model is asked, as it takes longer than either.
    workers().submit(clusters.import_methods)
    with announced() as do:
        places: Places = do(1, "Choosing the places", kept("places", 6), where,
                    lambda: _choose(*where))  # fmt: skip
        lonlat = places.sample.lonlat
        vectors = do(2, f"Asking the model about {view.points:,} places", kept("vectors", 3), of,
                     lambda: clusters.embed(model, lonlat, date=date))  # fmt: skip
        found = do(3, f"Grouping them: {METHODS[view.method]}", kept("groups", 24), group,
                   lambda: _cluster(view, vectors))  # fmt: skip
        shown, labels = kept("numbers", 24).get(
            group,
            lambda: _numbered(view, places, vectors, found, _reference(do, view, model, places)),
        )
        plane, shares, x, y = do(
            4, f"Laying them out: {PROJECTIONS[view.projection]}", kept("layout", 12), layout,
            partial(_layout, view, vectors), ends=True,
        )  # fmt: skip
    st.session_state[own(LAST)] = st.query_params.to_dict()
    key = (*group, view.projection)
    return Study(of, group, key, date, places, vectors, shown, labels, plane, x, y, shares)


@dataclass(frozen=True)
class Account:
    """What is to be told of clusters.

    Args:
        facts: Of each cluster, by number.
        quality: How good they are.
    """

    facts: list[clusters.ClusterFacts]
    quality: clusters.Quality


def account(view: View, model: DualEncoder, found: Study) -> Account:
    """Measure and describe clusters, after they are drawn, as it takes longer than drawing them.

    Args:
        view: What is asked for.
        model: The model.
        found: The clusters.

    Returns:
        What is to be told of them.

    Raises:
        CspError: If it cannot be told.
    """
    group, sample = found.group, found.sample
    size = None if view.method == "kmeans" else view.size
    with announced() as do:
        facts = do(5, "Finding what is typical of each cluster", kept("facts", 24),
                   group,
                   partial(clusters.describe, model, sample, found.shown, date=found.date),
                   )  # fmt: skip
        quality = do(
            6, "Measuring how well the clusters hold together", kept("quality", 24), group,
            lambda: clusters.quality(found.vectors, found.shown, sample.lonlat, seed=view.seed,
                                     method=view.method, min_size=size),
        )  # fmt: skip
    return Account(facts, quality)


def _choose(where: Any, points: int, bounds: Bounds) -> Places:
    sample = clusters.make_sample(points, where=where, bounds=bounds)
    cells = pixels.nearest_points(sample.lonlat, land=where == "land", bounds=bounds)
    return Places(sample, sample.lonlat.tolist(), cells)


def _cluster(view: View, vectors: Any) -> Any:
    if view.method == "kmeans":
        return clusters.cluster(vectors, method="kmeans", count=view.count, seed=view.seed)
    return clusters.cluster(vectors, method="hdbscan", min_size=view.size, seed=view.seed)


def _layout(
    view: View, vectors: Any, left: Callable[[], bool]
) -> tuple[Any, Any, list[float], list[float]]:
    if view.projection == "umap":
        plane, shares = LAYOUTS.umap(vectors, seed=view.seed, left=left), None
    else:
        plane, shares = clusters.project(vectors, method=view.projection, seed=view.seed)
    x, y = zip(*plane.tolist(), strict=True)
    return plane, shares, list(x), list(y)


def _reference(do: Do, view: View, model: DualEncoder, places: Places) -> Any:
    """Give what clusters take their numbers from, as `embedding_clusters` does.

    Nothing of the session is in it, so an address has the same numbers and colours in every
    session, and files of the command line have them too.
    """
    bounds, kind = places.sample.bounds, places.sample.kind
    return do(
        3, "Finding the colours that stay", kept("references", 6),
        (resources.content_hash(view.info), bounds, kind),
        lambda: clusters.make_reference(model, bounds=bounds, where=kind),
    )  # fmt: skip


def _numbered(view: View, places: Places, vectors: Any, found: Any, reference: Any) -> Any:
    """Number clusters as the reference does; as a tensor, and as a list."""
    shown = clusters.numbered(found, places.sample, vectors, reference, method=view.method)
    return shown, shown.tolist()


def colours_of(study: Study, shown: str) -> list[str]:
    """Give every point its colour.

    Args:
        study: The study.
        shown: A key of ``clusters.address.SHOWN``.

    Returns:
        ``#rrggbb`` a point.
    """
    if shown == "components":
        return kept("components", 6).get(
            study.of, lambda: pixels.hex_colours(clusters.rgb(study.vectors))
        )
    colours = {label: clusters.colour_of(label) for label in set(study.labels)}
    return [colours[label] for label in study.labels]


def title_of(view: View, *, seasons: bool) -> str:
    """Say in a line what is shown, with the month of a model that knows seasons."""
    size = (
        count_of(view.count, "cluster", "clusters")
        if view.method == "kmeans"
        else f"clusters of {view.size:,} places or more"
    )
    where = SAMPLES[view.where].lower()
    when = f", {months.MONTHS[view.month - 1]}" if view.month and seasons else ""
    places = f"{view.points:,} places on {where}{words_of(view.bounds)}"
    return f"{METHODS[view.method]}, {size}, {places}, seed {view.seed}{when}"
