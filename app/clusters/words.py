"""Words on the map: which places agree with what somebody types, by a model that reads words."""

from __future__ import annotations

import streamlit as st

from clusters import drawing
from clusters.address import View
from clusters.kept import kept
from csp_core.errors import CspError
from csp_core.inference.retrieval import Fit, where_words
from csp_core.model import DualEncoder
from mapping import agreeing
from shared import resources, style
from shared.address import set_param
from shared.words import escape_markdown

KEY, PARAM = "clusters-words", "words"
MOST = 200


def on_words() -> None:
    """Take over what was typed."""
    set_param(PARAM, st.session_state[KEY].strip() or None)


def draw(view: View, model: DualEncoder) -> None:
    """Draw the box for words and the map that they colour.

    Args:
        view: What is asked for.
        model: The model.
    """
    st.header("Where do these words fit?", anchor=False)
    if not {"location", "text"} <= {*view.info.compares}:
        st.markdown(
            f"**{escape_markdown(view.info.name)}** reads no words. A model that was trained on"
            " places and captions, by `csp train` with `model.text`, colours the map by them."
        )
        return
    st.session_state[KEY] = st.query_params.get(PARAM, "")[:MOST]
    st.text_input(
        "Words, in English",
        key=KEY,
        on_change=on_words,
        max_chars=MOST,
        placeholder="such as: a forest",
        width=420,
    )
    text = st.session_state[KEY].strip()
    if not text:
        st.markdown("Type some words, and the map shows which places agree with them.")
        return
    try:
        fit: Fit = kept("words", 24).get(
            (resources.content_hash(view.info), text),
            lambda: where_words(model, text, agreeing.gallery(view.info, model)),
        )
    except CspError as error:
        st.error(escape_markdown(str(error)))
        return
    _show(view, text, fit)


def _show(view: View, text: str, fit: Fit) -> None:
    left, right = st.container(key="words-view").columns([11, 9], gap="medium")
    with left:
        picture = kept("pictures", 24).get(
            (resources.content_hash(view.info), "words", text, style.is_dark()),
            lambda: agreeing.picture(view.info, fit, style.palette()),
        )
        drawing.draw_world("clusters-words-map", "map-box-3", picture,
                           f"Places that agree with: {text}", view, {})  # fmt: skip
        agreeing.legend(fit)
    with right:
        # What it does not know comes before the list that it makes all the same.
        for note in fit.notes:
            st.info(escape_markdown(note))
        st.markdown(f"**Places that agree best with “{escape_markdown(text)}”**")
        agreeing.listed(fit)
        st.caption(
            "At least 200 km apart. Whatever is typed, some places come first: the order says"
            " which agree more, and not that any is meant."
        )
