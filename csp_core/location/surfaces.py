"""Rasters and tables read as values on a regular grid of longitude and latitude."""

from __future__ import annotations

import contextlib
import gzip
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from csp_core.location.holes import without_codes
from csp_core.location.warped import Bounds, bands_of, bounds_of, undeclared, warped, without

# Four bytes and a flag each: 160 MB in memory and in the model directory.
MAX_VALUES = 32_000_000
# What the numbers of a table take in memory, and the text of one unpacked.
MAX_TABLE_BYTES = 1_000_000_000
TABLES = (".csv", ".tsv", ".gz", ".parquet", ".pq", ".geoparquet")
LON = ("lon", "longitude", "decimallongitude")
LAT = ("lat", "latitude", "decimallatitude")


@dataclass(frozen=True, eq=False)
class Surface:
    """Named values on cells; row 0 is the northernmost.

    Args:
        names: Of the C columns.
        bounds: West, south, east, north, degrees, on whole cells.
        step: Side of a cell, degrees.
        values: ``(C, H, W)`` float64, NaN where there is none.
    """

    names: tuple[str, ...]
    bounds: Bounds
    step: float
    values: Tensor

    @classmethod
    def empty(cls, names: tuple[str, ...], bounds: Sequence[float], step: float) -> Surface:
        """Make a grid without values.

        Args:
            names: Of the columns.
            bounds: West, south, east, north, degrees.
            step: Side of a cell, degrees.

        Returns:
            The grid, its bounds grown to whole cells.
        """
        whole = whole_cells(bounds, step)
        shape = check_size(names, whole, step)
        return cls(names, whole, step, torch.full(shape, math.nan, dtype=torch.float64))


def whole_cells(bounds: Sequence[float], step: float) -> Bounds:
    """Grow bounds to whole cells counted from -180° and 90°.

    Args:
        bounds: West, south, east, north, degrees.
        step: Side of a cell, degrees; a whole number of them must fill 180°.

    Returns:
        The bounds.

    Raises:
        ConfigError: If bounds or step are none.

    Example:
        >>> whole_cells((5.2, 45.9, 10.4, 47.7), 0.5)
        (5.0, 45.5, 10.5, 48.0)
    """
    if not (math.isfinite(step) and 0 < step <= 180 and _whole(180 / step)):
        raise ConfigError(
            f"covariates: step is {step}; give degrees that divide 180, such as 0.5 or 0.1."
        )
    if len(bounds) != 4 or not all(map(math.isfinite, bounds)):
        raise ConfigError(f"covariates: bounds are {list(bounds)}; give west, south, east, north.")
    west, south, east, north = (float(value) for value in bounds)
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise ConfigError(
            f"covariates: bounds are {[west, south, east, north]}; give west below east in"
            " [-180, 180] and south below north in [-90, 90]."
        )
    return (
        -180 + step * math.floor((west + 180) / step + 1e-6),
        90 - step * math.ceil((90 - south) / step - 1e-6),
        -180 + step * math.ceil((east + 180) / step - 1e-6),
        90 - step * math.floor((90 - north) / step + 1e-6),
    )


def _whole(value: float) -> bool:
    return math.isclose(value, round(value), rel_tol=1e-9)


def check_size(names: Sequence[str], bounds: Bounds, step: float) -> tuple[int, int, int]:
    """Count the values of a grid and refuse one that is too large for a model.

    Args:
        names: Of the columns.
        bounds: West, south, east, north, degrees, on whole cells.
        step: Side of a cell, degrees.

    Returns:
        Columns of values, rows and columns of cells.

    Raises:
        ConfigError: If there are no columns, two of one name, or too many values.
    """
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"covariates: columns are {list(names)}; give one or more, each once.")
    west, south, east, north = bounds
    rows, columns = round((north - south) / step), round((east - west) / step)
    size = len(names) * rows * columns
    if size > MAX_VALUES:
        raise ConfigError(
            f"covariates: {len(names)} columns on {rows:,} x {columns:,} cells of {step:g}° are"
            f" {size:,} values, and a model holds at most {MAX_VALUES:,}; give a larger step,"
            " smaller bounds or fewer columns."
        )
    return len(names), rows, columns


