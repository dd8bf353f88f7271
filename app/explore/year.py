"""One species at one place through the year: a bar a week, and in words when most."""

from __future__ import annotations

from html import escape

import streamlit as st

from csp_core.errors import CspError
from csp_core.inference.weeks import WEEKS, through_the_year
from csp_core.model import DualEncoder
from explore.address import View
from shared.months import MONTHS, month_of, week_name
from shared.words import escape_markdown, percent, species_label


def year_strip(model: DualEncoder, view: View) -> None:
    """Draw what a model says of the chosen species at the place, week by week.

    Args:
        model: A model that uses the date.
        view: What the page shows; it has a species.
    """
    if view.taxon is None:
        return
    try:
        values = through_the_year(model, *view.place, view.taxon)
    except CspError as error:
        st.error(escape_markdown(str(error)))
        return
    name = species_label(model.classes, view.taxon)
    said = in_words(values, model.prior_kind)
    st.html(strip(values, name, said, _marked(view)))


def in_words(values: tuple[float, ...], kind: str) -> str:
    """Say when a species is found most and least.

    Args:
        values: One a week.
        kind: ``share``, ``relative`` or ``probability``.

    Returns:
        One sentence.
    """
    most, least = max(values), min(values)
    if most <= 0:
        return "Nothing is expected in any week."
    high, low = (week_name(values.index(value) + 1) for value in (most, least))
    if most - least <= 0.05 * most:
        return f"About alike all the year: {_number(most, kind)}."
    return (
        f"Highest in the {high} ({_number(most, kind)}), lowest in the {low}"
        f" ({_number(least, kind)})."
    )


def strip(values: tuple[float, ...], name: str, said: str, marked: frozenset[int]) -> str:
    """Write the strip as HTML: bars as high as their part of the highest.

    Args:
        values: One a week.
        name: Of the species.
        said: In words.
        marked: Weeks, from 1, that the list is of.

    Returns:
        The HTML.
    """
    top = max(*values, 1e-12)
    bars = "".join(
        f"<span{' class=csp-now' if week in marked else ''}"
        f' style="height:{100 * value / top:.0f}%"></span>'
        for week, value in enumerate(values, start=1)
    )
    names = "".join(f"<span>{month[0]}</span>" for month in MONTHS)
    told = escape(f"{name} here, week by week. {said}")
    return (
        f'<div class="csp-small"><strong>{escape(name)}</strong> here, week by week</div>'
        f'<div class="csp-year" role="img" aria-label="{told}">{bars}</div>'
        f'<div class="csp-year-months" aria-hidden="true">{names}</div>'
        f'<div class="csp-small">{escape(said)}</div>'
    )


def _marked(view: View) -> frozenset[int]:
    if view.week:
        return frozenset({view.week})
    weeks = range(1, WEEKS + 1)
    return frozenset(week for week in weeks if view.month and month_of(week) == view.month)


def _number(value: float, kind: str) -> str:
    return f"score {value:.2f}" if kind == "relative" else percent(value)
