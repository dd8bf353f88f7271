"""Whether the day or the month comes first in dates such as 03/04/2021, from the whole column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from csp_core.data.reading.dateparts import MONTHS
from csp_core.data.reading.source import Rereader

SLASHED = r"(^|[^\d/-])(\d{1,2})/(\d{1,2})/(\d{4})\b"
DASHED = r"(^|[^\d/-])(\d{1,2})-(\d{1,2})-(\d{4})\b"
# Year, day and month, which only a day above 12 tells from year, month and day.
TURNED = r"^\d{4}[-/.](?:1[3-9]|2\d|3[01])[-/.](?:0?[1-9]|1[0-2])(?:\D|$)"
# With points the day comes first wherever dates are written so; a file may still be another.
POINTED = r"(?:^|[^\d.])(\d{1,2})\.(\d{1,2})\.\d{4}\b"
# A month that is written out says itself which number is the day.
DAY_WORD = r"^(\d{1,2})\.?[\s\-./]*([^\W\d_]{1,10})\.?[\s\-,./]+(\d{4})$"
WORD_DAY = r"^([^\W\d_]{1,10})\.?[\s\-./]*(\d{1,2})(?:st|nd|rd|th)?[\s\-,./]+(\d{4})$"


class DayOrder:
    """Reads the dates of a column whose order of day and month has to be found.

    Args:
        columns: Canonical name to column of the file.
        reread: Gives columns of the whole file again; asked once, if there are such dates.
    """

    def __init__(self, columns: Mapping[str, str], reread: Rereader) -> None:
        self._columns = [columns[key] for key in ("date", "date_end") if key in columns]
        self._reread = reread
        self._order: str | None = None
        self._note = ""
        # Dates with points, those that only a day or only a month can begin, and one to show.
        self._turned, self._turned_shown = 0, ""
        self._pointed, self._days, self._months, self._shown = 0, 0, 0, ""

    def to_iso(self, texts: pl.Series) -> pl.Series:
        """Bring dates with the year last, and those with a month in words, to year, month, day.

        Args:
            texts: Dates that are not plain, as text.

        Returns:
            The texts; as they are where nothing tells the order.
        """
        text = pl.col(texts.name)
        table = texts.to_frame()
        self._count_pointed(texts)
        turned = texts.filter(texts.str.contains(TURNED))
        self._turned += len(turned)
        self._turned_shown = self._turned_shown or (str(turned[0])[:40] if len(turned) else "")
        slashed = text.str.contains(SLASHED) | text.str.contains(DASHED)
        if table.select(slashed.any()).item() and (order := self._meant()):
            to = "${1}${4}-${3}-${2}" if order == "day" else "${1}${4}-${2}-${3}"
            table = table.with_columns(
                text.str.replace_all(SLASHED, to).str.replace_all(DASHED, to)
            )
        day, word = text.str.extract(DAY_WORD, 1), text.str.extract(DAY_WORD, 2)
        later, sooner = text.str.extract(WORD_DAY, 2), text.str.extract(WORD_DAY, 1)
        year = pl.coalesce(text.str.extract(DAY_WORD, 3), text.str.extract(WORD_DAY, 3))
        month = pl.coalesce(word, sooner).str.to_lowercase()
        number = month.replace_strict(MONTHS, default=None, return_dtype=pl.Int32)
        iso = pl.format("{}-{}-{}", year, number, pl.coalesce(day, later))
        return table.select(pl.coalesce(iso, text).alias(texts.name)).to_series()

    def _count_pointed(self, texts: pl.Series) -> None:
        """Count what speaks for and against the day before the month in dates with points."""
        found = texts.filter(texts.str.contains(POINTED))
        if not len(found):
            return
        first, second = (found.str.extract(POINTED, n).cast(pl.Int32) for n in (1, 2))
        self._pointed += len(found)
        self._days += int((first > 12).sum())
        self._months += int((second > 12).sum())
        self._shown = self._shown or str(found[0])[:40]

    def _meant(self) -> str:
        """Find once whether ``day`` or ``month`` comes first; ``""`` where nothing tells."""
        if self._order is None:
            self._order = self._decide(self._reread(self._columns))
        return self._order

    def _decide(self, tables: Iterable[pl.DataFrame]) -> str:
        dates = day_first = month_first = 0
        for table, column in ((t, c) for t in tables for c in self._columns):
            text = pl.col(column).cast(pl.String).str.strip_chars()
            first, second = (
                pl.coalesce(text.str.extract(p, g) for p in (SLASHED, DASHED)).cast(pl.Int32)
                for g in (2, 3)
            )
            counts = table.select(
                a=first.is_not_null().sum(), b=(first > 12).sum(), c=(second > 12).sum()
            ).row(0)
            dates, day_first = dates + counts[0], day_first + counts[1]
            month_first += counts[2]
        if bool(day_first) == bool(month_first):
            return ""
        order, known = ("day", day_first) if day_first else ("month", month_first)
        place, other = ("first", "second") if order == "day" else ("second", "first")
        names = " and ".join(f"`{name}`" for name in self._columns)
        self._note = (
            f"{order} first in the dates of {names}: {known:,} of {dates:,} have a"
            f" {place} number above 12, none has such a {other} one"
        )
        return order

    def notes(self) -> list[str]:
        """Say which order was taken, and by what evidence.

        Returns:
            Sentences, or nothing.
        """
        notes = [self._note] if self._note else []
        if self._turned:
            notes.append(
                f"{self._turned:,} dates have the day before the month behind the year, such as"
                f" {self._turned_shown}, and are empty; where the others have it so, their day and"
                " month are exchanged"
            )
        if self._pointed:
            notes.append(
                f"day first in dates with points, such as {self._shown}: {self._days:,} of"
                f" {self._pointed:,} have a first number above 12, {self._months:,} a second one"
            )
        return notes
