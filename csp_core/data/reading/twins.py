"""Columns of one name: what the first leaves empty, the next may hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl

from csp_core.data.reading.columns import plain

MOMENT = pl.Datetime("us")
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
        table: The columns of ``with_twins``.
        columns: Those that are asked for.
        twins: As ``set_apart`` returned.
        counts: Where to count what was filled and what differs.

    Returns:
        The columns that are asked for; of twins of several types the numbers are of one that holds
        all, and the others are text.
    """
    for name in columns:
        if name not in twins:
            continue
        columns_of_name = [table[n] for n in (name, *twins[name])]
        found, moments = _alike(columns_of_name), _moments(columns_of_name)
        value, moment = found[0], moments[0]
        for other, at in zip(found[1:], moments[1:], strict=True):
            counts[FILLED] += int((value.is_null() & other.is_not_null()).sum())
            differ = pl.select(pl.coalesce(moment != at, value != other)).to_series()
            counts[DIFFER] += int(differ.sum())
            value = pl.select(pl.coalesce(value, other)).to_series()
            moment = pl.select(pl.coalesce(moment, at)).to_series()
        table = table.with_columns(value.alias(name))
    return table.select(columns)


def _alike(columns: Sequence[pl.Series]) -> list[pl.Series]:
    """Bring columns to one type; what is blank or not a number holds nothing."""
    kinds = {column.dtype for column in columns}
    if all(kind.is_integer() for kind in kinds) and len(kinds) > 1:
        # Numbers of records are longer than the digits of a float.
        whole = pl.Int128 if pl.UInt64 in kinds else pl.Int64
        return [column.cast(whole) for column in columns]
    if all(kind.is_numeric() for kind in kinds) and len(kinds) > 1:
        columns = [column.cast(pl.Float64) for column in columns]
        kinds = {pl.Float64()}
    if len(kinds) == 1 and not kinds & {pl.String}:
        return [c.fill_nan(None) if c.dtype.is_float() else c for c in columns]
    texts = [column.cast(pl.String).str.strip_chars() for column in columns]
    return [pl.select(pl.when(text != "").then(text)).to_series() for text in texts]


def _moments(columns: Sequence[pl.Series]) -> list[pl.Series]:
    """Read columns as times of UTC where one is of times, as each writes them in its own way."""
    kinds = {column.dtype for column in columns}
    if len(kinds) == 1 or not any(kind.is_temporal() for kind in kinds):
        return [pl.Series([None], dtype=MOMENT).new_from_index(0, len(c)) for c in columns]
    return [_moment(column) for column in columns]


def _moment(column: pl.Series) -> pl.Series:
    kind = column.dtype
    if isinstance(kind, pl.Datetime) and kind.time_zone:
        return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(MOMENT)
    if isinstance(kind, (pl.Datetime, pl.Date)):
        return column.cast(MOMENT)
    text = column.cast(pl.String).str.strip_chars().str.replace("T", " ", literal=True)
    text = text.str.replace("Z$", "").str.replace(r"^(\S+ \d\d:\d\d)($|[+-])", "$1:00$2")
    here = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
    there = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", time_unit="us", strict=False)
    days = text.str.to_date("%Y-%m-%d", strict=False).cast(MOMENT)
    return pl.select(pl.coalesce(here, there.dt.replace_time_zone(None), days)).to_series()
