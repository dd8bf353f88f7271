"""The list of a place as files that say themselves what they hold."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from csp_core.files import spreadsheet_cell
from csp_core.inference import PlaceReport, recorded_here
from csp_core.store import ModelInfo
from shared.words import explain, value_meaning

CSV_HELP = "Names that a spreadsheet would take for a formula have an apostrophe before them."
UNITS = {
    "share": "part of the recordings made here of the classes of this model, 0 to 1",
    "relative": "relative score, 0 to 1; no percentage",
    "probability": "probability that the class is in the label set of a patch here, 0 to 1",
}


def downloads(report: PlaceReport, info: ModelInfo, place: str, link: str) -> None:
    """Offer the whole list as CSV and JSON, and the address of this view.

    Args:
        report: The report.
        info: The model.
        place: What the place is called.
        link: Address of the view.
    """
    stem = f"{info.name}_{report.lat:g}_{report.lon:g}"
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Download CSV",
            lambda: to_csv(report, info, place, link),
            f"{stem}.csv",
            "text/csv",
            on_click="ignore",
            help=CSV_HELP,
        )
        st.download_button(
            "Download JSON",
            lambda: to_json(report, info, place, link),
            f"{stem}.json",
            "application/json",
            on_click="ignore",
        )
        with st.popover("Link to this view"):
            st.code(link, language=None, wrap_lines=True)


def value_column(report: PlaceReport) -> str:
    """Name the column of the values, which bears the same name in every file of the app."""
    return report.kind if report.kind in ("share", "probability") else "relative_score"


def to_csv(report: PlaceReport, info: ModelInfo, place: str, link: str) -> str:
    """Write a place's list as CSV, each line with all that it takes to understand it alone.

    Args:
        report: The report; where the model extrapolates the columns of its numbers stay empty.
        info: The model.
        place: What the place is called.
        link: Address of the view.

    Returns:
        The file's text.
    """
    near = f"records_within_{report.radius_km:g}_km"
    about: dict[str, Any] = {
        "place": place,
        "lon": report.lon,
        "lat": report.lat,
        "model": info.name,
        "license": info.license,
        "unit": UNITS[report.kind],
        "link": link,
    }
    of_sets = report.kind == "probability"
    says = "in_set" if of_sets else "recorded_here"
    heads = ("rank", "taxon", "common_name", says, value_column(report), "lift", near)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*heads, *about])
    for said, row in zip(recorded_here(report), report.results, strict=True):
        numbers = ["", ""] if report.extrapolates else [row.value, row.lift]
        if of_sets:
            said = "" if report.extrapolates else "yes" if row.in_set else "no"
        counted = "" if row.support is None else row.support
        cells = [row.rank, row.taxon, row.common_name, said, *numbers, counted]
        writer.writerow([spreadsheet_cell(cell) for cell in [*cells, *about.values()]])
    return stream.getvalue()


def to_json(report: PlaceReport, info: ModelInfo, place: str, link: str) -> str:
    """Write a report as JSON, as ``csp predict --json`` does, with what its fields mean.

    Args:
        report: The report.
        info: The model.
        place: What the place is called.
        link: Address of the view.

    Returns:
        The file's text.
    """
    content = report.to_dict()
    of_sets = report.kind == "probability"
    if not of_sets:
        results = zip(content["results"], recorded_here(report), strict=True)
        content["results"] = [row | {"recorded_here": said} for row, said in results]
    if report.extrapolates:
        unsaid = {"value": None, "lift": None, **({"in_set": None} if of_sets else {})}
        content["results"] = [row | unsaid for row in content["results"]]
        if of_sets:
            content["set"] = None
    content["place"] = place
    content["unit"] = UNITS[report.kind]
    content["fields"] = {
        "value": value_meaning(info, report.kind),
        **(
            {"in_set": explain("label set", info), "lift": explain("more likely here", info)}
            if of_sets
            else {
                "recorded_here": explain("often, sometimes, rarely", info),
                "lift": explain("more here than elsewhere", info),
            }
        ),
        "support": f"Recordings of it within {report.radius_km:g} km.",
    }
    content["license"] = info.license
    content["link"] = link
    content["made"] = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
