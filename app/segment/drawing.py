"""The scene on a map, or as a picture where it is on none: classes over it, pin and like places."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import partial

import folium
import streamlit as st

from csp_core.raster.scenes import Layout
from mapping import leaflet
from mapping.elements import GeoJson, number_group
from segment import pixels
from segment.address import SegmentView
from segment.answer import Answer
from segment.chosen import Chosen
from segment.colours import class_colours
from shared import address, clicks, resources, style
from shared.address import CLOSEST, FINE_DECIMALS
from shared.words import escape_markdown

KEY = "segment-map"
# Pixels of the map that a scene has to fit into at first sight.
ROOM = 400
SWIPE = "Swipe: how much of the map, from the left, shows the picture alone"
SPOT = {"radius": 9, "weight": 2, "color": "#ffffff", "fillColor": "#141414", "fillOpacity": 1,
        "interactive": False, "className": "csp-spot"}  # fmt: skip
NAMES = {"classes": "the classes", "features": "what looks alike", "picture": ""}


def layer_picture(view: SegmentView, answer: Answer) -> bytes | None:
    """Draw the layer that is chosen.

    Args:
        view: What is asked for.
        answer: What the model says.

    Returns:
        A picture as large as the scene's own; None where the scene alone is shown.
    """
    chosen = answer.chosen
    cells = answer.once("cells", lambda: pixels.cells_of(chosen.scene, chosen.layout))
    if answer.problem or view.layer == "picture":
        return None
    if view.layer == "features":
        return bytes(
            answer.once(
                "features",
                partial(pixels.feature_picture, answer.learned, chosen.scene, cells),
            )
        )
    colours = class_colours(answer.seen.names)
    return bytes(answer.once("classes", partial(pixels.class_picture, answer.seen, cells, colours)))


def below_picture(answer: Answer) -> bytes:
    """Draw the scene itself."""
    chosen = answer.chosen
    cells = answer.once("cells", lambda: pixels.cells_of(chosen.scene, chosen.layout))
    return bytes(answer.once("picture", partial(pixels.scene_picture, chosen.scene, cells)))


def draw(
    view: SegmentView,
    answer: Answer,
    spots: Sequence[tuple[int, int]],
    asked: tuple[int, int] | None,
) -> None:
    """Draw the scene with the layer over it.

    Args:
        view: What is asked for.
        answer: What the model says.
        spots: Rows and columns of the places that are most like the chosen one.
        asked: Row and column of the chosen one, or None.
    """
    chosen, layer = answer.chosen, layer_picture(view, answer)
    what = f"The scene {chosen.name}"
    if layer is not None:
        what += f" with {NAMES[view.layer]} over it"
    if chosen.layout is not None and resources.leaflet_ready():
        draw_map(view, answer, chosen.layout, layer, spots, what)
    else:
        draw_flat(view, answer, layer, spots, asked, what)


def draw_map(
    view: SegmentView,
    answer: Answer,
    layout: Layout,
    layer: bytes | None,
    spots: Sequence[tuple[int, int]],
    label: str,
) -> None:
    """Draw a scene that lies on the map."""
    colours = style.palette()
    below = below_picture(answer)
    first = look_at(layout.bounds)
    pinned = (*view.place, view.zoom) if view.place and view.zoom is not None else None
    groups = [leaflet.picture_group(below, layout.bounds, f"The scene {answer.chosen.name}")]
    if layer is not None:
        groups.append(
            leaflet.picture_group(
                layer, layout.bounds, label, opacity=view.opacity / 100, over=True
            )
        )
    groups += spot_groups([layout.place(*spot) for spot in spots])
    groups.append(leaflet.pin_group(view.place, colours))
    leaflet.click_map(
        KEY,
        groups,
        start=clicks.map_start(pinned or first, colours, answer.chosen.key),
        center=clicks.map_center(view.place),
        palette=colours,
        on_change=partial(clicks.on_map, decimals=FINE_DECIMALS),
        home=first,
        halves=True,
        label=f"Map of {label[0].lower()}{label[1:]}",
        closest=CLOSEST,
        swipe=SWIPE,
    )


def spot_groups(places: Sequence[tuple[float, float]]) -> list[folium.FeatureGroup]:
    """Draw numbered dots on the map.

    Args:
        places: Longitude and latitude of each.

    Returns:
        The layers; empty ones where there is none, so that dots of before go.
    """
    dots = folium.FeatureGroup(name="spots")
    if places:
        points = [{"type": "Feature", "properties": {}, "geometry":
                   {"type": "Point", "coordinates": list(place)}} for place in places]  # fmt: skip
        data = json.dumps({"type": "FeatureCollection", "features": points})
        options = f"{{pointToLayer: (f, at) => L.circleMarker(at, {json.dumps(SPOT)})}}"
        dots.add_child(GeoJson(data, options))
    return [dots, number_group(dict(enumerate(places, start=1)))]


def look_at(bounds: tuple[float, float, float, float]) -> tuple[float, float, float]:
    """Tell how a map shows a scene as a whole.

    Args:
        bounds: West, south, east and north, degrees.

    Returns:
        Longitude, latitude and zoom, in halves.

    Example:
        >>> look_at((129.9997, 37.4669, 130.0399, 37.499))
        (130.0198, 37.48295, 13.5)
    """
    west, south, east, north = bounds
    low, high = (math.asinh(math.tan(math.radians(lat))) for lat in (south, north))
    part = max((east - west) / 360, (high - low) / (2 * math.pi), 1e-9)
    zoom = math.floor(2 * math.log2(ROOM / 256 / part)) / 2
    lon = (west + east) / 2
    lat = math.degrees(math.atan(math.sinh((low + high) / 2)))
    lon = lon - 360 if lon > 180 else lon
    return round(lon, 6), round(lat, 6), min(float(CLOSEST), max(1.0, zoom))


def draw_flat(
    view: SegmentView,
    answer: Answer,
    layer: bytes | None,
    spots: Sequence[tuple[int, int]],
    asked: tuple[int, int] | None,
    label: str,
) -> None:
    """Draw a scene that is on no map, as a picture."""
    facts = answer.chosen.scene.facts
    picture = pixels.over(below_picture(answer), layer, view.opacity / 100)
    marks = [("", *asked)] if asked else []
    marks += [(str(number), *spot) for number, spot in enumerate(spots, start=1)]
    if marks:
        picture = pixels.marked(picture, (facts.height, facts.width), marks)
    st.image(picture, width="stretch", alt=label)
    if answer.chosen.layout is None:
        st.caption(
            f"{escape_markdown(answer.chosen.why_no_map)} So it is shown without a map, and areas"
            " are counted in pixels. Ask about a pixel by its row and column."
        )
    else:
        st.caption(
            "Leaflet is not installed, so the scene is shown without a map; ask about a pixel by"
            " its row and column. `make setup` installs Leaflet."
        )


def chosen_pixel(view: SegmentView, chosen: Chosen) -> tuple[int, int] | None:
    """Give the row and column of the pixel that the address asks about.

    Args:
        view: What is asked for; a problem is added for what is not in the scene.
        chosen: The scene.

    Returns:
        None where none is asked about.
    """
    facts = chosen.scene.facts
    if chosen.layout is not None:
        return None if view.place is None else chosen.layout.pixel(*view.place)
    if view.cell is None:
        return None
    row, column = view.cell
    if row < facts.height and column < facts.width:
        return row, column
    view.problems.append(
        f"The scene has {facts.height:,} rows and {facts.width:,} columns, counted from 0; row"
        f" {row}, column {column} is not in it."
    )
    return None


def on_boxes(chosen: Chosen) -> None:
    """Take over the boxes for row and column.

    Args:
        chosen: The scene.
    """
    row, column = (st.session_state.get(f"segment-{name}") for name in ("row", "column"))
    if row is None or column is None:
        return
    if chosen.layout is None:
        address.set_param("row", str(int(row)))
        address.set_param("column", str(int(column)))
    else:
        place = chosen.layout.place(int(row), int(column))
        address.set_place(*place, decimals=FINE_DECIMALS)
