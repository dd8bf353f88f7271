"""Bands of a raster, brought to a grid of longitude and latitude."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csp_core.errors import ConfigError
from csp_core.location.holes import Extremes, is_code, none_of

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


def met(source: Any, band: int, areas: Sequence[Bounds]) -> Iterator[Any]:
    """List the blocks of a band that areas may need.

    Args:
        source: The open raster.
        band: Number of the band.
        areas: Of longitude and latitude; longitudes as the raster counts them, if it does.

    Yields:
        Windows of the raster.
    """
    parts = [_pixels(source, area) for area in areas]
    for _, window in source.block_windows(band):
        low = (window.col_off, window.row_off)
        high = (window.col_off + window.width, window.row_off + window.height)
        for part in parts:
            if part is None or ((part[0] <= high).all() and (low <= part[1]).all()):
                yield window
                break


def _pixels(source: Any, area: Bounds) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Find the least and largest column and row of an area; None where that is not sure."""
    from rasterio.errors import RasterioError
    from rasterio.warp import transform

    lon, lat = np.meshgrid(*(np.linspace(area[at], area[at + 2], 41) for at in (0, 1)))
    x, y = lon.ravel(), lat.ravel()
    if source.crs.is_geographic:
        # Degrees of another meridian and other units of angle are not those of the area.
        degrees = math.isclose(source.crs.units_factor[1], math.pi / 180, rel_tol=1e-3)
        if not (degrees and 'PRIMEM["Greenwich"' in source.crs.to_wkt()):
            return None
    else:
        try:
            x, y = map(np.array, transform("EPSG:4326", source.crs, x, y))
        except RasterioError:
            return None
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    back = ~source.transform
    pixels = np.stack([back.a * x + back.b * y + back.c, back.d * x + back.e * y + back.f])
    low, high = pixels.min(axis=1), pixels.max(axis=1)
    # Between the points, and where pixels are averaged over an edge.
    margin = 0.05 * (high - low) + 2
    return low - margin, high + margin


def undeclared(
    file: str, source: Any, band: int, name: str, areas: Sequence[Bounds]
) -> tuple[float, ...]:
    """Find the numbers that stand for no value in a band, where the file does not say so.

    Args:
        file: Name of the file.
        source: The open raster.
        band: Number of the band.
        name: Of the band.
        areas: Those to look at, as for ``met``.

    Returns:
        The numbers, which are told.
    """
    kind = np.dtype(source.dtypes[band - 1])
    if kind.kind not in "iuf":
        return ()
    seen = Extremes(np.iinfo(kind).max if kind.kind != "f" else None)
    for window in met(source, band, areas):
        seen.add(source.read(band, window=window, masked=True).compressed())
    return none_of(file, name, seen.holes(), source.nodatavals[band - 1] is not None)


@dataclass(frozen=True)
class Band:
    """A band to read.

    Args:
        source: The open raster.
        number: Of the band, from 1.
        code: What stands for no value, beside what the raster says.
    """

    source: Any
    number: int
    code: float | None = None


@contextlib.contextmanager
def without(
    source: Any, band: int, codes: Sequence[float], areas: Sequence[Bounds]
) -> Iterator[Band]:
    """Leave out codes for no value, and what the file itself masks.

    Args:
        source: The open raster.
        band: Number of the band.
        codes: As ``undeclared`` found.
        areas: Those to read, as for ``met``.

    Yields:
        The band; where one code is not all, of a copy on disk without them.
    """
    import rasterio
    from rasterio.enums import MaskFlags

    # A code that is given to GDAL takes the place of the file's own mask.
    masked = source.mask_flag_enums[band - 1] != [MaskFlags.all_valid]
    if not codes or (len(codes) == 1 and not masked):
        yield Band(source, band, codes[0] if codes else None)
        return
    kind = np.result_type(source.dtypes[band - 1], np.float32)
    rows, columns = source.block_shapes[band - 1]
    tiles = {"tiled": True, "blockxsize": columns} if columns < source.width else {}
    if tiles and (rows % 16 or columns % 16):
        tiles, rows = {}, 16
    options = {"driver": "GTiff", "count": 1, "dtype": kind, "nodata": math.nan, "SPARSE_OK": True,
               "compress": "deflate", "zlevel": 1, "BIGTIFF": "IF_SAFER"}  # fmt: skip
    shape = {"width": source.width, "height": source.height, "blockysize": rows}
    place = {"crs": source.crs, "transform": source.transform}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "band.tif")
        with rasterio.open(path, "w", **options, **shape, **place, **tiles) as target:
            for window in met(source, band, areas):
                values = source.read(band, window=window, masked=True)
                none = np.ma.getmaskarray(values) | is_code(values.data, codes)
                target.write(np.where(none, math.nan, values.data).astype(kind), 1, window=window)
        with rasterio.open(path) as copy:
            yield Band(copy, 1)


def warped(
    bands: Sequence[Band], corner: tuple[float, float], step: float, shape: tuple[int, int, int]
) -> NDArray[np.float64]:
    """Read bands on the cells east and south of a corner.

    Args:
        bands: The bands.
        corner: West and north, degrees.
        step: Side of a cell, degrees.
        shape: Bands, rows and columns of cells.

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
    together: dict[tuple[int, float | None], list[int]] = {}
    for place, band in enumerate(bands):
        together.setdefault((id(band.source), band.code), []).append(place)
    for (_, code), places in together.items():
        own = {} if code is None else {"src_nodata": code}
        source = bands[places[0]].source
        with WarpedVRT(source, **options, **holes, **own, dtype="float64") as grid:
            read = grid.read([bands[place].number for place in places], masked=True)
        values[places] = np.ma.filled(read.astype(np.float64), np.nan)
    return values
