"""Parts of a page that several pages draw: model, species picker, links, support, messages."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import streamlit as st

from csp_core.data.records import ClassTable
from csp_core.inference import PlaceReport, remarks
from csp_core.store import ModelInfo
from shared.address import for_pixels_alone
from shared.glossary import LEVELS
from shared.words import (
    count_of,
    escape_markdown,
    explain,
    headline,
    licence,
    plural,
    reworded,
    species_label,
)

# Pages that link to each other, as Streamlit names them.
EXPLORE_PAGE, RANGE_PAGE, TRAIN_PAGE = "views/explore.py", "views/range_map.py", "views/train.py"
ABOUT_PAGE, PHOTO_PAGE = "views/about.py", "views/photo.py"
SEGMENT_PAGE = "views/segment.py"
# Longer lists are narrowed by a search box, as the whole of them would be sent in every run.
LONG_LIST, MOST_SHOWN = 2000, 200


def model_chip(info: ModelInfo) -> None:
    """Say what the model in use knows, with the rest at a click."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="model-chip"):
        st.markdown(f"**{escape_markdown(headline(info))}**", width="content")
        with st.popover("About this model", type="tertiary"):
            if info.summary:
                st.markdown(escape_markdown(info.summary))
            if for_pixels_alone(info):
                st.markdown(
                    "It gives every pixel one of its classes, also where there is something that it"
                    " does not know."
                )
            elif info.num_classes:
                st.markdown(explain("not on the list", info))
            st.markdown(escape_markdown(f"Its name here is {info.name}. {licence(info)}"))
            st.page_link(ABOUT_PAGE, label="Its whole card, on the About page")


def without_classes(known: Sequence[ModelInfo]) -> None:
    """Name the models that know no species, and say what they are for."""
    names = [info.name for info in known if info.problem is None and not info.num_classes]
    if names:
        listed = ", ".join(map(escape_markdown, names))
        st.caption(
            f"Not to choose from: {listed}. A model without classes ranks no species; it turns"
            " places into numbers that a model of yours can be trained on (`model.init_from`)."
        )


def no_models(known: Sequence[ModelInfo]) -> None:
    """Say what to do when there is no model to ask."""
    with st.container(border=True):
        st.header("No model yet", anchor=False)
        st.markdown(
            "This page needs a trained model. Train one with `csp train CONFIG`, and name the"
            " folder that holds your models in the environment variable `CSP_MODELS`."
        )
        without_classes(known)
        for info in known:
            if info.problem:
                st.error(escape_markdown(f"{info.name}: {info.problem}"))


def messages(problems: Sequence[str], notices: Sequence[str]) -> None:
    """Say in one box what cannot be had, and in another what was changed; skip empty texts."""
    for draw, told in ((st.error, problems), (st.info, notices)):
        lines = [escape_markdown(one) for one in told if one]
        if lines:
            draw(lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines))


def support_line(
    report: PlaceReport, info: ModelInfo, before: str = "", *, listed: bool = False
) -> None:
    """Say in words, with a mark, how many recordings lie near a place.

    Args:
        report: What the model says of the place.
        info: The model.
        before: Markdown in front of it.
        listed: Whether the line says of how many of its classes they are.
    """
    mark, level = LEVELS[report.level]
    more = "".join(f" {one}" for one in remarks(report))
    if report.records_within is None:
        said = f"**{level}**: this model came without counts of recordings.{more}"
        st.markdown(f"{before}{mark} {reworded(said, info)}")
        return
    near = count_of(report.records_within, "recording", "recordings")
    if listed and report.records_within:
        near += f" of {report.taxa_within:,} {plural(info)}"
    near += f" within {report.radius_km:,.0f} km"
    if report.nearest_km is not None and report.records_within == 0:
        near += f", the nearest about {report.nearest_km:,.0f} km away"
    said = reworded(f"**{level}**: {near}.{more}", info)
    ours = listed or info.introduction.record
    st.markdown(f"{before}{mark} {said}", help=explain("well recorded", info if ours else None))


def live(text: str) -> None:
    """Tell those who hear a page that it changed; those who see it see that.

    Markdown, unlike ``st.html``, keeps the element from run to run, so that only its text changes
    and is read out.

    Args:
        text: Plain text.
    """
    st.markdown(
        f'<div class="csp-heard" role="status">{html.escape(text)}</div>', unsafe_allow_html=True
    )


def range_link(label: str, taxon: str, link: Mapping[str, str], help: str | None = None) -> None:
    """Link to the range map of a species.

    Args:
        label: What the link says.
        taxon: Scientific name.
        link: What the address says beside it.
        help: Where it leads, for a label that does not say so.
    """
    st.page_link(RANGE_PAGE, label=label, query_params={**link, "taxon": taxon}, help=help)


def species_picker(
    label: str,
    classes: ClassTable,
    chosen: str | None,
    on_change: Callable[[], None],
    *,
    key: str = "species",
    placeholder: str = "Type a name",
    width: int | Literal["stretch"] = "stretch",
) -> None:
    """Draw the box that picks a species by typing either of its names.

    Args:
        label: What the box says.
        classes: The species.
        chosen: Scientific name of the one that is chosen, or None.
        on_change: Called after another was picked.
        key: The session's state holds the scientific name under it.
        placeholder: What an empty box says.
        width: Of the box.
    """
    names = classes.names
    if len(names) > LONG_LIST:
        typed = st.text_input(
            f"{label}: search {len(names):,} names", key=f"{key}_search", width=width
        )
        names = matching(classes, typed.strip().casefold(), chosen)
    st.session_state[key] = chosen
    st.selectbox(
        label,
        sorted(names, key=lambda taxon: species_label(classes, taxon).casefold()),
        index=None,
        format_func=lambda taxon: species_label(classes, taxon),
        key=key,
        placeholder=placeholder,
        on_change=on_change,
        width=width,
    )


def matching(classes: ClassTable, typed: str, chosen: str | None) -> tuple[str, ...]:
    """Give the first species of a long list in whose names a text stands.

    Args:
        classes: The species.
        typed: The text, case-folded.
        chosen: A species to list in any case, or None.

    Returns:
        Scientific names.
    """
    pairs = zip(classes.names, classes.common_names, strict=True)
    found = [name for name, common in pairs if typed in f"{common} {name}".casefold()]
    extra = [chosen] if chosen and chosen not in found[:MOST_SHOWN] else []
    return tuple([*found[:MOST_SHOWN], *extra])
