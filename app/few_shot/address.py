"""What the address of the page From places says: model, species, background, and all its places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import streamlit as st

from csp_core import gazetteer
from csp_core.errors import BadRecordError
from csp_core.files import harmless
from csp_core.inference.few_shot import BACKGROUNDS, DEFAULT_ENCODER
from csp_core.store import ModelInfo
from shared import address
from shared.visits import own

# In the address: all places in their order, each an S where it was seen or an N where it was not,
# latitude and longitude; what the next click says; and whether distance counts.
PLACES, MARK, DISTANCE = "places", "mark", "distance"
MOST, MOST_NAME, DECIMALS = 100, 80, 3
MARKS = {"seen": "Seen here", "missed": "Not seen here"}
# The first is meant where the address says nothing.
DISTANCES = ("counts", "off")
BETWEEN = "~"
FULL = f"{MOST} places are all that an address holds; take one out, or use csp few-shot for more."


class Spot(NamedTuple):
    """A place where the species was seen, or was not."""

    lon: float
    lat: float
    seen: bool


@dataclass
class PlacesView:
    """What the address of the page asks for, and what is wrong with it.

    Args:
        info: The model whose embedding is used.
        name: Scientific name of the species, or ``""``.
        background: A key of ``BACKGROUNDS``.
        distance: Whether places far from where it was seen count for less.
        mark: A key of ``MARKS``: what the next click says.
        spots: The places in the order in which they were given.
        place: Longitude and latitude of the pin, or None.
        zoom: Of the map, or None for the whole world.
        problems: What cannot be used.
        notices: What was changed of the pin's place.
    """

    info: ModelInfo
    name: str
    background: str
    distance: bool
    mark: str
    spots: tuple[Spot, ...]
    place: tuple[float, float] | None
    zoom: float | None
    problems: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def places(self, seen: bool) -> tuple[tuple[float, float], ...]:
        """Give longitude and latitude of the places where it was seen, or was not."""
        return tuple((spot.lon, spot.lat) for spot in self.spots if spot.seen is seen)

    @property
    def free(self) -> tuple[float, float] | None:
        """The pin's place where it is none of the places."""
        if self.place is None:
            return None
        mine = _rounded(*self.place)
        return None if any((spot.lon, spot.lat) == mine for spot in self.spots) else mine


def models_of_places(known: Sequence[ModelInfo]) -> dict[str, ModelInfo]:
    """Give the models with a location encoder, by name, in the order in which they are offered."""
    found = [info for info in known if info.problem is None and info.knows_places]
    found.sort(key=lambda info: (info.name != DEFAULT_ENCODER, not info.num_classes))
    return {info.name: info for info in found}


def read_view(known: Mapping[str, ModelInfo]) -> PlacesView:
    """Read the address; what cannot be used becomes a sentence.

    Args:
        known: The models with a location encoder, of which there is one at least.

    Returns:
        What to show.
    """
    problems: list[str] = []
    notices: list[str] = []
    first = next(iter(known.values()))
    given = st.query_params
    asked = given.get("model") or first.name
    if asked not in known:
        problems.append(
            f"Model {asked} knows no places, or is not here. Models that do: {', '.join(known)}."
            f" Using {first.name} instead."
        )
    lon, lat = (address.read_number(name, None, problems) for name in ("lon", "lat"))
    place = None if lon is None or lat is None else address.tidy(lon, lat, notices, problems)
    return PlacesView(
        info=known.get(asked, first),
        name=" ".join(harmless(given.get("name", "")).split())[:MOST_NAME],
        background=address.read_word("background", tuple(BACKGROUNDS), problems),
        distance=address.read_word(DISTANCE, DISTANCES, problems) == DISTANCES[0],
        mark=address.read_word(MARK, tuple(MARKS), problems),
        spots=read_spots(given.get(PLACES, ""), problems),
        place=place,
        zoom=address.read_zoom(None, problems),
        problems=problems,
        notices=notices,
    )


