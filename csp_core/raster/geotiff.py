"""A raster as a GeoTIFF: tiled, with overviews, and with tags that say what it is."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from csp_core.errors import BadRecordError, DataNotFoundError
from csp_core.files.writing import writing
from csp_core.raster.output import NO_CREDIT, SUPPORT_MEANING, SUPPORT_UNKNOWN, Credit, describe
from csp_core.raster.raster import UNITS, Raster
from csp_core.raster.thresholds import Threshold

BLOCK = 256
# A map of the world at 0.05 degrees.
MOST_CELLS = 26_000_000


def write_geotiff(
    raster: Raster,
    path: str | Path,
    *,
    threshold: Threshold | None = None,
    credit: Credit = NO_CREDIT,
) -> None:
    """Write a cloud-optimised GeoTIFF in EPSG:4326, float32, deflated.

    Band 1 holds the values, band 2 is 1 where the model extrapolates and 0 elsewhere, without data
    for a model whose support is not known. Not a number
    stands for no data. Over the antimeridian, longitudes go on beyond 180.

    Args:
        raster: The raster.
        path: File to write.
        threshold: A threshold to note in the tags.
        credit: Whom to name in the tags.

    Raises:
        BadRecordError: If the file cannot be written.
    """
    from rasterio import Affine
    from rasterio.errors import RasterioError
    from rasterio.io import MemoryFile
    from rasterio.shutil import copy

    grid = raster.grid
    profile = {
        "driver": "GTiff",
        "height": grid.rows,
        "width": grid.columns,
        "count": 2,
        "dtype": "float32",
        "crs": "EPSG:4326",
        "transform": Affine(grid.step, 0, grid.west, 0, -grid.step, grid.north),
        "nodata": float("nan"),
    }
    tags = {name: _text(value) for name, value in describe(raster, threshold, credit).items()}
    with writing(path) as temporary, MemoryFile() as memory, MemoryFile() as packed:
        try:
            with memory.open(**profile) as file:
                file.write(raster.values.numpy(), 1)
                file.write(_second_band(raster), 2)
                file.set_band_description(1, raster.kind)
                file.set_band_description(2, "extrapolated")
                file.update_tags(**tags)
                file.update_tags(1, unit=UNITS[raster.kind])
                known = f"1: {SUPPORT_MEANING}"
                file.update_tags(2, meaning=known if raster.support_known else SUPPORT_UNKNOWN)
            with memory.open() as file:
                copy(
                    file,
                    packed.name,
                    driver="COG",
                    compress="DEFLATE",
                    predictor="YES",
                    blocksize=BLOCK,
                    overview_resampling="AVERAGE",
                )
        except RasterioError as error:
            raise OSError(str(error)) from error
        # GDAL tells of a full disk in lines of its own, Python in an error.
        temporary.write_bytes(packed.read())


def read_geotiff(path: str | Path, *, most_cells: int = MOST_CELLS) -> Raster:
    """Read a GeoTIFF that ``write_geotiff`` wrote.

    Args:
        path: The file.
        most_cells: Cells that it may have; one of more is not read.

    Returns:
        The raster, as it was written; names of classes and models are those of its tags.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it is none of ours, or has more cells.
    """
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    path = Path(path)
    if not path.is_file():
        raise DataNotFoundError(f"No file {path}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            file = rasterio.open(path, driver="GTiff")
        with file:
            if set(file.dtypes) != {"float32"} or file.count != 2:
                raise BadRecordError(f"{path} is no map of a class as `csp heatmap` writes it.")
            if file.width * file.height > most_cells:
                raise BadRecordError(
                    f"{path} has {file.width:,} x {file.height:,} cells; at most {most_cells:,} are"
                    " read."
                )
            values, extrapolated = (torch.from_numpy(file.read(band)) for band in (1, 2))
            tags, kind = file.tags(), str(file.descriptions[0])
        return Raster(
            values=values,
            bounds=tuple(map(float, tags["bounds"].split())),  # type: ignore[arg-type]
            step=float(tags["step"]),
            taxon=tags["taxon"],
            common_name=tags.get("common_name", ""),
            kind=kind if kind in UNITS else tags["kind"],
            model=tags.get("model", ""),
            date=float(tags["date"]) if tags.get("date", "None") != "None" else None,
            extrapolated=extrapolated > 0,
            land_only=tags.get("land_only") == "True",
            support_known=not bool(extrapolated.isnan().all()),
        )
    except (RasterioError, LookupError, ValueError) as error:
        raise BadRecordError(f"{path} cannot be read as a map of a class ({error}).") from error


def _second_band(raster: Raster) -> Any:
    """Give where the model extrapolates: 1 or 0, no data where nobody knows."""
    if raster.support_known:
        return raster.extrapolated.numpy().astype(np.float32)
    return np.full(raster.grid.shape, np.nan, dtype=np.float32)


def _text(value: Any) -> str:
    return " ".join(f"{v:g}" for v in value) if isinstance(value, list) else str(value)
