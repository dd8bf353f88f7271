"""What the address of the Explore page says: model, place, zoom, species and month."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from csp_core.store import ModelInfo
from shared.address import (
    CENTRE,
    MAX_ZOOM,
    full_address,
    place_of,
    read_model,
    read_month,
    read_number,
    tidy,
)

NAIROBI = (36.8, -1.3)
ZOOM = 4


@dataclass
class View:
    """What the address of the Explore page asks for, and what is wrong with it."""

    info: ModelInfo
    lon: float
    lat: float
    place: tuple[float, float] | None
    zoom: int
    taxon: str | None
    month: int | None = None
    notices: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_view(known: list[ModelInfo]) -> View:
    """Read the address of the Explore page; what cannot be used becomes a sentence and a default.

    Args:
        known: The models, of which at least one is usable.

    Returns:
        What to show. ``place`` is None where the coordinates are no place on Earth.
    """
    problems: list[str] = []
    notices: list[str] = []
    instead = "; showing Nairobi instead"
    lon = read_number("lon", NAIROBI[0], problems, instead)
    lat = read_number("lat", NAIROBI[1], problems, instead)
    if lon is None or lat is None:
        lon, lat = NAIROBI
    place = tidy(lon, lat, notices, problems)
    lon, lat = place or (lon, lat)
    zoom = read_number("zoom", float(ZOOM), problems) or ZOOM
    return View(
        info=read_model("model", known, problems),
        lon=lon,
        lat=lat,
        place=place,
        zoom=min(MAX_ZOOM, max(1, round(zoom))),
        taxon=st.query_params.get("taxon") or None,
        month=read_month(problems),
        notices=notices,
        problems=problems,
    )


def link_to(view: View) -> str:
    """Give the full address of a view, defaults included."""
    params = {"model": view.info.name, **place_of(view.lon, view.lat)}
    seen = {name: st.query_params[name] for name in ("zoom", CENTRE) if name in st.query_params}
    params |= {"zoom": str(view.zoom)} | seen
    if view.taxon:
        params["taxon"] = view.taxon
    if view.month:
        params["month"] = str(view.month)
    return full_address(params)
