"""What the address of the Photo page says: model, example, and what replaces the photo's own data.

Place, radius and date stand in it only where they are not those of the photo's file, so that an
example is a link; an uploaded photo is not.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

import streamlit as st

from csp_core.store import ModelInfo
from shared import address
from shared.visits import own

# What the date box offers, beside the day of the photo's file.
FIRST_DAY, LAST_DAY = datetime.date(1800, 1, 1), datetime.date(2100, 12, 31)
# Of a photo; the rest of the address holds for all.
OWN = ("lat", "lon", "radius", "date", "place")
UNKNOWN, IGNORED = "unknown", "ignored"
MOST_KM, MOST_WEIGHT = 2000.0, 3.0
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
        notices: What was changed.
        problems: What cannot be used.
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


def read_view(known: list[ModelInfo]) -> PhotoView:
    """Read the address; what cannot be used becomes a sentence.

    Args:
        known: The models, of which at least one is usable.

    Returns:
        What to show.
    """
    problems: list[str] = []
    notices: list[str] = []
    given = st.query_params
    lon, lat = (address.read_number(name, None, problems) for name in ("lon", "lat"))
    zoom = address.read_number("zoom", None, problems)
    place = None
    if lon is not None and lat is not None:
        place = address.tidy(lon, lat, notices, problems)
        lon, lat = place or (lon, lat)
    elif ("lon" in given) != ("lat" in given):
        problems.append("Half a place stands in the address; give lat and lon.")
        lon = lat = None
    return PhotoView(
        info=address.read_model("model", known, problems, first_model(known)),
        example=given.get("example") or None,
        place=place,
        lon=lon,
        lat=lat,
        radius_km=_within("radius", MOST_KM, "a radius in kilometres", problems),
        date=_read_date(problems),
        ignored=given.get("place") == IGNORED,
        weight=_within("weight", MOST_WEIGHT, "a weight", problems),
        zoom=None if zoom is None else min(float(address.MAX_ZOOM), max(0.0, zoom)),
        notices=notices,
        problems=problems,
    )


def first_model(known: list[ModelInfo]) -> ModelInfo:
    """Give the model that the page opens with: one that sees images, if there is any."""
    choice = list(address.usable(known).values())
    return next((info for info in choice if info.sees_images), choice[0])


def _within(name: str, most: float, what: str, problems: list[str]) -> float | None:
    value = address.read_number(name, None, problems)
    if value is None or 0 <= value <= most:
        return value
    problems.append(f"{name}={value:g} in the address is not {what}; give 0 to {most:g}.")
    return None


def _read_date(problems: list[str]) -> datetime.date | str | None:
    given = st.query_params.get("date", "")
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
    for name in ("clicked", "shown"):
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
