"""TIFFs of more bands, bits or kinds of number than a picture has."""

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
    folders,
)
from csp_core.data.pictures.scale import Scale, find_scale, holes, tell_holes
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
COLOURS, WHITE_IS_ZERO = 262, 0
OTHERS = {5: "those of print (CMYK)", 6: "YCbCr", 8: "Lab", 9: "Lab", 10: "Lab"}
Found = tuple[npt.NDArray[Any], tuple[int, ...], tuple[str, ...]]
DEEP = "The picture has more than 8 bits a channel; it was brought to 8."


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
        float32; 0 where there is no data; then bands, height and width of the file, and what is
        odd about the values. None for a TIFF of up to four bands, which is a picture.

    Raises:
        BadRecordError: If the file is damaged, too large or of complex numbers.
    """
    with opened(content, name) as file:
        if file.count <= PLAIN_BANDS:
            return None
        _check_size(file, name)
        check_blocks(file, name)
        found = Narrowed(file.nodata)
        pixels = _read(file, list(file.indexes), fit, name, found)
        return pixels, (file.count, file.height, file.width), found.notes()


def read_as_picture(content: bytes, name: str = "", fit: int | None = None) -> Found:
    """Read a TIFF of up to four bands that is not of 8 bits a channel as a picture.

    Args:
        content: The bytes of the file.
        name: What to call it in messages.
        fit: Longest side in pixels of what is returned; None for all of it.

    Returns:
        ``(3, H, W)`` uint8, see ``find_scale``; bands, height and width of the file; and what was
        done.

    Raises:
        BadRecordError: If the file is damaged, too large, of complex numbers or other colours.
    """
    with opened(content, name) as file:
        _check_size(file, name)
        check_blocks(file, name)
        inverted = _check_colours(content, file.dtypes[0], name)
        bands = [1, 2, 3] if file.count >= 3 else [1]
        scale = find_scale(_sampled(file, bands, SAMPLED), file.nodata, name)
        small = _read(file, bands, fit, name, scale)
        if inverted:
            small = np.subtract(255, small, out=small)
        pixels = np.ascontiguousarray(np.broadcast_to(small, (3, *small.shape[1:])))
        return pixels, (3, file.height, file.width), (DEEP, *scale.notes)


class Narrowed:
    """Brings values to what a picture of many bands holds, and counts what was lost.

    Args:
        nodata: The value that the file declares for no data, or None.
    """

    def __init__(self, nodata: float | None) -> None:
        self.nodata, self.seen, self.empty, self.cut = nodata, 0, 0, 0

    def apply(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Narrow values.

        Args:
            values: Of any shape and kind of real number.

        Returns:
            The same shape in uint8, int16 or float32, 0 where there is no data.
        """
        empty = holes(values, self.nodata)
        self.seen, self.empty = self.seen + values.size, self.empty + int(empty.sum())
        if values.dtype.kind == "f":
            out = values.astype(np.float32)
        elif values.dtype == np.uint8:
            out = values.copy()
        else:
            self.cut += int(((np.abs(values.astype(np.int64)) > MOST) & ~empty).sum())
            out = values.clip(-MOST, MOST).astype(np.int16)
        out[empty] = 0
        return out

    def notes(self) -> tuple[str, ...]:
        """Say what was lost."""
        told = tell_holes(self.empty / max(self.seen, 1), self.nodata)
        if self.cut:
            told += (f"Values above {MOST:,} were set to it: {self.cut / self.seen:.2%} of them.",)
        return told


def _read(
    file: Any, bands: list[int], fit: int | None, name: str, to: Scale | Narrowed
) -> npt.NDArray[Any]:
    """Read bands strip by strip, so that what is stored in wide numbers is never held whole."""
    longest = max(file.width, file.height)
    side = longest if fit is None else min(longest, fitted(fit, len(bands)))
    if side < longest:
        return to.apply(_sampled(file, bands, side, mean=True))
    from rasterio.windows import Window

    kind = to.apply(np.empty(0, file.dtypes[0])).dtype
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
        out[:, at : at + rows] = to.apply(file.read(bands, window=window))
    return out


def _sampled(file: Any, bands: list[int], side: int, mean: bool = False) -> npt.NDArray[Any]:
    """Read bands with no side longer than given: means of pixels, or single ones."""
    from rasterio.enums import Resampling

    scale = min(1.0, side / max(file.width, file.height))
    high, wide = (max(1, round(length * scale)) for length in (file.height, file.width))
    how = Resampling.average if mean else Resampling.nearest
    found: npt.NDArray[Any] = file.read(bands, out_shape=(len(bands), high, wide), resampling=how)
    return found


def _check_colours(content: bytes, kind: str, name: str) -> bool:
    """Refuse colours that are no red, green and blue; tell whether a grey is the darker the more.

    The bands of other colours, read as if they were these, would give a picture of wrong ones.
    """
    first = next(folders(content, 1), None)
    colours = first.tags.get(COLOURS) if first is not None else None
    if colours in OTHERS:
        raise BadRecordError(
            f"The TIFF's colours are {OTHERS[colours]} in {kind}: save it as RGB, or with 8 bits a"
            " channel.",
            file=name or None,
        )
    return colours == WHITE_IS_ZERO


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


def check_blocks(file: Any, name: str) -> None:
    """Refuse what can only be decoded in large pieces.

    Args:
        file: The open data set of rasterio.
        name: What to call it.

    Raises:
        BadRecordError: If it is stored so.
    """
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
def opened(content: bytes, name: str, driver: str = "GTiff") -> Iterator[Any]:
    """Open a TIFF, or a file of another format of GDAL, in memory."""
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
                memory.open(driver=driver) as file,
            ):
                yield file
                return
        except RasterioError as error:
            reason = (str(error).splitlines() or [""])[0][:100]
    what = "TIFF" if driver == "GTiff" else "raster"
    raise BadRecordError(
        f"The {what} is cut short or damaged ({reason}): copy it again.", file=name or None
    )
