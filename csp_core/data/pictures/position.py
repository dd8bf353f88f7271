"""Where and when a picture was taken, and of what, from its EXIF and XMP data."""

from __future__ import annotations

import calendar
import datetime
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from PIL import Image

GPS, EXIF = 0x8825, 0x8769
LATITUDE_REF, LATITUDE, LONGITUDE_REF, LONGITUDE, ERROR = 1, 2, 3, 4, 31
# When it was taken, and when it was digitised; the third usual tag tells when the file was changed.
TIMES = (36867, 36868)
# Not xmp:CreateDate: programs set it to when they made the file.
XMP_TIMES = ("exif:DateTimeOriginal", "dwc:eventDate", "photoshop:DateCreated")
STAMP = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?")
DEGREES = re.compile(r"\s*(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?(?:,(\d+(?:\.\d+)?))?\s*([NSEW])\s*",
                     re.IGNORECASE)  # fmt: skip
SPECIES = re.compile(r'"?taxonomy:species=([^"]+)"?')
# An XMP packet has some kilobytes, and its lists lie a few deep.
MOST_XMP, DEEPEST = 1 << 22, 64
MALFORMED = (OSError, ValueError, SyntaxError, struct.error, EOFError, TypeError, KeyError,
             IndexError, ZeroDivisionError, OverflowError, AttributeError)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A place, or why there is none.

    Args:
        lonlat: Longitude and latitude in degrees, or None.
        why_not: One sentence where there is none.
        uncertainty_m: Radius within which the place lies, metres, if that is known.
    """

    lonlat: tuple[float, float] | None
    why_not: str = ""
    uncertainty_m: float | None = None


def place_of_exif(exif: Image.Exif) -> Place:
    """Read the GPS block.

    Args:
        exif: What Pillow read of the EXIF data.

    Returns:
        The place, or why there is none.
    """
    if not exif:
        return Place(None, "The file has no EXIF data.")
    try:
        block: Mapping[int, Any] = exif.get_ifd(GPS) or {}
        if not block:
            has = GPS in exif
            return Place(
                None,
                "The EXIF data hold a GPS block without coordinates."
                if has
                else "The EXIF data hold no GPS block.",
            )
        if LATITUDE not in block or LONGITUDE not in block:
            return Place(None, "The EXIF data hold a GPS block without coordinates.")
        lon = _degrees(block[LONGITUDE], block.get(LONGITUDE_REF), "EW")
        lat = _degrees(block[LATITUDE], block.get(LATITUDE_REF), "NS")
        if lon is None or lat is None:
            return Place(None, "The GPS block does not say which of north or south, east or west.")
        radius = _radius(block.get(ERROR))
    except MALFORMED as error:
        return Place(None, f"The EXIF data are malformed ({_first_line(error)}).")
    return _checked(lon, lat, "GPS block", uncertainty_m=radius)


def place_of_xmp(tags: Mapping[str, str]) -> Place:
    """Read the place from XMP tags: decimal degrees of Darwin Core, else degrees as in EXIF.

    Args:
        tags: Name with prefix to text.

    Returns:
        The place, or why there is none; the reason is empty if no tag names one.
    """
    decimal = [tags.get(f"dwc:decimal{name}", "") for name in ("Longitude", "Latitude")]
    try:
        if all(decimal):
            radius = _radius(tags.get("dwc:coordinateUncertaintyInMeters"))
            return _checked(float(decimal[0]), float(decimal[1]), "XMP data", uncertainty_m=radius)
        texts = [tags.get(f"exif:GPS{name}", "") for name in ("Longitude", "Latitude")]
        if not any(texts):
            return Place(None)
        lon, lat = (_xmp_degrees(text, signs) for text, signs in zip(texts, ("EW", "NS"),
                                                                     strict=True))  # fmt: skip
    except MALFORMED:
        return Place(None, "The XMP data hold a place that cannot be read.")
    if lon is None or lat is None:
        return Place(None, "The XMP data hold a place that cannot be read.")
    return _checked(lon, lat, "XMP data")


def _checked(lon: float, lat: float, where: str, uncertainty_m: float | None = None) -> Place:
    if not (math.isfinite(lon) and math.isfinite(lat)):
        return Place(None, f"The {where} holds coordinates that are no numbers (such as 0/0).")
    if lon == 0 and lat == 0:
        return Place(None, f"The {where} says 0°, 0°, which devices write when they know no place.")
    if abs(lon) > 180 or abs(lat) > 90:
        return Place(None, f"The {where} says longitude {lon:g}, latitude {lat:g}: no such place.")
    return Place((lon, lat), uncertainty_m=uncertainty_m)


def _radius(value: Any) -> float | None:
    """Read a radius; one that is none does not take the place with it."""
    try:
        radius = float(value)
    except MALFORMED:
        return None
    return radius if math.isfinite(radius) and radius > 0 else None


def _degrees(value: Any, reference: Any, signs: str) -> float | None:
    """Add up degrees, minutes and seconds, signed by the reference; None without one."""
    letter = reference.decode("ascii", "replace") if isinstance(reference, bytes) else reference
    letter = str(letter or "").strip("\0 ").upper()[:1]
    if not letter or letter not in signs:
        return None
    numbers = [float(part) for part in (value if isinstance(value, (tuple, list)) else (value,))]
    total = math.fsum(number / 60.0**power for power, number in enumerate(numbers[:3]))
    return -total if letter == signs[1] else total


def _xmp_degrees(text: str, signs: str) -> float | None:
    match = DEGREES.fullmatch(text)
    if match is None or match[4].upper() not in signs:
        return None
    return _degrees([float(part) for part in match.groups()[:3] if part], match[4], signs)


def time_of_exif(exif: Image.Exif) -> datetime.datetime | None:
    """Read when the picture was taken, by the clock of the camera.

    Args:
        exif: What Pillow read of the EXIF data.

    Returns:
        The time without a zone, or None.
    """
    try:
        block = exif.get_ifd(EXIF)
        return next(filter(None, (_time(str(block.get(tag, "")))[0] for tag in TIMES)), None)
    except MALFORMED:
        return None


def time_of_xmp(tags: Mapping[str, str]) -> tuple[datetime.datetime | None, bool]:
    """Read when the picture was taken, as a clock there would have shown.

    Args:
        tags: Name with prefix to text.

    Returns:
        The time without a zone, or None, and whether the hour is known and not the date alone.
    """
    found = (_time(tags.get(name, "")) for name in XMP_TIMES)
    return next(((time, hour) for time, hour in found if time is not None), (None, False))


def _time(text: str) -> tuple[datetime.datetime | None, bool]:
    match = STAMP.match(text.strip())
    if match is None:
        return None, False
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
        return datetime.datetime(year, month, day, hour, minute, second), bool(match[4])
    except ValueError:  # such as 0000:00:00, which cameras write for an unset clock
        return None, False


def parts_of_time(time: datetime.datetime) -> tuple[float, float]:
    """Turn a time into parts.

    Args:
        time: Local time.

    Returns:
        Part of the year, 0 on 1 January, as ``part_of_year`` counts whole days; part of the day, 0
        at midnight.

    Example:
        >>> parts_of_time(datetime.datetime(2023, 1, 1, 18, 0))
        (0.0, 0.75)
    """
    day = time.timetuple().tm_yday - 1
    seconds = 3600 * time.hour + 60 * time.minute + time.second
    return day / (365 + calendar.isleap(time.year)), seconds / 86_400


def taxon_of_xmp(tags: Mapping[str, str]) -> str:
    """Read which taxon the picture shows, by who described it.

    Args:
        tags: Name with prefix to text.

    Returns:
        A scientific name, or ``""``.
    """
    if name := tags.get("dwc:scientificName", "").strip():
        return name
    match = SPECIES.search(tags.get("rdf:li", ""))
    return match[1].splitlines()[0].strip() if match else ""


def read_xmp(packet: bytes) -> dict[str, str]:
    """Read the tags of an XMP packet; a document type (DTD) is refused.

    Args:
        packet: XML, maybe padded.

    Returns:
        Name with its usual prefix to text, list items joined by line breaks; empty where the packet
        cannot be read, has more than 4 MB or is nested more than 64 deep.
    """
    if len(packet) > MOST_XMP:
        return {}
    tags: dict[str, list[str]] = {}
    stack: list[str] = []

    def start(name: str, attributes: Mapping[str, str]) -> None:
        stack.append(name)
        if len(stack) > DEEPEST:
            raise ValueError("nested too deeply")
        for key, value in attributes.items():
            tags.setdefault(key, []).append(value)

    def text(value: str) -> None:
        if value.strip():
            # Text in a list belongs to the list's own name too.
            outer = [name for name in stack if not name.startswith("rdf:")]
            for name in {stack[-1], *outer[-1:]}:
                tags.setdefault(name, []).append(value)

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: stack.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(packet.strip(b"\0 \r\n\t"), True)
    except (expat.ExpatError, ValueError):
        return {}
    return {name: "\n".join(values) for name, values in tags.items()}


def _refuse(*_: object) -> None:
    raise ValueError("a document type or entities")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:80] or type(error).__name__
