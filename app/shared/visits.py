"""Going from page to page: what one takes over from another, and what it had before."""

from __future__ import annotations

import streamlit as st

from shared import quota

# What pages about a species at a place take over from each other; the rest of an address is a
# page's own.
SHARED = ("model", "taxon", "lat", "lon")
# In the session's state: the page being drawn, what it keeps while others are, the addresses of
# all, and the last page that shares parts of its own.
PAGE, KEEPS, ADDRESSES, GIVER = "page", "keeps", "addresses", "giver"
# Of a page's own: the files that its boxes hold, which go as it is left.
UPLOADS = "uploads"


def own(name: str) -> str:
    """Name something that the page in use keeps in the session's state, so that no other has it.

    Args:
        name: What it is called on the page.

    Returns:
        Its key, which begins with the page's name.
    """
    return f"{st.session_state.get(PAGE, '')}-{name}"


def shared_now() -> dict[str, str]:
    """Give the address of the last page that shares parts of its own, empty before the first.

    It is not that of a page in between that shares nothing, such as that of photos.
    """
    kept: dict[str, dict[str, str]] = st.session_state.get(ADDRESSES, {})
    return kept.get(st.session_state.get(GIVER, ""), {})


def come_back(page: str, shared: tuple[str, ...], keeps: tuple[str, ...]) -> None:
    """Restore the address that a visit to another page took away; a link with its own wins.

    Args:
        page: Name of the page being drawn.
        shared: What it takes over from the last page that shares; nothing for a page that gives
            nothing either.
        keeps: What the session remembers of it while another page is open.
    """
    state = st.session_state
    kept: dict[str, dict[str, str]] = state.setdefault(ADDRESSES, {})
    last = state.get(PAGE, page)
    if last != page:
        _forget(last)
        if not st.query_params:
            mine = {name: v for name, v in kept.get(page, {}).items() if name not in shared}
            other = {name: v for name, v in shared_now().items() if name in shared}
            st.query_params.update(mine | other)
    state[PAGE], state[KEEPS] = page, keeps
    if shared:
        state[GIVER] = page
    kept[page] = st.query_params.to_dict()


def _forget(page: str) -> None:
    """Forget what a page kept, such as where its map was, and the files that its boxes held."""
    state = st.session_state
    quota.release(state.get(f"{page}-{UPLOADS}", ()))
    kept = {f"{page}-{name}" for name in state.get(KEEPS, ())}
    for key in [key for key in state if str(key).startswith(f"{page}-") and key not in kept]:
        del state[key]
