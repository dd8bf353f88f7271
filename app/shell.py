"""What every page draws: style, way back, title, models or none, and errors as sentences."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from csp_core.errors import CspError
from csp_core.store import ModelInfo
from shared import address, resources, style, visits, widgets
from shared.words import escape_markdown


def run(
    name: str, draw: Callable[[], None], *, shared: tuple[str, ...] | None = visits.SHARED
) -> None:
    """Draw a page.

    Args:
        name: What the session calls the page.
        draw: Draws what stands on it; an error of the package becomes one sentence.
        shared: What of its address it takes over from other pages and gives to them; None for a
            page that is always opened as its address says.
    """
    style.apply_style()
    if shared is None:
        st.session_state[visits.AWAY] = True
    else:
        visits.come_back(name, shared)
    try:
        draw()
    except CspError as error:
        st.error(escape_markdown(str(error)))


def title(text: str) -> None:
    """Draw the page's title."""
    st.title(text, anchor=False)


def usable_models(otherwise: str) -> list[ModelInfo] | None:
    """List the models, or say what to do where none can be asked.

    Args:
        otherwise: Title of the page without a model.

    Returns:
        All models, of which at least one is usable; None if there is none such.
    """
    known = resources.models()
    if address.usable(known):
        return known
    title(otherwise)
    widgets.no_models(known)
    return None
