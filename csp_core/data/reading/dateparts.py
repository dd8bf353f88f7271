"""Dates that stand in columns of their own: year, month and day, or the day of the year."""

from __future__ import annotations

import datetime

import polars as pl

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            *("jan january januar janvier enero janeiro gennaio i", "feb february februar ii"),
            *("mar march märz maerz mrz mars marzo março iii", "apr april avril abril aprile iv"),
            *("may mai mayo maio maggio mei v", "jun june juni juin junio junho giugno vi"),
            *("jul july juli juillet julio julho luglio vii",),
            *("aug august août aout agosto augustus viii",),
            *("sep sept september septembre septiembre setembro settembre ix",),
            *("oct october okt oktober octobre octubre outubro ottobre x",),
            *("nov november novembre noviembre novembro xi",),
            *("dec december dez dezember décembre diciembre dezembro dicembre xii",),
        ),
        start=1,
    )
    for name in names.split()
}
EARLIEST = 1500
FROM_PARTS = "date put together from year, month and day"
FROM_DAY = "date put together from year and day of the year"
APART = "date differs from year, month and day in columns of their own"
NO_SINGLE_DAY = "year and days of the year name no single day, left empty"
IMPOSSIBLE = "year, month and day are no date, left empty"
NO_DAY = "year and month without a day, date left empty"
NO_MONTH = "year without a month and a day, date left empty"
# A year or a month alone in lower case, perhaps with zeros for the day.
_WORD = rf"(?:{'|'.join(sorted(MONTHS, key=len, reverse=True))})\.?"
PART = (
    rf"(?:\d{{4}}(?:[-/.](?:\d{{1,2}}|{_WORD}))?(?:[-/.]00?)?|(?:\d{{1,2}}|{_WORD})[-/. ]+\d{{4}}"
)
PART += rf"|\d{{4}}\s+{_WORD}|(?:00[-/.])+\d{{4}}|00?[-/.]\d{{1,2}}[-/.]\d{{4}})"


def with_parts(rows: pl.DataFrame, today: datetime.date) -> pl.DataFrame:
    """Fill empty dates from columns of their parts.

    Only a date that is empty, or that names a year or month alone, is filled; a date that was found
    impossible or spans too long stays empty.

    Args:
        rows: Records with ``date``, ``date_text`` and ``date_change``; perhaps ``year``,
            ``month``, ``day``, ``year_day``, ``year_day_end`` as text.
        today: No record can be younger.

    Returns:
        The records with more dates, ``date_change`` saying so, and ``date_flag`` where the two
        differ.
    """
    held = {key for key in ("month", "day", "year_day") if _any(rows, key)}
    if not _any(rows, "year"):
        return rows.with_columns(date_flag=pl.lit(None, pl.String))
    absent = [k for k in ("month", "day") if k not in rows.columns]
    rows = rows.with_columns(pl.lit(None, pl.String).alias(key) for key in absent)
    text = pl.col("date_text")
    # Most records have a date, whose text tells nothing more.
    said = pl.when(pl.col("date").is_null()).then(text.str.to_lowercase())
    vague = said.str.contains(f"^{PART}$").fill_null(False)
    # Only what has to be filled is put together, and of the rest what may differ is compared.
    rows = rows.with_columns(_number("year"), _month(), _number("day"))
    year, month, day = (pl.col(f"{key}_part") for key in ("year", "month", "day"))
    agrees = ~vague | _agrees(said, year, month)
    real = month.is_between(1, 12) & day.is_between(1, 31) & year.is_between(EARLIEST, 9999)
    iso = pl.format("{}-{}-{}", year, month, day).str.to_date("%Y-%m-%d", strict=False)
    empty = (text.is_null() | vague) & pl.col("date").is_null()
    made = pl.when(empty & agrees & real).then(iso)
    if "year_day" in held:
        rows, by_day = _with_year_day(rows, empty & agrees & text.is_null())
        numbered = year.is_not_null() & pl.col("year_day").is_not_null()
    else:
        by_day, numbered = pl.lit(None, pl.Date), pl.lit(False)
    possible = (pl.coalesce(made, by_day) <= today).fill_null(False)
    filled = pl.when(possible).then(pl.coalesce(made, by_day))
    how = pl.when(made.is_not_null()).then(pl.lit(FROM_PARTS)).otherwise(pl.lit(FROM_DAY))
    given = year.is_not_null() & month.is_not_null() & day.is_not_null()
    date = pl.col("date")
    differs = (date.dt.year() != year) | (date.dt.month() != month) | (date.dt.day() != day)
    rows = rows.with_columns(
        date=pl.coalesce("date", filled),
        date_change=pl.when(filled.is_not_null())
        .then(how)
        .when(empty & given & text.is_null())
        .then(pl.lit(IMPOSSIBLE))
        .when(empty & numbered & text.is_null() & day.is_null())
        .then(pl.lit(NO_SINGLE_DAY))
        .when(empty & text.is_null() & pl.col("year").is_not_null())
        .then(_lacking())
        .otherwise("date_change"),
        date_flag=pl.when(given & differs).then(pl.lit(APART)),
        date_text=pl.coalesce(
            "date_text", pl.concat_str(*_parts(rows), separator=" ", ignore_nulls=True)
        ),
    )
    return rows.drop("year_part", "month_part", "day_part", "year_day_part", strict=False)


