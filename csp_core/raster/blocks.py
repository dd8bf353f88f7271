"""Work in blocks through Dask, such as rasters larger than memory that are written as Zarr."""

from __future__ import annotations

import importlib
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from csp_core.errors import BadRecordError, ConfigError
from csp_core.files import atomic_directory
from csp_core.files.writing import writing
from csp_core.geo import WORLD
from csp_core.grid import Bounds, Grid, make_grid
from csp_core.model import Prior
from csp_core.raster.output import NO_CREDIT, SUPPORT_MEANING, SUPPORT_UNKNOWN, Credit, describe
from csp_core.raster.prior import MAX_CELLS, GridPrior, extrapolates
from csp_core.raster.raster import Raster, find_class
from csp_core.raster.thresholds import Threshold

# A world of 0.005° has 2.6 thousand million cells, at a million a second three quarters of an hour.
MAX_ZARR_CELLS, MAX_BLOCKS = 10_000_000_000, 100_000
# A value and a flag, before they are compressed.
CELL_BYTES = 5
ANCHOR = {"zarr.json", ".zgroup", ".zarray"}
SCHEDULERS = ("threads", "processes", "synchronous")
# Within which a cluster's scheduler must answer.
SECONDS = 20
T = TypeVar("T")
R = TypeVar("R")


def write_zarr(
    model: Prior,
    taxon: str | int,
    path: str | Path,
    *,
    bounds: Bounds = WORLD,
    step: float = 0.5,
    date: float | None = None,
    block: int = 512,
    threshold: Threshold | None = None,
    credit: Credit = NO_CREDIT,
) -> dict[str, Any]:
    """Compute a class block by block and write it as a Zarr group; only a block is held at a time.

    The group has ``value`` and ``extrapolated`` over ``lat`` (north to south) and ``lon`` (west to
    east; over the antimeridian it goes on beyond 180). Dask computes the blocks one after another,
    or on the cluster of a ``dask.distributed`` client if there is one.

    Args:
        model: A model or a baseline.
        taxon: Scientific name, common name or label.
        path: The folder to write; a Zarr group that stood there is replaced, nothing else is.
        bounds: West, south, east, north, degrees; west above east crosses the antimeridian.
        step: Side of a cell, degrees.
        date: Part of the year in [0, 1), or None; models without a time input ignore it.
        block: Cells along a side of a block.
        threshold: A threshold to note.
        credit: Whom to name.

    Returns:
        What the group says of itself.

    Raises:
        UnknownNameError: If the model has no such class.
        ConfigError: If an option is out of range, the grid too large for the disk or to end within
            hours, or Dask or Zarr are not installed.
        BadRecordError: If the folder cannot be written or is something else.
    """
    label, grid = find_class(model, taxon), make_grid(bounds, step)
    _check_size(grid, block, path)
    path = Path(path)
    if path.exists() and not (path.is_dir() and {f.name for f in path.iterdir()} & ANCHOR):
        raise BadRecordError(f"{path} exists and is no Zarr group, so it is not replaced.")
    # The first cell knows the date that counts and the names that go with the label.
    corner = GridPrior(model, _part(grid, 0, 0, 1, 1).bounds, grid.step, date)
    sample = corner.heatmap(label)
    about = _describe(sample, grid, threshold, credit)
    with writing(path, atomic_directory) as folder:
        _store(
            folder,
            grid,
            block,
            {
                "value": (np.float32, partial(_values, model, label, corner.date)),
                "extrapolated": (np.bool_, partial(_extrapolated, model)),
            },
            about,
        )
    return about


def in_turn(
    work: Callable[[T], R], pieces: Sequence[T], *, scheduler: str, at_once: int = 16
) -> Iterator[R]:
    """Have Dask do pieces of work, and give what comes of them in their order.

    Args:
        work: What to do with a piece; it and the pieces must be such as can be sent.
        pieces: The pieces.
        scheduler: ``threads``, ``processes`` or ``synchronous`` on this machine, or the address of
            a cluster's scheduler, such as ``tcp://host:8786``.
        at_once: How many results are held at the most.

    Yields:
        What ``work`` returned for each.

    Raises:
        ConfigError: If Dask is not installed, there is no such scheduler or it does not answer.
    """
    try:
        dask: Any = importlib.import_module("dask")
    except ImportError as error:
        raise ConfigError(
            "Work through Dask needs dask: pip install -r requirements-large.txt."
        ) from error
    with _scheduler(scheduler) as options:
        for at in range(0, len(pieces), at_once):
            some = [dask.delayed(work)(piece) for piece in pieces[at : at + at_once]]
            yield from dask.compute(*some, **options)


