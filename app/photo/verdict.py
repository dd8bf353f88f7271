"""The answer to a photo in one sentence: what the image says alone, and what with its place."""

from __future__ import annotations

import re
from collections.abc import Sequence

import streamlit as st

from csp_core.inference import PhotoAnswer, RankedAnswer, describe_place
from csp_core.model import DualEncoder
from csp_core.store import ModelInfo
from photo.place import Where
from shared import widgets
from shared.words import escape_markdown, percent, place_title, plural, reworded

# Shares this near to the first rival it; of more than so many none is named.
CLOSE, MOST = 0.6, 3
# What the first ones hold together at least, to be named alone.
HALF = 0.5


def headline(answer: PhotoAnswer, model: DualEncoder, info: ModelInfo, where: Where) -> None:
    """Draw the answer as the heading of the photo, with what speaks against relying on it.

    Args:
        answer: What the model says.
        model: The model.
        info: Its line in the list.
        where: Place and time.
    """
    parts = sentences(answer, model, where)
    if model.image_stats is None and model.rest is None:
        # A name in large letters would be believed, of a street as of a bird.
        st.header("It is not known whether this picture is for the model", anchor=False)
        st.markdown(f"It does not say which are. If this is one: {' '.join(parts)}")
    else:
        st.header(" ".join(parts), anchor=False)
    if model.rest is not None:
        few = f"It names {len(model.classes) - 1} {plural(info)} and no others: what is not on its"
        st.caption(escape_markdown(f"{few} list is called by what looks most like it."))
    if where.place:
        widgets.live(re.sub(r"\\(.)", r"\1", parts[-1]))
    if not why_alone(model, where) and answer.weight > 0 and guesses(model, where):
        few = "Too few recordings lie near this place: what it adds is a guess."
        st.warning(reworded(few, info))


def sentences(answer: PhotoAnswer, model: DualEncoder, where: Where) -> list[str]:
    """Say what the image says alone, and what with its place.

    Args:
        answer: What the model says.
        model: The model.
        where: Place and time.

    Returns:
        Markdown, such as ``Image alone: a or b, 50 : 50.`` and ``Near Paris: a, 93.0 %.``
    """
    say = label_set if answer.kind == "probability" else leaning
    alone = [(row, row.value) for row in answer.image_only]
    parts = [f"Image alone: {say(alone)}."]
    if why := why_alone(model, where):
        parts.append(f"{why.capitalize()}.")
    elif answer.weight == 0:
        parts.append("The place counts for nothing, as its weight is 0.")
    elif where.counts is not None:
        together = say([(row, row.value) for row in answer.combined])
        parts.append(f"{at(*where.counts)}: {together}.")
    return parts


def leaning(rows: Sequence[tuple[RankedAnswer, float]]) -> str:
    """Say which class ranks first, and which rival it.

    Args:
        rows: Classes with their shares, the largest first.

    Returns:
        Markdown.
    """
    most = rows[0][1]
    near = [(name_of(row), share) for row, share in rows if share >= CLOSE * most]
    together = sum(share for _, share in near)
    names = [name for name, _ in near]
    if len(near) == 1:
        return f"{names[0]}, {percent(most)}"
    if len(near) > MOST or together < HALF:
        return f"no clear answer; {len(near)} are about as likely, at most {percent(most)} each"
    parts = [round(100 * share / together) for _, share in near]
    parts[0] += 100 - sum(parts)
    return f"{', '.join(names[:-1])} or {names[-1]}, {' : '.join(map(str, parts))}"


def label_set(rows: Sequence[tuple[RankedAnswer, float]]) -> str:
    """Name the classes of a label set, each with its own probability.

    Args:
        rows: Classes with their probabilities, those of the set first.

    Returns:
        Markdown.
    """
    if all(row.in_set is None for row, _ in rows):
        return "no set was fitted for this weight of the place"
    named = [f"{name_of(row)} {percent(value)}" for row, value in rows if row.in_set]
    # Names of classes hold commas themselves.
    return "; ".join(named) or "no class reaches its threshold"


def at(lon: float, lat: float) -> str:
    """Name a place as the beginning of a sentence."""
    title, rest = place_title(lon, lat)
    if rest.startswith("At sea"):
        return f"At sea, {title}"
    return title if title.startswith("Near ") or " km from " in title else f"In {title}"


def name_of(row: RankedAnswer) -> str:
    """Give a class's common name, or its scientific one, as Markdown."""
    return escape_markdown(row.common_name or row.taxon)


def why_alone(model: DualEncoder, where: Where) -> str:
    """Say why no place takes part in an answer; nothing where one does."""
    if model.places is None:
        return "this model knows nothing of places"
    if where.counts is None:
        return "the place is ignored" if where.place else "no place is known"
    return ""


def guesses(model: DualEncoder, where: Where) -> bool:
    """Tell whether the model is known to have learned nothing near the place that counts."""
    heard = model.places
    if where.counts is None or heard is None or heard.support is None:
        return False
    return describe_place(heard, *where.counts, top=1).extrapolates


def looks_not(info: ModelInfo) -> None:
    """Say as the photo's heading that a model does not look at pictures.

    Args:
        info: The model's line in the list.
    """
    st.header(f"{escape_markdown(info.name)} does not look at the picture", anchor=False)
    st.markdown("It knows places alone, so this is what the place says.")
