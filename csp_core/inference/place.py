"""A place's report: the classes ranked, and what the ranking rests on."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from csp_core import geo
from csp_core.calibrate import prediction_sets
from csp_core.inference.members import listed, set_members
from csp_core.inference.prior import location_prior
from csp_core.inference.weeks import alike_all_year
from csp_core.land import on_inland_ice
from csp_core.model import (
    LEVEL_RADIUS_KM,
    PLACE,
    UNKNOWN_LEVEL,
    PlaceSupport,
    Prior,
    calibration_of,
    class_frequency,
)

OFTEN, SOMETIMES, RARELY, UNKNOWN = (
    "often",
    "sometimes",
    "rarely or never",
    "too few recordings to say",
)
# Of all recordings at a place, how much the classes of the first and of the first two words make
# up; and the fewest training records near of a class that is said to be recorded there.
OFTEN_UP_TO, SOMETIMES_UP_TO, FEWEST = 0.5, 0.9, 3
SEASONLESS = (
    "The week changes next to nothing here: there are no seasons, or there were too few recordings"
    " to learn them from."
)
INLAND_ICE = (
    "This is inland ice, where even the warmest month is below 0 °C and hardly any species lives: a"
    " high score here is most likely carried over from places far away."
)
# How many times as many records speak for a place, rather than for its numbers swapped.
TELLING = 20


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


@dataclass(frozen=True)
class RankedTaxon:
    """One line of a place's list.

    Args:
        rank: From 1.
        taxon: Scientific name.
        common_name: Common name, or ``""``.
        value: Share, relative score or probability.
        lift: The share over the class frequency, or of label sets the probability over the part of
            the training records that have the class; None for relative scores.
        support: Training records of this taxon within the report's radius; None where the model
            keeps no counts.
        in_set: Whether it is in the label set, by its threshold; None where there are none, or
            where the report extrapolates.
    """

    rank: int
    taxon: str
    common_name: str
    value: float
    lift: float | None
    support: int | None
    in_set: bool | None = None


@dataclass(frozen=True)
class PlaceReport:
    """What a model says of a place, and what that rests on.

    Args:
        model: Name of the model.
        lon: Longitude, degrees.
        lat: Latitude, degrees.
        kind: ``"share"``, ``"relative"`` or ``"probability"``.
        level: Support in a word, a key of ``LEVEL_MEANING``; ``"unknown"`` if the model keeps no
            counts, so that nobody can say whether it extrapolates.
        extrapolates: Whether the values should not be read as numbers here.
        records_within: Training records of the listed classes within ``radius_km``; None if
            unknown.
        taxa_within: How many of the listed classes they are of; None if unknown.
        nearest_km: Distance to the nearest cell with a record, None if unknown.
        radius_km: Radius of the counts.
        results: The ranked classes; of label sets those of the set first, all of them.
        set_size: How many of the first-ranked classes the set takes that holds the truth 9 times in
            10; None where no such set was fitted.
        seasonless: Whether the week changes next to nothing here (``alike_all_year``); None where
            no date was given or the model does not know weeks.
        inland_ice: Whether the place lies on inland ice (``on_inland_ice``) and the model keeps no
            counts that would say how little is known there.
    """

    model: str
    lon: float
    lat: float
    kind: str
    level: str
    extrapolates: bool
    records_within: int | None
    taxa_within: int | None
    nearest_km: float | None
    radius_km: float
    results: tuple[RankedTaxon, ...]
    set_size: int | None = None
    seasonless: bool | None = None
    inland_ice: bool = False

    @property
    def label_set(self) -> tuple[RankedTaxon, ...]:
        """The classes of the label set, the most probable first; none for other kinds."""
        return tuple(row for row in self.results if row.in_set)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, in the form of ``csp predict --json``.

        Returns:
            ``model, lon, lat, kind, support, results``, and of label sets ``set``, the names of the
            classes in it, None where it extrapolates.
        """
        values = asdict(self)
        head = {key: values.pop(key) for key in ("model", "lon", "lat", "kind")}
        results = values.pop("results")
        if self.seasonless is None:
            del values["seasonless"]
        if not self.inland_ice:
            del values["inland_ice"]
        if self.kind == "probability":
            unknown = all(row.in_set is None for row in self.results)
            head["set"] = None if unknown else [row.taxon for row in self.label_set]
        else:
            results = [{k: v for k, v in row.items() if k != "in_set"} for row in results]
        return {**head, "support": values, "results": list(results)}


