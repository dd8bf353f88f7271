"""The pages' address: the one source of truth for model, place, zoom, species and threshold.

It is read anew in every run, and every widget and the map write to it. So each view is a link, and
the browser's back button works. Widgets are not bound to it by Streamlit itself, because a bound
widget drops a value that it cannot use without a word.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import streamlit as st

from csp_core import places
from csp_core.catalog import ModelInfo
from csp_core.errors import BadRecordError

MAX_ZOOM = 12
# Words that ``threshold`` may be, beside a value.
NO_LINE, OVERALL, FITTED = "none", "overall", ("max_tss", "recall_90")


@dataclass
class RangeView:
    """What the address of the Range map page asks for, and what is wrong with it.

    Args:
        info: The model.
        taxon: The species, or None for one that the page chooses.
        other_info: The second model; the first one where only a species is compared.
        other_taxon: The species to compare with, or None.
        difference: Whether a comparison is one map of differences.
        threshold: A value, a word of this module, or None for the page's choice.
        lon: Longitude as asked for.
        lat: Latitude as asked for.
        place: Where the value is read, or None.
        zoom: Zoom of the map, or None for the whole world.
        month: 1 to 12, or None.
        guesses: Whether values are shown where the model extrapolates.
        notices: What was changed.
        problems: What cannot be used.
    """

    info: ModelInfo
    taxon: str | None
    other_info: ModelInfo
    other_taxon: str | None
    difference: bool
    threshold: str | float | None
    lon: float | None
    lat: float | None
    place: tuple[float, float] | None
    zoom: float | None
    month: int | None
    guesses: bool
    notices: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def compares(self) -> bool:
        """Whether a second map is asked for."""
        return self.other_taxon is not None or self.other_info is not self.info


def usable(known: list[ModelInfo]) -> dict[str, ModelInfo]:
    """Give the models that can be asked about species, by name.

    Args:
        known: All models.

    Returns:
        Those that are whole and have classes.
    """
    return {info.name: info for info in known if info.problem is None and info.num_classes}


def read_range(known: list[ModelInfo]) -> RangeView:
    """Read the address of the Range map page; what cannot be used becomes a sentence.

    Args:
        known: The models, of which at least one is usable.

    Returns:
        What to show; species are not looked up yet.
    """
    problems: list[str] = []
    notices: list[str] = []
    given = st.query_params
    lon, lat = (read_number(name, None, problems) for name in ("lon", "lat"))
    place = None if lon is None or lat is None else tidy(lon, lat, notices, problems)
    if ("lon" in given) != ("lat" in given):
        alone, other = ("lon", "lat") if "lon" in given else ("lat", "lon")
        problems.append(
            f"{alone}={given.get(alone)} in the address is half a place; give {other} beside it."
        )
        lon = lat = None
    lon, lat = place or (lon, lat)
    zoom = read_number("zoom", None, problems)
    month = read_month(problems)
    info = read_model("model", known, problems)
    return RangeView(
        info=info,
        taxon=given.get("taxon") or None,
        other_info=read_model("compare_model", known, problems, info),
        other_taxon=given.get("compare") or None,
        difference=given.get("show") == "difference",
        threshold=_read_threshold(problems),
        lon=lon,
        lat=lat,
        place=place,
        zoom=None if zoom is None else min(float(MAX_ZOOM), max(0.0, zoom)),
        month=month,
        guesses=given.get("guesses") == "shown",
        notices=notices,
        problems=problems,
    )


def read_month(problems: list[str]) -> int | None:
    """Read the month of the address; a sentence is added for what is none."""
    month = read_number("month", None, problems)
    if month is not None and month not in range(1, 13):
        given = st.query_params["month"]
        problems.append(f"month={given} in the address is no month; give 1 to 12.")
        month = None
    return None if month is None else int(month)


def _read_threshold(problems: list[str]) -> str | float | None:
    given = st.query_params.get("threshold", "")
    words = (NO_LINE, OVERALL, *FITTED)
    if not given or given in words:
        return given or None
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if 0 < value <= 1:
        return value
    problems.append(
        f"threshold={given} in the address is no threshold; give a value above 0 and up to 1, or"
        f" one of {', '.join(words)}."
    )
    return None


def tidy(
    lon: float, lat: float, notices: list[str], problems: list[str]
) -> tuple[float, float] | None:
    """Bring a place to the usual range, and say so; None for one that is not on Earth."""
    try:
        lon, lat, notice = places.tidy_coordinates(lon, lat)
    except BadRecordError as error:
        problems.append(str(error))
        return None
    notices += [notice] if notice else []
    return lon, lat


def read_number(
    name: str, default: float | None, problems: list[str], instead: str = ""
) -> float | None:
    """Read a number of the address.

    Args:
        name: Its part of the address.
        default: What stands for it where there is none, or none that can be used.
        problems: A sentence is added for what is no number.
        instead: End of that sentence.

    Returns:
        The number.
    """
    given = st.query_params.get(name, "")
    if not given:
        return default
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value
    problems.append(f"{name}={given} in the address is not a number{instead}.")
    return None


def read_model(
    param: str, known: list[ModelInfo], problems: list[str], default: ModelInfo | None = None
) -> ModelInfo:
    """Read a model of the address.

    Args:
        param: Its part of the address.
        known: All models, of which at least one is usable.
        problems: A sentence is added for a model that cannot be used.
        default: Which to take without one; the first if None.

    Returns:
        The model.
    """
    choice = usable(known)
    first = default or next(iter(choice.values()))
    name = st.query_params.get(param, first.name)
    if name in choice:
        return choice[name]
    damaged = [info.problem for info in known if info.name == name and info.problem]
    bare = [info for info in known if info.name == name and not info.problem]
    why = f"cannot be loaded ({damaged[0]})" if damaged else "is not here"
    why = "has no classes, so it knows no species" if bare else why
    problems.append(
        f"Model {name} {why}. Models: {', '.join(choice)}. Showing {first.name} instead."
    )
    return first


def place_params() -> tuple[str | None, str | None]:
    """Give the longitude and latitude of the address as they are written there."""
    return st.query_params.get("lon"), st.query_params.get("lat")


def set_place(lon: float, lat: float) -> None:
    """Write a place to the address, with the zoom of the map if it is known."""
    params = place_of(lon, lat)
    if zoom := st.session_state.get("zoom"):
        params["zoom"] = str(zoom)
    st.query_params.update(params)


def set_param(name: str, value: str | None) -> None:
    """Write one part of the address, or take it out."""
    if value:
        st.query_params[name] = value
    else:
        st.query_params.pop(name, None)


def set_taxon(taxon: str | None) -> None:
    """Write a species to the address, or take it out."""
    set_param("taxon", taxon)


def set_model(name: str) -> None:
    """Write a model to the address; the species goes, as another model knows others."""
    st.query_params["model"] = name
    set_taxon(None)


def place_of(lon: float, lat: float) -> dict[str, str]:
    """Give a place as parts of an address."""
    return {"lat": _degrees(lat), "lon": _degrees(lon)}


def full_address(params: Mapping[str, str]) -> str:
    """Give the address of the page in use with other parts."""
    return f"{(st.context.url or '').split('?')[0]}?{urlencode(params)}"


def _degrees(value: float) -> str:
    # Four decimals are about ten metres, far finer than any model.
    return f"{round(value, 4) + 0.0:.4f}".rstrip("0").rstrip(".")
