"""Scenes: georeferenced pictures of any size, read window by window."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from csp_core.data.pictures.geotiff import check_blocks
from csp_core.data.pictures.limits import MAX_MEGAPIXELS, NEVER_AT_ONCE, TIFF_MARKS
from csp_core.data.pictures.scale import holes
from csp_core.errors import BadRecordError, DataNotFoundError

# How files begin. Others of GDAL's formats name files and addresses, which would be read.
DRIVERS = {
    **dict.fromkeys(TIFF_MARKS, "GTiff"),
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"\0\0\0\x0cjP": "JP2OpenJPEG",
    b"\xff\x4f\xff\x51": "JP2OpenJPEG",
}
MARK = 6
SCENE_ENDINGS = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2")
# These are decoded from the top on, so that going back by a window would mean to begin anew.
SEQUENTIAL = ("PNG", "JPEG")
CACHE_MEGABYTES = 128
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class SceneFacts:
    """What a scene's file says of itself.

    Args:
        name: Name of the file.
        bands: Channels, without one of transparency.
        height: Rows.
        width: Columns.
        kind: Kind of number of the values as read: ``uint8``, ``int16``, ``int32`` or
            ``float32``.
        stored: Kind of number in the file.
        crs: Reference system as WKT, or None where the pixels lie on no known grid.
        transform: ``a, b, c, d, e, f``: x = a column + b row + c, y = d column + e row + f.
        unplaced: Why nobody knows where the pixels lie, in a sentence; ``""`` where that is known.
        points: Ground control points, ``(row, column, x, y, z)``, handed on to what is written.
        points_crs: Their reference system as WKT, or None.
    """

    name: str
    bands: int
    height: int
    width: int
    kind: str
    stored: str
    crs: str | None
    transform: tuple[float, float, float, float, float, float] = IDENTITY
    unplaced: str = ""
    points: tuple[tuple[float, float, float, float, float], ...] = ()
    points_crs: str | None = None


@dataclass(frozen=True, eq=False)
class HeldScene:
    """A scene in memory, which can be handed to another process.

    Args:
        facts: What its file says.
        values: ``(bands, H, W)`` uint8, int16, int32 or float32, 0 where there is no data.
        valid: ``(H, W)`` bool, where there is data.
    """

    facts: SceneFacts
    values: Array
    valid: npt.NDArray[np.bool_]

    def read(
        self, top: int, left: int, height: int, width: int
    ) -> tuple[Array, npt.NDArray[np.bool_]]:
        """Read a part; see ``Scene.read``."""
        rows, columns = slice(top, top + height), slice(left, left + width)
        return self.values[:, rows, columns], self.valid[rows, columns]


@dataclass(eq=False)
class Scene:
    """A scene's open file.

    Args:
        facts: What it says of itself.
        file: The open data set of rasterio.
        bands: Numbers of the bands that hold data.
        palette: ``(N, 3)`` uint8 colours of an indexed picture, of each value that there can be;
            or None.
        whole: What is held of a file that is decoded from the top on, or None.
    """

    facts: SceneFacts
    file: Any
    bands: list[int]
    palette: npt.NDArray[np.uint8] | None = None
    whole: HeldScene | None = field(default=None, repr=False)

    def read(
        self, top: int, left: int, height: int, width: int
    ) -> tuple[Array, npt.NDArray[np.bool_]]:
        """Read a part of the scene.

        Args:
            top: Its first row.
            left: Its first column.
            height: Rows.
            width: Columns; all within the scene.

        Returns:
            ``(bands, height, width)`` of the kinds of number that an image encoder takes: uint8 and
            int16 as they are, other whole numbers as int32, others as float32; 0 where there is no
            data; and ``(height, width)`` bool, where there is data in some band.

        Raises:
            BadRecordError: If the file is damaged there.
        """
        if self.whole is not None:
            return self.whole.read(top, left, height, width)
        from rasterio.errors import RasterioError
        from rasterio.windows import Window

        window = Window(left, top, width, height)
        try:
            values = self.file.read(self.bands, window=window)
            valid = self.file.dataset_mask(window=window) > 0
        except RasterioError as error:
            raise _damaged(self.facts.name) from error
        if self.palette is not None:
            return np.ascontiguousarray(self.palette[values[0]].transpose(2, 0, 1)), valid
        empty = holes(values, self.file.nodata)
        # One band of NaN spoils a pixel; one that equals the value for no data need not.
        valid &= ~empty.all(axis=0)
        values = _taken(values)
        if values.dtype.kind == "f":
            valid &= np.isfinite(values).all(axis=0)
        values[empty | ~valid] = 0
        return values, valid

    def hold(self, most_pixels: int) -> HeldScene:
        """Read all of it.

        Args:
            most_pixels: Pixels that it may have.

        Returns:
            The scene in memory.

        Raises:
            BadRecordError: If it has more, or is damaged.
        """
        facts = self.facts
        if facts.height * facts.width > most_pixels:
            raise BadRecordError(
                f"The picture has {facts.width:,} × {facts.height:,} pixels; up to {most_pixels:,}"
                " are taken here: cut it, or have it drawn by `csp segment`, which takes any size.",
                file=facts.name,
            )
        return HeldScene(facts, *self.read(0, 0, facts.height, facts.width))


@contextmanager
def open_scene(source: bytes | str | Path, name: str = "") -> Iterator[Scene]:
    """Open a GeoTIFF, PNG, JPEG or JPEG 2000 to read parts of it.

    Args:
        source: The bytes of a file, or its path.
        name: What to call it in messages; the path's own name if omitted.

    Yields:
        The scene; its file is closed behind the block.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it is none of these, damaged, of complex numbers or of pieces too large
            to be read one by one.
    """
    from rasterio import Env
    from rasterio import open as open_raster
    from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
    from rasterio.io import MemoryFile

    if not isinstance(source, bytes):
        path = Path(source)
        name = name or path.name
        if not path.is_file():
            raise DataNotFoundError(f"No file {path}; give a picture such as a GeoTIFF.")
    driver = _driver(source)
    gdal = {"GDAL_CACHEMAX": CACHE_MEGABYTES << 20, **NEVER_AT_ONCE}
    with warnings.catch_warnings(), Env(**gdal):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        memory = MemoryFile(source) if isinstance(source, bytes) else None
        try:
            try:
                if driver is None:
                    raise RasterioIOError("unknown format")
                file = open_raster(memory.name if memory else source, driver=driver)
            except RasterioError as error:
                raise BadRecordError(
                    "This is no picture that can be read: give a GeoTIFF, PNG, JPEG or JPEG 2000"
                    " that is whole.",
                    file=name or None,
                ) from error
            with file:
                yield _make(file, name)
        finally:
            if memory is not None:
                memory.close()


def _driver(source: bytes | str | Path) -> str | None:
    """Name GDAL's driver by how a file begins."""
    if isinstance(source, bytes):
        start = source[:MARK]
    else:
        with open(source, "rb") as stream:
            start = stream.read(MARK)
    return next((name for mark, name in DRIVERS.items() if start.startswith(mark)), None)


