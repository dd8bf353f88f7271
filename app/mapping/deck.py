"""The map for when Leaflet is missing: drawn by deck.gl, with cells that can be picked."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pydeck as pdk
import streamlit as st

from mapping.evidence import EDGE, Evidence, square, step_of
from shared import resources
from shared.palette import Palette
from shared.style import HEIGHT

PICK_DEGREES = 3
WORLD_VIEW = (10.0, 22.0, 1.0)
ALT = "World map with a pin at the chosen place; the boxes on this page choose a place as well."


def cell_map(
    key: str,
    layers: Sequence[pdk.Layer],
    place: tuple[float, float] | None,
    *,
    start: tuple[float, float, float] | None,
    palette: Palette,
    on_select: Callable[[str], None],
) -> None:
    """Draw a map without Leaflet; ``st.session_state[key]`` holds the picked cell.

    Args:
        key: Key in the session's state.
        layers: What to draw between land and pin.
        place: Longitude and latitude of the pin, or None.
        start: Longitude, latitude and zoom at first sight; the whole world if None.
        palette: Colours.
        on_select: Called with ``key`` after a cell was picked.
    """
    drawn = [_world("land", palette), *layers, _world("borders", palette), _picker(palette)]
    if place:
        drawn.append(_pin(place, palette))
    lon, lat, zoom = start or WORLD_VIEW
    deck = pdk.Deck(
        drawn,
        map_provider=None,
        initial_view_state=pdk.ViewState(longitude=lon, latitude=lat, zoom=max(zoom - 1, 0)),
    )
    st.pydeck_chart(
        deck,
        height=HEIGHT,
        key=key,
        on_select=partial(on_select, key),
        selection_mode="single-object",
        alt=ALT,
    )


def _world(name: str, palette: Palette) -> pdk.Layer:
    return pdk.Layer(
        "GeoJsonLayer",
        json.loads(resources.world(name)),
        id=name,
        filled=name == "land",
        get_fill_color=_rgb(palette.land),
        get_line_color=_rgb(palette.border),
        line_width_min_pixels=0.6,
    )


def evidence_layers(evidence: Evidence | None, palette: Palette) -> list[pdk.Layer]:
    """Draw training records per cell."""
    if evidence is None:
        return []
    half = evidence.degrees / 2
    rows = [
        {"ring": square(lon, lat, half), "colour": _rgb(palette.ramp[step_of(records)], 215)}
        for lon, lat, records in evidence.cells
    ]
    layer = pdk.Layer(
        "SolidPolygonLayer", rows, id="records", get_polygon="ring", get_fill_color="colour"
    )
    return [layer]


def dots_layers(evidence: Evidence | None, palette: Palette) -> list[pdk.Layer]:
    """Dot where a species was recorded."""
    if evidence is None:
        return []
    rows = [{"at": [lon, lat]} for lon, lat, _ in evidence.cells]
    look = {"get_fill_color": _rgb(palette.text), "get_radius": 2.5, "radius_units": "'pixels'"}
    return [pdk.Layer("ScatterplotLayer", rows, id="dots", get_position="at", **look)]


def spot_layers(spots: Sequence[tuple[float, float, bool]], palette: Palette) -> list[pdk.Layer]:
    """Mark places: full where something was seen, hollow where it was not.

    Args:
        spots: Longitude, latitude, and whether it was seen.
        palette: Colours.

    Returns:
        The layers.
    """
    pin, ring = _rgb(palette.pin), _rgb(palette.ring)
    rows = [
        {"at": [lon, lat], "fill": pin if seen else ring, "edge": ring if seen else pin}
        for lon, lat, seen in spots
    ]
    look = {"get_fill_color": "fill", "get_line_color": "edge", "stroked": True,
            "get_radius": 6, "radius_units": "'pixels'", "line_width_min_pixels": 2}  # fmt: skip
    return [pdk.Layer("ScatterplotLayer", rows, id="spots", get_position="at", **look)]


def value_layers(
    picture: bytes, opacity: float, above: str | None, palette: Palette
) -> list[pdk.Layer]:
    """Lay a picture of values over the world, and outline the area above a threshold.

    Args:
        picture: PNG in the map's projection, from ``EDGE`` south to ``EDGE`` north.
        opacity: 0 to 1.
        above: GeoJSON text, or None.
        palette: Colours.

    Returns:
        The layers.
    """
    # A bare string would be read as an expression.
    data = pdk.types.String("data:image/png;base64," + base64.b64encode(picture).decode())
    layers = [
        pdk.Layer(
            "BitmapLayer",
            None,
            id="values",
            image=data,
            bounds=[-180, -EDGE, 180, EDGE],
            opacity=opacity,
        )
    ]
    if above:
        layers.append(
            pdk.Layer(
                "GeoJsonLayer",
                json.loads(above),
                id="above",
                filled=False,
                get_line_color=_rgb(palette.line),
                line_width_min_pixels=1.5,
            )
        )
    return layers


def _picker(palette: Palette) -> pdk.Layer:
    half = PICK_DEGREES / 2
    rows = [
        {"ring": square(lon + half, lat + half, half), "lon": lon + half, "lat": lat + half}
        for lon in range(-180, 180, PICK_DEGREES)
        for lat in range(-84, 84, PICK_DEGREES)
    ]
    # Invisible on purpose: a deck reports clicks on objects alone, never on empty map.
    return pdk.Layer(
        "SolidPolygonLayer",
        rows,
        id="pick",
        pickable=True,
        get_polygon="ring",
        get_fill_color=_rgb(palette.border, 0),
    )


def _pin(place: tuple[float, float], palette: Palette) -> pdk.Layer:
    return pdk.Layer(
        "ScatterplotLayer",
        [{"at": list(place)}],
        id="pin",
        get_position="at",
        get_fill_color=_rgb(palette.pin),
        get_line_color=_rgb(palette.ring),
        stroked=True,
        line_width_min_pixels=3,
        radius_min_pixels=9,
        radius_max_pixels=9,
    )


def _rgb(colour: str, alpha: int = 255) -> list[Any]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)] + [alpha]
