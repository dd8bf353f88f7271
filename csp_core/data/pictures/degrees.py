"""Degrees as photos write them, whose sign, letter and reference may contradict each other."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

# What is printed for degrees, minutes, seconds and a minus, brought to what a keyboard has.
SIGNS = str.maketrans({"−": "-", "–": "-", "º": "°", "˚": "°", "’": "'", "′": "'", "″": '"',
                       "”": '"'})  # fmt: skip
NUMBER = r"\d{1,12}(?:\.\d{0,12})?"
LETTER = r"N(?:orth)?|S(?:outh)?|E(?:ast)?|W(?:est)?"
ANGLE = re.compile(
    rf"(?P<before>{LETTER})?\s*(?P<sign>[+-])?\s*(?P<degrees>{NUMBER})\s*°?"
    rf"(?:\s*[,:\s]?\s*(?<![\d.])(?P<minutes>{NUMBER})\s*'?"
    rf"(?:\s*[,:\s]?\s*(?<![\d.])(?P<seconds>{NUMBER})\s*(?:\"|'')?)?)?"
    rf"\s*(?P<after>{LETTER})?",
    re.IGNORECASE,
)
ONE_NUMBER = re.compile(
    rf"(?:{LETTER})?\s*[+-]?\s*\d{{1,12}}(?:[.,]\d{{0,12}})?\s*°?\s*(?:{LETTER})?", re.IGNORECASE
)
# "28,18" may be minutes, as the standard has it, or decimals, as a letter of its own is none.
UNSURE = re.compile(r"[+-]?\d{1,3},\d+°?")
# A part behind the point that rounding may leave, and how long an angle is written at most.
ROUNDING, LONGEST = 1e-6, 60


class NoAngleError(ValueError):
    """What stands there is no angle, for a reason that is told in part of a sentence."""


def of_parts(parts: Sequence[float], reference: str, signs: str) -> float | None:
    """Add up degrees, minutes and seconds, signed by a reference or by themselves.

    Args:
        parts: One to three numbers. They carry their sign together: -33, 51, 28.8 is south.
        reference: ``N``, ``south``, … or ``""``.
        signs: The letters of the positive and the negative side, such as ``NS``.

    Returns:
        Degrees; NaN where a part is no number; None where nothing names the side.

    Raises:
        NoAngleError: If parts, sign and reference do not fit together.

    Example:
        >>> of_parts([-33, 51, 28.8], "S", "NS"), of_parts([0, -30, 0], "", "NS")
        (-33.858, -0.5)
        >>> of_parts([33.858], "", "NS") is None
        True
    """
    if not all(math.isfinite(part) for part in parts):
        return math.nan
    below = [math.copysign(1, part) < 0 for part in parts]
    first = next((i for i, part in enumerate(parts) if part or below[i]), 0)
    if any(below) and not below[first]:
        raise NoAngleError("has parts of both signs")
    degrees, *finer = sizes = [abs(part) for part in parts]
    if any(part > 60 for part in finer):
        raise NoAngleError("has minutes or seconds above 60")
    for number, part in enumerate(sizes):
        if part % 1 > ROUNDING and any(sizes[number + 1 :]):
            raise NoAngleError("has a fraction of degrees or minutes, and then minutes or seconds")
    total = math.fsum((degrees, *(part / 60.0**i for i, part in enumerate(finer, 1))))
    letter = reference[:1].upper()
    if letter and (letter not in signs or (below[first] and letter == signs[0] and total)):
        raise NoAngleError(f"and the reference {reference} contradict each other")
    if not letter and not below[first]:
        return None
    return -total if below[first] or letter == signs[1] else total


def of_decimal(text: str, reference: str, signs: str) -> tuple[float, bool, bool]:
    """Read decimal degrees, in whose vocabularies a comma parts decimals and no minutes.

    Args:
        text: One number, maybe with a sign or a letter.
        reference: What another tag says of the side, or ``""``.
        signs: The letters of the positive and the negative side, such as ``NS``.

    Returns:
        Degrees, whether the side is only guessed, and whether a comma was read as a point.

    Raises:
        NoAngleError: If it is no one number, or sign, letter and reference contradict each other.

    Example:
        >>> of_decimal("-33,45", "", "NS"), of_decimal("18.5", "E", "EW")
        ((-33.45, False, True), (18.5, False, False))
    """
    if not ONE_NUMBER.fullmatch(text.translate(SIGNS).strip()):
        # Degrees, minutes and seconds with their signs are not meant there, and yet are plain.
        if "," in text or not re.search("[°']", text.translate(SIGNS)):
            raise NoAngleError("cannot be read")
        return (*of_text(text, reference, signs), False)
    return (*of_text(text.replace(",", "."), reference, signs), "," in text)


def of_text(text: str, reference: str, signs: str) -> tuple[float, bool]:
    """Read an angle as XMP writes it: ``18,32.7S``, ``18,32,42S``, or degrees with or without sign.

    Args:
        text: The angle.
        reference: What another tag says of the side, or ``""``.
        signs: The letters of the positive and the negative side, such as ``NS``.

    Returns:
        Degrees, and whether the side is only guessed: decimal degrees without a sign, letter or
        reference count as positive.

    Raises:
        NoAngleError: If it cannot be read, or sign, letter and reference contradict each other.

    Example:
        >>> of_text("18,32.7S", "", "NS"), of_text("-14.1606", "W", "EW")
        ((-18.545, False), (-14.1606, False))
        >>> of_text("28.1844", "", "NS")
        (28.1844, True)
    """
    text = text.translate(SIGNS).strip()
    match = ANGLE.fullmatch(text) if len(text) <= LONGEST else None
    if match is None:
        raise NoAngleError("cannot be read")
    parts = [float(part) for part in match.group("degrees", "minutes", "seconds") if part]
    said = [letter for letter in (match["before"], match["after"], reference) if letter]
    letters = {letter[0].upper() for letter in said}
    if len(letters) > 1:
        raise NoAngleError(f"and the reference {said[-1]} contradict each other")
    # The sign is that of all parts: -0,30 is half a degree to the south.
    total = of_parts(parts, signs[0], signs) or 0.0
    if match["sign"] == "-":
        return of_parts([-total], "".join(letters), signs) or -total, False
    side = of_parts([total], "".join(letters), signs)
    if side is not None:
        return side, False
    if len(parts) > 1 and match["sign"] is None:
        raise NoAngleError("does not say on which side of the equator or of Greenwich it is")
    return total, match["sign"] is None
