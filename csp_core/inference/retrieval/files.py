"""Galleries and questions from files: tables of places, folders of pictures, lists of texts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

from csp_core.data.pictures import ENDINGS, read_photo
from csp_core.errors import BadRecordError, ConfigError, CspError, DataNotFoundError
from csp_core.geo import check_lonlat
from csp_core.image import ImageEncoder
from csp_core.inference.photo import bring
from csp_core.model.parts import out_dim

LON = ("decimallongitude", "longitude", "lon", "lng", "x")
LAT = ("decimallatitude", "latitude", "lat", "y")
NAME = ("name", "place", "title", "label", "caption")
CAPTION = ("caption", "text", "description")
# Of a table, and of pictures in a folder.
MOST_BYTES, MOST_ROWS, MOST_PICTURES = 256 << 20, 200_000, 100_000
# No side of a picture need have more pixels: a model looks at a few hundred.
FIT = 2048
TABLES = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures read from files, as a model wants them.

    Args:
        images: ``(N, C, H, W)``, or one row at a time where their sizes differ.
        names: Their paths below the folder.
        lonlat: ``(N, 2)`` degrees by their files, NaN where these name none.
        skipped: Why some files could not be read, a sentence each.
    """

    images: list[Tensor]
    names: tuple[str, ...]
    lonlat: Tensor
    skipped: tuple[str, ...] = ()


def read_places(path: Path) -> tuple[Tensor, tuple[str, ...]]:
    """Read places from a table.

    Args:
        path: CSV or TSV with columns for longitude and latitude in degrees, and perhaps ``name``.

    Returns:
        ``(N, 2)`` degrees and N names; no names where there is no column for them.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it is no such table, or a row names no place on Earth.
    """
    table = _read_table(path)
    lon, lat, name = (_column(table, known) for known in (LON, LAT, NAME))
    if lon is None or lat is None:
        raise BadRecordError(
            f"no columns for the place among {', '.join(table.columns[:20])}; call them lon and"
            " lat, degrees",
            file=path.name,
        )
    places = []
    for line, (east, north) in enumerate(table.select(lon, lat).rows(), start=2):
        try:
            pair = (float(east or "nan"), float(north or "nan"))
            check_lonlat(torch.tensor([pair]))
        except (BadRecordError, ValueError) as error:
            raise BadRecordError(
                f"{east or 'nothing'}, {north or 'nothing'} is no place: give longitude and"
                f" latitude in degrees ({error})",
                file=path.name,
                line=line,
            ) from error
        places.append(pair)
    names = () if name is None else tuple(text or "" for text in table[name].to_list())
    return torch.tensor(places, dtype=torch.float32), names


def read_captions(path: Path) -> tuple[str, ...]:
    """Read texts: one a line of a text file, or the column ``caption`` of a table.

    Args:
        path: ``.txt``, or CSV or TSV with a column ``caption``.

    Returns:
        The texts; empty ones are left out.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it holds no text.
    """
    if path.suffix.lower() in TABLES:
        table = _read_table(path)
        column = _column(table, CAPTION)
        if column is None:
            raise BadRecordError(
                f"no column for the texts among {', '.join(table.columns[:20])}; call it caption",
                file=path.name,
            )
        texts = [text or "" for text in table[column].to_list()]
    else:
        _check_file(path)
        try:
            texts = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise BadRecordError("no UTF-8 text; save it as such", file=path.name) from error
    found = tuple(text.strip() for text in texts if text.strip())
    if not found:
        raise BadRecordError("no texts in it; give one a line", file=path.name)
    if len(found) > MOST_ROWS:
        raise BadRecordError(f"more than {MOST_ROWS:,} texts; give fewer", file=path.name)
    return found


