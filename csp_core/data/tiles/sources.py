"""Which files are the images and masks of tiles: a folder of each, or a table of both."""

from __future__ import annotations

import csv
import datetime
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from csp_core.data.image_files import is_below
from csp_core.data.parts import PARTS
from csp_core.data.pictures import parts_of_time
from csp_core.data.tiles.raster import ENDINGS
from csp_core.errors import BadRecordError, DataNotFoundError
from csp_core.files import read_text

IMAGES, MASKS, TABLE = "images", "masks", "tiles.csv"
MONTH = re.compile(r"(?<!\d)((?:19|20)\d\d)(0[1-9]|1[0-2])(?!\d)")
# What a table may say of an image, which is called by its path.
COLUMNS = ("image", "mask", "date", "split")
_MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Source:
    """The files of a tile.

    Args:
        name: What to call the tile.
        image: File of its image.
        mask: File of its mask, or None.
        day: The day of its image, or the month, as the table or the name says it; or empty.
        date: Part of the year, NaN where unknown.
        part: ``train``, ``val`` or ``test`` where the table says so, else empty.
    """

    name: str
    image: Path
    mask: Path | None
    day: str = ""
    date: float = math.nan
    part: str = ""


def find_sources(root: Path, table: str | Path | None = None) -> tuple[list[Source], list[str]]:
    """Find the tiles of a folder.

    Args:
        root: A folder with ``images/``, or with the images themselves, and, for all tiles, some or
            none, ``masks/`` with files of the same names but for the ending; or with ``tiles.csv``.
        table: Another table than ``tiles.csv``, below the folder or wherever it is.

    Returns:
        The tiles, sorted by name, and the names of masks that belong to none.

    Raises:
        DataNotFoundError: If there is no image, or no mask belongs to one though there are masks,
            or a
            file that the table names is not there.
        BadRecordError: If two files have one name, or the table has other columns or cells.
    """
    listed = root / (TABLE if table is None else table)
    if table is not None or listed.is_file():
        return _of_table(listed, root), []
    images, masks = _files(root / IMAGES) or _files(root), _files(root / MASKS)
    if not images:
        raise DataNotFoundError(
            f"No {IMAGES}/*.tif or *.png in {root}, and no {TABLE}; give the folder above them."
        )
    left = sorted(masks[stem].name for stem in masks.keys() - images.keys())
    if masks and len(left) == len(masks):
        raise DataNotFoundError(
            f"None of {len(masks)} files in {MASKS} has the name of an image, such as"
            f" {next(iter(images))}: the first is {left[0]}. Rename them, or give a {TABLE} with"
            " the columns image and mask."
        )
    found = sorted(images.items())
    return [Source(stem, path, masks.get(stem), *date_in(stem)) for stem, path in found], left


def date_in(name: str) -> tuple[str, float]:
    """Read a month from the name of a tile: six digits, year and month.

    Args:
        name: Such as ``202309_patch_1``.

    Returns:
        The month, and the part of the year at its 15th; empty and NaN where none is named.

    Example:
        >>> date_in("202301_a")[0], round(date_in("202301_a")[1], 3), date_in("tile_7")
        ('202301', 0.038, ('', nan))
    """
    match = MONTH.search(name)
    if match is None:
        return "", math.nan
    return match[0], parts_of_time(datetime.datetime(int(match[1]), int(match[2]), 15))[0]


def _files(folder: Path) -> dict[str, Path]:
    """Find the pictures of a folder by their names without ending."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*")):
        if path.suffix.lower() not in ENDINGS or path.name.startswith("."):
            continue
        if path.stem in found:
            raise BadRecordError(
                f"{found[path.stem].name} and {path.name} have one name; keep one of them",
                file=f"{folder.name}/{path.name}",
            )
        found[path.stem] = path
    return found


def _of_table(path: Path, root: Path) -> list[Source]:
    if not path.is_file():
        raise DataNotFoundError(f"No table {path}; give a CSV with the columns image and mask.")
    text = read_text(path, most_bytes=_MOST_BYTES).lstrip("\ufeff")
    reader = csv.DictReader(io.StringIO(text))
    columns = {name.strip().lower(): name for name in reader.fieldnames or () if name}
    if "image" not in columns:
        raise BadRecordError(
            f"has the columns {', '.join(columns)}; give image, and perhaps mask, date and split",
            file=path.name,
        )
    found: dict[str, Source] = {}
    for line, row in enumerate(reader, start=2):
        cells = [(row.get(columns.get(key, "")) or "").strip() for key in COLUMNS]
        one = _row(root, cells, line, path.name)
        if one.name in found:
            raise BadRecordError(
                f"{cells[0]} stands in it twice; give it once", line=line, file=path.name
            )
        found[one.name] = one
    if not found:
        raise DataNotFoundError(f"{path.name} names no image.")
    return [found[name] for name in sorted(found)]


def _row(root: Path, cells: Sequence[str], line: int, table: str) -> Source:
    image, mask, date, part = cells
    for name in filter(None, (image, mask)):
        if not is_below(name) or not (root / name).is_file():
            raise DataNotFoundError(
                f"{table}, line {line}: no file {name} below {root.name or root}; give paths from"
                " there."
            )
    if not image or part not in ("", *PARTS):
        raise BadRecordError(
            f"the image is {image!r} and the split {part!r}; give a path, and train, val or test",
            line=line,
            file=table,
        )
    day, when = date_in(Path(image).stem) if not date else (date, _read_date(date, line, table))
    return Source(
        str(Path(image).with_suffix("")), root / image, root / mask if mask else None, day, when,
        part,
    )  # fmt: skip


def _read_date(text: str, line: int, table: str) -> float:
    try:
        return parts_of_time(datetime.datetime.fromisoformat(text))[0]
    except ValueError as error:
        raise BadRecordError(
            f"the date is {text!r}; give one such as 2023-09-15", line=line, file=table
        ) from error
