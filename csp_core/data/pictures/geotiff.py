"""GeoTIFFs of many bands, and where on Earth the middle of one lies."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from csp_core.data.pictures.limits import (
    MAX_BLOCK_MEGABYTES,
    MAX_MEGABYTES,
    MAX_MEGAPIXELS,
    MAX_RESULT_MEGABYTES,
)
from csp_core.data.shapes import to_wgs84
from csp_core.errors import BadRecordError

# Above this, int16 cannot hold it; reflectance times 10,000 hardly passes 2.
MOST = 32_767
PLAIN_BANDS = 4
# Of a picture of more bands, the sides that ``fit`` allows are shorter, for the same memory.
FULL_BANDS = 16
# What is read of a file at once, and what GDAL may keep of it.
STRIP_MEGABYTES, CACHE_MEGABYTES = 32, MAX_BLOCK_MEGABYTES
# The brightness of a picture is judged by this many pixels a side.
SAMPLED = 1024
Found = tuple[npt.NDArray[Any], tuple[int, ...]]


def fitted(fit: int, bands: int) -> int:
    """Give the longest side of a picture that is to be made small.

    Args:
        fit: Longest side of one of up to 16 bands, pixels.
        bands: How many it has.

    Returns:
        Longest side, pixels.

    Example:
        >>> fitted(1024, 3), fitted(1024, 64)
        (1024, 512)
    """
    return int(fit * min(1.0, math.sqrt(FULL_BANDS / bands)))


def read_bands(content: bytes, name: str = "", fit: int | None = None) -> Found | None:
    """Read a TIFF of more bands than a picture has.

    Args:
        content: The bytes of the file.
        name: What to call it in messages.
        fit: Longest side in pixels of what is returned, see ``fitted``; None for all of it.

    Returns:
        ``(bands, H, W)``: uint8; other whole numbers as int16, values above 32,767 set to it; or
        float32, 0 where there is no number; and bands, height and width of the file. None for a
        TIFF of up to four bands, which is a picture.

    Raises:
        BadRecordError: If the file is damaged, too large or of complex numbers.
    """
    with _opened(content, name) as file:
        if file.count <= PLAIN_BANDS:
            return None
        _check_size(file, name)
        _check_blocks(file, name)
        return _read(file, list(file.indexes), fit, name), (file.count, file.height, file.width)


def read_as_picture(content: bytes, name: str = "", fit: int | None = None) -> Found:
    """Read a TIFF of up to four bands that is not of 8 bits a channel as a picture.

    Args:
        content: The bytes of the file.
        name: What to call it in messages.
        fit: Longest side in pixels of what is returned; None for all of it.

    Returns:
        ``(3, H, W)`` uint8, the brightest thousandth of the values is white; and bands, height and
        width of the file.

    Raises:
        BadRecordError: If the file is damaged, too large or of complex numbers.
    """
    with _opened(content, name) as file:
        _check_size(file, name)
        _check_blocks(file, name)
        bands = [1, 2, 3] if file.count >= 3 else [1, 1, 1]
        few = _sampled(file, sorted(set(bands)), SAMPLED).astype(np.float32)
        top = max(float(np.quantile(np.nan_to_num(few, copy=False), 0.999)), 1e-12)
        small = _read(file, sorted(set(bands)), fit, name, white=top)
        pixels = np.ascontiguousarray(np.broadcast_to(small, (3, *small.shape[1:])))
        return pixels, (3, file.height, file.width)


def _read(
    file: Any, bands: list[int], fit: int | None, name: str, white: float | None = None
) -> npt.NDArray[Any]:
    """Read bands strip by strip, so that what is stored in wide numbers is never held whole."""
    longest = max(file.width, file.height)
    side = longest if fit is None else min(longest, fitted(fit, len(bands)))
    if side < longest:
        return _narrow(_sampled(file, bands, side, mean=True), white)
    from rasterio.windows import Window

    kind = np.uint8 if white is not None else _narrow(np.empty(0, file.dtypes[0]), None).dtype
    taken = len(bands) * file.width * file.height * np.dtype(kind).itemsize / 1_000_000
    if taken > MAX_RESULT_MEGABYTES:
        raise BadRecordError(
            f"The TIFF's {file.width} × {file.height} pixels of {file.count} bands take"
            f" {math.ceil(taken)} MB once read; up to {MAX_RESULT_MEGABYTES} are: give fewer"
            " pixels or bands.",
            file=name or None,
        )
    out = np.empty((len(bands), file.height, file.width), dtype=kind)
    row = len(bands) * file.width * np.dtype(file.dtypes[0]).itemsize
    rows = max(1, STRIP_MEGABYTES * 1_000_000 // row)
    for at in range(0, file.height, rows):
        window = Window(0, at, file.width, min(rows, file.height - at))
        out[:, at : at + rows] = _narrow(file.read(bands, window=window), white)
    return out


def _sampled(file: Any, bands: list[int], side: int, mean: bool = False) -> npt.NDArray[Any]:
    """Read bands with no side longer than given: means of pixels, or single ones."""
    from rasterio.enums import Resampling

    scale = min(1.0, side / max(file.width, file.height))
    high, wide = (max(1, round(length * scale)) for length in (file.height, file.width))
    how = Resampling.average if mean else Resampling.nearest
    found: npt.NDArray[Any] = file.read(bands, out_shape=(len(bands), high, wide), resampling=how)
    return found


def _narrow(values: npt.NDArray[Any], white: float | None) -> npt.NDArray[Any]:
    """Bring values to what a picture holds: uint8 below a given white, else uint8 to float32."""
    if white is not None:
        plain = np.nan_to_num(values.astype(np.float32), copy=False)
        return (plain / white * 255).clip(0, 255).round().astype(np.uint8)
    if values.dtype.kind == "f":
        return np.nan_to_num(values.astype(np.float32), copy=False)
    if values.dtype == np.uint8:
        return values
    return values.clip(-MOST, MOST).astype(np.int16)


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


def _check_blocks(file: Any, name: str) -> None:
    """Refuse what can only be decoded in large pieces."""
    from rasterio.enums import Interleaving

    kind = np.dtype(file.dtypes[0])
    block = max(high * wide for high, wide in file.block_shapes) * kind.itemsize
    block *= file.count if file.interleaving == Interleaving.pixel else 1
    if block > MAX_BLOCK_MEGABYTES * 1_000_000:
        raise BadRecordError(
            f"The TIFF is stored in pieces of {block / 1e6:.0f} MB; up to {MAX_BLOCK_MEGABYTES} are"
            " read: save it in tiles.",
            file=name or None,
        )


@contextmanager
def _opened(content: bytes, name: str) -> Iterator[Any]:
    """Open a TIFF in memory with GDAL."""
    from rasterio import Env
    from rasterio.errors import NotGeoreferencedWarning, RasterioError
    from rasterio.io import MemoryFile

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            # Some of GDAL's other formats name files and addresses, which would be read.
            with (
                Env(GDAL_CACHEMAX=CACHE_MEGABYTES << 20),
                MemoryFile(content) as memory,
                memory.open(driver="GTiff") as file,
            ):
                yield file
                return
        except RasterioError as error:
            reason = (str(error).splitlines() or [""])[0][:100]
    raise BadRecordError(
        f"The TIFF is cut short or damaged ({reason}): copy it again.", file=name or None
    )
