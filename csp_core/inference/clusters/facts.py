"""What is typical of each cluster: area, classes, countries, latitudes, climate, and a name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.geo import WORLD
from csp_core.inference.clusters.classes import CONTRAST, TypicalClass, typical_classes
from csp_core.inference.clusters.countries import ASSUMED, continents, country_of
from csp_core.inference.clusters.groups import NOISE
from csp_core.inference.clusters.sampling import Sample

LISTED_COUNTRIES = 5
# A country names a cluster if so much of it lies there, a continent else.
NAMES_IT = 0.6
# A covariate names a cluster if its mean there is so many standard deviations off.
STANDS_OUT = 0.75
# Up to which latitude, on either side of the equator.
BANDS = ((23.44, "tropics"), (35.0, "subtropics"), (50.0, "temperate zone"),
         (66.56, "cool temperate zone"), (90.0, "polar zone"))  # fmt: skip


@dataclass(frozen=True)
class ClusterFacts:
    """What is typical of a cluster.

    Args:
        label: Its number; -1 for what is in no cluster.
        area_km2: Its area on the WGS84 ellipsoid.
        share: Its part of the sample's area.
        classes: Up to five classes that are more frequent here than elsewhere, the one with the
            highest lift first; none if the model ranks none, or only one.
        countries: Up to five countries with their parts of the cluster's area.
        latitude: Of a twentieth, half and nineteen twentieths of the area, degrees.
        climate: Means of the model's own covariates, by name, where it has some.
        name: One line.
        evidence: What the classes rest on, in a sentence.
    """

    label: int
    area_km2: float
    share: float
    classes: tuple[TypicalClass, ...]
    countries: tuple[tuple[str, float], ...]
    latitude: tuple[float, float, float]
    climate: tuple[tuple[str, float], ...]
    name: str
    evidence: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def describe(
    model: Any, sample: Sample, labels: Tensor, *, date: float | None = None
) -> list[ClusterFacts]:
    """Tell what is typical of each cluster.

    Assumes the countries of ``countries.ASSUMED``; classes by lift as in ``classes.CONTRAST``.

    Args:
        model: A model; one without classes gives none.
        sample: The places.
        labels: ``(N,)`` int64, -1 for noise.
        date: Part of the year in [0, 1) of which the classes are told, or None.

    Returns:
        One for each cluster by number, and the noise last.

    Raises:
        ConfigError: If labels and places differ in number.
    """
    if labels.shape != (len(sample),):
        raise ConfigError(f"{tuple(labels.shape)} labels for {len(sample)} places; give one each.")
    own, row = torch.unique(labels, return_inverse=True)
    order = sorted(range(len(own)), key=lambda i: (int(own[i]) == NOISE, int(own[i])))
    classes = typical_classes(model, sample, row, len(own), date=date)
    countries, parts = country_of(sample.lonlat), continents(sample.lonlat)
    climate = _climate(model, sample.lonlat)
    facts = []
    for index in order:
        mine = row == index
        area = sample.area_km2[mine]
        rows = mine.nonzero()[:, 0].tolist()
        shares = _shares([countries[i] for i in rows], area)
        latitude = _quantiles(sample.lonlat[mine, 1].double(), area)
        label = int(own[index])
        facts.append(
            ClusterFacts(
                label=label,
                area_km2=float(area.sum()),
                share=float(area.sum() / sample.area_km2.sum()),
                classes=classes[index].classes,
                countries=tuple((name, part) for name, part in shares if name)[:LISTED_COUNTRIES],
                latitude=latitude,
                climate=_means(climate, mine, sample.area_km2),
                name=_name(label, _mark(climate, mine), mine, countries, parts, sample),
                evidence=classes[index].evidence,
            )
        )
    return _told_apart(facts)


def _shares(names: list[str], area: Tensor) -> list[tuple[str, float]]:
    total: dict[str, float] = {}
    for name, part in zip(names, area.tolist(), strict=True):
        total[name] = total.get(name, 0.0) + part
    whole = float(area.sum())
    return sorted(((n, a / whole) for n, a in total.items()), key=lambda pair: (-pair[1], pair[0]))


def _quantiles(lat: Tensor, area: Tensor) -> tuple[float, float, float]:
    order = lat.argsort()
    reached = area[order].cumsum(0) / area.sum()
    at = torch.searchsorted(reached, torch.tensor([0.05, 0.5, 0.95], dtype=reached.dtype))
    low, median, high = lat[order][at.clamp(max=len(lat) - 1)].tolist()
    return low, median, high


def _climate(model: Any, lonlat: Tensor) -> dict[str, Tensor]:
    """Read the covariates of a model in their own units, NaN where there is no value."""
    covariates = getattr(getattr(model, "location", None), "covariates", None)
    columns = getattr(covariates, "columns", ())
    if covariates is None or not columns:
        return {}
    with torch.inference_mode():
        read = covariates(lonlat.to(covariates.values.device)).cpu()
    standard, missing = read.chunk(2, dim=1)
    values = standard * covariates.deviation.cpu() + covariates.mean.cpu()
    values = values.masked_fill(missing > 0.5, float("nan"))
    return dict(zip(columns, values.unbind(1), strict=True))


def _means(climate: dict[str, Tensor], mine: Tensor, area: Tensor) -> tuple[tuple[str, float], ...]:
    means = []
    for name, values in climate.items():
        known = mine & values.isfinite()
        if bool(known.any()):
            weight = area[known]
            means.append((name, float((values[known].double() * weight).sum() / weight.sum())))
    return tuple(means)


def _mark(climate: dict[str, Tensor], mine: Tensor) -> str:
    """Say by which covariate a cluster stands out most, if by any."""
    best, words = STANDS_OUT, ""
    for name, values in climate.items():
        known = values.isfinite()
        if bool((known & mine).any()) and int(known.sum()) > 1:
            spread = float(values[known].std().clamp(min=1e-12))
            off = float(values[known & mine].mean() - values[known].mean()) / spread
            if abs(off) >= best:
                best, words = abs(off), f"{'high' if off > 0 else 'low'} {name}, "
    return words


def zone_of(lat: Tensor, area: Tensor) -> str:
    """Name the zone that most of some area lies in.

    Args:
        lat: ``(N,)`` degrees.
        area: ``(N,)`` areas.

    Returns:
        A zone with half of the area, two that have three quarters together, or ``several zones``.

    Example:
        >>> zone_of(torch.tensor([2.0, -9.0, 30.0]), torch.ones(3))
        'tropics'
    """
    number = torch.bucketize(lat.abs().double(), torch.tensor([b[0] for b in BANDS]).double())
    names = []
    for zone, south in zip(number.tolist(), (lat < 0).tolist(), strict=True):
        name = BANDS[min(zone, len(BANDS) - 1)][1]
        side = "southern" if south else "northern"
        names.append(name if zone == 0 else f"{side} {name}")
    shares = _shares(names, area)
    if shares[0][1] >= 0.5:
        return shares[0][0]
    if sum(part for _, part in shares[:2]) >= 0.75:
        first, second = (name for name, _ in shares[:2])
        words = first.split()
        if second.startswith(words[0]) and second.endswith("zone") and first.endswith("zone"):
            return f"{' '.join(words[:-1])} and {' '.join(second.split()[1:])}"
        return f"{first} and {second}"
    return "several zones"


def _name(
    label: int,
    climate: str,
    mine: Tensor,
    countries: list[str],
    parts: list[str],
    sample: Sample,
) -> str:
    if label == NOISE:
        return "in no cluster"
    zone = climate + zone_of(sample.lonlat[mine, 1], sample.area_km2[mine])
    rows = mine.nonzero()[:, 0].tolist()
    for names in (countries, parts):
        (name, inside), *_ = _shares([names[i] for i in rows], sample.area_km2[mine])
        if name and (inside >= NAMES_IT or names is parts):
            there = torch.tensor([other == name for other in names])
            of_it = float(sample.area_km2[mine & there].sum() / sample.area_km2[there].sum())
            here = "" if sample.bounds == WORLD else " in the region"
            return f"{zone}: {of_it * 100:.0f} % of {name}{here}"
    return f"{zone}: open sea"


def _told_apart(facts: list[ClusterFacts]) -> list[ClusterFacts]:
    """Add to names that two clusters share what is typical of each."""
    from dataclasses import replace

    names = [fact.name for fact in facts]
    told = []
    for fact in facts:
        name = fact.name
        if names.count(name) > 1:
            where = next((n for n, _ in fact.countries if n not in name), "")
            name += f", with {where}" if where else ""
        told.append(name)
    return [
        replace(fact, name=name if told.count(name) == 1 else f"{name} ({fact.label})")
        for fact, name in zip(facts, told, strict=True)
    ]


__all__ = ["ASSUMED", "CONTRAST", "ClusterFacts", "TypicalClass", "describe", "zone_of"]
