"""Where and when a picture counts as taken: as given, else as its file says."""

from __future__ import annotations

import math
from dataclasses import dataclass

from csp_core.data.pictures import Photo


@dataclass(frozen=True)
class When:
    """When a picture was taken.

    Args:
        date: Part of the year in [0, 1), or None.
        hour: Part of the day in [0, 1), or None.
        day: The date as YYYY-MM-DD, or None.
    """

    date: float | None = None
    hour: float | None = None
    day: str | None = None


@dataclass(frozen=True)
class Taken:
    """Where and when a picture counts as taken.

    Args:
        place: Longitude and latitude, degrees, or None where nobody knows.
        radius_km: Within which it lies.
        when: The time.
        own_place: Whether the place is that of the file.
        own_date: Whether the date is that of the file.
    """

    place: tuple[float, float] | None
    radius_km: float
    when: When
    own_place: bool
    own_date: bool


def taken(
    photo: Photo,
    place: tuple[float, float] | None = None,
    when: When | None = None,
    *,
    undated: bool = False,
) -> Taken:
    """Say where and when a picture counts as taken: what is given comes before what its file says.

    A given place leaves out the file's radius and a given date the file's hour, which belong to
    another place and day; a given hour goes with the file's date.

    Args:
        photo: What the file says.
        place: Longitude and latitude, degrees, or None for the file's.
        when: The time, or None for the file's.
        undated: Whether nothing shall be known of the time, whatever the file says.

    Returns:
        Place and time.
    """
    radius = 0.0 if place or photo.uncertainty_m is None else photo.uncertainty_m / 1000
    given = when or When()
    own_date = given.date is None and not undated
    if own_date:
        date, hour = (None if math.isnan(part) else part for part in (photo.date, photo.hour))
        given = When(date, hour if given.hour is None else given.hour, photo.taken[:10] or None)
    elif undated:
        given = When()
    return Taken(place or photo.lonlat, radius, given, place is None, own_date)
