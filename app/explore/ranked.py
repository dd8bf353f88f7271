"""The ranked list of a place on the page: in words, with the numbers at a click."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st

from csp_core.data.names import identity
from csp_core.inference import (
    OFTEN,
    RARELY,
    SOMETIMES,
    UNKNOWN,
    PlaceReport,
    RankedTaxon,
    recorded_here,
)
from csp_core.store import ModelInfo
from shared import widgets
from shared.words import count_of, escape_markdown, of_recordings, percent, plural, reworded, times

# How many of three strokes stand before a word.
STROKES = {OFTEN: 3, SOMETIMES: 2, RARELY: 1, UNKNOWN: 0}
# What a full bar may stand for.
SCALES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Row:
    """One line of the list.

    Args:
        number: Its place in the order in use, from 1.
        said: How often the class is recorded here; ``""`` for relative scores and label sets.
        ranked: The class and its numbers.
    """

    number: int
    said: str
    ranked: RankedTaxon


def can_compare(report: PlaceReport) -> bool:
    """Tell whether the classes can be put in order by how much more they are recorded here."""
    return not report.extrapolates and any(row.lift is not None for row in report.results)


def rows_of(report: PlaceReport, *, by_lift: bool, wanted: str) -> list[Row]:
    """Put the classes of a place in order, and keep those that are looked for.

    Args:
        report: What the model says of the place.
        by_lift: Whether those come first that are more recorded here than elsewhere, by the share
            over the class frequency; those of which there is too little to say come last.
        wanted: A part of a scientific or common name; all classes if empty.

    Returns:
        The lines, numbered before any were left out.
    """
    pairs = list(zip(recorded_here(report), report.results, strict=True))
    if by_lift:
        pairs.sort(key=lambda pair: (pair[0] == UNKNOWN, -(pair[1].lift or 0.0)))
    rows = [Row(number, said, row) for number, (said, row) in enumerate(pairs, start=1)]
    sought = identity(wanted)
    return [
        row
        for row in rows
        if sought in identity(row.ranked.taxon) or sought in identity(row.ranked.common_name)
    ]


def ranked_list(
    rows: Sequence[Row],
    report: PlaceReport,
    info: ModelInfo,
    *,
    chosen: str | None,
    on_pick: Callable[[str], None],
    link: Mapping[str, str],
    taxa: bool = True,
    by_lift: bool = False,
) -> None:
    """Draw lines of the list, each with a button that puts its records on the map.

    Where the model extrapolates only the order is shown.

    Args:
        rows: The lines.
        report: What the model says of the place.
        info: The model.
        chosen: The species whose records are on the map.
        on_pick: Called with the scientific name that was picked.
        link: What the address of a range map says beside the species.
        taxa: Whether the names are scientific ones, which stand in italics.
        by_lift: Whether the lines say how many times more is recorded here than elsewhere.
    """
    top = max((row.value for row in report.results), default=0.0)
    scale = next((step for step in SCALES if top <= step), 1.0)
    scale = 1.0 if report.kind == "probability" else scale
    ranked = st.container(gap=None, key="ranked")
    for place, row in enumerate(rows, start=1):
        name = row.ranked.common_name or row.ranked.taxon
        with ranked.container(gap=None, key=f"row-{place}"):
            with st.container(horizontal=True, gap=None, vertical_alignment="center"):
                st.button(
                    _row_label(row, chosen, taxa),
                    key=f"pick-{place}",
                    type="tertiary",
                    width="stretch",
                    on_click=on_pick,
                    args=(row.ranked.taxon,),
                )
                named = escape_markdown(name)
                recorded = reworded("recorded", info)
                where = f"Where {named} is {recorded}, on a map of the world"
                # The styles hide what is slanted from the eye: ears need to know which of ten.
                widgets.range_link(f"Range map *of {named}*", row.ranked.taxon, link, where)
            st.html(_row_html(row, report, info, scale, by_lift=by_lift))
    if rows and not report.extrapolates:
        full = {
            "share": f"a share of {percent(scale)}",
            "probability": "a probability of 100 %",
        }.get(report.kind, f"a score of {scale:g}")
        bar = "" if by_lift else f"A full bar is {full}. "
        st.caption(f"{bar}Open a line for its numbers.")


def _row_label(row: Row, chosen: str | None, taxa: bool) -> str:
    common, taxon = map(escape_markdown, (row.ranked.common_name, row.ranked.taxon))
    names = [f"**{common}**"] if common else []
    if taxa or not common:
        names.append(f"*{taxon}*" if taxa else taxon)
    mark = " – on the map" if row.ranked.taxon == chosen else ""
    return f"{row.number}\\. {' '.join(names)}{mark}"


def _row_html(
    row: Row, report: PlaceReport, info: ModelInfo, scale: float, *, by_lift: bool
) -> str:
    """Give a line's word with its mark and bar, and below it the numbers, folded."""
    ranked = row.ranked
    strokes = "".join(
        f'<i class="{"csp-on" if number < STROKES.get(row.said, 0) else ""}"></i>'
        for number in range(3)
    )
    of_sets = report.kind == "probability"
    if row.said:
        said = reworded(f"recorded here: <b>{row.said}</b>", info)
    elif of_sets:
        said = f"in the label set of a patch here: <b>{percent(ranked.value)}</b>"
    else:
        said = f"score <b>{ranked.value:.2f}</b>"
    if by_lift and ranked.lift is not None and row.said != UNKNOWN:
        said += f" · <b>{times(ranked.lift)}</b> as {'likely' if of_sets else 'much'} as elsewhere"
    bar = ""
    # The bars are of the other order, and the words are longer here.
    if not (report.extrapolates or by_lift):
        width = min(100.0, 100 * ranked.value / scale)
        bar = (
            f'<span class="csp-bar" aria-hidden="true"><span style="width:{width:.1f}%"></span>'
            "</span>"
        )
    return (
        f'<details class="csp-fold"><summary><span class="csp-strokes" aria-hidden="true">{strokes}'
        f"</span><span>{said}</span>{bar}</summary>"
        f'<div class="csp-small">{escape(" ".join(_numbers(row, report, info)))}</div></details>'
    )


