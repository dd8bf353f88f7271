"""The map beside a photo, whose clicks set the pin: what lies on it is its caller's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import folium
import streamlit as st

from mapping import deck, leaflet
from photo.address import PhotoView
from photo.chart import MAP_HEIGHT
from photo.place import Where
from shared import clicks, resources
from shared.palette import Palette


def draw(
    view: PhotoView,
    where: Where,
    palette: Palette,
    groups: Callable[[], Sequence[folium.FeatureGroup]],
    *,
    picture: bytes = b"",
    opacity: float,
    home: tuple[float, float, float] | None = None,
    radius_km: float | None = None,
) -> None:
    """Draw the map.

    Args:
        view: What the address says.
        where: The place, where the pin stands.
        palette: The theme's colours.
        groups: Gives what lies below the pin, where there is Leaflet.
        picture: The same as a PNG of the world, for a map without Leaflet; empty for nothing.
        opacity: Of the picture there.
        home: Longitude, latitude and zoom of the first look, where nothing is pinned.
        radius_km: Within which the place lies, to be drawn around the pin.
    """
    place = where.place
    pinned = (*place, view.zoom) if place and view.zoom is not None else None
    start = clicks.map_start(pinned or home, palette)
    if not resources.leaflet_ready():
        layers = deck.value_layers(picture, opacity, None, palette) if picture else []
        deck.cell_map("photo_cells", layers, place, start=start, palette=palette,
                      on_select=clicks.on_cell)  # fmt: skip
        st.caption(
            f"Leaflet is not installed, so a click picks a cell of {deck.PICK_DEGREES}°; type the"
            " place for more. `make setup` installs Leaflet."
        )
        return
    leaflet.click_map(
        "photo_map",
        [*groups(), leaflet.pin_group(place, palette, radius_km=radius_km)],
        start=start,
        center=clicks.map_center(place),
        palette=palette,
        on_change=clicks.on_map,
        halves=True,
        height=MAP_HEIGHT,
    )
