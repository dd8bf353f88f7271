"""The list of runs: what stands where, each a link, some of them picked for comparison."""

from __future__ import annotations

import streamlit as st

from csp_core.runs.jobs import Job
from jobs import listing
from jobs.compare import MOST as MOST_COMPARED
from jobs.compare import as_part
from jobs.control import draw_trash
from shared.widgets import TRAIN_PAGE
from shared.words import count_of, escape_markdown

PAGE = 12
INTRODUCTION = (
    "Pre-training shows a model many pictures with the places where they were taken, and no names:"
    " it learns which places look alike. Training with labels then needs few of them. Press *Train*"
    " in the sidebar for half a minute on an invented world, and watch a range form."
)


def draw_runs() -> None:
    """Draw the list of runs, those that failed before their first step apart."""
    found = listing.jobs()
    if not found:
        st.info(INTRODUCTION)
    shown = [job for job in found if not listing.failed_at_once(job)]
    failed = [job for job in found if listing.failed_at_once(job)]
    most = st.session_state.get("train-shown", PAGE)
    for job in shown[:most]:
        draw_row(job)
    if len(shown) > most:
        st.button(f"Show more of {len(shown):,} runs", key="train-more", on_click=_more)
    draw_compare_link([job.path.name for job in shown])
    if failed:
        with st.expander(f"Failed before the first step: {count_of(len(failed), 'run', 'runs')}"):
            for job in failed[:50]:
                draw_row(job, pick=False)
    draw_trash()


def _more() -> None:
    st.session_state["train-shown"] = st.session_state.get("train-shown", PAGE) + 4 * PAGE


def draw_row(job: Job, *, pick: bool = True) -> None:
    """Draw one run of the list.

    Args:
        job: The run.
        pick: Whether it can be picked for a comparison; one without numbers cannot.
    """
    name = job.path.name
    with st.container(key=f"row-run-{name}"):
        box, link, state, when = st.columns([1, 6, 6, 4], vertical_alignment="center")
        if pick:
            box.checkbox(
                f"Compare {escape_markdown(name)}",
                key=f"train-pick-{name}",
                label_visibility="collapsed",
            )
        with link:
            st.page_link(TRAIN_PAGE, label=escape_markdown(name), query_params={"run": name})
        state.markdown(escape_markdown(_state(job)))
        when.caption(listing.ago(listing.number(job, "heartbeat")))
        if job.state in ("failed", "unreadable"):
            st.caption(escape_markdown(str(job.status.get("message", ""))))


def _state(job: Job) -> str:
    done = listing.progress(job)
    words = [listing.STATES.get(job.state, job.state)]
    if listing.is_alive(job) and done is not None:
        words.append(f"{done:.0%}")
    elif done is not None and job.state != "finished":
        words.append(f"at {done:.0%}")
    if seconds := listing.number(job, "seconds"):
        words.append(f"after {listing.duration(seconds)}")
    return " · ".join(filter(None, [*words, listing.remaining(job)]))


def draw_compare_link(names: list[str]) -> None:
    """Draw the link to a comparison of the runs that are picked."""
    picked = [name for name in names if st.session_state.get(f"train-pick-{name}")]
    if len(picked) < 2:
        if len(names) > 1:
            st.caption("Tick two runs or more to compare them.")
        return
    if len(picked) > MOST_COMPARED:
        st.warning(f"Tick at most {MOST_COMPARED}; the first {MOST_COMPARED} are taken.")
    st.page_link(
        TRAIN_PAGE,
        label=f"Compare {min(len(picked), MOST_COMPARED)} runs",
        query_params={"compare": as_part(picked[:MOST_COMPARED])},
    )
