"""What views share: styles, wording of numbers, the species picker, messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import streamlit as st

from csp_core import places
from csp_core.catalog import ModelInfo, read_model_config
from csp_core.data.facts import names_taxa
from csp_core.data.records import ClassTable
from csp_core.errors import CspError
from csp_core.infer import LEVEL_MEANING, VALUE_MEANING, PlaceReport
from mapping import leaflet
from palette import DARK, LIGHT, Palette

# Filled and empty marks carry the level for those who do not see its colour.
LEVEL_MARKS = {"good": "●●●", "some": "●●○", "little": "●○○", "none": "○○○"}
# Pages that link to each other, as Streamlit names them.
EXPLORE_PAGE, RANGE_PAGE = "views/explore.py", "views/range_map.py"
# Longer lists are narrowed by a search box, as the whole of them would be sent in every run.
LONG_LIST, MOST_SHOWN = 2000, 200


def is_dark() -> bool:
    """Tell whether the page is shown in its dark theme."""
    return st.context.theme.type == "dark"


def palette() -> Palette:
    """Give the map colours of the theme in use."""
    return DARK if is_dark() else LIGHT


def escape_markdown(text: str) -> str:
    """Keep text from being read as Markdown, Streamlit's own directives included."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$~:&])", r"\\\1", text)


def percent(share: float) -> str:
    """Write a share with one decimal.

    Example:
        >>> percent(0.1234), percent(0.0004)
        ('12.3 %', '<0.1 %')
    """
    return "<0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"


def times(lift: float) -> str:
    """Write how many times as large something is.

    Example:
        >>> times(12.34), times(2.34), times(0.01)
        ('12×', '2.3×', '<0.1×')
    """
    if lift < 0.05:
        return "<0.1×"
    return f"{lift:,.0f}×" if lift >= 9.95 else f"{lift:.1f}×"


def count_of(number: int, one: str, many: str) -> str:
    """Write a number with its noun."""
    return f"{number:,} {one if number == 1 else many}"


def apply_style() -> None:
    """Add the page's few styles: tight list rows, bars, and a map that leaves room on a phone."""
    bar, link = ("#56b4e9", "#7fd6cf") if is_dark() else ("#0072b2", "#0b6a70")
    phone, colours = leaflet.PHONE_HEIGHT, palette()
    st.html(
        f"""<style>
        .stMainBlockContainer {{padding-top: 4.2rem; padding-bottom: 2rem}}
        h1 {{font-size: 1.9rem !important; padding-bottom: 0 !important}}
        [class*="st-key-row-"] {{padding: 0.15rem 0 0.45rem;
            border-bottom: 1px solid color-mix(in srgb, currentColor 14%, transparent)}}
        [class*="st-key-row-"] button, [class*="st-key-row-"] button * {{text-align: left;
            justify-content: flex-start; white-space: normal}}
        [class*="st-key-row-"] button {{min-height: 1.9rem; padding: 0 0.2rem}}
        [class*="st-key-row-"] [data-testid="stHorizontalBlock"] {{flex-wrap: nowrap}}
        [class*="st-key-row-"] [data-testid="stPageLink"] p {{white-space: nowrap;
            font-size: 0.85rem}}
        [data-testid="stPageLink"] p {{color: {link}; text-decoration: underline}}
        .csp-line {{display: flex; align-items: center; gap: 0.7rem; padding-left: 0.2rem}}
        .csp-bar {{flex: 1; height: 0.55rem; border-radius: 0.3rem; overflow: hidden;
            background: color-mix(in srgb, currentColor 12%, transparent)}}
        .csp-bar span {{display: block; height: 100%; background: {bar}}}
        .csp-value {{min-width: 4.2rem; text-align: right; font-weight: 600;
            font-variant-numeric: tabular-nums}}
        .csp-small, [data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p {{
            color: color-mix(in srgb, {colours.text} 80%, transparent) !important; opacity: 1}}
        .csp-small {{font-size: 0.85rem; padding-left: 0.2rem}}
        [data-testid="stExpander"] h1 {{font-size: 1.4rem !important}}
        [data-testid="stExpander"] h2 {{font-size: 1.2rem}}
        [data-testid="stExpander"] h3 {{font-size: 1.05rem}}
        .csp-legend {{display: flex; flex-wrap: wrap; gap: 0.3rem 0.9rem; font-size: 0.85rem}}
        .csp-legend i {{display: inline-block; width: 0.9rem; height: 0.9rem; margin-right: 0.3rem;
            vertical-align: -0.1rem; border: 1px solid color-mix(in srgb, currentColor 50%,
            transparent)}}
        .csp-scale {{font-size: 0.85rem; max-width: 34rem; padding-right: 1rem}}
        .csp-steps {{display: flex; height: 0.9rem; margin-top: 0.2rem; border: 1px solid
            color-mix(in srgb, currentColor 50%, transparent)}}
        .csp-steps i {{flex: 1}}
        .csp-ticks {{position: relative; height: 1.4rem}}
        .csp-ticks span {{position: absolute; transform: translateX(-50%);
            font-variant-numeric: tabular-nums}}
        .csp-ticks span:first-child {{transform: none}}
        .csp-ends {{display: flex; justify-content: space-between; gap: 1rem}}
        .st-key-range-view h3 {{font-size: 1.2rem; padding-bottom: 0.2rem}}
        [data-testid="stDeckGlJsonChart"] {{background: {colours.sea}}}
        @media (max-width: 640px) {{
            .stMainBlockContainer {{padding-left: 1rem; padding-right: 1rem}}
            /* Map, list, records: the two columns dissolve into one flow. */
            .st-key-view [data-testid="stColumn"],
            .st-key-view [data-testid="stColumn"] > [data-testid="stVerticalBlock"]
                {{display: contents}}
            .st-key-view [data-testid="stHorizontalBlock"] {{gap: 0.8rem}}
            .st-key-view :has(> .st-key-records-box) {{order: 1; margin-top: 1rem}}
            .st-key-map-box iframe, .st-key-map-box-2 iframe {{height: {phone}px !important}}
            h1 {{font-size: 1.5rem !important}}
            h2 {{font-size: 1.3rem !important}}
            [class*="st-key-row-"] button {{min-height: 2.75rem}}
        }}
        </style>"""
    )


