"""What stands beside a range map: its legend, areas, the value at a place, and files."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path

import streamlit as st

import resources
import widgets
from csp_core.catalog import ModelInfo
from csp_core.infer import PlaceReport, RankedTaxon, describe_place
from csp_core.model import DualEncoder
from csp_core.raster import WRITERS, Raster, Threshold, heatmap
from mapping import values
from threshold import write_value


@dataclass(frozen=True)
class Layer:
    """One species by one model, as a map.

    Args:
        info: The model.
        model: The same, loaded.
        taxon: Scientific name.
        raster: Its values; no data where the model extrapolates, unless they are shown.
        threshold: Where its line is drawn, or None.
        guesses: Whether values are shown where the model extrapolates.
    """

    info: ModelInfo
    model: DualEncoder
    taxon: str
    raster: Raster
    threshold: Threshold | None
    guesses: bool

    @property
    def name(self) -> str:
        """The species' names."""
        return widgets.species_label(self.model.classes, self.taxon)

    def area_km2(self) -> float:
        """Measure the area above the threshold that is outlined."""
        if self.threshold is None:
            return 0.0
        counted = None if self.guesses else False
        return self.raster.area_km2(self.threshold.value, extrapolated=counted)


def write_area(km2: float) -> str:
    """Write an area with three digits that count.

    Example:
        >>> write_area(1234567.0), write_area(45678.0), write_area(0.0)
        ('1.23 million km²', '45,700 km²', '0 km²')
    """
    if km2 >= 1e6:
        return f"{float(f'{km2 / 1e6:.3g}'):,g} million km²"
    return f"{float(f'{km2:.3g}'):,.0f} km²"


def legend(
    scale: values.Scale,
    *,
    line: str,
    hatched: bool,
    guesses: bool,
    ends: tuple[str, str] | None,
) -> None:
    """Explain the colours, the hatching and the line.

    Args:
        scale: The colour steps.
        line: What the line surrounds, or ``""`` where there is none.
        hatched: Whether some of the map is hatched.
        guesses: Whether the hatched area is coloured too.
        ends: What the lower and the upper end of a difference mean, or None.
    """
    palette = widgets.palette()
    boxes = "".join(
        f'<i style="background:{colour or "transparent"}" title="{escape(words)}"></i>'
        for colour, words in values.legend_steps(scale)
    )
    steps = len(scale.colours)
    labels = "".join(
        f'<span style="left:{100 * i / steps:.2f}%">{escape(label)}</span>'
        for i, label in enumerate(scale.labels())
    )
    unit = f", {scale.unit}" if scale.unit and ends is None else ""
    words = ""
    if ends:
        words = f"<div class='csp-ends'><span>← {escape(ends[0])}</span>"
        words += f"<span>{escape(ends[1])} →</span></div>"
    keys = [f"<span><i></i>{_blank(scale, ends is not None)}</span>"]
    if hatched:
        ink = palette.text if guesses else palette.hatch
        what = "a guess" if guesses else "no value"
        stripes = f"repeating-linear-gradient(135deg,{ink} 0 1px,transparent 1px 5px)"
        keys.append(
            f'<span><i style="background:{stripes}"></i>{what}: fewer than 10 training records'
            " within 250 km</span>"
        )
    if line:
        ring = f"background:transparent;border:2px solid {palette.line}"
        keys.append(f'<span><i style="{ring}"></i>{escape(line)}</span>')
    st.html(
        f'<div class="csp-scale" role="img" aria-label="{escape(_spoken(scale))}">'
        f"<div>{escape(scale.title)}{unit}</div>"
        f'<div class="csp-steps">{boxes}</div><div class="csp-ticks">{labels}</div>{words}</div>'
        f'<div class="csp-legend csp-small">{"".join(keys)}</div>'
    )


def _blank(scale: values.Scale, difference: bool) -> str:
    if difference:
        least = next(edge for edge in scale.edges if edge > 0)
        size = f"{100 * least:g} points" if scale.unit else f"{least:g}"
        return f"differ by less than {size}"
    return f"below {scale.labels()[0]}{' ' + scale.unit if scale.unit else ''}"


def _spoken(scale: values.Scale) -> str:
    labels = scale.labels()
    return f"Colour scale: {scale.title}, from {labels[0]} to {labels[-1]} {scale.unit}".strip()


def one_area(layer: Layer) -> None:
    """Say how large the area above the threshold is, and what that is not."""
    if layer.threshold is None:
        st.caption("Choose a threshold to outline and measure the area above it.")
        return
    area = write_area(layer.area_km2())
    st.metric("Area above threshold", area, label_visibility="collapsed")
    value = write_value(layer.raster.kind, layer.threshold.value)
    words = f"Cells of {layer.raster.step:g}° with {value} or more. Not the size of its range."
    if not layer.guesses:
        # How much, nobody has computed: nine tenths of the world would wait for this one number.
        if layer.raster.extrapolated.any():
            words += " More may lie where the model only extrapolates; colour the hatched area"
            words += " to see it."
    elif layer.model.support is not None:
        beyond = layer.raster.area_km2(layer.threshold.value, extrapolated=True)
        words += f" Of it {write_area(beyond)} lie where the model only extrapolates."
    st.caption(words)


