"""One run as it goes: state, numbers, curves, the range as it forms, and what it said."""

from __future__ import annotations

from typing import Any

import streamlit as st

from csp_core.errors import CspError
from csp_core.runs import artifacts
from csp_core.runs.causes import remedy
from csp_core.runs.directory import RunDir
from csp_core.runs.jobs import OUTPUT, Job
from csp_core.runs.reading import is_number, read_regular
from jobs import charts, listing
from jobs.control import draw_controls, draw_notices
from jobs.film import draw_film
from jobs.start import settings_text
from shared.words import escape_markdown

TAIL_LINES, MOST_LOG = 50, 1 << 22
WORDS = {
    "interrupted": (
        "Its process is gone without a word: the machine was restarted, or it was ended by force"
        " or for want of memory. Nothing before its last checkpoint is lost; *Resume* goes on."
    ),
    "stopped": "It was asked to stop, and saved. *Resume* goes on as if nothing had happened.",
}


def draw_run(name: str) -> None:
    """Draw the page of one run, anew every two seconds while it lives."""
    job = listing.find(name)
    if job is None:
        st.error(escape_markdown(f"There is no run {name}. It may have been deleted."))
        return
    st.subheader(escape_markdown(name), anchor=False)
    draw_notices()
    alive = listing.is_alive(job)
    st.fragment(draw_state, run_every=listing.POLL if alive else None)(name, alive)
    draw_controls(job)
    st.fragment(draw_curves, run_every=listing.POLL if alive else None)(name)
    st.fragment(draw_film, run_every=2 * listing.POLL if alive else None)(name)
    with st.expander("Log", expanded=job.state == "failed"):
        st.fragment(draw_log, run_every=listing.POLL if alive else None)(name)
    draw_settings(job)


def draw_state(name: str, was_alive: bool) -> None:
    """Draw how a run stands: its state in words, its progress, speed and memory."""
    job = listing.find(name)
    if job is None or listing.is_alive(job) != was_alive:
        st.rerun()  # other buttons, and no more polling
    # What a stopped run says of itself is for the command line.
    said = "" if job.state in WORDS else str(job.status.get("message", ""))
    message = escape_markdown(said)
    st.markdown(f"**{listing.STATES.get(job.state, job.state)}** {message}")
    done = listing.progress(job)
    if done is not None:
        st.progress(done, text=f"{done:.0%} of {listing.number(job, 'total_steps'):,.0f} steps")
    facts = [
        listing.remaining(job),
        f"{listing.duration(listing.number(job, 'seconds'))} of training so far",
        _amount(job, "samples_per_second", "{:,.0f} records a second"),
        listing.amount(memory) + " of memory" if (memory := _memory(job)) else "",
        str(job.status.get("device", "")),
        f"last sign of life {listing.ago(listing.number(job, 'heartbeat'))}",
    ]
    st.caption(escape_markdown(" · ".join(filter(None, facts))))
    draw_trouble(job)


def draw_trouble(job: Job) -> None:
    """Say what went wrong and what helps."""
    if job.state == "failed":
        st.error(escape_markdown(remedy(str(job.status.get("cause", "other")))))
    elif job.state in WORDS:
        st.info(WORDS[job.state])


def _amount(job: Job, key: str, form: str) -> str:
    value = listing.number(job, key)
    return form.format(value) if value else ""


def _memory(job: Job) -> float:
    return listing.number(job, "memory_bytes")


def draw_curves(name: str) -> None:
    """Draw losses, a validation number beside baselines, learning rate and speed."""
    job = listing.find(name)
    rows: list[dict[str, Any]] = listing.rows_of(job) if job else []
    with st.container(horizontal=True, gap="small"):
        stages = charts.stages_of(rows)
        stage = stages[-1] if stages else ""
        if len(stages) > 1:
            chosen = st.selectbox(
                "Stage", stages, len(stages) - 1, key=f"train-stage-{len(stages)}", width=260
            )
            stage = chosen or stage
        axis = st.selectbox(
            "Along", charts.AXES, format_func=charts.AXES.__getitem__, key="train-axis"
        )
        rows = [dict(row) for row in charts.of_stage(rows, stage)]
        measures = charts.measures_of(rows)
        first = charts.first_of(measures)
        measure = st.selectbox(
            "Validation number",
            measures,
            measures.index(first) if first else None,
            format_func=charts.name_of,
            key="train-measure" if measures else "train-measure-none",
            placeholder="none yet",
        )
    left, right = st.columns(2)
    with left:
        charts.draw_chart("Loss", charts.points(rows, ("loss", "val_objective"), axis), axis)
    with right:
        if measure:
            charts.draw_chart(
                f"Validation: {charts.name_of(measure)}",
                charts.points(rows, (measure,), axis),
                axis,
                levels=_levels(job, measure),
            )
        else:
            st.caption("No validation numbers yet.")
    with st.expander("Learning rate, speed and memory"):
        cells = st.columns(3)
        for cell, key in zip(
            cells, ("learning_rate", "samples_per_second", "memory_bytes"), strict=True
        ):
            with cell:
                title = charts.name_of(key).capitalize()
                charts.draw_chart(title, charts.points(rows, (key,), axis), axis, height=160)


def _levels(job: Job | None, measure: str) -> dict[str, float]:
    """Give what simple counting reaches in a number, by the name of the baseline."""
    if job is None:
        return {}
    try:
        found = artifacts.baselines(RunDir(job.path))
    except CspError:
        return {}
    # Counting has no temperature: its log-loss stands beside the calibrated one.
    plain = measure.replace("calibrated_", "")
    same = {name: values.get(measure, values.get(plain)) for name, values in found.items()}
    return {
        name.replace("_", " "): float(value) for name, value in same.items() if is_number(value)
    }


def draw_log(name: str) -> None:
    """Draw the last lines that a run said."""
    job = listing.find(name)
    lines = tail(job) if job else []
    st.code("\n".join(lines) or "nothing yet", language=None)


def tail(job: Job) -> list[str]:
    """Read the last lines of a run's log, and of what its process printed where that has none."""
    for file in (RunDir(job.path).log, job.path / OUTPUT):
        try:
            text = read_regular(file, limit=MOST_LOG).decode("utf-8", "replace")
        except CspError:
            continue
        if text.strip():
            return text.splitlines()[-TAIL_LINES:]
    return []


def draw_settings(job: Job) -> None:
    """Draw a run's settings as a file and as a command."""
    with st.expander("Settings"):
        text = settings_text(job)
        st.download_button(
            "Download as YAML", text, f"{job.path.name}.yaml", "text/yaml", key="train-yaml"
        )
        st.code(text, language="yaml")
        st.caption("On the command line, it resumes with")
        st.code(f"csp resume {job.path}", language="bash")
