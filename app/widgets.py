"""What views share: styles, wording of numbers, the ranked list, the species picker, exports."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape

import streamlit as st

import maps
from csp_core.catalog import ModelInfo
from csp_core.data.records import ClassTable
from csp_core.infer import LEVEL_MEANING, PlaceReport, RankedTaxon

# Filled and empty marks carry the level for those who do not see its colour.
LEVEL_MARKS = {"good": "●●●", "some": "●●○", "little": "●○○", "none": "○○○"}
SCALES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def is_dark() -> bool:
    """Tell whether the page is shown in its dark theme."""
    return st.context.theme.type == "dark"


def palette() -> maps.Palette:
    """Give the map colours of the theme in use."""
    return maps.DARK if is_dark() else maps.LIGHT


def escape_markdown(text: str) -> str:
    """Keep text from being read as Markdown, Streamlit's own directives included."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$~:&])", r"\\\1", text)


def percent(share: float) -> str:
    """Write a share with one decimal.

    Example:
        >>> percent(0.1234), percent(0.0004)
        ('12.3 %', '<0.1 %')
    """
    return "<0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"


def times(lift: float) -> str:
    """Write how many times as large something is.

    Example:
        >>> times(12.34), times(2.34), times(0.01)
        ('12×', '2.3×', '<0.1×')
    """
    if lift < 0.05:
        return "<0.1×"
    return f"{lift:,.0f}×" if lift >= 9.95 else f"{lift:.1f}×"


def count_of(number: int, one: str, many: str) -> str:
    """Write a number with its noun."""
    return f"{number:,} {one if number == 1 else many}"


def apply_style() -> None:
    """Add the page's few styles: tight list rows, bars, and a map that leaves room on a phone."""
    bar = "#56b4e9" if is_dark() else "#0072b2"
    phone, colours = maps.PHONE_HEIGHT, palette()
    st.html(
        f"""<style>
        .stMainBlockContainer {{padding-top: 4.2rem; padding-bottom: 2rem}}
        h1 {{font-size: 1.9rem !important; padding-bottom: 0 !important}}
        [class*="st-key-row-"] {{padding: 0.15rem 0 0.45rem;
            border-bottom: 1px solid color-mix(in srgb, currentColor 14%, transparent)}}
        [class*="st-key-row-"] button, [class*="st-key-row-"] button * {{text-align: left;
            justify-content: flex-start; white-space: normal}}
        [class*="st-key-row-"] button {{min-height: 1.9rem; padding: 0 0.2rem}}
        .csp-line {{display: flex; align-items: center; gap: 0.7rem; padding-left: 0.2rem}}
        .csp-bar {{flex: 1; height: 0.55rem; border-radius: 0.3rem; overflow: hidden;
            background: color-mix(in srgb, currentColor 12%, transparent)}}
        .csp-bar span {{display: block; height: 100%; background: {bar}}}
        .csp-value {{min-width: 4.2rem; text-align: right; font-weight: 600;
            font-variant-numeric: tabular-nums}}
        .csp-small, [data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p {{
            color: color-mix(in srgb, {colours.text} 80%, transparent) !important; opacity: 1}}
        .csp-small {{font-size: 0.85rem; padding-left: 0.2rem}}
        [data-testid="stExpander"] h1 {{font-size: 1.4rem !important}}
        [data-testid="stExpander"] h2 {{font-size: 1.2rem}}
        [data-testid="stExpander"] h3 {{font-size: 1.05rem}}
        .csp-legend {{display: flex; flex-wrap: wrap; gap: 0.3rem 0.9rem; font-size: 0.85rem}}
        .csp-legend i {{display: inline-block; width: 0.9rem; height: 0.9rem; margin-right: 0.3rem;
            vertical-align: -0.1rem; border: 1px solid color-mix(in srgb, currentColor 50%,
            transparent)}}
        [data-testid="stDeckGlJsonChart"] {{background: {colours.sea}}}
        @media (max-width: 640px) {{
            .stMainBlockContainer {{padding-left: 1rem; padding-right: 1rem}}
            /* Map, list, records: the two columns dissolve into one flow. */
            .st-key-view [data-testid="stColumn"],
            .st-key-view [data-testid="stColumn"] > [data-testid="stVerticalBlock"]
                {{display: contents}}
            .st-key-view [data-testid="stHorizontalBlock"] {{gap: 0.8rem}}
            .st-key-view :has(> .st-key-records-box) {{order: 1; margin-top: 1rem}}
            .st-key-map-box iframe {{height: {phone}px !important}}
            h1 {{font-size: 1.5rem !important}}
            h2 {{font-size: 1.3rem !important}}
            [class*="st-key-row-"] button {{min-height: 2.75rem}}
        }}
        </style>"""
    )


