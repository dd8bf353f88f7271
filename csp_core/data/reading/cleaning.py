"""Judging records: which are kept, which are dropped, what is changed."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from csp_core.data.reading.columns import CANONICAL, EXTRAS
from csp_core.data.reading.dates import with_dates
from csp_core.data.reading.hemispheres import wrong_sign
from csp_core.data.reading.source import Chunk
from csp_core.errors import BadRecordError

SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(CANONICAL, pl.String),
    "lon": pl.Float64,
    "lat": pl.Float64,
    "date": pl.Date,
    "uncertainty_m": pl.Float64,
}
WORDS = ("na", "n/a", "nan", "null", "none", "#n/a")
# Every spelling of them: looking a value up is far cheaper than changing its case.
EMPTY = (
    "",
    "\\n",
    "\\N",
    *("".join(p) for w in WORDS for p in itertools.product(*({c, c.upper()} for c in w))),
)
DECIMAL_COMMA = r"^([+-]?\d+),(\d+)$"
TRUE = ("true", "t", "yes", "1", "captive", "cultivated", "captive/cultivated")
HIGHER_RANKS = (
    *("domain", "kingdom", "phylum", "subphylum", "class", "subclass", "superorder", "order"),
    *("suborder", "infraorder", "superfamily", "family", "subfamily", "tribe", "genus", "subgenus"),
)
# A genus, perhaps a subgenus in brackets, perhaps a hybrid sign, then an epithet.
SPECIES_NAME = r"^\S+(?:\s+\([^)]*\))?\s+(?:[×x]\s?)?[\p{Ll}\"']"
OPEN_NAME = r"^\S+\s+(?:spp?|gen|indet|unidentified|unknown)\b"


@dataclass(frozen=True)
class Rules:
    """What is asked of a record beyond a usable place and a name.

    Args:
        today: No record can be younger.
        species_only: Whether names above species ("Aus", "Aus sp.") are dropped.
        max_uncertainty_m: Records known to be less precise are dropped, in metres.
        drop_duplicates: Whether repetitions of name, place and day are dropped.
    """

    today: datetime.date
    species_only: bool = False
    max_uncertainty_m: float | None = None
    drop_duplicates: bool = False


@dataclass(frozen=True, eq=False)
class Judged:
    """Some records after judgement; each table of reasons has ``line``, ``reason``, ``detail``.

    Args:
        kept: The kept records in the columns of ``SCHEMA``, with ``line``.
        dropped: The others: reasons, with ``scientific_name`` and ``record_id``.
        changed: Reasons of the changes to kept records.
        flagged: Suspicions against kept records.
    """

    kept: pl.DataFrame
    dropped: pl.DataFrame
    changed: tuple[pl.DataFrame, ...]
    flagged: tuple[pl.DataFrame, ...]


def judge(chunk: Chunk, columns: Mapping[str, str], rules: Rules) -> Judged:
    """Decide about every record of a chunk.

    Args:
        chunk: What a reader gave.
        columns: Canonical name to column of the chunk.
        rules: What is asked.

    Returns:
        The kept records, and why the others are not among them.

    Raises:
        BadRecordError: If a needed column holds lists or structures instead of values.
    """
    table = chunk.table
    rows = table.select(_value(table, key, column) for key, column in columns.items())
    rows = _with_names(rows).with_columns(chunk.lines.alias("line"))
    rows = with_dates(_with_numbers(rows), rules.today)
    rows = rows.with_columns(reason=_first_reason(rows, rules))
    kept = rows.filter(pl.col("reason").is_null())
    dropped = rows if len(kept) < len(rows) else rows.clear()
    dropped = dropped.filter(pl.col("reason").is_not_null()).select(
        "line", "reason", _detail(), "scientific_name", "record_id"
    )
    changed = tuple(
        kept.lazy()
        .filter(pl.col(f"{key}_change").is_not_null())
        .select("line", reason=f"{key}_change", detail=f"{key}_text")
        .collect()
        for key in ("date", "uncertainty_m", "point")
    )
    return Judged(kept.select(*SCHEMA, "line"), dropped, changed, _flags(kept, columns))


def _value(table: pl.DataFrame, key: str, column: str) -> pl.Expr:
    """Bring a column to trimmed text, or to a date where it is one already."""
    kind = table.schema[column]
    if kind.is_nested() or kind == pl.Binary:
        raise BadRecordError(f"The column holds {kind}; give one plain value.", column=column)
    if key == "date" and kind.is_temporal():
        return pl.col(column).cast(pl.Date).alias("date")
    text = pl.col(column).cast(pl.String).str.strip_chars()
    return pl.when(~text.is_in(EMPTY)).then(text).alias(key)


def _with_names(rows: pl.DataFrame) -> pl.DataFrame:
    """Fill absent columns, and join genus and epithet where the name is in two columns."""
    if "epithet" in rows.columns:
        rows = rows.with_columns(scientific_name=pl.concat_str("genus", "epithet", separator=" "))
    elif "genus" in rows.columns:
        name, genus = pl.col("scientific_name"), pl.col("genus")
        alone = genus.is_not_null() & ~name.str.contains(" ", literal=True) & (name != genus)
        joined = pl.when(alone).then(pl.concat_str(genus, name, separator=" ")).otherwise(name)
        rows = rows.with_columns(scientific_name=joined)
    expected = (*SCHEMA, *EXTRAS)
    absent = [pl.lit(None, pl.String).alias(key) for key in expected if key not in rows.columns]
    return rows.with_columns(absent)


def _with_numbers(rows: pl.DataFrame) -> pl.DataFrame:
    """Turn text into numbers; a lone comma between digits is a decimal comma."""
    keys = ("lon", "lat", "uncertainty_m")
    number = {key: pl.col(key).cast(pl.Float64, strict=False) for key in keys}
    rows = rows.with_columns(
        *(pl.col(key).alias(f"{key}_text") for key in keys), **number, point_change=pl.lit(None)
    )
    unread = [pl.col(f"{key}_text").is_not_null() & pl.col(key).is_null() for key in keys]
    if rows.select(pl.any_horizontal(unread).any()).item():
        text = {key: pl.col(f"{key}_text") for key in keys}
        comma = pl.any_horizontal(text[key].str.contains(DECIMAL_COMMA) for key in PLACE)
        rows = rows.with_columns(
            point_change=pl.when(comma).then(pl.lit("decimal comma read as a point")),
            **{
                key: text[key].str.replace(DECIMAL_COMMA, "$1.$2").cast(pl.Float64, strict=False)
                for key in keys
            },
        )
    metres = pl.col("uncertainty_m")
    good = (metres.is_finite() & (metres >= 0)).fill_null(False)
    return rows.with_columns(
        point_text=pl.concat_str("lon_text", "lat_text", separator=" / "),
        uncertainty_m=pl.when(good).then(metres),
        uncertainty_m_change=pl.when(pl.col("uncertainty_m_text").is_not_null() & ~good).then(
            pl.lit("uncertainty is not a distance, set to empty")
        ),
    )


PLACE = ("lon", "lat")
_lon, _lat = pl.col("lon"), pl.col("lat")
_swapped = (_lat.abs() > 90) & (_lat.abs() <= 180) & (_lon.abs() <= 90)
ABOVE_SPECIES = "name is not that of a species"

# The first that applies is the reason; the order is the one a reader would look in.
DROPS: tuple[tuple[str, pl.Expr], ...] = (
    ("coordinates are missing", pl.any_horizontal(pl.col(f"{k}_text").is_null() for k in PLACE)),
    ("coordinates are not numbers", ~(_lon.is_finite() & _lat.is_finite()).fill_null(False)),
    ("longitude and latitude look swapped (latitude out of range)", _swapped),
    ("latitude is out of range (-90 to 90)", _lat.abs() > 90),
    ("longitude is out of range (-180 to 180)", _lon.abs() > 180),
    ("coordinates are exactly 0, 0", (_lon == 0) & (_lat == 0)),
    ("scientific name is missing", pl.col("scientific_name").is_null()),
)


def _first_reason(rows: pl.DataFrame, rules: Rules) -> pl.Expr:
    """Give the reason to drop each record, null where there is none."""
    reasons = list(DROPS)
    status = pl.col("status").str.to_lowercase()
    if rows["status"].null_count() < len(rows):
        reasons.append(("record of an absence", status == "absent"))
    if rules.species_only:
        # Names repeat, so judging each once is enough.
        names = rows.select("scientific_name", "rank").unique().drop_nulls("scientific_name")
        bad = names.filter(_above_species())
        if len(bad):
            key = pl.struct("scientific_name", "rank")
            reasons.append((ABOVE_SPECIES, key.is_in(bad.select(key).to_series().implode())))
    if rules.max_uncertainty_m is not None:
        limit = rules.max_uncertainty_m
        reason = f"coordinate uncertainty is above {limit:g} m"
        reasons.append((reason, (pl.col("uncertainty_m") > limit).fill_null(False)))
    return pl.coalesce(pl.when(condition).then(pl.lit(reason)) for reason, condition in reasons)


def _above_species() -> pl.Expr:
    """Tell names of genera and above, by the stated rank or by the look of the name."""
    name, rank = pl.col("scientific_name"), pl.col("rank").str.to_lowercase().fill_null("")
    looks = ~name.str.contains(SPECIES_NAME) | name.str.contains(OPEN_NAME)
    return rank.is_in(HIGHER_RANKS) | looks


def _detail() -> pl.Expr:
    """Say what stood where a record was dropped."""
    lon, lat = (pl.col(f"{key}_text").fill_null("(none)") for key in PLACE)
    reason = pl.col("reason")
    return (
        pl.when(reason == ABOVE_SPECIES)
        .then(pl.col("scientific_name"))
        .when(reason.str.starts_with("coordinate uncertainty"))
        .then(pl.col("uncertainty_m_text"))
        .otherwise(pl.format("longitude {}, latitude {}", lon, lat))
        .alias("detail")
    )


def _flags(kept: pl.DataFrame, columns: Mapping[str, str]) -> tuple[pl.DataFrame, ...]:
    """Find what is suspicious, by the columns that the file has."""
    place = pl.format("longitude {}, latitude {}", "lon_text", "lat_text")
    checks = {
        "country": (wrong_sign(), pl.format("{} in {}", place, "country")),
        "captive": (_said("captive", "captive or cultivated"), pl.col("captive")),
        "obscured": (_said("obscured", "place obscured by the recorder or the site"), place),
    }
    found = []
    for key, (reason, detail) in checks.items():
        if key in columns:
            hit = kept.lazy().with_columns(reason=reason).filter(pl.col("reason").is_not_null())
            found.append(hit.select("line", "reason", detail=detail).collect())
    return tuple(found)


def _said(key: str, reason: str) -> pl.Expr:
    return pl.when(pl.col(key).str.to_lowercase().is_in(TRUE)).then(pl.lit(reason))
