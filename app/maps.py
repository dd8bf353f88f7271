"""The maps: a Leaflet map that can be clicked, and a cell map for when Leaflet is missing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import folium
import pydeck as pdk
import streamlit as st
from branca.element import Element, MacroElement
from jinja2 import Template
from streamlit_folium import st_folium

import resources
from address import MAX_ZOOM

HEIGHT, PHONE_HEIGHT = 500, 300
PICK_DEGREES = 3
# The latitude where the map's projection ends.
EDGE = 85.05
# Upper ends of the record counts that share a colour; the last class is open.
STEPS = (1, 5, 20, 100)


@dataclass(frozen=True)
class Palette:
    """The colours of one theme; ``ramp`` is cividis, from few records to many."""

    sea: str
    land: str
    border: str
    pin: str
    ring: str
    text: str
    ramp: tuple[str, ...]


LIGHT = Palette(
    sea="#dde8ec",
    land="#f7f6f1",
    border="#a9b3b1",
    pin="#d55e00",
    ring="#ffffff",
    text="#1d282a",
    ramp=("#ffe945", "#cbba69", "#958f78", "#575d6d", "#00224e"),
)
DARK = Palette(
    sea="#0d1c26",
    land="#263236",
    border="#55666a",
    pin="#e69f00",
    ring="#12181a",
    text="#e4ecea",
    ramp=("#3b5284", "#7c7b78", "#a69d75", "#d3c164", "#ffea46"),
)


@dataclass(frozen=True)
class Evidence:
    """Training records of one class per cell.

    Args:
        cells: ``(lon, lat, records)`` of each cell's centre.
        degrees: Side of a cell.
    """

    cells: tuple[tuple[float, float, int], ...]
    degrees: float


def step_of(records: int) -> int:
    """Give the colour class of a number of records."""
    return next((i for i, top in enumerate(STEPS) if records <= top), len(STEPS))


def step_labels() -> list[str]:
    """Name the colour classes."""
    starts = (1, *(top + 1 for top in STEPS))
    labels = [str(a) if a == b else f"{a}–{b}" for a, b in zip(starts, STEPS, strict=False)]
    return [*labels, f"over {STEPS[-1]}"]


class _GeoJson(MacroElement):
    """GeoJSON text put on the map as it is; folium's own class would restyle every feature.

    It is drawn on the neighbouring worlds too, as a map near longitude 180 shows both sides.
    """

    _template = Template(
        "{% macro script(this, kwargs) %}"
        "[0, -360, 360].forEach(function (shift) { L.geoJSON({{ this.data }}, Object.assign("
        "{coordsToLatLng: function (at) { return L.latLng(at[1], at[0] + shift); }},"
        " {{ this.options }})).addTo({{ this._parent.get_name() }}); });"
        "{% endmacro %}"
    )

    def __init__(self, data: str, options: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "geo_json"
        self.data, self.options = data, options


def _base_map(palette: Palette, start: tuple[float, float, int]) -> folium.Map:
    lon, lat, zoom = start
    view = folium.Map(
        location=(lat, lon),
        zoom_start=zoom,
        tiles=None,
        min_zoom=1,
        max_zoom=MAX_ZOOM,
        world_copy_jump=True,
    )
    # folium's own lists point to servers elsewhere; an empty name would still be requested.
    view.default_js = [("leaflet", f"{resources.leaflet_url()}/leaflet.js")]
    view.default_css = [("leaflet_css", f"{resources.leaflet_url()}/leaflet.css")]
    css = (
        f".leaflet-container{{background:{palette.sea};cursor:crosshair;font:12px sans-serif}}"
        f"@media(max-width:480px){{ #map_div{{height:{PHONE_HEIGHT}px!important}}}}"
        f".leaflet-bar a,.leaflet-control-attribution{{background:{palette.land}!important;"
        f"color:{palette.text}!important;border-color:{palette.border}!important}}"
        ".leaflet-control-attribution{font-size:10px}.leaflet-control-attribution a{color:inherit}"
        ".leaflet-attribution-flag{display:none!important}"
        "body{margin:0}"
    )
    figure: Any = view.get_root()
    figure.header.add_child(Element(f"<style>{css}</style>"))
    tiles = resources.tiles()
    if tiles:
        folium.TileLayer(tiles.url, attr=tiles.attribution).add_to(view)
        return view
    land = {"fillColor": palette.land, "fillOpacity": 1, "color": palette.border, "weight": 0.6}
    borders = {"color": palette.border, "weight": 0.7, "fill": False}
    for name, style in (("land", land), ("borders", borders)):
        options = {"interactive": False, "style": style, "attribution": "Natural Earth"}
        view.add_child(_GeoJson(resources.world(name), json.dumps(options)))
    return view


def _evidence_group(evidence: Evidence | None, palette: Palette) -> folium.FeatureGroup:
    group = folium.FeatureGroup(name="records")
    if evidence and evidence.cells:
        options = (
            f"{{style: f => ({{fillColor: {json.dumps(palette.ramp)}[f.properties.step],"
            f" fillOpacity: 0.85, color: '{palette.text}', weight: 0.6}}),"
            " onEachFeature: (f, l) => l.bindTooltip("
            "f.properties.records + (f.properties.records > 1 ? ' records' : ' record'))}"
        )
        group.add_child(_GeoJson(json.dumps(_cells_geojson(evidence)), options))
    return group


def _cells_geojson(evidence: Evidence) -> dict[str, Any]:
    half = evidence.degrees / 2
    features = [
        {
            "type": "Feature",
            "properties": {"records": records, "step": step_of(records)},
            "geometry": {"type": "Polygon", "coordinates": [_square(lon, lat, half)]},
        }
        for lon, lat, records in evidence.cells
    ]
    return {"type": "FeatureCollection", "features": features}


def _square(lon: float, lat: float, half: float) -> list[list[float]]:
    west, east, south, north = lon - half, lon + half, lat - half, lat + half
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def _pin_group(
    place: tuple[float, float] | None, radius_km: float, palette: Palette
) -> folium.FeatureGroup:
    group = folium.FeatureGroup(name="pin")
    if place is None or abs(place[1]) > EDGE:
        return group
    # Near longitude 180 the click may have been on the neighbouring world.
    lons = [place[0]] if abs(place[0]) < 90 else [place[0], place[0] - math.copysign(360, place[0])]
    for lon in lons:
        spot = (place[1], lon)
        folium.Circle(
            spot,
            radius=radius_km * 1000,
            color=palette.pin,
            weight=1.5,
            dash_array="5 5",
            fill=False,
            interactive=False,
        ).add_to(group)
        folium.CircleMarker(
            spot,
            radius=8,
            color=palette.ring,
            weight=3,
            fill=True,
            fill_color=palette.pin,
            fill_opacity=1,
            interactive=False,
        ).add_to(group)
    return group


def click_map(
    place: tuple[float, float] | None,
    *,
    start: tuple[float, float, int],
    center: tuple[float, float] | None,
    evidence: Evidence | None,
    radius_km: float,
    palette: Palette,
    on_change: Callable[[], None],
) -> None:
    """Draw the Leaflet map; ``st.session_state["map"]`` holds the last click.

    The base map depends on ``start`` and the theme alone: any other change of it would load the
    map anew. What changes with the place goes into feature groups.

    Args:
        place: Longitude and latitude of the pin, or None.
        start: Longitude, latitude and zoom at first sight.
        center: Longitude and latitude to move to, or None to leave the view alone.
        evidence: Cells to draw.
        radius_km: Radius of the circle around the pin.
        palette: Colours.
        on_change: Called after a click or zoom.
    """
    st_folium(
        _base_map(palette, start),
        key="map",
        height=HEIGHT,
        use_container_width=True,
        returned_objects=["last_clicked", "zoom"],
        center=(center[1], center[0]) if center else None,
        feature_group_to_add=[
            _evidence_group(evidence, palette),
            _pin_group(place, radius_km, palette),
        ],
        on_change=on_change,
        wrap_longitude=True,
    )


def cell_map(
    place: tuple[float, float] | None,
    *,
    start: tuple[float, float, int],
    evidence: Evidence | None,
    palette: Palette,
    on_select: Callable[[], None],
) -> None:
    """Draw the map without Leaflet; ``st.session_state["cells"]`` holds the picked cell.

    Args:
        place: Longitude and latitude of the pin, or None.
        start: Longitude, latitude and zoom at first sight.
        evidence: Cells to draw.
        palette: Colours.
        on_select: Called after a cell was picked.
    """
    layers = [
        pdk.Layer(
            "GeoJsonLayer",
            json.loads(resources.world(name)),
            id=name,
            filled=name == "land",
            get_fill_color=_rgb(palette.land),
            get_line_color=_rgb(palette.border),
            line_width_min_pixels=0.6,
        )
        for name in ("land", "borders")
    ]
    if evidence:
        layers.append(_deck_evidence(evidence, palette))
    layers.append(_deck_picker(palette))
    if place:
        layers.append(_deck_pin(place, palette))
    lon, lat, zoom = start
    deck = pdk.Deck(
        layers,
        map_provider=None,
        initial_view_state=pdk.ViewState(longitude=lon, latitude=lat, zoom=max(zoom - 1, 0)),
    )
    st.pydeck_chart(
        deck,
        height=HEIGHT,
        key="cells",
        on_select=on_select,
        selection_mode="single-object",
        alt="World map with a pin at the chosen place; the boxes above choose a place as well.",
    )


def _deck_evidence(evidence: Evidence, palette: Palette) -> pdk.Layer:
    half = evidence.degrees / 2
    rows = [
        {"ring": _square(lon, lat, half), "colour": _rgb(palette.ramp[step_of(records)], 215)}
        for lon, lat, records in evidence.cells
    ]
    return pdk.Layer(
        "SolidPolygonLayer", rows, id="records", get_polygon="ring", get_fill_color="colour"
    )


def _deck_picker(palette: Palette) -> pdk.Layer:
    half = PICK_DEGREES / 2
    rows = [
        {"ring": _square(lon + half, lat + half, half), "lon": lon + half, "lat": lat + half}
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


def _deck_pin(place: tuple[float, float], palette: Palette) -> pdk.Layer:
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


def _rgb(colour: str, alpha: int = 255) -> Sequence[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)] + [alpha]