def describe_place(
    model: Prior,
    lon: float,
    lat: float,
    *,
    date: float | None = None,
    hour: float | None = None,
    top: int | None = None,
    radius_km: float = LEVEL_RADIUS_KM,
) -> PlaceReport:
    """Rank the classes at a place and say what the ranking rests on.

    Args:
        model: A model or a baseline.
        lon: Longitude in [-180, 180], degrees.
        lat: Latitude in [-90, 90], degrees.
        date: Part of the year in [0, 1), or None.
        hour: Part of the day in [0, 1), or None.
        top: How many classes to list, but of label sets no fewer than are in the set; all if None.
        radius_km: Radius of the counts.

    Returns:
        The report.

    Raises:
        BadRecordError: If the place, date or hour is not one.
    """
    place = torch.tensor([[lon, lat]], dtype=torch.float32)
    value = location_prior(model, place, date=_one(date), hour=_one(hour))[0]
    near = _support_near(model, lon, lat, radius_km)
    known = near.level != UNKNOWN_LEVEL
    return PlaceReport(
        model=model.name,
        lon=lon,
        lat=lat,
        kind=model.prior_kind,
        level=near.level,
        extrapolates=near.extrapolates,
        records_within=near.records if known else None,
        taxa_within=int((near.per_class > 0).sum()) if known else None,
        nearest_km=near.nearest_km,
        radius_km=radius_km,
        results=_ranked(model, value, near, top),
        set_size=_set_size(model, value),
        seasonless=None if date is None else alike_all_year(model, lon, lat),
        inland_ice=not known and bool(on_inland_ice(place)[0]),
    )


def _ranked(
    model: Prior, value: Tensor, near: PlaceSupport, top: int | None
) -> tuple[RankedTaxon, ...]:
    """List the classes by what a model says of a place."""
    known, frequency = near.level != UNKNOWN_LEVEL, class_frequency(model)
    lift = None if frequency is None else value / frequency
    members = _members(model, value, near)
    most = top if top is None or members is None else max(top, int(members.sum()))
    order = listed(value, members)[:most].tolist()
    names, common = model.classes.names, model.classes.common_names
    # Numbers at once: one by one, tensors of a class each take longer than the model.
    values, counts = value.tolist(), near.per_class.tolist()
    lifts = [math.nan] * len(values) if lift is None else lift.tolist()
    return tuple(
        RankedTaxon(
            rank=position + 1,
            taxon=names[k],
            common_name=common[k],
            value=values[k],
            # A class without a training record has no frequency to compare with.
            lift=lifts[k] if math.isfinite(lifts[k]) else None,
            support=int(counts[k]) if known else None,
            in_set=None if members is None else bool(members[k]),
        )
        for position, k in enumerate(order)
    )


def remarks(report: PlaceReport) -> tuple[str, ...]:
    """Say what makes the answer of a place mean less than elsewhere.

    Args:
        report: The report.

    Returns:
        Sentences; none where nothing does.
    """
    told = ((report.seasonless, SEASONLESS), (report.inland_ice, INLAND_ICE))
    return tuple(sentence for holds, sentence in told if holds)


def likely_swapped(model: Prior, lon: float, lat: float) -> tuple[float, float] | None:
    """Guess from a model's records whether latitude and longitude were swapped, both being valid.

    Args:
        model: A model or a baseline.
        lon: Longitude as given, degrees.
        lat: Latitude as given, degrees.

    Returns:
        ``(lon, lat)`` the other way round if too little was recorded at the place as given, far
        more at the other one, and no record can lie near both; else None.
    """
    if model.support is None or max(abs(lon), abs(lat)) > 90:
        return None
    here, there = torch.tensor([lon, lat]), torch.tensor([[lat, lon]])
    if float(geo.great_circle_km(here, there)[0]) < 2 * LEVEL_RADIUS_KM:
        return None
    near, other = model.support.near(lon, lat), model.support.near(lat, lon)
    speaks = other.level in ("good", "some") and other.records >= TELLING * near.records
    return (lat, lon) if near.extrapolates and speaks else None


def recorded_here(report: PlaceReport) -> tuple[str, ...]:
    """Say in a word how often each class of a report is recorded at its place.

    The classes that the model expects most, up to half of all recordings, are recorded there often;
    those up to nine tenths sometimes; the others rarely or never. Of a class that would be one of
    the former, but has hardly a training record near, nobody can say.

    Args:
        report: The report, of which the first classes may have been kept alone.

    Returns:
        ``OFTEN``, ``SOMETIMES``, ``RARELY`` or ``UNKNOWN`` for each of ``report.results``; ``""``
        for relative scores and label sets, which do not add up to anything.
    """
    if report.extrapolates:
        return (UNKNOWN,) * len(report.results)
    if report.kind != "share":
        return ("",) * len(report.results)
    before, found = 0.0, []
    for row in report.results:
        if before >= SOMETIMES_UP_TO:
            found.append(RARELY)
        elif row.support is None or row.support < FEWEST:
            found.append(UNKNOWN)
        else:
            found.append(OFTEN if before < OFTEN_UP_TO else SOMETIMES)
        before += row.value
    return tuple(found)


def _one(time: float | None) -> Tensor | None:
    return None if time is None else torch.tensor([time])


def _members(model: Prior, value: Tensor, near: PlaceSupport) -> Tensor | None:
    # Where nobody looked values are no numbers, and a set would take them for such.
    return None if near.extrapolates else set_members(model, value, PLACE)


def _set_size(model: Prior, value: Tensor) -> int | None:
    level = calibration_of(model).set_level
    if level is None or model.prior_kind != "share":
        return None
    return int(prediction_sets(value[None], level).sum())


def _support_near(model: Prior, lon: float, lat: float, radius_km: float) -> PlaceSupport:
    if model.support is None:
        empty = torch.zeros(len(model.classes), dtype=torch.int64)
        return PlaceSupport(UNKNOWN_LEVEL, 0, empty, None, radius_km)
    return model.support.near(lon, lat, radius_km=radius_km)
