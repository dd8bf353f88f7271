"""Angles that stand as text: degrees, minutes and seconds, letters, signs of any kind."""

from __future__ import annotations

import polars as pl

# Signs that people type for one another, brought to one.
SIGNS = {
    **dict.fromkeys("−–—‐‑﹣－", "-"),
    **dict.fromkeys("º˚∘", "°"),
    **dict.fromkeys("′’‘ʹʼ`´", "'"),
    **dict.fromkeys("″”“ʺ", '"'),
    **dict.fromkeys("\u00a0\u2009\u202f\u200a\u2007\t", " "),
    "''": '"',
}
_NUMBER = r"\d+(?:[.,]\d+)?"
ANGLE = (
    r"^([NSEW])?\s*([+-])?\s*(\d{1,3}(?:[.,]\d+)?)"
    rf"(?:(\s*(?:°|DEG(?:REES)?\.?|D|:)\s*|\s+)({_NUMBER})"
    rf"(?:(?:\s*(?:'|MIN\.?|M|:)\s*|\s+)({_NUMBER})\s*(?:\"|SEC\.?)?)?\s*(?:'|MIN\.?|M)?)?"
    r"\s*(°|DEG(?:REES)?\.?)?\s*([NSEW])?$"
)
LETTERS = {"lat": ("N", "S"), "lon": ("E", "W")}


def read_angle(text: pl.Expr, key: str) -> pl.Expr:
    """Read angles such as ``52.5°``, ``33.9 S``, ``E13.4``, ``33°54'03"S`` and ``−33,9``.

    A sign and a letter may stand together if they agree. Whole numbers alone with a space between
    them are none, as they may as well be two coordinates.

    Args:
        text: Text of one coordinate.
        key: ``lat`` or ``lon``: which letters are possible.

    Returns:
        Degrees, null where it is no angle or contradicts itself.

    Example:
        >>> texts = pl.DataFrame({"a": ["52.5°", "33.9 S", "−33°30'", "-33.9 N", "52 30"]})
        >>> texts.select(read_angle(pl.col("a"), "lat")).to_series().to_list()
        [52.5, -33.9, -33.5, None, None]
    """
    plain = text.str.replace_many(list(SIGNS), list(SIGNS.values())).str.to_uppercase()
    parts = plain.str.strip_chars().str.extract_groups(ANGLE).struct
    before, after, sign = parts[0], parts[7], parts[1]
    letter = pl.coalesce(before, after)
    degrees, minutes, seconds = (_number(parts[at]) for at in (2, 4, 5))
    whole = ~parts[2].str.contains("[.,]")
    # A space alone between two whole numbers may part two coordinates.
    marked = parts[3].str.contains(r"\S") | letter.is_not_null() | seconds.is_not_null()
    fits = minutes.is_null() | (whole & (minutes < 60) & (seconds.fill_null(0) < 60) & marked)
    negative, positive = LETTERS[key][1], LETTERS[key][0]
    known = letter.is_null() | letter.is_in([negative, positive])
    both = before.is_null() | after.is_null()
    agree = (
        sign.is_null()
        | letter.is_null()
        | ((sign == "-") & (letter == negative))
        | ((sign == "+") & (letter == positive))
    )
    value = degrees + minutes.fill_null(0) / 60 + seconds.fill_null(0) / 3600
    below = (sign == "-").fill_null(False) | (letter == negative).fill_null(False)
    return pl.when(fits & known & both & agree).then(pl.when(below).then(-value).otherwise(value))


def is_below(text: pl.Expr, key: str) -> pl.Expr:
    """Tell whether a coordinate is written as one in the south or west, 0 too.

    Args:
        text: Text of one coordinate.
        key: ``lat`` or ``lon``.

    Returns:
        Whether it begins with a sign below 0, or begins or ends with the letter.

    Example:
        >>> texts = pl.DataFrame({"a": ["−0", "0° S", "-1", "1 N", "0"]})
        >>> texts.select(is_below(pl.col("a"), "lat")).to_series().to_list()
        [True, True, True, False, False]
    """
    plain = text.str.replace_many(list(SIGNS), list(SIGNS.values())).str.to_uppercase()
    letter = LETTERS[key][1]
    return plain.str.strip_chars().str.contains(rf"^-|^{letter}|{letter}$")


def _number(text: pl.Expr) -> pl.Expr:
    return text.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
