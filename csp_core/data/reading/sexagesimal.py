"""Degrees, minutes and seconds in columns of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from csp_core.data.reading.angles import is_below, read_angle
from csp_core.data.reading.columns import plain
from csp_core.data.reading.preparing import BLANK
from csp_core.data.reading.source import Rereader

STEMS = {
    "lat": ("lat", "latitude", "latitud", "latitudine", "breite", "breitengrad"),
    "lon": ("lon", "long", "longitude", "longitud", "longitudine", "lange", "langengrad"),
}
WORDS = {
    "min": ("min", "mins", "minute", "minutes", "minuten", "minutos", "minuti", "m"),
    "sec": ("sec", "secs", "second", "seconds", "sekunden", "segundos", "secondes", "s"),
}
# A column of the least latitude stands beside one of the largest.
OPPOSITES = ("max", "maxs", "maximum", "maxi")
TOGETHER = "degrees, minutes and seconds of several columns put together"


def find_minutes(
    header: Sequence[str],
    columns: Mapping[str, str],
    reread: Rereader,
) -> tuple[dict[str, str], list[str]]:
    """Find the columns of minutes and seconds that belong to those of degrees.

    Args:
        header: The columns of the file that hold plain values.
        columns: Canonical name to column, as far as names tell.
        reread: Gives columns of the whole file; asked once, if there are such names.

    Returns:
        Canonical name to column, with ``lat_min``, ``lat_sec``, ``lon_min`` and ``lon_sec`` where
        all degrees are whole and all minutes below 60; and a sentence for each coordinate.
    """
    known = {plain(name): name for name in reversed(header) if plain(name)}
    found, notes = dict(columns), list[str]()
    every = [stem for stems in STEMS.values() for stem in stems]
    if any(stem + word in known for stem in every for word in OPPOSITES):
        return found, notes
    for key, stems in STEMS.items():
        parts = {
            f"{key}_{part}": name
            for part, words in WORDS.items()
            if (name := _first(known, stems, words)) and name not in columns.values()
        }
        if f"{key}_min" not in parts or key not in columns:
            continue
        names = [columns[key], *parts.values()]
        if not _fit(reread(names), names, key):
            continue
        found |= parts
        listed = " and ".join(map(repr, parts.values()))
        notes.append(
            f"{columns[key]!r} holds whole degrees, to which {listed} are added as minutes and"
            " seconds"
        )
    return found, notes


def _first(known: Mapping[str, str], stems: Sequence[str], words: Sequence[str]) -> str | None:
    return next((known[s + w] for w in words for s in stems if s + w in known), None)


def _number(name: str) -> pl.Expr:
    text = pl.col(name).cast(pl.String).str.strip_chars(" °'′\"″")
    return text.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)


def _fit(tables: Iterator[pl.DataFrame], names: Sequence[str], key: str) -> bool:
    """Tell whether all degrees are whole, and all minutes and seconds from 0 to below 60.

    Degrees may bear a letter; any other text tells that the columns hold something else.
    """
    some = 0.0
    for table in tables:
        texts = [pl.col(name).cast(pl.String).str.strip_chars() for name in names]
        blank = [text.is_null() | text.is_in(BLANK) for text in texts]
        degrees, *parts = (_number(name) for name in names)
        degrees = pl.coalesce(degrees, read_angle(texts[0], key))
        good = [degrees == degrees.floor(), *((part >= 0) & (part < 60) for part in parts)]
        fits = [(g.fill_null(False) | b).all() for g, b in zip(good, blank, strict=True)]
        row = table.select(pl.all_horizontal(fits), parts[0].sum()).row(0)
        if not row[0]:
            return False
        some += row[1] or 0
    return some > 0


def with_minutes(rows: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
    """Add minutes and seconds to degrees.

    Args:
        rows: Records with ``lat`` and ``lon`` as numbers, ``lat_text`` and ``lon_text`` as they
            stood, ``point_change``, and the columns that ``find_minutes`` found as text.
        columns: What it returned.

    Returns:
        The records; ``point_change`` says so of those that changed.
    """
    for key in STEMS:
        if f"{key}_min" not in columns:
            continue
        seconds = _number(f"{key}_sec") if f"{key}_sec" in columns else pl.lit(0.0)
        more = (_number(f"{key}_min").fill_null(0) + seconds.fill_null(0) / 60) / 60
        value = pl.col(key)
        # The sign or letter of "-0" and "0 S" is that of all.
        below = (value < 0) | is_below(pl.col(f"{key}_text"), key)
        rows = rows.with_columns(
            pl.when(below).then(value - more).otherwise(value + more).alias(key),
            point_change=pl.when(more > 0).then(pl.lit(TOGETHER)).otherwise("point_change"),
        )
    return rows
