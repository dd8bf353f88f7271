"""A new run: the form, what it would take, the command that does the same, and the start."""

from __future__ import annotations

import streamlit as st

from csp_core.errors import CspError
from jobs import draft, listing
from jobs.control import draw_problem
from jobs.estimate import draw_estimate
from jobs.form import draw_settings, draw_start
from jobs.sidebar import PROBLEM, STARTED, start_once
from jobs.start import anchored, as_yaml, check
from shared.words import escape_markdown


def draw_new() -> None:
    """Draw the form of a new run; nothing is written before *Train* is pressed."""
    if not listing.allowed():
        st.info("Training is turned off here (`CSP_ALLOW_TRAINING=0`).")
        return
    draw_start()
    draw_settings()
    found = draft.problems()
    try:
        check(draft.draft())
    except CspError as error:
        found.append(str(error))
    for problem in found:
        st.error(escape_markdown(problem))
    st.button(
        "Train",
        key="train-start",
        type="primary",
        disabled=bool(found),
        on_click=_train,
        help="It goes on when the page is closed.",
    )
    draw_problem()  # beside the buttons: the form is long
    if not found:
        draw_estimate(draft.draft())
    # What is relative here is relative to a folder that the command line does not know.
    tree = anchored(draft.draft())
    with st.expander("The same on the command line"):
        if not draft.base()[1]:  # no preset, which the command would name
            st.caption(
                f"Download {escape_markdown(draft.file_name())} first, and give the command in the"
                " folder where it is then."
            )
        st.code(draft.command(tree), language="bash", wrap_lines=True)
        st.download_button(
            "Download as YAML",
            as_yaml(tree),
            draft.file_name(),
            "text/yaml",
            key="train-draft-yaml",
        )


def _train() -> None:
    job = start_once(dict(draft.draft()))
    if problem := st.session_state.pop(PROBLEM, None):
        st.session_state["train-problem"] = problem
    # A press too many leads to the run that the first one started.
    elif name := job.path.name if job else st.session_state.get(STARTED):
        listing.show(run=name)