def _numbers(row: Row, report: PlaceReport, info: ModelInfo) -> list[str]:
    ranked, radius = row.ranked, f"{report.radius_km:,.0f} km"
    if report.kind == "probability":
        return _numbers_of_set(ranked, radius, extrapolates=report.extrapolates)
    facts = [f"{reworded(_recordings(ranked), info)} of it within {radius}."]
    if ranked.support is None:
        facts = []
    if report.extrapolates:
        return facts
    if report.kind != "share":
        return [f"Score {ranked.value:.2f} of 1: it orders, and is no percentage.", *facts]
    share = (
        f"Share {percent(ranked.value)}: of {reworded('recordings', info)} made here of the"
        f" {plural(info)} of this model, {of_recordings(ranked.value)} would be of it."
    )
    if ranked.lift is not None:
        whole = reworded("its share of all recordings", info)
        facts.insert(0, f"That is {times(ranked.lift)} {whole}.")
    return [share, *facts]


def _recordings(ranked: RankedTaxon) -> str:
    return count_of(ranked.support, "recording", "recordings") if ranked.support else "No recording"


def _numbers_of_set(ranked: RankedTaxon, radius: str, *, extrapolates: bool) -> list[str]:
    near = count_of(ranked.support, "record", "records") if ranked.support else "No record"
    facts = [f"{near} with it in the label set within {radius}."]
    if ranked.support is None:
        facts = []
    if extrapolates:
        return facts
    if ranked.lift is not None:
        facts.insert(0, f"That is {times(ranked.lift)} the part of all label sets that have it.")
    reaches = "reaches" if ranked.in_set else "does not reach"
    return [
        f"Probability {percent(ranked.value)}, by itself: it {reaches} the threshold from which on"
        " it counts as in the set.",
        *facts,
    ]
