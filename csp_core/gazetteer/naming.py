"""Naming a point: the country under it, and the nearest town that people would name."""

from __future__ import annotations

import functools
import math
import sqlite3
from collections.abc import Iterable, Iterator

import shapely

from csp_core.gazetteer.index import connect
from csp_core.gazetteer.names import country_shapes
from csp_core.gazetteer.places import Place, distance_km, load_places
from csp_core.geo import wrap_longitude

# A coast drawn at 1:50m is off by so much, degrees: a place so near a country is not at sea.
_OFF_COAST = 0.05
# A town of P people reaches about so far, kilometres: sqrt(P) times this; Paris 15, a village .3.
REACH = 0.01
BEHIND_KM = 10.0
# Where something is so near, nothing farther is looked at; a city's reach is 60 km at most.
NEAR_KM = 60.0


@functools.cache
def _tree() -> shapely.STRtree:
    return shapely.STRtree([outline for _, _, outline in country_shapes()])


def country_at(lon: float, lat: float) -> str | None:
    """Name the country that a point lies in.

    Args:
        lon: Longitude, degrees; any finite number.
        lat: Latitude, degrees.

    Returns:
        Its English name by the bundled outlines (Natural Earth, 1:50m); None at sea.
    """
    point = shapely.Point(lon if abs(lon) <= 180 else wrap_longitude(lon), lat)
    inside = _tree().query(point, predicate="intersects")
    if not len(inside):
        inside = _tree().query_nearest(point, max_distance=_OFF_COAST, all_matches=False)
    return country_shapes()[int(inside[0])][1] if len(inside) else None


def swapped(lon: float, lat: float) -> tuple[float, float] | None:
    """Guess what was meant when latitude and longitude may have been swapped.

    Args:
        lon: Longitude as given.
        lat: Latitude as given.

    Returns:
        ``(lon, lat)`` the other way round if only that is a place, or if the place given lies at
        sea and only the other one on land; else None.

    Example:
        >>> swapped(-1.3, 136.8)
        (136.8, -1.3)
    """
    if not (abs(lat) <= 180 and abs(lon) <= 90):
        return None
    if abs(lat) > 90:
        return lat, lon
    at_sea = country_at(lon, lat) is None
    return (lat, lon) if at_sea and country_at(lat, lon) is not None else None


def nearest_place(
    lon: float, lat: float, places: Iterable[Place] | None = None, *, within_km: float = 300.0
) -> tuple[Place, float] | None:
    """Find the town that people would name a point by: the one that it lies in, or the nearest.

    Args:
        lon: Longitude, degrees.
        lat: Latitude, degrees.
        places: Where to look; all known towns by default.
        within_km: How far to look.

    Returns:
        The town and its distance in kilometres, or None if all are farther.
    """
    if places is None:
        index = connect()
        if index is not None:
            return _nearest_in_index(index, lon, lat, within_km)
        places = load_places()
    return _best(((p, distance_km(lon, lat, p.lon, p.lat)) for p in places), within_km)


def _best(found: Iterable[tuple[Place, float]], within_km: float) -> tuple[Place, float] | None:
    """Take the largest town that reaches a point, else the nearest."""
    near = [pair for pair in found if pair[1] <= within_km]
    counted = [(p, km) for p, km in near if p.population]
    reaching = [(p, km) for p, km in counted if km <= REACH * math.sqrt(p.population)]
    if reaching:
        return max(reaching, key=lambda pair: pair[0].population)
    nearest = min(near, key=lambda pair: pair[1], default=None)
    # A name on the map where nobody is counted gives way to a town close behind it.
    behind = nearest[1] + BEHIND_KM if nearest else 0.0
    close = [pair for pair in counted if pair[1] <= behind]
    return min(close, key=lambda pair: pair[1], default=nearest)


def _nearest_in_index(
    index: sqlite3.Connection, lon: float, lat: float, within_km: float
) -> tuple[Place, float] | None:
    # Beginning near, as towns are many where people are.
    for km in (NEAR_KM, within_km):
        if km <= within_km and (best := _best(_around(index, lon, lat, km), km)):
            return best
    return None


def _around(
    index: sqlite3.Connection, lon: float, lat: float, km: float
) -> Iterator[tuple[Place, float]]:
    height = km / 111.0
    widest = math.cos(math.radians(min(90.0, abs(lat) + height)))
    width = min(180.0, height / widest) if widest > 1e-6 else 180.0
    # A box over the antimeridian goes on at the other side.
    for shift in (-360.0, 0.0, 360.0):
        west, east = lon - width + shift, lon + width + shift
        if east < -180 or west > 180:
            continue
        rows = index.execute(
            "select p.name, p.country, p.lon, p.lat, p.region, p.kind, p.population from near n"
            " join place p on p.id = n.id"
            " where n.east >= ? and n.west <= ? and n.north >= ? and n.south <= ?",
            (west, east, lat - height, lat + height),
        )
        for values in rows:
            place = Place(*values)
            yield place, distance_km(lon, lat, place.lon, place.lat)
