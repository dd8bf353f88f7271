"""A folder of tiles: images, the masks beside them, their grid on the ground and their dates."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from csp_core.data.pictures import parts_of_time
from csp_core.data.pictures.geotiff import opened
from csp_core.data.pictures.limits import MAX_MEGABYTES
from csp_core.data.shapes import to_wgs84
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError

IMAGES, MASKS, ENDING = "images", "masks", ".tif"
MONTH = re.compile(r"(?<!\d)((?:19|20)\d\d)(0[1-9]|1[0-2])(?!\d)")
# Numbers of pixels count as whole within this.
CLOSE = 1e-3
FIRST = 5


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
        name: Name of its files without ending.
        image: File of its image.
        mask: File of its mask.
        row: Its first row in the grid.
        column: Its first column in the grid.
        size: Its height and width in pixels.
        bands: How many bands its image has.
        date: Part of the year, the middle of the month in its name; NaN where none is named.
    """

    name: str
    image: Path
    mask: Path
    row: int
    column: int
    size: tuple[int, int]
    bands: int
    date: float


def list_tiles(root: Path) -> tuple[Grid, list[Tile]]:
    """List the tiles of a folder, and make sure that each has its mask and all lie on one grid.

    Args:
        root: A folder with ``images/*.tif`` and ``masks/*.tif`` of the same names.

    Returns:
        The grid, and the tiles sorted by name.

    Raises:
        DataNotFoundError: If there is no image, or an image without a mask.
        BadRecordError: If a file is no GeoTIFF of that kind, or does not fit its mask or the
            others.
    """
    images = sorted((root / IMAGES).glob(f"*{ENDING}"))
    if not images:
        raise DataNotFoundError(f"No {IMAGES}/*{ENDING} in {root}; give the folder above them.")
    bare = [path.name for path in images if not (root / MASKS / path.name).is_file()]
    if bare:
        raise DataNotFoundError(
            f"{len(bare)} of {len(images)} images have no mask of their name in {MASKS}, the first"
            f" {bare[0]}."
        )
    found = [(_Header.read(path), _Header.read(root / MASKS / path.name)) for path in images]
    first, tiles = found[0][0], []
    grid = first.grid()
    for path, (image, mask) in zip(images, found, strict=True):
        _check_mask(path, image, mask)
        row, column = _corner(grid, image, path, images[0])
        if image.bands != first.bands:
            raise BadRecordError(
                f"{image.bands} bands, but {images[0].name} has {first.bands}", file=path.name
            )
        size = (image.height, image.width)
        where = (path, root / MASKS / path.name, row, column)
        tiles.append(Tile(path.stem, *where, size, image.bands, date_of(path.stem)))
    return grid, tiles


def date_of(name: str) -> float:
    """Read a date from the name of a tile: six digits, year and month.

    Args:
        name: Such as ``202309_patch_1``.

    Returns:
        Part of the year at the 15th of the month; NaN where no month is named.

    Example:
        >>> round(date_of("202301_a"), 3), date_of("tile_7")
        (0.038, nan)
    """
    match = MONTH.search(name)
    if match is None:
        return math.nan
    return parts_of_time(datetime.datetime(int(match[1]), int(match[2]), 15))[0]


def read_image(tile: Tile) -> tuple[Tensor, Tensor]:
    """Read the image of a tile.

    Args:
        tile: The tile.

    Returns:
        ``(C, H, W)`` uint8, and ``(H, W)`` bool, where there is no data in any band.

    Raises:
        BadRecordError: If it cannot be read or is not of 8 bits a band.
    """
    with opened(tile.image.read_bytes(), tile.image.name) as file:
        values, valid = file.read(), file.dataset_mask()
    if values.dtype != np.uint8:
        raise BadRecordError(f"{values.dtype} values; give 8 bits a band", file=tile.image.name)
    return torch.from_numpy(values), torch.from_numpy(valid == 0)


def read_mask(tile: Tile) -> Tensor:
    """Read the mask of a tile.

    Args:
        tile: The tile.

    Returns:
        ``(H, W)`` int64 numbers of classes, -1 where the mask has no data.

    Raises:
        BadRecordError: If it cannot be read, has several bands or is not of whole numbers.
    """
    with opened(tile.mask.read_bytes(), tile.mask.name) as file:
        values, valid, bands = file.read(1), file.dataset_mask(), file.count
    if bands != 1 or values.dtype.kind not in "iu":
        raise BadRecordError(
            f"a mask of {bands} bands of {values.dtype}; give one of whole numbers",
            file=f"{MASKS}/{tile.mask.name}",
        )
    mask = torch.from_numpy(values.astype(np.int64))
    return mask.masked_fill(torch.from_numpy(valid == 0), -1)


