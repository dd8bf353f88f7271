"""What every page draws, and what a page keeps while it is open."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from csp_core.errors import CspError
from csp_core.store import ModelInfo
from jobs.listing import allowed
from shared import address, greeted, resources, style, visits, widgets
from shared.tour import TOUR, Stop
from shared.words import escape_markdown, reworded


def run(
    name: str,
    draw: Callable[[], None],
    *,
    shared: tuple[str, ...] = (),
    keeps: tuple[str, ...] = (),
) -> None:
    """Draw a page: the styles, its address as it was left, and all of its own.

    A ``CspError`` of it becomes one sentence below what is drawn already.

    Args:
        name: Of the page, as in its address. What it keeps in the session's state beside its
            widgets bears this name (``visits.own``), and is forgotten once another page is opened.
        draw: Draws all that is the page's own.
        shared: Parts of the address that it takes over from other pages and gives to them.
        keeps: What it keeps all the same while another page is open, without the page's name.
    """
    style.apply_style()
    visits.come_back(name, shared, keeps)
    try:
        draw()
    except CspError as error:
        st.error(escape_markdown(str(error)))


def title(text: str, info: ModelInfo | None = None, *, of: ModelInfo | None = None) -> None:
    """Draw the page's title, what its model knows, and at a first visit what the page is for.

    Args:
        text: The title, in the app's own words.
        info: The model in use; None where the page names it elsewhere or has none.
        of: The model in whose words the page is greeted, where it is named elsewhere.
    """
    st.title(text, anchor=False)
    if info is not None:
        widgets.model_chip(info)
    greet(st.session_state.get(visits.PAGE, ""), info or of)


def tour() -> dict[str, Stop]:
    """Give the pages of the tour that are there."""
    return {name: stop for name, stop in TOUR.items() if name != "train" or allowed()}


def greet(page: str, info: ModelInfo | None) -> None:
    """Say what a page is for, until that is closed, and where the tour goes on."""
    stops = tour()
    greeted.remember(list(stops))
    if page not in stops or page in greeted.closed():
        return
    later = list(stops)[list(stops).index(page) + 1 :]
    following = stops[later[0]] if later else None
    path = following.path if following else widgets.ABOUT_PAGE
    label = f"Next: {following.title if following else 'About'} →"
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="welcome"):
        # On a phone the rest goes below the sentences.
        st.markdown(reworded(stops[page].said_of(info), info), width=620)
        st.page_link(path, label=label)
        st.button(
            "Close", key="welcome-close", type="tertiary", on_click=greeted.close, args=(page,)
        )


def usable_models(heading: str = "") -> list[ModelInfo] | None:
    """Give the models of a page that cannot do without one.

    Args:
        heading: Title to draw if there is none, for a page whose own names what a model knows.

    Returns:
        All models, of which at least one can be asked, with those that cannot and why; None where
        there is none to ask, and the page says what to do.
    """
    known = resources.models()
    if address.usable(known):
        return known
    if heading:
        title(heading)
    widgets.no_models(known)
    return None
