"""Range maps as they stand on the page: one, two side by side, their difference, twelve months."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from csp_core.model import DualEncoder
from csp_core.raster import Raster
from mapping import deck, leaflet, values
from mapping.evidence import dots_geojson, read_evidence
from mapping.values import Scale
from range_map import month_sheet
from range_map.address import RangeView
from range_map.layer import Layer, difference_of, titles
from range_map.legend import legend
from range_map.readout import Reading, write_difference
from range_map.threshold import write_value
from shared import clicks, home, resources, style
from shared.months import date_of
from shared.palette import Palette
from shared.visits import own
from shared.words import escape_markdown

# Of the colours, percent, until another is chosen.
OPACITY = 80


@dataclass(frozen=True)
class Drawing:
    """One map as it is drawn.

    Args:
        key: Its key in the session's state.
        raster: What is coloured.
        scale: By which steps.
        layer: The species whose line is drawn, or None.
        label: What it shows.
        value: What to write above the pin.
    """

    key: str
    raster: Raster
    scale: Scale
    layer: Layer | None
    label: str
    value: str = ""


def draw_map(drawing: Drawing, view: RangeView, opacity: float, wire: str | None) -> None:
    """Draw one map with its colours, hatching, line and pin."""
    colours, layer, raster = style.palette(), drawing.layer, drawing.raster
    guesses = layer.guesses if layer else view.guesses
    state = st.session_state
    pinned = (*view.place, view.zoom) if view.place and view.zoom is not None else None
    opens = home.look_of(home.home_of(view.info))
    start = clicks.map_start(pinned or opens, colours, wire, opens)
    center = state.get(own("center"))
    line = None
    if layer and layer.threshold:
        line = _line(layer.raster, layer.threshold.value, guesses)
    hatched = _hatched(raster, layer)
    if guesses:
        # Colours must not drown the lines.
        colours = replace(colours, hatch=colours.text)
    dots = layer if layer and view.dots else None
    with_leaflet = resources.leaflet_ready()
    picture = _picture(raster, drawing.scale, colours, guesses, hatched and not with_leaflet)
    if with_leaflet:
        hatch = _outline_unsupported(raster) if hatched else None
        leaflet.click_map(
            drawing.key,
            [
                leaflet.value_group(picture, opacity, drawing.label),
                leaflet.outline_group(hatch, line, colours),
                leaflet.dots_group(_dots_of(dots) if dots else None, colours),
                leaflet.pin_group(view.place, colours, label=drawing.value),
            ],
            start=start,
            center=clicks.map_center(view.place) if drawing.key == "range" else center,
            palette=colours,
            on_change=clicks.on_map,
            halves=True,
            wire=wire,
        )
    else:
        layers = deck.value_layers(picture, opacity, line, colours)
        evidence = read_evidence(dots.model, dots.taxon) if dots else None
        layers += deck.dots_layers(evidence, colours)
        deck.cell_map(drawing.key, layers, view.place, start=start, palette=colours,
                      on_select=clicks.on_cell)  # fmt: skip


def _dots_of(layer: Layer) -> str | None:
    return _dots(resources.content_hash(layer.info), layer.taxon, layer.model)


@st.cache_data(show_spinner=False, max_entries=64)
def _dots(content: str, taxon: str, _model: DualEncoder) -> str | None:
    evidence = read_evidence(_model, taxon)
    return dots_geojson(evidence) if evidence else None


@st.cache_data(show_spinner=False, max_entries=64, hash_funcs={Raster: Raster.content_hash})
def _line(raster: Raster, value: float, guesses: bool) -> str:
    return values.outline_above(raster, value, guesses=guesses)


@st.cache_data(show_spinner=False, max_entries=64, hash_funcs={Raster: Raster.content_hash})
def _picture(raster: Raster, scale: Scale, colours: Palette, guesses: bool, hatch: bool) -> bytes:
    return values.mercator_png(raster, scale, colours, guesses=guesses, hatch=hatch, fade=True)


@st.cache_data(show_spinner=False, max_entries=64, hash_funcs={Raster: Raster.content_hash})
def _outline_unsupported(raster: Raster) -> str:
    return values.outline_unsupported(raster)


def draw_maps(
    view: RangeView,
    layers: list[Layer],
    readings: list[Reading],
    boxes: list[DeltaGenerator],
    frames: list[DeltaGenerator],
) -> None:
    """Draw one map, two side by side, or their difference, with the legend.

    Args:
        view: What is asked for.
        layers: One map or two.
        readings: What each shows at the place; none without a place.
        boxes: Where the legend of each is drawn; one for a difference.
        frames: Where each is drawn.
    """
    colours, kind = style.palette(), layers[0].raster.kind
    opacity = st.session_state.get("opacity", OPACITY) / 100
    if view.difference and len(layers) == 2:
        first, other = titles(*layers)
        scale = values.difference_scale(kind, colours)
        raster = difference_of(*layers)
        with frames[0]:
            label = f"Map of the difference: {first} minus {other}"
            value = write_difference(*readings) if readings else ""
            draw_map(Drawing("range", raster, scale, None, label, value), view, opacity, None)
        ends = f"more of {other}", f"more of {first}"
        with boxes[0], st.container(key="range-legend"):
            legend(scale, line="", hatched=_hatched(raster, None), guesses=view.guesses, ends=ends,
                   dots=False, counted=True, info=view.info)  # fmt: skip
        return
    wire = st.session_state.setdefault(own("wire"), uuid.uuid4().hex) if len(layers) == 2 else None
    names = titles(*layers) if len(layers) == 2 else ("",)
    places = zip(layers, names, boxes, frames, strict=True)
    for number, (layer, name, box, frame) in enumerate(places):
        scale = values.value_scale(layer.raster.kind, colours)
        key = "range" if number == 0 else "range2"
        with frame:
            if name:
                st.markdown(f"**{escape_markdown(name)}**")
            value = readings[number].short if readings else ""
            label = f"Map of {layer.name}"
            draw_map(Drawing(key, layer.raster, scale, layer, label, value), view, opacity, wire)
        with box, st.container(key=f"range-legend-{number}"):
            line = "" if layer.threshold is None else "at or above the threshold of "
            line += "" if layer.threshold is None else write_value(kind, layer.threshold.value)
            hatched, counted = _hatched(layer.raster, layer), layer.model.support is not None
            legend(scale, line=line, hatched=hatched, guesses=layer.guesses, ends=None,
                   dots=view.dots and counted, counted=counted, info=layer.info)  # fmt: skip


def _hatched(raster: Raster, layer: Layer | None) -> bool:
    """Tell whether some of a map is hatched: of a model without counts nobody knows what."""
    known = layer is None or layer.model.support is not None
    return known and raster.any_extrapolated


def draw_months(layer: Layer) -> None:
    """Draw twelve small maps as one picture, for a model that knows seasons."""
    supported = not layer.guesses
    rasters = [
        resources.raster(
            layer.info,
            layer.taxon,
            date_of(month),
            resources.SMALL_STEP,
            only_supported=supported,
            sea=not layer.raster.land_only,
        )
        for month in range(1, 13)
    ]
    colours = style.palette()
    if layer.guesses:
        colours = replace(colours, hatch=colours.text)
    scale = values.value_scale(layer.raster.kind, colours)
    picture = month_sheet.months_png(
        rasters,
        scale,
        colours,
        resources.world("land"),
        guesses=layer.guesses,
        hatch=_hatched(rasters[0], layer),
    )
    words = f"{layer.name}, January to December, in the colours above"
    st.image(picture, caption=escape_markdown(words), alt=f"Twelve small maps of {layer.name}")
