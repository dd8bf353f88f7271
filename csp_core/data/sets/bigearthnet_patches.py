"""The patches of BigEarthNet on the disk: their folders, what is said of them, and their bands."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from csp_core.data.image_files import FileImages
from csp_core.data.pictures.geotiff import Narrowed, opened
from csp_core.data.shapes import to_wgs84
from csp_core.errors import BadRecordError, CspError
from csp_core.files import read_json

SIDE = 120
# Sides of the bands at 10, 20 and 60 m: a pixel of the coarser ones is 2 or 6 of the finest.
SIDES = (120, 60, 20)
BANDS = {
    "rgb": ("B04", "B03", "B02"),
    "all": (
        *("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11"),
        "B12",
    ),
}
NAME = re.compile(r"S2[A-Z]_MSIL2A_\w+_\d+_\d+")
TILE = r"_T(\d\d[A-Z]{3})_"
# Patches lie in the root, or in a folder of each product in a folder of their own.
DEEPEST = 3
SAID: dict[str, Any] = {"patch_id": pl.String, "labels_43": pl.List(pl.String), "date": pl.String,
        "tile": pl.String, "x": pl.Float64, "y": pl.Float64, "crs": pl.String}  # fmt: skip


def find_patches(root: Path) -> dict[str, str]:
    """Find the folders of patches.

    Args:
        root: The folder of the data set.

    Returns:
        Name of each patch to the path of its folder below the root, sorted.
    """
    found: dict[str, str] = {}
    waiting = [(root, 1)]
    while waiting:
        folder, depth = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.is_dir():
                    continue
                if NAME.fullmatch(entry.name):
                    found[entry.name] = Path(entry.path).relative_to(root).as_posix()
                elif depth < DEEPEST:
                    waiting.append((Path(entry.path), depth + 1))
    return dict(sorted(found.items()))


def read_descriptions(root: Path, folders: Mapping[str, str]) -> tuple[pl.DataFrame, list[str]]:
    """Read what the first version says of each patch, ``<patch>_labels_metadata.json``.

    Args:
        root: The folder of the data set.
        folders: Name of each patch to its folder.

    Returns:
        ``patch_id``, ``labels_43``, ``lon``, ``lat``, ``date`` as text and ``tile``; and why some
        are not there.
    """
    rows, refused = [], []
    for name, folder in folders.items():
        try:
            rows.append(_description(root / folder / f"{name}_labels_metadata.json", name))
        except CspError as error:
            refused.append(str(error))
    return _placed(pl.DataFrame(rows, schema=SAID)), refused


def _description(path: Path, name: str) -> dict[str, Any]:
    said = read_json(path)
    try:
        square = {key: float(said["coordinates"][key]) for key in ("ulx", "uly", "lrx", "lry")}
        tile = re.search(TILE, str(said.get("tile_source", "")))
        return {
            "patch_id": name,
            "labels_43": [str(label) for label in said["labels"]],
            "date": str(said.get("acquisition_date", "")),
            "tile": tile[1] if tile else None,
            "x": (square["ulx"] + square["lrx"]) / 2,
            "y": (square["uly"] + square["lry"]) / 2,
            "crs": str(said["projection"]),
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadRecordError(f"gives no labels and place of a patch ({error!r})", file=path.name
                             ) from error  # fmt: skip


def _placed(table: pl.DataFrame) -> pl.DataFrame:
    """Turn coordinates of their own systems to degrees, one system at a time."""
    lonlat = np.full((len(table), 2), np.nan)
    for crs in table["crs"].unique().to_list():
        here = (table["crs"] == crs).to_numpy()
        x, y = (table[axis].to_numpy()[here] for axis in ("x", "y"))
        convert = to_wgs84(crs)
        lonlat[here] = np.column_stack((x, y) if convert is None else convert.transform(x, y))
    columns = {"lon": pl.Series(lonlat[:, 0]), "lat": pl.Series(lonlat[:, 1])}
    return table.with_columns(**columns).drop("x", "y", "crs")


class PatchImages(FileImages):
    """Patches read from their folders, a file for each band, when they are asked for.

    Args:
        root: The folder of the data set.
        names: Folder of each patch below it.
        bands: Names of the bands, such as ``B04``.
    """

    def __init__(self, root: Path, names: Sequence[str], bands: Sequence[str]) -> None:
        super().__init__(root, names, SIDE)
        self.bands = tuple(bands)

    def __getstate__(self) -> dict[str, Any]:
        """Give what another process makes the same of."""
        return {"root": self.root, "names": self.names, "bands": self.bands}

    def read(self, row: int) -> Tensor:
        """Read one patch.

        Args:
            row: Its number.

        Returns:
            ``(C, 120, 120)`` int16, reflectance times 10,000; of bands at 20 and 60 m, every pixel
            stands for the 4 or 36 of 10 m that it covers.

        Raises:
            BadRecordError: If a band is missing, damaged or of another size.
        """
        folder = self.names[row]
        patch = folder.rpartition("/")[2]
        return torch.stack([self._band(f"{folder}/{patch}_{band}.tif") for band in self.bands])

    def _band(self, name: str) -> Tensor:
        short = name.rpartition("/")[2]
        with opened(self._bytes(name), short) as file:
            if file.count != 1 or file.width != file.height or file.width not in SIDES:
                raise BadRecordError(
                    f"{file.count} bands of {file.width} × {file.height} pixels; a band of a patch"
                    f" has {', '.join(map(str, SIDES))} a side",
                    file=short,
                )
            values = Narrowed(file.nodata).apply(file.read(1)).astype(np.int16)
        times = SIDE // len(values)
        return torch.from_numpy(values.repeat(times, axis=0).repeat(times, axis=1))

    def digest(self) -> str:
        """Hash names, sizes and times of change of the files of all bands, without reading.

        Returns:
            64 hexadecimal digits.
        """
        patches = [(name, name.rpartition("/")[2]) for name in self.names]
        files = [f"{name}/{patch}_{band}.tif" for name, patch in patches for band in self.bands]
        return FileImages(self.root, files, SIDE).digest()
