"""A table of series with their places and labels, nested or one row a date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from csp_core.data.series.dates import DAY_WORDS, Dated, arrange
from csp_core.data.series.points import LABEL, LAT, LON, find_columns, read_table
from csp_core.errors import BadRecordError
from csp_core.location.holes import without_codes

# What the columns may be called; the first that is there counts.
COLUMNS = {
    "lon": LON,
    "lat": LAT,
    "date": ("date", "dates", "index", "time"),
    "label": LABEL,
    "id": ("id", "series", "sample_id"),
}
# Columns of numbers that are no bands.
OTHERS = {"start_date", "end_date", "cube", "row", "fid"}
FIRST = 5


@dataclass(frozen=True, eq=False)
class SeriesTable:
    """What a table of series holds.

    Args:
        lonlat: ``(N, 2)`` float32 degrees, NaN where there is no place.
        label: The class of each series, ``""`` where there is none.
        bands: Names of the bands.
        dated: Values and days of each.
    """

    lonlat: Tensor
    label: tuple[str, ...]
    bands: tuple[str, ...]
    dated: Dated


def read_series_table(path: Path, bands: Sequence[str] | None = None) -> SeriesTable:
    """Read a table of series.

    Args:
        path: CSV, TSV or Parquet with a place, a label (empty where there is none), dates and
            bands. Either one row a series, whose dates and bands are lists, or one row a date,
            where ``id`` tells the series apart, or else place and label do. In a band a usual
            code for no value, such as -9999, that is far from all others is none, and told.
        bands: The columns to read as bands; None for all columns of numbers that are nothing else.

    Returns:
        The series that have two dates or more, in the order of the table.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it cannot be read, lacks a column, or holds no series.
    """
    table, known = _named(read_table(path), path.name)
    nested = isinstance(table["date"].dtype, pl.List)
    chosen = _bands(table, known, bands, nested=nested, file=path.name)
    heads, observed, told = (_nested if nested else _long)(table, chosen)
    dated = arrange(_without_codes(observed, chosen, path.name), chosen)
    if not len(dated.rows):
        raise BadRecordError(
            f"no series has two dates with numbers; {DAY_WORDS}, and two or more a series",
            file=path.name,
        )
    dated.told.update(told)
    kept = heads[dated.rows.tolist()]
    lonlat = _places(kept)
    dated.told["series_without_a_place"] = int(lonlat.isnan().any(dim=1).sum())
    return SeriesTable(lonlat, tuple(kept["label"].to_list()), tuple(chosen), dated)


def _named(table: pl.DataFrame, file: str) -> tuple[pl.DataFrame, set[str]]:
    """Give place, date and label the names that they have here."""
    found = find_columns(table, COLUMNS, ("lon", "lat", "date"), file)
    kept = {old: f"_{old}" for old in COLUMNS if old in table.columns and old not in found.values()}
    table = table.rename(kept).rename({old: new for new, old in found.items()})
    if "label" not in found:
        table = table.with_columns(label=pl.lit(""))
    label = pl.col("label").cast(pl.String).str.strip_chars().fill_null("")
    return table.with_columns(label), {*COLUMNS, *kept.values()}


def _bands(
    table: pl.DataFrame,
    known: set[str],
    bands: Sequence[str] | None,
    *,
    nested: bool,
    file: str,
) -> list[str]:
    kinds = {name: kind.inner if isinstance(kind, pl.List) else kind
             for name, kind in table.schema.items()
             if isinstance(kind, pl.List) == nested}  # fmt: skip
    numbers = [name for name, kind in kinds.items()
               if kind.is_numeric() and name not in known | OTHERS]  # fmt: skip
    chosen = numbers if bands is None else list(bands)
    wrong = [name for name in chosen if name not in numbers]
    if wrong or not chosen:
        raise BadRecordError(
            f"no band {', '.join(map(repr, wrong[:FIRST])) or 'at all'}: its columns of numbers are"
            f" {', '.join(numbers)[:200] or 'none'}",
            file=file,
        )
    return chosen


def _nested(
    table: pl.DataFrame, bands: list[str]
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, object]]:
    """Give the heads of the series, and their observations; uneven lists are left out."""
    table = table.with_columns(row=pl.int_range(pl.len()))
    even = pl.all_horizontal(pl.col(b).list.len() == pl.col("date").list.len() for b in bands)
    fits = table.filter(even.fill_null(False) & (pl.col("date").list.len() > 0))
    observed = fits.select("row", "date", *bands).explode("date", *bands)
    return table, observed, {"series_whose_lists_differ_in_length": len(table) - len(fits)}


def _long(
    table: pl.DataFrame, bands: list[str]
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, object]]:
    """Give the heads of the series, and their observations, of a table of one row a date."""
    keys = ["id"] if "id" in table.columns else ["lon", "lat", "label"]
    heads = table.unique(keys, keep="first", maintain_order=True)
    heads = heads.with_columns(row=pl.int_range(pl.len()))
    observed = table.join(heads.select(*keys, "row"), on=keys, nulls_equal=True)
    return heads, observed.select("row", "date", *bands), {}


def _without_codes(observed: pl.DataFrame, bands: Sequence[str], file: str) -> pl.DataFrame:
    """Take out of each band what stands for no value, such as -9999 far from all others."""
    numbers = observed.select(pl.col(bands).cast(pl.Float64, strict=False).fill_null(float("nan")))
    return observed.with_columns(
        pl.Series(name, without_codes(file, name, numbers[name].to_numpy())) for name in bands
    )


def _places(heads: pl.DataFrame) -> Tensor:
    """Read places; one that is nowhere on Earth is none."""
    lon, lat = (pl.col(name).cast(pl.Float64, strict=False) for name in ("lon", "lat"))
    inside = lon.is_between(-180, 180) & lat.is_between(-90, 90)
    found = heads.select(lon=pl.when(inside).then(lon), lat=pl.when(inside).then(lat))
    numbers = found.cast(pl.Float32).fill_null(float("nan")).to_numpy()
    return torch.from_numpy(numbers.copy())
