"""Which species live alike: the classes whose vectors lie nearest to that of a chosen one."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from clusters import class_scatter
from clusters.address import View
from clusters.facts import small
from csp_core.errors import CspError
from csp_core.inference.clusters import similar_classes
from csp_core.model import DualEncoder
from shared import address, widgets
from shared.address import set_taxon
from shared.words import escape_markdown, not_known, plural, singular

COUNT = 10


def on_class() -> None:
    """Take over a class picked in the box."""
    set_taxon(st.session_state["clusters-taxon"])


def draw(view: View, model: DualEncoder) -> None:
    """Draw the classes as a scatter, and those that live like the chosen one as a list.

    Args:
        view: What is asked for.
        model: The model.
    """
    many = plural(view.info)
    st.header(f"Which {many} live alike?", anchor=False)
    if not view.info.num_classes:
        st.caption("This model came without classes, so there are none to compare.")
        return
    if view.info.num_classes == 1:
        one = singular(view.info)
        st.caption(f"This model knows one {one}, so there is no other to compare.")
        return
    chosen = _chosen(view, model)
    _picker(view, model, chosen)
    try:
        plane = class_scatter.plane_of(view, model)
        near = [] if chosen is None else similar_classes(model, chosen, count=COUNT)
    except CspError as error:  # such as of a model that has no classifier of places
        st.info(escape_markdown(str(error)))
        return
    left, right = st.container(key="class-view").columns([11, 9], gap="medium")
    with left:
        class_scatter.chart(view, plane, model.classes, chosen, near)
        large = f" The large ones are the chosen one and the {len(near)} placed most like it."
        st.caption(
            f"Each dot is one of the model's {many}, and a click picks it.{large if near else ''}"
        )
    with right:
        _list(view, model, near)
    st.caption(
        f"Cosine of the directions in which the model's classifier looks for its {many}: 1 is the"
        " same places, 0 is unrelated, below 0 is opposite. The scatter shows the two directions in"
        " which they differ most, so the nearest by cosine may lie apart in it."
    )


def _chosen(view: View, model: DualEncoder) -> int | None:
    """Give the class of the address; say so if the model has none of that name."""
    if not view.taxon:
        return None
    try:
        return model.classes.label(view.taxon)
    except CspError as error:
        st.error(escape_markdown(not_known(view.info, view.taxon, error)))
        return None


def _picker(view: View, model: DualEncoder, chosen: int | None) -> None:
    one = singular(view.info)
    widgets.species_picker(
        one.capitalize(),
        model.classes,
        None if chosen is None else model.classes.names[chosen],
        on_class,
        key="clusters-taxon",
        placeholder=f"Pick a {one} to see which are placed like it",
        width=420,
    )


def _list(view: View, model: DualEncoder, near: Sequence[tuple[int, float]]) -> None:
    """List the nearest classes, each a link to its range map."""
    if not near:
        st.markdown(
            f"Pick a {singular(view.info)} above, or click a dot, to see which {plural(view.info)}"
            " the model places like it."
        )
        return
    st.markdown("**Placed most like it**")
    place = address.place_of(*view.place) if view.place else {}
    for number, (label, cosine) in enumerate(near, start=1):
        name, common = model.classes.names[label], model.classes.common_names[label]
        words = f"{escape_markdown(common)} · " if common else ""
        with st.container(gap=None, key=f"row-class-{number}"):
            widgets.range_link(
                f"{number}\\. {words}*{escape_markdown(name)}*",
                name,
                {"model": view.info.name, **place},
            )
            small(f"cosine {cosine:.2f}")