def model_chip(info: ModelInfo) -> None:
    """Name the model in use and what it knows."""
    facts = [f"**{escape_markdown(info.title)}**", f"{info.num_classes:,} species"]
    if info.license:
        facts.append(f"weights: {escape_markdown(info.license)}")
    st.caption("Model: " + " · ".join(facts))


def support_line(report: PlaceReport) -> None:
    """Say in words, with a mark, how much training evidence stands near a place."""
    near = f"{count_of(report.records_within, 'training record', 'training records')} within"
    near += f" {report.radius_km:,.0f} km"
    if report.nearest_km is not None and report.records_within == 0:
        near += f", the nearest about {report.nearest_km:,.0f} km away"
    mark, level = LEVEL_MARKS.get(report.level, ""), escape_markdown(report.level)
    meaning = escape_markdown(LEVEL_MEANING.get(report.level, ""))
    st.markdown(f"{mark} **Support: {level}** – {meaning}; {near}.")


def species_label(classes: ClassTable, taxon: str) -> str:
    """Give a species' common and scientific name."""
    common = classes.common_names[classes.label(taxon)]
    return f"{common} · {taxon}" if common else taxon


def ranked_list(
    report: PlaceReport, *, shown: int, chosen: str | None, on_pick: Callable[[str], None]
) -> None:
    """Draw the ranked species, each with a button that puts its records on the map.

    Where the model extrapolates only the order is shown.

    Args:
        report: What the model says of the place.
        shown: How many species to draw.
        chosen: The species whose records are on the map.
        on_pick: Called with the scientific name that was picked.
    """
    rows = report.results[:shown]
    top = max((row.value for row in rows), default=0.0)
    scale = next((step for step in SCALES if top <= step), 1.0)
    ranked = st.container(gap=None, key="ranked")
    for row in rows:
        with ranked.container(gap=None, key=f"row-{row.rank}"):
            st.button(
                _row_label(row, chosen),
                key=f"pick-{row.rank}",
                type="tertiary",
                width="stretch",
                on_click=on_pick,
                args=(row.taxon,),
            )
            st.html(_row_html(row, report, scale))
    if rows and not report.extrapolates:
        full = percent(scale) if report.kind == "share" else f"{scale:g}"
        st.caption(f"A full bar is {full}.")


def _row_label(row: RankedTaxon, chosen: str | None) -> str:
    names = [f"**{escape_markdown(row.common_name)}**"] if row.common_name else []
    names.append(f"*{escape_markdown(row.taxon)}*")
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


def species_picker(classes: ClassTable, chosen: str | None, on_change: Callable[[], None]) -> None:
    """Draw the box that picks a species by typing; ``st.session_state["species"]`` holds it."""
    st.session_state["species"] = chosen
    st.selectbox(
        "Show the training records of",
        sorted(classes.names, key=lambda taxon: species_label(classes, taxon).casefold()),
        index=None,
        format_func=lambda taxon: species_label(classes, taxon),
        key="species",
        placeholder="Pick a species here or in the list",
        on_change=on_change,
    )


def evidence_legend(evidence: maps.Evidence, name: str) -> None:
    """Explain the cells on the map, and offer them as a table."""
    total = sum(records for _, _, records in evidence.cells)
    cells = count_of(len(evidence.cells), "cell", "cells")
    swatches = "".join(
        f'<span><i style="background:{colour}"></i>{escape(label)}</span>'
        for colour, label in zip(palette().ramp, maps.step_labels(), strict=True)
    )
    st.html(
        f'<div class="csp-small"><em>{escape(name)}</em>: '
        f"{count_of(total, 'training record', 'training records')} in {cells} of "
        f"{evidence.degrees:g}°. No record is not absence.</div>"
        f'<div class="csp-legend csp-small"><span>Records per cell:</span>{swatches}</div>'
    )
    with st.expander("These cells as a table"):
        ordered = sorted(evidence.cells, key=lambda cell: -cell[2])
        columns = zip(*ordered, strict=True) if ordered else ((), (), ())
        names = ("Longitude", "Latitude", "Records")
        st.dataframe(dict(zip(names, map(list, columns), strict=True)), hide_index=True)


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
        writer.writerow([row.rank, row.taxon, row.common_name, *values, row.support])
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
