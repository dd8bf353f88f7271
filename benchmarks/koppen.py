"""Köppen's main climates of places, from monthly means of temperature and precipitation.

Source: Kottek et al. 2006, World Map of the Köppen-Geiger climate classification updated.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CLIMATES = ("equatorial (A)", "arid (B)", "warm temperate (C)", "snow (D)", "polar (E)")
# April to September, which is the summer half of the north.
HALF = slice(3, 9)


def main_climates(
    celsius: NDArray[np.float64], millimetres: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Tell the main climate of places.

    Args:
        celsius: ``(12, N)`` mean temperature of each month, degrees Celsius.
        millimetres: ``(12, N)`` precipitation of each month.
        lat: ``(N,)`` degrees.

    Returns:
        ``(N,)`` positions in ``CLIMATES``.
    """
    coldest, warmest, mean = celsius.min(0), celsius.max(0), celsius.mean(0)
    year = millimetres.sum(0)
    north = millimetres[HALF].sum(0)
    summer = np.where(lat >= 0, north, year - north)
    # So much falls where the year's precipitation is no more than what evaporates.
    more = np.select([year - summer >= year * 2 / 3, summer >= year * 2 / 3], [0, 28], 14)
    arid = year < 10 * (2 * mean + more)
    found = [warmest < 10, arid, coldest >= 18, coldest > -3]
    return np.select(found, [4, 1, 0, 2], 3).astype(np.int64)


def climate_of(lonlat: Tensor, file: Path) -> Tensor:
    """Look the main climate of places up.

    Args:
        lonlat: ``(N, 2)`` degrees.
        file: NetCDF of monthly means of ERA5 on a grid of a quarter of a degree, from 90° N and
            0° E on: ``t2m`` in degrees Celsius and ``tp`` in millimetres a month.

    Returns:
        ``(N,)`` int64, positions in ``CLIMATES``.
    """
    import rasterio

    lon, lat = lonlat.double().numpy().T
    row = np.rint((90 - lat) * 4).astype(int)
    column = np.rint((lon % 360) * 4).astype(int) % 1440
    months = {}
    for name in ("t2m", "tp"):
        with rasterio.open(f"netcdf:{file}:{name}") as data:
            months[name] = data.read()[:, row, column].astype(np.float64)
    return torch.from_numpy(main_climates(months["t2m"], months["tp"], lat))
