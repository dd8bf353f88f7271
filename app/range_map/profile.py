"""What is known of a species beside its map: its names, where and how often it is recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from urllib.parse import quote

import streamlit as st

from csp_core import gazetteer
from csp_core.model import DualEncoder
from csp_core.store import ModelInfo
from mapping.evidence import Evidence, read_evidence
from range_map.layer import Layer
from shared import resources
from shared.words import count_of, escape_markdown, knows_species, plural, reworded

MOST_COUNTRIES = 4
AT_SEA = "the sea"
# Where a scientific name can be looked up: what the place is called, and its address of a name.
# eBird's pages of species bear codes of its own, which no model knows, and it documents no address
# that looks a name up: its page with the box for names is opened. The name goes with it, but may
# have to be typed there.
PLACES: dict[str, tuple[str, Callable[[str], str]]] = {
    "gbif": ("GBIF", lambda name: f"https://www.gbif.org/species/search?q={quote(name)}"),
    "inaturalist": (
        "iNaturalist",
        lambda name: f"https://www.inaturalist.org/taxa/search?q={quote(name)}",
    ),
    "ebird": ("eBird", lambda name: f"https://ebird.org/explore?q={quote(name)}"),
    "xeno-canto": (
        "xeno-canto",
        lambda name: f"https://xeno-canto.org/species/{quote(name.replace(' ', '-'))}",
    ),
}
USUAL = ("gbif", "inaturalist")


def links_of(info: ModelInfo) -> tuple[str, ...]:
    """Tell where the classes of a model can be looked up.

    Args:
        info: The model.

    Returns:
        Keys of ``PLACES``: what its card says, or the usual ones where it ranks real species.
    """
    said = info.introduction.links
    if said is not None:
        return said
    invented = bool(info.introduction.singular)
    return USUAL if knows_species(info) and not invented else ()


def countries(evidence: Evidence) -> list[tuple[str, int]]:
    """Count records by country, the most recorded first; those at sea under ``AT_SEA``."""
    found: Counter[str] = Counter()
    for lon, lat, records in evidence.cells:
        found[_country_of(lon, lat, evidence.degrees)] += records
    return sorted(found.items(), key=lambda one: (-one[1], one[0]))


def _country_of(lon: float, lat: float, degrees: float) -> str:
    """Name the country that a cell lies in: of its middle, or where that is sea of most of it."""
    if country := gazetteer.country_at(lon, lat):
        return country
    steps = [part * degrees / 2.5 for part in (-1, 0, 1)]
    around = [gazetteer.country_at(lon + x, lat + y) for x in steps for y in steps]
    found = Counter(country for country in around if country)
    return found.most_common(1)[0][0] if found else AT_SEA


@st.cache_data(show_spinner=False, max_entries=256)
def _countries(
    content: str, taxon: str, _model: DualEncoder
) -> tuple[list[tuple[str, int]], float]:
    evidence = read_evidence(_model, taxon)
    return (countries(evidence), evidence.degrees) if evidence else ([], 0.0)


def draw_profile(layer: Layer) -> None:
    """Say what a species is called, how often and where it is recorded, and where to read more."""
    classes, taxon = layer.model.classes, layer.taxon
    common = classes.common_names[classes.label(taxon)]
    name = f"**{escape_markdown(common)}** · " if common else ""
    lines = [f"{name}*{escape_markdown(taxon)}*"]
    total, own = sum(classes.counts), classes.counts[classes.label(taxon)]
    if total:
        said = reworded(count_of(own, "recording", "recordings"), layer.info)
        what = escape_markdown(plural(layer.info))
        of_all = f"{own / (classes.records or total):.2%}".replace("%", " %")
        if classes.records is None:
            lines.append(f"{said}, of {total:,} of {len(classes):,} {what} ({of_all}).")
        else:
            lines.append(f"In {own:,} of {classes.records:,} label sets ({of_all}).")
    found, degrees = _countries(resources.content_hash(layer.info), taxon, layer.model)
    if found:
        most = ", ".join(f"{escape_markdown(where)} ({n:,})" for where, n in found[:MOST_COUNTRIES])
        rest = sum(where != AT_SEA for where, _ in found[MOST_COUNTRIES:])
        more = f" and {count_of(rest, 'more country', 'more countries')}" if rest > 0 else ""
        how = reworded("Recorded most", layer.info)
        lines.append(f"{how} in {most}{more}, counted by cells of {degrees:g}°.")
    if links := links_of(layer.info):
        listed = " · ".join(f"[{PLACES[key][0]}]({PLACES[key][1](taxon)})" for key in links)
        lines.append(f"Look it up on the net: {listed}")
    st.markdown("  \n".join(lines))
