"""Asking a model about places: its prior, a place's ranked report, and image times place."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from csp_core import geo
from csp_core.calibrate import log_frequency, prediction_sets
from csp_core.errors import BadRecordError, ConfigError
from csp_core.model import LEVEL_MEANING, PlaceSupport, Prior

__all__ = [
    "LEVEL_MEANING",
    "VALUE_MEANING",
    "PlaceReport",
    "RankedTaxon",
    "describe_place",
    "set_meaning",
]

CHUNK = 16384
VALUE_MEANING = {
    "share": (
        "Of recordings of the listed species made here, the part that would be of this one;"
        " not the chance that the species is present."
    ),
    "relative": (
        "A relative score that ranks places and species; not a percentage and not the chance that"
        " the species is present."
    ),
}


def set_meaning(size: int) -> str:
    """Say what the set that holds the truth 9 times in 10 says of a place.

    Args:
        size: How many of the first-ranked classes it holds.

    Returns:
        One sentence.
    """
    first = "the first" if size == 1 else f"one of the first {size}"
    return (
        f"The species of a recording made here would be {first} in about 9 of 10 cases, going by"
        " records held out in training."
    )


def location_prior(
    model: Prior, lonlat: Tensor, *, date: Tensor | None = None, hour: Tensor | None = None
) -> Tensor:
    """Compute the prior P(class | place) of a model or baseline.

    Assumes nothing about the model but the ``Prior`` protocol; ``model.prior_kind`` says whether
    rows are shares or relative scores. Models without a time input ignore date and hour.

    Args:
        model: A model or a baseline.
        lonlat: ``(N, 2)`` longitude, latitude, degrees.
        date: ``(N,)`` part of the year in [0, 1), NaN where unknown, or None.
        hour: ``(N,)`` part of the day in [0, 1), on the clock of the training records, NaN where
            unknown, or None.

    Returns:
        ``(N, K)`` in [0, 1], float32 on the CPU; rows sum to 1 where the kind is ``"share"``.

    Raises:
        BadRecordError: If a coordinate, date or hour is out of range or a coordinate not a number.

    Example:
        >>> from csp_core import load_model
        >>> prior = location_prior(load_model("birds"), torch.tensor([[36.8, -1.3]]))
        >>> round(prior.sum().item(), 4)
        1.0
    """
    lonlat = geo.check_lonlat(lonlat)
    date = _checked_times(date, lonlat, "date", "year")
    hour = _checked_times(hour, lonlat, "hour", "day")
    if not len(lonlat):
        return torch.zeros(0, len(model.classes))
    answers = []
    for first in range(0, len(lonlat), CHUNK):
        rows = slice(first, first + CHUNK)
        when = None if date is None else date[rows]
        # Whoever knows no hours need not take any.
        hours = () if hour is None or not getattr(model, "uses_hour", False) else (hour[rows],)
        answers.append(model.prior(lonlat[rows], when, *hours))
    return torch.cat(answers)


def _checked_times(time: Tensor | None, lonlat: Tensor, word: str, whole: str) -> Tensor | None:
    """Bring times to the form of the places and check their range."""
    if time is None:
        return None
    time = torch.as_tensor(time, dtype=lonlat.dtype).reshape(-1)
    if len(time) != len(lonlat):
        raise BadRecordError(f"{len(time)} {word}s for {len(lonlat)} places; give one each.")
    if bool(((time < 0) | (time >= 1)).any()):
        article = "An" if word == "hour" else "A"
        raise BadRecordError(
            f"{article} {word} is a part of the {whole} in [0, 1), or NaN when unknown."
        )
    return time


def posterior(
    image_probs: Tensor,
    prior: Tensor,
    *,
    weight: float = 1.0,
    class_frequency: Tensor | None = None,
) -> Tensor:
    """Combine what an image says with what its place says.

    Assumes that image and place are independent given the class. Rows of the prior that are NaN (no
    known place) leave the image's answer unchanged.

    Args:
        image_probs: ``(N, K)`` P(class | image), at least 0.
        prior: ``(N, K)`` P(class | place), at least 0.
        weight: Exponent of the prior; 0 is the image alone.
        class_frequency: ``(K,)`` P(class) to divide by, right when the image model's training
            classes were not even; None to leave it out. A class of 0 counts as the rarest other.

    Returns:
        ``(N, K)``, rows sum to 1.

    Raises:
        ConfigError: If the shapes do not fit or the weight is negative.

    Source:
        Mac Aodha et al. 2019, eq. 2: P(y | I, x) ∝ P(y | I) P(y | x).

    Example:
        >>> posterior(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.1, 0.3]])).tolist()
        [[0.25, 0.75]]
    """
    if image_probs.shape != prior.shape or not 0 <= weight < math.inf:
        raise ConfigError(
            f"image_probs has shape {tuple(image_probs.shape)}, prior {tuple(prior.shape)} and"
            f" weight is {weight}; give equal shapes (N, K) and a weight of at least 0."
        )
    tiny = torch.finfo(torch.float32).tiny
    # In double logarithms: products of small shares underflow in float32 and would tie.
    place = weight * prior.double().clamp_min(tiny).log()
    if class_frequency is not None:
        place = place - weight * log_frequency(class_frequency)
    place = place.masked_fill(prior.isnan().any(dim=1, keepdim=True), 0.0)
    logits = image_probs.double().clamp_min(0).log() + place
    return logits.softmax(dim=1).to(image_probs.dtype)


@dataclass(frozen=True)
class RankedTaxon:
    """One line of a place's list.

    Args:
        rank: From 1.
        taxon: Scientific name.
        common_name: Common name, or ``""``.
        value: Share or relative score.
        lift: The share over the class frequency; None for relative scores.
        support: Training records of this taxon within the report's radius.
    """

    rank: int
    taxon: str
    common_name: str
    value: float
    lift: float | None
    support: int


@dataclass(frozen=True)
class PlaceReport:
    """What a model says of a place, and what that rests on.

    Args:
        model: Name of the model.
        lon: Longitude, degrees.
        lat: Latitude, degrees.
        kind: ``"share"`` or ``"relative"``.
        level: Support in a word, a key of ``LEVEL_MEANING``; ``"none"`` if the model keeps none.
        extrapolates: Whether the values should not be read as numbers here.
        records_within: Training records of the listed classes within ``radius_km``.
        taxa_within: How many of the listed classes they are of.
        nearest_km: Distance to the nearest cell with a record, None if unknown.
        radius_km: Radius of the counts.
        results: The ranked classes.
        set_size: How many of the first-ranked classes the set takes that holds the truth 9 times in
            10; None where no such set was fitted.
    """

    model: str
    lon: float
    lat: float
    kind: str
    level: str
    extrapolates: bool
    records_within: int
    taxa_within: int
    nearest_km: float | None
    radius_km: float
    results: tuple[RankedTaxon, ...]
    set_size: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, in the form of ``csp predict --json``.

        Returns:
            ``model, lon, lat, kind, support, results``.
        """
        values = asdict(self)
        head = {key: values.pop(key) for key in ("model", "lon", "lat", "kind")}
        results = values.pop("results")
        return {**head, "support": values, "results": list(results)}


