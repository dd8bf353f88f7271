"""What the writers of files need of clusters: columns of the points, labels of a grid, notes."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.geo import EARTH_RADIUS_KM, unit_vectors
from csp_core.grid import Grid, make_grid
from csp_core.inference.clusters.facts import ClusterFacts
from csp_core.inference.clusters.quality import CAUTION
from csp_core.inference.clusters.sampling import Sample
from csp_core.land import on_land

NO_DATA = -2
# Sides of cells that a sample without a grid may be drawn on, degrees; wider ones lose the coasts.
STEPS = (0.5, 0.25, 0.2, 0.1, 0.05, 0.02, 0.01)
KM_PER_DEGREE = 2 * np.pi * EARTH_RADIUS_KM / 360
MOST_CELLS = 4_000_000
# A cell farther from every place than so many spacings stands for none of them.
REACH = 2.0


class Written(Protocol):
    """What a file of clusters holds; see ``Clusters``."""

    @property
    def sample(self) -> Sample:
        """The places."""
        ...

    @property
    def labels(self) -> Tensor:
        """``(N,)`` int64."""
        ...

    @property
    def projection(self) -> Tensor:
        """``(N, 2)``."""
        ...

    @property
    def rgb(self) -> Tensor:
        """``(N, 3)`` uint8."""
        ...

    @property
    def facts(self) -> tuple[ClusterFacts, ...]:
        """What is typical of each cluster."""
        ...

    @property
    def colours(self) -> dict[int, str]:
        """``#rrggbb`` by number."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return plain values of all but the points."""
        ...


def columns(clusters: Written) -> dict[str, list[Any]]:
    """Give the points of clusters as columns of plain values.

    Args:
        clusters: The clusters.

    Returns:
        Name to values: place, area, cluster with its name and colour, position in the scatter, and
        the colour by three leading components.
    """
    names = {fact.label: fact.name for fact in clusters.facts}
    colours, labels = clusters.colours, clusters.labels.tolist()
    lon, lat = (column.tolist() for column in clusters.sample.lonlat.double().unbind(1))
    x, y = (column.tolist() for column in clusters.projection.unbind(1))
    return {
        "lon": [round(value, 6) for value in lon],
        "lat": [round(value, 6) for value in lat],
        "cluster": labels,
        "name": [names[label] for label in labels],
        "colour": [colours[label] for label in labels],
        "area_km2": [round(area, 3) for area in clusters.sample.area_km2.tolist()],
        "x": x,
        "y": y,
        "rgb": ["#" + "".join(f"{part:02x}" for part in row) for row in clusters.rgb.tolist()],
    }


def summary(clusters: Written) -> list[dict[str, Any]]:
    """Give one row of plain values a cluster.

    Args:
        clusters: The clusters.

    Returns:
        Number, name, colour, area, share, latitudes, typical classes and countries.
    """
    rows = []
    for fact in clusters.facts:
        low, median, high = fact.latitude
        rows.append(
            {
                "cluster": fact.label,
                "name": fact.name,
                "colour": clusters.colours[fact.label],
                "area_km2": fact.area_km2,
                "share": fact.share,
                "lat_low": low,
                "lat_median": median,
                "lat_high": high,
                "classes": "; ".join(f"{c.taxon} ×{c.lift:.1f}" for c in fact.classes),
                "countries": "; ".join(f"{name} {part:.0%}" for name, part in fact.countries),
            }
        )
    return rows


def notes(
    clusters: Written, license: str = "", attribution: str = "", people: str = ""
) -> dict[str, str]:
    """Say in short texts what a file holds and where it comes from.

    Args:
        clusters: The clusters.
        license: Licence of the model, or ``""``.
        attribution: Whose records it learned from, or ``""``.
        people: All of them by name, or ``""``.

    Returns:
        Name to text.
    """
    told = clusters.to_dict()
    kept = ("model", "method", "projection", "seed", "date", "clusters", "points", "where", "step")
    texts = {name: str(told[name]) for name in kept if told[name] is not None}
    texts["bounds"] = " ".join(f"{edge:g}" for edge in told["bounds"])
    texts["caution"] = CAUTION
    texts |= {"license": license, "attribution": attribution, "recorders": people}
    return {name: text for name, text in texts.items() if text}


def labels_on_grid(clusters: Written) -> tuple[Grid, NDArray[np.int16]]:
    """Lay the labels on a regular grid.

    A sample of cells keeps its cells; of an equal-area sample each cell takes the label of the
    nearest place, unless that is more than two spacings away.

    Args:
        clusters: The clusters.

    Returns:
        The grid and ``(H, W)`` int16, -1 for no cluster and ``NO_DATA`` where there is no place.

    Raises:
        ConfigError: If it takes too many cells.
    """
    from sklearn.neighbors import KDTree

    sample = clusters.sample
    grid = make_grid(sample.bounds, sample.step or _step(sample))
    if grid.rows * grid.columns > MOST_CELLS:
        raise ConfigError(
            f"A raster of these clusters has {grid.rows * grid.columns:,} cells, more than"
            f" {MOST_CELLS:,}; take fewer points or a smaller region."
        )
    places = grid.lonlat()
    asked = on_land(places) if sample.kind == "land" else torch.ones(len(places), dtype=torch.bool)
    label = np.full(len(places), NO_DATA, dtype=np.int16)
    if bool(asked.any()):
        tree = KDTree(unit_vectors(sample.lonlat.double()).numpy())
        away, nearest = tree.query(unit_vectors(places[asked].double()).numpy(), k=1)
        far = away[:, 0] * EARTH_RADIUS_KM > REACH * sample.spacing_km
        own = clusters.labels.numpy()[nearest[:, 0]].astype(np.int16)
        label[asked.numpy()] = np.where(far, NO_DATA, own)
    return grid, label.reshape(grid.shape)


def _step(sample: Sample) -> float:
    """Choose a cell about half as wide as places are apart."""
    half = sample.spacing_km / KM_PER_DEGREE / 2
    return next((step for step in STEPS if step <= half), STEPS[-1])
