"""Sentences made of facts: several forms for every set of facts, and how a class is called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# A caption may say where, in which month, and what. Of each set of facts there are some forms, so
# that a model cannot learn one sentence by heart.
WHERE, MONTH, THING = "where", "month", "thing"
FORMS: Mapping[tuple[str, ...], tuple[str, ...]] = {
    (WHERE,): (
        "{where}",
        "a place {where}",
        "somewhere {where}",
        "a picture made {where}",
        "what it looks like {where}",
    ),
    (WHERE, MONTH): (
        "{where} in {month}",
        "a place {where} in {month}",
        "a day in {month} {where}",
        "a picture made {where} in {month}",
        "{month}, {where}",
    ),
    (THING,): (
        "{thing}",
        "a picture of {thing}",
        "this is {thing}",
        "{thing} can be seen",
    ),
    (MONTH, THING): (
        "{thing} in {month}",
        "a picture of {thing} in {month}",
        "{thing}, {month}",
        "{thing} can be seen in {month}",
    ),
    (WHERE, THING): (
        "{thing} {where}",
        "{where}: {thing}",
        "a picture of {thing} {where}",
        "{thing}, seen {where}",
        "this is {thing} {where}",
    ),
    (WHERE, MONTH, THING): (
        "{thing} {where} in {month}",
        "{where} in {month}: {thing}",
        "a picture of {thing} {where}, made in {month}",
        "{thing}, seen {where} in {month}",
        "{month}: {thing} {where}",
    ),
}
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
# A word that begins where a small letter or a digit ends: AnnualCrop.
_JOINT = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_+")


def fill(facts: Mapping[str, str], form: int) -> str:
    """Write a caption.

    Args:
        facts: ``where``, ``month`` and ``thing`` to words; empty or missing where unknown.
        form: Any number from 0; it chooses the form.

    Returns:
        The caption; empty where neither place nor class is known, as a month alone tells nothing of
        a picture.

    Example:
        >>> fill({"where": "near Bergen, Norway", "month": "June", "thing": "forest"}, 0)
        'forest near Bergen, Norway in June'
        >>> fill({"month": "June"}, 0)
        ''
    """
    known = tuple(key for key in (WHERE, MONTH, THING) if facts.get(key))
    if known in ((), (MONTH,)):
        return ""
    forms = FORMS[known]
    return forms[form % len(forms)].format_map(facts)


def class_words(name: str, common_name: str = "", *, taxa: bool = False) -> str:
    """Call a class as people would in a sentence.

    Args:
        name: Its name in the data.
        common_name: Its common name, which is taken where there is one.
        taxa: Whether it is a taxon, whose name is left as it is written.

    Returns:
        Its words.

    Example:
        >>> class_words("AnnualCrop"), class_words("airport_hangar"), class_words("SeaLake")
        ('annual crop', 'airport hangar', 'sea lake')
        >>> class_words("Passer domesticus", taxa=True)
        'Passer domesticus'
    """
    # Spreadsheets take a cell that begins so for a formula.
    given = (common_name or name).strip().lstrip("=+-@\t\r ")
    if taxa:
        return " ".join(given.split())
    words = _JOINT.sub(" ", given).split()
    return " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in words)


def listed(words: Sequence[str]) -> str:
    """Put several things into one phrase.

    Args:
        words: What to list.

    Returns:
        The phrase.

    Example:
        >>> listed(["forest", "pastures", "water"])
        'forest, pastures and water'
    """
    *first, last = words or ("",)
    return f"{', '.join(first)} and {last}" if first else last


def month_of(date: float) -> str:
    """Name the month of a part of the year.

    Args:
        date: In [0, 1), 0 on 1 January; NaN where unknown.

    Returns:
        Its English name; empty where the date is not known. In leap years a day at the end of a
        month may count as one of the next.

    Example:
        >>> month_of(0.0), month_of(31 / 365), month_of(364 / 365), month_of(float("nan"))
        ('January', 'February', 'December', '')
    """
    if date != date:
        return ""
    day = int(date * 365 + 0.5)
    return next(name for name, end in zip(MONTHS, _ENDS, strict=True) if day < end)


_ENDS = (31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 366)
