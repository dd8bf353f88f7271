"""Published lists of BigEarthNet's patches, pickles of pandas, made into Parquet files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from csp_core.data.frames import read_frame
from csp_core.data.inert import FAULTS, said
from csp_core.data.sets.bigearthnet_labels import ORDERS
from csp_core.errors import BadRecordError
from csp_core.files import atomic_path

# Column of the pickle to that of the Parquet file; all but the first may be missing.
TEXTS = {
    "patch": "patch_id",
    "country": "country",
    "date": "date",
    "season": "season",
    "original_split": "original_split",
}
PLACES = {"lng": "lon", "lat": "lat"}
ROWS = 4096  # patches whose labels are looked at together
MOST = 1000  # numbers of a label vector that are looked at


def convert_split(pickle: str | Path, out: str | Path) -> dict[str, object]:
    """Make a Parquet file of a published list of patches; nothing in the pickle is run.

    The columns ``multi_hot_labels43`` and ``multi_hot_labels19`` become lists of class names,
    ``labels_43`` and ``labels_19``.

    Args:
        pickle: A ``DataFrame`` as published, such as ``train_0.01_lb_43.pkl``.
        out: The file to write, ending in ``.parquet``; put it into the folder ``splits`` of the
            data set under the name of the pickle.

    Returns:
        ``rows``; ``columns`` that were written and those ``left_out``.

    Raises:
        DataNotFoundError: If there is no such pickle.
        BadRecordError: If it asks for anything that a table is not made of (what, is said), or is
            no such list.
    """
    source = Path(pickle)
    found = read_frame(source)
    vectors = {f"multi_hot_labels{number}": number for number in ORDERS}
    if "patch" not in found or not vectors.keys() & found.keys():
        raise BadRecordError(
            f"the columns are {', '.join(found)[:200]}; a list of patches has patch and"
            f" {' or '.join(vectors)}",
            file=source.name,
        )
    table: dict[str, pl.Series] = {}
    for name, column in found.items():
        if name in TEXTS:
            table[TEXTS[name]] = _texts(name, column, source.name)
        elif name in PLACES:
            table[PLACES[name]] = pl.Series(_numbers(name, column, source.name))
        elif name in vectors:
            hot = _stacked(column, vectors[name], source.name)
            table[f"labels_{vectors[name]}"] = _named(hot, ORDERS[vectors[name]])
    with atomic_path(out) as temporary:
        pl.DataFrame(table).write_parquet(temporary)
    read = {*TEXTS, *PLACES, *vectors}
    left_out = [name for name in found if name not in read]
    return {"rows": len(found["patch"]), "columns": [*table], "left_out": left_out}


def _texts(name: str, column: npt.NDArray[Any], file: str) -> pl.Series:
    """Give a column of text; numbers that are NaN stand for none, and other kinds are refused."""
    cells: list[Any] = column.tolist()
    odd = [one for one in cells if not (one is None or isinstance(one, str) or _is_nan(one))]
    if odd:
        raise BadRecordError(f"{name} holds a {type(odd[0]).__name__}, not only text", file=file)
    try:
        return pl.Series([one if isinstance(one, str) else None for one in cells], dtype=pl.String)
    except ValueError as error:  # half a character
        raise BadRecordError(f"{name} holds text that is none ({said(error)})", file=file
                             ) from error  # fmt: skip


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _numbers(name: str, column: npt.NDArray[Any], file: str) -> npt.NDArray[np.float64]:
    try:
        cells = column.tolist() if column.dtype.hasobject else []
        if odd := {type(one) for one in cells} - {int, float, bool, type(None)}:
            raise TypeError(f"a {odd.pop().__name__} in it")
        return column.astype(np.float64)
    except FAULTS as error:
        raise BadRecordError(f"{name} is no column of numbers ({said(error)})", file=file
                             ) from error  # fmt: skip


def _stacked(column: npt.NDArray[Any], number: int, file: str) -> npt.NDArray[np.bool_]:
    """Put label vectors one below the other: ``(N, K)``."""
    vectors = [_vector(row, number, file) for row in column]
    shapes = {row.shape for row in vectors}
    if len(shapes) > 1:
        raise BadRecordError(f"label vectors differ in length ({len(shapes)} shapes)", file=file)
    hot = np.zeros((len(column), number), dtype=bool)
    # A few at a time: many rows may be one vector that the file holds once.
    for start in range(0, len(column), ROWS):
        some = np.stack(vectors[start : start + ROWS])
        if some.shape[1:] != (number,) or not np.isin(some, (0, 1)).all():
            raise BadRecordError(
                f"label vectors are of shape {(len(column), *some.shape[1:])}; give {number}"
                " numbers 0 or 1 a patch",
                file=file,
            )
        hot[start : start + ROWS] = some
    return hot


def _vector(row: Any, number: int, file: str) -> npt.NDArray[Any]:
    """Give a label vector of an array or a list of numbers; nothing else is looked into."""
    if isinstance(row, list) and len(row) == number:
        numbers = all(isinstance(one, (int, float)) for one in row)
        row = np.array([one if one in (0, 1) else 2 for one in row]) if numbers else row
    # Vectors that are much too long are not put together at all.
    if not isinstance(row, np.ndarray) or row.dtype.kind not in "biuf" or row.size > MOST:
        raise BadRecordError(
            f"a {type(row).__name__} stands where a vector of {number} numbers 0 or 1 does",
            file=file,
        )
    return row


def _named(hot: npt.NDArray[np.bool_], names: tuple[str, ...]) -> pl.Series:
    """Turn label vectors into lists of names."""
    row, column = hot.nonzero()
    each = pl.DataFrame({"row": row, "name": np.array(names, dtype=object)[column].tolist()},
                        schema={"row": pl.Int64, "name": pl.String})  # fmt: skip
    lists = each.group_by("row", maintain_order=True).agg("name")
    rows = pl.DataFrame({"row": np.arange(len(hot), dtype=np.int64)})
    joined = rows.join(lists, on="row", how="left", maintain_order="left")["name"]
    return joined.fill_null(pl.Series([[]], dtype=pl.List(pl.String)))
