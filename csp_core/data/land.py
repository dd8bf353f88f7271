"""Where land is, by the bundled 1:110m outlines."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import shapely
import torch
from torch import Tensor

from csp_core.files import asset_path


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
