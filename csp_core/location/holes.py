"""Numbers that stand for "no value" in rasters and tables that do not say so."""

from __future__ import annotations

import logging
import math
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)
# What programs write: nines, and the ends of whole numbers.
_NINES = (99, 999, 9999, 99999, 999999, 99.9, 999.9, 9999.9, 99.99, 999.99)
_LOWEST = (-32768, -32767, -2147483648, -2147483647)
CODES = (*(sign * nines for nines in _NINES for sign in (-1, 1)), *_LOWEST)
# No measure of a climate or a land reaches this; the fill values of floats do.
BEYOND = 1e18
# A code stands apart from all other values by so much of itself.
APART = 0.1
# How many other values show that a code stands apart, and how often one above 0 must stand there.
FEW = 2


class Extremes:
    """The least and largest values that are no code, and how often each code stands there.

    Args:
        highest: The largest whole number that the values can be, which is a code too.
    """

    def __init__(self, highest: float | None = None) -> None:
        ends = [] if highest is None else [float(highest)]
        # As the numbers of single precision are, too.
        self._known = np.unique([*CODES, *np.array(CODES, np.float32).tolist(), *ends])
        self._least, self._largest, self._number = math.inf, -math.inf, 0
        self._seen: Counter[float] = Counter()

    def add(self, values: NDArray[Any]) -> None:
        """Look at some values.

        Args:
            values: Numbers of any shape, those that are known to be no value left out.
        """
        known = values[np.isfinite(values)].astype(np.float64)
        coded = np.isin(known, self._known) | (np.abs(known) >= BEYOND)
        found, counts = np.unique(known[coded], return_counts=True)
        self._seen.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))
        rest = known[~coded]
        if rest.size:
            self._least = min(self._least, float(rest.min()))
            self._largest = max(self._largest, float(rest.max()))
            self._number += rest.size

    def holes(self) -> dict[float, int]:
        """Tell which codes stand for no value.

        Returns:
            Code to how often it stands there: what is far from all other values, or what no
            measure reaches.

        Example:
            >>> seen = Extremes()
            >>> seen.add(np.array([-9999.0, -9999.0, 3.5, 400.0, -99.0]))
            >>> seen.holes()
            {-9999.0: 2, -99.0: 1}
        """
        return {code: count for code, count in sorted(self._seen.items()) if self._is_hole(code)}

    def _is_hole(self, code: float) -> bool:
        if abs(code) >= BEYOND:
            return True
        far = APART * abs(code)
        if code < 0:
            return self._number >= FEW and code < self._least - far
        return min(self._number, self._seen[code]) >= FEW and code > self._largest + far


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
    holes = seen.holes()
    for code, count in holes.items():
        tell(file, column, code, count)
    return np.where(np.isin(values, list(holes)), np.nan, values) if holes else values


def tell(file: str, column: str, code: float, count: int) -> None:
    """Say that a number is taken for no value.

    Args:
        file: Name of the file.
        column: Name of the column or band.
        code: The number.
        count: How often it stands there.
    """
    log.warning(
        "%s: %r holds %g %s times, far from all its other values; it is taken for 'no value',"
        " though the file does not say so.",
        file,
        column,
        code,
        f"{count:,}",
    )
