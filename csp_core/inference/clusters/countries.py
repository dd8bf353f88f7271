"""In which country and on which continent places lie, by the bundled borders and cities."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import shapely
import torch
from torch import Tensor

from csp_core.files import asset_path
from csp_core.gazetteer import load_places
from csp_core.geo import unit_vectors
from csp_core.land import CONTINENTS, continent_of, land_shape

ASSUMED = (
    "Countries are the pieces into which the bundled borders (1:110m) cut the land, named by the"
    " cities in them; small islands have none."
)
# A city that lies off the coarse coast belongs to the land so near, in degrees.
_OFF_COAST = 0.6
# A point in each larger piece that holds no listed city, or cities of several countries, as a
# border runs through a town.
_POINTS = (
    ("Antarctica", 67.4, -76.7), ("Greenland", -39.3, 71.9), ("Libya", 17.3, 26.3),
    ("United States of America", -152.9, 62.8), ("United States of America", -155.5, 19.6),
    ("Canada", -69.4, 68.0), ("Canada", -79.4, 79.7), ("Canada", -111.3, 71.0),
    ("Canada", -121.7, 72.8), ("Canada", -91.9, 79.9), ("Canada", -91.2, 75.7),
    ("Canada", -55.8, 48.9), ("Canada", -56.2, 48.9), ("Canada", -114.2, 75.7),
    ("Canada", -99.5, 72.5), ("Canada", -84.0, 64.3), ("Canada", -93.8, 73.2),
    ("Canada", -100.1, 76.0), ("Indonesia", 113.3, -0.2), ("Indonesia", 101.7, -0.3),
    ("Indonesia", 139.0, -5.0), ("Indonesia", 120.4, -2.0), ("Malaysia", 114.5, 3.5),
    ("Malaysia", 102.5, 4.0), ("Congo (Brazzaville)", 15.9, -0.6), ("Congo (Kinshasa)", 23.0, -3.0),
    ("Oman", 57.0, 20.8), ("Russia", 56.2, 74.0), ("Russia", 59.5, 75.5), ("Russia", -177.5, 66.7),
    ("Russia", 96.3, 80.0), ("Russia", 143.1, 50.2), ("Russia", 143.4, 75.4),
    ("Russia", 141.0, 75.4), ("Antarctica", -47.0, -79.4), ("Antarctica", -70.2, -70.8),
    ("Norway", 15.7, 78.3), ("Norway", 22.7, 80.0), ("New Zealand", 171.2, -43.7),
    ("Uruguay", -55.8, -32.4), ("Japan", 143.4, 43.7), ("Chile", -69.8, -54.0),
    ("Philippines", 125.2, 7.6), ("Australia", 146.8, -42.2), ("France", -53.0, 3.9),
    ("Sierra Leone", -11.8, 8.6), ("Italy", 12.5, 43.0), ("France", 2.5, 47.0),
    ("China", 104.0, 35.0), ("Austria", 14.5, 47.5), ("Denmark", 9.3, 56.0),
    ("Denmark", 10.3, 55.3),
    ("Italy", 9.0, 40.0), ("Italy", 14.0, 37.5), ("France", 9.1, 42.2),
    ("Equatorial Guinea", 10.4, 1.6),
    ("Philippines", 122.6, 11.1), ("Philippines", 121.1, 13.0), ("Philippines", 118.7, 9.8),
    ("Philippines", 125.0, 12.0), ("Indonesia", 128.0, 0.9), ("Indonesia", 129.5, -3.1),
    ("Indonesia", 120.0, -9.7), ("Indonesia", 121.2, -8.6), ("Indonesia", 117.8, -8.6),
    ("Papua New Guinea", 150.5, -5.7), ("Papua New Guinea", 152.0, -3.8),
    ("Papua New Guinea", 155.2, -6.2), ("China", 109.8, 19.2), ("Japan", 133.5, 33.7),
    ("Russia", 21.5, 54.6), ("United Kingdom", -6.8, 54.6), ("Canada", -125.5, 49.7),
    ("Canada", -63.2, 46.3), ("Canada", -98.0, 69.0), ("Canada", -118.0, 77.0),
    ("Canada", -79.0, 73.0), ("Russia", -179.5, 71.0), ("Russia", 104.0, 79.0),
    ("United States of America", -154.0, 57.5), ("Argentina", -67.5, -54.3),
    ("Angola", 12.4, -5.1), ("Azerbaijan", 45.5, 39.3), ("New Caledonia", 165.5, -21.3),
    ("Solomon Islands", 160.0, -9.6), ("Vanuatu", 167.0, -15.5), ("Puerto Rico", -66.4, 18.2),
    ("Cyprus", 33.0, 35.0), ("East Timor", 126.0, -8.7), ("Falkland Islands", -58.9, -51.8),
)  # fmt: skip


@lru_cache(maxsize=1)
def _pieces() -> tuple[shapely.STRtree, tuple[str, ...]]:
    """Cut the land along the borders, and name the pieces; those nobody knows are left out."""
    land = land_shape()
    borders = asset_path("world", "borders.geojson").read_text(encoding="utf-8")
    lines = shapely.union_all([shapely.boundary(land), shapely.from_geojson(borders)])
    cut = shapely.get_parts(shapely.polygonize(shapely.get_parts(lines)))
    inside = shapely.contains(land, shapely.point_on_surface(cut))
    pieces = cut[inside]
    tree = shapely.STRtree(pieces)
    named: dict[int, str] = {}
    for name, lon, lat in reversed(_POINTS):
        for index in tree.query_nearest(shapely.Point(lon, lat), max_distance=_OFF_COAST):
            named[int(index)] = name
    places = load_places()
    towns = shapely.points([[place.lon, place.lat] for place in places])
    town, piece = tree.query_nearest(towns, max_distance=_OFF_COAST, all_matches=False)
    # Those inside of a piece know better than those on islands before it.
    for nearby, index in (tree.query(towns, predicate="intersects"), (town, piece)):
        votes: dict[int, list[str]] = {}
        for t, p in zip(nearby.tolist(), index.tolist(), strict=True):
            votes.setdefault(p, []).append(places[t].country)
        for p, names in votes.items():
            named.setdefault(p, max(sorted(set(names)), key=names.count))
    kept = sorted(named)
    return shapely.STRtree(pieces[kept]), tuple(named[index] for index in kept)


def country_of(lonlat: Tensor) -> list[str]:
    """Name the country of places, for summaries; see ``ASSUMED``.

    Args:
        lonlat: ``(N, 2)`` degrees.

    Returns:
        A name each, ``""`` at sea and where none is known.

    Example:
        >>> country_of(torch.tensor([[36.8, -1.3], [-45.0, 72.0], [-30.0, 0.0]]))
        ['Kenya', 'Greenland', '']
    """
    tree, names = _pieces()
    found = [""] * len(lonlat)
    places, pieces = tree.query(shapely.points(lonlat.double().numpy()), predicate="intersects")
    for place, piece in zip(places.tolist(), pieces.tolist(), strict=True):
        found[place] = found[place] or names[piece]
    return found


def continents(lonlat: Tensor) -> list[str]:
    """Name the continent of places.

    Args:
        lonlat: ``(N, 2)`` degrees.

    Returns:
        A name each, ``""`` far out at sea.
    """
    return [CONTINENTS[i] if i >= 0 else "" for i in continent_of(lonlat).tolist()]


def place_names(lonlat: Tensor) -> list[str]:
    """Say where places are, in words.

    Args:
        lonlat: ``(N, 2)`` degrees.

    Returns:
        The nearest listed city with its country and how far it is, such as ``270 km NE of Kiruna,
        Sweden``; the city alone within 25 km.
    """
    from sklearn.neighbors import KDTree

    from csp_core.geo import great_circle_km

    if not len(lonlat):
        return []
    places = load_places()
    towns = torch.tensor([[place.lon, place.lat] for place in places], dtype=torch.float64)
    own = lonlat.double()
    tree = KDTree(unit_vectors(towns).numpy())
    nearest = torch.from_numpy(tree.query(unit_vectors(own).numpy(), k=1)[1][:, 0])
    away = great_circle_km(own, towns[nearest])
    heading = _bearing(towns[nearest], own)
    words = []
    for town, km, turn in zip(nearest.tolist(), away.tolist(), heading.tolist(), strict=True):
        far = f"{_round(km):,} km {_POINTS_OF_COMPASS[round(turn / 45) % 8]} of "
        words.append(("" if km < 25 else far) + places[town].label)
    return words


_POINTS_OF_COMPASS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


def _round(km: float) -> int:
    return int(10 * np.rint(km / 10))


def _bearing(start: Tensor, end: Tensor) -> Tensor:
    """Give the direction in which a great circle sets out, degrees clockwise from north."""
    lon_a, lat_a = torch.deg2rad(start).unbind(-1)
    lon_b, lat_b = torch.deg2rad(end).unbind(-1)
    east = (lon_b - lon_a).sin() * lat_b.cos()
    north = lat_a.cos() * lat_b.sin() - lat_a.sin() * lat_b.cos() * (lon_b - lon_a).cos()
    return torch.rad2deg(torch.atan2(east, north)) % 360
