"""Judging records: which are kept, which are dropped, what is changed."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from csp_core.data.columns import CANONICAL
from csp_core.data.readers import RAGGED, RawTable
from csp_core.errors import BadRecordError

SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(CANONICAL, pl.String),
    "lon": pl.Float64,
    "lat": pl.Float64,
    "date": pl.Date,
    "uncertainty_m": pl.Float64,
}
EXAMPLES = 100
EMPTY = ("", "na", "n/a", "nan", "null", "none", "\\n", "#n/a")
# Longer than this, the first day of an interval says too little about the season.
LONGEST_INTERVAL = datetime.timedelta(days=31)
EARLIEST_YEAR = 1500

YEAR_FIRST = r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T /].*)?$"
COMPACT = r"^(\d{4})(\d{2})(\d{2})$"
DAY_FIRST = r"^(\d{1,2})\.(\d{1,2})\.(\d{4})$"
INTERVAL_END = r"^[^/]*/(\d{4}-\d{2}-\d{2})"

Examples = tuple[tuple[int, str], ...]


@dataclass(frozen=True, eq=False)
class Judged:
    """Records after judgement.

    Args:
        table: The kept records in the columns of ``SCHEMA``.
        dropped: Reason to number of records left out.
        changed: Reason to number of values set to empty or read another way.
        examples: Reason to the first (line, message) pairs, of both.
    """

    table: pl.DataFrame
    dropped: dict[str, int]
    changed: dict[str, int]
    examples: dict[str, Examples]


def judge(raw: RawTable, columns: Mapping[str, str], *, today: datetime.date) -> Judged:
    """Decide about every record of a table.

    Args:
        raw: What a reader returned.
        columns: Canonical name to column of ``raw.table``.
        today: No record can be younger.

    Returns:
        The kept records, and why the others are not among them.

    Raises:
        BadRecordError: If a needed column holds lists or structures instead of values.
    """
    rows = raw.table.select(_value(raw.table, key, column) for key, column in columns.items())
    rows = _with_numbers(_with_names(rows).with_columns(raw.lines.alias("line")))
    rows = _with_dates(rows, today)
    rows = rows.with_columns(drop=_first_reason(DROPS))
    kept = rows.filter(pl.col("drop").is_null())
    dropped, examples = _tally(rows, "drop", "what")
    changed: dict[str, int] = {}
    for key in ("date", "uncertainty_m", "point"):
        counts, some = _tally(kept, f"{key}_change", f"{key}_text")
        changed |= counts
        examples |= some
    if raw.rejected:
        dropped[RAGGED] = len(raw.rejected)
        examples[RAGGED] = raw.rejected[:EXAMPLES]
    return Judged(kept.select(*SCHEMA), dropped, changed, examples)


def _value(table: pl.DataFrame, key: str, column: str) -> pl.Expr:
    """Bring a column to trimmed text, or to a date where it is one already."""
    kind = table.schema[column]
    if kind.is_nested() or kind == pl.Binary:
        raise BadRecordError(f"The column holds {kind}; give one plain value.", column=column)
    if key == "date" and kind.is_temporal():
        return pl.col(column).cast(pl.Date).alias("date")
    text = pl.col(column).cast(pl.String).str.strip_chars()
    empty = text.str.to_lowercase().is_in(EMPTY)
    return pl.when(~empty).then(text).alias(key)


def _with_names(rows: pl.DataFrame) -> pl.DataFrame:
    """Fill absent columns, and join genus and epithet where the name is in two columns."""
    if "epithet" in rows.columns:
        rows = rows.with_columns(scientific_name=pl.concat_str("genus", "epithet", separator=" "))
    elif "genus" in rows.columns:
        name, genus = pl.col("scientific_name"), pl.col("genus")
        alone = genus.is_not_null() & ~name.str.contains(" ", literal=True) & (name != genus)
        joined = pl.when(alone).then(pl.concat_str(genus, name, separator=" ")).otherwise(name)
        rows = rows.with_columns(scientific_name=joined)
    absent = [pl.lit(None, pl.String).alias(key) for key in SCHEMA if key not in rows.columns]
    return rows.with_columns(absent)


def _with_numbers(rows: pl.DataFrame) -> pl.DataFrame:
    """Turn text into numbers; a lone comma between digits is a decimal comma."""
    comma = r"^([+-]?\d+),(\d+)$"
    places = pl.concat_str("lon", "lat", separator=" / ")
    with_comma = pl.col("lon").str.contains(comma) | pl.col("lat").str.contains(comma)
    number = {
        key: pl.col(key).str.replace(comma, "$1.$2").cast(pl.Float64, strict=False)
        for key in ("lon", "lat", "uncertainty_m")
    }
    metres = number["uncertainty_m"]
    good = metres.is_finite() & (metres >= 0)
    bad = pl.col("uncertainty_m").is_not_null() & ~good.fill_null(False)
    return rows.with_columns(
        what=pl.format(
            "longitude {}, latitude {}", *(pl.col(c).fill_null("(none)") for c in PLACE)
        ),
        point_text=places,
        point_change=pl.when(with_comma).then(pl.lit("decimal comma read as a point")),
        uncertainty_m_text=pl.col("uncertainty_m"),
        uncertainty_m_change=pl.when(bad).then(
            pl.lit("uncertainty is not a distance, set to empty")
        ),
        given=pl.col("lon").is_not_null() & pl.col("lat").is_not_null(),
        lon=number["lon"],
        lat=number["lat"],
        uncertainty_m=pl.when(good).then(metres),
    )


def _with_dates(rows: pl.DataFrame, today: datetime.date) -> pl.DataFrame:
    """Read dates; those that are impossible or too vague become empty and are counted."""
    text = pl.col("date_text")
    rows = rows.with_columns(date_text=pl.col("date").cast(pl.String))
    if rows.schema["date"] != pl.Date:
        iso = (
            text.str.replace(YEAR_FIRST, "$1-$2-$3")
            .str.replace(COMPACT, "$1-$2-$3")
            .str.replace(DAY_FIRST, "$3-$2-$1")
        )
        rows = rows.with_columns(date=iso.str.to_date("%Y-%m-%d", strict=False))
    shape = pl.any_horizontal(text.str.contains(p) for p in (YEAR_FIRST, COMPACT, DAY_FIRST))
    end = text.str.extract(INTERVAL_END).str.to_date("%Y-%m-%d", strict=False)
    date = pl.col("date")
    outside = (date.dt.year() < EARLIEST_YEAR) | (date > today)
    change = (
        pl.when(text.is_null())
        .then(None)
        .when(text.str.contains(r"^\d{4}([-/]\d{1,2})?$"))
        .then(pl.lit("date without a day, set to empty"))
        .when((shape & date.is_null()) | outside)
        .then(pl.lit("date is impossible, set to empty"))
        .when(date.is_null())
        .then(pl.lit("date is not of the form 2024-05-31, set to empty"))
        .when(end - date > LONGEST_INTERVAL)
        .then(pl.lit("date spans more than a month, set to empty"))
    )
    rows = rows.with_columns(date_change=change)
    return rows.with_columns(date=pl.when(pl.col("date_change").is_null()).then(date))


PLACE = ("lon", "lat")
_lon, _lat = pl.col("lon"), pl.col("lat")
_swapped = (_lat.abs() > 90) & (_lat.abs() <= 180) & (_lon.abs() <= 90)

# The first that applies is the reason; the order is the one a reader would look in.
DROPS: tuple[tuple[str, pl.Expr], ...] = (
    ("coordinates are missing", ~pl.col("given")),
    ("coordinates are not numbers", ~(_lon.is_finite() & _lat.is_finite()).fill_null(False)),
    ("longitude and latitude look swapped (latitude out of range)", _swapped),
    ("latitude is out of range (-90 to 90)", _lat.abs() > 90),
    ("longitude is out of range (-180 to 180)", _lon.abs() > 180),
    ("coordinates are exactly 0, 0", (_lon == 0) & (_lat == 0)),
    ("scientific name is missing", pl.col("scientific_name").is_null()),
)


def _first_reason(reasons: tuple[tuple[str, pl.Expr], ...]) -> pl.Expr:
    return pl.coalesce(pl.when(condition).then(pl.lit(reason)) for reason, condition in reasons)


def _tally(
    rows: pl.DataFrame, reason: str, what: str
) -> tuple[dict[str, int], dict[str, Examples]]:
    """Count the reasons in a column, most frequent first, and keep the first examples of each."""
    hit = rows.filter(pl.col(reason).is_not_null())
    counts = hit.group_by(reason).len().sort(["len", reason], descending=[True, False])
    some = {
        key: tuple(hit.filter(pl.col(reason) == key).select("line", what).head(EXAMPLES).rows())
        for key in counts[reason]
    }
    return dict(counts.rows()), some
