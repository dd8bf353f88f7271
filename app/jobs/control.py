"""What can be done to a run: stop, end by force, resume, duplicate, note, use, delete."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from csp_core.errors import CspError, DataNotFoundError
from csp_core.runs import jobs, manage
from csp_core.runs.directory import RunDir
from csp_core.runs.jobs import Job
from csp_core.store import keep_run, kept_runs, let_go_run
from jobs import draft, listing
from jobs.start import start_settings
from shared import resources
from shared.widgets import EXPLORE_PAGE, PHOTO_PAGE, SEGMENT_PAGE
from shared.words import escape_markdown

# In the session's state: what was done last, or why it was not.
NOTICE, PROBLEM = "train-notice", "train-problem"
# One whose status is damaged has it set aside, if all else is there.
RESUMABLE = ("stopped", "interrupted", "failed", "unreadable")


def act(what: Callable[[], str]) -> None:
    """Do something to a run and keep what is to be said of it."""
    st.session_state.pop(PROBLEM, None)
    st.session_state.pop(NOTICE, None)
    try:
        st.session_state[NOTICE] = what()
    except CspError as error:
        st.session_state[PROBLEM] = str(error)
    listing.forget()


def draw_notices() -> None:
    """Say what was done last, or why it was not."""
    draw_problem()
    draw_done()


def draw_problem() -> None:
    """Say why what was asked for last was not done."""
    if problem := st.session_state.pop(PROBLEM, None):
        st.error(escape_markdown(problem))


def draw_done() -> None:
    """Say what was done last."""
    if notice := st.session_state.pop(NOTICE, None):
        st.success(escape_markdown(notice))


def draw_controls(job: Job) -> None:
    """Draw the buttons that fit the state of a run."""
    name = job.path.name
    with st.container(horizontal=True, gap="small", key="train-controls"):
        if listing.is_alive(job):
            _button("Stop", partial(_stop, name), help="It saves and ends; nothing is lost.")
            with st.popover("End by force"):
                st.markdown("What it did since its last checkpoint is done again when it resumes.")
                _button("Yes, end it now", partial(_kill, name))
        else:
            if job.state in RESUMABLE:
                _button(
                    "Resume", partial(_resume, name), help="It goes on as if nothing had happened."
                )
            _draw_use(job)
        _button("Duplicate with changes", partial(_duplicate, name))
        if not listing.is_alive(job):
            with st.popover("Delete"):
                st.markdown("It can be brought back for seven days.")
                _button("Yes, delete it", partial(_delete, name))
    _draw_note(name)


def _button(label: str, what: Callable[[], str], help: str | None = None) -> None:
    key = f"train-{label.casefold().replace(' ', '-').replace(',', '')}"
    st.button(label, key=key, on_click=partial(act, what), help=help)


def _draw_use(job: Job) -> None:
    """Draw the button that gives a finished model to every page, and the way to it."""
    if not (RunDir(job.path).model / "config.json").is_file():
        return
    name = job.path.name
    if name in kept_runs():
        label, page = _way_to(name)
        st.page_link(page, label=label, query_params={"model": name})
        _button("Take it off the pages", partial(_let_go, name))
    else:
        _button(
            "Use this model", partial(_use, name), help="It can be chosen on every page from then."
        )


def _way_to(name: str) -> tuple[str, str]:
    """Choose the page where a model shows what it can do, and what the link says."""
    info = next((one for one in resources.models() if one.name == name), None)
    if info is not None and info.maps_pixels:
        return "Map a scene with it", SEGMENT_PAGE
    # A model of pictures alone has nothing to say of a place.
    if info is not None and not info.knows_places:
        return "Ask it about a photo", PHOTO_PAGE
    return "See it on Explore", EXPLORE_PAGE


def _draw_note(name: str) -> None:
    try:
        note = manage.read_note(RunDir(jobs.runs_home() / name))
    except CspError as error:
        st.caption(escape_markdown(str(error)))
        return
    st.text_input(
        "Note",
        note,
        key=f"train-note-{name}",
        max_chars=2000,
        placeholder="What this run is for",
        on_change=partial(act, partial(_note, name)),
    )


def _run(name: str) -> RunDir:
    return RunDir(jobs.runs_home() / name)


def _stop(name: str) -> str:
    jobs.stop(_run(name).path, wait=0.0)
    return "Asked to stop: it saves after the step that it is at."


def _kill(name: str) -> str:
    jobs.stop(_run(name).path, wait=0.0, kill=True)
    return "Ended by force; it can be resumed from its last checkpoint."


def _resume(name: str) -> str:
    jobs.resume_job(_run(name).path)
    return "Resumed."


def _duplicate(name: str) -> str:
    job = listing.find(name)
    if job is None:
        raise DataNotFoundError(f"There is no run {name}.")
    draft.replace(start_settings(job))
    listing.show(new="1")
    return f"These are the settings of {name}; change what you like."


def _use(name: str) -> str:
    keep_run(name)
    resources.forget_models()
    return f"{name} can be chosen on every page now."


def _let_go(name: str) -> str:
    let_go_run(name)
    resources.forget_models()
    return f"{name} is off the pages; its run is as it was."


def _delete(name: str) -> str:
    # Its mark for the pages stays in its folder, so that it comes back as it was.
    manage.delete(_run(name))
    resources.forget_models()
    listing.show(all="1")
    return f"Deleted {name}; it can be brought back below the list of runs."


def _note(name: str) -> str:
    manage.write_note(_run(name), st.session_state[f"train-note-{name}"])
    return "Note kept."


def draw_trash() -> None:
    """List deleted runs, each with a button that brings it back."""
    found = manage.trash()
    if not found:
        return
    with st.expander(f"Deleted: {len(found)}"):
        st.caption("They are removed for good some time after seven days.")
        for name in [one.name for one in found[:50]]:
            left, right = st.columns([4, 1], vertical_alignment="center")
            left.markdown(escape_markdown(name))
            right.button(
                "Bring back",
                key=f"train-restore-{name}",
                on_click=partial(act, partial(_restore, name)),
            )


def _restore(name: str) -> str:
    back = manage.restore(name).path.name
    resources.forget_models()
    return f"{back} is back."
