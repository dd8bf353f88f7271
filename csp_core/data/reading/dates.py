"""Reading dates as records have them."""

from __future__ import annotations

import datetime

import polars as pl

# Longer than this, the first day of an interval says too little about the season.
LONGEST_INTERVAL = datetime.timedelta(days=31)
EARLIEST_YEAR = 1500

PLAIN = r"^\d{4}-\d{2}-\d{2}(?:T[^/]*)?$"
YEAR_FIRST = r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T /].*)?$"
COMPACT = r"^(\d{4})(\d{2})(\d{2})$"
DAY_FIRST = r"^(\d{1,2})\.(\d{1,2})\.(\d{4})$"
INTERVAL_END = r"^[^/]*/(\d{4}-\d{2}-\d{2})"
SHORT_YEAR = r"^\d{1,2}[-/.]\d{1,2}[-/.]\d{2}$"


def with_dates(rows: pl.DataFrame, today: datetime.date) -> pl.DataFrame:
    """Read dates; those that are impossible or too vague become empty and are counted.

    Args:
        rows: Records with the columns ``date``, as text or dates, and ``line``.
        today: No record can be younger.

    Returns:
        The records with ``date`` as dates, ``date_text`` as it stood and ``date_change``, the
        reason why a date became empty.
    """
    text, date = pl.col("date_text"), pl.col("date")
    rows = rows.with_columns(date_text=date.cast(pl.String))
    typed = rows.schema["date"] == pl.Date
    if not typed:
        plain = pl.when(text.str.contains(PLAIN)).then(text.str.head(10))
        rows = rows.with_columns(date=plain.str.to_date("%Y-%m-%d", strict=False))
    outside = (date.dt.year() < EARLIEST_YEAR) | (date > today)
    # Most dates are plain; only the others go the long way.
    odd = rows.lazy().filter(text.is_not_null() & (date.is_null() | outside))
    others = odd.select("line", "date", "date_text").collect()
    if not len(others):
        return rows.with_columns(date_change=pl.lit(None, pl.String))
    if not typed:
        iso = (
            text.str.replace(YEAR_FIRST, "$1-$2-$3")
            .str.replace(COMPACT, "$1-$2-$3")
            .str.replace(DAY_FIRST, "$3-$2-$1")
        )
        others = others.with_columns(date=iso.str.to_date("%Y-%m-%d", strict=False))
    others = others.with_columns(date_change=_change(outside)).select(
        "line", "date_change", pl.when(pl.col("date_change").is_null()).then(date).alias("odd")
    )
    rows = rows.join(others, on="line", how="left", maintain_order="left")
    change = pl.col("date_change").is_not_null()
    return rows.with_columns(date=pl.when(~change).then(pl.coalesce("odd", "date"))).drop("odd")


def _change(outside: pl.Expr) -> pl.Expr:
    """Say why a date becomes empty, null where it stays."""
    text, date = pl.col("date_text"), pl.col("date")
    shape = pl.any_horizontal(text.str.contains(p) for p in (YEAR_FIRST, COMPACT, DAY_FIRST))
    end = text.str.extract(INTERVAL_END).str.to_date("%Y-%m-%d", strict=False)
    return (
        pl.when(text.str.contains(r"^\d{4}([-/]\d{1,2})?$"))
        .then(pl.lit("date without a day, set to empty"))
        .when((shape & date.is_null()) | outside)
        .then(pl.lit("date is impossible, set to empty"))
        .when(text.str.contains(SHORT_YEAR))
        .then(pl.lit("date has a year of two digits, set to empty"))
        .when(date.is_null())
        .then(pl.lit("date is not of the form 2024-05-31, set to empty"))
        .when(end - date > LONGEST_INTERVAL)
        .then(pl.lit("date spans more than a month, set to empty"))
    )
