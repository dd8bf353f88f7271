"""Numbers in a table to probe that stand for "no value", though nobody said so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from csp_core.location.holes import CODES, FILL, SEVERAL, Extremes, is_code

Floats = NDArray[np.float64]
# How often a number that is no usual code must stand apart from all others to be told, and how
# many codes are named.
OFTEN, NAMED = 2, 5
# A value's square, summed over all rows, is a number still; floats end soon after LAST.
LARGEST, LAST = 1e100, 1e308


def without_codes(
    table: pl.DataFrame,
    numbers: pl.Series,
    name: str,
    *,
    take: bool,
    classes: bool = False,
    beside: Sequence[str] = (),
) -> tuple[pl.DataFrame, list[str]]:
    """Leave out rows whose value is a usual code for none, far from all other values.

    Of amounts, any other number that is repeated far from all others stays, and is told.

    Args:
        table: The rows.
        numbers: Their values, null where one is no number.
        name: Of the column.
        take: Whether codes are taken for no value; otherwise they stay, and are told.
        classes: Whether the numbers are those of classes.
        beside: Words for no value that were left out before, which ``--missing`` has to name too.

    Returns:
        The other rows; and a sentence for each kind of number that stands apart.
    """
    values = numbers.cast(pl.Float64).fill_null(np.nan).to_numpy()
    found = _codes(values)
    coded = is_code(values, found)
    rest = values[np.isfinite(values) & ~coded]
    notes = [_told(values[coded], rest, name, beside, take=take)] if found else []
    if not classes:
        notes += _repeated(rest, name, beside)
    return (table.filter(pl.Series(~coded)) if take and found else table), notes


def among_words(numbers: pl.Series, name: str, beside: Sequence[str]) -> list[str]:
    """Tell of usual codes for no value among classes that are words, where they stay a class.

    Args:
        numbers: The values, null where one is no number.
        name: Of the column.
        beside: As for ``without_codes``.

    Returns:
        A sentence, or none.
    """
    values = numbers.cast(pl.Float64).fill_null(np.nan).to_numpy()
    which, counts = np.unique(values[is_code(values, CODES)], return_counts=True)
    if not len(which):
        return []
    words = ",".join((*beside, *map(_plain, which[:NAMED])))
    return [
        f"{name} holds {_listed(which, counts)}, a class among words; if that stands for no value,"
        f" say --missing {words}."
    ]


def _told(coded: Floats, rest: Floats, name: str, beside: Sequence[str], *, take: bool) -> str:
    """Say which codes there are, and what became of their rows."""
    which, counts = np.unique(coded, return_counts=True)
    span = f"far from all its other values ({rest.min():g} to {rest.max():g})"
    said = f"{name} holds {_listed(which, counts)}, {span}, as programs write for no value"
    words = ",".join((*beside, *map(_plain, which[:NAMED])))
    if take:
        rows = "1 row is" if len(coded) == 1 else f"{len(coded):,} rows are"
        return (
            f"{rows} left out: {said}. --missing {words} says the same;"
            f" --missing {','.join(beside) or 'none'} keeps such rows."
        )
    return (
        f"{said}; these rows are kept, as --missing does not name them. --missing {words} leaves"
        " them out."
    )


def _codes(values: Floats) -> list[float]:
    """Find the codes; the fill value of climate models is one however seldom it stands there."""
    seen = Extremes()
    seen.add(values)
    # What is beyond all quantities and no end of floating-point numbers is a mistake, told later.
    found = {code for code in seen.holes() if abs(code) <= LARGEST or abs(code) >= LAST}
    known = values[np.isfinite(values)]
    fill = np.isclose(np.abs(known), FILL, rtol=1e-6)
    if fill.any() and np.abs(known[~fill]).max(initial=0.0) < FILL / 10:
        found |= set(known[fill].tolist())
    return sorted(found) if len(known[~is_code(known, found)]) else []


def _repeated(values: Floats, name: str, beside: Sequence[str]) -> list[str]:
    """Tell of a number at either end, repeated, and farther from the others than they spread."""
    different, counts = np.unique(values, return_counts=True)
    if len(different) <= SEVERAL:
        return []
    notes = []
    for end, others in ((0, different[1:]), (-1, different[:-1])):
        gap = float(np.abs(others - different[end]).min())
        if counts[end] >= OFTEN and gap > np.ptp(others):
            words = ",".join((*beside, _plain(different[end])))
            notes.append(
                f"{name} holds {_listed(different[[end]], counts[[end]])}, far from all its other"
                f" values ({others[0]:g} to {others[-1]:g}); if that stands for no value, say"
                f" --missing {words}."
            )
    return notes


def _listed(values: Floats, counts: NDArray[np.int64]) -> str:
    """Name the values, each with its rows."""
    pairs = list(zip(values.tolist(), counts.tolist(), strict=True))
    said = [f"{_plain(value)} in {rows:,} row{'s' * (rows > 1)}" for value, rows in pairs]
    beyond = [f"{len(said) - NAMED:,} more such values"] if len(said) > NAMED else []
    return " and ".join(said[:NAMED] + beyond)


def _plain(value: float) -> str:
    """Write a number with all its digits, as ``--missing`` takes it."""
    return repr(float(value)).removesuffix(".0")