def _make(file: Any, name: str) -> Scene:
    from rasterio.enums import ColorInterp

    stored = str(file.dtypes[0])
    if stored.startswith("complex") or not file.count:
        raise BadRecordError(
            f"The picture holds {stored} numbers: give real ones, such as float32.", file=name
        )
    bands = [n for n, c in zip(file.indexes, file.colorinterp, strict=True) if c.name != "alpha"]
    palette = None
    if len(bands) == 1 and file.colorinterp[bands[0] - 1] == ColorInterp.palette:
        colours = file.colormap(bands[0])
        palette = np.zeros((65_536 if stored == "uint16" else 256, 3), dtype=np.uint8)
        for number, colour in colours.items():
            palette[number % len(palette)] = colour[:3]
    check_blocks(file, name)
    kind = "uint8" if palette is not None else str(_taken(np.empty(0, stored)).dtype)
    scene = Scene(
        SceneFacts(
            name=name,
            bands=3 if palette is not None else len(bands),
            height=file.height,
            width=file.width,
            kind=kind,
            stored=stored,
            **_place(file),
        ),
        file,
        bands,
        palette,
    )
    if file.driver in SEQUENTIAL:
        if file.height * file.width > MAX_MEGAPIXELS * 1_000_000:
            raise BadRecordError(
                f"The {file.driver} has {file.width:,} × {file.height:,} pixels; up to"
                f" {MAX_MEGAPIXELS} megapixels are read of that format: save it as a GeoTIFF.",
                file=name or None,
            )
        scene.whole = scene.hold(MAX_MEGAPIXELS * 1_000_000)
    return scene


def _taken(values: Array) -> Array:
    """Turn values to a kind of number that an image encoder takes, in an array of their own."""
    if values.dtype in (np.uint8, np.int16):
        return values.copy()
    if values.dtype.kind == "f":
        # What 32 bits cannot hold becomes infinite, which is no data.
        with np.errstate(over="ignore"):
            return values.astype(np.float32)
    if values.dtype.itemsize > 2:
        limits = np.iinfo(np.int32)
        values = values.clip(limits.min, limits.max)
    return values.astype(np.int16 if values.dtype == np.int8 else np.int32)


def _place(file: Any) -> dict[str, Any]:
    """Say where the pixels lie, or why nobody knows."""
    points, of_points = file.gcps
    grid = tuple(file.transform)[:6]
    if not file.transform.is_identity and file.crs is not None:
        if file.transform.determinant == 0:
            return {"crs": None, "unplaced": "The grid of the picture has pixels without an area."}
        return {"crs": file.crs.to_wkt(), "transform": grid}
    found: dict[str, Any] = {"crs": None, "transform": grid}
    if points:
        found["points"] = tuple((p.row, p.col, p.x, p.y, p.z or 0.0) for p in points)
        found["points_crs"] = of_points.to_wkt() if of_points else None
        why = (
            f"The picture is placed by {len(points)} ground control points, not by a grid: warp it"
            " (gdalwarp) for areas in square metres."
        )
    elif file.crs is None and file.transform.is_identity:
        why = "The picture does not say where it lies."
    elif file.crs is None:
        why = "The picture has a grid but names no coordinate reference system (CRS)."
    else:
        why = "The picture names a coordinate reference system but has no grid."
    return found | {"unplaced": why}


def _damaged(name: str) -> BadRecordError:
    # What GDAL says of it names its own functions.
    return BadRecordError("The picture is cut short or damaged: copy it again.", file=name or None)