def model_chip(info: ModelInfo) -> None:
    """Name the model in use and what it knows."""
    facts = [f"**{escape_markdown(info.title)}**", f"{info.num_classes:,} {plural(info)}"]
    if info.license:
        facts.append(f"weights: {escape_markdown(info.license)}")
    st.caption("Model: " + " · ".join(facts))


def knows_species(info: ModelInfo) -> bool:
    """Tell whether a model's classes are known to be species, and not, say, kinds of land."""
    try:
        config = read_model_config(info.directory)
        return names_taxa(config["provenance"]["config"]["data"]["name"])
    except (CspError, OSError, KeyError, TypeError):
        return False  # nobody knows what it was trained on


def plural(info: ModelInfo) -> str:
    """Say what a model ranks: ``species`` or ``classes``."""
    return "species" if knows_species(info) else "classes"


def singular(info: ModelInfo) -> str:
    """Say what one of those is: ``species`` or ``class``."""
    return "species" if knows_species(info) else "class"


def value_meaning(info: ModelInfo, kind: str) -> str:
    """Say what a model's values mean, in the word for what it ranks."""
    return in_its_words(info, VALUE_MEANING[kind])


def in_its_words(info: ModelInfo, text: str) -> str:
    """Give a sentence about species in the word for what a model ranks."""
    if knows_species(info):
        return text
    many = text.replace("listed species", "listed classes")
    return many.replace("places and species", "places and classes").replace("species", "class")


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
        st.subheader("No model yet", anchor=False)
        st.markdown(
            "This page needs a trained model. Train one with `csp train CONFIG`, and name the"
            " folder that holds your models in the environment variable `CSP_MODELS`."
        )
        without_classes(known)
        for info in known:
            if info.problem:
                st.error(escape_markdown(f"{info.name}: {info.problem}"))


def messages(problems: Sequence[str], notices: Sequence[str]) -> None:
    """Say what the address asks for and cannot have, and what was changed in it."""
    for problem in problems:
        st.error(escape_markdown(problem))
    for notice in notices:
        st.info(escape_markdown(notice))


def place_title(lon: float, lat: float) -> tuple[str, str]:
    """Name a place: a heading, and its coordinates where the heading is a city."""
    coordinates = places.format_coordinates(lon, lat)
    found = places.nearest_place(lon, lat)
    if found is None:
        return coordinates, ""
    city, km = found
    distance = "Near" if km < 15 else f"{km:,.0f} km from"
    return escape_markdown(f"{distance} {city.label}"), f"{coordinates}. "


def support_line(report: PlaceReport) -> None:
    """Say in words, with a mark, how much training evidence stands near a place."""
    near = f"{count_of(report.records_within, 'training record', 'training records')} within"
    near += f" {report.radius_km:,.0f} km"
    if report.nearest_km is not None and report.records_within == 0:
        near += f", the nearest about {report.nearest_km:,.0f} km away"
    mark, level = LEVEL_MARKS.get(report.level, ""), escape_markdown(report.level)
    meaning = escape_markdown(LEVEL_MEANING.get(report.level, ""))
    st.markdown(f"{mark} **Support: {level}** – {meaning}; {near}.")


def species_label(classes: ClassTable, taxon: str) -> str:
    """Give a species' common and scientific name."""
    common = classes.common_names[classes.label(taxon)]
    return f"{common} · {taxon}" if common else taxon


def range_link(label: str, taxon: str, link: Mapping[str, str]) -> None:
    """Link to the range map of a species.

    Args:
        label: What the link says.
        taxon: Scientific name.
        link: What the address says beside it.
    """
    st.page_link(RANGE_PAGE, label=label, query_params={**link, "taxon": taxon})


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