def read_surface(
    source: str | Path,
    columns: Sequence[str | int] | None,
    step: float,
    bounds: Sequence[float] | None,
) -> Surface:
    """Read a raster or table as a grid; see ``Covariates``.

    Args:
        source: The file.
        columns: Bands or columns, or None.
        step: Side of a cell, degrees.
        bounds: West, south, east, north, degrees, or None.

    Returns:
        The grid.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it cannot be read, or holds no value.
        ConfigError: If an option does not fit.
    """
    path = Path(source)
    if not path.is_file():
        raise DataNotFoundError(
            f"covariates: {path.name!r} is not there; give a raster such as climate.tif, or a CSV"
            " or Parquet table."
        )
    read = _read_table if path.suffix.lower() in TABLES else _read_raster
    surface = read(path, columns, step, bounds)
    nothing = ~surface.values.isfinite().flatten(1).any(dim=1)
    if nothing.any():
        name = surface.names[int(nothing.nonzero()[0])]
        raise BadRecordError(
            f"{path.name}: {name!r} has no value on the grid {list(surface.bounds)}; give bounds"
            " where it has some, or leave it out of columns."
        )
    return surface


def _read_table(
    path: Path, columns: Sequence[str | int] | None, step: float, bounds: Sequence[float] | None
) -> Surface:
    """Average the rows of a table in each cell."""
    try:
        parquet = "parquet" in path.suffix.lower() or path.suffix.lower() == ".pq"
        separator = "\t" if ".tsv" in path.name.lower() else ","
        table = _numbers(path) if parquet else pl.read_csv(_text(path), separator=separator)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise BadRecordError(f"{path.name} cannot be read as a table ({reason}).") from error
    lon, lat = (_coordinate(path, table, names) for names in (LON, LAT))
    numbers = [c for c in table.columns if table[c].dtype.is_numeric() and c not in (lon, lat)]
    chosen = numbers if columns is None else [str(column) for column in columns]
    wrong = [name for name in chosen if name not in numbers]
    if wrong or not chosen:
        raise ConfigError(
            f"covariates: {path.name} has no column of numbers {', '.join(map(repr, wrong))};"
            f" its columns of numbers are {', '.join(numbers) or 'none'}."
        )
    values = table.select(pl.col(lon, lat, *chosen).cast(pl.Float64)).fill_null(math.nan).to_numpy()
    place = values[:, :2]
    values[:, 2:] = np.column_stack(
        [without_codes(path.name, n, v) for n, v in zip(chosen, values[:, 2:].T, strict=True)]
    )
    if not (np.isfinite(place).all() and (np.abs(place) <= (180, 90)).all()):
        raise BadRecordError(
            f"{path.name}: {lon} and {lat} must be degrees in [-180, 180] and [-90, 90], in every"
            " row."
        )
    half = step / 2
    # A table of cell centres fills the cells around them.
    low, high = place.min(axis=0) - half, place.max(axis=0) + half
    own = (max(low[0], -180), max(low[1], -90), min(high[0], 180), min(high[1], 90))
    whole = whole_cells(own if bounds is None else bounds, step)
    shape = check_size(chosen, whole, step)
    x = np.floor((place[:, 0] - whole[0]) / step + 1e-9).astype(np.int64)
    y = np.floor((whole[3] - place[:, 1]) / step + 1e-9).astype(np.int64)
    # The eastern and southern edges belong to the last cell.
    x[np.isclose(place[:, 0], whole[2])] -= 1
    y[np.isclose(place[:, 1], whole[1])] -= 1
    inside = (x >= 0) & (x < shape[2]) & (y >= 0) & (y < shape[1])
    cell = y[inside] * shape[2] + x[inside]
    grid = [_cell_means(cell, column, shape[1] * shape[2]) for column in values[inside, 2:].T]
    stacked = torch.from_numpy(np.stack(grid)).view(shape)
    return Surface(tuple(chosen), whole, float(step), stacked)


