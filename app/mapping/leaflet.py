"""The Leaflet map that can be clicked, and what is drawn on it."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from typing import Any

import folium
from branca.element import Element
from streamlit_folium import st_folium

from mapping.css import css
from mapping.elements import GeoJson, Script
from mapping.evidence import EDGE, Evidence, square, step_of
from shared import resources
from shared.address import MAX_ZOOM
from shared.palette import Palette
from shared.style import HEIGHT
from shared.tiles import tiles

# Above letters and other marks, which stand at 600, and below labels at 650.
PIN_PANE = "pin"
RAISE_PIN = f"here.createPane({json.dumps(PIN_PANE)}).style.zIndex = 620;"
# A picture, and what the slider of the map wipes away of what lies over it; below dots and letters.
UNDER, OVER = "under", "over"
RAISE_BOTH = "".join(
    f"here.createPane({json.dumps(name)}).style.zIndex = {level};"
    for name, level in ((UNDER, 380), (OVER, 390))
)


# Said by the maps themselves.
WORDS = {
    "label": "Map. Arrow keys move it, plus and minus zoom, Enter chooses the place at its centre.",
    "wheel": "Hold Ctrl to zoom with the wheel",
    "touch": "Use two fingers to move the map",
    "home": "Back to the first view",
    "full": "Full screen",
    "here": "Where am I?",
    "asking": "Asking your browser where you are …",
    "nowhere": "Your browser did not say where you are",
}


def _base_map(
    palette: Palette,
    start: tuple[float, float, float] | None,
    home: tuple[float, float, float] | None,
    halves: bool,
    wire: str | None,
    frame: str,
    closest: int,
    swipe: str | None,
) -> folium.Map:
    lon, lat, zoom = start or (0.0, 0.0, 1.0)
    view = folium.Map(
        location=(lat, lon),
        zoom_start=zoom,  # type: ignore[arg-type]  # halves are fine
        tiles=None,
        min_zoom=0 if halves else 1,
        max_zoom=closest,
        zoom_snap=0.5 if halves else 1,
        world_copy_jump=True,
    )
    # folium's own lists point to servers elsewhere; an empty name would still be requested.
    view.default_js = resources.map_scripts()
    view.default_css = [("leaflet_css", f"{resources.leaflet_url()}/leaflet.css")]
    figure: Any = view.get_root()
    figure.header.add_child(Element(f"<style>{css(palette)}</style>"))
    view.add_child(Script(RAISE_PIN))
    if swipe:
        view.add_child(Script(RAISE_BOTH))
    chosen = tiles()
    if chosen:
        folium.TileLayer(chosen.url, attr=chosen.attribution).add_to(view)
    else:
        _add_world(view, palette)
    colours = {name: getattr(palette, name) for name in ("sea", "land", "border", "river")}
    world = None if chosen else resources.world_urls()
    options = {"words": {**WORDS, "frame": frame}, "start": start, "home": home, "wire": wire,
               "colours": colours, "world": world, "swipe": swipe}  # fmt: skip
    view.add_child(Script(f"cspMap.begin(here, {json.dumps(options)});"))
    return view


def _add_world(view: folium.Map, palette: Palette) -> None:
    fill = {"fillColor": palette.land, "fillOpacity": 1, "stroke": False}
    coast = {"color": palette.border, "weight": 0.6, "fill": False}
    border = {"color": palette.border, "weight": 0.7, "fill": False}
    # Land lies below the pictures of values, its coast above them.
    land = _world_options(fill) | {"pane": "tilePane"}, _world_options(coast)
    view.add_child(GeoJson(resources.world("land"), *map(json.dumps, land)))
    view.add_child(GeoJson(resources.world("borders"), json.dumps(_world_options(border))))


def _world_options(style: dict[str, Any]) -> dict[str, Any]:
    # By its mark the script of the map finds it again, once there is a finer world to draw.
    return {"interactive": False, "style": style, "attribution": "Natural Earth", "csp": "coarse"}


def value_group(picture: bytes, opacity: float, label: str) -> folium.FeatureGroup:
    """Lay a picture of values over the world.

    Args:
        picture: PNG in the map's projection, from ``EDGE`` south to ``EDGE`` north.
        opacity: 0 to 1.
        label: What it shows, for those who cannot see it.

    Returns:
        The layer.
    """
    data = "data:image/png;base64," + base64.b64encode(picture).decode()
    options = {"opacity": opacity, "className": "csp-values", "alt": label}
    group = folium.FeatureGroup(name="values")
    group.add_child(
        Script(
            "[0, -360, 360].forEach(function (shift) {"
            f" L.imageOverlay({json.dumps(data)}, [[{-EDGE}, shift - 180], [{EDGE}, shift + 180]],"
            f" {json.dumps(options)}).addTo(here); }});"
        )
    )
    return group


def picture_group(
    picture: bytes,
    bounds: tuple[float, float, float, float],
    label: str,
    *,
    opacity: float = 1.0,
    over: bool = False,
) -> folium.FeatureGroup:
    """Lay a picture of a part of the world on a map that has a slider.

    Args:
        picture: PNG in the map's projection.
        bounds: West, south, east and north of it, degrees; east may pass 180.
        label: What it shows, for those who cannot see it.
        opacity: 0 to 1.
        over: Whether the map's slider wipes it away.

    Returns:
        The layer.
    """
    west, south, east, north = bounds
    data = "data:image/png;base64," + base64.b64encode(picture).decode()
    options = {"opacity": opacity, "className": "csp-values", "alt": label}
    options["pane"] = OVER if over else UNDER
    group = folium.FeatureGroup(name="over" if over else "picture")
    group.add_child(
        Script(
            "[0, -360, 360].forEach(function (shift) {"
            f" L.imageOverlay({json.dumps(data)}, [[{south}, shift + {west}], [{north}, shift +"
            f" {east}]], {json.dumps(options)}).addTo(here); }});"
        )
    )
    return group


def outline_group(
    unsupported: str | None, above: str | None, palette: Palette
) -> folium.FeatureGroup:
    """Hatch the area without support, and outline the area above a threshold.

    Args:
        unsupported: GeoJSON text, or None.
        above: GeoJSON text, or None.
        palette: Colours.

    Returns:
        The layer.
    """
    group = folium.FeatureGroup(name="outlines")
    if unsupported:
        group.add_child(Script(_pattern(palette)))
        fill = f"url(#{_pattern_name(palette)})"
        style = {"fillColor": fill, "fillOpacity": 1, "stroke": False}
        options = {"interactive": False, "style": style | {"className": "csp-hatch"}}
        group.add_child(GeoJson(unsupported, json.dumps(options)))
    if above:
        style = {"color": palette.line, "weight": 1.5, "fill": False}
        options = {"interactive": False, "style": style | {"className": "csp-above"}}
        group.add_child(GeoJson(above, json.dumps(options)))
    return group


def _pattern_name(palette: Palette) -> str:
    return f"hatch-{palette.hatch.removeprefix('#')}"


def _pattern(palette: Palette) -> str:
    name = _pattern_name(palette)
    markup = (
        "<svg width='0' height='0' style='position:absolute' aria-hidden='true'><defs>"
        f"<pattern id='{name}' width='6' height='6' patternUnits='userSpaceOnUse'"
        " patternTransform='rotate(45)'>"
        f"<line x1='0' y1='0' x2='0' y2='6' stroke='{palette.hatch}' stroke-width='1'/>"
        "</pattern></defs></svg>"
    )
    add = f"document.body.insertAdjacentHTML('beforeend', {json.dumps(markup)});"
    return f"if (!document.getElementById({json.dumps(name)})) {add}"


def evidence_group(evidence: Evidence | None, palette: Palette) -> folium.FeatureGroup:
    """Draw training records per cell."""
    group = folium.FeatureGroup(name="records")
    if evidence and evidence.cells:
        options = (
            f"{{style: f => ({{fillColor: {json.dumps(palette.ramp)}[f.properties.step],"
            f" fillOpacity: 0.85, color: '{palette.text}', weight: 0.6}}),"
            " onEachFeature: (f, l) => l.bindTooltip("
            "f.properties.records + (f.properties.records > 1 ? ' records' : ' record'))}"
        )
        group.add_child(GeoJson(json.dumps(_cells_geojson(evidence)), options))
    return group


def dots_group(cells: str | None, palette: Palette) -> folium.FeatureGroup:
    """Dot where a species was recorded.

    Args:
        cells: GeoJSON text of ``evidence.dots_geojson``, or None.
        palette: Colours.

    Returns:
        The layer.
    """
    group = folium.FeatureGroup(name="dots")
    if cells:
        # No tooltip: each would be a stop on the way of those who go by keys.
        dot = {"radius": 2, "weight": 0.6, "color": palette.land, "fillColor": palette.text,
               "fillOpacity": 1, "className": "csp-dot", "interactive": False}  # fmt: skip
        options = f"{{pointToLayer: (f, at) => L.circleMarker(at, {json.dumps(dot)})}}"
        group.add_child(GeoJson(cells, options))
    return group


def _cells_geojson(evidence: Evidence) -> dict[str, Any]:
    half = evidence.degrees / 2
    features = [
        {
            "type": "Feature",
            "properties": {"records": records, "step": step_of(records)},
            "geometry": {"type": "Polygon", "coordinates": [square(lon, lat, half)]},
        }
        for lon, lat, records in evidence.cells
    ]
    return {"type": "FeatureCollection", "features": features}


def pin_group(
    place: tuple[float, float] | None,
    palette: Palette,
    *,
    radius_km: float | None = None,
    label: str = "",
) -> folium.FeatureGroup:
    """Draw the pin, with a circle around it if a radius is given, and a label above it."""
    group = folium.FeatureGroup(name="pin")
    if place is None or abs(place[1]) > EDGE:
        return group
    # Near longitude 180 the click may have been on the neighbouring world.
    lons = [place[0]] if abs(place[0]) < 90 else [place[0], place[0] - math.copysign(360, place[0])]
    for lon in lons:
        spot = (place[1], lon)
        if radius_km:
            folium.Circle(
                spot,
                radius=radius_km * 1000,
                color=palette.pin,
                weight=1.5,
                dash_array="5 5",
                fill=False,
                interactive=False,
            ).add_to(group)
        tip = folium.Tooltip(escape(label), permanent=True, direction="top", offset=[0, -8])
        pin = folium.CircleMarker(
            spot,
            tooltip=tip if label else None,
            radius=8,
            color=palette.ring,
            weight=3,
            fill=True,
            fill_color=palette.pin,
            fill_opacity=1,
            interactive=False,
        )
        # folium's class drops both. A click on a pin would be at its middle, and change nothing.
        pin.options |= {"pane": PIN_PANE, "interactive": False}
        pin.add_to(group)
    return group


def click_map(
    key: str,
    groups: Sequence[folium.FeatureGroup],
    *,
    start: tuple[float, float, float] | None,
    center: tuple[float, float, float | None] | None,
    palette: Palette,
    on_change: Callable[[str], None],
    home: tuple[float, float, float] | None = None,
    halves: bool = False,
    wire: str | None = None,
    height: int = HEIGHT,
    label: str = "Map",
    closest: int = MAX_ZOOM,
    swipe: str | None = None,
) -> None:
    """Draw a Leaflet map; ``st.session_state[key]`` holds the last click.

    The base map depends on ``start``, ``home``, ``wire``, ``closest``, ``swipe`` and the theme
    alone: any change of it would load the map anew. What changes with the place goes into feature
    groups.

    Args:
        key: Key in the session's state.
        groups: What to draw on the map.
        start: Longitude, latitude and zoom at first sight; the whole world if None.
        center: Longitude, latitude and perhaps a zoom to move to; None to leave the view alone.
        palette: Colours.
        on_change: Called with ``key`` after a click or move.
        home: Where its button for the first view leads, in the same way; the whole world if None.
        halves: Whether the zoom goes by halves, and down to the whole world on a phone.
        wire: A name that maps share which move together.
        height: Pixels, where the page's styles say nothing else.
        label: What the map shows, for those who cannot see it.
        closest: The nearest zoom.
        swipe: What the slider does that wipes away what lies in the pane ``OVER``; None for none.
    """
    st_folium(
        _base_map(palette, start, home, halves, wire, label, closest, swipe),
        key=key,
        height=height,
        use_container_width=True,
        # The map's own script tells clicks and moves; this alone keeps the component from it.
        returned_objects=["last_clicked"],
        center=(center[1], center[0]) if center else None,
        zoom=center[2] if center else None,
        feature_group_to_add=list(groups),
        on_change=partial(on_change, key),
        wrap_longitude=True,
    )
