"""The recordings of a species beside their map: a legend and a table."""

from __future__ import annotations

from html import escape

import streamlit as st

from csp_core.store import ModelInfo
from mapping.evidence import Evidence, step_labels
from shared.style import palette
from shared.words import count_of, reworded


def evidence_legend(evidence: Evidence, name: str, info: ModelInfo) -> None:
    """Explain the cells on the map, and offer them as a table."""
    few, per_cell = "No recording does not mean that it is absent.", "Recordings per cell:"
    total = sum(records for _, _, records in evidence.cells)
    cells = count_of(len(evidence.cells), "cell", "cells")
    swatches = "".join(
        f'<span><i style="background:{colour}"></i>{escape(label)}</span>'
        for colour, label in zip(palette().ramp, step_labels(), strict=True)
    )
    st.html(
        f'<div class="csp-small"><em>{escape(name)}</em>: '
        f"{reworded(count_of(total, 'recording', 'recordings'), info)} in {cells} of "
        f"{evidence.degrees:g}°. {reworded(few, info)}</div>"
        f'<div class="csp-legend csp-small"><span>{reworded(per_cell, info)}</span>{swatches}</div>'
    )
    with st.expander("These cells as a table"):
        ordered = sorted(evidence.cells, key=lambda cell: -cell[2])
        columns = zip(*ordered, strict=True) if ordered else ((), (), ())
        names = ("lon", "lat", reworded("recordings", info))
        st.dataframe(dict(zip(names, map(list, columns), strict=True)), hide_index=True)
