"""What the address of the Explore page says: model, place, zoom, species, month and order."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from csp_core.errors import CspError
from csp_core.store import Example, ModelInfo
from shared import resources
from shared.address import (
    CENTRE,
    WHOLE_YEAR,
    full_address,
    opens_with,
    place_of,
    read_model,
    read_month,
    read_number,
    read_week,
    read_word,
    read_zoom,
    tidy,
)

# Where the page opens for a model that says nothing and counts no records.
SOMEWHERE = Example("Nairobi", 36.8, -1.3)
ZOOM = 4
# What ``sort`` in the address may be.
BY_LIFT = "lift"
# Of the names that are listed, how much may be asked for.
MOST_WANTED = 100


@dataclass
class View:
    """What the address of the Explore page asks for, and what is wrong with it.

    Args:
        info: The model.
        place: Where the pin stands.
        zoom: Zoom of the map.
        taxon: The species whose records are on the map, or None.
        month: 1 to 12, or None.
        week: 1 to 48, four a month, which goes before a month; or None.
        whole_year: Whether the address asks for no time of the year.
        by_lift: Whether the list begins with what is more recorded here than elsewhere.
        wanted: A part of the names that are listed.
        refused: What it gives for longitude and latitude if that is no place on Earth.
        notices: What was changed of the place.
        problems: What cannot be used.
        beside: The same of the place, to be said beside its boxes.
    """

    info: ModelInfo
    place: tuple[float, float]
    zoom: int
    taxon: str | None
    month: int | None = None
    week: int | None = None
    whole_year: bool = False
    by_lift: bool = False
    wanted: str = ""
    refused: tuple[float, float] | None = None
    notices: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)


def start_of(info: ModelInfo) -> Example:
    """Say where the page opens: at the first example of the model, or where its records are.

    Args:
        info: The model.

    Returns:
        The place.
    """
    if info.introduction.examples:
        return info.introduction.examples[0]
    try:
        support = resources.model(info).support
    except CspError:  # the page says so when it asks the model
        return SOMEWHERE
    found = None if support is None else support.most_recorded()
    return SOMEWHERE if found is None else Example("where most was recorded", *found)


def read_view(known: list[ModelInfo]) -> View:
    """Read the address of the Explore page; what cannot be used becomes a sentence and a default.

    Args:
        known: The models, of which at least one is usable.

    Returns:
        What to show.
    """
    problems: list[str] = []
    notices: list[str] = []
    beside: list[str] = []
    info = read_model("model", known, problems, opens_with(known))
    start = start_of(info)
    instead = f"; showing {start.name} instead"
    lon = read_number("lon", start.lon, beside, instead)
    lat = read_number("lat", start.lat, beside, instead)
    if lon is None or lat is None:
        lon, lat = start.lon, start.lat
    place = tidy(lon, lat, notices, beside)
    if place is None:
        beside[-1] += f" Showing {start.name} instead."
    zoom = read_zoom(float(ZOOM), problems)
    return View(
        info=info,
        place=place or (start.lon, start.lat),
        zoom=ZOOM if zoom is None else round(zoom),
        taxon=st.query_params.get("taxon") or None,
        month=read_month(problems),
        week=read_week(problems),
        whole_year=st.query_params.get("month") == WHOLE_YEAR,
        by_lift=read_word("sort", ("", BY_LIFT), problems) == BY_LIFT,
        wanted=st.query_params.get("find", "")[:MOST_WANTED],
        refused=None if place else (lon, lat),
        notices=notices,
        problems=problems,
        beside=beside,
    )


def link_to(view: View) -> str:
    """Give the full address of a view, defaults included."""
    params = {"model": view.info.name, **place_of(*view.place)}
    seen = {name: st.query_params[name] for name in ("zoom", CENTRE) if name in st.query_params}
    params |= {"zoom": str(view.zoom)} | seen
    if view.taxon:
        params["taxon"] = view.taxon
    if view.week:
        params["week"] = str(view.week)
    elif view.month or view.whole_year:
        params["month"] = str(view.month or WHOLE_YEAR)
    if view.by_lift:
        params["sort"] = BY_LIFT
    if view.wanted:
        params["find"] = view.wanted
    return full_address(params)
