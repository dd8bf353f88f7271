"""The ranked list of a place, on the page and as files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape

import streamlit as st

from csp_core.files import spreadsheet_cell
from csp_core.inference import PlaceReport, RankedTaxon
from csp_core.store import ModelInfo
from shared import widgets
from shared.words import count_of, escape_markdown, percent, times

CSV_HELP = "Names that a spreadsheet would take for a formula have an apostrophe before them."
# What a full bar may stand for.
SCALES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def ranked_list(
    report: PlaceReport,
    *,
    shown: int,
    chosen: str | None,
    on_pick: Callable[[str], None],
    link: Mapping[str, str],
    taxa: bool = True,
) -> None:
    """Draw the ranked species, each with a button that puts its records on the map.

    Where the model extrapolates only the order is shown.

    Args:
        report: What the model says of the place.
        shown: How many species to draw.
        chosen: The species whose records are on the map.
        on_pick: Called with the scientific name that was picked.
        link: What the address of a range map says beside the species.
        taxa: Whether the names are scientific ones, which stand in italics.
    """
    rows = report.results[:shown]
    top = max((row.value for row in rows), default=0.0)
    scale = next((step for step in SCALES if top <= step), 1.0)
    ranked = st.container(gap=None, key="ranked")
    for row in rows:
        with ranked.container(gap=None, key=f"row-{row.rank}"):
            with st.container(horizontal=True, gap=None, vertical_alignment="center"):
                st.button(
                    _row_label(row, chosen, taxa),
                    key=f"pick-{row.rank}",
                    type="tertiary",
                    width="stretch",
                    on_click=on_pick,
                    args=(row.taxon,),
                )
                widgets.range_link("Range map", row.taxon, link)
            st.html(_row_html(row, report, scale))
    if rows and not report.extrapolates:
        full = percent(scale) if report.kind == "share" else f"{scale:g}"
        st.caption(f"A full bar is {full}.")


def _row_label(row: RankedTaxon, chosen: str | None, taxa: bool) -> str:
    names = [f"**{escape_markdown(row.common_name)}**"] if row.common_name else []
    name = escape_markdown(row.taxon)
    names.append(f"*{name}*" if taxa else name)
    mark = " – on the map" if row.taxon == chosen else ""
    return f"{row.rank}\\. {' '.join(names)}{mark}"


def _row_html(row: RankedTaxon, report: PlaceReport, scale: float) -> str:
    radius = f"{report.radius_km:,.0f} km"
    records = (
        f"{count_of(row.support, 'training record', 'training records')} within {radius}"
        if row.support
        else f"no training record within {radius}"
    )
    if report.extrapolates:
        return f'<div class="csp-small">{records}</div>'
    value = percent(row.value) if report.kind == "share" else f"{row.value:.2f}"
    facts = [f"{times(row.lift)} its overall share"] if row.lift is not None else []
    width = min(100.0, 100 * row.value / scale)
    return (
        f'<div class="csp-line"><div class="csp-bar" aria-hidden="true">'
        f'<span style="width:{width:.1f}%"></span></div>'
        f'<div class="csp-value">{escape(value)}</div></div>'
        f'<div class="csp-small">{escape(" · ".join([*facts, records]))}</div>'
    )


def downloads(report: PlaceReport, info: ModelInfo, link: str) -> None:
    """Offer the whole list as CSV and JSON, and the address of this view."""
    stem = f"{info.name}_{report.lat:g}_{report.lon:g}"
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Download CSV",
            lambda: to_csv(report.results, numbers=not report.extrapolates),
            f"{stem}.csv",
            "text/csv",
            on_click="ignore",
            help=CSV_HELP,
        )
        st.download_button(
            "Download JSON",
            lambda: to_json(report, info, link),
            f"{stem}.json",
            "application/json",
            on_click="ignore",
        )
        with st.popover("Link to this view"):
            st.code(link, language=None, wrap_lines=True)


def to_csv(results: Sequence[RankedTaxon], *, numbers: bool) -> str:
    """Write a ranked list as CSV.

    Args:
        results: The list.
        numbers: Whether the values may be read as numbers; otherwise their columns stay empty.

    Returns:
        The file's text.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["rank", "taxon", "common_name", "value", "lift", "support"])
    for row in results:
        values = [row.value, row.lift] if numbers else ["", ""]
        names = map(spreadsheet_cell, (row.taxon, row.common_name))
        writer.writerow([row.rank, *names, *values, row.support])
    return stream.getvalue()


def to_json(report: PlaceReport, info: ModelInfo, link: str) -> str:
    """Write a report as JSON, with where it comes from.

    Args:
        report: The report.
        info: The model.
        link: Address of the view.

    Returns:
        The file's text.
    """
    content = report.to_dict()
    if report.extrapolates:
        content["results"] = [row | {"value": None, "lift": None} for row in content["results"]]
    content["license"] = info.license
    content["link"] = link
    content["made"] = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
