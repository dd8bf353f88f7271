"""How a table to probe is written: text or Parquet, decimal commas, words for no value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from csp_core.data.reading.readers import plainly, sniff
from csp_core.data.reading.source import empty_table
from csp_core.data.reading.survey import convention_of
from csp_core.data.reading.text import TextSource
from csp_core.data.series.points import read_table
from csp_core.errors import BadRecordError, DataNotFoundError
from csp_core.location.holes import is_code

# What people write where there is no value.
MISSING = ("na", "n/a", "nan", "null", "none", "-")
# Endings of texts, and what usually parts the columns there.
TEXTS = {".csv": "comma", ".tsv": "tab", ".txt": "tab", ".tab": "tab"}
ENDINGS = ", ".join(TEXTS) + " or .parquet"
# Where a row of a text stands, with its first line as 1.
LINE = "__line__"
# Nothing but digits, points and commas, with at least one comma.
WITH_COMMA = r"^[+-]?\d[\d.,]*,[\d.,]*\d$"
COMMA_OF_DEGREES = r"^([+-]?\d{1,3}),(\d+)$"
# What begins as a number does.
BEGINS = r"^[+-]?\d"
# A word for no value that is a number, such as -9999.
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)
# How much of a table's head is looked at for what it is, bytes; how many words are named.
HEAD, NAMED = 1 << 16, 5


def read_written(path: Path) -> tuple[pl.DataFrame, list[str]]:
    """Read a table; of a text the content says how it is cut, not the file's name.

    Args:
        path: A text of ``TEXTS``, or Parquet.

    Returns:
        The table, of a text with the column ``LINE``; and what was decided, a sentence each.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it cannot be read.
    """
    ending = path.suffix.lower()
    if not path.is_file():
        raise DataNotFoundError(f"No file {path}: give a table, {ENDINGS}.")
    if ending == ".parquet":
        return read_table(path), []
    if ending not in TEXTS:
        raise BadRecordError(
            f"{ending or 'no ending'} is not read here; give {ENDINGS}", file=path.name
        )
    try:
        with plainly(path):
            return _read_text(path, TEXTS[ending])
    except BadRecordError as error:
        said = str(error).removeprefix(f"{path.name}: ").rstrip(".")
        raise BadRecordError(f"cannot be read as a table ({said})", file=path.name) from error


def _read_text(path: Path, usual: str) -> tuple[pl.DataFrame, list[str]]:
    with path.open("rb") as file:
        kind = sniff(file.read(HEAD))
    if kind != "text":
        raise BadRecordError(f"this is {kind}")
    source = TextSource(lambda: path.open("rb"))
    chunks = list(source.chunks(source.header))
    tables = [chunk.table.with_columns(chunk.lines.alias(LINE)) for chunk in chunks]
    table = pl.concat(tables) if tables else empty_table([*source.header, LINE])
    notes = [f"{said[:1].upper()}{said[1:]}." for said in source.told()]
    if source.delimiter != usual and len(source.header) > 1:
        notes.append(f"The columns of {path.name} are parted by {source.delimiter}s.")
    rejected = [one for chunk in chunks for one in chunk.rejected]
    if rejected:
        lines = f"{len(rejected):,} line{'s are' if len(rejected) > 1 else ' is'}"
        notes.append(f"{lines} left out, the first line {rejected[0].line}: {rejected[0].detail}.")
    return table, notes


def without_missing(table: pl.DataFrame, words: Sequence[str]) -> tuple[pl.DataFrame, list[str]]:
    """Leave out the rows without a value.

    Args:
        table: With the column ``value``.
        words: What stands for no value beside an empty cell, whatever the case; numbers however
            they are written.

    Returns:
        The other rows; and a sentence on what was left out and why, if anything was.
    """
    text = table["value"].cast(pl.String, strict=False).str.strip_chars()
    empty = text.is_null() | (text == "")
    worded = text.str.to_lowercase().is_in([word.lower() for word in words])
    numbers = [float(word) for word in words if NUMBER.fullmatch(word)]
    if numbers and table["value"].dtype != pl.Boolean:
        values = plain_numbers(table["value"]).fill_null(float("nan")).to_numpy()
        worded |= pl.Series(is_code(values, numbers))
    worded &= ~empty
    left = empty.fill_null(True) | worded.fill_null(False)
    if not left.any():
        return table, []
    why = [f"{int(empty.sum()):,} empty"] if empty.any() else []
    counts = text.filter(worded.fill_null(False)).value_counts(name="rows")
    counts = counts.sort("rows", "value", descending=[True, False])
    named = [f"{rows:,} {word!r}" for word, rows in counts.head(NAMED).iter_rows()]
    if len(counts) > NAMED:
        named.append(f"{int(counts['rows'][NAMED:].sum()):,} with other such words")
    said = f"{int(left.sum()):,} rows without a value are left out ({', '.join(why + named)})"
    more = "; if such a word is a value, say --missing with those that are none" if named else ""
    return table.filter(~left), [f"{said}{more}."]


def words_there(table: pl.DataFrame, words: Sequence[str]) -> list[str]:
    """Tell which words for no value stand in a table.

    Args:
        table: With the column ``value``.
        words: What stands for no value, whatever the case.

    Returns:
        Those that do, in their order; numbers only as they are written.
    """
    text = table["value"].cast(pl.String, strict=False).str.strip_chars().str.to_lowercase()
    there = set(text.unique().drop_nulls())
    return [word for word in words if word and word.lower() in there]


def degrees_of(column: pl.Series, name: str) -> tuple[pl.Series, list[str]]:
    """Read degrees, whose decimals may stand behind a comma throughout.

    Args:
        column: Longitudes or latitudes.
        name: Of the column.

    Returns:
        Numbers, null where there are none; and what was decided.
    """
    if column.dtype == pl.String:
        text = column.str.strip_chars()
        commas = int(text.str.contains(COMMA_OF_DEGREES).sum())
        if commas and not text.str.contains(".", literal=True).any():
            note = f"Decimal commas in {name} are read as points ({commas:,} values)."
            return plain_numbers(text.str.replace(COMMA_OF_DEGREES, "$1.$2")), [note]
    return plain_numbers(column), []


def numbers_of(
    table: pl.DataFrame, name: str, *, wanted: bool, path: Path
) -> tuple[pl.Series, list[str]]:
    """Read values as numbers, by what the whole table says of commas.

    Args:
        table: With the columns ``lon``, ``lat`` and ``value``.
        name: Of the column of values.
        wanted: Whether somebody said that they are numbers.
        path: The file.

    Returns:
        ``(N,)`` numbers, null where there are none; and what was decided.

    Raises:
        BadRecordError: If commas may part decimals as well as thousands, and most values would be
            numbers.
    """
    column = table["value"]
    plain = plain_numbers(column)
    if column.dtype != pl.String:
        return plain, []
    text = column.str.strip_chars()
    commas = text.str.contains(WITH_COMMA).fill_null(False)
    if not commas.any():
        return plain, []
    table = table.with_columns(value=text)
    if path.suffix.lower() != ".parquet":  # a text, whose numbers were written with points
        table = table.with_columns(pl.col("lon", "lat").cast(pl.String))
    meant = convention_of([table], "value", ("lon", "lat"))
    if meant.comma == "decimal":
        pointless = text
        if meant.point == "thousands":
            pointless = text.str.replace_all(".", "", literal=True)
        read = plain_numbers(pointless.str.replace(r"^([+-]?\d+),(\d+)$", "$1.$2"))
    elif meant.comma == "thousands":
        grouped = text.str.contains(r"^[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?$").fill_null(False)
        bare = text.str.replace_all(",", "", literal=True)
        read = plain_numbers(bare.zip_with(grouped, text))
    else:
        if wanted or int((commas | plain.is_not_null()).sum()) > len(text) / 2:
            first = text.filter(commas)[0]
            raise BadRecordError(
                f"commas in {name}, such as in {first!r}, may part decimals or thousands, and the"
                " table does not tell which: write numbers with a point and without commas, or"
                " take the values as classes (--as classes)",
                file=path.name,
            )
        return plain, []
    # The survey knows the column by its name here.
    said = meant.evidence.replace("`value`", f"`{name}`")
    return read, [f"Assumed: {said}; --as classes takes the values as classes."] if said else []


def plain_numbers(column: pl.Series) -> pl.Series:
    """Read what is a number as it stands.

    Args:
        column: Numbers or text.

    Returns:
        Numbers, null where there are none.
    """
    if column.dtype == pl.String:
        column = column.str.strip_chars()
    return column.cast(pl.Float64, strict=False)


def like_numbers(text: pl.Series, name: str) -> list[str]:
    """Say so where most values that are taken as classes begin as numbers do.

    Args:
        text: The values.
        name: Of the column.

    Returns:
        A sentence, or none.
    """
    begin = text.str.contains(BEGINS).fill_null(False)
    if int(begin.sum()) <= len(text) / 2:
        return []
    return [
        f"Values of {name} such as {text.filter(begin)[0]!r} are no plain numbers, so all are taken"
        " as classes; write them as numbers if they are amounts."
    ]
