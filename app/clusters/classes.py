"""Which species live alike: the classes whose vectors lie nearest to that of a chosen one."""

from __future__ import annotations

import streamlit as st

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
    """Draw the classes that live like the chosen one, each a link to its range map.

    Args:
        view: What is asked for.
        model: The model.
    """
    many, one = plural(view.info), singular(view.info)
    st.header(f"Which {many} live alike?", anchor=False)
    if not view.info.num_classes:
        st.caption("This model came without classes, so there are none to compare.")
        return
    taxon = view.taxon
    try:
        taxon = model.classes.names[model.classes.label(taxon)] if taxon else None
    except CspError as error:
        st.error(escape_markdown(not_known(view.info, str(taxon), error)))
        taxon = None
    widgets.species_picker(
        one.capitalize(),
        model.classes,
        taxon,
        on_class,
        key="clusters-taxon",
        placeholder=f"Pick a {one} to see which are placed like it",
        width=420,
    )
    if taxon is None:
        return
    try:
        near = similar_classes(model, model.classes.label(taxon), count=COUNT)
    except CspError as error:  # such as of a model that has no classifier of places
        st.info(escape_markdown(str(error)))
        return
    place = address.place_of(*view.place) if view.place else {}
    boxes = st.columns(2, gap="medium")
    for number, (label, cosine) in enumerate(near, start=1):
        name, common = model.classes.names[label], model.classes.common_names[label]
        words = f"{escape_markdown(common)} · " if common else ""
        with boxes[(number - 1) // 5].container(gap=None, key=f"row-class-{number}"):
            widgets.range_link(
                f"{number}\\. {words}*{escape_markdown(name)}*",
                name,
                {"model": view.info.name, **place},
            )
            small(f"cosine {cosine:.2f}")
    st.caption(
        f"Cosine of the directions in which the model's classifier looks for its {many}: 1 is the"
        " same places, 0 is unrelated, below 0 is opposite."
    )
