"""In which country and on which continent places lie, by the bundled areas and cities."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import shapely
import torch
from numpy.typing import NDArray
from torch import Tensor

from csp_core.gazetteer import load_places
from csp_core.gazetteer.names import country_shapes
from csp_core.geo import unit_vectors
from csp_core.land import CONTINENTS, continent_of, land_shape

ASSUMED = (
    "Countries are the bundled areas (Natural Earth, 1:50m) that places lie in; land of the coarser"
    " map that is none of theirs belongs to the nearest."
)
# So far is the coast at 1:110m, which samples of land go by, from that at 1:50m, degrees.
_OFF_COAST = 0.6


@lru_cache(maxsize=1)
def _areas() -> tuple[list[shapely.Geometry], shapely.STRtree, NDArray[np.int64]]:
    """Give the countries, ready for many questions, a tree of their parts, and whose each is."""
    areas = [area for _, _, area in country_shapes()]
    shapely.prepare(areas)
    parts, whose = shapely.get_parts(areas, return_index=True)
    return areas, shapely.STRtree(parts), whose


def country_of(lonlat: Tensor) -> list[str]:
    """Name the country of places, for summaries; see ``ASSUMED``.

    Args:
        lonlat: ``(N, 2)`` degrees.

    Returns:
        A name each, ``""`` at sea.

    Example:
        >>> country_of(torch.tensor([[36.8, -1.3], [-45.0, 72.0], [-30.0, 0.0]]))
        ['Kenya', 'Greenland', '']
    """
    areas, parts, whose = _areas()
    points = shapely.points(lonlat.double().numpy())
    country = np.full(len(points), -1)
    # Each area asks a tree of the points, as one that is ready answers for many points quickly.
    area, point = shapely.STRtree(points).query(areas, predicate="intersects")
    country[point[::-1]] = area[::-1]  # the first, where a point lies on a border
    rest = np.flatnonzero(country < 0)
    shapely.prepare(land_shape())
    rest = rest[shapely.contains(land_shape(), points[rest])]
    near, part = parts.query_nearest(points[rest], max_distance=_OFF_COAST, all_matches=False)
    country[rest[near]] = whose[part]
    names = [name for _, name, _ in country_shapes()]
    return [names[i] if i >= 0 else "" for i in country.tolist()]


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
        Sweden``, and where that is another country than the place's, that, too; the city alone
        within 25 km.
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
    rows = zip(nearest.tolist(), away.tolist(), heading.tolist(), country_of(lonlat), strict=True)
    for town, km, turn, country in rows:
        near = places[town]
        far = f"{_round(km):,} km {_POINTS_OF_COMPASS[round(turn / 45) % 8]} of {near.label}"
        other = f" (in {country})" if country not in ("", near.country) else ""
        words.append(near.label if km < 25 else far + other)
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
