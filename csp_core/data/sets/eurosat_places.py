"""Where the images of EuroSAT are: a table of places, the published list, or georeferences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from csp_core.data.pictures.georeference import centre
from csp_core.errors import BadRecordError, DataNotFoundError
from csp_core.files import read_text
from csp_core.geo import check_lonlat

PLACES = "eurosat_coordinates.csv"
COLUMNS = ("filepath", "class", "latitude", "longitude")
# A list of 27,000 has 2 MB.
META, MOST_BYTES = "eurosat_meta.yaml", 16 << 20
_NUMBER = r"(-?\d+(?:\.\d*)?(?:[eE]-?\d+)?)"
_KEY = re.compile(r"^(\w+):", re.MULTILINE)
# In one line, `Forest_1: [10.5, 47.25, x]`, or with an item a line.
_ENTRY = re.compile(
    rf"^(\w+):(?:[ ]*\[[ ]*{_NUMBER}[ ]*,[ ]*{_NUMBER}[ ]*[,\]]"
    rf"|[ ]*\n[ ]*-[ ]+{_NUMBER}[ ]*\n[ ]*-[ ]+{_NUMBER}[ ]*\n)",
    re.MULTILINE,
)


def join_places(folder: Path, files: Sequence[str]) -> tuple[Tensor, dict[str, object]]:
    """Give each image its place.

    Args:
        folder: Where the table of places is, or else the published list.
        files: Class folder and file name of each image.

    Returns:
        ``(N, 2)`` degrees, NaN where there is no place, and facts for ``info``.

    Raises:
        DataNotFoundError: If there is neither.
        BadRecordError: If it cannot be read, or names what is no place.
    """
    path = folder / PLACES
    if path.is_file() or not (folder / META).is_file():
        known, names = _read_table(path), list(files)
    else:
        path = folder / META
        # The list names files without their folder and ending.
        known, names = _read_list(path), [stem(file) for file in files]
    nowhere = (float("nan"), float("nan"))
    lonlat = torch.tensor([known.get(name, nowhere) for name in names], dtype=torch.float32)
    try:
        lonlat = check_lonlat(lonlat, allow_missing=True)
    except BadRecordError as error:
        raise BadRecordError(str(error), file=path.name) from error
    missing = int(lonlat.isnan().any(dim=1).sum())
    return lonlat, {
        "images_without_place": missing,
        "places_without_image": len(known.keys() - set(names)),
    }


def _read_table(path: Path) -> dict[str, tuple[float, float]]:
    """Read the table of places: class folder and file name to longitude and latitude."""
    if not path.is_file():
        raise DataNotFoundError(
            f"No file {path}: it holds {', '.join(COLUMNS)} of each image; nor {META}, where each"
            " has [longitude, latitude, …]."
        )
    try:
        table = pl.read_csv(path, columns=list(COLUMNS), schema_overrides={
            "latitude": pl.Float64, "longitude": pl.Float64})  # fmt: skip
    except (pl.exceptions.PolarsError, OSError) as error:
        said = (str(error).splitlines() or [""])[0][:120]
        raise BadRecordError(
            f"give the columns {', '.join(COLUMNS)} ({said})", file=path.name
        ) from error
    values = zip(*(table[c].to_list() for c in ("filepath", "longitude", "latitude")), strict=True)
    return {str(name): (lon, lat) for name, lon, lat in values
            if None not in (lon, lat)}  # fmt: skip


def _read_list(path: Path) -> dict[str, tuple[float, float]]:
    """Read a mapping of names to longitude, latitude and a third thing, which is not used."""
    text = read_text(path, most_bytes=MOST_BYTES)
    found = {m[1]: (float(m[2] or m[4]), float(m[3] or m[5])) for m in _ENTRY.finditer(text)}
    listed = _KEY.findall(text)
    if odd := [name for name in listed if name not in found]:
        raise BadRecordError(
            f"{odd[0]} and {len(odd) - 1} more of {len(listed)} have no longitude and latitude;"
            f" give them as {odd[0]}: [longitude, latitude, x]",
            file=path.name,
        )
    return found


def patches(names: Sequence[str]) -> list[str]:
    """Give class folder and file of each image, without the folder of its publication.

    Args:
        names: Paths as they were found.

    Returns:
        Such as ``Forest/Forest_1.jpg``.
    """
    return ["/".join(name.split("/")[-2:]) for name in names]


def stem(file: str) -> str:
    """Give the name of an image without folder and ending.

    Args:
        file: Its file.

    Returns:
        Such as ``Forest_1``.
    """
    return file.rpartition("/")[2].rpartition(".")[0]


def georeferences(source: Path, names: Sequence[str]) -> tuple[Tensor, dict[str, object]]:
    """Give each GeoTIFF the place of its middle, NaN where it says none.

    Args:
        source: Their folder.
        names: Their paths below it.

    Returns:
        ``(N, 2)`` degrees, and facts for ``info``.
    """
    nowhere = (float("nan"), float("nan"))
    found = [centre((source / name).read_bytes(), name).lonlat or nowhere for name in names]
    lonlat = torch.tensor(found, dtype=torch.float32)
    return lonlat, {"images_without_place": int(lonlat.isnan().any(dim=1).sum())}
