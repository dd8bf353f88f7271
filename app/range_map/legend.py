"""What the colours, the hatching and the line of a range map mean."""

from __future__ import annotations

from html import escape

import streamlit as st

from csp_core.store import ModelInfo
from mapping.values import TITLES, Scale, legend_steps
from shared import style
from shared.words import reworded


def legend(
    scale: Scale,
    *,
    line: str,
    hatched: bool,
    guesses: bool,
    ends: tuple[str, str] | None,
    dots: bool,
    counted: bool,
    info: ModelInfo,
) -> None:
    """Explain the colours, the hatching and the line.

    Args:
        scale: The colour steps.
        line: What the line surrounds, or ``""`` where there is none.
        hatched: Whether some of the map is hatched.
        guesses: Whether the hatched area is coloured too.
        ends: What the lower and the upper end of a difference mean, or None.
        dots: Whether dots stand where the species was recorded.
        counted: Whether it is known where there are recordings.
        info: The model, in whose words recordings are spoken of.
    """
    palette = style.palette()
    boxes = "".join(
        f'<i style="background:{colour}" title="{escape(words)}"></i>'
        for colour, words in legend_steps(scale)
    )
    steps = len(scale.colours)
    labels = "".join(
        f'<span style="left:{100 * i / steps:.2f}%">{escape(label)}</span>'
        for i, label in enumerate(scale.labels())
    )
    unit = f", {scale.unit}" if scale.unit and ends is None else ""
    words = ""
    if ends:
        words = f"<div class='csp-ends'><span>← {escape(ends[0])}</span>"
        words += f"<span>{escape(ends[1])} →</span></div>"
    dot = f"background:{palette.text};border:0;border-radius:50%;width:7px;height:7px"
    keys = [f'<span><i style="{dot}"></i>recorded here</span>'] if dots else []
    quiet = f"background:{palette.looked}"
    keys.append(f'<span><i style="{quiet}"></i>{_quiet(scale, ends is not None, counted)}</span>')
    if hatched:
        ink = palette.text if guesses else palette.hatch
        what = "too little to learn from" if info.introduction.record else "nobody looked enough"
        what = "a guess" if guesses else what
        stripes = f"repeating-linear-gradient(135deg,{ink} 0 1px,transparent 1px 5px)"
        keys.append(
            f'<span><i style="background:{stripes}"></i>{what}: fewer than 10 recordings of'
            f" anything within 250 km{'' if guesses else '; colours fade towards it'}</span>"
        )
    if line:
        ring = f"background:transparent;border:2px solid {palette.line}"
        keys.append(f'<span><i style="{ring}"></i>{escape(line)}</span>')
    title = reworded(scale.title, info)
    st.html(
        f'<div class="csp-scale" role="img" aria-label="{escape(_spoken(scale, title))}">'
        f"<div>{escape(title)}{unit}</div>"
        f'<div class="csp-steps">{boxes}</div><div class="csp-ticks">{labels}</div>{words}</div>'
        f'<div class="csp-legend csp-small">{reworded("".join(keys), info)}</div>'
    )


def _quiet(scale: Scale, difference: bool, counted: bool) -> str:
    if difference:
        least = next(edge for edge in scale.edges if edge > 0)
        size = f"{100 * least:g} points" if scale.unit else f"{least:g}"
        return f"differ by less than {size}"
    first = f"{scale.labels()[1]} {scale.unit}".strip()
    if scale.title == TITLES["probability"]:  # that a class is rare is no matter of who looked
        return f"hardly likely: below {first}"
    return f"{'looked, and hardly or never recorded: ' if counted else ''}below {first}"


def _spoken(scale: Scale, title: str) -> str:
    labels = scale.labels()
    return f"Colour scale: {title}, from {labels[0]} to {labels[-1]} {scale.unit}".strip()
