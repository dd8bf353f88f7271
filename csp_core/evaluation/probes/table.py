"""Tables to probe: places and a value of each, a number or a class, from text or Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

from csp_core.data.series.points import LAT, LON, find_columns
from csp_core.errors import BadRecordError, ConfigError
from csp_core.evaluation.probes.codes import LARGEST, among_words, without_codes
from csp_core.evaluation.probes.folds import FOLDS, one_form, same_place
from csp_core.evaluation.probes.probing import Target
from csp_core.evaluation.probes.written import (
    LINE,
    MISSING,
    degrees_of,
    like_numbers,
    numbers_of,
    plain_numbers,
    read_written,
    without_missing,
    words_there,
)
from csp_core.geo import check_lonlat

VALUE = ("value", "target", "label", "class", "y_true")
KINDS = ("numbers", "classes")
LEAST_PLACES, MOST_ROWS, MOST_BYTES = 30, 10_000, 1 << 30
# So few different whole numbers may be codes of classes.
FEW = 20


@dataclass(frozen=True, eq=False)
class ProbeTable:
    """A table that can be probed.

    Args:
        lonlat: ``(N, 2)`` float64 degrees, each place in one form.
        target: The N values.
        notes: What was left out or decided, a sentence each.
    """

    lonlat: Tensor
    target: Target
    notes: tuple[str, ...]


def read_probe_table(
    path: Path,
    *,
    lon: str | None = None,
    lat: str | None = None,
    value: str | None = None,
    kind: str | None = None,
    missing: Sequence[str] | None = None,
    folds: int = FOLDS,
    most: int = MOST_ROWS,
    seed: int = 0,
) -> ProbeTable:
    """Read a table of longitude, latitude and value.

    Args:
        path: CSV, TSV or other delimited text (.txt, .tab), or Parquet.
        lon: Name of the column of longitudes, degrees; None finds it.
        lat: Of latitudes.
        value: Of the values; None finds it by its name, or takes the only other column.
        kind: ``numbers`` or ``classes``; None decides by what is there.
        missing: Words and numbers that stand for no value, beside an empty cell; None for
            ``MISSING`` and for usual codes, such as -9999, that are far from all other values.
        folds: Classes with fewer rows are left out.
        most: Rows to keep, drawn by the seed where there are more.
        seed: Of that draw.

    Returns:
        The table.

    Raises:
        DataNotFoundError: If there is no such file.
        ConfigError: If an option does not fit.
        BadRecordError: If a column is missing, a place is none, a value is no number where numbers
            are wanted, commas may part decimals or thousands, all values are one, or too little is
            left.
    """
    if kind is not None and kind not in KINDS:
        raise ConfigError(f"Values as {kind!r}: give {' or '.join(KINDS)}.")
    if most < LEAST_PLACES:
        raise ConfigError(f"At most {most} rows: give at least {LEAST_PLACES}.")
    if path.is_file() and path.stat().st_size > MOST_BYTES:
        raise BadRecordError(f"larger than {MOST_BYTES >> 20} MB; give less", file=path.name)
    table, notes = read_written(path)
    columns = _columns(table.drop(LINE, strict=False), lon, lat, value, path.name)
    table = table.with_row_index("__row__").select(
        pl.col("__row__"),
        pl.col(f"^{LINE}$"),
        **{key: pl.col(name) for key, name in columns.items()},
    )
    if not len(table):
        raise BadRecordError("the table has no rows; give some", file=path.name)
    table = table.with_columns(_plain(table[key], name, path.name) for key, name in columns.items())
    words = MISSING if missing is None else missing
    told, left = without_missing(table, words)
    notes += left
    told, left = _without_codes(
        told, columns["value"], kind, path, take=missing is None, beside=words_there(table, words)
    )
    notes += left
    if len(told) > most:
        rows = np.sort(np.random.default_rng(seed).choice(len(told), most, replace=False))
        notes.append(f"{most:,} of {len(told):,} rows are drawn; more by --most.")
        told = told[rows]
    places, read = _places(told, columns, path)
    lonlat, notes = one_form(places), notes + read
    target, own, more = _target(told, columns["value"], kind, folds, path)
    lonlat, notes = lonlat[torch.from_numpy(own)], notes + more
    _check(lonlat, target, path.name, left)
    shared = len(lonlat) - len(np.unique(same_place(lonlat)))
    if shared:
        notes.append(
            f"{shared:,} rows repeat a place of another row: rows of one place lie in one fold."
        )
    return ProbeTable(lonlat, target, tuple(notes))


def _columns(
    table: pl.DataFrame, lon: str | None, lat: str | None, value: str | None, file: str
) -> dict[str, str]:
    """Find the three columns, by the names given or by those that are usual."""
    given = {"lon": lon, "lat": lat, "value": value}
    for name in filter(None, given.values()):
        if name not in table.columns:
            known = ", ".join(table.columns)[:200]
            raise BadRecordError(f"there is no column {name!r}; they are {known}", file=file)
    usual: dict[str, tuple[str, ...]] = {
        "lon": (lon,) if lon else LON,
        "lat": (lat,) if lat else LAT,
    }
    found = find_columns(table, usual, ("lon", "lat"), file)
    found |= {key: name for key, name in given.items() if name is not None}
    others = [name for name in table.columns if name not in (found["lon"], found["lat"])]
    if "value" not in found:
        lower = {name.lower(): name for name in reversed(others)}
        named = [lower[name] for name in VALUE if name in lower]
        if not named and len(others) != 1:
            raise BadRecordError(
                f"which column holds the values? Name it (--value): {', '.join(others)[:200]}",
                file=file,
            )
        found["value"] = named[0] if named else others[0]
    if len(set(found.values())) < len(found):
        raise BadRecordError("longitude, latitude and value need a column each", file=file)
    return found


def _plain(column: pl.Series, name: str, file: str) -> pl.Series:
    """Keep numbers, flags and text, which a Parquet file may hold as categories."""
    kind = column.dtype
    if kind in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    if kind.is_numeric() or kind in (pl.String, pl.Boolean, pl.Null):
        return column
    raise BadRecordError(f"{name} holds {kind}; give numbers or text", file=file)


def _line(table: pl.DataFrame, row: int) -> int | None:
    """Say where a row of a text stands."""
    return int(table[LINE][row]) if LINE in table.columns else None


def _places(table: pl.DataFrame, columns: dict[str, str], path: Path) -> tuple[Tensor, list[str]]:
    """Read the places; and say what was decided."""
    read = [degrees_of(table[key], columns[key]) for key in ("lon", "lat")]
    lonlat = torch.from_numpy(np.stack([one.fill_null(np.nan).to_numpy() for one, _ in read], 1))
    bad = ~lonlat.isfinite().all(dim=1) | (lonlat[:, 0].abs() > 180) | (lonlat[:, 1].abs() > 90)
    if not bool(bad.any()):
        return lonlat, [note for _, notes in read for note in notes]
    row = int(bad.nonzero()[0])
    said = ", ".join(str(table[key][row]) for key in ("lon", "lat"))
    reason = f"row {int(table['__row__'][row]) + 1}: give degrees in numbers"
    try:
        check_lonlat(lonlat[row : row + 1])
    except BadRecordError as error:
        if bool(lonlat[row].isfinite().all()):
            reason = str(error)
    raise BadRecordError(
        f"{said} ({columns['lon']}, {columns['lat']}) is no place: {reason}",
        file=path.name,
        line=_line(table, row),
    )


def _without_codes(
    table: pl.DataFrame,
    name: str,
    kind: str | None,
    path: Path,
    *,
    take: bool,
    beside: Sequence[str],
) -> tuple[pl.DataFrame, list[str]]:
    """Leave out the rows whose value is a code for none, where most values are numbers."""
    if table["value"].dtype == pl.Boolean:
        return table, []
    try:
        numbers = plain_numbers(table["value"])
        if kind != "classes":
            numbers, _ = numbers_of(table, name, wanted=kind == "numbers", path=path)
    except BadRecordError:
        return table, []  # told where the values are read
    if _are_classes(numbers):
        return table, among_words(numbers, name, beside)
    classes = kind == "classes"
    return without_codes(table, numbers, name, take=take, classes=classes, beside=beside)


def _target(
    table: pl.DataFrame, name: str, kind: str | None, folds: int, path: Path
) -> tuple[Target, np.ndarray, list[str]]:
    """Make the values: the target, the rows it keeps, and what was decided."""
    column = table["value"]
    text = column.cast(pl.String).str.strip_chars()
    if kind == "classes" or (kind is None and column.dtype == pl.Boolean):
        return _classes(text, name, folds, path.name)
    values, notes = numbers_of(table, name, wanted=kind == "numbers", path=path)
    if kind is None and _are_classes(values):
        target, own, more = _classes(text, name, folds, path.name)
        return target, own, [*like_numbers(text, name), *more]
    wrong = np.flatnonzero(~values.is_finite().fill_null(False).to_numpy())
    if len(wrong):
        row = int(wrong[0])
        raise BadRecordError(
            f"{text[row]!r} in {name} is no finite number: correct it, leave it empty, or take the"
            " values as classes (--as classes)",
            file=path.name,
            line=_line(table, row),
        )
    found = values.to_numpy().astype(np.float64)
    if np.abs(found).max(initial=0.0) > LARGEST:
        raise BadRecordError(
            f"{name} holds {np.abs(found).max():g}, whose square is no number any more: give the"
            " values in a larger unit, or their logarithm",
            file=path.name,
        )
    few = len(np.unique(found))
    if kind is None and few <= FEW and np.equal(found, found.round()).all():
        notes.append(
            f"The {few} different whole numbers in {name} are taken as numbers; --as classes takes"
            " them as classes."
        )
    return Target(name, found), np.arange(len(found)), notes


def _are_classes(numbers: pl.Series) -> bool:
    """Tell whether values are classes: where hardly any of them is a number."""
    return numbers.null_count() > len(numbers) / 2


def _classes(
    text: pl.Series, name: str, folds: int, file: str
) -> tuple[Target, np.ndarray, list[str]]:
    """Make codes of classes; those with fewer rows than folds are left out and told."""
    names, codes, counts = np.unique(
        text.to_numpy().astype(str), return_inverse=True, return_counts=True
    )
    rare = counts < folds
    if rare.all():
        raise BadRecordError(
            f"{len(names):,} classes in {len(text):,} rows: none has the {folds} rows that {folds}"
            f" folds need. Give more rows a class, or say --as numbers if {name} holds numbers",
            file=file,
        )
    own = np.flatnonzero(~rare[codes])
    position = np.cumsum(~rare) - 1
    notes = []
    if rare.any():
        some = ", ".join(names[rare][:3]) + (", …" if rare.sum() > 3 else "")
        few = f"1 class with fewer than {folds} rows is"
        if rare.sum() > 1:
            few = f"{rare.sum():,} classes with fewer than {folds} rows are"
        notes.append(f"{few} left out ({some}): {len(codes) - len(own):,} rows.")
    kept = tuple(str(one) for one in names[~rare])
    return Target(name, position[codes[own]].astype(np.int64), kept), own, notes


def _check(lonlat: Tensor, target: Target, file: str, left: Sequence[str]) -> None:
    """Refuse what tells nothing: too few places, one class, or one value.

    Args:
        lonlat: ``(N, 2)`` degrees.
        target: The N values.
        file: Name of the file.
        left: What was said of codes for no value, which may be why.
    """
    why = "".join(f". {note.removesuffix('.')}" for note in left)
    if not len(lonlat):
        raise BadRecordError(f"no row has a value in {target.name}{why}", file=file)
    if len(target.classes) == 1:
        raise BadRecordError(
            f"all values of {target.name} that can be used are the class {target.classes[0]!r}:"
            f" give at least two classes{why}",
            file=file,
        )
    if not target.classes and np.ptp(target.values) == 0:
        raise BadRecordError(
            f"all values of {target.name} are {target.values[0]:g}: there is nothing to tell{why}",
            file=file,
        )
    places = len(np.unique(same_place(lonlat)))
    if places < LEAST_PLACES:
        raise BadRecordError(
            f"{len(lonlat)} rows at {places} different places; at least {LEAST_PLACES} places are"
            f" needed{why}",
            file=file,
        )
