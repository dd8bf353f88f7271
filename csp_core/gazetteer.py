"""Places that people type: coordinates in the usual notations and names of cities."""

from __future__ import annotations

import csv
import difflib
import functools
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from csp_core.errors import BadRecordError, DataNotFoundError
from csp_core.files import asset_path
from csp_core.geo import EARTH_RADIUS_KM, wrap_longitude

FORMATS = "48.2, 16.37 · 48.2 N 16.37 E · 48°12'30\"N 16°22'23\"E · geo:48.2,16.37"

_SIGNS = str.maketrans(
    {"−": "-", "–": "-", "′": "'", "’": "'", "″": '"', "”": '"', "º": "°", "˚": "°"}
)
_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_ANGLE = re.compile(
    rf"(?P<sign>[-+]?)\s*(?P<deg>{_NUMBER})\s*[°:]?"
    rf"(?:\s*(?P<min>{_NUMBER})\s*[':]?(?:\s*(?P<sec>{_NUMBER})\s*(?:\"|'')?)?)?"
)


@dataclass(frozen=True)
class Place:
    """A named place.

    Args:
        name: What it is called.
        country: The country it lies in; empty if not known.
        lon: Longitude, degrees.
        lat: Latitude, degrees.
    """

    name: str
    country: str
    lon: float
    lat: float

    @property
    def label(self) -> str:
        """The name with its country."""
        return f"{self.name}, {self.country}" if self.country else self.name


@dataclass(frozen=True)
class Lookup:
    """What was found for a typed place.

    Args:
        places: The candidates, best first; never empty.
        certain: Whether the first is what was typed, so that nobody needs to choose.
    """

    places: tuple[Place, ...]
    certain: bool


def tidy_coordinates(lon: float, lat: float) -> tuple[float, float, str | None]:
    """Bring a longitude past the antimeridian back and check the rest.

    Args:
        lon: Longitude, degrees; any finite number.
        lat: Latitude, degrees.

    Returns:
        Longitude in [-180, 180], latitude, and a sentence if the longitude was changed.

    Raises:
        BadRecordError: If a number is not finite or the latitude is out of range.

    Example:
        >>> tidy_coordinates(190.0, -17.0)
        (-170.0, -17.0, 'Longitude 190 is the same meridian as -170.')
    """
    if not (math.isfinite(lon) and math.isfinite(lat)):
        raise BadRecordError(f"Longitude {lon}, latitude {lat}: give finite degrees.")
    if abs(lat) > 90:
        raise BadRecordError(f"Latitude {lat:g} does not exist: it goes from -90 to 90.")
    if abs(lon) <= 180:
        return lon, lat, None
    wrapped = round(wrap_longitude(lon), 9)
    return wrapped, lat, f"Longitude {lon:g} is the same meridian as {wrapped:g}."


def swapped(lon: float, lat: float) -> tuple[float, float] | None:
    """Guess what was meant when latitude and longitude may have been swapped.

    Args:
        lon: Longitude as given.
        lat: Latitude as given.

    Returns:
        ``(lon, lat)`` the other way round if only that is a place, else None.

    Example:
        >>> swapped(-1.3, 136.8)
        (136.8, -1.3)
    """
    if 90 < abs(lat) <= 180 and abs(lon) <= 90:
        return lat, lon
    return None


def parse_coordinates(text: str) -> tuple[float, float] | None:
    """Read a pair of coordinates; without letters N, S, E, W the latitude comes first.

    Args:
        text: Decimal degrees, degrees and minutes, degrees, minutes and seconds, or a geo: URI.

    Returns:
        ``(lon, lat)`` in degrees, not checked for range; None if this is no pair of coordinates.

    Raises:
        BadRecordError: If it is one, but cannot be read, for example with 75 minutes.

    Example:
        >>> parse_coordinates("48.2 N 16.37 E")
        (16.37, 48.2)
    """
    text = unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_SIGNS).strip()
    if text.casefold().startswith("geo:"):
        return _parse_geo_uri(text)
    text = text.upper().strip("()[]")
    if not re.search(r"\d", text) or re.search(r"[^-+\d.,;:°'\"NSEW\s]", text):
        return None
    letters = re.findall("[NSEW]", text)
    text = _decimal_points(text)
    parts = _split_by_letters(text) if letters else _split_by_marks(text)
    if parts is None:
        return None
    angles = [_parse_angle(part) for part in parts]
    if angles[0] is None or angles[1] is None:
        return None
    if not letters:
        return angles[1], angles[0]
    if len(letters) != 2 or sum(letter in "NS" for letter in letters) != 1:
        raise BadRecordError(f"{text!r} needs one of N or S and one of E or W.")
    values = {}
    for part, letter, angle in zip(parts, letters, angles, strict=True):
        if angle is None or re.search("[-+]", part):
            raise BadRecordError(f"{text!r} has both a sign and a letter; give one of them.")
        values["lat" if letter in "NS" else "lon"] = -angle if letter in "SW" else angle
    return values["lon"], values["lat"]


