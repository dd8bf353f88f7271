"""Reading dates as records have them."""

from __future__ import annotations

import datetime

import polars as pl

from csp_core.data.origins import COUNTED_FROM
from csp_core.data.reading.dateparts import EARLIEST, PART, with_parts
from csp_core.data.reading.dayorder import DayOrder

# Longer than this, the first day of an interval says too little about the season.
LONGEST_INTERVAL = datetime.timedelta(days=31)

_CLOCK = r"\d{1,2}(?::?\d{2}){0,2}(?:[.,]\d+)?"
_ZONE = r"(?:\s?(?:[Zz]|[A-Z]{2,5}|[+-]\d{2}(?::?\d{2})?))?(?:\[[\w/+-]+\])?"
# What may follow a day without making it another: the time, with seconds and zone.
_TIME = rf"(?:[Tt ]\s*{_CLOCK}(?:\s?[AaPp]\.?[Mm]\.?)?{_ZONE}|T)?"
_DAY = r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{8}|\d{1,2}\.\d{1,2}\.\d{4}"
PLAIN = rf"^\d{{4}}-\d{{2}}-\d{{2}}{_TIME}$"
YEAR_FIRST = r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})$"
COMPACT = r"^(\d{4})(\d{2})(\d{2})$"
DAY_FIRST = r"^(\d{1,2})\.(\d{1,2})\.(\d{4})$"
SHORT_YEAR = r"^\d{1,2}[-/.]\d{1,2}[-/.]\d{2}$"
# A day with its time, then what may part it from the end of an interval, then that end.
_APART = (
    r"\s*(?:/|--+|\.\.+|…|–|—|~|;|,|\||\s-\s*|-\s"
    r"|\b(?:to|till|until|through|thru|and|bis|a|à|au|al|hasta|tot|do|t/m)\b)\s*"
)
ONE_DAY = rf"^({_DAY}){_TIME}$"
INTERVAL = rf"^({_DAY}){_TIME}{_APART}(.*)$"
END_TIME = rf"^T?{_CLOCK.replace('{0,2}', '{1,2}')}{_ZONE}$"
# A month or a year, or a span of them.
NO_DAY = rf"^{PART}(?:{_APART}{PART})?$"
FIRST_DAY = "first day of an interval of up to a month taken as the date"
REVERSED = "date is an interval that ends before it begins, set to empty"
TOO_LONG = "date spans more than a month, set to empty"
OPEN_END = "date is an interval without a readable end, set to empty"


def with_dates(rows: pl.DataFrame, today: datetime.date, order: DayOrder) -> pl.DataFrame:
    """Read dates; those that are impossible or too vague become empty and are counted.

    An interval of one day or a month at most gives its first day. Year, month and day in columns
    of their own fill what is empty or names no day.

    Args:
        rows: Records with the columns ``date``, as text or dates, and ``line``; perhaps ``year``,
            ``month``, ``day``, ``year_day`` as text.
        today: No record can be younger.
        order: Finds which of day and month comes first.

    Returns:
        The records with ``date`` as dates, ``date_text`` as it stood, ``date_change``, the
        reason why a date became empty or what was made of it, and ``date_flag``, why to look at
        one.
    """
    text, date = pl.col("date_text"), pl.col("date")
    rows = rows.with_columns(date_text=date.cast(pl.String))
    if rows.schema["date"] != pl.Date:
        plain = pl.when(text.str.contains(PLAIN)).then(text.str.head(10))
        rows = rows.with_columns(date=plain.str.to_date("%Y-%m-%d", strict=False))
    outside = (date.dt.year() < EARLIEST) | (date > today)
    # Most dates are plain; only the others go the long way.
    odd = rows.lazy().filter(text.is_not_null() & (date.is_null() | outside))
    others = odd.select("line", "date", "date_text").collect()
    if not len(others):
        rows = rows.with_columns(date_change=pl.lit(None, pl.String))
        return with_parts(_with_ends(rows, order), today)
    if rows.schema["date_text"] == pl.String:
        iso = order.to_iso(others["date_text"]).alias("_text")
        others = _long_way(others.with_columns(iso))
    others = others.with_columns(date_change=_change(outside))
    kept = pl.col("date_change").is_null() | (pl.col("date_change") == FIRST_DAY)
    others = others.select("line", "date_change", odd=pl.when(kept).then(date))
    rows = rows.join(others, on="line", how="left", maintain_order="left")
    change = pl.col("date_change").is_not_null() & (pl.col("date_change") != FIRST_DAY)
    rows = rows.with_columns(
        date=pl.when(~change.fill_null(False)).then(pl.coalesce("odd", "date"))
    )
    return with_parts(_with_ends(rows.drop("odd"), order), today)


