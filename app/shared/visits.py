"""Going from page to page: what one takes over from another, and what it had before."""

from __future__ import annotations

import streamlit as st

# In the session's state: another page was drawn since; the last page that shares its address.
AWAY, GIVER = "away", "giver"
# What one page takes over from another; the rest of an address is a page's own.
SHARED = ("model", "taxon", "lat", "lon")


def come_back(page: str, shared: tuple[str, ...] = SHARED) -> None:
    """Restore the address that a visit to another page took away; a link with its own wins.

    Args:
        page: Name of the page being drawn.
        shared: What it takes over from the last page that shares; nothing for a page that gives
            nothing either.
    """
    state = st.session_state
    kept: dict[str, dict[str, str]] = state.setdefault("addresses", {})
    last = state.get("page", page)
    if state.pop(AWAY, False) or last != page:
        # Where the map was; and the photos, whose box forgets them with its page.
        for name in ("start", "center", "shown", "zoom", "clicked"):
            state.pop(name, None)
        dropped = state.pop("photos_read", None)
        if last == "photo":
            state["photos_dropped"] = bool(dropped)
        if not st.query_params:
            own = {name: v for name, v in kept.get(page, {}).items() if name not in shared}
            # Not from a page in between that shares nothing, such as that of photos.
            given = kept.get(state.get(GIVER, page), {})
            other = {name: v for name, v in given.items() if name in shared}
            st.query_params.update(own | other)
    state["page"] = page
    if shared:
        state[GIVER] = page
    kept[page] = st.query_params.to_dict()
