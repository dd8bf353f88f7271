"""A raster as a GeoTIFF: tiled, with overviews, and with tags that say what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from csp_core.raster.output import NO_CREDIT, SUPPORT_MEANING, Credit, describe, writing
from csp_core.raster.raster import UNITS, Raster
from csp_core.raster.thresholds import Threshold

BLOCK = 256


def write_geotiff(
    raster: Raster,
    path: str | Path,
    *,
    threshold: Threshold | None = None,
    credit: Credit = NO_CREDIT,
) -> None:
    """Write a cloud-optimised GeoTIFF in EPSG:4326, float32, deflated.

    Band 1 holds the values, band 2 is 1 where the model extrapolates and 0 elsewhere. Not a number
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
                file.write(raster.extrapolated.numpy().astype(np.float32), 2)
                file.set_band_description(1, raster.kind)
                file.set_band_description(2, "extrapolated")
                file.update_tags(**tags)
                file.update_tags(1, unit=UNITS[raster.kind])
                file.update_tags(2, meaning=f"1: {SUPPORT_MEANING}")
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


def _text(value: Any) -> str:
    return " ".join(f"{v:g}" for v in value) if isinstance(value, list) else str(value)
