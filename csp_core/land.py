"""Where land is, by the bundled 1:110m outlines, inland ice, and continents by a dozen corners."""

from __future__ import annotations

import csv
from functools import lru_cache

import numpy as np
import shapely
import torch
from torch import Tensor

from csp_core.files import asset_path

# Corners in degrees, drawn through the seas by hand. On land the lines follow the Ural, the Ural
# river, the crest of the Caucasus, Bosporus and Dardanelles, the Suez canal, the border of Panama
# with Colombia, and the sea west of New Guinea.
_GIBRALTAR_TO_CRETE = [(-32, 36), (-6, 35.95), (-2, 36.3), (8, 38.2), (11.2, 37.6), (11.5, 36.2),
                       (12.5, 35.2), (15, 34.5), (23, 34), (27, 34.2)]  # fmt: skip
_CRETE_TO_URAL = [(27.6, 36.2), (26.8, 37), (26.3, 38.5), (25.9, 39.8), (26.3, 40.2), (27.5, 40.6),
                  (29.05, 41.1), (29.2, 41.5), (36, 43.5), (40, 43.5), (44, 42.7), (48, 41.8),
                  (50, 44), (51.5, 47), (51.5, 51.5), (58.5, 51), (59, 54), (60, 58), (60, 64),
                  (66, 68.5), (68, 72), (68, 84)]  # fmt: skip
_CRETE_TO_ADEN = [(27, 34.2), (31, 33), (32.5, 31.5), (32.55, 29.9), (33.9, 27.9), (38, 20),
                  (42, 14), (43.3, 12.5), (51, 12.2), (56, 10), (66, 0)]  # fmt: skip
_WEST_OF_NEW_GUINEA = [(115, -11), (123, -11.5), (128, -9.5), (129.5, -6), (129.7, 1), (133, 4),
                       (130, 6), (130, 20), (138, 22), (146, 26)]  # fmt: skip
_PANAMA = [(-125, 20), (-112, 8), (-95, 5), (-82, 5.5), (-79.5, 6.5), (-77.9, 7.2), (-77.35, 8.7),
           (-76.5, 10), (-75, 13), (-64, 12.9), (-62.5, 11.8), (-59, 11.6), (-50, 14)]  # fmt: skip
_ICELAND = [(-32, 36), (-32, 62), (-28, 66.5), (-20, 69), (-10, 75), (-5, 82), (-5, 84)]
_BERING: list[tuple[float, float]] = [
    (-180, 73),
    (-169, 73),
    (-169, 65.9),
    (-173, 64.2),
    (-180, 64.2),
]
_OUTLINES: tuple[tuple[str, list[tuple[float, float]]], ...] = (
    ("Antarctica", [(-180, -90), (180, -90), (180, -60), (-180, -60)]),
    ("Africa", [*_GIBRALTAR_TO_CRETE, *_CRETE_TO_ADEN, (66, -30), (40, -50), (-20, -45), (-20, 0),
                (-32, 5)]),
    ("Europe", [*_GIBRALTAR_TO_CRETE, *_CRETE_TO_URAL, *_ICELAND[::-1]]),
    ("Asia", [*_CRETE_TO_ADEN[::-1], *_CRETE_TO_URAL, (180, 84), (180, 61), (172, 58), (165, 53),
              (158, 47), (147, 40), *_WEST_OF_NEW_GUINEA[::-1], (94, -12), (70, -8)]),
    ("Asia", _BERING),
    ("North America", [*_PANAMA, (-40, 30), *_ICELAND, (-180, 84), *_BERING, (-180, 48),
                       (-140, 35)]),
    ("North America", [(167, 50), (180, 50), (180, 58), (172, 57)]),
    ("South America", [*_PANAMA[2:], (-32, 5), (-25, -10), (-25, -60), (-85, -60), (-85, -40),
                       (-95, -20)]),
    ("Oceania", [(110, -60), (110, -13), *_WEST_OF_NEW_GUINEA, (160, 32), (180, 32), (180, -60)]),
    ("Oceania", [(-180, 32), (-140, 32), *_PANAMA[:3], (-95, -20), (-85, -40), (-85, -60),
                 (-180, -60)]),
)  # fmt: skip
# Side of a cell of the inland ice, degrees.
ICE_STEP = 0.5
CONTINENTS = tuple(sorted({name for name, _ in _OUTLINES}))


@lru_cache(maxsize=1)
def land_shape() -> shapely.Geometry:
    """Read the outlines of all land, prepared for fast point tests.

    Returns:
        A multipolygon in degrees.
    """
    shape = shapely.from_geojson(asset_path("world", "land.geojson").read_text(encoding="utf-8"))
    land = shapely.union_all(shapely.get_parts(shape))
    shapely.prepare(land)
    return land


