"""Places and distances as people write them, brought to numbers, with the evidence for guesses."""

from __future__ import annotations

import math
from collections.abc import Mapping

import polars as pl

from csp_core.data.reading.angles import read_angle
from csp_core.data.reading.columns import plain
from csp_core.data.reading.sexagesimal import with_minutes
from csp_core.data.reading.source import RADIUS, Rereader
from csp_core.data.reading.survey import EITHER_POINT, Convention, convention_of
from csp_core.data.reading.units import METRES, unit_of_heading

PLACE = ("lon", "lat")
KEYS = (*PLACE, "uncertainty_m")
DECIMAL_COMMA = r"^([+-]?\d+),(\d+)$"
# Commas in metres of a map projection that can only be of thousands: degrees have no such size.
GROUPED = r"^[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?$"
# Half the way around the Earth, and what programs write where they know no distance.
HALF_WAY, UNKNOWN = 20_037_508.4, (999.0, 9999.0, 99999.0, 999999.0, 9999999.0)
# So many places that all lie around 0, 0 are no accident.
MANY = 20
DISTANCE = (
    r"^(?:[~≈±<≤]|\+/-|ca\.?|approx\.?)?\s*([\d.,' \u00a0\u2009\u202f’]*\d)\s*([A-Za-z]*)\.?$"
)
GAPS = r"(\d)[' \u00a0\u2009\u202f’](\d{3})\b"


