"""A place is chosen, by a click, a picked cell or the two boxes, and the map follows if it must."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from csp_core import gazetteer
from csp_core.errors import BadRecordError
from shared import address, said
from shared.visits import own

# Longitude, latitude, and the zoom if it changes.
Centre = tuple[float, float, float | None]
Look = tuple[float, float, float]
# In the session's state: the place of the last click, and what it replaced.
BEFORE = "before-click"
# What was typed of a place, where letters did not say which number is which.
BOTH: frozenset[str] = frozenset(("lon", "lat"))
HALF = "A place needs a latitude and a longitude; until both are there, all stays as it was."


def choose_place(
    lon: float,
    lat: float,
    view: Mapping[str, str] | None = None,
    decimals: int = address.DECIMALS,
) -> None:
    """Take over a place that is one, whichever way it was chosen.

    Args:
        lon: Longitude, degrees.
        lat: Latitude, degrees.
        view: Where the map that was clicked looks, as parts of an address.
        decimals: Digits of a degree that are kept.
    """
    said.forget()
    address.set_place(lon, lat, view, decimals)


def take_numbers(
    lon: float,
    lat: float,
    *,
    text: str = "",
    swap: tuple[float, float] | None = None,
    numbers: tuple[str, float | None, float | None] | None = None,
    bare: frozenset[str] = frozenset(),
) -> None:
    """Take over typed coordinates, or say why they are none; then the place stays as it was.

    Args:
        lon: Longitude, degrees; any number.
        lat: Latitude, degrees; any number.
        text: What the box for places shall say.
        swap: Longitude and latitude that may have been meant instead, or None.
        numbers: What the boxes keep if it is refused, as in ``Said``.
        bare: Which of the two were typed and may be the wrong way round, as in ``Said``.
    """
    try:
        lon, lat, notice = gazetteer.tidy_coordinates(lon, lat)
    except BadRecordError as error:
        said.say(text, error=str(error), swap=swap, numbers=numbers, bare=bare)
        return
    choose_place(lon, lat)
    said.say(text, notice=notice or "", swap=swap, bare=bare)


def on_map(key: str, decimals: int = address.DECIMALS) -> None:
    """Take over a click on a Leaflet map, and where the map looks.

    Args:
        key: The map's key in the session's state.
        decimals: Digits of a degree that are kept of the place.
    """
    follow(key, lambda lon, lat, view: _take_click(lon, lat, view, decimals), _take_back)


def follow(
    key: str,
    take: Callable[[float, float, Mapping[str, str]], None],
    take_back: Callable[[Mapping[str, str]], None],
) -> None:
    """Tell a click on a Leaflet map from a move and from the first half of a double click.

    Args:
        key: The map's key in the session's state.
        take: Takes over a click: longitude, latitude, and where the map looks.
        take_back: Undoes that where it became a double click.
    """
    value = st.session_state.get(key) or {}
    click = value.get("last_clicked")
    seen = st.session_state.setdefault(own("seen_clicks"), {})
    # A move reports the last click again.
    view = address.view_of(value.get("centre"), value.get("zoom"))
    if click and click != seen.get(key):
        last, seen[key] = seen.get(key), click
        if not click.get("undone"):
            take(click["lng"], click["lat"], view)
        # Both words of a double click may come at once: then nothing was taken over.
        elif last == {name: part for name, part in click.items() if name != "undone"}:
            take_back(view)
        else:
            st.query_params.update(view)
    else:
        st.query_params.update(view)
    st.session_state[own("looks")] = address.read_centre()


def _take_click(lon: float, lat: float, view: Mapping[str, str], decimals: int) -> None:
    """Take over a click, and remember what it replaces."""
    state = st.session_state
    before = address.place_params(), said.current(), state.get(own("clicked"))
    choose_place(lon, lat, view, decimals)
    state[own("clicked")] = address.place_params()
    state[own(BEFORE)] = (address.place_params(), *before)


def _take_back(view: Mapping[str, str]) -> None:
    """Put the pin back to where it stood before a click that became a double click."""
    state, params = st.session_state, st.query_params.to_dict() | dict(view)
    there, before, told, clicked = state.pop(own(BEFORE), (None, (None, None), None, None))
    # Whatever was chosen since the click stays.
    undone = there is not None and there == address.place_params()
    if undone:
        state[own("clicked")] = clicked
        params |= dict(zip(("lon", "lat"), before, strict=True))
    # At once, and in the order that the browser has them in: else it would be one more step.
    st.query_params.from_dict({name: value for name, value in params.items() if value})
    if undone and told:
        said.restore(told)


def on_cell(key: str) -> None:
    """Take over a cell picked on a map without Leaflet; picking it again changes nothing.

    Args:
        key: The map's key in the session's state.
    """
    picked = st.session_state[key].selection.objects.get("pick", [])
    if picked:
        choose_place(picked[0]["lon"], picked[0]["lat"])


def on_boxes(owner: str = "", name: str = "") -> None:
    """Take over typed numbers; what is no place is told, and the boxes keep it until one is chosen.

    Args:
        owner: As ``coordinate_boxes`` was told.
        name: Which of the two was typed, ``lon`` or ``lat``.
    """
    told = said.current()
    # With one of them typed, the other one is that of another place and says nothing yet.
    bare = BOTH & {name, *(told.bare if told else ())}
    lon, lat = (st.session_state.get(f"{name}_box{owner}") for name in ("lon", "lat"))
    typed = (owner, lon, lat)
    if lon is not None and lat is not None:
        take_numbers(lon, lat, swap=gazetteer.swapped(lon, lat), numbers=typed, bare=bare)
        return
    try:
        gazetteer.tidy_coordinates(lon or 0.0, lat or 0.0)
    except BadRecordError as error:
        said.say(error=str(error), numbers=typed, bare=bare)
    else:
        said.say(notice=HALF, numbers=typed, bare=bare)


def coordinate_boxes(
    place: tuple[float, float] | None,
    width: int = 150,
    owner: str = "",
    on_change: Callable[[str, str], None] = on_boxes,
) -> None:
    """Draw the boxes for latitude and longitude.

    Args:
        place: Longitude and latitude of the pin, or None.
        width: Of each, pixels.
        owner: What the place is of, where a page shows one of several.
        on_change: Called with ``owner`` and ``lon`` or ``lat`` after another number was typed.
    """
    lon, lat = place or (None, None)
    told = said.current()
    if told and told.numbers and told.numbers[0] == owner:
        _, lon, lat = told.numbers
    for label, name, value in (("Latitude", "lat", lat), ("Longitude", "lon", lon)):
        key = f"{name}_box{owner}"
        st.session_state[key] = value
        st.number_input(
            label,
            # One that may not be empty would put a number of its own where somebody emptied it.
            value=None,
            step=0.1,
            format="%.4f",
            key=key,
            on_change=on_change,
            args=(owner, name),
            width=width,
        )


def map_start(first: Look | None, *base: object) -> Look | None:
    """Tell where a map begins: where the address has it look, or at the page's own first view.

    A map whose ``base`` is another is loaded anew, and goes on from where it was left.

    Args:
        first: Longitude, latitude and zoom of the first view; None for the whole world.
        base: What a map is loaded anew for: the theme, and what it moves together with.

    Returns:
        Longitude, latitude and zoom; None for the whole world.
    """
    state = st.session_state
    if own("start") not in state or state.get(own("base")) != base:
        state[own("start")] = address.read_centre() or first
        state[own("base")] = base
        state.pop(own("center"), None)
    start: Look | None = state[own("start")]
    return start


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
