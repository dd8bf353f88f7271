"""Coordinates in the notations that people type."""

from __future__ import annotations

import math
import re
import unicodedata

from csp_core.errors import BadRecordError
from csp_core.geo import wrap_longitude

FORMATS = "48.2, 16.37 · 48.2 N 16.37 E · 48°12'30\"N 16°22'23\"E · geo:48.2,16.37"

_SIGNS = str.maketrans(
    {"−": "-", "–": "-", "′": "'", "’": "'", "″": '"', "”": '"', "º": "°", "˚": "°"}
)
# What can be read in many ways takes long where it is long.
_LONGEST = 100
_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_ANGLE = re.compile(
    rf"(?P<sign>[-+]?)\s*(?P<deg>{_NUMBER})\s*[°:]?"
    rf"(?:\s*(?P<min>{_NUMBER})\s*[':]?(?:\s*(?P<sec>{_NUMBER})\s*(?:\"|'')?)?)?"
)


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
    if len(text) > _LONGEST:
        return None
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
