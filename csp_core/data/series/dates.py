"""Observations of many series, one row each, brought to one array with the days of each series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from torch import Tensor

# A series says how something changes, so it has two dates at least.
FEWEST = 2
DAY_WORDS = "give days such as 2013-09-14"


@dataclass(frozen=True, eq=False)
class Dated:
    """Series of one length.

    Args:
        rows: ``(N,)`` int64, the number of each series among those that were given, ascending.
        values: ``(N, T, C)`` float32, 0 where there is no observation.
        days: ``(N, T)`` float32 part of the year of each date, NaN where there is no observation.
        told: What was left out or put in order, in counts.
    """

    rows: Tensor
    values: Tensor
    days: Tensor
    told: dict[str, object]


def arrange(observed: pl.DataFrame, bands: Sequence[str]) -> Dated:
    """Bring observations to series: sorted by date, one a day, all of one length.

    A date without a number in any of the bands stays in its place, as one that is not there. Of
    several observations of one day the first with numbers counts. Shorter series are filled at
    their ends.

    Args:
        observed: ``row``, the number of a series; ``date``, as dates, or text that begins with one;
            and a column for each band.
        bands: Names of these columns.

    Returns:
        The series that have two dates with numbers or more.
    """
    told: dict[str, object] = {}
    table = observed.with_columns(date=as_dates(observed["date"]))
    table = table.with_columns(pl.col(name).cast(pl.Float64, strict=False) for name in bands)
    known = table.filter(pl.col("date").is_not_null())
    told["observations_without_a_date"] = len(table) - len(known)
    ordered = known.group_by("row").agg(pl.col("date").is_sorted())
    told["series_sorted_by_date"] = int((~ordered["date"]).sum())
    whole = pl.all_horizontal(pl.col(name).is_finite().fill_null(False) for name in bands)
    # A stable sort leaves the observations of one day in their order, those with numbers first.
    known = known.with_columns(whole=whole).sort(
        ["row", "date", "whole"], descending=[False, False, True], maintain_order=True
    )
    single = known.unique(["row", "date"], keep="first", maintain_order=True)
    told["observations_of_a_day_seen_before"] = len(known) - len(single)
    enough = single.filter(pl.col("whole").sum().over("row") >= FEWEST)
    told["series_of_fewer_than_two_dates"] = observed["row"].n_unique() - enough["row"].n_unique()
    told["dates_without_numbers"] = int((~enough["whole"]).sum())
    return Dated(*_filled(enough, bands), told)


def as_dates(dates: pl.Series) -> pl.Series:
    """Read dates.

    Args:
        dates: Dates, times, or text that begins with a date as in 2013-09-14.

    Returns:
        Dates; null where there is none.

    Example:
        >>> as_dates(pl.Series(["2013-09-14", "14 September"])).to_list()
        [datetime.date(2013, 9, 14), None]
    """
    if dates.dtype == pl.String:
        return dates.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    if dates.dtype in (pl.Date, pl.Datetime):
        return dates.cast(pl.Date)
    return pl.Series(dates.name, [None] * len(dates), pl.Date)


def part_of_year(dates: pl.Series) -> pl.Series:
    """Turn dates into parts of the year.

    Args:
        dates: Dates.

    Returns:
        Numbers in [0, 1), 0 on 1 January; null where there is no date.
    """
    days = 365 + dates.dt.is_leap_year().cast(pl.Float64)
    return (dates.dt.ordinal_day().cast(pl.Float64) - 1) / days


def _filled(single: pl.DataFrame, bands: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
    """Put each observation at its place in its series."""
    rows, member = np.unique(single["row"].to_numpy(), return_inverse=True)
    at = single.select(at=pl.int_range(pl.len()).over("row"))["at"].to_numpy()
    shape = (len(rows), int(at.max(initial=-1)) + 1)
    whole = single["whole"].to_numpy()
    days = np.full(shape, np.nan, dtype=np.float32)
    day = part_of_year(single["date"]).to_numpy()
    days[member[whole], at[whole]] = day[whole]
    values = np.zeros((*shape, len(bands)), dtype=np.float32)
    values[member[whole], at[whole]] = single.select(bands).to_numpy()[whole]
    return torch.from_numpy(rows.astype(np.int64)), torch.from_numpy(values), torch.from_numpy(days)
