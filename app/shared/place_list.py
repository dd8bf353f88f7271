"""The list of places below a text box: it asks while somebody types, without a run of the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from shared import suggestions

_HERE = Path(__file__).parent
# It stands in the page itself, not in a frame, and gives the box of Streamlit a list of its own.
_list = st.components.v2.component(
    "place_list",
    html='<ul class="csp-places" role="listbox" aria-label="Places" hidden></ul>'
    '<div class="csp-places-said" role="status"></div>',
    css=(_HERE / "place_list.css").read_text(encoding="utf-8"),
    js=(_HERE / "place_list.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def draw(box: str, on_pick: Callable[[Any], None]) -> None:
    """Draw the list, which is hidden until something is typed.

    Args:
        box: Key of the text box, which stands just before it.
        on_pick: Called with what was picked, ``{"label", "lon", "lat"}``, as the browser sent it.
    """
    key = f"{box}-list"
    _list(
        key=key,
        data={"box": box, "address": suggestions.address()},
        # What was picked just before another page was opened comes late, and to nobody.
        on_picked_change=lambda: on_pick(st.session_state.get(key, {}).get("picked")),
    )
