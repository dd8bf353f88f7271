"""What the address of the Clusters page says: model, sample, how it is grouped, place and marks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st

from clusters.region import inside, read_bounds
from csp_core.errors import CspError
from csp_core.grid import Bounds
from csp_core.store import ModelInfo, read_model_config
from shared.address import (
    for_pixels_alone,
    read_month,
    read_number,
    read_word,
    read_zoom,
    tidy,
)
from shared.home import home_of

METHODS = {"kmeans": "k-means", "hdbscan": "HDBSCAN"}
PROJECTIONS = {"pca": "PCA", "umap": "UMAP"}
SAMPLES = {"land": "Land", "world": "Land and sea"}
SHOWN = {"clusters": "Clusters", "components": "Three components as colours"}
POINTS = (500, 1000, 2000, 4000, 10_000, 20_000)
# Of k-means, and the fewest points that HDBSCAN calls a cluster.
COUNTS, SIZES = (2, 60), (2, 2000)
COUNT, POINT, SEEDS = 8, 4000, (0, 99_999)

# What it opens with where nobody has chosen: it learned what places are like, not who was recorded.
OPENS_WITH = "earth"

Brush = tuple[float, float, float, float]


@dataclass
class View:
    """What the address of the Clusters page asks for, and what is wrong with it.

    Args:
        info: The model.
        method: A key of ``METHODS``.
        count: Clusters of k-means.
        size: Fewest points of a cluster of HDBSCAN.
        projection: A key of ``PROJECTIONS``.
        where: A key of ``SAMPLES``.
        points: Places in the sample.
        bounds: West, south, east and north end of the region, degrees.
        edges: The same as the boxes hold them, which may be no region.
        home: The same where the address names none.
        seed: Of everything that chance decides.
        shown: A key of ``SHOWN``.
        cluster: The cluster that is highlighted, or None.
        brush: Left, right, lower and upper end of what is highlighted in the scatter, or None.
        above: Cosine from which places count as like the chosen one; None for what suits the place.
        taxon: A class whose like are listed, or None.
        lon: Longitude as asked for.
        lat: Latitude as asked for.
        place: Where the pin stands, or None.
        zoom: Zoom of the map, or None for the whole world.
        month: 1 to 12, or None for the whole year.
        notices: What was changed.
        problems: What cannot be used.
    """

    info: ModelInfo
    method: str
    count: int
    size: int
    projection: str
    where: str
    points: int
    bounds: Bounds
    edges: Bounds
    home: Bounds
    seed: int
    shown: str
    cluster: int | None
    brush: Brush | None
    above: float | None
    taxon: str | None
    lon: float | None
    lat: float | None
    place: tuple[float, float] | None
    zoom: float | None
    month: int | None
    notices: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def pin_inside(self) -> bool:
        """Whether there is a pin, and it stands in the region."""
        return self.place is not None and inside(self.bounds, *self.place)


def whole(known: Sequence[ModelInfo]) -> dict[str, ModelInfo]:
    """Give the models that can be loaded and see places, those without classes too, by name."""
    return {
        info.name: info
        for info in known
        if info.problem is None and not (for_pixels_alone(info) or info.borrows)
    }


def read_clusters(known: Sequence[ModelInfo]) -> View:
    """Read the address of the Clusters page; what cannot be used becomes a sentence and a default.

    Args:
        known: The models, of which at least one is whole.

    Returns:
        What to show.
    """
    problems: list[str] = []
    notices: list[str] = []
    lon, lat = (read_number(name, None, problems) for name in ("lon", "lat"))
    place = None if lon is None or lat is None else tidy(lon, lat, notices, problems)
    lon, lat = place or (lon, lat)
    points = _read_whole("points", POINT, (POINTS[0], POINTS[-1]), problems)
    info = _read_model(known, problems)
    home = home_of(info)
    bounds, edges = read_bounds(problems, home)
    number = read_number("cluster", None, problems)
    return View(
        info=info,
        method=read_word("method", METHODS, problems),
        count=_read_whole("count", COUNT, COUNTS, problems),
        size=_read_whole("size", default_size(points), SIZES, problems),
        projection=read_word("projection", PROJECTIONS, problems),
        where=read_word("where", SAMPLES, problems),
        points=points,
        bounds=bounds,
        edges=edges,
        home=home,
        seed=_read_whole("seed", 0, SEEDS, problems),
        shown=read_word("show", SHOWN, problems),
        cluster=None if number is None else int(number),
        brush=_read_brush(problems),
        above=_read_above(problems),
        taxon=st.query_params.get("taxon") or None,
        lon=lon,
        lat=lat,
        place=place,
        zoom=read_zoom(None, problems),
        month=read_month(problems),
        notices=notices,
        problems=problems,
    )


def default_size(points: int) -> int:
    """Give the fewest points of a cluster of HDBSCAN that suit a sample: a hundredth of it.

    Example:
        >>> default_size(4000), default_size(500)
        (40, 5)
    """
    return max(5, points // 100)


def write_brush(brush: Brush | None) -> str | None:
    """Write a rectangle of the scatter as the address has it.

    Example:
        >>> write_brush((-1.0, 0.25, 0.12345, 2.0))
        '-1,0.25,0.1235,2'
    """
    return ",".join(f"{round(end, 4):g}" for end in brush) if brush else None


def _read_model(known: Sequence[ModelInfo], problems: list[str]) -> ModelInfo:
    choice = whole(known)
    first = choice.get(OPENS_WITH) or next(filter(_knows_places, choice.values()), None)
    first = first or next(iter(choice.values()))
    name = st.query_params.get("model", first.name)
    if name in choice:
        return choice[name]
    damaged = [info.problem for info in known if info.name == name and info.problem]
    why = f"cannot be loaded ({damaged[0]})" if damaged else "is not here"
    problems.append(
        f"Model {name} {why}. Models: {', '.join(choice)}. Showing {first.name} instead."
    )
    return first


def _knows_places(info: ModelInfo) -> bool:
    """Tell whether a model has a location side and classes, so that most can be said of it."""
    try:
        return bool(info.num_classes and read_model_config(info.directory).get("location"))
    except (CspError, OSError):
        return False


def _read_whole(name: str, default: int, ends: tuple[int, int], problems: list[str]) -> int:
    given = read_number(name, None, problems, f"; taking {default} instead")
    if given is None:
        return default
    if given == int(given) and ends[0] <= given <= ends[1]:
        return int(given)
    problems.append(
        f"{name}={given:g} in the address does not fit: give a whole number from {ends[0]:,} to"
        f" {ends[1]:,}. Taking {default:,} instead."
    )
    return default


def _read_above(problems: list[str]) -> float | None:
    above = read_number("above", None, problems, "; taking what suits the place instead")
    if above is None or -1 <= above <= 1:
        return above
    problems.append(
        f"above={above:g} in the address is no cosine; give -1 to 1. Taking what suits the place"
        " instead."
    )
    return None


def _read_brush(problems: list[str]) -> Brush | None:
    given = st.query_params.get("brush", "")
    if not given:
        return None
    try:
        left, right, low, high = map(float, given.split(","))
    except ValueError:
        left = right = low = high = math.nan
    if not all(map(math.isfinite, (left, right, low, high))):
        problems.append(
            f"brush={given} in the address is no rectangle; give left, right, lower and upper end"
            " with commas. Highlighting nothing instead."
        )
        return None
    return min(left, right), max(left, right), min(low, high), max(low, high)
