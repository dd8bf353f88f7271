"""The files of PASTIS: what its table says of the patches, and the series, read when asked for."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from csp_core.data.pictures.position import parts_of_time
from csp_core.data.series.dates import FEWEST
from csp_core.data.shapes import to_wgs84
from csp_core.errors import BadRecordError, CspError, DataNotFoundError
from csp_core.files import read_json

TABLE = "metadata.geojson"
IMAGES, MASKS = "DATA_S2/S2_{}.npy", "ANNOTATIONS/TARGET_{}.npy"
# In the order of their numbers in the masks; the next number is void.
CLASSES = (
    *("Background", "Meadow", "Soft winter wheat", "Corn", "Winter barley", "Winter rapeseed"),
    *("Spring barley", "Sunflower", "Grapevine", "Beet", "Winter triticale", "Winter durum wheat"),
    *("Fruits, vegetables, flowers", "Potatoes", "Leguminous fodder", "Soybeans", "Orchard"),
    *("Mixed cereal", "Sorghum"),
)
VOID = len(CLASSES)
FOLDS = 5
BANDS, MOST_JSON = 10, 200_000_000


@dataclass(frozen=True, eq=False)
class Patch:
    """One patch of the table.

    Args:
        number: Its number, as in the names of its files.
        fold: Its fold, 1 to 5.
        lonlat: Longitude and latitude of its middle, degrees.
        order: The numbers of its dates in the file, in the order of the days, each day once.
        days: Part of the year of each of these.
        mask: ``(H, W)`` int8 class of each pixel, -1 where void.
    """

    number: str
    fold: int
    lonlat: tuple[float, float]
    order: tuple[int, ...]
    days: tuple[float, ...]
    mask: Tensor


def read_patches(root: Path) -> tuple[list[Patch], dict[str, object]]:
    """Read the table and the masks; patches that do not fit are left out and told.

    Args:
        root: The folder of ``metadata.geojson``, ``DATA_S2`` and ``ANNOTATIONS``.

    Returns:
        The patches by their numbers, and what was left out.

    Raises:
        DataNotFoundError: If there is no such table.
        BadRecordError: If it is not of the published form, or no patch can be read.
    """
    if not (root / TABLE).is_file():
        raise DataNotFoundError(f"No {TABLE} in {root}; give the folder of PASTIS as published.")
    try:
        table = read_json(root / TABLE, most_bytes=MOST_JSON)
        features = table["features"]
        name = table.get("crs", {}).get("properties", {}).get("name")
        given = sorted(features, key=lambda one: int(one["properties"]["ID_PATCH"]))
    except (CspError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadRecordError(f"not of the published form ({error!r})", file=TABLE) from error
    convert = to_wgs84(name)
    patches, refused, sorted_, twice = [], [], 0, 0
    for feature in given:
        try:
            patch, dates = _patch(root, feature, convert)
        except CspError as error:
            refused.append(str(error))
            continue
        patches.append(patch)
        sorted_ += list(patch.order) != sorted(patch.order)
        twice += dates - len(patch.order)
    if not patches:
        first = refused[0] if refused else "the table is empty"
        raise BadRecordError(f"No patch of {root.name} can be read; the first: {first}")
    _same_size(patches)
    return patches, {
        "patches": len(patches),
        "patches_left_out": len(refused),
        "first_patches_left_out": refused[:5],
        "series_sorted_by_date": sorted_,
        "dates_seen_before_left_out": twice,
    }


def _patch(root: Path, feature: Mapping[str, Any], convert: Any) -> tuple[Patch, int]:
    """Read what there is of one patch but its series, and how many dates that has."""
    try:
        told = feature["properties"]
        number, fold = str(int(told["ID_PATCH"])), int(told["Fold"])
        listed = told["dates-S2"]
        listed = json.loads(listed) if isinstance(listed, str) else listed
        dates = [_date(listed[key]) for key in sorted(listed, key=int)]
        ring = np.array(_ring(feature["geometry"]), dtype=np.float64)[:-1, :2].mean(axis=0)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise BadRecordError(f"a patch not of the published form ({error!r})", file=TABLE
                             ) from error  # fmt: skip
    if not 1 <= fold <= FOLDS:
        raise BadRecordError(f"patch {number} has fold {fold}; folds are 1 to {FOLDS}", file=TABLE)
    series = _load(root, IMAGES.format(number), "iuf", 4)
    target = _load(root, MASKS.format(number), "iu", 3)[0]
    if len(series) != len(dates) or series.shape[2:] != target.shape:
        raise BadRecordError(
            f"{series.shape[0]} dates of {series.shape[2]} × {series.shape[3]} pixels, but the"
            f" table has {len(dates)} dates and the mask {target.shape[0]} × {target.shape[1]}",
            file=IMAGES.format(number),
        )
    if target.max() > VOID or target.min() < 0:
        raise BadRecordError(f"class {target.max()}; classes are 0 to {VOID}",
                             file=MASKS.format(number))  # fmt: skip
    order = _order(dates)
    if len(order) < FEWEST:
        raise BadRecordError("one date; a series needs two", file=IMAGES.format(number))
    mask = torch.from_numpy(target.astype(np.int8))
    lon, lat = ring if convert is None else convert.transform(*ring)
    days = tuple(parts_of_time(datetime.datetime.combine(dates[at], datetime.time()))[0]
                 for at in order)  # fmt: skip
    return Patch(number, fold, (float(lon), float(lat)), order, days,
                 mask.masked_fill(mask == VOID, -1)), len(dates)  # fmt: skip


def _ring(geometry: Mapping[str, Any]) -> Any:
    """Give the outer ring of the first area."""
    found = geometry["coordinates"]
    return found[0][0] if geometry["type"] == "MultiPolygon" else found[0]


def _date(value: Any) -> datetime.date:
    return datetime.datetime.strptime(str(int(value)), "%Y%m%d").date()


def _order(dates: Sequence[datetime.date]) -> tuple[int, ...]:
    """Sort dates; of one day the first counts."""
    first: dict[datetime.date, int] = {}
    for at, date in enumerate(dates):
        first.setdefault(date, at)
    return tuple(first[date] for date in sorted(first))


def _load(root: Path, name: str, kinds: str, rank: int) -> npt.NDArray[Any]:
    """Open an array, without reading more than is asked of it and without any pickle."""
    try:
        found: npt.NDArray[Any] = np.load(root / name, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        said = (str(error).splitlines() or [""])[0][:100]
        raise BadRecordError(f"missing, cut short or no array ({said})", file=name) from error
    if found.dtype.kind not in kinds or found.ndim != rank or 0 in found.shape:
        raise BadRecordError(
            f"{found.dtype} numbers of shape {found.shape}; give {rank} dimensions as published",
            file=name,
        )
    return found


def _same_size(patches: Sequence[Patch]) -> None:
    sizes = sorted({tuple(patch.mask.shape) for patch in patches})
    if len(sizes) > 1:
        raise BadRecordError(f"Patches have masks of {len(sizes)} sizes, {sizes[:2]}; give one.")


@dataclass(frozen=True, eq=False)
class PatchSeries:
    """Crops of patches, ``(T, C, side, side)``, read from their files when they are asked for.

    Args:
        root: The folder.
        patches: The patches.
        chosen: For each patch the numbers of the dates in its file that are read, in order.
        dates: How many dates a series has; shorter ones end with zeros.
        side: Side of a crop in pixels, a part of a patch's.
        each: How many crops a patch has.
    """

    root: Path
    patches: tuple[Patch, ...]
    chosen: tuple[tuple[int, ...], ...]
    dates: int
    side: int
    each: int

    def __len__(self) -> int:
        """Return how many crops there are."""
        return len(self.patches) * self.each

    def window(self, row: int) -> tuple[slice, slice]:
        """Find where a crop lies in its patch.

        Args:
            row: Number of the crop.

        Returns:
            Rows and columns.
        """
        across = self.patches[0].mask.shape[1] // self.side
        down, right = divmod(row % self.each, across)
        top, left = down * self.side, right * self.side
        return slice(top, top + self.side), slice(left, left + self.side)

    def take(self, rows: Tensor) -> Tensor:
        """Read crops.

        Args:
            rows: ``(n,)`` int64.

        Returns:
            ``(n, T, C, side, side)``, int16 in 1/10,000 reflectance as published.

        Raises:
            BadRecordError: If one cannot be read.
        """
        return torch.stack([self._read(row) for row in rows.tolist()])

    def _read(self, row: int) -> Tensor:
        at = row // self.each
        series = _load(self.root, IMAGES.format(self.patches[at].number), "iuf", 4)
        down, right = self.window(row)
        found = series[list(self.chosen[at])][:, :, down, right]
        kind = np.float32 if found.dtype.kind == "f" else np.int16
        out = np.zeros((self.dates, *found.shape[1:]), dtype=kind)
        out[: len(found)] = found
        return torch.from_numpy(out)

    def digest(self) -> str:
        """Hash names, sizes and times of change of the files, without reading them.

        Returns:
            64 hexadecimal digits.
        """
        told = hashlib.sha256(f"{self.root.resolve()}/{self.side}/{self.chosen}".encode())
        for patch in self.patches:
            state = (self.root / IMAGES.format(patch.number)).stat()
            told.update(f"{patch.number}/{state.st_mtime_ns}/{state.st_size}".encode())
        return told.hexdigest()