def read_pictures(
    model: Any, path: Path, *, progress: Callable[[int, int], None] | None = None
) -> Pictures:
    """Read a picture, or all pictures below a folder, in the size that a model learned from.

    Args:
        model: A model that looks at pixels.
        path: A picture or a folder. What cannot be read in a folder is left out and told.
        progress: Told how many of how many are read.

    Returns:
        The pictures.

    Raises:
        DataNotFoundError: If there is no such file, or no picture in the folder.
        BadRecordError: If the file is no picture.
        ConfigError: If the model takes features that were computed before.
    """
    check_pixels(model)
    files = _pictures_below(path)
    images, names, places, skipped = [], [], [], []
    for number, file in enumerate(files, start=1):
        name = file.name if path.is_file() else file.relative_to(path).as_posix()
        try:
            photo = read_photo(file, fit=FIT)
            images.append(bring(model, photo.image)[0])
        except CspError as error:
            if path.is_file():
                raise
            # What is said of a file begins with its name.
            skipped.append(f"{name}: {str(error).removeprefix(f'{file.name}: ')}")
            continue
        names.append(name)
        places.append(photo.lonlat or (math.nan, math.nan))
        if progress is not None:
            progress(number, len(files))
    if not images:
        raise BadRecordError(f"No picture below {path} can be read; the first: {skipped[0]}")
    return Pictures(images, tuple(names), torch.tensor(places), tuple(skipped))


def check_pixels(model: Any) -> None:
    """Refuse pictures for a model that looks at none.

    Args:
        model: The model.

    Raises:
        ConfigError: If it has no image encoder, or one of features that were computed before.
    """
    encoder, name = getattr(model, "image", None), getattr(model, "name", "of yours")
    if encoder is None:
        raise ConfigError(
            f"Model {name!r} looks at no pictures: take one that was trained on images."
        )
    if isinstance(encoder, ImageEncoder) and not encoder.sees_pixels:
        raise ConfigError(
            f"Model {name!r} takes {out_dim(encoder)} features an image, computed before by"
            " another network, and no pictures: take a model that was trained on pixels."
        )


def stacked(images: Sequence[Tensor], most: int = 128) -> list[Tensor]:
    """Put pictures of one size together, in their order, some at a time.

    Args:
        images: ``(C, H, W)`` each.
        most: How many together at most.

    Returns:
        ``(n, C, H, W)`` each.
    """
    parts: list[list[Tensor]] = []
    for image in images:
        if parts and len(parts[-1]) < most and parts[-1][0].shape == image.shape:
            parts[-1].append(image)
        else:
            parts.append([image])
    return [torch.stack(part) for part in parts]


def _pictures_below(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataNotFoundError(f"There is no picture and no folder {path}.")
    files = sorted(
        file for file in path.rglob("*") if file.suffix.lower() in ENDINGS and file.is_file()
    )
    if not files:
        raise DataNotFoundError(
            f"There is no picture below {path}; their names end with {', '.join(ENDINGS[:6])} and"
            " the like."
        )
    if len(files) > MOST_PICTURES:
        raise BadRecordError(f"{len(files):,} pictures below {path}; at most {MOST_PICTURES:,}.")
    return files


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise DataNotFoundError(f"There is no file {path}.")
    if path.stat().st_size > MOST_BYTES:
        raise BadRecordError(f"larger than {MOST_BYTES >> 20} MB; give less", file=path.name)


def _read_table(path: Path) -> pl.DataFrame:
    _check_file(path)
    if path.suffix.lower() not in TABLES:
        raise BadRecordError(
            f"{path.suffix or 'no ending'} is not read here; give .csv or .tsv", file=path.name
        )
    try:
        table = pl.read_csv(path, separator=TABLES[path.suffix.lower()], infer_schema=False)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise BadRecordError(
            f"no table of UTF-8 text ({str(error).splitlines()[0][:200]})", file=path.name
        ) from error
    if not len(table):
        raise BadRecordError("no rows in it; give some", file=path.name)
    if len(table) > MOST_ROWS:
        raise BadRecordError(f"more than {MOST_ROWS:,} rows; give fewer", file=path.name)
    return table


def _column(table: pl.DataFrame, known: Sequence[str]) -> str | None:
    own = {"".join(filter(str.isalnum, name)).lower(): name for name in reversed(table.columns)}
    return next((own[name] for name in known if name in own), None)


def has_columns(path: Path) -> tuple[bool, bool]:
    """Tell what a table holds.

    Args:
        path: CSV or TSV.

    Returns:
        Whether it has places, and whether it has texts.

    Raises:
        CspError: If it is no table.
    """
    table = _read_table(path)
    placed = _column(table, LON) is not None and _column(table, LAT) is not None
    return placed, _column(table, CAPTION) is not None