def on_land(lonlat: Tensor) -> Tensor:
    """Tell which places are on land.

    Args:
        lonlat: ``(N, 2)`` degrees.

    Returns:
        ``(N,)`` bool; shores are accurate to some tens of kilometres.

    Example:
        >>> on_land(torch.tensor([[36.8, -1.3], [-30.0, 0.0]])).tolist()
        [True, False]
    """
    places = lonlat.numpy()
    return torch.from_numpy(
        np.asarray(shapely.contains_xy(land_shape(), places[:, 0], places[:, 1]))
    )


@lru_cache(maxsize=1)
def _ice() -> Tensor:
    """Read ``(360, 720)`` bool, from 90° S and 180° W on: the cells of inland ice."""
    cells = torch.zeros(round(180 / ICE_STEP), round(360 / ICE_STEP), dtype=torch.bool)
    text = asset_path("world", "ice.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        lat, west, east = (float(row[name]) for name in ("lat", "west", "east"))
        first, end = (round((lon + 180) / ICE_STEP) for lon in (west, east))
        cells[int((lat + 90) / ICE_STEP), first:end] = True
    return cells


def on_inland_ice(lonlat: Tensor) -> Tensor:
    """Tell which places are on ice far inland, where hardly anything lives.

    That is land at least 100 km from the sea and from all land whose warmest month is at 0 °C or
    above, by ERA5's means of 2000 to 2025: the middles of Antarctica and Greenland.

    Args:
        lonlat: ``(N, 2)`` degrees.

    Returns:
        ``(N,)`` bool, on cells of 0.5°; what is no number is on none.

    Source:
        Hersbach et al. 2020, ERA5; ``assets/world/make_ice.py`` makes the cells of it.

    Example:
        >>> on_inland_ice(torch.tensor([[-40.0, 75.0], [-51.7, 64.2], [0.0, -90.0]])).tolist()
        [True, False, True]
    """
    cells = _ice()
    known = lonlat.isfinite().all(dim=1)
    degrees = torch.where(known[:, None], lonlat, 0.0).double()
    at = ((degrees - degrees.new_tensor([-180.0, -90.0])) / ICE_STEP).floor().long()
    cells = cells.to(lonlat.device)
    return known & cells[at[:, 1].clamp(0, len(cells) - 1), at[:, 0] % cells.shape[1]]


@lru_cache(maxsize=4)
def land_grid(degrees: float) -> tuple[Tensor, Tensor]:
    """Cut the land into the cells of a regular grid.

    Args:
        degrees: Side of a cell.

    Returns:
        ``(M, 2)`` float64 centres of the cells whose centre is on land, and ``(M,)`` float64 their
        areas as shares of the sphere.
    """
    lon = torch.arange(-180 + degrees / 2, 180, degrees, dtype=torch.float64)
    lat = torch.arange(-90 + degrees / 2, 90, degrees, dtype=torch.float64)
    centres = torch.cartesian_prod(lon, lat)
    half = torch.deg2rad(torch.tensor(degrees / 2, dtype=torch.float64))
    area = torch.cos(torch.deg2rad(centres[:, 1])) * torch.sin(half) * degrees / 360
    kept = on_land(centres)
    return centres[kept], area[kept]


@lru_cache(maxsize=1)
def _continent_shapes() -> tuple[tuple[int, shapely.Geometry], ...]:
    shapes = [(CONTINENTS.index(name), shapely.Polygon(corners)) for name, corners in _OUTLINES]
    for _, shape in shapes:
        shapely.prepare(shape)
    return tuple(shapes)


def continent_of(lonlat: Tensor) -> Tensor:
    """Tell the continent of places, for summaries: seas belong to what is near.

    Russia is cut at the Ural and the Caucasus, Turkey at the straits, Egypt at Suez; New Guinea and
    Hawaii are in Oceania, Greenland in North America. Islands off the lines may be misplaced.

    Args:
        lonlat: ``(N, 2)`` degrees.

    Returns:
        ``(N,)`` int64 positions in ``CONTINENTS``; -1 far out at sea or where the place is missing.

    Example:
        >>> [CONTINENTS[i] for i in continent_of(torch.tensor([[36.8, -1.3], [2.3, 48.9]]))]
        ['Africa', 'Europe']
    """
    places = lonlat.numpy()
    found = np.full(len(places), -1)
    for number, shape in _continent_shapes():
        inside = shapely.intersects_xy(shape, places[:, 0], places[:, 1])
        found[(found < 0) & inside] = number
    return torch.from_numpy(found)