def named_classes(
    classes: Mapping[Any, str] | None, ignored: Sequence[Any]
) -> tuple[dict[int, str], set[int]]:
    """Check a table of classes.

    Args:
        classes: Number in the masks to name.
        ignored: Numbers in the masks that are no class.

    Returns:
        Both with whole numbers for keys, the classes sorted by name.

    Raises:
        ConfigError: If there is no class, a number is none, one stands in both or two have one
            name.
    """
    try:
        # Where options are kept as JSON, the keys are text.
        named = {int(key): str(name) for key, name in (classes or {}).items()}
        left = {int(value) for value in ignored}
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"classes is {classes!r} and ignored {ignored!r}; give whole numbers of the masks, such"
            " as {10: building} and [100]."
        ) from error
    if not named:
        raise ConfigError(
            "The masks hold numbers; give classes their names, such as {10: building, 30: road}."
        )
    if left & named.keys() or len(set(named.values())) < len(named):
        raise ConfigError(
            f"classes is {classes!r} and ignored {ignored!r}; give each number once and each class"
            " a name of its own."
        )
    return dict(sorted(named.items(), key=lambda item: item[1])), left


def check_numbers(mask: Tensor, known: Collection[int], name: str) -> None:
    """Make sure that a mask holds nothing but what is known.

    Args:
        mask: ``(H, W)`` int64, -1 where it has no data.
        known: Numbers of the classes and of what is ignored.
        name: What to call the mask.

    Raises:
        BadRecordError: If it holds another number.
    """
    odd = sorted(set(np.unique(mask.numpy()).tolist()) - set(known) - {-1})
    if odd:
        raise BadRecordError(
            f"labels do not match: {', '.join(map(str, odd[:FIRST]))} is neither in classes nor"
            f" ignored, which hold {', '.join(map(str, sorted(known)))}",
            file=f"{MASKS}/{name}",
        )


@dataclass(frozen=True)
class _Header:
    """What the file of an image or mask says of itself."""

    crs: Any
    transform: Any
    height: int
    width: int
    bands: int
    name: str

    @classmethod
    def read(cls, path: Path) -> _Header:
        with opened(path.read_bytes(), path.name) as file:
            if file.width * file.height * file.count > MAX_MEGABYTES * 10**6:
                raise BadRecordError(f"more than {MAX_MEGABYTES:,} MB of values", file=path.name)
            return cls(file.crs, file.transform, file.height, file.width, file.count, path.name)

    def grid(self) -> Grid:
        t = self.transform
        if self.crs is None or t.is_identity or t.b or t.d or t.a <= 0 or t.e >= 0:
            raise BadRecordError(
                "no grid on the ground; give a reference system (CRS) and pixels with north up",
                file=self.name,
            )
        return Grid(self.crs.to_wkt(), t.a, -t.e, t.c % t.a, t.f % -t.e)


def _check_mask(path: Path, image: _Header, mask: _Header) -> None:
    where = f"{MASKS}/{path.name}"
    if (mask.height, mask.width) != (image.height, image.width):
        raise BadRecordError(
            f"{mask.width} × {mask.height} pixels, but its image has {image.width} ×"
            f" {image.height}",
            file=where,
        )
    if mask.crs != image.crs:
        raise BadRecordError(f"its CRS is {mask.crs}, that of its image {image.crs}", file=where)
    if not mask.transform.almost_equals(image.transform, precision=CLOSE):
        raise BadRecordError("it lies elsewhere on the ground than its image", file=where)


def _corner(grid: Grid, image: _Header, path: Path, first: Path) -> tuple[int, int]:
    """Find the first row and column of an image in the grid of the first."""
    own = image.grid()
    if own.crs != grid.crs or (own.width, own.height) != (grid.width, grid.height):
        raise BadRecordError(
            f"its reference system or the size of its pixels is not that of {first.name}; give"
            " tiles of one grid",
            file=path.name,
        )
    row = (grid.top - image.transform.f) / grid.height
    column = (image.transform.c - grid.left) / grid.width
    if max(abs(row - round(row)), abs(column - round(column))) > 10 * CLOSE:
        raise BadRecordError(
            f"its pixels lie between those of {first.name}; give tiles of one grid", file=path.name
        )
    return round(row), round(column)
