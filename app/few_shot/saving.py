"""What was learned is saved as a model, which all pages then list."""

from __future__ import annotations

import streamlit as st

from csp_core.errors import CspError
from csp_core.inference.few_shot import card_of, kept_of
from csp_core.store import keep_derived
from few_shot.address import PlacesView
from few_shot.answer import Answer
from shared import resources, widgets
from shared.visits import own
from shared.words import escape_markdown


def on_save(view: PlacesView, answer: Answer) -> None:
    """Save the species under its name; what comes of it is told by ``draw``."""
    state = st.session_state
    try:
        called, _ = keep_derived(
            answer.found.model, view.name, base=view.info.directory, **card_of(answer.found)
        )
    except CspError as error:
        state[own("not-saved")] = str(error)
        return
    resources.forget_models()
    state.pop(own("not-saved"), None)
    wet = answer.found.ground.background.kind == "world"
    # Of what was saved, as distance may be switched since.
    state[own("kept")] = kept_of(answer.found)
    state[own("saved")] = {
        "model": called,
        "taxon": view.name,
        "threshold": f"{answer.threshold.value:.9g}",
        **({"sea": "shown"} if wet else {}),
    }


def draw(view: PlacesView, answer: Answer, allowed: bool) -> None:
    """Draw the button that saves, and what came of it.

    Args:
        view: What is asked for.
        answer: What was learned.
        allowed: Whether visitors may write models here.
    """
    state = st.session_state
    if not allowed:
        st.caption("Models are not saved here; `csp few-shot PLACES.csv --out DIR` does it.")
        return
    st.button(
        "Save as a model",
        key="few-shot-save",
        on_click=on_save,
        args=(view, answer),
        disabled=not view.name,
        help=None if view.name else "Give the species a name first.",
    )
    # Before it is saved: a species' places may have to stay unknown.
    st.caption(kept_of(answer.found))
    if problem := state.pop(own("not-saved"), ""):
        st.error(escape_markdown(problem))
    if saved := state.get(own("saved")):
        name = escape_markdown(saved["model"])
        st.success(f"Saved as the model {name}, which all pages list. {state[own('kept')]}")
        st.page_link(
            widgets.RANGE_PAGE,
            label=f"{escape_markdown(saved['taxon'])} on Range map →",
            query_params=saved,
        )
