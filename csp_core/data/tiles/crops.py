"""Crops of tiles along one lattice on the ground, so that two are of the same ground or apart."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from csp_core.data.images import MemoryImages
from csp_core.data.tiles.files import (
    Grid,
    Tile,
    check_numbers,
    list_tiles,
    read_image,
    read_mask,
)
from csp_core.errors import BadRecordError


@dataclass(frozen=True, eq=False)
class Crops(MemoryImages):
    """Crops in memory.

    Args:
        shares: ``(N, K)`` float64, part of each that a class covers.
        cells: ``(N, 2)`` int64, row and column in the lattice.
        lonlat: ``(N, 2)`` degrees, their middles.
        date: ``(N,)`` part of the year, NaN where unknown.
        names: Tile and corner of each.
        info: What was left out, and what overlaps.
    """

    shares: Tensor = field(default_factory=lambda: torch.empty(0))
    cells: Tensor = field(default_factory=lambda: torch.empty(0))
    lonlat: Tensor = field(default_factory=lambda: torch.empty(0))
    date: Tensor = field(default_factory=lambda: torch.empty(0))
    names: tuple[str, ...] = ()
    info: Mapping[str, object] = field(default_factory=dict)


def cut_tiles(root: Path, side: int, classes: Sequence[int], ignored: set[int]) -> Crops:
    """Cut all tiles of a folder into crops.

    The lattice is one for all tiles, whose overlaps so give crops of the same ground; of one ground
    and date the first is kept. Crops at the edge of a tile and those with pixels without data, in
    image or mask, are left out.

    Args:
        root: Folder of the tiles.
        side: Side of a crop in pixels.
        classes: Numbers of the classes in the masks.
        ignored: Numbers in the masks that are no class.

    Returns:
        The crops, by name of tile, row and column.

    Raises:
        CspError: If a tile or mask does not fit.
    """
    grid, tiles = list_tiles(root)
    found: dict[tuple[int, int, float], _Crop] = {}
    masks: dict[tuple[int, int], Tensor] = {}
    twice = holes = unlike = 0
    for tile in tiles:
        (image, hole), mask = read_image(tile), read_mask(tile)
        check_numbers(mask, {*classes, *ignored}, tile.mask.name)
        hole |= mask < 0
        for cell, rows, columns in _cells(tile, side):
            # A date that is unknown equals itself here.
            key = (*cell, -1.0 if math.isnan(tile.date) else tile.date)
            part = mask[rows, columns]
            if hole[rows, columns].any():
                holes += 1
            elif key in found:
                twice += 1
            else:
                unlike += int(not torch.equal(masks.setdefault(cell, part), part))
                share = torch.stack([(part == number).double().mean() for number in classes])
                name = f"{tile.name}/{rows.start}_{columns.start}"
                found[key] = _Crop(image[:, rows, columns], share, cell, tile.date, name)
    if not found:
        raise BadRecordError(
            f"No crop of {side} pixels is left of {len(tiles)} tiles: {holes} have pixels without"
            " data, and no other fits into a tile; give a smaller crop."
        )
    told = {
        **_told(tiles),
        "crops_with_holes_left_out": holes,
        "crops_of_one_ground_and_date_left_out": twice,
        "crops_of_one_ground_and_other_dates": len(found) - len(masks),
        "of_them_with_another_mask": unlike,
    }
    return _joined(list(found.values()), grid, side, told)


@dataclass(frozen=True, eq=False)
class _Crop:
    """One crop, as a row of ``Crops``."""

    image: Tensor
    share: Tensor
    cell: tuple[int, int]
    date: float
    name: str


def _joined(found: Sequence[_Crop], grid: Grid, side: int, told: dict[str, object]) -> Crops:
    cells = torch.tensor([one.cell for one in found])
    middles = (cells.double() + 0.5) * side
    return Crops(
        torch.stack([one.image for one in found]),
        shares=torch.stack([one.share for one in found]),
        cells=cells,
        lonlat=grid.lonlat(middles[:, 0], middles[:, 1]),
        date=torch.tensor([one.date for one in found], dtype=torch.float32),
        names=tuple(one.name for one in found),
        info=told,
    )


def _cells(tile: Tile, side: int) -> Iterator[tuple[tuple[int, int], slice, slice]]:
    """Go through the cells of the lattice that lie wholly in a tile."""
    height, width = tile.size
    for row in range(-(-tile.row // side), (tile.row + height) // side):
        for column in range(-(-tile.column // side), (tile.column + width) // side):
            top, left = row * side - tile.row, column * side - tile.column
            yield (row, column), slice(top, top + side), slice(left, left + side)


def _told(tiles: Sequence[Tile]) -> dict[str, object]:
    places = [(tile.row, tile.column, *tile.size) for tile in tiles]
    dated = sum(not math.isnan(tile.date) for tile in tiles)
    return {
        "tiles": len(tiles),
        "dates": f"the 15th of the month in the name, for {dated} of {len(tiles)} tiles",
        "pairs_of_tiles_that_overlap": overlapping_pairs(places),
    }


def overlapping_pairs(places: Sequence[tuple[int, int, int, int]]) -> int:
    """Count the pairs of rectangles that share ground.

    A line goes over the rows; of the rectangles that it is in, all share columns with another but
    those that end before it and those that begin behind it.

    Args:
        places: Row, column, height and width of each, of whole numbers, the latter two above 0.

    Returns:
        How many pairs; those that only touch are none.
    """
    # At one row, those that end there come before those that begin.
    events = [(row, True, column, column + width) for row, column, _, width in places]
    events += [
        (row + height, False, column, column + width) for row, column, height, width in places
    ]
    begins: list[int] = []
    ends: list[int] = []
    pairs = 0
    for _, opens, begin, end in sorted(events):
        if opens:
            pairs += len(ends) - bisect_right(ends, begin)
            pairs -= len(begins) - bisect_left(begins, end)
            insort(begins, begin)
            insort(ends, end)
        else:
            del begins[bisect_left(begins, begin)]
            del ends[bisect_left(ends, end)]
    return pairs


def blocks_of(cells: Tensor, side: int) -> Tensor:
    """Number the blocks of ground that crops belong to.

    Args:
        cells: ``(N, 2)`` row and column of each in the lattice.
        side: Side of a block in crops.

    Returns:
        ``(N,)`` int64, in the order of the blocks' rows and columns.
    """
    blocks = cells.div(side, rounding_mode="floor")
    found: Tensor = torch.unique(blocks, dim=0, return_inverse=True)[1]
    return found


def overlaps(cells: Tensor, parts: Tensor) -> int:
    """Count the pairs of crops of different parts of the data that share ground.

    Args:
        cells: ``(N, 2)`` row and column of each in the lattice.
        parts: ``(N,)`` the part of each, negative where it is left out.

    Returns:
        How many pairs.
    """
    used = parts >= 0
    ground = torch.unique(cells[used], dim=0, return_inverse=True)[1]
    each = torch.stack((ground, parts[used]), dim=1)
    crops = torch.bincount(ground)
    of_part = torch.unique(each, dim=0, return_counts=True)[1]
    # Of n crops of one ground, n² pairs in either order, those of one part among them.
    return int(crops.square().sum() - of_part.square().sum()) // 2
