"""The boxes for captions, who reads them, and how good the training records are made."""

from __future__ import annotations

from functools import partial

import streamlit as st

from csp_core.config.schema import FAMILIES, Option, options, quality_options, summary
from csp_core.data.captions.attach import MADE, TOLD
from csp_core.data.sets.facts import facts_of
from jobs import draft
from jobs.fields import draw_option, draw_options
from shared.words import escape_markdown

PATH, TEXT, QUALITY = "data.captions", "model.text", "data.quality"
NONE, FILE, FIRST_FILE = "none", "from a CSV file", "captions.csv"
NAMES = {"facts": "made of facts", "facts_and_class": "made of facts and the class"}
TABLE = Option(
    "captions",
    "text",
    None,
    nullable=True,
    help="CSV with the columns caption and file, or caption, lon and lat, as csp caption writes it;"
    " other columns are left alone.",
)
SOURCES = (
    "Sentences that belong to the records. Facts are the nearest named place, the country, and the"
    " month where there is a date. With the class, captions tell what the labels tell. A CSV file"
    " has a column caption, and file, or lon and lat."
)
DEPTH = "Layers: how deep it is; in the papers a shallow one loses little."
ON_PURPOSE = (
    "What is done on purpose to the records that the run learns from; those of validation and test"
    " stay as they are. The order is that of these boxes."
)


def draw_captions(data_set: str, hints: dict[str, str]) -> None:
    """Draw where captions come from and which text encoder reads them.

    Args:
        data_set: The data set that is chosen.
        hints: As of ``csp_core.config.compared.hints``.
    """
    off = hints.get(TEXT, "")
    if off:
        st.caption(escape_markdown(off))
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    with left:
        source = _pick_source(data_set, off)
    with right:
        if source == FILE:
            draw_option(PATH, TABLE, label="File of captions")
    if source in MADE:
        st.caption(escape_markdown(f"Captions are {TOLD[source]}."))
    name = _pick_text(off)
    if name:
        st.caption(escape_markdown(f"{summary('text', name)} {DEPTH}"))
        draw_options(TEXT, options("text", name), of=name)


def _pick_source(data_set: str, off: str) -> str:
    """Draw the box of where captions come from, and give what is chosen."""
    given = draft.value_at(PATH)
    source = NONE if given is None else given if given in MADE else FILE
    key = draft.key_of("captions")
    own = facts_of(data_set).captions
    names = {NONE: "those of its table, if any" if own else NONE, **NAMES, FILE: FILE}
    st.selectbox(
        "Captions",
        names,
        list(names).index(source),
        format_func=names.__getitem__,
        key=key,
        on_change=partial(_take_source, key),
        disabled=bool(off) and source == NONE,
        help=SOURCES,
    )
    return str(source)


def _take_source(key: str) -> None:
    chosen = st.session_state[key]
    value = None if chosen == NONE else FIRST_FILE if chosen == FILE else chosen
    draft.take(PATH, lambda: value)


def _pick_text(off: str) -> str | None:
    """Draw the box of the text encoder, and give its name."""
    names = [NONE, *FAMILIES["text"][0]]
    key, name = draft.key_of(f"{TEXT}-name"), draft.name_at(TEXT)
    st.selectbox(
        "Text encoder",
        names,
        names.index(name) if name in names else 0,
        key=key,
        on_change=partial(_take_text, key),
        disabled=bool(off) and name is None,
        help="What reads the captions, so that words can be compared with pictures and places.",
    )
    return name if name in names else None


def _take_text(key: str) -> None:
    chosen = st.session_state[key]
    draft.take(TEXT, lambda: None if chosen == NONE else {"name": chosen})


def draw_quality(hints: dict[str, str]) -> None:
    """Draw what is done to training records on purpose.

    Args:
        hints: As of ``csp_core.config.compared.hints``.
    """
    found = draft.value_at(QUALITY)
    if isinstance(found, dict):
        # What was emptied is not asked for, and a section of nothing is none.
        kept = {key: value for key, value in found.items() if value is not None}
        draft.set_at(QUALITY, kept or None)
    st.caption(ON_PURPOSE)
    draw_options(QUALITY, quality_options(), off=hints)
    why = {hints[key] for key in sorted(hints) if key.startswith(f"{QUALITY}.")}
    for sentence in sorted(why):
        st.caption(escape_markdown(sentence))
