"""A stack of dated rasters of one grid as one series a pixel, and labelled points in it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from csp_core.data.images import MemoryImages
from csp_core.data.pictures.geotiff import Narrowed, opened
from csp_core.data.pictures.position import parts_of_time
from csp_core.data.pictures.scale import holes
from csp_core.data.series.dates import FEWEST
from csp_core.data.series.points import read_points
from csp_core.data.shapes import to_wgs84
from csp_core.errors import BadRecordError, CspError, DataNotFoundError

ENDINGS = (".tif", ".tiff", ".jp2")
DAY = re.compile(r"(?<!\d)((?:19|20)\d\d)([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")
JPEG_2000 = b"\x00\x00\x00\x0cjP  "
MOST_MEGABYTES = 4000
CLOSE, FIRST = 1e-3, 5


@dataclass(frozen=True, eq=False)
class Stack(MemoryImages):
    """A series of every pixel, ``(N, T, C, 1, 1)``, in the order of rows and columns.

    Args:
        days: ``(N, T)`` part of the year, NaN where a pixel has no data that day.
        lonlat: ``(N, 2)`` float32 degrees, the middles of the pixels.
        cells: ``(N, 2)`` int64 row and column.
        label: The class of the point in each pixel, ``""`` where there is none.
        size: Height and width of the grid.
        info: What was left out.
    """

    days: Tensor = field(default_factory=lambda: torch.empty(0))
    lonlat: Tensor = field(default_factory=lambda: torch.empty(0))
    cells: Tensor = field(default_factory=lambda: torch.empty(0))
    label: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)
    info: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Layer:
    """One raster."""

    name: str
    date: datetime.date
    values: npt.NDArray[Any]
    empty: npt.NDArray[np.bool_]
    crs: Any
    transform: Any


def day_in(name: str) -> datetime.date | None:
    """Find a day in the name of a file.

    Args:
        name: Such as ``TERRA_NDVI_2013-09-14.jp2`` or ``S2_20180103.tif``.

    Returns:
        The first day in it, or None.

    Example:
        >>> day_in("S2_20180103"), day_in("S2_2018")
        (datetime.date(2018, 1, 3), None)
    """
    for match in DAY.finditer(name):
        try:
            return datetime.date(int(match[1]), int(match[3]), int(match[4]))
        except ValueError:  # such as 31 February
            continue
    return None


def read_stack(root: Path, points: Path | None = None) -> Stack:
    """Read a folder of rasters, one a day, as one series a pixel.

    Files without a day in their name, that cannot be read, lie on another grid than the first, or
    are the second of a day are left out and told.

    Args:
        root: Folder of ``.tif`` or ``.jp2`` files of one grid, with a day in each name.
        points: Table of labelled points, whose pixels get their labels; or None.

    Returns:
        The pixels with data on two days or more.

    Raises:
        DataNotFoundError: If there is no raster with a day in its name.
        BadRecordError: If fewer than two can be used, or there are too many pixels.
    """
    layers, told = _layers(root)
    first = layers[0]
    empty = np.stack([layer.empty for layer in layers])  # (T, H, W)
    enough = (~empty).sum(axis=0) >= FEWEST
    rows, columns = np.nonzero(enough)
    if not len(rows):
        raise BadRecordError(f"No pixel of the {len(layers)} rasters in {root} has data twice.")
    values = np.stack([layer.values[:, rows, columns].T for layer in layers], axis=1)  # (N, T, C)
    values[empty[:, rows, columns].T] = 0
    parts = [parts_of_time(_noon(layer.date))[0] for layer in layers]
    days = np.where(empty[:, rows, columns].T, np.nan, np.array(parts, dtype=np.float32))
    told |= {
        "dates": len(layers),
        "days": [layer.date.isoformat() for layer in layers],
        "pixels_without_data_on_two_dates": int((~enough).sum()),
    }
    label, more = _labels(points, first, rows, columns)
    return Stack(
        torch.from_numpy(values)[..., None, None],
        days=torch.from_numpy(days.astype(np.float32)),
        lonlat=_lonlat(first, rows, columns),
        cells=torch.from_numpy(np.stack((rows, columns), axis=1)),
        label=label,
        size=first.empty.shape,
        info={**told, **more},
    )


def _layers(root: Path) -> tuple[list[_Layer], dict[str, object]]:
    """Read the rasters that fit, by day."""
    files = sorted(path for path in root.glob("*") if path.suffix.lower() in ENDINGS)
    dated = [(day, path) for path in files if (day := day_in(path.stem)) is not None]
    if not dated:
        raise DataNotFoundError(
            f"No raster with a day in its name in {root}, such as NDVI_2013-09-14.tif."
        )
    # Sorted by name, they need not be by day.
    ordered = sorted(dated, key=lambda item: item[0])
    refused: list[str] = []
    layers: list[_Layer] = []
    for day, path in ordered:
        try:
            layer = _read(path, day)
            _check(layer, layers)
            layers.append(layer)
        except CspError as error:
            refused.append(str(error))
    if len(layers) < FEWEST:
        raise BadRecordError(
            f"{len(layers)} of {len(files)} rasters in {root} can be used, and a series needs two"
            f" dates{'; the first left out: ' + refused[0] if refused else ''}."
        )
    return layers, {
        "rasters_without_a_day_in_the_name": len(files) - len(dated),
        "rasters_left_out": len(refused),
        "first_rasters_left_out": refused[:FIRST],
        "rasters_sorted_by_day": sum(a is not b for a, b in zip(dated, ordered, strict=True)),
    }


def _read(path: Path, day: datetime.date) -> _Layer:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadRecordError(f"cannot be read ({error.strerror})", file=path.name) from error
    driver = "JP2OpenJPEG" if content.startswith(JPEG_2000) else "GTiff"
    with opened(content, path.name, driver) as file:
        megabytes = file.width * file.height * file.count * 4 / 1e6
        if megabytes > MOST_MEGABYTES:
            raise BadRecordError(f"more than {MOST_MEGABYTES:,} MB of values", file=path.name)
        if file.crs is None or file.transform.is_identity:
            raise BadRecordError("no place on the ground; give its CRS and grid", file=path.name)
        values = file.read()
        empty = holes(values, file.nodata).any(axis=0) | (file.dataset_mask() == 0)
        return _Layer(
            path.name, day, Narrowed(file.nodata).apply(values), empty, file.crs, file.transform
        )


def _check(layer: _Layer, before: Sequence[_Layer]) -> None:
    if not before:
        return
    first, last = before[0], before[-1]
    if layer.values.shape != first.values.shape or layer.values.dtype != first.values.dtype:
        raise BadRecordError(
            f"{' × '.join(map(str, layer.values.shape))} of {layer.values.dtype} (bands, rows,"
            f" columns), but {first.name} has {' × '.join(map(str, first.values.shape))} of"
            f" {first.values.dtype}",
            file=layer.name,
        )
    near = layer.transform.almost_equals(first.transform, precision=CLOSE)
    if layer.crs != first.crs or not near:
        raise BadRecordError(f"its grid is not that of {first.name}", file=layer.name)
    if layer.date == last.date:
        raise BadRecordError(f"of the same day as {last.name}, which counts", file=layer.name)
    megabytes = layer.values.nbytes * (len(before) + 1) / 1e6
    if megabytes > MOST_MEGABYTES:
        raise BadRecordError(
            f"with it the stack has more than {MOST_MEGABYTES:,} MB; give a part of the scene",
            file=layer.name,
        )


def _noon(day: datetime.date) -> datetime.datetime:
    return datetime.datetime(day.year, day.month, day.day, 12)


def _lonlat(layer: _Layer, rows: npt.NDArray[Any], columns: npt.NDArray[Any]) -> Tensor:
    x, y = layer.transform @ (columns + 0.5, rows + 0.5)
    convert = to_wgs84(layer.crs.to_wkt())
    lon, lat = (x, y) if convert is None else convert.transform(x, y)
    return torch.from_numpy(np.stack((lon, lat), axis=1)).to(torch.float32)


def _labels(
    points: Path | None, layer: _Layer, rows: npt.NDArray[Any], columns: npt.NDArray[Any]
) -> tuple[tuple[str, ...], dict[str, object]]:
    """Give each pixel the label of the point in it."""
    label = [""] * len(rows)
    if points is None:
        return tuple(label), {}
    table = read_points(points)
    x, y = (table[name].to_numpy() for name in ("lon", "lat"))
    convert = to_wgs84(layer.crs.to_wkt())
    if convert is not None:
        x, y = convert.transform(x, y, direction="INVERSE")
    column, row = (np.floor(part) for part in ~layer.transform @ (x, y))
    at = {cell: index for index, cell in enumerate(zip(rows.tolist(), columns.tolist(),
                                                       strict=True))}  # fmt: skip
    outside = twice = 0
    for cell, name in zip(zip(row, column, strict=True), table["label"], strict=True):
        index = at.get((int(cell[0]), int(cell[1]))) if np.isfinite(cell).all() else None
        if index is None:
            outside += 1
        elif label[index]:
            twice += 1
        else:
            label[index] = name
    if outside == len(table):
        raise BadRecordError(
            f"none of {len(table)} points lies in the rasters; give longitude and latitude in"
            " degrees",
            file=points.name,
        )
    return tuple(label), {
        "points": len(table),
        "points_outside": outside,
        "points_in_a_pixel_with_a_label": twice,
    }
