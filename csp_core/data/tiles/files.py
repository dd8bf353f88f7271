"""The tiles of a folder: their grid on the ground, and whether images, masks and bands fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from csp_core.data.pictures.ground import Ground
from csp_core.data.shapes import to_wgs84
from csp_core.data.tiles.bands import Bands, find_bands
from csp_core.data.tiles.raster import DamagedFileError, Header, read_header
from csp_core.data.tiles.sources import MASKS, Source, find_sources
from csp_core.errors import BadRecordError, DataNotFoundError

# Numbers of pixels count as whole within this.
CLOSE = 1e-3
KINDS = ("uint8", "uint16", "int16", "float32")
# How far grids lie from each other, in pixels and in crops: blocks of up to 16 crops begin with it.
APART = 2 * 720_720


@dataclass(frozen=True)
class Grid:
    """The pixels that all tiles of a folder are cut from, counted from the zero of their system.

    Args:
        crs: Reference system, as WKT.
        width: Width of a pixel in its units.
        height: Height of a pixel in its units, downwards.
        left: Where the pixels of a row begin, in [0, width).
        top: Where those of a column do, in [0, height).
    """

    crs: str
    width: float
    height: float
    left: float
    top: float

    def lonlat(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Find the places of corners of pixels.

        Args:
            rows: ``(N,)`` downwards; halves are middles.
            columns: ``(N,)`` eastwards.

        Returns:
            ``(N, 2)`` float32 degrees.
        """
        x = self.left + columns.double().numpy() * self.width
        y = self.top - rows.double().numpy() * self.height
        convert = to_wgs84(self.crs)
        lon, lat = (x, y) if convert is None else convert.transform(x, y)
        return torch.from_numpy(np.stack((lon, lat), axis=1)).to(torch.float32)


@dataclass(frozen=True)
class Tile:
    """One tile.

    Args:
        source: Its files, its day and the part that a table deals it to.
        row: Its first row in the grid.
        column: Its first column in the grid.
        size: Its height and width in pixels.
        bands: Numbers of the bands that are read of its image, from 1, in their order.
        plate: Number of the grid; where tiles have no place, each has one of its own.
    """

    source: Source
    row: int
    column: int
    size: tuple[int, int]
    bands: tuple[int, ...]
    plate: int = 0

    @property
    def place(self) -> tuple[int, int, int, int]:
        """Row, column, height and width, with the grids beside each other."""
        return (self.row, self.column + APART * self.plate, *self.size)


@dataclass(frozen=True)
class Listing:
    """The tiles of a folder.

    Args:
        grid: The grid that all lie on; None where no tile has a place, and none shares ground with
            another.
        tiles: The tiles, sorted by name.
        kind: Kind of number of the images.
        refused: File that cannot be read to why.
        info: What was read otherwise than as it stands.
    """

    grid: Grid | None
    tiles: tuple[Tile, ...]
    kind: str
    refused: dict[str, str] = field(default_factory=dict)
    info: dict[str, object] = field(default_factory=dict)


def list_tiles(
    root: Path,
    *,
    table: str | Path | None = None,
    bands: Sequence[int | str] | None = None,
    need_masks: bool = False,
) -> Listing:
    """List the tiles of a folder, and make sure that masks fit and all lie on one grid.

    Args:
        root: The folder, see ``find_sources``.
        table: The table of its images and masks, see there.
        bands: Which bands are read, by number from 1 or by the name that the files give them.
        need_masks: Whether every image must have a mask.

    Returns:
        The tiles; files that are damaged are left out and told.

    Raises:
        DataNotFoundError: If there is no image, or one without a mask where all must have one.
        BadRecordError: If a file is of another kind, or does not fit its mask or the others, or
            none can be read.
    """
    sources, left = find_sources(root, table)
    bare = [source.image.name for source in sources if source.mask is None]
    if bare and need_masks:
        raise DataNotFoundError(
            f"{len(bare)} of {len(sources)} images have no mask of their name in {MASKS}, the first"
            f" {bare[0]}; with unlabelled: true they are learned from without."
        )
    refused: dict[str, str] = {}
    found: list[tuple[Source, Header]] = []
    without_grid = 0
    for source in sources:
        try:
            header = read_header(source.image)
            without_grid += int(source.mask is not None and _check_mask(source, header))
            found.append((source, header))
        except DamagedFileError as error:
            refused[source.name] = str(error)
    if not found:
        raise BadRecordError(
            f"No tile of {len(sources)} can be read; the first: {next(iter(refused.values()))}"
        )
    chosen = find_bands([header for _, header in found], bands)
    for _, header in found:
        _check_kind(header, found[0][1])
    grid = _grid(found[0][1]) if found[0][1].placed else None
    tiles = _tiles(found, grid, chosen)
    info = {
        "images_without_a_mask": len(bare),
        "masks_without_an_image": len(left),
        "masks_without_a_place": without_grid,
        "images_with_opacity": sum(header.opaque is not None for _, header in found),
        **({} if grid is None else {"pixel_metres": _metres(found[0][1])}),
        **chosen.told([header for _, header in found]),
    }
    return Listing(grid, tiles, found[0][1].kind, refused, info)


