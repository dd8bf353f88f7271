"""Makes small folders in the forms in which BigEarthNet is published."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from csp_core.data.sets.bigearthnet_labels import NAMES_19, NAMES_43
from csp_core.data.sets.bigearthnet_patches import BANDS

__all__ = ["NAMES_19", "NAMES_43", "make", "options", "patch", "patch_v1", "write_metadata"]

Row = tuple[str, float, float, Sequence[str]]
PARTS = ("train", "train", "validation", "test")
SIDES = {"B01": 20, "B09": 20} | dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12"), 60)
EPSG = 32631


def write_metadata(folder: Path, rows: Sequence[Row], **columns: Sequence[object]) -> Path:
    """Write the table of the second version for tile, place and labels of each patch."""
    folder.mkdir(parents=True, exist_ok=True)
    number = range(len(rows))
    table = {
        "patch_id": [
            f"S2A_MSIL2A_20170617T113321_N9999_R080_{rows[n][0]}_{n:02}_7" for n in number
        ],
        "labels": [list(labels) for *_, labels in rows],
        "split": [PARTS[n % 4] for n in number],
        "country": ["Ireland" if n % 2 else "Finland" for n in number],
        "lon": [row[1] for row in rows],
        "lat": [row[2] for row in rows],
        "date": [datetime.date(2017, 6 + n % 6, 17) for n in number],
        "contains_seasonal_snow": [n % 10 == 0 for n in number],
        "contains_cloud_or_shadow": [n % 10 in (0, 1) for n in number],
    } | columns
    pl.DataFrame(table).cast({"split": pl.Categorical}).write_parquet(
        folder / "metadata_lonlat.parquet"
    )
    return folder


def patch(folder: Path, name: str, value: int, bands: Sequence[str] = BANDS["all"]) -> Path:
    """Write the bands of a patch: those at 20 and 60 m with a bright pixel in their corner."""
    import rasterio

    for band in bands:
        side = SIDES.get(band, 120)
        pixels = np.full((1, side, side), value + int(band[1:].replace("8A", "80")), np.uint16)
        pixels[0, 0, 0] = 9_999 if side < 120 else pixels[0, 0, 0]
        path = folder / name / f"{name}_{band}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        profile = {"driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": "uint16"}
        grid = rasterio.Affine(1200 / side, 0, 500_000, 0, -1200 / side, 5_000_000)
        with rasterio.open(path, "w", **profile, crs=EPSG, transform=grid) as file:
            file.write(pixels)
    return folder / name


def patch_v1(folder: Path, row: int, labels: Sequence[str], value: int = 100) -> str:
    """Write a patch of the first version with its description."""
    name = f"S2A_MSIL2A_20170617T113321_{row}_7"
    path = patch(folder, name, value, BANDS["rgb"])
    said = {
        "labels": list(labels),
        "coordinates": {"ulx": 500_000 + 1200 * row, "uly": 5_001_200, "lrx": 501_200 + 1200 * row,
                        "lry": 5_000_000},
        "projection": f"EPSG:{EPSG}",
        "tile_source": f"S2A_MSIL1C_20170617T113321_N0205_R080_T31T{'ABC'[row % 3]}G_1.SAFE",
        "acquisition_date": "2017-06-17 11:33:21",
    }  # fmt: skip
    (path / f"{name}_labels_metadata.json").write_text(json.dumps(said))
    return name


def make(folder: Path, number: int = 16) -> Path:
    """Write a table of the second version and the patches it names, with red, green and blue."""
    rows = [
        (f"T31U{'ABCDEFGH'[n % 8]}A", 5.5 + n, 45.25, NAMES_19[n % 4 : n % 4 + 2])
        for n in range(number)
    ]
    write_metadata(folder, rows)
    for n, name in enumerate(pl.read_parquet(folder / "metadata_lonlat.parquet")["patch_id"]):
        patch(folder / "BigEarthNet-S2" / name.rsplit("_", 2)[0], name, 100 * n, BANDS["rgb"])
    return folder


def options(folder: Path) -> dict[str, object]:
    """Give the options with which the loader reads the fake."""
    return {"root": make(folder)}