@contextmanager
def _scheduler(name: str) -> Iterator[dict[str, Any]]:
    """Give what ``dask.compute`` is told of a scheduler, and stay connected to it in the block."""
    if name in SCHEDULERS:
        yield {"scheduler": name}
        return
    if "://" not in name:
        raise ConfigError(
            f"Dask has no scheduler {name!r}; give {', '.join(SCHEDULERS)} or the address of a"
            " cluster's, such as tcp://host:8786."
        )
    try:
        client_of: Any = importlib.import_module("distributed").Client
    except ImportError as error:
        raise ConfigError(
            "A cluster's scheduler needs distributed: pip install -r requirements-large.txt."
        ) from error
    try:
        client = client_of(name, timeout=SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(f"No scheduler of Dask answers at {name} ({error}).") from error
    with client:
        yield {"scheduler": client}


def _check_size(grid: Grid, block: int, path: str | Path) -> None:
    """Refuse what would not end, or not fit, before anything is written or held."""
    if block < 1:
        raise ConfigError(f"block is {block}; give at least 1 cell.")
    cells = grid.rows * grid.columns
    blocks = math.ceil(grid.rows / block) * math.ceil(grid.columns / block)
    if cells > MAX_ZARR_CELLS or blocks > MAX_BLOCKS:
        raise ConfigError(
            f"{cells:,} cells of {grid.step:g}° in {blocks:,} blocks are too many; give a larger"
            f" step or smaller bounds, for at most {MAX_ZARR_CELLS:,} cells and {MAX_BLOCKS:,}"
            " blocks."
        )
    if min(block, grid.rows) * min(block, grid.columns) > MAX_CELLS:
        raise ConfigError(f"A block of {block:,} cells a side cannot be held; give less.")
    above = next(folder for folder in Path(path).absolute().parents if folder.exists())
    free = shutil.disk_usage(above).free
    if cells * CELL_BYTES > free:
        raise ConfigError(
            f"{cells:,} cells may take {cells * CELL_BYTES / 1e9:,.1f} GB, and {above} has"
            f" {free / 1e9:,.1f} GB free; give a larger step, smaller bounds or another disk."
        )


def _describe(
    sample: Raster, grid: Grid, threshold: Threshold | None, credit: Credit
) -> dict[str, Any]:
    facts = describe(sample, threshold, credit)
    size = {"bounds": list(grid.bounds), "width": grid.columns, "height": grid.rows}
    meaning = SUPPORT_MEANING if sample.support_known else SUPPORT_UNKNOWN
    return {**facts, **size, "crs": "EPSG:4326", "extrapolated_meaning": meaning}


def _store(
    folder: Path,
    grid: Grid,
    block: int,
    layers: dict[str, tuple[Any, Callable[[Grid], NDArray[Any]]]],
    about: dict[str, Any],
) -> None:
    try:
        import dask.array
        import zarr
    except ImportError as error:
        raise ConfigError(
            f"Writing Zarr needs {error.name}: pip install -r requirements-large.txt."
        ) from error
    group = zarr.open_group(folder, mode="w", zarr_format=3, attributes=about)
    da: Any = dask.array
    half = grid.step / 2
    axes = {
        "lat": np.linspace(grid.north - half, grid.bounds[1] + half, grid.rows),
        "lon": grid.west + half + grid.step * np.arange(grid.columns),
    }
    for name, values in axes.items():
        axis = group.create_array(
            name, shape=values.shape, dtype=np.float64, dimension_names=(name,)
        )
        axis[:] = values
    sizes = da.core.normalize_chunks((block, block), shape=grid.shape)
    find_scheduler: Any = dask.base.get_scheduler
    lazy, targets = [], []
    for name, (dtype, compute) in layers.items():
        work = partial(_one_block, grid, block, compute)
        lazy.append(da.map_blocks(work, chunks=sizes, dtype=dtype, meta=np.empty((0, 0), dtype)))
        targets.append(
            group.create_array(
                name,
                shape=grid.shape,
                chunks=(min(block, grid.rows), min(block, grid.columns)),
                dtype=dtype,
                dimension_names=("lat", "lon"),
            )
        )
    # Torch uses the processors inside of a block, so blocks at once would only get in the way.
    alone = {} if find_scheduler() else {"scheduler": "synchronous"}
    da.store(lazy, targets, lock=False, **alone)


def _one_block(
    grid: Grid, block: int, compute: Callable[[Grid], NDArray[Any]], block_id: tuple[int, int]
) -> NDArray[Any]:
    row, column = (block * number for number in block_id)
    return compute(_part(grid, row, column, block, block))


def _part(grid: Grid, row: int, column: int, rows: int, columns: int) -> Grid:
    return Grid(
        grid.per_half,
        (grid.first_column + column) % (2 * grid.per_half),
        grid.first_row + row,
        min(columns, grid.columns - column),
        min(rows, grid.rows - row),
    )


def _values(model: Prior, label: int, date: float | None, part: Grid) -> NDArray[np.float32]:
    prior = GridPrior(model, part.bounds, part.step, date, keep_bytes=0)
    values: NDArray[np.float32] = prior.values(label).numpy()
    return values


def _extrapolated(model: Prior, part: Grid) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = extrapolates(model, part).numpy()
    return mask
