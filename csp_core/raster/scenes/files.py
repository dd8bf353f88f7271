"""The GeoTIFFs of a map of a scene, written part by part: classes, and probabilities."""

from __future__ import annotations

import math
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from csp_core.data.pictures.scene import SceneFacts
from csp_core.files.writing import writing
from csp_core.raster.scenes.legend import MapLegend

BLOCK = 256
# Of probabilities: what 1 is stored as, and what stands for none.
LEVELS = {8: (200, 255, "uint8"), 16: (10_000, 65_535, "uint16")}
Pixels = npt.NDArray[Any]


class MapFile:
    """An open file of a map.

    Args:
        file: The data set of rasterio.
    """

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, row: int, column: int, values: Pixels) -> None:
        """Write a part.

        Args:
            row: Its first row.
            column: Its first column.
            values: ``(bands, h, w)``.
        """
        from rasterio.windows import Window

        high, wide = values.shape[1:]
        self._file.write(values, window=Window(column, row, wide, high))


@contextmanager
def class_file(
    path: str | Path, facts: SceneFacts, legend: MapLegend, tags: Mapping[str, str]
) -> Iterator[MapFile]:
    """Open a GeoTIFF of classes, which stands at its place when the block ends without error.

    It lies on the pixels of the scene, and has its colour table, overviews, and tags that name the
    classes: ``class_10``, ``colour_10`` and so on.

    Args:
        path: File to write.
        facts: The scene.
        legend: The classes.
        tags: What else to note.

    Yields:
        What takes the parts: ``(1, h, w)`` numbers of the legend.

    Raises:
        BadRecordError: If the file cannot be written.
    """
    profile = {"count": 1, "dtype": legend.dtype, "nodata": legend.nodata}
    named = {f"class_{n}": name for n, name in zip(legend.numbers, legend.names, strict=True)}
    named |= {f"colour_{n}": c for n, c in zip(legend.numbers, legend.colours, strict=True)}
    with _geotiff(path, facts, profile, "MODE") as file:
        file.set_band_description(1, "class")
        file.update_tags(**tags, **named)
        if legend.dtype == "uint8":
            table = {n: (*legend.rgb(k), 255) for k, n in enumerate(legend.numbers)}
            file.write_colormap(1, table | {legend.nodata: (0, 0, 0, 0)})
        yield MapFile(file)


@contextmanager
def probability_file(
    path: str | Path, facts: SceneFacts, legend: MapLegend, tags: Mapping[str, str], bits: int = 8
) -> Iterator[MapFile]:
    """Open a GeoTIFF of probabilities, a band a class, as ``class_file`` does.

    Args:
        path: File to write.
        facts: The scene.
        legend: The classes.
        tags: What else to note.
        bits: 8 for steps of 0.005, 16 for steps of 0.0001; the bands have a scale that says so.

    Yields:
        What takes the parts: ``(K, h, w)`` as ``stored`` gives them.

    Raises:
        BadRecordError: If the file cannot be written.
    """
    one, none, dtype = LEVELS[bits]
    profile = {"count": len(legend.names), "dtype": dtype, "nodata": none}
    with _geotiff(path, facts, profile, "AVERAGE") as file:
        file.scales = (1 / one,) * len(legend.names)
        for band, name in enumerate(legend.names, start=1):
            file.set_band_description(band, name)
        file.update_tags(**tags, meaning=f"probability of the class times {one}")
        yield MapFile(file)


def stored(probs: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_], bits: int) -> Pixels:
    """Turn probabilities to what is stored of them.

    Args:
        probs: ``(K, h, w)``.
        valid: ``(h, w)`` where there is data.
        bits: 8 or 16.

    Returns:
        ``(K, h, w)`` uint8 or uint16.
    """
    one, none, dtype = LEVELS[bits]
    found = np.rint(probs * one).astype(dtype)
    found[:, ~valid] = none
    return found


@contextmanager
def _geotiff(
    path: str | Path, facts: SceneFacts, profile: Mapping[str, Any], resampling: str
) -> Iterator[Any]:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError
    from rasterio.shutil import copy

    path = Path(path)
    with writing(path) as temporary:
        # Beside the file, as the disk of temporary files may be small.
        with (
            tempfile.TemporaryDirectory(dir=temporary.parent, prefix=f".{path.name}.") as folder,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            raw, packed = Path(folder) / "raw.tif", Path(folder) / "packed.tif"
            try:
                with rasterio.open(
                    raw,
                    "w",
                    driver="GTiff",
                    height=facts.height,
                    width=facts.width,
                    tiled=True,
                    blockxsize=BLOCK,
                    blockysize=BLOCK,
                    compress="DEFLATE",
                    zlevel=1,
                    interleave="band",
                    BIGTIFF="IF_SAFER",
                    **_placing(facts),
                    **profile,
                ) as file:
                    yield file
                copy(
                    raw,
                    packed,
                    driver="COG",
                    compress="DEFLATE",
                    blocksize=BLOCK,
                    overview_resampling=resampling,
                    BIGTIFF="IF_SAFER",
                )
            except RasterioError as error:
                raise OSError(str(error)) from error
            os.replace(packed, temporary)


def _placing(facts: SceneFacts) -> dict[str, Any]:
    """Place a map as its scene is placed."""
    from rasterio import Affine
    from rasterio.control import GroundControlPoint

    if facts.points:
        points = [GroundControlPoint(*point) for point in facts.points]
        return {"gcps": points, "crs": facts.points_crs}
    grid = Affine(*facts.transform)
    return {} if grid.is_identity else {"transform": grid, "crs": facts.crs}


def number_text(value: float) -> str:
    """Write a number for a tag or a table: whole where it is, else to a millionth."""
    return f"{value:.0f}" if math.isclose(value, round(value), abs_tol=1e-9) else f"{value:.6f}"
