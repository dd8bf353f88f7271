"""What the address of the Photo page says: model, example, and what replaces the photo's own data.

Place, radius and date stand in it only where they are not those of the photo's file, so that an
example is a link; an uploaded photo is not.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from csp_core.store import ModelInfo
from photo.files import model_of
from shared import address
from shared.visits import own

# What the date box offers, beside the day of the photo's file.
FIRST_DAY, LAST_DAY = datetime.date(1800, 1, 1), datetime.date(2100, 12, 31)
# Of a photo; the rest of the address holds for all.
OWN = ("lat", "lon", "radius", "date", "place")
UNKNOWN, IGNORED = "unknown", "ignored"
MOST_KM, MOST_WEIGHT = 2000.0, 3.0
# The model of real animals, which the set-up makes where the package of its weights is there.
ANIMALS = "animals"
# In the session's state: the photo whose data the address replaces, and what was said of others.
SHOWN, SAID = "photo-current", "photo-said"


@dataclass
class PhotoView:
    """What the address of the Photo page asks for, and what is wrong with it.

    Args:
        info: The model.
        example: File name of an example, or None for the first.
        place: Longitude and latitude instead of the photo's own, or None.
        lon: Longitude as asked for.
        lat: Latitude as asked for.
        radius_km: Within which the place lies, instead of the photo's own, or None.
        date: Instead of the photo's own, ``"unknown"``, or None.
        ignored: Whether the place shall not count.
        weight: Of the place, or None for the fitted one.
        zoom: Of the map, or None for the whole world.
        notices: What was changed of the place.
        problems: What cannot be used.
        beside: The same of place, radius and date, to be said beside their boxes.
    """

    info: ModelInfo
    example: str | None
    place: tuple[float, float] | None
    lon: float | None
    lat: float | None
    radius_km: float | None
    date: datetime.date | str | None
    ignored: bool
    weight: float | None
    zoom: float | None
    notices: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    beside: dict[str, list[str]] = field(default_factory=dict)


def read_view(known: list[ModelInfo]) -> PhotoView:
    """Read the address; what cannot be used becomes a sentence.

    Args:
        known: The models, of which at least one is usable.

    Returns:
        What to show.
    """
    problems: list[str] = []
    example = st.query_params.get("example") or None
    return PhotoView(
        info=address.read_model(
            "model", known, problems, first_model(known, example), choices(known)
        ),
        example=example,
        weight=_within("weight", MOST_WEIGHT, "a weight", problems, st.query_params),
        zoom=address.read_zoom(None, problems),
        problems=problems,
        **_read_own(st.query_params),
    )


def view_of(view: PhotoView, photo: str) -> PhotoView:
    """Give the view of another photo, with what was said of that one.

    Args:
        view: Of the photo that is shown.
        photo: Key of another, or the same.

    Returns:
        The view.
    """
    if is_shown(photo):
        return view
    return replace(view, **_read_own(st.session_state.get(SAID, {}).get(photo, {})))


def set_model(name: str) -> None:
    """Write another model to the address; the fitted weight is another too."""
    address.set_model(name)
    address.set_param("weight", None)


def _read_own(given: Mapping[str, str]) -> dict[str, Any]:
    """Read the parts of an address that are of one photo."""
    notices: list[str] = []
    beside: dict[str, list[str]] = {"place": [], "radius": [], "date": []}
    wrong = beside["place"]
    lon, lat = (address.read_number(name, None, wrong, given=given) for name in ("lon", "lat"))
    place = None
    if lon is not None and lat is not None:
        place = address.tidy(lon, lat, notices, wrong)
        lon, lat = place or (lon, lat)
    elif ("lon" in given) != ("lat" in given):
        wrong.append("Half a place stands in the address; give lat and lon.")
        lon = lat = None
    return {
        "place": place,
        "lon": lon,
        "lat": lat,
        "radius_km": _within("radius", MOST_KM, "a radius in kilometres", beside["radius"], given),
        "date": _read_date(given.get("date", ""), beside["date"]),
        "ignored": given.get("place") == IGNORED,
        "notices": notices,
        "beside": beside,
    }


def says_where(info: ModelInfo) -> bool:
    """Tell whether a model says where a picture may be from, and names nothing in it."""
    return {"image", "location"} <= {*info.compares}


def choices(known: list[ModelInfo]) -> dict[str, ModelInfo]:
    """Give the models that can be asked about a photo, by name: those that name nothing last."""
    borrowing = {one.name: one for one in known if one.problem is None and one.borrows}
    placing = {one.name: one for one in known if one.problem is None and says_where(one)}
    return {**address.usable(known), **borrowing, **placing}


def first_model(known: list[ModelInfo], example: str | None) -> ModelInfo:
    """Give the model that the page opens with: one that knows the example, or sees images.

    Without an example that is ``animals`` where it is set up, as people have photos of animals.
    """
    real = choices(known).get(ANIMALS)
    if example is None and real is not None and real.sees_images:
        return real
    choice = address.usable(known)
    able = [info for info in choice.values() if info.sees_images]
    return choice.get(model_of(example) or "") or next(iter(able or choice.values()))


def opened_by_itself(view: PhotoView) -> bool:
    """Tell whether nobody chose the model of real animals, and the page took it."""
    return view.info.name == ANIMALS and "model" not in st.query_params


def _within(
    name: str, most: float, what: str, problems: list[str], given: Mapping[str, str]
) -> float | None:
    value = address.read_number(name, None, problems, given=given)
    if value is None or 0 <= value <= most:
        return value
    problems.append(f"{name}={value:g} in the address is not {what}; give 0 to {most:g}.")
    return None


def _read_date(given: str, problems: list[str]) -> datetime.date | str | None:
    if not given or given == UNKNOWN:
        return given or None
    try:
        day = datetime.date.fromisoformat(given)
    except ValueError:
        problems.append(f"date={given} in the address is no date; give one such as 2024-05-17.")
        return None
    if FIRST_DAY <= day <= LAST_DAY:
        return day
    years = f"{FIRST_DAY.year} to {LAST_DAY.year}"
    problems.append(f"date={given} in the address is too far away; give one from {years}.")
    return None


def turn_to(photo: str) -> bool:
    """Leave what was said of another photo behind, and take up what was said of this one before.

    Args:
        photo: Key of the photo being shown.

    Returns:
        Whether the address has changed by it.
    """
    state, params = st.session_state, st.query_params
    before = state.get(SHOWN)
    state[SHOWN] = photo
    if before is None or before == photo:
        return False
    said: dict[str, dict[str, str]] = state.setdefault(SAID, {})
    said[before] = {name: params[name] for name in OWN if name in params}
    for name in said[before]:
        params.pop(name)
    params.update(said.get(photo, {}))
    for name in ("clicked", "shown", "typed-place"):
        state.pop(own(name), None)
    return bool(said[before] or said.get(photo))


def is_shown(photo: str) -> bool:
    """Tell whether a photo is the one whose data the address replaces.

    Args:
        photo: Its key.

    Returns:
        False for a late word of a photo that the page has left.
    """
    return bool(st.session_state.get(SHOWN) == photo)


def forget_own(*names: str) -> None:
    """Let the photo's own data count again.

    Args:
        *names: Parts of the address.
    """
    for name in names:
        address.set_param(name, None)


def link_to(view: PhotoView, example: str) -> str:
    """Give the full address of a view of an example."""
    kept = {name: value for name, value in st.query_params.to_dict().items() if name != "zoom"}
    return address.full_address({**kept, "model": view.info.name, "example": example})
