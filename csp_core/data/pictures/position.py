"""Where and when a picture was taken, from its EXIF data."""

from __future__ import annotations

import calendar
import datetime
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from csp_core.data.pictures.clock import read_time
from csp_core.data.pictures.degrees import NoAngleError, of_parts

GPS, EXIF = 0x8825, 0x8769
# The reference of each stands one tag before.
LATITUDE, LONGITUDE, STATUS, DATUM, ERROR = 2, 4, 9, 18, 31
AXES = (("longitude", "EW"), ("latitude", "NS"))
# When it was taken, and when it was digitised.
TIMES = ((36867, "DateTimeOriginal"), (36868, "DateTimeDigitized"))
# The day of a fix, by the clock of Greenwich; and when the file was written last.
GPS_DAY, WRITTEN = 29, 306
# Datums that are within a metre or two of WGS84, and what says nothing.
SAME_DATUM = re.compile(r"WGS[\s_-]*(19)?84.*|JGD.*|ETRS.*|NAD[\s_-]*83.*|\W*|UNKNOWN|NONE")
MALFORMED = (OSError, ValueError, SyntaxError, struct.error, EOFError, TypeError, KeyError,
             IndexError, ZeroDivisionError, OverflowError, AttributeError)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A place, or why there is none.

    Args:
        lonlat: Longitude and latitude in degrees, or None.
        why_not: One sentence where there is none.
        uncertainty_m: Radius within which the place lies, metres, if that is known.
        notes: Sentences on what is odd about it, or was guessed.
    """

    lonlat: tuple[float, float] | None
    why_not: str = ""
    uncertainty_m: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Time:
    """When a picture was taken.

    Args:
        taken: The time without a zone.
        has_hour: Whether the hour is known, and not the date alone.
        tag: Where it stands, in words.
    """

    taken: datetime.datetime
    has_hour: bool
    tag: str


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
        return _place(block)
    except MALFORMED as error:
        return Place(None, f"The EXIF data are malformed ({_first_line(error)}).")


def _place(block: Mapping[int, Any]) -> Place:
    found = []
    for (axis, signs), tag in zip(AXES[::-1], (LATITUDE, LONGITUDE), strict=True):
        value = block[tag]
        numbers = [float(n) for n in (value if isinstance(value, (tuple, list)) else (value,))][:3]
        reference = _reference(block.get(tag - 1))
        try:
            degrees = of_parts(numbers, reference, signs)
        except NoAngleError as error:
            written = ", ".join(f"{number:g}" for number in numbers)
            return Place(None, f"The {axis} {written} of the GPS block {error}.")
        if degrees is None:
            return Place(None, "The GPS block does not say which of north or south, east or west.")
        found.append(degrees)
    datum = _reference(block.get(DATUM))[:20]
    other = datum and not SAME_DATUM.fullmatch(datum.upper())
    notes = [
        f"The GPS block is of the datum {datum}; taken for WGS84, it may be hundreds of m off."
    ]
    notes = notes if other else []
    if _reference(block.get(STATUS)).upper() == "V":
        notes.append("The GPS block says that its place was not measured (status V): an older one?")
    lat, lon = found
    return checked(
        lon,
        lat,
        "GPS block",
        uncertainty_m=read_radius(block.get(ERROR)),
        notes=tuple(notes),
    )


def checked(
    lon: float,
    lat: float,
    where: str,
    *,
    uncertainty_m: float | None = None,
    notes: tuple[str, ...] = (),
) -> Place:
    """Keep a place if it is one on Earth that somebody may mean.

    Args:
        lon: Degrees.
        lat: Degrees.
        where: What says so.
        uncertainty_m: Radius within which it lies, metres.
        notes: What is odd about it.

    Returns:
        The place, or why it is none.
    """
    if not (math.isfinite(lon) and math.isfinite(lat)):
        return Place(None, f"The {where} holds coordinates that are no numbers (such as 0/0).")
    if lon == 0 and lat == 0:
        return Place(None, f"The {where} says 0°, 0°, which devices write when they know no place.")
    if abs(lon) > 180 or abs(lat) > 90:
        return Place(None, f"The {where} says longitude {lon:g}, latitude {lat:g}: no such place.")
    return Place((lon, lat), uncertainty_m=uncertainty_m, notes=notes)


def read_radius(value: Any) -> float | None:
    """Read a radius; one that is none does not take the place with it.

    Args:
        value: A number, or text.

    Returns:
        Metres, or None.
    """
    try:
        radius = float(value)
    except MALFORMED:
        return None
    return radius if math.isfinite(radius) and radius > 0 else None


def _reference(value: Any) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return text.strip("\0 ")


def time_of_exif(exif: Image.Exif) -> Time | None:
    """Read when the picture was taken, by the clock of the camera.

    Args:
        exif: What Pillow read of the EXIF data.

    Returns:
        The time, or None.
    """
    try:
        block = exif.get_ifd(EXIF)
    except MALFORMED:
        return None
    return next(filter(None, (_time(block.get(tag), f"EXIF {name}") for tag, name in TIMES)), None)


def day_of_gps(exif: Image.Exif) -> Time | None:
    """Read the day of the GPS block; its hour is not that of a clock at the place.

    Args:
        exif: What Pillow read of the EXIF data.

    Returns:
        The day, or None.
    """
    try:
        found = _time(exif.get_ifd(GPS).get(GPS_DAY), "EXIF GPSDateStamp, a date in UTC")
    except MALFORMED:
        return None
    return found and replace(found, has_hour=False)


def time_written(exif: Image.Exif) -> Time | None:
    """Read when the file was written last, which may be long after the picture was taken.

    Args:
        exif: What Pillow read of the EXIF data.

    Returns:
        The time, or None.
    """
    try:
        return _time(exif.get(WRITTEN), "EXIF DateTime, when the file was last written")
    except MALFORMED:
        return None


def times_in_exif(exif: Image.Exif) -> list[str]:
    """List what stands in the tags of times, for those that are none to be told.

    Args:
        exif: What Pillow read of the EXIF data.

    Returns:
        Texts.
    """
    try:
        block = exif.get_ifd(EXIF)
        texts = [*(block.get(tag) for tag, _ in TIMES), exif.get_ifd(GPS).get(GPS_DAY)]
        return [_reference(text) for text in (*texts, exif.get(WRITTEN)) if text]
    except MALFORMED:
        return []


def _time(text: Any, tag: str) -> Time | None:
    time, has_hour = read_time(_reference(text))
    return None if time is None else Time(time, has_hour, tag)


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


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:80] or type(error).__name__
