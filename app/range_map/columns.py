"""Which columns of a file of records hold what, for whoever gives one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

# What may be chosen, by its canonical name.
ASKED = {
    "scientific_name": "Column of the names",
    "lat": "Column of the latitudes",
    "lon": "Column of the longitudes",
    "date": "Column of the dates",
}
# A box of more columns than that is slow, and nobody looks through it.
MOST = 500

Chosen = tuple[tuple[str, str], ...]


def choose_columns(key: str, columns: Sequence[str], found: Mapping[str, str]) -> Chosen:
    """Draw a box for each column that is needed.

    Args:
        key: Of the file, as its boxes keep their choice.
        columns: The file's.
        found: Canonical name to the column that is taken for it.

    Returns:
        Canonical name and column, where another was chosen than is found.
    """
    lacking = [name for name in ("scientific_name", "lat", "lon") if name not in found]
    genus = "scientific_name" in lacking and {"genus", "epithet"} <= {*found}
    options = list(dict.fromkeys([*found.values(), *columns]))[:MOST]
    with st.expander("Choose columns", expanded=bool(lacking) and not genus):
        chosen = {
            name: st.selectbox(
                words,
                options,
                index=options.index(found[name]) if name in found else None,
                key=f"column-{name}-{key}",
                placeholder="genus and epithet" if genus and name == "scientific_name" else "none",
            )
            for name, words in ASKED.items()
        }
    return tuple(
        (name, column) for name, column in chosen.items() if column and column != found.get(name)
    )
