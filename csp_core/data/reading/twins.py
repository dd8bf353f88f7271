"""Columns of one name: what the first leaves empty, the next may hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl

from csp_core.data.reading.columns import plain

FILLED = "values taken from another column of one name, where the first is empty: {}"
DIFFER = "values that differ between columns of one name, of which the first counts: {}"


def set_apart(names: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Give each column a name of its own.

    Args:
        names: As they stand in the header.

    Returns:
        The names, repetitions with a hidden mark; and name to the other columns that bear it, in
        the same spelling or in another.

    Example:
        >>> set_apart(["lat", "lon", "Lat"])
        (['lat', 'lon', 'Lat'], {'lat': ['Lat']})
    """
    seen: Counter[str] = Counter()
    own: list[str] = []
    for name in names:
        seen[name] += 1
        own.append(name if seen[name] == 1 else f"{name}\0{seen[name]}")
    first: dict[str, str] = {}
    twins: dict[str, list[str]] = {}
    for name, unique in zip(names, own, strict=True):
        if (key := plain(name)) and first.setdefault(key, unique) != unique:
            twins.setdefault(first[key], []).append(unique)
    return own, twins


def twins_of(names: Sequence[str]) -> dict[str, list[str]]:
    """List the columns of one name among names that ``set_apart`` gave.

    Args:
        names: As they are told apart.

    Returns:
        Name to the other columns that bear it.

    Example:
        >>> twins_of(["lat", "Lat", "lon"])
        {'lat': ['Lat']}
    """
    return set_apart([name.split("\0")[0] for name in names])[1]


def shown(names: Sequence[str]) -> list[str]:
    """Leave out the hidden names."""
    return [name for name in names if "\0" not in name]


def with_twins(columns: Sequence[str], twins: Mapping[str, Sequence[str]]) -> list[str]:
    """List the columns to read for those that are asked for.

    Args:
        columns: Those that are asked for.
        twins: As ``set_apart`` returned.

    Returns:
        These, and the others of their names.
    """
    return list(dict.fromkeys([*columns, *(twin for c in columns for twin in twins.get(c, ()))]))


def put_together(
    table: pl.DataFrame,
    columns: Sequence[str],
    twins: Mapping[str, Sequence[str]],
    counts: Counter[str],
) -> pl.DataFrame:
    """Fill what the first column of a name leaves empty.

    Args:
        table: The columns of ``with_twins``, as text.
        columns: Those that are asked for.
        twins: As ``set_apart`` returned.
        counts: Where to count what was filled and what differs.

    Returns:
        The columns that are asked for.
    """
    for name in columns:
        if name not in twins:
            continue
        found = _alike([table[n] for n in (name, *twins[name])])
        value = found[0]
        for other in found[1:]:
            counts[FILLED] += int((value.is_null() & other.is_not_null()).sum())
            counts[DIFFER] += int((value != other).sum())
            value = pl.select(pl.coalesce(value, other)).to_series()
        table = table.with_columns(value.alias(name))
    return table.select(columns)


def _alike(columns: Sequence[pl.Series]) -> list[pl.Series]:
    """Bring columns to one type; what is blank or not a number holds nothing."""
    kinds = {column.dtype for column in columns}
    if all(kind.is_numeric() for kind in kinds):
        return [column.cast(pl.Float64).fill_nan(None) for column in columns]
    if len(kinds) == 1 and not kinds & {pl.String}:
        return list(columns)
    texts = [column.cast(pl.String).str.strip_chars() for column in columns]
    return [pl.select(pl.when(text != "").then(text)).to_series() for text in texts]
