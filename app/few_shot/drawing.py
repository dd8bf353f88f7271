"""The map of the page: scores, the line of the threshold, and the places that were given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

import folium
import streamlit as st

from csp_core.inference import write_score
from csp_core.raster import Raster
from few_shot import clicking
from few_shot.address import PlacesView, Spot
from few_shot.answer import Answer
from mapping import deck, leaflet, values
from mapping.elements import GeoJson
from mapping.values import legend_steps
from shared import clicks, resources, style
from shared.palette import Palette

KEY, OPACITY = "few-shot-map", 0.8


def draw(view: PlacesView, answer: Answer | None) -> None:
    """Draw the map with its places, and what the species' scores are there.

    Args:
        view: What is asked for.
        answer: What was learned, or None before there is a place.
    """
    colours = style.palette()
    picture = line = None
    if answer is not None:
        picture = _picture(answer.raster, colours)
        line = _line(answer.raster, answer.threshold.value)
    pinned = (*view.place, view.zoom) if view.place and view.zoom is not None else None
    start = clicks.map_start(pinned, colours)
    center = clicks.map_center(None if view.free is None else view.place)
    if not resources.leaflet_ready():
        layers = deck.value_layers(picture, OPACITY, line, colours) if picture else []
        layers += deck.spot_layers(
            [(spot.lon, spot.lat, spot.seen) for spot in view.spots], colours
        )
        deck.cell_map(KEY, layers, view.free, start=start, palette=colours,
                      on_select=clicking.on_cell)  # fmt: skip
        return
    label = "Map of the places" + ("" if answer is None else f" and of {answer.raster.label}")
    groups = [
        leaflet.value_group(picture, OPACITY, label) if picture else _empty("values"),
        leaflet.outline_group(None, line, colours),
        _spots_group(view.spots, colours),
        leaflet.pin_group(view.free, colours),
    ]
    leaflet.click_map(KEY, groups, start=start, center=center, palette=colours,
                      on_change=clicking.on_map, halves=True, label=label)  # fmt: skip


def _empty(name: str) -> folium.FeatureGroup:
    return folium.FeatureGroup(name=name)


def _spots_group(spots: Sequence[Spot], palette: Palette) -> folium.FeatureGroup:
    """Mark the places: full where it was seen, hollow and dashed where it was not."""
    group = _empty("spots")
    if spots:
        features = [
            {
                "type": "Feature",
                "properties": {"seen": spot.seen},
                "geometry": {"type": "Point", "coordinates": [spot.lon, spot.lat]},
            }
            for spot in spots
        ]
        # As tooltips would be, dots that are stops of the keys would stand in the way of the map.
        plain = {"radius": 6, "weight": 2.5, "pane": leaflet.PIN_PANE, "interactive": False}
        seen = plain | {"color": palette.ring, "fillColor": palette.pin, "fillOpacity": 1,
                        "className": "csp-seen"}  # fmt: skip
        missed = plain | {"color": palette.pin, "fillColor": palette.ring, "fillOpacity": 1,
                          "dashArray": "3 2", "className": "csp-missed"}  # fmt: skip
        options = (
            "{pointToLayer: (f, at) => L.circleMarker(at, f.properties.seen ?"
            f" {json.dumps(seen)} : {json.dumps(missed)})}}"
        )
        data = json.dumps({"type": "FeatureCollection", "features": features})
        group.add_child(GeoJson(data, options))
    return group


@st.cache_data(show_spinner=False, max_entries=32, hash_funcs={Raster: Raster.content_hash})
def _picture(raster: Raster, colours: Palette) -> bytes:
    return values.mercator_png(raster, values.value_scale(raster.kind, colours), colours,
                               guesses=True)  # fmt: skip


@st.cache_data(show_spinner=False, max_entries=32, hash_funcs={Raster: Raster.content_hash})
def _line(raster: Raster, value: float) -> str:
    return values.outline_above(raster, value, guesses=True)


def legend(answer: Answer | None) -> None:
    """Explain the colours, the line and the marks.

    Args:
        answer: What was learned, or None.
    """
    colours = style.palette()
    spot = "border-radius:50%;width:10px;height:10px"
    keys = [
        f'<span><i style="{spot};background:{colours.pin};border:2px solid {colours.ring}"></i>'
        "seen here</span>",
        f'<span><i style="{spot};background:{colours.ring};border:2px dashed {colours.pin}"></i>'
        "not seen here</span>",
    ]
    scale = ""
    if answer is not None:
        steps = values.value_scale(answer.raster.kind, colours)
        boxes = "".join(
            f'<i style="background:{colour}" title="{escape(words)}"></i>'
            for colour, words in legend_steps(steps)
        )
        ticks = "".join(
            f'<span style="left:{100 * number / len(steps.colours):.2f}%">{escape(label)}</span>'
            for number, label in enumerate(steps.labels())
        )
        ring = f"background:transparent;border:2px solid {colours.line}"
        threshold = f"at or above the threshold of {write_score(answer.threshold.value)}"
        keys.append(f'<span><i style="{ring}"></i>{threshold}</span>')
        scale = (
            f'<div class="csp-scale" role="img" aria-label="Colour scale: {escape(steps.title)}">'
            f'<div>{escape(steps.title)}</div><div class="csp-steps">{boxes}</div>'
            f'<div class="csp-ticks">{ticks}</div></div>'
        )
    st.html(f'{scale}<div class="csp-legend csp-small">{"".join(keys)}</div>')
