"""Scenes: pictures from above whose pixels lie on a grid, read whole and as they are stored.

No torch is imported here: the app reads uploads in processes of its own, which shall be small.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from csp_core.data.pictures.decode import DAMAGE, decode, read_bytes, telling
from csp_core.data.pictures.geotiff import opened
from csp_core.data.pictures.limits import TIFF_MARKS, check_tiff
from csp_core.data.shapes import to_wgs84
from csp_core.errors import BadRecordError

# Pixels of a scene that is looked at as a whole, and what its values may take, megabytes.
SCENE_MEGAPIXELS, MOST_VALUES = 4.2, 200
KINDS = ("uint8", "uint16", "int16", "float32")
Grid = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture from above.

    Args:
        pixels: ``(C, H, W)`` as stored: uint8, uint16, int16 or float32.
        valid: ``(H, W)`` bool, where there is data.
        crs: Coordinate reference system as WKT, ``""`` where the pixels lie on no known grid.
        grid: Six numbers that take column and row of a pixel's corner to x and y.
        why_no_place: One sentence where there is no grid, else ``""``.
        name: The file's name.
        format: Such as ``TIFF``.
        notes: Sentences on what is odd about the file.
    """

    pixels: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_]
    crs: str
    grid: Grid
    why_no_place: str = ""
    name: str = ""
    format: str = ""
    notes: tuple[str, ...] = ()

    @property
    def placed(self) -> bool:
        """Whether it is known where on Earth the pixels lie."""
        return bool(self.crs)

    @property
    def size(self) -> tuple[int, int, int]:
        """Bands, rows and columns."""
        bands, rows, columns = self.pixels.shape
        return bands, rows, columns


def read_scene(path_or_bytes: str | Path | bytes, name: str = "") -> Scene:
    """Read a GeoTIFF with its grid, or a picture without a place.

    Args:
        path_or_bytes: The file, or its content.
        name: What to call it in messages; the path's own name if omitted.

    Returns:
        The scene.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it is no picture, is damaged or larger than ``SCENE_MEGAPIXELS``, which
            is asked of its header, before anything is decoded; one sentence.
    """
    pixels, valid, told = describe_scene(path_or_bytes, name)
    return make_scene(pixels, valid, told)


def make_scene(
    pixels: npt.NDArray[Any], valid: npt.NDArray[np.bool_], told: dict[str, Any]
) -> Scene:
    """Make a scene of what ``describe_scene`` gave, which may have come through JSON."""
    grid = tuple(float(number) for number in told["grid"])
    assert len(grid) == 6
    return Scene(pixels, valid, **{**told, "grid": grid, "notes": tuple(told["notes"])})


def describe_scene(
    path_or_bytes: str | Path | bytes, name: str = ""
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_], dict[str, Any]]:
    """Read a scene as arrays and plain values.

    Args:
        path_or_bytes: The file, or its content.
        name: What to call it; the path's own name if omitted.

    Returns:
        ``(C, H, W)`` pixels, ``(H, W)`` where there is data, and the other fields of a scene.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: As ``read_scene``.
    """
    content, name = read_bytes(path_or_bytes, name)
    if content[:4] in TIFF_MARKS:
        with telling():
            check_tiff(content, name)
        return _of_tiff(content, name)
    _check_picture(content, name)
    picture = decode(content, name)
    _, rows, columns = picture.pixels.shape
    why = f"A {picture.format} file does not say where its pixels lie; a GeoTIFF does."
    told = {"crs": "", "grid": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), "why_no_place": why, "name": name,
            "format": picture.format, "notes": picture.notes}  # fmt: skip
    return picture.pixels, np.ones((rows, columns), bool), told


def _check_picture(content: bytes, name: str) -> None:
    try:
        with telling():
            wide, high = Image.open(io.BytesIO(content)).size
    except (*DAMAGE, Image.DecompressionBombError):
        return  # ``decode`` says what is wrong with it
    _check_pixels(wide, high, name)


def _check_pixels(wide: int, high: int, name: str) -> None:
    if wide * high > SCENE_MEGAPIXELS * 1_000_000:
        raise BadRecordError(
            f"The scene has {wide:,} × {high:,} pixels; up to {SCENE_MEGAPIXELS:g} million are taken"
            " here. `csp segment MODEL SCENE OUT` takes scenes of any size.",
            file=name or None,
        )


def _of_tiff(
    content: bytes, name: str
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_], dict[str, Any]]:
    from rasterio.enums import ColorInterp
    from rasterio.errors import RasterioError

    with opened(content, name) as file:
        _check_pixels(file.width, file.height, name)
        kind = file.dtypes[0]
        if kind.startswith("complex"):
            raise BadRecordError(
                f"The TIFF holds complex numbers ({kind}): give real ones, such as their magnitude"
                " as float32.",
                file=name or None,
            )
        bands = [
            number
            for number, meaning in zip(file.indexes, file.colorinterp, strict=True)
            if meaning != ColorInterp.alpha
        ]
        taken = file.width * file.height * len(bands) * 4 / 1_000_000
        if taken > MOST_VALUES:
            raise BadRecordError(
                f"The scene's {file.width:,} × {file.height:,} pixels of {len(bands)} bands take up"
                f" to {taken:,.0f} MB; up to {MOST_VALUES} are taken here. `csp segment MODEL SCENE"
                " OUT` takes scenes of any size.",
                file=name or None,
            )
        try:
            pixels = file.read(bands)
            valid = file.dataset_mask() > 0
        except RasterioError as error:
            raise BadRecordError(
                f"The TIFF is cut short or damaged ({str(error)[:100]}): copy it again.",
                file=name or None,
            ) from error
        crs, grid, why = _grid_of(file)
    if kind not in KINDS:
        pixels = pixels.astype(np.float32)
    if pixels.dtype.kind == "f":
        finite = np.isfinite(pixels).all(axis=0)
        valid &= finite
        pixels[:, ~finite] = 0
    told = {"crs": crs, "grid": grid, "why_no_place": why, "name": name, "format": "TIFF",
            "notes": ()}  # fmt: skip
    return pixels, valid, told


def _grid_of(file: Any) -> tuple[str, Grid, str]:
    """Give the reference system, the grid, and why there is none."""
    at = file.transform
    grid = (at.a, at.b, at.c, at.d, at.e, at.f)
    if file.crs is None and at.is_identity:
        return "", grid, "The TIFF says nothing of where its pixels lie."
    if file.crs is None:
        return "", grid, "The TIFF has a grid but no coordinate reference system (CRS)."
    if at.is_identity:
        return "", grid, "The TIFF names a coordinate reference system but has no grid."
    if at.a * at.e - at.b * at.d == 0:
        return "", grid, "The TIFF's grid has pixels without an area."
    crs = file.crs.to_wkt()
    try:
        to_wgs84(crs)
    except BadRecordError as error:
        return "", grid, str(error)
    return crs, grid, ""
