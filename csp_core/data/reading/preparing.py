"""What is done to the columns of a file before its records are judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from csp_core.data.reading.columns import plain
from csp_core.data.reading.source import RADIUS, Chunk

# Where a date begins -> where it ends, if two columns say so.
ENDS = {
    "startdate": ("enddate",),
    "datestart": ("dateend",),
    "eventstart": ("eventend",),
    "begin": ("end",),
}
# Signs that no name is written with: control signs, marks of no width or of direction.
UNSEEN = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
NAMES = ("scientific_name", "genus", "epithet", "common_name")
CLEANED = "control signs or invisible signs removed from the name"


class Preparation:
    """Brings what stands in several columns together, and takes invisible signs out of names.

    Args:
        header: Columns of the file.
        columns: Canonical name to column, as ``find_columns`` returned.
    """

    def __init__(self, header: Sequence[str], columns: Mapping[str, str]) -> None:
        self.columns = dict(columns)
        names = {plain(name): name for name in reversed(header)}
        start = self.columns.get("date", "")
        self._end = next((names[e] for e in ENDS.get(plain(start), ()) if e in names), "")
        self._start = start if self._end else ""
        self._radius = RADIUS in header
        self._metres = self.columns.get("uncertainty_m", "")
        if self._radius:
            self.columns.setdefault("uncertainty_m", RADIUS)

    @property
    def reads(self) -> list[str]:
        """The columns to read."""
        more = [self._end] * bool(self._end) + [RADIUS] * self._radius
        return list(dict.fromkeys([*self.columns.values(), *more]))

    def __call__(self, chunk: Chunk) -> tuple[Chunk, tuple[pl.DataFrame, ...]]:
        """Prepare some records.

        Args:
            chunk: The columns of ``reads``.

        Returns:
            The records, and tables of what was changed: ``line``, ``reason``, ``detail``.
        """
        table = chunk.table
        if self._end:
            table = table.with_columns(self._interval())
        if self._radius and self._metres not in ("", RADIUS):
            table = table.with_columns(self._farther())
        table, changed = self._without_unseen(table, chunk.lines)
        return Chunk(table, chunk.lines, chunk.rejected), changed

    def _interval(self) -> pl.Expr:
        """Write start and end as one interval where they are not of one day."""
        start, end = (pl.col(c).cast(pl.String).str.strip_chars() for c in (self._start, self._end))
        two = (end != "") & (end.str.head(10) != start.str.head(10))
        joined = pl.when(two).then(pl.concat_str(start, end, separator="/"))
        return pl.coalesce(joined, start).alias(self._start)

    def _farther(self) -> pl.Expr:
        """Take the farther of a shape's corner and of what the record says."""
        said = pl.col(self._metres).cast(pl.String)
        radius = pl.col(RADIUS).cast(pl.Float64, strict=False)
        own = said.cast(pl.Float64, strict=False).fill_null(0).fill_nan(0)
        larger = pl.when(radius >= own).then(radius.cast(pl.String))
        return pl.coalesce(larger, said).alias(self._metres)

    def _without_unseen(
        self, table: pl.DataFrame, lines: pl.Series
    ) -> tuple[pl.DataFrame, tuple[pl.DataFrame, ...]]:
        """Take the signs out; a name that they alone divide gets a space there."""
        changed = []
        for column in dict.fromkeys(self.columns[key] for key in NAMES if key in self.columns):
            if table.schema[column] != pl.String:
                continue
            # Names repeat, so that looking at each once is enough.
            names = table[column].unique().drop_nulls()
            odd = names.filter(names.str.contains(UNSEEN))
            if not len(odd):
                continue
            shut, apart = odd.str.replace_all(UNSEEN, ""), odd.str.replace_all(UNSEEN, " ")
            divided = shut.str.strip_chars().str.contains(r"\s")
            clean = pl.select(pl.when(divided).then(shut).otherwise(apart)).to_series()
            clean = clean.str.replace_all(r"\s+", " ").str.strip_chars()
            hit = table[column].is_in(odd.implode())
            # Written with escapes, as nobody would see them.
            shown = table[column].filter(hit).replace(odd, pl.Series([ascii(n) for n in odd]))
            told = pl.DataFrame({"line": lines.filter(hit), "detail": shown})
            changed.append(told.select("line", pl.lit(CLEANED).alias("reason"), "detail"))
            table = table.with_columns(table[column].replace(odd, clean).alias(column))
        return table, tuple(changed)
