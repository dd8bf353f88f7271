"""What is done to the columns of a file before its records are judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from csp_core.data.reading.source import RADIUS, Chunk

# Signs that no name is written with: control signs, marks of no width or of direction.
UNSEEN = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
NAMES = ("scientific_name", "genus", "epithet", "common_name")
BLANK = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None")
CLEANED = "control signs or invisible signs removed from the name"

OTHER_PLACE = "place taken from {!r} and {!r}, where the first columns are blank"


def _filled(values: pl.Series) -> pl.Series:
    """Give text without what is blank or stands for it."""
    text = values.cast(pl.String).str.strip_chars()
    return text.set(text.is_in(BLANK), None)


class Preparation:
    """Chooses the columns to read, and takes invisible signs out of names.

    Args:
        header: Columns of the file.
        columns: Canonical name to column, as ``find_columns`` returned.
        spare: Other pairs of longitude and latitude.
    """

    def __init__(
        self,
        header: Sequence[str],
        columns: Mapping[str, str],
        spare: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.columns = dict(columns)
        self._spare = list(spare)
        # Beside an uncertainty of its own it is compared once that is read, commas and units too.
        if RADIUS in header:
            self.columns["radius_m" if "uncertainty_m" in self.columns else "uncertainty_m"] = (
                RADIUS
            )

    @property
    def reads(self) -> list[str]:
        """The columns to read."""
        spare = [name for pair in self._spare for name in pair]
        return list(dict.fromkeys([*self.columns.values(), *spare]))

    def __call__(self, chunk: Chunk) -> tuple[Chunk, tuple[pl.DataFrame, ...]]:
        """Prepare some records.

        Args:
            chunk: The columns of ``reads``.

        Returns:
            The records, and tables of what was changed: ``line``, ``reason``, ``detail``.
        """
        table, changed = self._without_unseen(chunk.table, chunk.lines)
        table, filled = self._with_places(table, chunk.lines)
        return Chunk(table, chunk.lines, chunk.rejected), (*changed, *filled)

    def _with_places(
        self, table: pl.DataFrame, lines: pl.Series
    ) -> tuple[pl.DataFrame, tuple[pl.DataFrame, ...]]:
        """Take a place from the next pair of columns where the first is blank in both."""
        changed = []
        for pair in self._spare:
            own = [self.columns["lon"], self.columns["lat"]]
            first, other = ([_filled(table[name]) for name in names] for names in (own, pair))
            hit = first[0].is_null() & first[1].is_null()
            hit = hit & other[0].is_not_null() & other[1].is_not_null()
            if not hit.any():
                continue
            values = [a.zip_with(~hit, b) for a, b in zip(first, other, strict=True)]
            table = table.with_columns(v.alias(n) for v, n in zip(values, own, strict=True))
            detail = other[0].filter(hit) + " / " + other[1].filter(hit)
            told = pl.DataFrame({"line": lines.filter(hit), "detail": detail})
            reason = pl.lit(OTHER_PLACE.format(*pair)).alias("reason")
            changed.append(told.select("line", reason, "detail"))
        return table, tuple(changed)

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
