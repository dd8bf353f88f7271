"""A place is typed: the box for it with what it may become, and what is told of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import streamlit as st

from csp_core import gazetteer
from csp_core.errors import CspError
from csp_core.inference import likely_swapped
from csp_core.model import Prior
from shared import clicks, place_list, said, widgets
from shared.words import escape_markdown

BOX = "place_text"
RATHER = (
    "Hardly anything was recorded near here, but much is where latitude and longitude are swapped."
)
# Letters of a compass say which number is which, and so do codes and links; a degree may be º.
CLEAR = re.compile(r"[^\W\d_º]|\d\+\d")


def place_box(width: int | Literal["stretch"] = "stretch") -> None:
    """Draw the box for a place's name or coordinates, with a list of what may be meant below it.

    Args:
        width: Pixels, or all there is.
    """
    # What is still there of a place that the pin has left, names another one.
    told = said.current()
    if st.session_state.get(BOX) and not (told and told.text):
        st.session_state[BOX] = ""
    with st.container(key="place-search", width=width, gap=None):
        st.text_input(
            "Place or coordinates",
            key=BOX,
            placeholder="München · Москва · Paris, Texas · 48.2 N 16.37 E",
            autocomplete="off",
            on_change=_on_text,
        )
        place_list.draw(BOX, _on_suggestion)


def _on_text() -> None:
    """Take over a typed place."""
    text = st.session_state.get(BOX) or ""
    told = said.current()
    if told and text and told.text == text:
        return  # It was picked in the list, and is only reported again.
    if not text.strip():
        said.forget()
        return
    # Without the long list, the bundled one of large cities answers until it is there.
    gazetteer.start_building()
    try:
        found = gazetteer.look_up(text)
    except CspError as error:
        said.say(text, error=str(error))
        return
    first, *others = found.places
    alone = not others and "," not in text
    if not (found.certain or alone):
        said.say(text, question="Which one?", places=found.places)
        return
    _take(first)
    if others:
        said.say(first.label, question="Others of this name:", places=tuple(others))


def _take(place: gazetteer.Place) -> None:
    """Take over a place, or coordinates that were typed; the box names it."""
    # Numbers come back as a place that is called as they were typed.
    clear = CLEAR.search(place.name)
    swap = None if clear else gazetteer.swapped(place.lon, place.lat)
    st.session_state[BOX] = place.label
    bare = frozenset() if clear else clicks.BOTH
    clicks.take_numbers(place.lon, place.lat, text=place.label, swap=swap, bare=bare)


def _on_suggestion(picked: Any) -> None:
    """Take over what was picked in the list; it comes from the browser."""
    match picked:
        case {"label": str(label), "lon": float() | int() as lon, "lat": float() | int() as lat}:
            _take(gazetteer.Place(label[:200], "", float(lon), float(lat)))


def draw_lookup(
    asked: tuple[float | None, float | None] | None = None,
    model: Prior | None = None,
    problems: Sequence[str] = (),
    notices: Sequence[str] = (),
) -> None:
    """Say what is wrong with a typed place, or which ones it may mean.

    Args:
        asked: Longitude and latitude of the address, if they are no place: they may be one the
            other way round.
        model: Whose records may tell that valid numbers were swapped.
        problems: What is wrong with the place of the address.
        notices: What was changed in it.
    """
    told = said.current() or said.Said((None, None))
    swap = told.swap
    if swap is None and asked and asked[0] is not None and asked[1] is not None:
        swap = gazetteer.swapped(asked[0], asked[1])
    # A container even for nothing: the map below would be built anew if its number changed.
    with st.container():
        widgets.messages([*problems, told.error], [*notices, told.notice])
        if swap:
            _offer(swap)
        elif model is not None and (likely := _likely(told, model)):
            with st.container(horizontal=True, gap="small", vertical_alignment="center"):
                st.caption(RATHER, width="content")
                _offer(likely, quiet=True)
        if told.places:
            st.caption(told.question)
            with st.container(horizontal=True, gap="small"):
                for number, place in enumerate(told.places):
                    label = escape_markdown(place.label)
                    st.button(label, on_click=_take, args=(place,), key=f"choice-{number}")


def _likely(told: said.Said, model: Prior) -> tuple[float, float] | None:
    """Give what typed numbers that are a place mean the other way round, if records say so."""
    lon, lat = told.at
    # Refused numbers, and a half of a place, are not where the pin stands.
    if lon is None or lat is None or told.error or told.numbers or told.bare != clicks.BOTH:
        return None
    return likely_swapped(model, float(lon), float(lat))


def _offer(swap: tuple[float, float], *, quiet: bool = False) -> None:
    """Offer a place the other way round."""
    label = f"Swap them: {gazetteer.format_coordinates(*swap)}"
    kind: Literal["tertiary", "secondary"] = "tertiary" if quiet else "secondary"
    st.button(label, on_click=clicks.choose_place, args=swap, key="swap", type=kind)