def read_spots(text: str, problems: list[str]) -> tuple[Spot, ...]:
    """Read places of an address.

    Args:
        text: As ``write_spots`` writes them.
        problems: A sentence is added for what is no place, and where there are too many.

    Returns:
        The places.

    Example:
        >>> read_spots("S52.5_13.4~N40_-3", [])
        (Spot(lon=13.4, lat=52.5, seen=True), Spot(lon=-3.0, lat=40.0, seen=False))
    """
    found = []
    parts = text.split(BETWEEN, MOST)
    if len(parts) > MOST:
        problems.append(f"The address holds more than {MOST} places; the first {MOST} are used.")
    for part in filter(None, parts[:MOST]):
        try:
            lat, lon = map(float, part[1:].split("_"))
            if part[0] not in "SN":
                raise ValueError(part)
            if not max(abs(lon), abs(lat)) <= 360:
                raise ValueError(part)
            lon, lat, notice = gazetteer.tidy_coordinates(lon, lat)
        except (BadRecordError, ValueError):
            problems.append(
                f"{harmless(part[:40])} in the address is no place; give S or N with latitude and"
                " longitude, such as S52.5_13.4, within 90 and 180 degrees."
            )
            continue
        problems += [notice] if notice else []
        found.append(Spot(*_rounded(lon, lat), part[0] == "S"))
    return tuple(found)


def write_spots(spots: Sequence[Spot]) -> str:
    """Write places as a part of an address.

    Args:
        spots: The places.

    Returns:
        Text without a letter that an address would have to escape.

    Example:
        >>> write_spots([Spot(13.4, 52.5, True), Spot(-3.0, 40.0, False)])
        'S52.5_13.4~N40_-3'
    """
    return BETWEEN.join(
        f"{'S' if spot.seen else 'N'}{_degrees(spot.lat)}_{_degrees(spot.lon)}" for spot in spots
    )


def set_spots(spots: Sequence[Spot], **others: str) -> None:
    """Write places to the address, in one step of the browser's history.

    Args:
        spots: The places.
        **others: What else changes.
    """
    params = st.query_params.to_dict() | others | {PLACES: write_spots(spots)}
    st.query_params.from_dict({name: value for name, value in params.items() if value})


def add_spot(lon: float, lat: float, view: Mapping[str, str] | None = None) -> None:
    """Add a place that was clicked or typed.

    Args:
        lon: Longitude, degrees.
        lat: Latitude, degrees.
        view: Where the map that was clicked looks, as parts of an address.
    """
    spots = read_spots(st.query_params.get(PLACES, ""), [])
    pin = address.place_of(lon, lat) | dict(view or {})
    if len(spots) >= MOST:
        st.session_state[own("said")] = FULL
        set_spots(spots, **pin)
        return
    spot = Spot(*_rounded(lon, lat), st.query_params.get(MARK) != "missed")
    set_spots([*spots, spot], **pin)


def take_back(view: Mapping[str, str] | None = None) -> None:
    """Take out the place that was given last, and put the pin to the one before."""
    spots = read_spots(st.query_params.get(PLACES, ""), [])[:-1]
    pin = address.place_of(spots[-1].lon, spots[-1].lat) if spots else {"lon": "", "lat": ""}
    set_spots(spots, **pin, **dict(view or {}))


def clear() -> None:
    """Take out all places."""
    set_spots((), lon="", lat="")


def link_to(view: PlacesView) -> str:
    """Give the full address of a view, without what was refused."""
    told = view.background
    params = {
        "model": view.info.name,
        "name": view.name,
        "background": "" if told == next(iter(BACKGROUNDS)) else told,
        DISTANCE: "" if view.distance else DISTANCES[1],
        PLACES: write_spots(view.spots),
    }
    return address.full_address({name: value for name, value in params.items() if value})


def _rounded(lon: float, lat: float) -> tuple[float, float]:
    return round(lon, DECIMALS) + 0.0, round(lat, DECIMALS) + 0.0


def _degrees(value: float) -> str:
    return f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".")