def _tiles(
    found: Sequence[tuple[Source, Header]], grid: Grid | None, chosen: Bands
) -> tuple[Tile, ...]:
    first, tiles = found[0][1], list[Tile]()
    for at, (source, header) in enumerate(found):
        if grid is None and header.placed:
            raise _mixed(first, header)
        corner = (0, 0) if grid is None else _corner(grid, header, first)
        size, bands = (header.height, header.width), chosen.of(header, first)
        tiles.append(Tile(source, *corner, size, bands, at if grid is None else 0))
    return tuple(tiles)


def _check_kind(header: Header, first: Header) -> None:
    if header.kind not in KINDS:
        raise BadRecordError(
            f"{header.kind} values; give {', '.join(KINDS[:-1])} or {KINDS[-1]}", file=header.name
        )
    if header.palette:
        raise BadRecordError(
            "its values are numbers of a table of colours; save it with red, green and blue",
            file=header.name,
        )
    if header.kind != first.kind:
        raise BadRecordError(
            f"{header.kind} values, but {first.name} has {first.kind}; give one kind of number",
            file=header.name,
        )


def _mixed(first: Header, header: Header) -> BadRecordError:
    placed, bare = (first, header) if first.placed else (header, first)
    return BadRecordError(
        f"no place on the ground, but {placed.name} has one; give all tiles a reference system"
        " (CRS), or none",
        file=bare.name,
    )


def _metres(header: Header) -> float:
    """Give the side of a pixel on the ground, which maps of other pictures are compared with."""
    place = Ground(header.crs.to_wkt(), tuple(header.transform)[:6], header.height, header.width)
    return round(place.pixel_metres, 3)


def _grid(header: Header) -> Grid:
    t = header.transform
    if header.crs is None or t.is_identity or t.b or t.d or t.a <= 0 or t.e >= 0:
        raise BadRecordError(
            "no grid on the ground; give a reference system (CRS) and pixels with north up",
            file=header.name,
        )
    return Grid(header.crs.to_wkt(), t.a, -t.e, t.c % t.a, t.f % -t.e)


def _check_mask(source: Source, image: Header) -> bool:
    """Make sure that a mask lies on its image; tell whether it says nothing of a place itself."""
    assert source.mask is not None  # whoever asks has looked
    mask = read_header(source.mask)
    where = f"{source.mask.parent.name}/{source.mask.name}"
    if (mask.height, mask.width) != (image.height, image.width):
        raise BadRecordError(
            f"{mask.width} × {mask.height} pixels, but its image has {image.width} ×"
            f" {image.height}",
            file=where,
        )
    if len(mask.bands) != 1 or np.dtype(mask.kind).kind not in "iu":
        raise BadRecordError(
            f"a mask of {len(mask.bands)} bands of {mask.kind}; give one of whole numbers",
            file=where,
        )
    if not mask.placed:
        return image.placed
    if mask.crs != image.crs:
        raise BadRecordError(f"its CRS is {mask.crs}, that of its image {image.crs}", file=where)
    if _apart(mask, image) > 10 * CLOSE:
        raise BadRecordError("it lies elsewhere on the ground than its image", file=where)
    return False


def _apart(mask: Header, image: Header) -> float:
    """Tell how far corners of a mask lie from those of its image, in pixels of the latter."""
    # How much the grids differ, along a column and a row of pixels and at the first corner.
    t, other = image.transform, mask.transform
    a, b, c, d, e, f = (two - one for one, two in zip(t[:6], other[:6], strict=True))
    corners = [(x, y) for x in (0, image.width) for y in (0, image.height)]
    found = max(math.hypot(a * x + b * y + c, d * x + e * y + f) for x, y in corners)
    return found / (max(map(abs, (t.a, t.b, t.d, t.e))) or 1.0)


def _corner(grid: Grid, image: Header, first: Header) -> tuple[int, int]:
    """Find the first row and column of an image in the grid of the first."""
    if not image.placed:
        raise _mixed(first, image)
    own = _grid(image)
    sides = (own.width / grid.width, own.height / grid.height)
    if own.crs != grid.crs or not all(math.isclose(side, 1, rel_tol=1e-9) for side in sides):
        raise BadRecordError(
            f"its reference system or the size of its pixels is not that of {first.name}; give"
            " tiles of one grid",
            file=image.name,
        )
    row = (grid.top - image.transform.f) / grid.height
    column = (image.transform.c - grid.left) / grid.width
    if max(abs(row - round(row)), abs(column - round(column))) > 10 * CLOSE:
        raise BadRecordError(
            f"its pixels lie between those of {first.name}; give tiles of one grid", file=image.name
        )
    return round(row), round(column)