def _parse_geo_uri(text: str) -> tuple[float, float]:
    match = re.match(rf"geo:([-+]?(?:{_NUMBER})),([-+]?(?:{_NUMBER}))(?:[,;?].*)?$", text, re.I)
    if match is None:
        raise BadRecordError(f"{text!r} is not a geo: URI; it looks like geo:48.2,16.37.")
    return float(match[2]), float(match[1])


def _decimal_points(text: str) -> str:
    # "48,2 16,37" has two commas, each between digits, and something else between its numbers.
    commas = re.findall(r"(?<=\d),(?=\d)", text)
    if text.count(",") == len(commas) == 2 and "." not in text and re.search(r"[;\sNSEW]", text):
        return text.replace(",", ".")
    return text


def _split_by_letters(text: str) -> list[str] | None:
    pieces = [piece.strip(" \t,;") for piece in re.split("[NSEW]", text)]
    filled = [piece for piece in pieces if piece]
    return filled if len(filled) == 2 else None


def _split_by_marks(text: str) -> list[str] | None:
    for pattern in (r"\s*[,;]\s*", r"(?<=[°'\":])\s+(?=[-+]?\d+\s*°)", r"\s+"):
        parts = re.split(pattern, text.strip(" ,;"))
        if len(parts) == 2:
            return parts
    return None


def _parse_angle(text: str) -> float | None:
    match = _ANGLE.fullmatch(text.strip())
    if match is None:
        return None
    minutes, seconds = float(match["min"] or 0), float(match["sec"] or 0)
    if minutes >= 60 or seconds >= 60:
        raise BadRecordError(f"{text!r} has 60 minutes or seconds or more.")
    value = float(match["deg"]) + minutes / 60 + seconds / 3600
    return -value if match["sign"] == "-" else value


@functools.cache
def load_places() -> tuple[Place, ...]:
    """Read the bundled list of cities.

    Returns:
        The places in the order of the file.

    Raises:
        DataNotFoundError: If the list is missing.
    """
    with asset_path("world", "places.csv").open(encoding="utf-8", newline="") as stream:
        return tuple(
            Place(row["name"], row["country"], float(row["lon"]), float(row["lat"]))
            for row in csv.DictReader(stream)
        )


def look_up(text: str, places: Sequence[Place] | None = None) -> Lookup:
    """Find what somebody typed: coordinates first, then names, then names spelled alike.

    Args:
        text: Coordinates or the name of a city, with or without its country.
        places: Where to look for names; the bundled list by default.

    Returns:
        One place, or candidates to choose from.

    Raises:
        BadRecordError: If the coordinates cannot be read or lie outside the world.
        DataNotFoundError: If nothing is called anything like it.
    """
    pair = parse_coordinates(text)
    if pair is not None:
        return Lookup((Place(text.strip(), "", *pair),), certain=True)
    places = load_places() if places is None else places
    wanted = _fold(text)
    exact = [p for p in places if wanted in (_fold(p.name), _fold(p.label))]
    if exact:
        return Lookup(tuple(exact), certain=len(exact) == 1)
    near = [p for p in places if wanted and f" {_fold(p.label)}".find(f" {wanted}") >= 0]
    if not near:
        close = difflib.get_close_matches(wanted, {_fold(p.name) for p in places}, 3, cutoff=0.75)
        near = [p for p in places if _fold(p.name) in close]
    if not near:
        raise DataNotFoundError(
            f"No place called {text.strip()!r} in the list. Type another city nearby, or"
            f" coordinates: {FORMATS}"
        )
    return Lookup(
        tuple(near[:6]), certain=len(near) == 1 and _fold(near[0].name).startswith(wanted)
    )


def nearest_place(
    lon: float, lat: float, places: Iterable[Place] | None = None, *, within_km: float = 300.0
) -> tuple[Place, float] | None:
    """Find the listed city nearest to a point.

    Args:
        lon: Longitude, degrees.
        lat: Latitude, degrees.
        places: Where to look; the bundled list by default.
        within_km: How far to look.

    Returns:
        The city and its distance in kilometres, or None if all are farther.
    """
    best: tuple[Place, float] | None = None
    for place in load_places() if places is None else places:
        km = _distance_km(lon, lat, place.lon, place.lat)
        if km <= within_km and (best is None or km < best[1]):
            best = place, km
    return best


def format_coordinates(lon: float, lat: float) -> str:
    """Write a place the way people read it.

    Args:
        lon: Longitude, degrees.
        lat: Latitude, degrees.

    Returns:
        Latitude and longitude with their letters.

    Example:
        >>> format_coordinates(36.8, -1.3)
        '1.3° S, 36.8° E'
    """
    south, west = "S" if lat < 0 else "N", "W" if lon < 0 else "E"
    return f"{_short(abs(lat))}° {south}, {_short(abs(lon))}° {west}"


def _short(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")


def _distance_km(lon_a: float, lat_a: float, lon_b: float, lat_b: float) -> float:
    # Scalar on purpose: a tensor per city would cost more than the whole page.
    phi_a, phi_b = math.radians(lat_a), math.radians(lat_b)
    half = math.sin((phi_a - phi_b) / 2) ** 2
    half += math.cos(phi_a) * math.cos(phi_b) * math.sin(math.radians(lon_a - lon_b) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(half)))


def _fold(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(re.findall(r"\w+", plain))
