"""What all pages share of the address, the one source of truth for what they show.

It is read anew in every run, and every widget and the map write to it. So each view is a link, and
the browser's back button works. Widgets are not bound to it by Streamlit itself, because a bound
widget drops a value that it cannot use without a word.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from urllib.parse import urlencode

import streamlit as st

from csp_core import gazetteer
from csp_core.errors import BadRecordError
from csp_core.store import ModelInfo
from shared import visits

# Of maps of the world, and of maps of one scene, where a pixel may be a metre.
MAX_ZOOM, CLOSEST = 12, 18
# Digits of a degree: about ten metres, far finer than any model of places; and a tenth of one.
DECIMALS, FINE_DECIMALS = 4, 6
# In the address: where a map looks, as its page in the browser writes it.
CENTRE = "centre"
# The model whose answers reach furthest.
OPENS_WITH = "world_birds"
# What ``month`` says where no month is meant, for models that open with the present week.
WHOLE_YEAR = "year"


def usable(known: list[ModelInfo]) -> dict[str, ModelInfo]:
    """Give the models that can be asked about species, by name.

    Args:
        known: All models.

    Returns:
        Those that are whole and have classes, and say more than what single pixels are; not those
        of pictures that take their places from another, which can be asked itself.
    """
    return {
        info.name: info
        for info in known
        if info.problem is None
        and info.num_classes
        and not (for_pixels_alone(info) or info.borrows)
    }


def for_pixels_alone(info: ModelInfo) -> bool:
    """Tell whether a model names the pixels of pictures and neither places nor whole pictures."""
    return info.maps_pixels and not (info.sees_images or info.knows_places)


def read_month(problems: list[str]) -> int | None:
    """Read the month of the address; a sentence is added for what is none."""
    if st.query_params.get("month") == WHOLE_YEAR:
        return None
    return _read_part("month", 12, problems)


def read_week(problems: list[str]) -> int | None:
    """Read the week of the address, four a month; a sentence is added for what is none."""
    return _read_part("week", 48, problems)


def _read_part(name: str, most: int, problems: list[str]) -> int | None:
    part = read_number(name, None, problems)
    if part is not None and part not in range(1, most + 1):
        given = st.query_params[name]
        problems.append(f"{name}={given} in the address is no {name}; give 1 to {most}.")
        part = None
    return None if part is None else int(part)


def tidy(
    lon: float, lat: float, notices: list[str], problems: list[str]
) -> tuple[float, float] | None:
    """Bring a place to the usual range, and say so; None for one that is not on Earth."""
    try:
        lon, lat, notice = gazetteer.tidy_coordinates(lon, lat)
    except BadRecordError as error:
        problems.append(str(error))
        return None
    notices += [notice] if notice else []
    return lon, lat


def read_number(
    name: str,
    default: float | None,
    problems: list[str],
    instead: str = "",
    given: Mapping[str, str] | None = None,
) -> float | None:
    """Read a number of the address.

    Args:
        name: Its part of the address.
        default: What stands for it where there is none, or none that can be used.
        problems: A sentence is added for what is no number.
        instead: End of that sentence.
        given: Parts of an address; those of the page in use if None.

    Returns:
        The number.
    """
    text = (st.query_params if given is None else given).get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value
    problems.append(f"{name}={text} in the address is not a number{instead}.")
    return None


def read_word(name: str, choice: Collection[str], problems: list[str]) -> str:
    """Read a word of the address.

    Args:
        name: Its part of the address.
        choice: What it may be; the first stands for it where there is none.
        problems: A sentence is added for any other.

    Returns:
        The word.
    """
    first = next(iter(choice))
    given = st.query_params.get(name) or first
    if given in choice:
        return given
    words = ", ".join(filter(None, choice))
    what = f"is none of {words}; showing {first} instead" if first else "means nothing here"
    what += "" if first else f"; give {words}, or leave it out"
    problems.append(f"{name}={given} in the address {what}.")
    return first


def read_zoom(default: float | None, problems: list[str], most: int = MAX_ZOOM) -> float | None:
    """Read how near the map of the address looks, and check where it looks.

    Args:
        default: The zoom where there is none.
        problems: A sentence is added for what no map shows.
        most: How near the map can look.

    Returns:
        0 to ``most``.
    """
    zoom = read_number("zoom", default, problems)
    if zoom is not None and not 0 <= zoom <= most:
        problems.append(f"zoom={zoom:g} in the address is beyond the map's 0 to {most}.")
        zoom = min(float(most), max(0.0, zoom))
    if given := st.query_params.get(CENTRE):
        try:
            lat, lon = map(float, given.split("_"))
        except ValueError:
            lat = lon = math.nan
        if not (abs(lat) <= 90 and abs(lon) <= 180):
            problems.append(
                f"{CENTRE}={given} in the address is nowhere on the map; give a latitude and a"
                " longitude with _ between them."
            )
    return zoom


def model_of_places(known: list[ModelInfo]) -> ModelInfo:
    """Give the model that the Explore page would open with: the last one chosen, else the first.

    Args:
        known: All models, of which at least one is usable.

    Returns:
        The model.
    """
    return usable(known).get(visits.shared_now().get("model", ""), opens_with(known))


def opens_with(known: list[ModelInfo]) -> ModelInfo:
    """Give the model that the Explore page opens with where nobody has chosen one.

    Args:
        known: All models, of which at least one is usable.

    Returns:
        The one that ``CSP_OPENS_WITH`` names, if it is usable; else ``world_birds`` or the first.
    """
    choice = usable(known)
    named = choice.get(os.environ.get("CSP_OPENS_WITH") or OPENS_WITH)
    return named or next(iter(choice.values()))


def read_model(
    param: str,
    known: list[ModelInfo],
    problems: list[str],
    default: ModelInfo | None = None,
    choice: dict[str, ModelInfo] | None = None,
) -> ModelInfo:
    """Read a model of the address.

    Args:
        param: Its part of the address.
        known: All models, of which at least one is usable.
        problems: A sentence is added for a model that cannot be used.
        default: Which to take without one; the first if None.
        choice: Those that the page can ask, by name; the usable ones if None.

    Returns:
        The model.
    """
    choice = usable(known) if choice is None else choice
    first = default or next(iter(choice.values()))
    name = st.query_params.get(param, first.name)
    if name in choice:
        return choice[name]
    damaged = [info.problem for info in known if info.name == name and info.problem]
    bare = [info for info in known if info.name == name and not info.problem]
    why = f"cannot be loaded ({damaged[0]})" if damaged else "is not here"
    if bare:
        why = "has no classes, so it knows no species"
        if for_pixels_alone(bare[0]):
            why = "names the pixels of pictures from above, for the Segment page"
        elif bare[0].borrows:
            why = f"looks at pictures, for the Photo page; {bare[0].borrows} says its places"
    problems.append(
        f"Model {name} {why}. Models: {', '.join(choice)}. Showing {first.name} instead."
    )
    return first


def place_params() -> tuple[str | None, str | None]:
    """Give the longitude and latitude of the address as they are written there."""
    return st.query_params.get("lon"), st.query_params.get("lat")


def set_place(
    lon: float, lat: float, view: Mapping[str, str] | None = None, decimals: int = DECIMALS
) -> None:
    """Write a place to the address, in one step of the browser's history.

    Args:
        lon: Longitude, degrees.
        lat: Latitude, degrees.
        view: Where the map that was clicked looks, as of ``view_of``; for a place that was chosen
            otherwise None, as the map will move.
        decimals: Digits of a degree.
    """
    params = st.query_params.to_dict() | place_of(lon, lat, decimals)
    if view is None:
        params.pop(CENTRE, None)
    st.query_params.from_dict(params | dict(view or {}))


def read_centre() -> tuple[float, float, float] | None:
    """Read where the map of the address looks.

    Returns:
        Longitude, latitude and zoom; None where the address says nothing of it that can be used,
        when the map looks where it would without.
    """
    given = [*st.query_params.get(CENTRE, "").split("_"), st.query_params.get("zoom", "")]
    try:
        lat, lon, zoom = map(float, given)
    except ValueError:
        return None
    on_the_map = abs(lat) <= 90 and abs(lon) <= 180 and 0 <= zoom <= CLOSEST
    return (lon, lat, zoom) if on_the_map else None


def view_of(centre: object, zoom: object) -> dict[str, str]:
    """Give where a map looks as parts of an address, as the browser has written them already.

    Args:
        centre: Latitude and longitude as text, parted by ``_``.
        zoom: The map's zoom.

    Returns:
        The parts; none if either is missing.
    """
    if not isinstance(centre, str) or not isinstance(zoom, int | float):
        return {}
    return {CENTRE: centre[:40], "zoom": f"{zoom:g}"}


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


def place_of(lon: float, lat: float, decimals: int = DECIMALS) -> dict[str, str]:
    """Give a place as parts of an address."""
    return {"lat": _degrees(lat, decimals), "lon": _degrees(lon, decimals)}


def full_address(params: Mapping[str, str]) -> str:
    """Give the address of the page in use with other parts."""
    return f"{(st.context.url or '').split('?')[0]}?{urlencode(params)}"


def _degrees(value: float, decimals: int) -> str:
    return f"{round(value, decimals) + 0.0:.{decimals}f}".rstrip("0").rstrip(".")
