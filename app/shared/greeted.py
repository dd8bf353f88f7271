"""Which pages' greetings somebody has closed, which the browser remembers for a year."""

from __future__ import annotations

import streamlit as st

# In the session's state: the pages, and whether the browser has yet to be told.
CLOSED, UNTOLD = "greeted", "greeted-untold"
COOKIE = "csp-greeted"
_keep = st.components.v2.component(
    "keep_greeted",
    html="<span hidden></span>",
    # A text of one line would be taken for the name of a file.
    js=f"""export default function ({{ data }}) {{
        document.cookie = `{COOKIE}=${{data.pages}}; max-age=31536000; path=/; samesite=lax`;
    }}""",
)


def closed() -> set[str]:
    """Give the pages whose greeting was closed, in this session or an earlier one."""
    if CLOSED not in st.session_state:
        st.session_state[CLOSED] = set(st.context.cookies.get(COOKIE, "").split("."))
    pages: set[str] = st.session_state[CLOSED]
    return pages


def close(page: str) -> None:
    """Close the greeting of a page.

    Args:
        page: Its name.
    """
    closed().add(page)
    st.session_state[UNTOLD] = True


def remember(pages: list[str]) -> None:
    """Tell the browser what was closed since it was told last.

    Args:
        pages: Names of all pages; no other is told.
    """
    if st.session_state.get(UNTOLD):
        with st.container(key="keep-greeted"):
            told = ".".join(page for page in pages if page in closed())
            _keep(key="keep-greeted-now", data={"pages": told}, height=0)
