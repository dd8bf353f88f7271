"""A place is chosen, by a click, a picked cell or the two boxes, and the map follows if it must."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from shared import address
from shared.visits import own

# Longitude, latitude, and the zoom if it changes.
Centre = tuple[float, float, float | None]


def choose_place(
    lon: float, lat: float, *, typed: bool = False, view: Mapping[str, str] | None = None
) -> None:
    """Take over a place, whichever way it was chosen.

    Args:
        lon: Longitude, degrees.
        lat: Latitude, degrees.
        typed: Whether the box for places says it; else what stands there is of another place.
        view: Where the map that was clicked looks, as parts of an address.
    """
    forget_messages()
    if not typed and st.session_state.get("place_text"):
        st.session_state["place_text"] = ""
    address.set_place(lon, lat, view)


def forget_messages() -> None:
    """Drop what was said of a typed place before."""
    st.session_state.pop(own("lookup"), None)
    st.session_state.pop(own("lookup_error"), None)


def on_map(key: str) -> None:
    """Take over a click on a Leaflet map, and where the map looks.

    Args:
        key: The map's key in the session's state.
    """
    value = st.session_state.get(key) or {}
    click = value.get("last_clicked")
    seen = st.session_state.setdefault(own("seen_clicks"), {})
    # A move reports the last click again.
    view = address.view_of(value.get("centre"), value.get("zoom"))
    if click and click != seen.get(key):
        seen[key] = click
        choose_place(click["lng"], click["lat"], view=view)
        st.session_state[own("clicked")] = address.place_params()
    else:
        st.query_params.update(view)
    st.session_state[own("looks")] = address.read_centre()


def on_cell(key: str) -> None:
    """Take over a cell picked on a map without Leaflet; picking it again changes nothing.

    Args:
        key: The map's key in the session's state.
    """
    picked = st.session_state[key].selection.objects.get("pick", [])
    if picked:
        choose_place(picked[0]["lon"], picked[0]["lat"])


def on_boxes(owner: str = "") -> None:
    """Take over typed numbers, right or wrong: the address says what was typed.

    Args:
        owner: As ``coordinate_boxes`` was told.
    """
    lon, lat = (st.session_state.get(f"{name}_box{owner}") for name in ("lon", "lat"))
    if lon is not None and lat is not None:
        choose_place(lon, lat)


def coordinate_boxes(
    lon: float | None,
    lat: float | None,
    width: int = 150,
    owner: str = "",
    on_change: Callable[[str], None] = on_boxes,
) -> None:
    """Draw the boxes for latitude and longitude.

    Args:
        lon: Longitude to show, or None.
        lat: Latitude to show, or None.
        width: Of each, pixels.
        owner: What the place is of, where a page shows one of several.
        on_change: Called with ``owner`` after another number was typed.
    """
    names = (("Latitude", "lat_box", lat), ("Longitude", "lon_box", lon))
    for label, name, value in names:
        key = name + owner
        # Without a place, the first box typed into waits for the other.
        if value is not None or key not in st.session_state:
            st.session_state[key] = value
        st.number_input(
            label,
            # A box that may be empty has a button to clear it, which a known place has no use for.
            value=None if value is None else "min",
            step=0.1,
            format="%.4f",
            key=key,
            on_change=on_change,
            args=(owner,),
            width=width,
        )


def map_center(place: tuple[float, float] | None) -> Centre | None:
    """Tell where a map has to move: to a typed place, or to where another address has it look.

    Args:
        place: Longitude and latitude of the pin, or None.

    Returns:
        Longitude, latitude and zoom, which is None where it stays; or None to leave the map alone.
    """
    state, key, view = st.session_state, address.place_params(), address.read_centre()
    goal: Centre | None = None
    # After a step back in the browser the address differs from what the map has told.
    if view:
        goal = view if view != state.get(own("looks"), view) else None
    elif place and key != state.get(own("shown"), key) and key != state.get(own("clicked")):
        goal = (*place, None)
    if goal:
        # The component ignores what equals the last, so it is made to differ.
        state[own("moves")] = state.get(own("moves"), 0) + 1
        little = 1e-9 * state[own("moves")]
        lon, lat, zoom = goal
        state[own("center")] = (lon, lat + little, zoom if zoom is None else zoom + little)
    state[own("shown")], state[own("looks")] = key, view
    center: Centre | None = state.get(own("center"))
    return center
