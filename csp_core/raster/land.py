"""Maps without the sea: which cells hold some land, and a raster of those alone."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from csp_core.files import asset_path
from csp_core.grid import Grid, make_grid
from csp_core.model import Prior
from csp_core.raster.raster import Raster, find_class

# Pixels a degree of the picture that land is looked up in.
FINE = 10


def only_land(raster: Raster) -> Raster:
    """Leave the sea out of a raster.

    Args:
        raster: Any raster.

    Returns:
        The same with no data, and nothing to extrapolate, in cells that hold no land. Shores and
        islands are those of the bundled countries, 1:50m, widened by up to 0.1°.
    """
    land = land_cells(raster.grid)
    sea = torch.full_like(raster.values, torch.nan)
    values = torch.where(land, raster.values, sea)
    return replace(raster, values=values, extrapolated=raster.extrapolated & land, land_only=True)


def mostly_at_sea(model: Prior, taxon: str | int) -> bool:
    """Tell whether a class is recorded at sea more than on land, so that its map needs the sea.

    Args:
        model: A model or a baseline.
        taxon: As for ``find_class``.

    Returns:
        Whether more than half of its training records lie in cells without land; False where the
        model keeps no counts of them.
    """
    if model.support is None:
        return False
    centres, counts = model.support.taxon_cells(find_class(model, taxon))
    grid = make_grid((-180.0, -90.0, 180.0, 90.0), model.support.cell_degrees)
    land = land_cells(grid)
    records = zip(centres.tolist(), counts.tolist(), strict=True)
    wet = sum(count for (lon, lat), count in records if not land[grid.cell(lon, lat)])
    return bool(wet > counts.sum().item() / 2)


@lru_cache(maxsize=8)
def land_cells(grid: Grid) -> Tensor:
    """Find the cells of a grid that hold some land.

    Args:
        grid: The cells.

    Returns:
        ``(H, W)`` bool, shared: read it, never change it.

    Example:
        >>> from csp_core.grid import make_grid
        >>> land_cells(make_grid((-30.0, 0.0, -20.0, 10.0), 10.0)).item()
        False
        >>> land_cells(make_grid((10.0, 40.0, 20.0, 50.0), 10.0)).item()
        True
    """
    # Twice around, as a grid may cross the antimeridian.
    land = np.tile(_land(), 2) if grid.crosses else _land()
    # Sums of all pixels above and to the left.
    sums = np.pad(land, ((1, 0), (1, 0))).cumsum(axis=0, dtype=np.int32)
    sums = sums.cumsum(axis=1, dtype=np.int32)
    top, bottom = _pixels(grid.first_row, grid.rows, grid.step)
    left, right = _pixels(grid.first_column, grid.columns, grid.step)
    inside = (
        sums[np.ix_(bottom, right)]
        - sums[np.ix_(top, right)]
        - sums[np.ix_(bottom, left)]
        + sums[np.ix_(top, left)]
    )
    return torch.from_numpy(inside > 0)


def _pixels(first: int, count: int, step: float) -> tuple[npt.NDArray[np.int64], ...]:
    """Give the first pixel of each cell along an axis, and the first behind it."""
    edges = np.round((first + np.arange(count + 1)) * step * FINE, 6)
    start = np.floor(edges[:-1]).astype(np.int64)
    return start, np.maximum(np.ceil(edges[1:]).astype(np.int64), start + 1)


@lru_cache(maxsize=1)
def _land() -> npt.NDArray[np.int32]:
    """Draw all countries: 1 is land, 0 is sea."""
    text = asset_path("world", "countries.geojson").read_text(encoding="utf-8")
    picture = Image.new("L", (360 * FINE, 180 * FINE))
    draw = ImageDraw.Draw(picture)
    for feature in json.loads(text)["features"]:
        shape = feature["geometry"]
        parts = shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]
        for outer, *holes in parts:
            draw.polygon(_corners(outer), fill=1, outline=1)
            # A hole is sea, or another country, which is drawn too.
            for hole in holes:
                draw.polygon(_corners(hole), fill=0, outline=1)
    return np.asarray(picture, np.int32)


def _corners(ring: list[list[float]]) -> list[tuple[float, float]]:
    return [((lon + 180) * FINE, (90 - lat) * FINE) for lon, lat in ring]
