"""Bands of a raster, brought to a grid of longitude and latitude."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csp_core.errors import BadRecordError, ConfigError
from csp_core.location.holes import Extremes, tell

Bounds = tuple[float, float, float, float]


def bands_of(
    path: Path, source: Any, columns: Sequence[str | int] | None
) -> tuple[list[int], list[str]]:
    """Number the bands asked for, and name them by their descriptions.

    Args:
        path: The file.
        source: The open raster.
        columns: Numbers from 1 or descriptions; None for all.

    Returns:
        Their numbers, and their names.

    Raises:
        ConfigError: If there is no such band.
    """
    described = [text or f"band_{n}" for n, text in enumerate(source.descriptions, 1)]
    known = {name: n for n, name in enumerate(described, 1)}
    bands = []
    for column in range(1, source.count + 1) if columns is None else columns:
        number = column if isinstance(column, int) else known.get(column, 0)
        if not 1 <= number <= source.count:
            raise ConfigError(
                f"covariates: {path.name} has no band {column!r}; its bands are 1 to"
                f" {source.count}: {', '.join(described)}."
            )
        bands.append(number)
    return bands, [described[number - 1] for number in bands]


def bounds_of(source: Any) -> Bounds:
    """Find the degrees that a raster covers; all longitudes where it reaches past ±180°.

    Args:
        source: The open raster.

    Returns:
        West, south, east, north.
    """
    from rasterio.warp import transform_bounds

    west, south, east, north = transform_bounds(source.crs, "EPSG:4326", *source.bounds)
    if not (-180 - 1e-9 <= west < east <= 180 + 1e-9):
        west, east = -180.0, 180.0
    return max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0)


def undeclared(file: str, source: Any, band: int, name: str) -> float | None:
    """Find the number that stands for no value in a band, where the file does not say so.

    Args:
        file: Name of the file.
        source: The open raster.
        band: Number of the band.
        name: Of the band.

    Returns:
        The number, which is told, or None.

    Raises:
        BadRecordError: If there are several, or one beside that which the file names.
    """
    kind = np.dtype(source.dtypes[band - 1])
    if kind.kind not in "iuf":
        return None
    seen = Extremes(np.iinfo(kind).max if kind.kind != "f" else None)
    for _, window in source.block_windows(band):
        seen.add(source.read(band, window=window, masked=True).compressed())
    holes = seen.holes()
    if not holes:
        return None
    declared = source.nodatavals[band - 1]
    if len(holes) > 1 or declared is not None:
        also = "" if declared is None else f" beside its nodata value {declared:g}"
        codes = " and ".join(f"{code:g}" for code in holes)
        raise BadRecordError(
            f"{file}: {name!r} holds {codes}{also}, which is far from all its other values and"
            " seems to mean no value: make it one, such as by"
            f" `gdalwarp -srcnodata {next(iter(holes)):g}`."
        )
    code, count = next(iter(holes.items()))
    tell(file, name, code, count)
    return code


def warped(
    source: Any,
    bands: Sequence[int],
    corner: tuple[float, float],
    step: float,
    shape: tuple[int, int, int],
    codes: Sequence[float | None],
) -> NDArray[np.float64]:
    """Read bands on the cells east and south of a corner.

    Args:
        source: The open raster.
        bands: Numbers of the bands.
        corner: West and north, degrees.
        step: Side of a cell, degrees.
        shape: Bands, rows and columns of cells.
        codes: Of each band the number that stands for no value, if the file does not name it.

    Returns:
        ``shape``, NaN where there is no value.
    """
    from rasterio import Affine
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT

    options = {
        "crs": "EPSG:4326",
        "transform": Affine(step, 0.0, corner[0], 0.0, -step, corner[1]),
        "width": shape[2],
        "height": shape[1],
        "resampling": Resampling.average,
    }
    # Each band has holes of its own; by default only those that all share would count.
    holes = {"nodata": math.nan, "UNIFIED_SRC_NODATA": "NO"}
    values = np.full(shape, np.nan)
    for code in dict.fromkeys(codes):
        own = {} if code is None else {"src_nodata": code}
        at = [place for place, other in enumerate(codes) if other == code]
        with WarpedVRT(source, **options, **holes, **own, dtype="float64") as grid:
            read = grid.read([bands[place] for place in at], masked=True)
        values[at] = np.ma.filled(read.astype(np.float64), np.nan)
    return values