def describe_place(
    model: Prior,
    lon: float,
    lat: float,
    *,
    date: float | None = None,
    hour: float | None = None,
    top: int | None = None,
    radius_km: float = 500.0,
) -> PlaceReport:
    """Rank the classes at a place and say what the ranking rests on.

    Args:
        model: A model or a baseline.
        lon: Longitude in [-180, 180], degrees.
        lat: Latitude in [-90, 90], degrees.
        date: Part of the year in [0, 1), or None.
        hour: Part of the day in [0, 1), or None.
        top: How many classes to list; all if None.
        radius_km: Radius of the counts.

    Returns:
        The report.

    Raises:
        BadRecordError: If the place, date or hour is not one.
    """
    place = torch.tensor([[lon, lat]], dtype=torch.float32)
    day, part = (None if time is None else torch.tensor([time]) for time in (date, hour))
    value = location_prior(model, place, date=day, hour=part)[0]
    near = _support_near(model, lon, lat, radius_km)
    lift = value / model.classes.frequency() if model.prior_kind == "share" else None
    order = value.argsort(descending=True, stable=True)[:top].tolist()
    names, common = model.classes.names, model.classes.common_names
    results = tuple(
        RankedTaxon(
            rank=position + 1,
            taxon=names[k],
            common_name=common[k],
            value=float(value[k]),
            # A class without a training record has no frequency to compare with.
            lift=None if lift is None or not lift[k].isfinite() else float(lift[k]),
            support=int(near.per_class[k]),
        )
        for position, k in enumerate(order)
    )
    return PlaceReport(
        model=model.name,
        lon=lon,
        lat=lat,
        kind=model.prior_kind,
        level=near.level,
        extrapolates=near.extrapolates,
        records_within=near.records,
        taxa_within=int((near.per_class > 0).sum()),
        nearest_km=near.nearest_km,
        radius_km=radius_km,
        results=results,
        set_size=_set_size(model, value),
    )


def _set_size(model: Prior, value: Tensor) -> int | None:
    level = getattr(model, "set_level", None)
    if level is None or model.prior_kind != "share":
        return None
    return int(prediction_sets(value[None], level).sum())


def _support_near(model: Prior, lon: float, lat: float, radius_km: float) -> PlaceSupport:
    if model.support is None:
        empty = torch.zeros(len(model.classes), dtype=torch.int64)
        return PlaceSupport("none", 0, empty, None, radius_km)
    return model.support.near(lon, lat, radius_km=radius_km)
