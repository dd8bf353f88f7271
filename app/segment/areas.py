"""How much of the scene each class covers, with how sure that is, and what the colours mean."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from csp_core.inference.segment import INTERVAL_MEANING, LEAST, ClassArea
from csp_core.raster.scenes import SeenScene
from segment.answer import Answer
from segment.colours import class_colours
from segment.pixels import INK, PAPER
from shared.words import percent

# Above so many hectares areas are written in square kilometres.
MOST_HECTARES = 1000
STRIPES = f"repeating-linear-gradient(135deg,rgb{INK} 0 2px,rgb{PAPER} 2px 4px,#88888888 4px 8px)"


def order_of(areas: Sequence[ClassArea]) -> list[int]:
    """Give the numbers of the classes, the one that covers most first."""
    return sorted(range(len(areas)), key=lambda number: (-areas[number].counted, number))


def unit_of(seen: SeenScene) -> tuple[str, float]:
    """Choose the unit of the areas of a scene.

    Args:
        seen: What the model says.

    Returns:
        Its sign, and how many square metres, or pixels of a scene without a place, it has.
    """
    if not seen.report.placed:
        return "pixels", 1.0
    total = sum(area.counted for area in seen.report.areas)
    return ("ha", 1e4) if total < MOST_HECTARES * 1e4 else ("km²", 1e6)


def number(value: float) -> str:
    """Write a number with three digits, or whole where it is larger.

    Example:
        >>> number(1234.5), number(12.345), number(0.01234), number(0)
        ('1,234', '12.3', '0.01', '0')
    """
    if value >= 100:
        return f"{value:,.0f}"
    digits = 1 if value >= 10 else 2
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")


def legend(answer: Answer) -> None:
    """Explain the colours and the hatching of the classes."""
    seen = answer.seen
    colours = class_colours(seen.names)
    keys = [
        f'<span><i style="background:{colours[one]}"></i>{escape(seen.names[one])}</span>'
        for one in order_of(seen.report.areas)
    ]
    keys.append(
        f'<span><i style="background:{STRIPES}"></i>doubtful: no class reaches {LEAST:.0%}</span>'
    )
    st.html(f'<div class="csp-legend">{"".join(keys)}</div>')


def summary(answer: Answer) -> str:
    """Say in a sentence what covers most of the scene, and how much of it is doubtful.

    Args:
        answer: What the model says.

    Returns:
        Plain text.
    """
    seen = answer.seen
    first = [one for one in order_of(seen.report.areas) if seen.report.areas[one].pixels][:2]
    empty, doubtful = seen.report.no_data, seen.report.doubtful
    parts = [f"{percent(seen.report.areas[one].share)} {seen.names[one]}" for one in first]
    if not parts:
        return "No pixel of it has data, so nothing can be said of it."
    said = f"Most of it is {' and '.join(parts)}."
    if empty > 0.0005:
        said += f" {percent(empty)} of the picture has no data."
    return f"{said} {percent(doubtful)} is doubtful."


def table(answer: Answer) -> None:
    """Draw the areas as a table."""
    seen = answer.seen
    unit, size = unit_of(seen)
    colours = class_colours(seen.names)
    rows = []
    for one in order_of(seen.report.areas):
        area = seen.report.areas[one]
        counted, expected, low, high, doubtful = (
            number(value / size)
            for value in (area.counted, area.expected, area.low, area.high, area.doubtful)
        )
        rows.append(
            f'<tr><td><i style="background:{colours[one]}"></i>{escape(seen.names[one])}</td>'
            f"<td>{counted}</td><td>{percent(area.share)}</td><td>{expected}</td>"
            f"<td><span>{low} to {high}</span></td><td>{doubtful}</td></tr>"
        )
    heads = "".join(
        f"<th scope='col'>{head}</th>"
        for head in (
            "Class",
            f"On the map, {unit}",
            "Share",
            f"Expected, {unit}",
            f"9 times in 10, {unit}",
            f"Doubtful, {unit}",
        )
    )
    st.html(
        f'<div class="csp-facts csp-areas" tabindex="0" role="region" aria-label="Areas of the'
        f' classes"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
        "</div>"
    )
    grid = answer.chosen.layout
    facts = answer.chosen.scene.facts
    said = f"{facts.width:,} × {facts.height:,} pixels"
    if grid is not None:
        said += f" of {number(grid.metres)} m, measured on the ellipsoid"
    st.caption(f"{said}. {INTERVAL_MEANING}")