def two_areas(first: Layer, other: Layer) -> None:
    """Compare the areas above the thresholds of two maps."""
    if first.threshold is None or other.threshold is None:
        st.caption("Choose a threshold to outline and measure the area above it.")
        return
    size = first.raster.grid.cell_areas_km2()
    inside = [
        (layer.raster.values >= layer.threshold.value)
        & (~layer.raster.extrapolated | layer.guesses)
        for layer in (first, other)
        if layer.threshold is not None
    ]
    common = float(((inside[0] & inside[1]).sum(dim=1) * size).sum())
    rows = [(_title(layer, first, other), layer.area_km2()) for layer in (first, other)]
    lines = [f"- {widgets.escape_markdown(name)}: **{write_area(km2)}**" for name, km2 in rows]
    st.markdown("\n".join([*lines, f"- above both: **{write_area(common)}**"]))
    st.caption("Of supported cells only. Not the sizes of their ranges." if not first.guesses
               else "Not the sizes of their ranges.")  # fmt: skip


def _title(layer: Layer, first: Layer, other: Layer) -> str:
    if first.taxon == other.taxon:
        return layer.info.name
    return layer.name if first.info.name == other.info.name else f"{layer.name}, {layer.info.name}"


def titles(first: Layer, other: Layer) -> tuple[str, str]:
    """Tell two maps apart, by species, by model or by both."""
    return _title(first, first, other), _title(other, first, other)


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


def write_difference(first: Reading, other: Reading) -> str:
    """Write by how much one value is above another."""
    if not (first.has_value and other.has_value):
        return "no value"
    difference = first.row.value - other.row.value
    if first.report.kind == "share":
        return f"{100 * difference:+.1f} points".replace("-", "−")
    return f"{difference:+.2f}".replace("-", "−")


def draw_reading(reading: Reading, title: str) -> None:
    """Say what a map shows at a place.

    Args:
        reading: The value and what it rests on.
        title: What to call the map, or ``""``.
    """
    head = f"{widgets.escape_markdown(title)}: " if title else ""
    row, limit = reading.row, reading.layer.threshold
    rank = f"rank {row.rank:,} of {len(reading.report.results):,}"
    if not reading.has_value:
        st.markdown(f"{head}**no value**, as support is too little; the model would guess {rank}.")
        return
    facts = [f"**{reading.short}**"]
    if row.lift is not None:
        facts.append(f"{widgets.times(row.lift)} its overall share")
    facts.append(rank)
    if limit is not None:
        facts.append("above the threshold" if row.value >= limit.value else "below the threshold")
    st.markdown(head + " · ".join(facts))


def draw_support(reading: Reading) -> None:
    """Say how much training evidence stands near a place."""
    if reading.layer.model.support is None:
        st.caption("Support unknown: this model came without counts of its training records.")
    else:
        widgets.support_line(reading.report)


def downloads(layers: list[Layer]) -> None:
    """Offer each map as GeoTIFF, GeoJSON and PNG.

    Args:
        layers: One map or two.
    """
    names = titles(*layers) if len(layers) == 2 else ("",)
    for number, (layer, name) in enumerate(zip(layers, names, strict=True)):
        if name:
            st.markdown(widgets.escape_markdown(name))
        _download_buttons(layer, number)
    st.caption(
        "GeoTIFF: all values, with a second band that marks where the model extrapolates."
        " GeoJSON: the line on the map. PNG: a picture with legend."
    )


def _download_buttons(layer: Layer, number: int) -> None:
    kinds: Mapping[str, tuple[str, str]] = {
        ".tif": ("GeoTIFF", "image/tiff"),
        ".geojson": ("GeoJSON", "application/geo+json"),
        ".png": ("PNG", "image/png"),
    }
    stem = "_".join((layer.info.name, layer.taxon.replace(" ", "-")))
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in stem)
    with st.container(horizontal=True, gap="small"):
        for suffix, (label, mime) in kinds.items():
            missing = suffix == ".geojson" and layer.threshold is None
            st.download_button(
                label,
                partial(file_of, suffix, layer),
                f"{stem}{suffix}",
                mime,
                key=f"file{number}{suffix}",
                on_click="ignore",
                disabled=missing,
                help="Outlines need a threshold." if missing else None,
            )


def file_of(suffix: str, layer: Layer) -> bytes:
    """Write a map as a file: as it is shown, or all its values where the format marks the guesses.

    Args:
        suffix: A key of ``csp_core.raster.WRITERS``.
        layer: The map.

    Returns:
        The file's content.
    """
    raster = layer.raster
    if suffix == ".tif" and not layer.guesses:
        # Past the caches of the page, as a download is made outside of any run of it.
        raster = heatmap(layer.model, layer.taxon, step=raster.step, date=raster.date)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"map{suffix}")
        credit = resources.credit(layer.info)
        WRITERS[suffix](raster, path, threshold=layer.threshold, credit=credit)
        return path.read_bytes()
