"""Cutting tiles along a lattice into arrays, by some rows of a file at a time."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from csp_core.data.pictures.scale import holes
from csp_core.data.tiles.files import APART, Listing, Tile
from csp_core.data.tiles.legend import UNKNOWN, Legend
from csp_core.data.tiles.raster import Raster, open_raster
from csp_core.errors import BadRecordError

Pixels = npt.NDArray[Any]


@dataclass(frozen=True)
class Cut:
    """Where a crop lies.

    Args:
        tile: The tile it is of.
        cell: Its row and column in the lattice.
        top: Its first row in the tile, below 0 where it begins before.
        left: Its first column in the tile.
    """

    tile: Tile
    cell: tuple[int, int]
    top: int
    left: int


class Cutting:
    """Crops as they are filled, in the order in which tiles hold their ground.

    Args:
        listing: The tiles.
        side: Side of a crop in pixels.
        legend: What the numbers in the masks mean.
        least: Part of a crop that must have data, in (0, 1]; if 1, of its mask too.
    """

    def __init__(self, listing: Listing, side: int, legend: Legend, least: float) -> None:
        self.side, self.legend, self.least = side, legend, least
        self._slot: dict[tuple[int, int, str], int] = {}
        for tile in listing.tiles:
            for cut in self._cuts(tile):
                self._slot.setdefault((*cut.cell, tile.source.day), len(self._slot))
        number, square = len(self._slot), (side, side)
        bands = len(listing.tiles[0].bands)
        _check_memory(number * side**2, bands * np.dtype(listing.kind).itemsize, listing)
        # Memory of zeros is taken when something is written there.
        self.array: Pixels = np.zeros((number, bands, *square), dtype=listing.kind)
        kind = np.int8 if len(legend.names) < 128 else np.int16
        self.masks: Pixels = np.zeros((number, *square), dtype=kind)
        self.valid = np.zeros((number, *square), dtype=np.bool_) if least < 1 else None
        self.pixels = np.zeros((number, len(legend.names)), dtype=np.int64)
        self._score = np.full(number, -1, dtype=np.int64)
        self._of: list[Cut | None] = [None] * number
        self._first: dict[tuple[int, int], int] = {}
        self.holes = self.twice = self.unlike = 0
        # Images with numbers such as -9999 that they do not declare to be no data.
        self.undeclared: set[str] = set()

    def _cuts(self, tile: Tile) -> Iterator[Cut]:
        """Go through the cells of the lattice that lie in a tile, wholly or so far as is asked."""
        height, width = tile.size
        for row in range(tile.row // self.side, -(-(tile.row + height) // self.side)):
            top = row * self.side - tile.row
            high = min(top + self.side, height) - max(top, 0)
            for column in range(tile.column // self.side, -(-(tile.column + width) // self.side)):
                left = column * self.side - tile.column
                wide = min(left + self.side, width) - max(left, 0)
                if high * wide >= self.least * self.side**2:
                    yield Cut(tile, (row, column + APART * tile.plate), top, left)

    def cut(self, tile: Tile) -> None:
        """Read a tile and keep its crops.

        Args:
            tile: The tile.

        Raises:
            BadRecordError: If a file is damaged or a number in its mask means nothing.
        """
        lines: dict[int, list[Cut]] = defaultdict(list)
        for cut in self._cuts(tile):
            lines[cut.top].append(cut)
        with ExitStack() as opened:
            image = opened.enter_context(open_raster(tile.source.image))
            path = tile.source.mask
            mask = None if path is None else opened.enter_context(open_raster(path))
            for top, cuts in sorted(lines.items()):
                rows = max(top, 0), min(top + self.side, tile.size[0])
                values, valid = self._values(image, rows, tile.bands)
                classes = self._classes(mask, rows)
                for cut in cuts:
                    self._keep(cut, values, valid, classes)

    def _values(
        self, image: Raster, rows: tuple[int, int], bands: Sequence[int]
    ) -> tuple[Pixels, npt.NDArray[np.bool_]]:
        """Read some rows; where a file declares no number for no data, usual ones are none."""
        values, valid = image.rows(*rows, bands)
        if image.header.nodata is None and image.header.opaque is None:
            empty = holes(values, None).any(axis=0) & valid
            if empty.any():
                self.undeclared.add(image.header.name)
                values[:, empty] = 0
                valid &= ~empty
        return values, valid

    def _classes(self, mask: Raster | None, rows: tuple[int, int]) -> Pixels | None:
        """Read the classes of some rows, -1 where the mask has no data and -2 where ignored."""
        if mask is None:
            return None
        values, known = mask.rows(*rows, mask.header.bands)
        # Many files call their background no data; where it is a class, it is one.
        nodata = mask.header.nodata
        usual = self.legend.numbers.index(nodata) if nodata in self.legend.numbers else UNKNOWN
        found = np.full(known.shape, usual, dtype=self.masks.dtype)
        found[known] = self.legend.number(values[0][known], f"masks/{mask.header.name}")
        return found

    def _keep(self, cut: Cut, values: Pixels, valid: Pixels, classes: Pixels | None) -> None:
        """Keep a crop, if it has data and none of its ground and day has more."""
        image = self._square(cut, values, mode="symmetric")
        inside = self._square(cut, valid, mode="constant")
        mask = None
        if classes is not None:
            mask = self._square(cut, classes, mode="constant", constant_values=UNKNOWN)
            mask = np.where(inside, mask, UNKNOWN)
        data = int(inside.sum())
        # Of crops that must be whole, so must be the mask.
        whole = data == self.side**2 and (mask is None or bool((mask != UNKNOWN).all()))
        if data < self.least * self.side**2 or (self.valid is None and not whole):
            self.holes += 1
            return
        at = self._slot[(*cut.cell, cut.tile.source.day)]
        self.twice += int(self._score[at] >= 0)
        if mask is not None:
            first = self._first.setdefault(cut.cell, at)
            both = (mask != UNKNOWN) & (self.masks[first] != UNKNOWN)
            seen = self._of[first] is not None
            self.unlike += int(seen and bool((mask != self.masks[first])[both].any()))
        score = data + (0 if mask is None else self.side**2)
        if score <= self._score[at]:
            return
        self.array[at], self._of[at], self._score[at] = image, cut, score
        self.masks[at] = UNKNOWN if mask is None else mask
        known: Pixels = self.masks[at][self.masks[at] >= 0]
        self.pixels[at] = np.bincount(known, minlength=self.pixels.shape[1])
        if self.valid is not None:
            self.valid[at] = inside

    def _square(self, cut: Cut, values: Pixels, **fill: Any) -> Pixels:
        """Cut a square out of the rows of a tile, and fill it up where it reaches beyond."""
        left, right = max(cut.left, 0), min(cut.left + self.side, values.shape[-1])
        found = values[..., left:right]
        above, before = max(-cut.top, 0), left - cut.left
        below, behind = self.side - above - found.shape[-2], self.side - before - found.shape[-1]
        if not any((above, below, before, behind)):
            return found
        beside = [(0, 0)] * (found.ndim - 2)
        return np.pad(found, [*beside, (above, below), (before, behind)], **fill)

    def forget(self, tile: Tile) -> None:
        """Leave the crops of a tile out again.

        Args:
            tile: The tile.
        """
        for at, cut in enumerate(self._of):
            if cut is not None and cut.tile is tile:
                self._of[at], self._score[at] = None, -1

    def compact(self) -> list[Cut]:
        """Close the gaps that crops without enough data leave in the arrays.

        Returns:
            What is kept, a row of the arrays each.
        """
        kept = [at for at, cut in enumerate(self._of) if cut is not None]
        arrays = [self.array, self.masks, self.pixels]
        arrays += [] if self.valid is None else [self.valid]
        for new, old in enumerate(kept):
            if new != old:
                for array in arrays:
                    array[new] = array[old]
        self.array, self.masks = self.array[: len(kept)], self.masks[: len(kept)]
        self.pixels = self.pixels[: len(kept)]
        self.valid = None if self.valid is None else self.valid[: len(kept)]
        np.maximum(self.masks, UNKNOWN, out=self.masks)
        return [cut for cut in self._of if cut is not None]


def _check_memory(pixels: int, each: int, listing: Listing) -> None:
    """Refuse crops that take more than the machine has, before any is read."""
    # A byte for the class, one for whether there is data.
    needed, there = pixels * (each + 2), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise BadRecordError(
            f"The crops of {len(listing.tiles):,} tiles take {needed / 1e9:.0f} GB, and this"
            f" machine has {there / 1e9:.0f}; give fewer tiles, or choose some bands (bands: [1, 2,"
            " 3])."
        )
