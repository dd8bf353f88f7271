"""Published lists of BigEarthNet's patches, pickles of pandas, made into Parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from csp_core.data.frames import read_frame
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
            table[TEXTS[name]] = _texts(column)
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


def _texts(column: npt.NDArray[Any]) -> pl.Series:
    there = [None if one is None or one != one else str(one) for one in column.tolist()]
    return pl.Series(there, dtype=pl.String)


def _numbers(name: str, column: npt.NDArray[Any], file: str) -> npt.NDArray[np.float64]:
    try:
        return column.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise BadRecordError(f"{name} is no column of numbers ({error})", file=file) from error


def _stacked(column: npt.NDArray[Any], number: int, file: str) -> npt.NDArray[np.bool_]:
    """Put label vectors one below the other: ``(N, K)``."""
    try:
        hot = np.stack([np.asarray(row, dtype=np.float64) for row in column])
    except (TypeError, ValueError) as error:
        raise BadRecordError(f"label vectors differ in length ({error})", file=file) from error
    if hot.shape != (len(column), number) or not np.isin(hot, (0, 1)).all():
        raise BadRecordError(
            f"label vectors are of shape {hot.shape}; give {number} numbers 0 or 1 a patch",
            file=file,
        )
    return hot.astype(bool)


def _named(hot: npt.NDArray[np.bool_], names: tuple[str, ...]) -> pl.Series:
    """Turn label vectors into lists of names."""
    row, column = hot.nonzero()
    each = pl.DataFrame({"row": row, "name": np.array(names, dtype=object)[column].tolist()},
                        schema={"row": pl.Int64, "name": pl.String})  # fmt: skip
    lists = each.group_by("row", maintain_order=True).agg("name")
    rows = pl.DataFrame({"row": np.arange(len(hot), dtype=np.int64)})
    joined = rows.join(lists, on="row", how="left", maintain_order="left")["name"]
    return joined.fill_null(pl.Series([[]], dtype=pl.List(pl.String)))
