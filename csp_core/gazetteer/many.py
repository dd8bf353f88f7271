"""The nearest towns of many points at once, by the rule of ``nearest_place``."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from csp_core.errors import DataNotFoundError
from csp_core.gazetteer.index import connect, index_path
from csp_core.gazetteer.naming import BEHIND_KM, NEAR_KM, REACH
from csp_core.gazetteer.places import SETTLEMENT, Place
from csp_core.geo import EARTH_RADIUS_KM

# People of a town whose houses may reach farther than those of most.
LARGE = 250_000
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Named:
    """The town that people would name a point by.

    Args:
        place: The town.
        km: Its distance.
        inside: Whether its houses reach so far.
    """

    place: Place
    km: float
    inside: bool


@dataclass(frozen=True, eq=False)
class _Towns:
    """All towns of the list by their people: rows, ``(M, 3)`` unit vectors, those counted."""

    rows: Sequence[tuple[Any, ...]]
    vectors: Numbers
    people: Numbers
    tree: Any
    counted: npt.NDArray[np.int64]
    tree_of_counted: Any
    # The first of the large ones, behind which all are.
    large: int


def name_points(lonlat: npt.ArrayLike, *, within_km: float = 300.0) -> list[Named | None]:
    """Find the town of each of many points, as ``nearest_place`` does of one.

    Args:
        lonlat: ``(N, 2)`` longitude and latitude, degrees, finite.
        within_km: How far to look.

    Returns:
        The town of each; None where all are farther.

    Raises:
        DataNotFoundError: If the list of towns has not been built.
    """
    if connect() is None:
        raise DataNotFoundError(
            "The list of towns is not built: `python -m csp_core.gazetteer` builds it in about half"
            " a minute."
        )
    vectors = _unit(np.asarray(lonlat, dtype=np.float64).reshape(-1, 2))
    if not len(vectors):
        return []
    towns = _load(index_path())
    chosen, inside = _reaching(towns, vectors)
    near, row = towns.tree.query(vectors)
    far, other = towns.tree_of_counted.query(vectors)
    near, far = _kilometres(near), _kilometres(far)
    # As in ``nearest_place``: what is near is looked at alone, if there is anything.
    first = min(NEAR_KM, within_km)
    most = np.where(near <= first, first, within_km)
    behind = far <= np.minimum(near + BEHIND_KM, most)
    nearest = np.where(behind, towns.counted[other], row)
    chosen = np.where(inside, chosen, nearest)
    km = _kilometres(np.linalg.norm(towns.vectors[chosen] - vectors, axis=1))
    known = inside | (near <= within_km)
    # Hundreds of thousands of towns are not worth an object each.
    made = {at: Place(*towns.rows[at]) for at in set(chosen.tolist())}
    rows = zip(chosen.tolist(), km.tolist(), inside.tolist(), known.tolist(), strict=True)
    return [Named(made[a], b, c) if d else None for a, b, c, d in rows]


def _reaching(
    towns: _Towns, vectors: Numbers
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Find the largest town that reaches each point, and whether there is one.

    Towns are in the order of their people, so the largest of some has the highest number.
    """
    from scipy.spatial import cKDTree

    chosen = np.full(len(vectors), -1, dtype=np.int64)
    # Few towns are large, and of the small ones few are near a point.
    reach = REACH * np.sqrt(towns.people[towns.large :])
    found = cKDTree(vectors).query_ball_point(towns.vectors[towns.large :], _chord(reach))
    for town, points in enumerate(found, start=towns.large):
        chosen[points] = town
    rest = (chosen < 0).nonzero()[0]
    near = towns.tree_of_counted.query_ball_point(vectors[rest], _chord(REACH * math.sqrt(LARGE)))
    point = np.repeat(rest, [len(some) for some in near])
    town = towns.counted[np.concatenate([np.array(some, dtype=np.int64) for some in (*near, [])])]
    chord = np.linalg.norm(vectors[point] - towns.vectors[town], axis=1)
    reaches = chord <= _chord(REACH * np.sqrt(towns.people[town]))
    np.maximum.at(chosen, point[reaches], town[reaches])
    return chosen, chosen >= 0


@functools.lru_cache(maxsize=1)
def _load(path: Path) -> _Towns:
    from scipy.spatial import cKDTree

    index = connect()
    assert index is not None  # whoever asks has looked
    rows = index.execute(
        "select name, country, lon, lat, region, kind, population from place where kind = ?"
        " order by population, id",
        (SETTLEMENT,),
    ).fetchall()
    vectors = _unit(np.array([row[2:4] for row in rows], dtype=np.float64))
    people = np.array([row[6] for row in rows], dtype=np.float64)
    counted = (people > 0).nonzero()[0].astype(np.int64)
    large = int((people < LARGE).sum())
    trees = cKDTree(vectors), counted, cKDTree(vectors[counted])
    return _Towns(rows, vectors, people, *trees, large)


def _unit(lonlat: Numbers) -> Numbers:
    lon, lat = np.radians(lonlat).T
    found: Numbers = np.stack(
        (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)), 1
    )
    return found


def _chord(km: Any) -> Any:
    return 2 * np.sin(km / (2 * EARTH_RADIUS_KM))


def _kilometres(chord: Numbers) -> Numbers:
    half: Numbers = np.arcsin(np.clip(chord / 2, 0.0, 1.0))
    return 2 * EARTH_RADIUS_KM * half
