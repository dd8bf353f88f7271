"""A place is typed: the box for it, and what may have been meant where it is not clear."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from csp_core import gazetteer
from csp_core.errors import CspError
from shared import clicks
from shared.visits import own
from shared.words import escape_markdown


def place_box(width: int | Literal["stretch"] = "stretch") -> None:
    """Draw the box for a place's name or coordinates.

    Args:
        width: Pixels, or all there is.
    """
    st.text_input(
        "Place or coordinates",
        key="place_text",
        placeholder="München · Москва · Paris, Texas · 48.2 N 16.37 E",
        on_change=_on_text,
        width=width,
    )


def _on_text() -> None:
    """Take over a typed place."""
    clicks.forget_messages()
    text = st.session_state["place_text"]
    if not text.strip():
        return
    # Without the long list, the bundled one of large cities answers until it is there.
    gazetteer.start_building()
    try:
        found = gazetteer.look_up(text)
    except CspError as error:
        st.session_state[own("lookup_error")] = str(error)
        return
    first, *others = found.places
    if found.certain:
        clicks.choose_place(first.lon, first.lat, typed=True)
        st.session_state[own("lookup")] = ("Others of this name:", others)
    else:
        st.session_state[own("lookup")] = ("Which one?", found.places)


def _on_choice(place: gazetteer.Place) -> None:
    """Take over one of the places that may have been meant."""
    clicks.choose_place(place.lon, place.lat, typed=True)
    st.session_state["place_text"] = place.label


def offer_swap(lon: float | None, lat: float | None) -> None:
    """Offer to swap coordinates that are no place but would be one the other way round.

    Args:
        lon: What was given as longitude, or None.
        lat: What was given as latitude, or None.
    """
    guess = None if lon is None or lat is None else gazetteer.swapped(lon, lat)
    if guess:
        label = f"Swap them: {gazetteer.format_coordinates(*guess)}"
        st.button(label, on_click=clicks.choose_place, args=guess, key="swap")


def draw_lookup() -> None:
    """Say what is wrong with a typed place, or which ones it may mean."""
    # A container even for nothing: the map below would be built anew if its number changed.
    with st.container():
        if error := st.session_state.get(own("lookup_error")):
            st.error(escape_markdown(error))
        question, found = st.session_state.get(own("lookup")) or ("", ())
        if found:
            st.caption(question)
            with st.container(horizontal=True, gap="small"):
                for number, place in enumerate(found):
                    label = escape_markdown(place.label)
                    st.button(label, on_click=_on_choice, args=(place,), key=f"choice-{number}")
