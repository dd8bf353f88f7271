"""Which classes are typical of a cluster: those more frequent in it than elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from csp_core import geo
from csp_core.inference.clusters.sampling import Sample
from csp_core.inference.prior import location_prior
from csp_core.model import LEVEL_RADIUS_KM, LEVELS, Support, class_frequency

LISTED = 5
# A class below this part of the highest mean in the cluster is no mark of it, whatever its lift.
LEAST_PART = 0.02
# Numbers of a prior that are held at once.
MOST_VALUES = 1 << 24
CONTRAST = {
    "share": "mean share in the cluster over the class frequency of the training records",
    "relative": "mean relative score in the cluster over that of the whole sample",
    "probability": "mean probability in the cluster over the part of the training label sets",
}
RECORDS = LEVELS[-2][1]


@dataclass(frozen=True)
class TypicalClass:
    """A class that is typical of a cluster.

    Args:
        taxon: Scientific or class name.
        common_name: Common name, or ``""``.
        lift: How many times as frequent it is here; see ``CONTRAST``.
        share: Its mean share, relative score or probability in the cluster.
    """

    taxon: str
    common_name: str
    lift: float
    share: float


@dataclass(frozen=True)
class Typical:
    """The typical classes of a cluster.

    Args:
        classes: The highest lift first.
        evidence: What they rest on, in a sentence.
    """

    classes: tuple[TypicalClass, ...]
    evidence: str


def typical_classes(
    model: Any, sample: Sample, row: Tensor, count: int, *, date: float | None = None
) -> list[Typical]:
    """List the classes with the highest lift in each cluster, from the model's prior.

    Only places with training records near count, unless a cluster has none.

    Args:
        model: A model; one that ranks no classes, or only one, has none that are typical.
        sample: The places.
        row: ``(N,)`` int64 clusters from 0 to ``count - 1``.
        count: How many clusters.
        date: Part of the year in [0, 1), or None.

    Returns:
        One a cluster.
    """
    classes: Any = getattr(model, "classes", ())
    if len(classes) < 2 or getattr(model, "classifier", True) is None:
        why = "one class only" if len(classes) == 1 else "no classes by place"
        return [Typical((), f"The model ranks {why}, so none is typical.")] * count
    near = supported(model.support, sample.lonlat)
    known = torch.zeros(count, dtype=torch.bool)
    known[row[near]] = True
    weight = sample.area_km2 * (near | ~known[row])
    total = torch.zeros(count, len(classes), dtype=torch.float64)
    chunk = max(1, MOST_VALUES // len(classes))
    for first in range(0, len(sample), chunk):
        rows = slice(first, first + chunk)
        lonlat = sample.lonlat[rows]
        when = None if date is None else torch.full((len(lonlat),), date)
        prior = location_prior(model, lonlat, date=when).double()
        total.index_add_(0, row[rows], prior * weight[rows, None])
    mass = torch.zeros(count, dtype=torch.float64).index_add_(0, row, weight)
    mean = total / mass[:, None]
    base = total.sum(dim=0) / mass.sum()
    frequency = class_frequency(model) if sum(classes.counts) else None
    if frequency is not None:
        base = frequency.double()
    lift = mean / base.clamp(min=1e-12)
    area = torch.zeros(count, dtype=torch.float64).index_add_(0, row, sample.area_km2)
    covered = torch.zeros(count, dtype=torch.float64)
    covered.index_add_(0, row[near], sample.area_km2[near])
    parts = [None if model.support is None else part for part in (covered / area).tolist()]
    return [
        Typical(_leading(classes, mean[i], lift[i]), _evidence(part))
        for i, part in enumerate(parts)
    ]


def _leading(classes: Any, mean: Tensor, lift: Tensor) -> tuple[TypicalClass, ...]:
    worth = lift.masked_fill(mean < LEAST_PART * mean.max(), 0)
    value, index = worth.topk(min(LISTED, len(mean)))
    return tuple(
        TypicalClass(classes.names[i], classes.common_names[i], up, float(mean[i]))
        for up, i in zip(value.tolist(), index.tolist(), strict=True)
        if up > 1
    )


def _evidence(part: float | None) -> str:
    if part is None:
        return "How well it is recorded is not known: the model came without counts of its records."
    if not part:
        return f"No recordings near: fewer than {RECORDS} within 250 km, all extrapolated."
    return f"From the {part:.0%} of its area with {RECORDS} recordings or more within 250 km."


def supported(support: Support | None, lonlat: Tensor) -> Tensor:
    """Tell at which places a model has learned from records near.

    Args:
        support: Counts of training records, or None.
        lonlat: ``(N, 2)`` degrees.

    Returns:
        ``(N,)`` bool, by the distances and counts of ``Support.near``; none without support.
    """
    from sklearn.neighbors import KDTree

    if support is None or not len(support.cells()[0]):
        return torch.zeros(len(lonlat), dtype=torch.bool)
    centres, records = support.cells()
    centres = geo.unit_vectors(centres.double())
    chord = 2 * np.sin(LEVEL_RADIUS_KM / (2 * geo.EARTH_RADIUS_KM))
    found = KDTree(centres.numpy()).query_radius(geo.unit_vectors(lonlat.double()).numpy(), chord)
    counts = records.numpy()
    return torch.tensor([int(counts[near].sum()) >= RECORDS for near in found])
