"""Numbers that stand for "no value" in rasters and tables that do not say so."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)
# What programs write: nines, and the ends of whole numbers. Nines below these are depths, shares
# and temperatures as often.
_NINES = (999, 9999, 99999, 999999, 999.9, 9999.9, 999.99)
# The fill value of climate models, plain as well.
FILL = 1e20
_LOWEST = (-32768, -32767, -2147483648, -2147483647)
CODES = (*(sign * code for code in (*_NINES, FILL) for sign in (-1, 1)), *_LOWEST)
# No quantity reaches this; the fill values of floats do.
BEYOND = 1e30
# From here down a code that stands apart is plain, however seldom it stands there.
PLAIN = -9999
# Below this, codes are found among values too, and more must speak for one.
SMALL = 1000
# A code stands apart from all other values by so much of itself; the largest whole number, which
# may be white or full, by more.
APART, APART_HIGHEST = 0.1, 0.25
# How many other values show that a code stands apart, how often one that is not plain must stand
# there, and how many different values show it for one that may be a value as well.
FEW, SEVERAL = 2, 3
# Values that are told apart, as many as 8 bits have; and of those that no quantity reaches.
MOST, MOST_BEYOND = 256, 3


class Extremes:
    """The least and largest values that are no code, and how often each code stands there.

    Args:
        highest: The largest whole number that the values can be, which is a code too.
    """

    def __init__(self, highest: float | None = None) -> None:
        # As the numbers of single precision are, too.
        self._known = {*map(float, CODES), *np.array(CODES, np.float32).tolist()}
        self._highest = None if highest is None else float(highest)
        if self._highest is not None:
            self._known.add(self._highest)
        self._least, self._largest, self._number = math.inf, -math.inf, 0
        self._different = np.empty(0)
        self._seen: Counter[float] = Counter()

    def add(self, values: NDArray[Any]) -> None:
        """Look at some values.

        Args:
            values: Numbers of any shape, those that are known to be no value left out.
        """
        known = values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()
        # A code between other values is none, so only the ends are asked for.
        while known.size:
            least, largest = float(known.min()), float(known.max())
            found = [end for end in (least, largest) if self._may_be(end)]
            if not found:
                self._add_values(known, least, largest)
                return
            apart = is_code(known, found)
            self._add_codes(known[apart])
            known = known[~apart]

    def _may_be(self, value: float) -> bool:
        return value in self._known or abs(value) >= BEYOND

    def _add_values(self, known: NDArray[Any], least: float, largest: float) -> None:
        self._least, self._largest = min(self._least, least), max(self._largest, largest)
        self._number += known.size
        if len(self._different) <= (SEVERAL if self._highest is None else MOST):
            if known.dtype == np.uint8:
                different = np.flatnonzero(np.bincount(known))
            else:
                different = np.unique(known)
            self._different = np.union1d(self._different, different.astype(np.float64))

    def _add_codes(self, codes: NDArray[Any]) -> None:
        found, counts = np.unique(codes, return_counts=True)
        for code, count in zip(found.tolist(), counts.tolist(), strict=True):
            # A fill value that was averaged with others leaves ever new ones.
            beyond = sum(abs(other) >= BEYOND for other in self._seen)
            if code in self._seen or abs(code) < BEYOND or beyond < MOST_BEYOND:
                self._seen[float(code)] += count

    def holes(self) -> dict[float, int]:
        """Tell which codes stand for no value.

        Returns:
            Code to how often it stands there: what is far from all other values, or what no
            quantity reaches.

        Example:
            >>> seen = Extremes()
            >>> seen.add(np.array([-9999.0, -9999.0, 3.5, 400.0, -99.0]))
            >>> seen.holes()
            {-9999.0: 2}
        """
        return {code: count for code, count in sorted(self._seen.items()) if self._is_hole(code)}

    def _is_hole(self, code: float) -> bool:
        if abs(code) >= BEYOND:
            return True
        gap = self._least - code if code < 0 else code - self._largest
        if self._number < FEW or gap <= APART * abs(code):
            return False
        if code <= PLAIN:
            return True
        if self._seen[code] < FEW:
            return False
        if abs(code) >= SMALL and code != self._highest:
            return True
        different = len(self._different)
        if different < SEVERAL or code != self._highest:
            return different >= SEVERAL
        # Steps of a scale, such as 0, 85, 170 and 255, go on to its end.
        step = float(np.diff(self._different).max()) if different <= MOST else 0.0
        return gap >= APART_HIGHEST * code and gap > 2 * step


def is_code(values: NDArray[Any], codes: Iterable[float]) -> NDArray[np.bool_]:
    """Find codes among values.

    Args:
        values: Of any shape.
        codes: Those to find; one that no quantity reaches stands for all others of that kind.

    Returns:
        The same shape.
    """
    found = np.zeros(values.shape, dtype=bool)
    far = [code for code in codes if abs(code) >= BEYOND]
    for code in codes:
        if code not in far:
            found |= values == code
    return found | (np.isfinite(values) & (np.abs(values) >= BEYOND)) if far else found


def none_of(
    file: str, column: str, holes: Mapping[float, int], declared: bool = False
) -> tuple[float, ...]:
    """Choose the codes to take for no value, and say so.

    Args:
        file: Name of the file, for the sentence.
        column: Name of the column or band.
        holes: Code to how often it stands there.
        declared: Whether the file names a number for no value itself.

    Returns:
        The only one; of several, and beside a declared one, those that are plain.
    """
    alone = len(holes) == 1 and not declared
    chosen = [code for code in holes if alone or code <= PLAIN or abs(code) >= FILL]
    for code, count in holes.items():
        if code in chosen:
            why = "it is taken for 'no value', though the file does not say so."
        else:
            why = "it stays a value, as another number stands for 'no value' there or may do so."
        log.warning(
            "%s: %r holds %g %s times, far from all its other values; %s",
            *(file, column, code, f"{count:,}", why),
        )
    return tuple(chosen)


def without_codes(file: str, column: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the codes for no value out of a column, and say so.

    Args:
        file: Name of the table, for the sentence.
        column: Name of the column.
        values: ``(N,)``.

    Returns:
        ``(N,)``, NaN in place of codes.
    """
    seen = Extremes()
    seen.add(values)
    codes = none_of(file, column, seen.holes())
    return np.where(is_code(values, codes), np.nan, values) if codes else values
