"""Judging records: which are kept, which are dropped, what is changed."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from csp_core.data.reading.columns import CANONICAL
from csp_core.data.reading.countries import SWAPPED, swapped, with_codes
from csp_core.data.reading.dates import FIRST_DAY, first_of_calendar, with_dates
from csp_core.data.reading.datums import Datums
from csp_core.data.reading.dayorder import DayOrder
from csp_core.data.reading.hemispheres import with_sides, wrong_sign
from csp_core.data.reading.numbers import PLACE, Numbers
from csp_core.data.reading.presence import absences, looks
from csp_core.data.reading.scientific import ABOVE_SPECIES, NameBook
from csp_core.data.reading.source import Chunk, Rereader
from csp_core.data.reading.sourceflags import PREFIX, SourceFlags
from csp_core.errors import BadRecordError

SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(CANONICAL, pl.String),
    "lon": pl.Float64,
    "lat": pl.Float64,
    "date": pl.Date,
    "uncertainty_m": pl.Float64,
}
# What is asked of every record, whether or not the file has a column for it.
NEEDED = (*SCHEMA, "status", "rank", "country", "country_name", "absence", "count", "quantity")
WORDS = ("na", "n/a", "nan", "null", "none", "#n/a")
# Every spelling of them: looking a value up is far cheaper than changing its case.
EMPTY = (
    "",
    "\\n",
    "\\N",
    # What spreadsheets write where a formula fails.
    *("#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!"),
    *("".join(p) for w in WORDS for p in itertools.product(*({c, c.upper()} for c in w))),
)
# What stands in a column called `genre` or `género` that is no genus: these mean gender as well.
SEXES = (
    *("m", "f", "h", "♂", "♀", "macho", "machos", "hembra", "hembras", "mâle", "male", "femelle"),
    *("female", "masculin", "féminin", "feminin", "masculino", "femenino", "feminino", "fêmea"),
    *("maschio", "femmina", "indeterminado", "indet", "indéterminé"),
)
HIGHER_RANKS = (
    *("domain", "kingdom", "phylum", "subphylum", "class", "subclass", "superorder", "order"),
    *("suborder", "infraorder", "superfamily", "family", "subfamily", "tribe", "genus", "subgenus"),
)
CHANGES = ("name", "date", "uncertainty_m", "point", "side", "datum")
NAMELESS = "scientific name is missing"
PRESENCE = "record of a presence"
Reason = tuple[str | pl.Expr, pl.Expr, pl.Expr]


@dataclass(frozen=True)
class Rules:
    """What is asked of a record beyond a usable place and a name.

    Args:
        today: No record can be younger.
        species_only: Whether names above species ("Aus", "Aus sp.") and open ones are dropped.
        max_uncertainty_m: Records known to be less precise are dropped, in metres.
        drop_duplicates: Whether repetitions of name, place and day are dropped.
        drop_flagged: Whether records are dropped that their source itself holds something against.
        judged_before: Whether a table that an import wrote keeps all names that it has.
        named: Whether a record needs a name.
        absences: Whether records of absences are taken, and those of presences left out.
    """

    today: datetime.date
    species_only: bool = False
    max_uncertainty_m: float | None = None
    drop_duplicates: bool = False
    drop_flagged: bool = False
    judged_before: bool = False
    named: bool = True
    absences: bool = False


@dataclass(frozen=True, eq=False)
class Judged:
    """Some records after judgement; each table of reasons has ``line``, ``reason``, ``detail``.

    Args:
        kept: The kept records in the columns of ``SCHEMA``, with ``line``.
        dropped: The others: reasons, with ``scientific_name`` as given and ``record_id``.
        changed: Reasons of the changes to kept records.
        flagged: Suspicions against kept records.
    """

    kept: pl.DataFrame
    dropped: pl.DataFrame
    changed: tuple[pl.DataFrame, ...]
    flagged: tuple[pl.DataFrame, ...]


class Habits:
    """How one file writes numbers, names, datums and flags, learned piece by piece.

    Args:
        columns: Canonical name to column of the file.
        reread: Gives columns of the whole file again, from its beginning.
        of_geometry: Whether places come from geometries, in WGS84.
        mended: Whether an import has brought the names to one spelling.
        written: Whether the table is one that this package wrote.
    """

    def __init__(
        self,
        columns: Mapping[str, str],
        reread: Rereader,
        of_geometry: bool = False,
        mended: bool = False,
        written: bool = False,
    ) -> None:
        self.columns = columns
        self.numbers = Numbers(columns, reread, codes=not written)
        self.datums = Datums(columns, of_geometry)
        self.days = DayOrder(columns, reread)
        self.names = NameBook(mended=mended)
        self.flags = SourceFlags(columns)
        self._intervals, self._example = 0, ""

    def first_days(self, kept: pl.DataFrame) -> pl.DataFrame:
        """Count the intervals whose first day is taken as the date, which changes no value.

        Args:
            kept: Kept records with ``date_change`` and ``date_text``.

        Returns:
            The records without that in ``date_change``.
        """
        taken = kept["date_change"] == FIRST_DAY
        number = int(taken.sum())
        if number and not self._example:
            self._example = str(kept.filter(taken)["date_text"][0])
        self._intervals += number
        if not number:
            return kept
        change = pl.col("date_change")
        return kept.with_columns(date_change=pl.when(change != FIRST_DAY).then(change))

    def notes(self) -> list[str]:
        """Say what was guessed, by what evidence, and what the source says of its records.

        Returns:
            Sentences.
        """
        parts = (self.numbers, self.datums, self.days, self.names, self.flags)
        notes = [note for part in parts for note in part.notes()]
        if self._intervals:
            notes.append(f"{FIRST_DAY}: {self._intervals:,} records, such as {self._example}")
        return notes


def judge(chunk: Chunk, habits: Habits, rules: Rules) -> Judged:
    """Decide about every record of a chunk.

    Args:
        chunk: What a reader gave.
        habits: How the file writes; learns from the chunk.
        rules: What is asked.

    Returns:
        The kept records, and why the others are not among them.

    Raises:
        BadRecordError: If a needed column holds lists or structures instead of values.
    """
    table, columns = chunk.table, habits.columns
    rows = table.select(_value(table, key, column) for key, column in columns.items())
    rows = _with_names(rows).with_columns(chunk.lines.alias("line"))
    rows = with_sides(habits.numbers.read(habits.names.judge(rows)), columns)
    rows = with_dates(habits.datums.convert(rows), rules.today, habits.days)
    rows = habits.flags.read(rows)
    reasons = _reasons(rows, rules)
    rows = rows.with_columns(
        reason=pl.coalesce(pl.when(condition).then(_text(said)) for said, condition, _ in reasons)
    )
    kept = habits.first_days(rows.filter(pl.col("reason").is_null()))
    dropped = rows if len(kept) < len(rows) else rows.clear()
    detail = pl.coalesce(pl.when(condition).then(what) for _, condition, what in reasons)
    dropped = dropped.filter(pl.col("reason").is_not_null()).select(
        "line", "reason", detail.alias("detail"), "record_id", scientific_name="name_text"
    )
    there = {"side": "point_text", "datum": "datum"}
    changed = _told(
        kept, [(pl.col(f"{k}_change"), pl.col(there.get(k, f"{k}_text"))) for k in CHANGES]
    )
    return Judged(kept.select(*SCHEMA, "line"), dropped, changed, _flags(kept, habits, rules))


def _told(kept: pl.DataFrame, checks: list[tuple[pl.Expr, pl.Expr]]) -> tuple[pl.DataFrame, ...]:
    """List the records to which a reason applies, with what stands there."""
    # All at once, as most apply to none and every question has a price of its own.
    reasons = kept.select(reason.alias(str(i)) for i, (reason, _) in enumerate(checks))
    found = []
    for said, (_, detail) in zip(reasons.get_columns(), checks, strict=True):
        if said.null_count() < len(said):
            hit = kept.lazy().with_columns(said.alias("reason"))
            hit = hit.filter(pl.col("reason").is_not_null())
            found.append(hit.select("line", "reason", detail=detail).collect())
    return tuple(found)


def _text(said: str | pl.Expr) -> pl.Expr:
    return pl.lit(said) if isinstance(said, str) else said


def _value(table: pl.DataFrame, key: str, column: str) -> pl.Expr:
    """Bring a column to trimmed text, or to a date where it is one already."""
    kind = table.schema[column]
    if kind.is_nested() or kind == pl.Binary:
        raise BadRecordError(f"The column holds {kind}; give one plain value.", column=column)
    if key == "date" and kind in (pl.Date, pl.Datetime):
        return pl.col(column).cast(pl.Date).alias("date")
    if kind == pl.Duration:
        return pl.col(column).dt.to_string().alias(key)
    text = pl.col(column).cast(pl.String).str.strip_chars()
    return pl.when(~text.is_in(EMPTY)).then(text).alias(key)


def _with_names(rows: pl.DataFrame) -> pl.DataFrame:
    """Fill absent columns, and join genus and epithet where the name is in two columns."""
    if "epithet" in rows.columns:
        rows = rows.with_columns(scientific_name=pl.concat_str("genus", "epithet", separator=" "))
    elif "genus" in rows.columns:
        name, genus = pl.col("scientific_name"), pl.col("genus")
        alone = genus.is_not_null() & ~name.str.contains(" ", literal=True) & (name != genus)
        alone &= ~genus.str.to_lowercase().str.strip_chars(".").is_in(SEXES)
        joined = pl.when(alone).then(pl.concat_str(genus, name, separator=" ")).otherwise(name)
        rows = rows.with_columns(scientific_name=joined)
    absent = [pl.lit(None, pl.String).alias(key) for key in NEEDED if key not in rows.columns]
    return rows.with_columns(absent)


_lon, _lat = pl.col("lon"), pl.col("lat")
_swapped = (_lat.abs() > 90) & (_lat.abs() <= 180) & (_lon.abs() <= 90)
_place = pl.format(
    "longitude {}, latitude {}", *(pl.col(f"{key}_text").fill_null("(none)") for key in PLACE)
)

# The first that applies is the reason; the order is the one a reader would look in.
DROPS: tuple[tuple[str, pl.Expr], ...] = (
    ("coordinates are missing", pl.any_horizontal(pl.col(f"{k}_text").is_null() for k in PLACE)),
    ("coordinates are not numbers", ~(_lon.is_finite() & _lat.is_finite()).fill_null(False)),
    ("longitude and latitude look swapped (latitude out of range)", _swapped),
    ("latitude is out of range (-90 to 90)", _lat.abs() > 90),
    ("longitude is out of range (-180 to 180)", _lon.abs() > 180),
    ("coordinates are exactly 0, 0", (_lon == 0) & (_lat == 0)),
    (NAMELESS, pl.col("scientific_name").is_null()),
)


def _reasons(rows: pl.DataFrame, rules: Rules) -> list[Reason]:
    """List the reasons to drop a record, with what stands there."""
    reasons: list[Reason] = [
        (reason, condition, _place)
        for reason, condition in DROPS
        if rules.named or reason != NAMELESS
    ]
    gone = absences(rows)
    if rules.absences:
        said = [condition.fill_null(False) for _, condition, _ in gone] or [pl.lit(False)]
        reasons.append((PRESENCE, ~pl.any_horizontal(said), _place))
    else:
        reasons += gone
    if rules.species_only:
        name = pl.col("name_text")
        if rows["rank"].null_count() < len(rows):
            higher = pl.col("rank").str.to_lowercase().is_in(HIGHER_RANKS)
            reasons.append((ABOVE_SPECIES, higher, name))
        if rows["name_drop"].null_count() < len(rows):
            reasons.append((pl.col("name_drop"), pl.col("name_drop").is_not_null(), name))
    if rules.max_uncertainty_m is not None:
        limit = rules.max_uncertainty_m
        vague = (pl.col("uncertainty_m") > limit).fill_null(False)
        reason = f"coordinate uncertainty is above {limit:g} m"
        reasons.append((reason, vague, pl.col("uncertainty_m_text")))
    if rules.drop_flagged:
        flag = pl.col("source_flag")
        reasons.append((pl.format(PREFIX + "{}", flag), flag.is_not_null(), pl.col("name_text")))
    return reasons


def _code_for_unknown() -> pl.Expr:
    """Say why a place may stand for none; null where it does not."""
    nines = (_lon == _lat) & _lon.abs().is_in([9.0, 9.9, 9.99, 9.999, 9.9999])
    said = "longitude and latitude are the same nines, which may stand for an unknown place"
    return pl.when(nines).then(pl.lit(said))


def _flags(kept: pl.DataFrame, habits: Habits, rules: Rules) -> tuple[pl.DataFrame, ...]:
    """Find what is suspicious, by the columns that the file has."""
    columns = habits.columns
    place = pl.format("longitude {}, latitude {}", "lon_text", "lat_text")
    name = pl.col("name_text")
    checks = [(pl.col(f"{key}_flag"), place) for key in ("side", "datum")]
    checks += [(pl.col("date_flag"), pl.col("date_text")), (pl.col("name_look"), name)]
    checks += [(_code_for_unknown(), place), (first_of_calendar(), pl.col("date_text"))]
    if not rules.species_only:
        checks.append((pl.col("name_drop"), name))
    countries = bool({"country", "country_name"} & columns.keys())
    inside = pl.format("{} in {}", place, pl.coalesce("country", "country_name"))
    if countries:
        kept = with_codes(kept)
        checks.append((wrong_sign(), inside))
    checks += [(reason, what) for _, reason, what in looks(columns)]
    found = [*_told(kept, checks)]
    if countries:
        found.append(swapped(kept).select("line", reason=pl.lit(SWAPPED), detail=inside))
    return (*found, habits.flags.count(kept))
