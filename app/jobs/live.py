"""One run as it goes: state, numbers, curves, the range as it forms, and what it said."""

from __future__ import annotations

import shlex

import streamlit as st

from csp_core.errors import CspError
from csp_core.files import harmless
from csp_core.runs import artifacts
from csp_core.runs.causes import remedy
from csp_core.runs.directory import RunDir
from csp_core.runs.jobs import OUTPUT, Job
from csp_core.runs.reading import is_number, read_tail
from jobs import charts, listing
from jobs.control import RESUMABLE, draw_controls, draw_notices
from jobs.film import draw_film
from jobs.start import settings_text
from shared.glossary import GLOSSARY
from shared.words import escape_markdown

TAIL_LINES = 50
LOSSES = ("loss", "val_objective")
WORDS = {
    "interrupted": (
        "Its process is gone without a word of its own; the last lines of its log stand below."
        " Nothing before its last checkpoint is lost; *Resume* goes on."
    ),
    "stopped": "It was asked to stop, and saved. *Resume* goes on as if nothing had happened.",
}


def draw_run(name: str) -> None:
    """Draw the page of one run, anew every few seconds while it lives."""
    job = listing.find(name)
    if job is None:
        st.error(escape_markdown(f"There is no run {name}. It may have been deleted."))
        return
    st.header(escape_markdown(name), anchor=False)
    draw_notices()
    draw_controls(job)
    pace = listing.pace([job])
    # All that changes is one fragment: the server runs each for itself.
    st.fragment(draw_live, run_every=pace)(name, pace)
    draw_settings(job)


def draw_live(name: str, pace: float | None) -> None:
    """Draw all of a run that changes while it lives.

    Args:
        name: Of its folder.
        pace: Seconds until it is drawn anew; None if it does not live.
    """
    job = listing.find(name)
    if job is None or listing.pace([job], pace) != pace:
        st.rerun()  # other buttons, and polling at another pace or none
    draw_state(job)
    draw_curves(job)
    draw_film(job, pace)
    draw_log(job)


def draw_state(job: Job) -> None:
    """Draw how a run stands: its state in words, its progress, speed and memory."""
    # What a stopped run says of itself is for the command line.
    said = "" if job.state == "stopped" else str(job.status.get("message", ""))
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


def draw_curves(job: Job) -> None:
    """Draw losses, a validation number beside baselines, learning rate and speed."""
    rows: charts.Rows = listing.rows_of(job.path)
    with st.container(horizontal=True, gap="small"):
        stages = charts.stages_of(rows)
        stage = stages[-1] if stages else ""
        if len(stages) > 1:
            chosen = st.selectbox(
                "Stage", stages, len(stages) - 1, key=f"train-stage-{len(stages)}", width=260
            )
            stage = chosen or stage
        axis = charts.pick_axis("train-axis")
        rows = charts.of_stage(rows, stage)
        measure = charts.pick_measure(charts.measures_of(rows), "train-measure")
    smooth = charts.pick_smoothing("train-smooth")
    left, right = st.columns(2)
    with left:
        shown = charts.smoothed(rows, LOSSES) if smooth else rows
        title = "Loss, smoothed" if smooth else "Loss"
        charts.draw_chart(title, charts.points(shown, LOSSES, axis), axis)
    with right:
        if measure:
            charts.draw_chart(
                f"Validation: {charts.name_of(measure)}",
                charts.points(rows, (measure,), axis),
                axis,
                levels=_levels(job, measure),
            )
            if measure.startswith("val_miou"):
                st.caption(GLOSSARY["overlap"])
        else:
            st.caption("No validation numbers yet.")
    draw_kept(rows, axis)
    if said := listing.said_of_cut(job.path):
        st.caption(said)
    draw_machine(rows, axis)


def draw_kept(rows: charts.Rows, axis: str) -> None:
    """Draw how many labels count of those that a run gives to pictures without one."""
    if any("kept" in row for row in rows):
        title = charts.name_of("kept").capitalize()
        charts.draw_chart(title, charts.points(rows, ("kept",), axis), axis, height=160)
        st.caption(GLOSSARY["labels given that count"])


def draw_machine(rows: charts.Rows, axis: str) -> None:
    """Draw learning rate, speed and memory, if they are asked for."""
    box = st.expander("Learning rate, speed and memory", key="train-machine", on_change="rerun")
    if not box.open:
        return
    keys = ("learning_rate", "samples_per_second", "memory_bytes")
    for cell, key in zip(box.columns(3), keys, strict=True):
        with cell:
            title = charts.name_of(key).capitalize()
            charts.draw_chart(title, charts.points(rows, (key,), axis), axis, height=160)


def _levels(job: Job, measure: str) -> dict[str, float]:
    """Give what simple counting reaches in a number, by the name of the baseline."""
    found = artifacts.baselines(RunDir(job.path))
    # Counting has no temperature: its log-loss stands beside the calibrated one.
    plain = measure.replace("calibrated_", "")
    same = {name: values.get(measure, values.get(plain)) for name, values in found.items()}
    return {
        name.replace("_", " "): float(value) for name, value in same.items() if is_number(value)
    }


def draw_log(job: Job) -> None:
    """Draw the last lines that a run said, if they are asked for; at once where it went wrong."""
    wrong = job.state in ("failed", "interrupted")
    key = f"train-log-{'failed' if wrong else 'asked'}"
    box = st.expander("Log", wrong, key=key, on_change="rerun")
    if box.open:
        box.code("\n".join(tail(job)) or "nothing yet", language=None)


def tail(job: Job) -> list[str]:
    """Read the last lines of a run's log, and of what its process printed where that has none."""
    for file in (RunDir(job.path).log, job.path / OUTPUT):
        try:
            text = read_tail(file)
        except CspError:
            continue
        if text.strip():
            return harmless(text).splitlines()[-TAIL_LINES:]
    return []


def draw_settings(job: Job) -> None:
    """Draw a run's settings as a file and as a command."""
    with st.expander("Settings"):
        text = settings_text(job)
        st.download_button(
            "Download as YAML", text, f"{job.path.name}.yaml", "text/yaml", key="train-yaml"
        )
        st.code(text, language="yaml")
        if job.state in RESUMABLE:
            st.caption("On the command line, it resumes with")
            st.code(shlex.join(["csp", "resume", str(job.path)]), language="bash")
