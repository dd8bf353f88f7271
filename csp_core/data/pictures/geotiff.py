"""GeoTIFFs of many bands, and where on Earth the middle of one lies."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from csp_core.data.shapes import to_wgs84
from csp_core.errors import BadRecordError

# Above this, int16 cannot hold it; reflectance times 10,000 hardly passes 2.
MOST = 32_767
PLAIN_BANDS = 4
# A phone makes 12 to 50 megapixels; decoded, 100 take 300 MB.
MAX_MEGAPIXELS = 100
# What the values take as they are stored; 100 megapixels of three bands of 16 bits take 600.
MAX_MEGABYTES = 1000


def read_bands(content: bytes, name: str = "") -> Tensor | None:
    """Read a TIFF of more bands than a picture has.

    Args:
        content: The bytes of the file.
        name: What to call it in messages.

    Returns:
        ``(bands, H, W)``: uint8; other whole numbers as int16, values above 32,767 set to it; or
        float32, 0 where there is no number. None for a TIFF of up to four bands, which is a
        picture.

    Raises:
        BadRecordError: If the file is damaged, too large or of complex numbers.
    """
    with _opened(content, name) as file:
        if file.count <= PLAIN_BANDS:
            return None
        _check_size(file, name)
        values = file.read()
    if values.dtype.kind == "f":
        return torch.from_numpy(np.nan_to_num(values.astype(np.float32), copy=False))
    if values.dtype == np.uint8:
        return torch.from_numpy(values)
    return torch.from_numpy(values.clip(-MOST, MOST).astype(np.int16))


def read_as_picture(content: bytes, name: str = "") -> Tensor:
    """Read a TIFF of up to four bands that is not of 8 bits a channel as a picture.

    Args:
        content: The bytes of the file.
        name: What to call it in messages.

    Returns:
        ``(3, H, W)`` uint8; the brightest thousandth of the values is white.

    Raises:
        BadRecordError: If the file is damaged, too large or of complex numbers.
    """
    with _opened(content, name) as file:
        _check_size(file, name)
        values = file.read(list(range(1, min(file.count, 3) + 1))).astype(np.float32)
    values = np.nan_to_num(values, copy=False)
    values = values if len(values) == 3 else np.repeat(values[:1], 3, axis=0)
    top = max(float(np.quantile(values, 0.999)), 1e-12)
    return torch.from_numpy((values / top * 255).clip(0, 255).round().astype(np.uint8))


def centre(content: bytes, name: str = "") -> tuple[tuple[float, float] | None, str]:
    """Find the place of the middle of a GeoTIFF from its georeference.

    Args:
        content: The bytes of the file.
        name: What to call it in messages.

    Returns:
        Longitude and latitude in degrees, or None, and then the reason in one sentence; the reason
        is empty where the file says nothing of a place at all.
    """
    with _opened(content, name) as file:
        if file.crs is None and file.transform.is_identity:
            return None, ""
        if file.crs is None:
            return None, "The GeoTIFF has a grid but no coordinate reference system (CRS)."
        if file.transform.is_identity:
            return None, "The GeoTIFF names a coordinate reference system but has no grid."
        across, down = file.width / 2, file.height / 2
        grid = file.transform
        x, y = (
            grid.a * across + grid.b * down + grid.c,
            grid.d * across + grid.e * down + grid.f,
        )
        crs = file.crs.to_wkt()
    try:
        convert = to_wgs84(crs)
    except BadRecordError as error:
        return None, str(error)
    lon, lat = (x, y) if convert is None else convert.transform(x, y)
    if not (math.isfinite(lon) and math.isfinite(lat) and abs(lon) <= 180 and abs(lat) <= 90):
        return None, "The GeoTIFF's georeference leads to no place on Earth."
    return (float(lon), float(lat)), ""


def _check_size(file: Any, name: str) -> None:
    """Refuse what takes too much memory, by the header: a small sparse file can claim any size."""
    kind = file.dtypes[0]  # a TIFF has one for all bands; complex_int16 is none of NumPy's
    if kind.startswith("complex"):
        raise BadRecordError(
            f"The TIFF holds complex numbers ({kind}): give real ones, such as their magnitude as"
            " float32.",
            file=name or None,
        )
    if file.width * file.height * max(file.count / 3, 1) >= MAX_MEGAPIXELS * 1_000_000:
        raise BadRecordError(
            f"The picture has {file.width} × {file.height} pixels of {file.count} bands; fewer than"
            f" {MAX_MEGAPIXELS} megapixels of 3 are read: make it smaller.",
            file=name or None,
        )
    taken = file.width * file.height * file.count * np.dtype(kind).itemsize / 1_000_000
    if taken > MAX_MEGABYTES:
        raise BadRecordError(
            f"The TIFF's {file.width} × {file.height} pixels of {file.count} bands of {kind} take"
            f" {math.ceil(taken)} MB; up to {MAX_MEGABYTES} are read: give fewer pixels or bands,"
            " or a smaller type such as uint16.",
            file=name or None,
        )


@contextmanager
def _opened(content: bytes, name: str) -> Iterator[Any]:
    """Open a TIFF in memory with GDAL."""
    from rasterio.errors import NotGeoreferencedWarning, RasterioError
    from rasterio.io import MemoryFile

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            # Some of GDAL's other formats name files and addresses, which would be read.
            with MemoryFile(content) as memory, memory.open(driver="GTiff") as file:
                yield file
                return
        except RasterioError as error:
            reason = (str(error).splitlines() or [""])[0][:100]
    raise BadRecordError(
        f"The TIFF is cut short or damaged ({reason}): copy it again.", file=name or None
    )