def _agrees(text: pl.Expr, year: pl.Expr, month: pl.Expr) -> pl.Expr:
    """Tell whether a year or month that stands alone is that of the parts; zeros name none."""
    rest = text.str.replace(r"\d{4}", "")
    word = rest.str.extract(r"([^\W\d_]+)", 1)
    named = word.replace_strict(MONTHS, default=None, return_dtype=pl.Int32)
    number = rest.str.extract(r"0?([1-9]\d?)", 1).cast(pl.Int32, strict=False)
    own = pl.coalesce(named, number)
    same = text.str.extract(r"(\d{4})", 1).cast(pl.Int32, strict=False) == year
    return same & (own.is_null() | (own == month))


def _lacking() -> pl.Expr:
    """Say why year, month and day make no date: what is absent, or cannot be read."""
    return (
        pl.when(pl.col("day").is_not_null())
        .then(pl.lit(IMPOSSIBLE))
        .when(pl.col("month").is_not_null())
        .then(pl.lit(NO_DAY))
        .otherwise(pl.lit(NO_MONTH))
    )


def _with_year_day(rows: pl.DataFrame, empty: pl.Expr) -> tuple[pl.DataFrame, pl.Expr]:
    """Give the date of a day of the year, where it does not begin a longer span."""
    rows = rows.with_columns(_number("year_day"))
    number, year = pl.col("year_day_part"), pl.col("year_part")
    alone = pl.lit(True)
    if _any(rows, "year_day_end"):
        end = pl.col("year_day_end").cast(pl.Float64, strict=False).cast(pl.Int32, strict=False)
        alone = end.is_null() | (end == number)
    first = pl.date(pl.when(year.is_between(EARLIEST, 9999)).then(year), 1, 1)
    date = first + pl.duration(days=number - 1)
    fits = number.is_between(1, 366) & (date.dt.year() == year) & alone
    # With a month and a day these are the date; the day of the year is only their echo.
    absent = pl.col("day_part").is_null()
    return rows, pl.when(empty & absent & fits).then(date)


def _parts(rows: pl.DataFrame) -> list[str]:
    return [key for key in ("year", "month", "day", "year_day") if _any(rows, key)]


def _any(rows: pl.DataFrame, key: str) -> bool:
    return key in rows.columns and rows[key].null_count() < len(rows)


def _number(key: str) -> pl.Expr:
    # Spreadsheets write whole numbers as 5.0.
    value = pl.col(key).cast(pl.Float64, strict=False)
    return (
        pl.when(value == value.floor())
        .then(value.cast(pl.Int32, strict=False))
        .alias(f"{key}_part")
    )


def _month() -> pl.Expr:
    value = pl.col("month").cast(pl.Float64, strict=False)
    word = pl.col("month").str.to_lowercase().str.strip_chars(". ")
    named = word.replace_strict(MONTHS, default=None, return_dtype=pl.Int32)
    whole = pl.when(value == value.floor()).then(value.cast(pl.Int32, strict=False))
    return pl.coalesce(whole, named).alias("month_part")
