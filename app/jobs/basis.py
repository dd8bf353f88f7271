"""The picture of a position encoding beside its options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from csp_core.errors import CspError
from csp_core.raster.basis import basis_picture


def draw_basis(name: str, options: Mapping[str, Any]) -> None:
    """Draw some features of a position encoding over the world.

    Args:
        name: A name in ``ENCODINGS``.
        options: Its options, not checked yet.
    """
    try:
        picture = _picture(name, json.dumps(dict(options), default=str, sort_keys=True))
    except (CspError, ValueError, TypeError):
        st.caption("These options cannot be drawn; what is wrong with them is said below.")
        return
    st.image(picture, width="stretch")
    st.caption(
        "Some of its features over the world, from the first to the last: what the network behind"
        " it sees of a place."
    )


@st.cache_data(show_spinner=False, max_entries=64)
def _picture(name: str, options: str) -> bytes:
    return basis_picture(name, json.loads(options))
