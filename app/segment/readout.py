"""One pixel of the scene: how probable each class is there, and what in the scene is like it."""

from __future__ import annotations

from functools import partial
from html import escape

import streamlit as st

from csp_core import gazetteer
from csp_core.inference.segment import LEAST
from segment import drawing
from segment.answer import Answer
from segment.colours import class_colours
from shared import widgets
from shared.words import percent


def boxes(answer: Answer, asked: tuple[int, int] | None) -> None:
    """Draw the boxes for row and column, a second way beside the click.

    Args:
        answer: What the model says.
        asked: Row and column of the chosen pixel, or None.
    """
    facts = answer.chosen.scene.facts
    ends = (("Row", "row", facts.height, 0), ("Column", "column", facts.width, 1))
    with st.container(horizontal=True, gap="small"):
        for label, name, length, part in ends:
            st.session_state[f"segment-{name}"] = None if asked is None else asked[part]
            st.number_input(
                f"{label}, 0 to {length - 1}",
                *(0, length - 1),
                value=None,
                step=1,
                key=f"segment-{name}",
                on_change=partial(drawing.on_boxes, answer.chosen),
                width=150,
            )


def draw(answer: Answer, asked: tuple[int, int] | None, clicked: bool) -> None:
    """Draw what the model says of the chosen pixel.

    Args:
        answer: What the model says.
        asked: Its row and column, or None.
        clicked: Whether a place is chosen, which may lie beside the scene.
    """
    st.header("At a pixel", anchor=False)
    boxes(answer, asked)
    if asked is None:
        on_map = answer.chosen.layout is not None
        if clicked:
            st.markdown("The place that was chosen lies beside the scene. Click into it.")
        else:
            ways = "Click the scene, or give a row and a column," if on_map else "Give a pixel"
            st.markdown(f"{ways} to see how probable each class is there.")
        return
    ranked = answer.seen.at(*asked)
    if not ranked:
        st.markdown("There is no data at this pixel.")
        return
    _bars(answer, ranked)
    first, share = ranked[0]
    name = answer.seen.names[first]
    where = _where(answer, asked)
    if answer.seen.is_doubtful(*asked):
        st.warning(f"Doubtful: no class reaches {LEAST:.0%} here.")
    widgets.live(f"{where}: {name}, {percent(share)}.")
    st.caption(f"{where}. The probabilities sum to 100 %.")


def _bars(answer: Answer, ranked: list[tuple[int, float]]) -> None:
    colours = class_colours(answer.seen.names)
    lines = "".join(
        f'<div class="csp-line"><span class="csp-of"><i style="background:{colours[one]}"></i>'
        f"{escape(answer.seen.names[one])}</span>"
        f'<div class="csp-bar"><span style="width:{100 * share:.1f}%"></span></div>'
        f'<span class="csp-value">{percent(share)}</span></div>'
        for one, share in ranked
    )
    st.html(f'<div class="csp-probabilities">{lines}</div>')


def _where(answer: Answer, asked: tuple[int, int]) -> str:
    row, column = asked
    said = f"Row {row}, column {column}"
    if answer.chosen.layout is None:
        return said
    return f"{said}, {gazetteer.format_coordinates(*answer.chosen.layout.place(row, column))}"


def spots(answer: Answer, asked: tuple[int, int] | None) -> list[tuple[int, int]]:
    """Give the places of the scene that the model sees as most like the chosen one.

    Args:
        answer: What the model says.
        asked: Row and column of the chosen one, or None.

    Returns:
        Rows and columns, the most alike first.
    """
    if asked is None or answer.problem:
        return []
    return [(one.row, one.column) for one in answer.learned.like(*asked)]


def alike(answer: Answer, found: list[tuple[int, int]]) -> None:
    """Say which places are like the chosen one, in words.

    Args:
        answer: What the model says.
        found: As ``spots`` gives them.
    """
    if not found:
        return
    st.subheader("What looks like it", anchor=False)
    names = answer.seen.names
    lines = []
    for row, column in found:
        ranked = answer.seen.at(row, column)
        what = escape(names[ranked[0][0]]) if ranked else "no data"
        lines.append(f"<li>row {row}, column {column}: {what}</li>")
    st.html(f'<ol class="csp-quality">{"".join(lines)}</ol>')
    st.caption(
        "The numbers stand on the map. These parts of the scene the model sees as most like the"
        " chosen one, whatever class it gives them."
    )