def _numbers(path: Path) -> pl.DataFrame:
    """Read the columns of numbers of a Parquet file: text is not asked for, and may grow."""
    lazy = pl.scan_parquet(path)
    names = [name for name, kind in lazy.collect_schema().items() if kind.is_numeric()]
    rows = lazy.select(pl.len()).collect().item()
    _check_bytes(path, rows * len(names) * 8)
    return lazy.select(names).collect()


def _text(path: Path) -> Path:
    """Refuse a text that is too large, packed or not, before it is held as a whole."""
    size = path.stat().st_size
    if path.suffix.lower() == ".gz":
        with gzip.open(path) as stream:
            size = 0
            while size <= MAX_TABLE_BYTES and (block := stream.read(1 << 20)):
                size += len(block)
    _check_bytes(path, size)
    return path


def _check_bytes(path: Path, size: int) -> None:
    if size > MAX_TABLE_BYTES:
        raise BadRecordError(
            f"{path.name} takes more than {MAX_TABLE_BYTES / 1e9:g} GB once read, which is the"
            " limit of a table of covariates; give fewer rows or columns, or a raster."
        )


def _cell_means(cell: NDArray[Any], column: NDArray[Any], cells: int) -> NDArray[np.float64]:
    known = np.isfinite(column)
    total = np.bincount(cell[known], weights=column[known], minlength=cells)
    count = np.bincount(cell[known], minlength=cells)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _coordinate(path: Path, table: pl.DataFrame, names: tuple[str, ...]) -> str:
    for name in names:
        for column in table.columns:
            if column.casefold() == name and table[column].dtype.is_numeric():
                return column
    raise BadRecordError(
        f"{path.name} has no column of numbers {names[0]!r}, in degrees; its columns are"
        f" {', '.join(table.columns)}."
    )


def _read_raster(
    path: Path, columns: Sequence[str | int] | None, step: float, bounds: Sequence[float] | None
) -> Surface:
    """Warp bands onto the grid, averaging what is finer."""
    import rasterio
    from rasterio.errors import RasterioError

    try:
        with rasterio.open(path) as source:
            if source.crs is None:
                raise BadRecordError(
                    f"{path.name} names no coordinate reference system, so nobody knows where its"
                    " pixels lie: set one, such as `gdal_edit.py -a_srs EPSG:4326`."
                )
            bands, names = bands_of(path, source, columns)
            own = bounds_of(source)
            whole = whole_cells(own if bounds is None else bounds, step)
            check_size(names, whole, step)
            values = _on_grid(path, source, bands, names, whole, step)
    except (RasterioError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadRecordError(f"{path.name} cannot be read as a raster ({reason}).") from error
    return Surface(tuple(names), whole, float(step), torch.from_numpy(values))


def _on_grid(
    path: Path,
    source: Any,
    bands: Sequence[int],
    names: Sequence[str],
    whole: Bounds,
    step: float,
) -> NDArray[np.float64]:
    west, south, east, north = whole
    areas = [whole]
    if source.crs.is_geographic:
        # Longitudes may run from 0 to 360, or beyond 180.
        turned = [(west + t, south, east + t, north) for t in (0.0, 360.0, -360.0)]
        left, right = source.bounds.left, source.bounds.right
        areas = [area for area in turned if left < area[2] and area[0] < right]
    values = np.full(check_size(names, whole, step), np.nan)
    with contextlib.ExitStack() as stack:
        read = []
        for band, name in zip(bands, names, strict=True):
            codes = undeclared(path.name, source, band, name, areas)
            read.append(stack.enter_context(without(source, band, codes, areas)))
        for area in areas:
            found = warped(read, (area[0], area[3]), step, values.shape)
            values = np.where(np.isnan(values), found, values)
    return values
