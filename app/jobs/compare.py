"""Two to six runs beside each other: curves, what differs in their settings, and what came out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import streamlit as st

from csp_core.errors import CspError
from csp_core.files import parse_yaml
from csp_core.runs.directory import RunDir
from csp_core.runs.jobs import Job
from csp_core.runs.reading import is_number
from jobs import charts, listing
from jobs.draft import flow
from jobs.start import settings_text
from shared.words import escape_markdown

MOST = 6
# Numbers of which less is better; of the others more is.
LESS = ("loss", "error", "objective", "ece")
# What differs between any two runs and says nothing.
IDLE = ("name", "card")


def as_part(names: Iterable[str]) -> str:
    """Write names of runs as one part of an address, between commas.

    Example:
        >>> as_part(["one", "a,b", "90%"])
        'one,a%2Cb,90%25'
    """
    return ",".join(name.replace("%", "%25").replace(",", "%2C") for name in names)


def names_of(part: str) -> list[str]:
    """Read the names of runs from a part of an address.

    Example:
        >>> names_of("one,a%2Cb,,90%25")
        ['one', 'a,b', '90%']
    """
    return [unquote(name) for name in part.split(",") if name.strip()]


def draw_comparison(names: list[str]) -> None:
    """Draw the comparison of runs.

    Args:
        names: Of their folders.
    """
    wanted = list(dict.fromkeys(names))[:MOST]
    found = [job for name in wanted if (job := listing.find(name))]
    st.header("Comparison", anchor=False)
    for name in wanted:
        if not listing.find(name):
            st.error(escape_markdown(f"There is no run {name}. It may have been deleted."))
    if len(found) < 2:
        st.info("A comparison needs two runs; tick them in the list.")
        return
    rows = {job.path.name: _last_stage(listing.rows_of(job.path)) for job in found}
    measures = list(dict.fromkeys(k for some in rows.values() for k in charts.measures_of(some)))
    with st.container(horizontal=True):
        axis = charts.pick_axis("train-compare-axis")
        measure = charts.pick_measure(measures, "train-compare-measure")
    smooth = charts.pick_smoothing("train-compare-smooth")
    left, right = st.columns(2)
    with left:
        if smooth:
            smoother = {name: charts.smoothed(some, ("loss",)) for name, some in rows.items()}
            _draw("Loss, training, smoothed", smoother, "loss", axis)
        else:
            _draw("Loss, training", rows, "loss", axis)
    with right:
        if measure:
            _draw(f"Validation: {charts.name_of(measure)}", rows, measure, axis)
    for job in found:
        if said := listing.said_of_cut(job.path):
            st.caption(f"{escape_markdown(job.path.name)}: {said}")
    draw_outcome(found, rows, measure)
    draw_differences(found)


def _last_stage(rows: charts.Rows) -> list[Mapping[str, Any]]:
    stages = charts.stages_of(rows)
    return charts.of_stage(rows, stages[-1]) if stages else []


def _draw(title: str, rows: Mapping[str, charts.Rows], key: str, axis: str) -> None:
    data = [
        point for name, some in rows.items() for point in charts.points(some, (key,), axis, name)
    ]
    charts.draw_chart(title, data, axis, height=320)


def best(rows: charts.Rows, measure: str) -> float | None:
    """Give the best value that a number reached; None if there is none."""
    values = [float(row[measure]) for row in rows if is_number(row.get(measure))]
    if not values:
        return None
    return min(values) if any(word in measure for word in LESS) else max(values)


def draw_outcome(found: list[Job], rows: Mapping[str, charts.Rows], measure: str | None) -> None:
    """Draw the best number and the time of each run."""
    st.markdown("**What came out**")
    table = []
    for job in found:
        name = job.path.name
        value = best(rows[name], measure) if measure else None
        line = {"run": name, "state": listing.STATES.get(job.state, job.state)}
        if measure:
            line[f"best {charts.name_of(measure)}"] = "–" if value is None else f"{value:.4f}"
        line["epochs"] = str(len(rows[name]))
        line["time"] = listing.duration(listing.number(job, "seconds"))
        table.append(line)
    st.dataframe(table, hide_index=True, alt="Best number and time of each run")
    st.caption(
        "The best of all epochs, on validation records that chose the epoch too: it flatters. Two"
        " runs with other data or another split cannot be compared by it. `csp evaluate` measures"
        " finished models on the same test."
    )


def draw_differences(found: list[Job]) -> None:
    """Draw the settings in which runs differ, and no others."""
    st.markdown("**Settings that differ**")
    settings = {job.path.name: settings_of(job) for job in found}
    keys = list(dict.fromkeys(key for some in settings.values() for key in some))
    table = [
        {"setting": key, **{name: some.get(key, "–") for name, some in settings.items()}}
        for key in keys
        if len({some.get(key) for some in settings.values()}) > 1
    ]
    if table:
        st.dataframe(table, hide_index=True, alt="Settings in which the runs differ")
    else:
        st.caption("None: all were trained with the same settings.")


def settings_of(job: Job) -> dict[str, str]:
    """Read a run's settings as keys and values in words; none where they cannot be read."""
    try:
        tree = parse_yaml(settings_text(job), str(RunDir(job.path).config))
    except CspError:
        return {}
    return dict(_flat(tree, "")) if isinstance(tree, dict) else {}


def _flat(tree: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        path = f"{before}{key}"
        if path in IDLE:
            continue
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{path}.")
        else:
            yield path, flow(value)
