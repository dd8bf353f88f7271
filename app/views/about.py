"""About: what this is, a tour, what the words mean, the cards of the models, whose work it is."""

from __future__ import annotations

import re

import streamlit as st

import shell
from csp_core.errors import CspError
from csp_core.store import ModelInfo
from shared import resources
from shared.glossary import GLOSSARY, LEVELS
from shared.words import (
    demoted,
    escape_markdown,
    explain,
    headline,
    is_plain_enough,
    licence,
    without_pictures,
)


def draw_start() -> None:
    """Say what this is, and lead through the pages."""
    st.markdown(
        "CSP Explorer shows what a place tells about what is found there. Models have learned it"
        " from recordings: who noted what, where. They know where people looked, and nothing of"
        " where nobody did, so do not decide on conservation or land by them without a check on"
        " the ground."
    )
    st.header("A tour of one minute", anchor=False)
    with st.container(gap="xxsmall"):
        for number, stop in enumerate(shell.tour().values(), start=1):
            with st.container(horizontal=True, gap="small", vertical_alignment="center"):
                st.page_link(stop.path, label=f"{number}. {stop.title} →", width=140)
                st.markdown(stop.invites, width="content")


def draw_meaning() -> None:
    """Explain the words and numbers of all pages."""
    with st.expander("What the words and numbers mean"):
        lines = [f"- **{term.capitalize()}.** {explain(term)}" for term in GLOSSARY]
        marks = ", ".join(f"{mark} {words.casefold()}" for mark, words in LEVELS.values())
        st.markdown("\n".join(lines) + f"\n\nThe marks: {marks}.")


def draw_models(known: list[ModelInfo]) -> None:
    """Draw one folded card a model."""
    st.header("The models", anchor=False)
    if not known:
        st.markdown("No model is installed.")
    with st.container(gap="xxsmall"):
        for info in known:
            if info.problem:
                st.error(escape_markdown(f"{info.name}: {info.problem}"))
                continue
            with st.expander(escape_markdown(f"{info.name} – {headline(info)}")):
                draw_model(info)


def draw_model(info: ModelInfo) -> None:
    """Show a model's licence in words, its card, licence and attribution."""
    st.markdown(escape_markdown(licence(info)))
    if not info.num_classes:
        st.markdown(
            "It ranks nothing, so it stands on the Clusters page alone. It turns places into"
            " numbers that a model of yours can be trained on (`model.init_from`)."
        )
    try:
        plain, rest = split_card(without_pictures(resources.card(info)))
        texts = resources.text_files(info)
    except (CspError, OSError) as error:
        st.error(escape_markdown(str(error)))
        return
    draw_card(plain)
    if rest:
        with st.expander("How it was made, with every setting"):
            draw_card(rest)
    for name, text in texts.items():
        with st.expander(f"{escape_markdown(name)} of the model"):
            st.text(text)


def split_card(card: str) -> tuple[str, str]:
    r"""Part a card into what is read and what is looked up: the sections that hold code.

    Args:
        card: Markdown.

    Returns:
        Both parts, the second empty where nothing is to be looked up.

    Example:
        >>> split_card("# A\n\n## Limits\n\nb\n\n## Made\n\n```yaml\na: 1\n```\n")
        ('# A\n\n## Limits\n\nb', '## Made\n\n```yaml\na: 1\n```')
    """
    sections = re.split(r"(?m)^(?=## )", card)
    coded = [section.strip() for section in sections[1:] if "```" in section]
    plain = [section.strip() for section in sections if section.strip() not in coded]
    return "\n\n".join(plain), "\n\n".join(coded)


def draw_card(card: str) -> None:
    """Draw a part of a card; what would hold up the browser is shown as it is."""
    if is_plain_enough(card):
        st.markdown(demoted(card))
    else:
        st.text(card)


def draw_sources() -> None:
    """Name whose work the page shows."""
    st.header("Whose work this is", anchor=False)
    st.markdown(
        "The recordings of each model: see its card. Land, borders and countries: Natural Earth,"
        " public domain. Towns: [GeoNames](https://www.geonames.org), CC BY 4.0; names of"
        " countries: Unicode CLDR. Map: Leaflet, BSD 2-clause licence, served from this machine."
        " The code of CSP Explorer is under the MIT licence; a model is under that of its card:"
        " `birds` and `world_birds`, and whatever mixes them in, such as `animals`, under CC"
        " BY-NC-SA 4.0, for no commerce. The network of `animals` is EfficientNet-Lite0, Apache"
        " 2.0, which learned on ImageNet. `world_birds` is adapted from the location prior of"
        " BirdNET, by Cornell Lab of Ornithology and Chemnitz University of Technology, and `birds`"
        " was taught by it beside the recordings of xeno-canto. `earth`, CC BY 4.0, learned from"
        " GeoCLIP, ERA5 and Mapzen's heights. It, and what is said of inland ice, contains modified"
        " Copernicus Climate Change Service information. By default nothing is fetched from other"
        " machines."
    )


def page() -> None:
    """Draw the page."""
    shell.title("About")
    with st.container(width=860):
        draw_start()
        draw_meaning()
        draw_models(resources.models())
        draw_sources()


shell.run("about", page)