class Numbers:
    """Reads coordinates and uncertainties, one piece of a file after the other.

    Args:
        columns: Canonical name to column of the file.
        reread: Gives columns again from the beginning; asked once, if a comma needs the whole
            column to be understood.
        codes: Whether nines may stand for an unknown distance; not so in a table of our own, whose
            values were judged before.
    """

    def __init__(self, columns: Mapping[str, str], reread: Rereader, *, codes: bool = True) -> None:
        self._columns, self._reread = columns, reread
        # What was computed is never a code.
        self._codes = codes and columns.get("uncertainty_m") != RADIUS
        self._convention: Convention | None = None
        self._commas = dict.fromkeys(PLACE, 0)
        self._angles = dict.fromkeys(PLACE, 0)
        self._values = dict.fromkeys(PLACE, 0)
        self._places_seen, self._farthest = 0, dict.fromkeys(PLACE, 0.0)

    def read(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Turn text into numbers.

        Args:
            rows: The columns ``lon``, ``lat``, ``uncertainty_m`` as text; perhaps ``radius_m``, the
                size of the shape that the place stands for.

        Returns:
            The rows with numbers there, what stood there as ``lon_text`` and so on, with
            ``point_text`` for the place, and ``point_change`` and ``uncertainty_m_change``, the
            reason why a value was read otherwise than as it stands.
        """
        rows = rows.with_columns(
            *(pl.col(key).alias(f"{key}_text") for key in KEYS),
            *(pl.col(key).cast(pl.Float64, strict=False) for key in KEYS),
            point_change=pl.lit(None, pl.String),
        )
        unread = {key: rows[f"{key}_text"].null_count() < rows[key].null_count() for key in KEYS}
        for key in PLACE:
            self._values[key] += len(rows) - rows[f"{key}_text"].null_count()
        if unread["lon"] or unread["lat"]:
            rows = self._places(rows)
        rows = with_minutes(rows, self._columns)
        self._look_for_radians(rows)
        rows = rows.with_columns(point_text=pl.concat_str("lon_text", "lat_text", separator=" / "))
        texts = unread["uncertainty_m"] or self._odd_points(rows)
        if texts:
            rows = self._distances(rows)
        else:
            rows = rows.with_columns(uncertainty_m_change=pl.lit(None, pl.String))
        rows = self._in_metres(rows, texts)
        return _farther(rows) if "radius_m" in rows.columns else rows

    def _look_for_radians(self, rows: pl.DataFrame) -> None:
        """Keep count of places, and how far from 0 they are."""
        self._places_seen += int((rows["lon"].is_not_null() & rows["lat"].is_not_null()).sum())
        for key in PLACE:
            most = rows[key].abs().max()
            self._farthest[key] = max(self._farthest[key], 0.0 if most is None else float(most))  # type: ignore[arg-type]

    def _radians(self) -> list[str]:
        """Say so where all places could be radians; a part of the sea lies there, too."""
        within = self._farthest["lon"] <= math.pi and self._farthest["lat"] <= math.pi / 2
        if self._places_seen < MANY or not within or not self._farthest["lat"]:
            return []
        return [
            f"all {self._places_seen:,} places lie within 3.2° of longitude 0 and 1.6° of latitude"
            " 0: if these are radians, multiply them by 57.29578; they were read as degrees"
        ]

    def _factor(self) -> pl.Expr:
        """Give the metres of the unit that a column of units or the heading names."""
        if "uncertainty_unit" in self._columns:
            unit = pl.col("uncertainty_unit").str.to_lowercase().str.strip_chars(". ")
            factor = unit.replace_strict(METRES, default=None, return_dtype=pl.Float64)
            return pl.when(unit.is_null()).then(1.0).otherwise(factor)
        unit_named = unit_of_heading(plain(self._columns.get("uncertainty_m", "")))
        return pl.lit(METRES.get(unit_named, 1.0))

    def _in_metres(self, rows: pl.DataFrame, texts: bool) -> pl.DataFrame:
        """Turn numbers into metres, by the unit behind each or else by that of all.

        What is no distance becomes empty. A code for an unknown distance is a number as it was
        written, whatever its unit: 0.999 km is none.
        """
        own = pl.lit(None, pl.String)
        if texts:
            own = pl.col("uncertainty_m_text").str.strip_chars().str.extract(DISTANCE, 2)
            own = pl.when(own != "").then(own.str.to_lowercase())
        of_own = own.replace_strict(METRES, default=None, return_dtype=pl.Float64)
        factor = pl.when(own.is_not_null()).then(of_own).otherwise(self._factor())
        number, change = pl.col("uncertainty_m"), pl.col("uncertainty_m_change")
        said = (
            pl.when(own.is_null() & factor.is_null() & number.is_not_null())
            .then(pl.lit("unit of the uncertainty is not understood, set to empty"))
            .when(own.is_null() & (factor != 1) & number.is_not_null())
            .then(pl.lit("uncertainty in another unit read as metres"))
            .otherwise(change)
        )
        code = number.is_in(UNKNOWN).fill_null(False) & pl.lit(self._codes)
        rows = rows.with_columns(
            uncertainty_m=number * factor, uncertainty_m_change=said, _code=code
        )
        metres, code = pl.col("uncertainty_m"), pl.col("_code")
        distance = (metres.is_finite() & (metres >= 0) & (metres <= HALF_WAY)).fill_null(False)
        good = distance & ~code
        bad = (
            pl.when(distance & code)
            .then(pl.lit("uncertainty of nines, a code for an unknown one, set to empty"))
            .when(pl.col("uncertainty_m_text").is_not_null() & ~good)
            .then(pl.lit("uncertainty is not a distance, set to empty"))
        )
        # A reason why it is empty comes first; without one, a value that was read is good.
        why = pl.when(change.str.ends_with("empty") | good).then(change).otherwise(bad)
        return rows.with_columns(
            uncertainty_m=pl.when(good).then(metres), uncertainty_m_change=why
        ).drop("_code")

    def _places(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Read decimal commas and angles in the coordinates that are no plain numbers."""
        read, kinds = {}, {}
        for key in PLACE:
            text, value = pl.col(f"{key}_text"), pl.col(key)
            grouped = text.str.contains(GROUPED) & pl.lit("datum" in self._columns)
            metres = text.str.replace_all(",", "").cast(pl.Float64, strict=False)
            # Only what is far beyond degrees can be metres with commas of thousands.
            metres = pl.when(grouped & (metres.abs() > 1e5)).then(metres)
            comma = text.str.replace(DECIMAL_COMMA, "$1.$2").cast(pl.Float64, strict=False)
            angle = read_angle(text, key)
            read[key] = pl.coalesce(value, metres, comma, angle)
            kinds[f"{key}_comma"] = value.is_null() & metres.is_null() & comma.is_not_null()
            kinds[f"{key}_angle"] = (
                value.is_null() & metres.is_null() & comma.is_null() & angle.is_not_null()
            )
        odd = rows.filter(
            pl.any_horizontal(
                pl.col(k).is_null() & pl.col(f"{k}_text").is_not_null() for k in PLACE
            )
        ).select("line", *(f"{key}_text" for key in PLACE), *PLACE)
        odd = odd.with_columns(**kinds, **{f"{key}_read": read[key] for key in PLACE})
        for key in PLACE:
            self._commas[key] += int(odd[f"{key}_comma"].sum())
            self._angles[key] += int(odd[f"{key}_angle"].sum())
        change = (
            pl.when(pl.any_horizontal(f"{key}_angle" for key in PLACE))
            .then(pl.lit("degrees written as text read as a number"))
            .when(pl.any_horizontal(f"{key}_comma" for key in PLACE))
            .then(pl.lit("decimal comma read as a point"))
        )
        odd = odd.select("line", *(f"{key}_read" for key in PLACE), odd_change=change)
        rows = rows.join(odd, on="line", how="left", maintain_order="left")
        return rows.with_columns(
            *(pl.coalesce(key, f"{key}_read").alias(key) for key in PLACE),
            point_change=pl.col("odd_change"),
        ).drop(*(f"{key}_read" for key in PLACE), "odd_change")

    def _odd_points(self, rows: pl.DataFrame) -> bool:
        """Tell whether every fraction of a distance has three digits, as thousands have."""
        if "uncertainty_m" not in self._columns:
            return False
        text = pl.col("uncertainty_m_text")
        pointed = text.str.contains(".", literal=True).sum()
        three = text.str.contains(EITHER_POINT).sum()
        found, same = rows.select(pointed.alias("a"), three.alias("b")).row(0)
        return bool(found) and found == same

    def _distances(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Read numbers with gaps and commas, by what the whole column says of commas."""
        convention = self._meant()
        text = pl.col("uncertainty_m_text").str.strip_chars()
        number = text.str.extract(DISTANCE, 1)
        # Twice, as each group of digits ends where the next begins.
        joined = number.str.replace_all(GAPS, "$1$2").str.replace_all(GAPS, "$1$2")
        comma = joined.str.contains(",", literal=True)
        point_meant = convention.point == "thousands"
        plain = joined
        if point_meant:
            plain = (
                pl.when(joined.str.contains(r"^\d{1,3}(?:\.\d{3})+(?:,\d+)?$"))
                .then(joined.str.replace_all(".", "", literal=True))
                .otherwise(joined)
            )
        if convention.comma == "decimal":
            plain = plain.str.replace(r"^(\d+),(\d+)$", "$1.$2")
        elif convention.comma == "thousands":
            plain = (
                pl.when(joined.str.contains(r"^\d{1,3}(?:,\d{3})+(?:\.\d+)?$"))
                .then(joined.str.replace_all(",", "", literal=True))
                .otherwise(joined)
            )
        value = plain.cast(pl.Float64, strict=False)
        as_it_is = pl.col("uncertainty_m").is_not_null() & (plain == number)
        said = {"decimal": "decimal comma", "thousands": "comma of thousands", "": ""}
        change = (
            pl.when(as_it_is)
            .then(pl.lit(None, pl.String))
            .when(comma & value.is_null())
            .then(pl.lit("comma in the uncertainty is not understood, set to empty"))
            .when(comma)
            .then(pl.lit(f"{said[convention.comma]} in the uncertainty read"))
            .when(value.is_not_null() & (plain != number))
            .then(pl.lit("uncertainty with digits in groups read as one number"))
            .when(value.is_not_null())
            .then(pl.lit("uncertainty with a unit or sign read as metres"))
        )
        return rows.with_columns(
            uncertainty_m=pl.when(as_it_is | number.is_null())
            .then("uncertainty_m")
            .otherwise(value),
            uncertainty_m_change=change,
        )

    def _meant(self) -> Convention:
        """Find once what commas and points in the column of uncertainties mean."""
        if self._convention is None:
            column = self._columns["uncertainty_m"]
            places = tuple(self._columns[key] for key in PLACE)
            tables = self._reread(list(dict.fromkeys((column, *places))))
            self._convention = convention_of(tables, column, places)
        return self._convention

    def notes(self) -> list[str]:
        """Say which conventions were guessed, and by what evidence.

        Returns:
            Sentences.
        """
        notes = self._radians()
        for key in PLACE:
            column, values = self._columns.get(key, key), self._values[key]
            if commas := self._commas[key]:
                notes.append(
                    f"decimal comma in `{column}`: {commas:,} of {values:,} values with one comma"
                    " and one or more digits after it"
                )
            if angles := self._angles[key]:
                notes.append(
                    f"degrees as text in `{column}`: {angles:,} of {values:,} values with a degree"
                    " sign, minutes, a letter or another sign than '-'"
                )
        if self._convention and self._convention.evidence:
            notes.append(self._convention.evidence)
        return notes


def _farther(rows: pl.DataFrame) -> pl.DataFrame:
    """Take the farther of a shape's corner and of what the record says of itself."""
    radius, own = pl.col("radius_m").cast(pl.Float64, strict=False), pl.col("uncertainty_m")
    farther = (radius > own.fill_null(0)).fill_null(False)
    return rows.with_columns(
        uncertainty_m=pl.when(farther).then(radius).otherwise(own),
        uncertainty_m_text=pl.when(farther).then("radius_m").otherwise("uncertainty_m_text"),
        uncertainty_m_change=pl.when(~farther).then("uncertainty_m_change"),
    )
