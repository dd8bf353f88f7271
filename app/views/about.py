"""About: what the numbers mean, the models' cards, and whose work all this rests on."""

from __future__ import annotations

import streamlit as st

import shell
from csp_core.errors import CspError
from csp_core.inference import VALUE_MEANING
from csp_core.model import LEVEL_MEANING
from csp_core.store import ModelInfo
from shared import resources, widgets
from shared.words import escape_markdown, is_plain_enough, without_pictures


def draw_meaning() -> None:
    """Explain the numbers of the Explore page."""
    st.subheader("What the numbers mean", anchor=False)
    st.markdown(
        f"- **Share.** {VALUE_MEANING['share']}\n"
        "- **Times its overall share.** The share here divided by the species' part of all training"
        " records: above 1 it is recorded here more than elsewhere.\n"
        "- **Support.** How many training records stand near the place. Where there are too few the"
        " page shows no numbers, because the model only continues what it learned elsewhere."
    )
    st.markdown(
        "\n".join(
            f"- {widgets.LEVEL_MARKS.get(level, '')} **{level}**: {meaning}"
            for level, meaning in LEVEL_MEANING.items()
        )
    )


def draw_limits() -> None:
    """Say what must not be concluded from the page."""
    st.subheader("Limits", anchor=False)
    st.markdown(
        "- A model knows the species it was trained on and no others. A species that is missing"
        " from the list may well live there.\n"
        "- Records show where people went and what they noted. Few records of a species can mean"
        " that it is rare, quiet, or that nobody looked.\n"
        "- The records on the map are counts per cell, not single places.\n"
        "- Nothing here is fit for decisions on conservation without a check on the ground."
    )


def draw_model(info: ModelInfo) -> None:
    """Show a model's card, licence and attribution."""
    try:
        card = without_pictures(resources.card(info))
        # What would hold up the browser is shown as it is.
        (st.markdown if is_plain_enough(card) else st.text)(card)
        texts = resources.text_files(info)
    except (CspError, OSError) as error:
        st.error(escape_markdown(str(error)))
        return
    for name, text in texts.items():
        with st.expander(f"{escape_markdown(name)} of the model"):
            st.text(text)


def draw_sources() -> None:
    """Name whose work the page shows."""
    st.subheader("Attribution", anchor=False)
    st.markdown(
        "- Each model names its training data and their authors in its card above; the bundled"
        " bird model was trained on the metadata of xeno-canto recordings, by the recordists named"
        " there.\n"
        "- Land, borders and countries: Natural Earth, public domain.\n"
        "- Towns and their names: [GeoNames](https://www.geonames.org), CC BY 4.0; names of"
        " countries: Unicode CLDR.\n"
        "- Map: Leaflet, BSD 2-clause licence, served from this machine.\n"
        "- The code of CSP Explorer is under the MIT licence; a model's weights are under the"
        " licence of its card.\n"
        "- By default the page fetches nothing from other machines."
    )


def page() -> None:
    """Draw the page."""
    shell.title("About")
    with st.container(width=860):
        draw_about()


def draw_about() -> None:
    """Draw the page's sections."""
    draw_meaning()
    draw_limits()
    known = resources.models()
    st.subheader("Model cards", anchor=False)
    if not known:
        st.markdown("No model is installed.")
    for info in known:
        if info.problem:
            st.error(escape_markdown(f"{info.name}: {info.problem}"))
            continue
        with st.expander(escape_markdown(f"{info.name}: {info.title}"), expanded=True):
            draw_model(info)
    draw_sources()


shell.run("about", page)
