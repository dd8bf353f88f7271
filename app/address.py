"""The page's address: the one source of truth for model, place, zoom and species.

It is read anew in every run, and every widget and the map write to it. So each view is a link, and
the browser's back button works. Widgets are not bound to it by Streamlit itself, because a bound
widget drops a value that it cannot use without a word.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from urllib.parse import urlencode

import streamlit as st

from csp_core import places
from csp_core.catalog import ModelInfo
from csp_core.errors import BadRecordError

NAIROBI = (36.8, -1.3)
ZOOM = 4
MAX_ZOOM = 12
# In the session's state: another page was drawn since.
AWAY = "away"


@dataclass
class View:
    """What the address asks for, and what is wrong with it."""

    info: ModelInfo
    lon: float
    lat: float
    place: tuple[float, float] | None
    zoom: int
    taxon: str | None
    notices: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def come_back() -> None:
    """Restore the address that a visit to another page took away; a link with its own wins."""
    state = st.session_state
    if state.pop(AWAY, False):
        for name in ("start", "center", "shown"):
            state.pop(name, None)
        if not st.query_params:
            st.query_params.update(state.get("address", {}))
    state["address"] = st.query_params.to_dict()


def read_view(known: list[ModelInfo]) -> View:
    """Read the address; whatever cannot be used becomes a sentence and a default.

    Args:
        known: The models, of which at least one can be loaded.

    Returns:
        What to show. ``place`` is None where the coordinates are no place on Earth.
    """
    problems: list[str] = []
    notices: list[str] = []
    lon, lat, zoom = (_number(name, problems) for name in ("lon", "lat", "zoom"))
    if lon is None or lat is None:
        lon, lat = NAIROBI
    place: tuple[float, float] | None = None
    try:
        lon, lat, notice = places.tidy_coordinates(lon, lat)
        place = lon, lat
        notices += [notice] if notice else []
    except BadRecordError as error:
        problems.append(str(error))
    return View(
        info=_read_model(known, problems),
        lon=lon,
        lat=lat,
        place=place,
        zoom=min(MAX_ZOOM, max(1, round(zoom or ZOOM))),
        taxon=st.query_params.get("taxon") or None,
        notices=notices,
        problems=problems,
    )


def _number(name: str, problems: list[str]) -> float | None:
    defaults = {"lon": NAIROBI[0], "lat": NAIROBI[1], "zoom": float(ZOOM)}
    given = st.query_params.get(name, "")
    try:
        value = float(given) if given else defaults[name]
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value
    instead = "" if name == "zoom" else "; showing Nairobi instead"
    problems.append(f"{name}={given} in the address is not a number{instead}.")
    return None


def _read_model(known: list[ModelInfo], problems: list[str]) -> ModelInfo:
    usable = {info.name: info for info in known if info.problem is None}
    first = next(iter(usable.values()))
    name = st.query_params.get("model", first.name)
    if name in usable:
        return usable[name]
    broken = [info.problem for info in known if info.name == name]
    why = f"cannot be loaded ({broken[0]})" if broken else "is not here"
    problems.append(
        f"Model {name} {why}. Models: {', '.join(usable)}. Showing {first.name} instead."
    )
    return first


def place_params() -> tuple[str | None, str | None]:
    """Give the longitude and latitude of the address as they are written there."""
    return st.query_params.get("lon"), st.query_params.get("lat")


def set_place(lon: float, lat: float) -> None:
    """Write a place to the address, with the zoom of the map if it is known."""
    params = {"lat": _degrees(lat), "lon": _degrees(lon)}
    if zoom := st.session_state.get("zoom"):
        params["zoom"] = str(zoom)
    st.query_params.update(params)


def set_taxon(taxon: str | None) -> None:
    """Write a species to the address, or take it out."""
    if taxon:
        st.query_params["taxon"] = taxon
    else:
        st.query_params.pop("taxon", None)


def set_model(name: str) -> None:
    """Write a model to the address; the species goes, as another model knows others."""
    st.query_params["model"] = name
    set_taxon(None)


def link_to(view: View) -> str:
    """Give the full address of a view, defaults included."""
    params = {"model": view.info.name, "lat": _degrees(view.lat), "lon": _degrees(view.lon)}
    params["zoom"] = str(st.session_state.get("zoom") or view.zoom)
    if view.taxon:
        params["taxon"] = view.taxon
    return f"{(st.context.url or '').split('?')[0]}?{urlencode(params)}"


def _degrees(value: float) -> str:
    # Four decimals are about ten metres, far finer than any model.
    return f"{round(value, 4) + 0.0:.4f}".rstrip("0").rstrip(".")
