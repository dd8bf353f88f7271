"""Tables of photos: the path, class, place and date of each, read as those of records are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import torch

from csp_core.data.captions.column import LONGEST, tidy
from csp_core.data.image_files import is_below
from csp_core.data.pictures import parts_of_time
from csp_core.data.pictures.clock import read_time
from csp_core.data.reading.cleaning import WORDS
from csp_core.data.reading.columns import plain
from csp_core.data.reading.datums import Datums
from csp_core.data.reading.extras import EXTRAS
from csp_core.data.reading.hemispheres import with_sides
from csp_core.data.reading.numbers import Numbers
from csp_core.data.reading.scientific import AUTHORED, judge_name
from csp_core.data.reading.source import empty_table
from csp_core.data.reading.tabular import ParquetSource
from csp_core.data.sets.photo_report import FIRST
from csp_core.errors import BadRecordError
from csp_core.geo import check_lonlat

TABLES = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
# As in tables of records, the term of a standard comes before a plain word.
COLUMNS = {
    "path": ("path", "file", "filename", "filepath", "image", "photo"),
    "label": ("label", "class", "species", "scientificname", "taxon"),
    "lon": ("decimallongitude", "longitude", "lon", "gpslongitude", "x"),
    "lat": ("decimallatitude", "latitude", "lat", "gpslatitude", "y"),
    "date": ("eventdate", "date", "taken", "datetime", "observedon"),
    "caption": ("caption", "captions"),
    **{key: EXTRAS[key] for key in ("lon_side", "lat_side", "datum")},
}
# What programs write into a cell of a place or a date that is not known.
EMPTY = (*WORDS, "-nan", "nat", "")
NOWHERE = "0, 0, which programs write where they know no place"


@dataclass(frozen=True)
class Listed:
    """A photo as it was found: its path below the root, its class, and what a table says of it.

    ``label`` is empty where a photo has none; so is ``caption``, which is None in data without.
    ``bad_date`` and ``half_place`` quote the cells that nothing could be made of.
    """

    path: str
    label: str
    lonlat: tuple[float, float] | None = None
    date: float = math.nan
    bad_date: str = ""
    half_place: str = ""
    caption: str | None = None


def read_table(path: Path, *, unlabelled: bool = False) -> tuple[list[Listed], dict[str, object]]:
    """Read a table of photos.

    Args:
        path: CSV, TSV or Parquet.
        unlabelled: Whether a photo may have no label.

    Returns:
        The photos, and facts for ``info``: what was read otherwise than as it stands, or not.

    Raises:
        BadRecordError: If it is no such table, or a row names no path, label or place on Earth.
    """
    table = _table(path)
    known = {plain(name): name for name in reversed(table.columns)}
    found = {key: next((known[n] for n in names if n in known), None)
             for key, names in COLUMNS.items()}  # fmt: skip
    if found["path"] is None or found["label"] is None:
        raise BadRecordError(
            f"no column for the path or the label among {', '.join(table.columns[:20])}; call them"
            " path and label",
            file=path.name,
        )
    columns = {key: name for key, name in found.items() if name}
    cells = table.select(_cell(name, key) for key, name in columns.items())
    places, said = _places(cells, columns)
    listed = [
        _row(row, places[at], at + 2, path.name) for at, row in enumerate(cells.rows(named=True))
    ]
    bare = next((at for at, one in enumerate(listed) if not one.label), None)
    if bare is not None and not unlabelled:
        raise BadRecordError(
            "give a path below the table's folder and a label; with unlabelled: true, photos"
            " without a label are learned from too",
            file=path.name,
            line=bare + 2,
        )
    listed, authors = without_authors(listed)
    told: dict[str, object] = {"places_read_otherwise": said} if said else {}
    return listed, {**_lost(listed), **told, **authors}


def without_authors(listed: Sequence[Listed]) -> tuple[list[Listed], dict[str, object]]:
    """Leave authors out of the names of classes, so that a species with and without is one class.

    Args:
        listed: The photos.

    Returns:
        The photos, and a fact for ``info`` where names have changed.
    """
    verdicts = {one: judge_name(one) for one in sorted({one.label for one in listed} - {""})}
    names = {one: v.name for one, v in verdicts.items() if v.change == AUTHORED and not v.drop}
    if not names:
        return list(listed), {}
    said = [f"{given} read as {name}" for given, name in names.items()]
    facts = {"authors_left_out": len(names), "first_authors_left_out": said[:FIRST]}
    return [replace(one, label=names.get(one.label, one.label)) for one in listed], facts


def _table(path: Path) -> pl.DataFrame:
    try:
        if path.suffix.lower() == ".parquet":
            return _read_parquet(path)
        separator = TABLES[path.suffix.lower()]
        return pl.read_csv(path, separator=separator, infer_schema=False)
    except KeyError as error:
        raise BadRecordError("give a CSV, TSV or Parquet table", file=path.name) from error
    except (pl.exceptions.PolarsError, OSError) as error:
        said = (str(error).splitlines() or [""])[0][:120]
        raise BadRecordError(f"cannot be read as a table ({said})", file=path.name) from error


def _read_parquet(path: Path) -> pl.DataFrame:
    """Read the columns that are asked for, within the budget of files of records."""
    source = ParquetSource(lambda: path.open("rb"))
    asked = {name for names in COLUMNS.values() for name in names}
    wanted = [name for name in source.header if plain(name) in asked]
    if not wanted:
        return empty_table(source.header)
    return pl.concat([chunk.table for chunk in source.together(wanted)] or [empty_table(wanted)])


def _cell(name: str, key: str) -> pl.Expr:
    text = pl.col(name).cast(pl.String).str.strip_chars()
    if key in ("path", "label", "caption"):
        return text.fill_null("").alias(key)
    return pl.when(~text.str.to_lowercase().is_in(EMPTY)).then(text).alias(key)


def _places(
    cells: pl.DataFrame, columns: Mapping[str, str]
) -> tuple[list[tuple[float | None, float | None, str | None]], list[str]]:
    """Read places as those of records; of each also what contradicts in it."""
    if not {"lon", "lat"} <= columns.keys():
        return [(None, None, None)] * len(cells), []
    rows = cells.with_columns(
        uncertainty_m=pl.lit(None, pl.String), line=pl.int_range(2, len(cells) + 2)
    )
    as_read = cells.rename({key: name for key, name in columns.items() if key in ("lon", "lat")})
    numbers, datums = Numbers(columns, lambda names: iter([as_read.select(names)])), Datums(columns)
    rows = datums.convert(with_sides(numbers.read(rows), columns))
    changes = Counter(c for k in ("side", "datum") for c in rows[f"{k}_change"].drop_nulls())
    flags = Counter(rows["datum_flag"].drop_nulls())
    said = [f"{why}: {number:,} photos" for why, number in (changes + flags).items()]
    places = rows.select("lon", "lat", "side_flag").rows()
    return places, [*numbers.notes(), *datums.notes(), *said]


def _row(
    cells: Mapping[str, str | None],
    place: tuple[float | None, float | None, str | None],
    line: int,
    file: str,
) -> Listed:
    name, label = cells["path"] or "", cells["label"] or ""
    if not name or not is_below(name):
        raise BadRecordError("give a path below the table's folder and a label", file=file,
                             line=line)  # fmt: skip
    given = {key: text[:40] for key in ("lon", "lat") if (text := cells.get(key))}
    lon, lat, odd = place
    lonlat, half = None, ""
    if len(given) < 2:
        half = next((f"line {line}: {key} {text} alone" for key, text in given.items()), "")
    elif odd:
        half = f"line {line}: {odd}"
    elif lon is None or lat is None:
        what = " / ".join(given.values())
        raise BadRecordError(f"no place (longitude and latitude {what})", file=file, line=line)
    elif lon == lat == 0:
        half = f"line {line}: {NOWHERE}"
    else:
        lonlat = (lon, lat)
        try:
            check_lonlat(torch.tensor([lonlat]))
        except ValueError as error:
            raise BadRecordError(f"no place ({error})", file=file, line=line) from error
    said = cells.get("date") or ""
    date = _part_of_year(said)
    bad = f"line {line}: {said[:40]}" if said and math.isnan(date) else ""
    caption = tidy(cells["caption"]) if "caption" in cells else None
    if caption and len(caption) > LONGEST:
        raise BadRecordError(f"a caption of {len(caption):,} letters; at most {LONGEST:,} are read",
                             file=file, line=line)  # fmt: skip
    return Listed(name, label, lonlat, date, bad, half, caption)


def _part_of_year(text: str) -> float:
    """Read a date, year first; NaN for intervals, the future, and 5/6/2024: of May or of June."""
    day, _ = read_time(text)
    return math.nan if day is None else parts_of_time(day)[0]


def _lost(listed: Sequence[Listed]) -> dict[str, object]:
    """Count what a table says and nothing could be made of."""
    dates = [one.bad_date for one in listed if one.bad_date]
    places = [one.half_place for one in listed if one.half_place]
    return {
        "dates_not_read": len(dates),
        "first_dates_not_read": dates[:FIRST],
        "places_not_complete": len(places),
        "first_places_not_complete": places[:FIRST],
    }