def first_of_calendar() -> pl.Expr:
    """Say why a date may stand for none; null where it does not.

    Returns:
        The reason, of the column ``date``.
    """
    said = pl.format("date is {}, from which programs count and which may stand for none", "date")
    return pl.when(pl.col("date").is_in(COUNTED_FROM)).then(said)


def _with_ends(rows: pl.DataFrame, order: DayOrder) -> pl.DataFrame:
    """Leave out days that begin a longer span, whose end stands in a column of its own."""
    if "date_end" not in rows.columns or rows["date_end"].null_count() == len(rows):
        return rows
    # The end is written as the start is, and read as it.
    rows = rows.with_columns(order.to_iso(rows["date_end"]).alias("_end"))
    text, date = pl.col("_end"), pl.col("date")
    end = _to_date(text.str.extract(ONE_DAY, 1))
    clock = text.str.contains(END_TIME) & text.str.contains(":", literal=True)
    change = (
        pl.when(date.is_null() | clock)
        .then(pl.lit(None, pl.String))
        .when(text.is_not_null() & end.is_null())
        .then(pl.lit(OPEN_END))
        .otherwise(_span(date, end))
    )
    # An interval of up to a month may still end later by the other column.
    said = pl.when(pl.col("date_change") != FIRST_DAY).then("date_change")
    rows = rows.with_columns(date_change=pl.coalesce(said, change, "date_change"))
    ended = pl.col("date_change").is_in([REVERSED, TOO_LONG, OPEN_END])
    span = pl.concat_str("date_text", "date_end", separator=" / ")
    rows = rows.with_columns(
        date_text=pl.when(change.is_not_null()).then(span).otherwise("date_text")
    )
    return rows.with_columns(date=pl.when(~ended.fill_null(False)).then(date)).drop("_end")


def _to_date(text: pl.Expr) -> pl.Expr:
    iso = (
        text.str.replace(YEAR_FIRST, "$1-$2-$3")
        .str.replace(COMPACT, "$1-$2-$3")
        .str.replace(DAY_FIRST, "$3-$2-$1")
    )
    return iso.str.to_date("%Y-%m-%d", strict=False)


def _long_way(others: pl.DataFrame) -> pl.DataFrame:
    """Read days that are written in other ways, and both ends of intervals."""
    text = pl.col("_text")
    single, first = text.str.extract(ONE_DAY, 1), text.str.extract(INTERVAL, 1)
    rest = text.str.extract(INTERVAL, 2).str.strip_chars()
    start = pl.coalesce("date", _to_date(pl.coalesce(single, first)))
    others = others.with_columns(date=start, _rest=pl.when(single.is_null()).then(rest))
    end_day = pl.col("_rest").str.extract(ONE_DAY, 1)
    # "2019-05-01/08-30" and "2019-05-01/30" leave out what is the same at both ends.
    year, month = pl.col("date").dt.to_string("%Y-"), pl.col("date").dt.to_string("%Y-%m-")
    short = pl.col("_rest").str.extract(rf"^(\d{{1,2}}-\d{{1,2}}){_TIME}$", 1)
    day = pl.col("_rest").str.extract(rf"^(\d{{1,2}}){_TIME}$", 1)
    # A time alone ends the interval on its first day.
    clock = pl.col("_rest").str.contains(END_TIME) & pl.col("_rest").str.contains(":", literal=True)
    end = pl.coalesce(
        _to_date(end_day),
        _to_date(pl.concat_str(year, short)),
        _to_date(pl.concat_str(month, day)),
        pl.when(clock).then(pl.col("date")),
    )
    return others.with_columns(_end=end)


def _span(date: pl.Expr, end: pl.Expr) -> pl.Expr:
    """Say what becomes of an interval from a day to a day; null where they are one."""
    return (
        pl.when(end < date)
        .then(pl.lit(REVERSED))
        .when(end - date > LONGEST_INTERVAL)
        .then(pl.lit(TOO_LONG))
        .when(end > date)
        .then(pl.lit(FIRST_DAY))
    )


def _change(outside: pl.Expr) -> pl.Expr:
    """Say why a date becomes empty, null where it stays."""
    text, date = pl.col("_text"), pl.col("date")
    shaped = text.str.contains(ONE_DAY) | text.str.contains(INTERVAL)
    interval, end = pl.col("_rest").is_not_null(), pl.col("_end")
    return (
        pl.when(text.str.to_lowercase().str.contains(NO_DAY))
        .then(pl.lit("date without a day, set to empty"))
        .when((shaped & date.is_null()) | outside)
        .then(pl.lit("date is impossible, set to empty"))
        .when(text.str.contains(SHORT_YEAR))
        .then(pl.lit("date has a year of two digits, set to empty"))
        .when(date.is_null())
        .then(pl.lit("date is not of the form 2024-05-31, set to empty"))
        .when(interval & end.is_null())
        .then(pl.lit(OPEN_END))
        .otherwise(_span(date, end))
    )
