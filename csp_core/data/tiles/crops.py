"""Crops of tiles along one lattice on the ground, so that two are of the same ground or apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from csp_core.data.images import MemoryImages
from csp_core.data.tiles.cutting import Cut, Cutting
from csp_core.data.tiles.files import Grid, Listing
from csp_core.data.tiles.ground import covered, largest_overlap, overlapping_pairs
from csp_core.data.tiles.legend import Legend
from csp_core.data.tiles.raster import DamagedFileError
from csp_core.errors import BadRecordError

FIRST = 5


@dataclass(frozen=True, eq=False)
class Crops(MemoryImages):
    """Crops in memory, in the kind of number of their files.

    Args:
        masks: ``(N, side, side)`` int8 or int16 class of each pixel, -1 where unknown or ignored.
        pixels: ``(N, K)`` int64, how many pixels of each a class has.
        valid: ``(N, side, side)`` bool, where there is data; None where there is everywhere.
        masked: ``(N,)`` bool, whether the tile of each has a mask.
        cells: ``(N, 2)`` int64, row and column in the lattice.
        lonlat: ``(N, 2)`` degrees, their middles; NaN where tiles have no place.
        date: ``(N,)`` part of the year, NaN where unknown.
        names: Tile and corner of each.
        parts: The part that a table deals each to, or an empty word.
        grid: The grid that they are cut from; None where tiles have no place.
        info: What was left out, and what overlaps.
    """

    masks: Tensor = field(default_factory=lambda: torch.empty(0))
    pixels: Tensor = field(default_factory=lambda: torch.empty(0))
    valid: Tensor | None = None
    masked: Tensor = field(default_factory=lambda: torch.empty(0))
    cells: Tensor = field(default_factory=lambda: torch.empty(0))
    lonlat: Tensor = field(default_factory=lambda: torch.empty(0))
    date: Tensor = field(default_factory=lambda: torch.empty(0))
    names: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    grid: Grid | None = None
    info: Mapping[str, object] = field(default_factory=dict)

    def take(self, rows: Tensor) -> Tensor:
        """Copy images out of the array.

        Args:
            rows: ``(n,)`` int64.

        Returns:
            ``(n, C, side, side)``; of 16 bits without a sign as int32.
        """
        found = self.array[rows]
        return found.to(torch.int32) if found.dtype == torch.uint16 else found

    def shares(self) -> Tensor:
        """Tell which part of each crop a class covers.

        Returns:
            ``(N, K)`` float64.
        """
        return self.pixels.double() / (self.masks.shape[1] * self.masks.shape[2])


def cut_tiles(listing: Listing, side: int, legend: Legend, *, least: float = 1.0) -> Crops:
    """Cut all tiles of a folder into crops, by some rows at a time.

    The lattice is one for all tiles, whose overlaps so give crops of the same ground; of one ground
    and day the one with a mask is kept, else the one with more data, else the first. A crop at the
    edge of a tile is filled up by mirroring, and these pixels count as without data.

    Args:
        listing: The tiles.
        side: Side of a crop in pixels.
        legend: What the numbers in the masks mean.
        least: Part of a crop that must have data, in (0, 1]; if 1, of its mask too.

    Returns:
        The crops, by name of tile, row and column.

    Raises:
        BadRecordError: If a number in a mask means nothing, or no crop is left.
    """
    cutting = Cutting(listing, side, legend, least)
    refused = dict(listing.refused)
    for tile in listing.tiles:
        try:
            cutting.cut(tile)
        except DamagedFileError as error:
            refused[tile.source.name] = str(error)
            cutting.forget(tile)
    kept = cutting.compact()
    if not kept:
        tall, wide = (max(tile.size[axis] for tile in listing.tiles) for axis in (0, 1))
        raise BadRecordError(
            f"No crop of {side} pixels is left of {len(listing.tiles)} tiles: {cutting.holes} have"
            f" pixels without data, and no other fits into a tile of up to {tall} × {wide}; give a"
            " smaller crop."
        )
    return _joined(cutting, kept, listing, _told(listing, cutting, kept, refused))


def _joined(
    cutting: Cutting, kept: Sequence[Cut], listing: Listing, told: dict[str, object]
) -> Crops:
    cells = torch.tensor([one.cell for one in kept])
    lonlat = torch.full((len(kept), 2), math.nan)
    if listing.grid is not None:
        middles = (cells.double() + 0.5) * cutting.side
        lonlat = listing.grid.lonlat(middles[:, 0], middles[:, 1])
    valid = None if cutting.valid is None else torch.from_numpy(cutting.valid)
    return Crops(
        torch.from_numpy(cutting.array),
        masks=torch.from_numpy(cutting.masks),
        pixels=torch.from_numpy(cutting.pixels),
        valid=None if valid is None or bool(valid.all()) else valid,
        masked=torch.tensor([one.tile.source.mask is not None for one in kept]),
        cells=cells,
        lonlat=lonlat,
        date=torch.tensor([one.tile.source.date for one in kept], dtype=torch.float32),
        names=tuple(f"{one.tile.source.name}/{one.top}_{one.left}" for one in kept),
        parts=tuple(one.tile.source.part for one in kept),
        grid=listing.grid,
        info=told,
    )


def _told(
    listing: Listing, cutting: Cutting, kept: Sequence[Cut], refused: Mapping[str, str]
) -> dict[str, object]:
    # Those without a place share no ground, whatever their rows and columns.
    places = [tile.place for tile in listing.tiles] if listing.grid is not None else []
    dated = sum(not math.isnan(tile.source.date) for tile in listing.tiles)
    tiles = len(listing.tiles)
    mean = sum(high * wide for high, wide in (tile.size for tile in listing.tiles)) / tiles
    return {
        "tiles": tiles + len(listing.refused),
        "tiles_left_out": len(refused),
        "first_left_out": list(refused.values())[:FIRST],
        "dates": f"the day in the table, else the 15th of the month in the name, for {dated} of"
        f" {tiles} tiles",
        # Without a reference system tiles are taken to share no ground.
        "has_places": listing.grid is not None,
        "pairs_of_tiles_that_overlap": overlapping_pairs(places),
        "most_tiles_joined_by_overlaps": largest_overlap(places) if places else 1,
        "ground_in_tiles": round(covered(places) / mean, 1) if places else float(tiles),
        **listing.info,
        "images_with_no_data_undeclared": len(cutting.undeclared),
        "crops_with_holes_left_out": cutting.holes,
        "crops_of_one_ground_and_date_left_out": cutting.twice,
        "crops_of_one_ground_and_other_dates": len(kept) - len({one.cell for one in kept}),
        "of_them_with_another_mask": cutting.unlike,
    }
