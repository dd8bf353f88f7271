"""GeoTIFFs and PNGs as they are read of tiles: their headers, and some rows of pixels at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from csp_core.data.pictures.limits import MAX_BANDS, MAX_BLOCK_MEGABYTES, NEVER_AT_ONCE
from csp_core.errors import BadRecordError

ENDINGS = (".tif", ".tiff", ".png")
_PNG = b"\x89PNG"
# Nothing beside a file is read with it.
_ALONE = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO", **NEVER_AT_ONCE}
_CACHE_MEGABYTES = 64


class DamagedFileError(BadRecordError):
    """A file that is cut short or damaged, without which the others can be read."""


@dataclass(frozen=True)
class Header:
    """What the file of an image or mask says of itself.

    Args:
        name: Name of the file.
        crs: Reference system, or None.
        transform: Affine grid, the identity where there is none.
        height: Pixels.
        width: Pixels.
        kind: Kind of number, such as ``uint8``.
        bands: Numbers of the bands, from 1, but for one of opacity.
        names: What the file calls these bands; empty where it does not say.
        nodata: The number that stands for no data, or None.
        opaque: Number of the band of opacity, which tells where there is data; None without one.
        palette: Whether the values are numbers of a table of colours.
    """

    name: str
    crs: Any
    transform: Any
    height: int
    width: int
    kind: str
    bands: tuple[int, ...]
    names: tuple[str, ...]
    nodata: float | None = None
    opaque: int | None = None
    palette: bool = False

    @property
    def placed(self) -> bool:
        """Whether the file says anything of where it lies."""
        return self.crs is not None or not self.transform.is_identity


@dataclass(frozen=True)
class Raster:
    """An open file.

    Args:
        header: What it says of itself.
    """

    header: Header
    _file: Any = field(repr=False)

    def rows(
        self, top: int, bottom: int, bands: Sequence[int]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Read some rows, over the whole width.

        Args:
            top: The first.
            bottom: The one behind the last.
            bands: Numbers of bands, from 1, in the order wanted.

        Returns:
            ``(bands, rows, W)`` values, 0 where there is no data, and ``(rows, W)`` where there is
            data: in any band, and finite in all.
        """
        window = ((top, bottom), (0, self.header.width))
        values = self._file.read(list(bands), window=window)
        valid = self._file.dataset_mask(window=window) > 0
        if values.dtype.kind == "f":
            valid &= np.isfinite(values).all(axis=0)
        if not valid.all():
            values[:, ~valid] = 0
        return values, valid


@contextmanager
def open_raster(path: Path) -> Iterator[Raster]:
    """Open a file of pixels.

    Args:
        path: A GeoTIFF or PNG.

    Yields:
        The file.

    Raises:
        DamagedFileError: If it is cut short or damaged, now or while it is read.
        BadRecordError: If it has too many bands, or is stored in too large pieces.
    """
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with path.open("rb") as start:
                driver = "PNG" if start.read(4) == _PNG else "GTiff"
            with (
                rasterio.Env(GDAL_CACHEMAX=_CACHE_MEGABYTES << 20, **_ALONE),
                # Some of GDAL's other formats name files and addresses, which would be read.
                rasterio.open(path, driver=driver) as file,
            ):
                yield Raster(_header(file, path.name), file)
                return
        except (RasterioError, OSError) as error:
            # Of a failed read rasterio says no more than that it failed, GDAL why.
            said = str(error.__cause__ or error).splitlines() or [""]
            reason = said[0].replace(f"{path}", path.name).removeprefix(f"{path.name}: ")[:100]
    raise DamagedFileError(f"cut short or damaged ({reason}): copy it again", file=path.name)


def read_header(path: Path) -> Header:
    """Read what a file says of itself.

    Args:
        path: A GeoTIFF or PNG.

    Returns:
        Its header.

    Raises:
        BadRecordError: As ``open_raster``.
    """
    with open_raster(path) as raster:
        return raster.header


def _header(file: Any, name: str) -> Header:
    from rasterio.enums import ColorInterp, Interleaving

    if file.count > MAX_BANDS:
        raise BadRecordError(f"{file.count} bands; up to {MAX_BANDS:,} are read", file=name)
    kind = str(file.dtypes[0])
    block = max(high * wide for high, wide in file.block_shapes) * np.dtype(kind).itemsize
    block *= file.count if file.interleaving == Interleaving.pixel else 1
    if block > MAX_BLOCK_MEGABYTES * 1_000_000:
        raise BadRecordError(
            f"stored in pieces of {block / 1e6:.0f} MB; up to {MAX_BLOCK_MEGABYTES} are read: save"
            " it in tiles",
            file=name,
        )
    shown = file.colorinterp
    kept = [at for at, each in enumerate(shown) if each != ColorInterp.alpha]
    opaque = next((at + 1 for at, each in enumerate(shown) if each == ColorInterp.alpha), None)
    names = tuple((file.descriptions[at] or "").strip() for at in kept)
    bands = tuple(at + 1 for at in kept)
    size = (file.height, file.width)
    place, palette = (file.crs, file.transform), ColorInterp.palette in shown
    return Header(name, *place, *size, kind, bands, names, file.nodata, opaque, palette)
