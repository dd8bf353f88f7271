"""Columns of lists: what a portal holds against a record, or its recorders, several in one cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from numpy.typing import NDArray

from csp_core.data.reading.columns import ALIASES, EXTRAS, plain

# A list of names or of dates has no single value; these are read as one text.
SEVERAL = frozenset((*EXTRAS["issue"], *EXTRAS["flags"], *ALIASES["recorder"]))
BETWEEN = "; "
# Values of a list to a record, on the average of a part of a file.
MOST = 100


def text_kind(kind: pa.DataType) -> bool:
    """Tell whether a type is that of text, stored plainly or as a dictionary.

    Args:
        kind: The type.

    Returns:
        Whether it is.
    """
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary,
             pa.types.is_large_binary, pa.types.is_string_view,
             pa.types.is_binary_view)  # fmt: skip
    return any(test(kind) for test in tests)


def is_several(name: str, kind: pa.DataType) -> bool:
    """Tell whether a column of lists is read as one text.

    Args:
        name: Of the column.
        kind: Its type.

    Returns:
        True for flags and recorders as lists of text, or of structures whose first text counts.
    """
    if plain(name) not in SEVERAL or not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return False
    return text_kind(kind.value_type) or _field(kind.value_type) is not None


def _field(kind: pa.DataType) -> str | None:
    """Name the first text of a structure."""
    if not pa.types.is_struct(kind):
        return None
    return next((each.name for each in kind if text_kind(each.type)), None)


def dictionary_lengths(column: Any) -> NDArray[np.int64]:
    """Measure texts that are stored as a dictionary before they are written out.

    Args:
        column: ``(N,)``, with a dictionary.

    Returns:
        ``(N,)`` bytes; where there is no text, 0 or those of the first one.
    """
    if not len(column.dictionary):
        return np.zeros(len(column), dtype=np.int64)
    known = pc.fill_null(pc.binary_length(column.dictionary.cast(pa.large_binary())), 0)
    index = pc.fill_null(column.indices, 0).to_numpy(zero_copy_only=False)
    lengths: NDArray[np.int64] = known.to_numpy(zero_copy_only=False)[index].astype(np.int64)
    return lengths


def text_lengths(column: Any) -> NDArray[np.int64]:
    """Measure the texts of each list before they are written out.

    Args:
        column: ``(N,)`` lists of dictionaries, or of structures of them.

    Returns:
        ``(N,)`` bytes.
    """
    values = column.values
    if (field := _field(values.type)) is not None:
        values = values.field(field)
    ends = np.concatenate([[0], np.cumsum(dictionary_lengths(values) + len(BETWEEN))])
    each: NDArray[np.int64] = np.diff(ends[column.offsets.to_numpy(zero_copy_only=False)])
    return each


def joined(column: Any) -> Any:
    """Write each list as one text.

    Args:
        column: ``(N,)`` lists of text, or of structures with one.

    Returns:
        ``(N,)`` texts, null where there is no list.
    """
    field = _field(column.type.value_type)
    lists = pl.Series(pl.from_arrow(column))
    item = pl.element() if field is None else pl.element().struct.field(field)
    texts = lists.to_frame("all").select(
        pl.col("all").list.eval(item.cast(pl.String)).list.join(BETWEEN, ignore_nulls=True)
    )
    return texts.to_series().to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
