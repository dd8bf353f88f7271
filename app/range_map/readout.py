"""What stands beside a range map: areas above the threshold, and the value at a place."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from csp_core.inference import PlaceReport, RankedTaxon, describe_place, remarks
from csp_core.raster import common_area_km2
from range_map.layer import Layer, title_of, write_area
from range_map.threshold import write_value
from shared import widgets
from shared.words import escape_markdown, reworded, times


def one_area(layer: Layer) -> None:
    """Say how large the area above the threshold is, and what that is not."""
    if layer.threshold is None:
        st.caption("Choose a threshold to outline and measure the area above it.")
        return
    area = write_area(layer.area_km2())
    st.metric("Area above threshold", area, label_visibility="collapsed")
    value = write_value(layer.raster.kind, layer.threshold.value)
    where = " on land" if layer.raster.land_only else ""
    words = f"Cells of {layer.raster.step:g}°{where} with {value} or more."
    words += " Not the size of its range."
    if not layer.guesses:
        # How much, nobody has computed: nine tenths of the world would wait for this one number.
        if layer.raster.any_extrapolated:
            words += (
                " More may lie where there are too few recordings to say; colour the hatched area"
            )
            words += " to see it."
    elif layer.model.support is not None:
        beyond = layer.raster.area_km2(layer.threshold.value, extrapolated=True)
        words += f" Another {write_area(beyond)} are a guess, where there are too few recordings."
    st.caption(reworded(words, layer.info))


def two_areas(first: Layer, other: Layer) -> None:
    """Compare the areas above the thresholds of two maps."""
    if first.threshold is None or other.threshold is None:
        st.caption("Choose a threshold to outline and measure the area above it.")
        return
    common = common_area_km2(
        first.raster,
        other.raster,
        (first.threshold.value, other.threshold.value),
        extrapolated=(first.counted, other.counted),
    )
    rows = [(title_of(layer, first, other), layer.area_km2()) for layer in (first, other)]
    lines = [f"- {escape_markdown(name)}: **{write_area(km2)}**" for name, km2 in rows]
    st.markdown("\n".join([*lines, f"- above both: **{write_area(common)}**"]))
    known = all(layer.counted is False for layer in (first, other))
    st.caption(("Without the hatched area. " if known else "") + "Not the sizes of their ranges.")


@dataclass(frozen=True)
class Reading:
    """What a map shows at a place, and what that rests on.

    Args:
        report: All that the model says of the place.
        row: Its line on the species.
        layer: The map.
    """

    report: PlaceReport
    row: RankedTaxon
    layer: Layer

    @property
    def has_value(self) -> bool:
        """Whether the value can be read as a number; a model without counts is given the doubt."""
        return not self.report.extrapolates or self.layer.model.support is None

    @property
    def short(self) -> str:
        """The value alone."""
        return write_value(self.report.kind, self.row.value) if self.has_value else "no value"


def read_at(place: tuple[float, float], layer: Layer, date: float | None) -> Reading:
    """Read a map at a place.

    Args:
        place: Longitude and latitude.
        layer: The map.
        date: Part of the year, or None.

    Returns:
        What it shows there.
    """
    report = describe_place(layer.model, *place, date=date)
    return Reading(report, next(row for row in report.results if row.taxon == layer.taxon), layer)


def rank_of(reading: Reading) -> int:
    """Rank a class, of label sets by its value alone: their lists begin with those in the set."""
    if reading.report.kind != "probability":
        return reading.row.rank
    return 1 + sum(row.value > reading.row.value for row in reading.report.results)


def write_difference(first: Reading, other: Reading) -> str:
    """Write by how much one value is above another."""
    if not (first.has_value and other.has_value):
        return "no value"
    difference = first.row.value - other.row.value
    if first.report.kind != "relative":
        return f"{100 * difference:+.1f} points".replace("-", "−")
    return f"{difference:+.2f}".replace("-", "−")


def draw_reading(reading: Reading, title: str) -> None:
    """Say what a map shows at a place.

    Args:
        reading: The value and what it rests on.
        title: What to call the map, or ``""``.
    """
    head = f"{escape_markdown(title)}: " if title else ""
    row, limit = reading.row, reading.layer.threshold
    rank = f"rank {rank_of(reading):,} of {len(reading.report.results):,}"
    if not reading.has_value:
        few = reworded("too few recordings to say", reading.layer.info)
        st.markdown(f"{head}**{few}**; the model would guess {rank}.")
        return
    facts, info = [f"**{reading.short}**"], reading.layer.info
    if row.lift is not None:
        of_sets = reading.report.kind == "probability"
        own = "its share of all recordings"
        whole = "the part of all label sets that have it" if of_sets else reworded(own, info)
        facts.append(f"{times(row.lift)} {whole}")
    facts.append(rank)
    if row.in_set is not None:
        facts.append("in the label set" if row.in_set else "not in the label set")
    if limit is not None:
        facts.append("above the threshold" if row.value >= limit.value else "below the threshold")
    st.markdown(head + " · ".join(facts))


def draw_support(reading: Reading) -> None:
    """Say how much training evidence stands near a place."""
    if reading.layer.model.support is None:
        words = (
            "Nobody can say how well recorded: this model came without counts of its recordings."
        )
        words = " ".join((words, *remarks(reading.report)))
        st.caption(reworded(words, reading.layer.info))
    else:
        widgets.support_line(reading.report, reading.layer.info)
