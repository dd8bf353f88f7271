"""What a comma or a point means in a column of distances, from the whole of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

# One comma with three digits behind it: a decimal comma, or one of thousands.
EITHER = r"^[+-]?[1-9]\d{0,2},\d{3}$"
EITHER_POINT = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"
COMMA_DECIMAL = r"^[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+),\d+$"
COMMA_THOUSANDS = r"^[+-]?[1-9]\d{0,2}(?:,\d{3})+\.\d+$|^[+-]?[1-9]\d{0,2}(?:,\d{3}){2,}$"
POINT_THOUSANDS = r"^[+-]?[1-9]\d{0,2}(?:\.\d{3}){2,}$"
BOTH = r"^[+-]?[1-9]\d{0,2}(?:\.\d{3})+,\d+$"
WHOLE_SMALL, WHOLE_LARGE = r"^\d{1,3}$", r"^[1-9]\d{3,}$"
# Beside decimal points, so many values and so large a part of them have to end as thousands do.
SEVERAL, SHARE = 3, 10
POINT_DECIMAL = r"^[+-]?\d+\.\d+$"


@dataclass(frozen=True)
class Convention:
    """What the signs in a column of distances mean.

    Args:
        comma: ``decimal``, ``thousands``, or ``""`` where nothing decides.
        point: The same of the point.
        evidence: The sentence for the report, ``""`` where there is nothing to say.
    """

    comma: str = ""
    point: str = "decimal"
    evidence: str = ""


def convention_of(
    tables: Iterable[pl.DataFrame], column: str, places: tuple[str, ...]
) -> Convention:
    """Decide what commas and points mean in a column of distances.

    What only one reading allows decides; else the file's coordinates do, as one program wrote both.
    Where these have decimal points, a point with three digits behind it parts decimals, too, unless
    several values end in two zeros or more, as round thousands do and measured decimals do not.
    What is then still a guess is told.

    Args:
        tables: The column and those of the coordinates, piece by piece, from first to last record.
        column: Name of the column.
        places: Names of the columns of coordinates.

    Returns:
        What they mean, and by what evidence.
    """
    seen: dict[str, int] = {}
    for table in tables:
        if table.schema[column].is_numeric():
            return Convention()  # what a format holds as a number has one value
        for name, count in _count(table, column, places).items():
            seen[name] = seen.get(name, 0) + count
    decimal = seen["comma_decimal"] + seen["point_thousands"]
    thousands = seen["comma_thousands"]
    sure_point = seen["point_decimal"]
    where = f"`{column}`"
    if decimal and not thousands and not sure_point:
        points = seen["point_thousands"] + seen["both"] + seen["either_point"]
        return Convention(
            "decimal",
            "thousands" if points else "decimal",
            f"decimal comma in {where}: {decimal:,} of {seen['grouped']:,} values with a comma or"
            " with points of thousands can be read no other way",
        )
    # Spreadsheets write numbers with a point, however the texts beside them are written.
    apart = bool(seen["place_commas"]) and not thousands
    if (thousands or sure_point) and not decimal and not apart:
        said = (
            f"comma of thousands in {where}: {seen['either']:,} values have three digits behind"
            f" it, none has other, and {thousands + sure_point:,} have a decimal point"
        )
        return Convention("thousands", "decimal", said if seen["either"] or thousands else "")
    if sure_point and not decimal and not thousands:
        said = (
            f"a comma in {where} may part decimals, as in {seen['place_commas']:,} coordinates, or"
            f" thousands, as {sure_point:,} values have a decimal point: {seen['either']:,} were"
            " set to empty"
        )
        return Convention("", "decimal", said if seen["either"] else "")
    if decimal or thousands:
        return Convention(
            "",
            "decimal",
            f"commas in {where} mean decimals in {decimal:,} values and thousands in"
            f" {thousands + sure_point:,}: those values were set to empty",
        )
    return _by_places(seen, where, places)


def _by_places(seen: dict[str, int], where: str, places: tuple[str, ...]) -> Convention:
    """Decide by the coordinates, where each value of the column can be read in both ways."""
    names = " and ".join(f"`{name}`" for name in places)
    points, commas = seen["place_points"], seen["place_commas"]
    if seen["either_point"] and not seen["either"] and (points or not commas):
        return _by_wholes(seen, where, names)
    unsure = f"all {seen['either'] or seen['either_point']:,} values with one have three digits"
    if points and not commas:
        said = (
            f"comma of thousands in {where}: {unsure} behind it, and the decimals of {names} stand"
            f" behind a point in {points:,} values"
        )
        return Convention("thousands", "decimal", said if seen["either"] else "")
    if commas and not points:
        kind, sign = ("decimal", "decimal comma") if seen["either"] else ("", "point of thousands")
        return Convention(
            kind or "decimal",
            "thousands",
            f"{sign} in {where}: {unsure} behind it, and the decimals of {names} stand behind a"
            f" comma in {commas:,} values",
        )
    said = (
        f"a comma in {where} may part decimals or thousands: {unsure} behind it, and nothing else"
        " in the file decides; they were set to empty"
    )
    return Convention("", "decimal", said if seen["either"] else "")


def _by_wholes(seen: dict[str, int], where: str, names: str) -> Convention:
    """Decide by the values without a sign whether points with three digits part thousands."""
    large, small, zeros = (seen[key] for key in ("whole_large", "whole_small", "point_zero"))
    number, points = seen["either_point"], seen["place_points"]
    unsure = f"all {number:,} values with one have three digits behind it"
    if large:
        said = f"{large:,} values of 1000 and more are written without one"
        return Convention("", "decimal", f"decimal point in {where}: {unsure}, and {said}")
    ends = "a zero that decimals do not need"
    enough = bool(zeros)
    if points:
        # A program that writes decimal points writes them here, too; 100 feet are 30.480 m.
        zeros, ends = seen["point_zeros"], "two zeros or more, which decimals do not need"
        enough = zeros >= SEVERAL and zeros * SHARE >= number
    if small and enough:
        said = f"{zeros:,} of them end in {ends}, and all {small:,} values without one are below"
        return Convention("", "thousands", f"point of thousands in {where}: {unsure}, {said} 1000")
    beside = f", as that of {names} is in {points:,} values" if points else ""
    some = f"{seen['point_zero']:,} of them end in a zero" if seen["point_zero"] else ""
    return Convention(
        "",
        "decimal",
        f"a point in {where} is taken as that of decimals{beside}: {unsure},"
        f" {some or 'and no other value of the column tells'}; if it parts thousands, they are 1000"
        " times as large",
    )


def _count(table: pl.DataFrame, column: str, places: tuple[str, ...]) -> dict[str, int]:
    """Count how values are written, in one piece of the file."""
    text = pl.col(column).cast(pl.String).str.strip_chars()
    # The unit behind a number says nothing about its comma.
    text = text.str.replace(r"\s*[A-Za-z]+\.?$", "")
    either = text.str.contains(EITHER)
    either_point = text.str.contains(EITHER_POINT)
    counts = {
        "grouped": text.str.contains(",", literal=True) | text.str.contains(POINT_THOUSANDS),
        "both": text.str.contains(BOTH),
        "either": either,
        "either_point": either_point,
        "comma_decimal": text.str.contains(COMMA_DECIMAL) & ~either,
        "comma_thousands": text.str.contains(COMMA_THOUSANDS),
        "point_thousands": text.str.contains(POINT_THOUSANDS),
        "point_zero": either_point & text.str.ends_with("0"),
        "point_zeros": either_point & text.str.ends_with("00"),
        "whole_small": text.str.contains(WHOLE_SMALL),
        "whole_large": text.str.contains(WHOLE_LARGE),
        "point_decimal": text.str.contains(POINT_DECIMAL) & ~either_point,
    }
    # Numbers that a format holds as such say nothing about how its texts are written.
    written = [name for name in places if table.schema[name] == pl.String]
    for key, sign in (("place_points", r"\d\.\d"), ("place_commas", r"\d,\d")):
        hits = [pl.col(name).str.contains(sign).sum() for name in written]
        counts[key] = pl.sum_horizontal(hits) if hits else pl.lit(0)
    found = table.select(
        (e.sum() if not k.startswith("place") else e).fill_null(0).alias(k)
        for k, e in counts.items()
    )
    return {name: int(value) for name, value in found.row(0, named=True).items()}
