"""The sidebar of every page: start a run in three choices, and see what is under way."""

from __future__ import annotations

import copy
import re
import time

import streamlit as st

from csp_core.config.presets import preset, presets_of
from csp_core.data import DATASETS
from csp_core.errors import CspError
from csp_core.files import parse_yaml
from csp_core.runs.jobs import Job
from jobs import listing
from jobs.draft import DEFAULT_SET, first_preset, flow
from jobs.sparks import losses, spark
from jobs.start import launch
from shared import style
from shared.widgets import TRAIN_PAGE
from shared.words import escape_markdown

# Data sets that are drawn on the spot.
WITHOUT_FILES = ("demo", "phenology")
# What the numbers in masks of tiles mean, which no preset can know: by option, with its label.
MASKS = {"classes": "Classes: number in the masks, name", "ignored": "Numbers that are no class"}
# Where nothing is given, the folder's own table tells.
FROM_TABLE = "as classes.csv says"
SHOWN = 5
# The same settings asked for twice within this many seconds are one press too many.
TWICE = 5.0
STARTED, PROBLEM, LAST = "jobs-started", "jobs-problem", "jobs-last"


def draw_sidebar() -> None:
    """Draw the launcher and the runs under way; nothing where training is not allowed."""
    if not listing.allowed():
        return
    with st.sidebar:
        draw_launcher()
        pace = listing.pace(listing.jobs())
        # Half as often as a page that shows more: it stands beside each.
        st.fragment(draw_under_way, run_every=2 * pace if pace else None)(pace)


def draw_launcher() -> None:
    """Draw the few boxes that a first run needs."""
    st.markdown("#### Train a model")
    data_set = st.selectbox("Data set", DATASETS, list(DATASETS).index(DEFAULT_SET), key="jobs-set")
    presets = presets_of(data_set)
    name = st.selectbox(
        "Preset",
        presets,
        list(presets).index(first_preset(data_set)),
        key="jobs-preset",
        help="\n".join(f"- **{key}**: {value}" for key, value in presets.items()),
    )
    if data_set not in WITHOUT_FILES:
        st.text_input("Folder or file of the data", key="jobs-root", placeholder="path")
    for option in MASKS if data_set == "tiles" else ():
        given = preset(data_set, name)["data"].get(option)
        usual = "" if given is None else flow(given)
        # Of each preset a box of its own, as a box keeps what stands in it.
        key = f"jobs-{option}" if usual else f"jobs-{option}-table"
        st.text_input(MASKS[option], usual, key=key, placeholder=FROM_TABLE)
    st.text_input("Name", key="jobs-name", placeholder=f"{data_set}-{name}")
    st.button("Train", key="jobs-train", type="primary", width="stretch", on_click=_train)
    st.page_link(TRAIN_PAGE, label="More settings", query_params={"new": "1"})
    if problem := st.session_state.get(PROBLEM):
        st.error(escape_markdown(problem))


def _train() -> None:
    """Start a run from the sidebar's boxes."""
    state = st.session_state
    state.pop(PROBLEM, None)
    data_set, name = state["jobs-set"], state["jobs-preset"]
    tree = preset(data_set, name)
    try:
        for option in MASKS if data_set == "tiles" else ():
            key = f"jobs-{option}" if option in tree["data"] else f"jobs-{option}-table"
            if given := state[key].strip():
                tree["data"][option] = parse_yaml(given, MASKS[option])
            else:
                tree["data"].pop(option, None)
    except CspError as error:
        state[PROBLEM] = str(error)
        return
    if given := state.get("jobs-name", "").strip():
        tree["name"] = re.sub(r"\s+", "-", given)
    if data_set not in WITHOUT_FILES:
        tree["data"] = {**tree["data"], "root": state.get("jobs-root", "").strip() or None}
    start_once(tree)


def start_once(tree: dict[str, object]) -> Job | None:
    """Start a run, unless the same one was started a moment ago.

    Args:
        tree: Sections of plain values.

    Returns:
        The job, or None where none was started; why is kept for the sidebar.
    """
    state, now = st.session_state, time.monotonic()
    before, moment = state.get(LAST, (None, 0.0))
    if before == tree and now - moment < TWICE:
        return None
    # A copy, as the form goes on changing its own.
    state[LAST] = copy.deepcopy(tree), now
    state.pop(STARTED, None)
    try:
        job = launch(tree)
    except CspError as error:
        state.pop(LAST, None)
        state[PROBLEM] = str(error)
        return None
    state.pop(PROBLEM, None)
    state[STARTED] = job.path.name
    return job


def draw_under_way(pace: float | None) -> None:
    """Draw the runs that live, each a link; polled only while there are any.

    Args:
        pace: Seconds that this was to be drawn anew by.
    """
    started = st.session_state.get(STARTED)
    # The one that was started here stays in sight when it ends, so that its end is not missed.
    shown = [job for job in listing.jobs() if listing.is_alive(job) or job.path.name == started]
    if pace and listing.pace(shown, pace) != pace:
        st.rerun()  # the whole page, so that it is polled at another pace or not at all
    for job in shown[:SHOWN]:
        draw_line(job)
    if len(shown) > SHOWN:
        st.caption(f"and {len(shown) - SHOWN} more")
    st.page_link(TRAIN_PAGE, label="All runs", query_params={"all": "1"})


def draw_line(job: Job) -> None:
    """Draw one run: its name as a link, its state, a small curve and how long it has to go."""
    with st.container(key=f"jobs-line-{job.path.name}", gap="xsmall"):
        st.page_link(
            TRAIN_PAGE, label=escape_markdown(job.path.name), query_params={"run": job.path.name}
        )
        done = listing.progress(job)
        words = [listing.STATES.get(job.state, job.state)]
        words += [f"{done:.0%}"] if done is not None and listing.is_alive(job) else []
        words += [listing.remaining(job)]
        st.caption(escape_markdown(" · ".join(filter(None, words))))
        if job.state == "failed":
            st.caption(escape_markdown(str(job.status.get("message", ""))))
        values = losses(listing.rows_of(job.path))
        if len(values) > 1:
            curve = spark(values, style.palette().text)
            st.image(curve, alt=f"Loss, from {values[0]:.3g} to {values[-1]:.3g}")
