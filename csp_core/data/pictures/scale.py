"""Which values of a raster are none, and how the others become a picture's 0 to 255."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from csp_core.errors import BadRecordError

Array = npt.NDArray[Any]
# What programs write where a sensor saw nothing, if the file does not say which value that is.
USUAL = (-9999.0, -99999.0, -32768.0)
# Beyond this, numbers of 32 bits stand for none: ±3.4e38, 9.97e36 of netCDF, 1e20.
HUGE = 1e19
# The parts of the values that are darker than black and brighter than white.
TAILS = (0.001, 0.999)
# A little below zero is noise of a quantity that has none; more is a scale of its own.
NOISE = 0.01


def holes(values: Array, nodata: float | None) -> npt.NDArray[np.bool_]:
    """Find what is no data.

    Args:
        values: Of any shape.
        nodata: The value that the file declares for it, or None.

    Returns:
        The same shape: no number, infinite, or the declared value; without one, values that are
        usual for it.
    """
    if values.dtype.kind not in "if" and nodata is None:
        return np.zeros(values.shape, dtype=bool)
    found = ~np.isfinite(values)
    if nodata is None and values.dtype.kind == "f":
        found |= np.abs(values) >= HUGE
    for value in USUAL if nodata is None else (nodata,):
        # In the file's own kind of number, as -3.4e38 has other digits in double precision.
        if math.isfinite(value) and _fits(value, values.dtype):
            found |= values == np.asarray(value).astype(values.dtype)
    return found


def _fits(value: float, kind: np.dtype[Any]) -> bool:
    if kind.kind == "f":
        return True
    limits = np.iinfo(kind)
    return value == int(value) and limits.min <= value <= limits.max


@dataclass(frozen=True)
class Scale:
    """What becomes black and what becomes white.

    Args:
        low: Value that becomes 0.
        high: Value that becomes 255.
        nodata: The value that the file declares for no data, or None.
        notes: Sentences on both.
    """

    low: float
    high: float
    nodata: float | None
    notes: tuple[str, ...] = ()

    def apply(self, values: Array) -> npt.NDArray[np.uint8]:
        """Bring values to a picture's.

        Args:
            values: Of any shape.

        Returns:
            The same shape; 0 where there is no data.
        """
        empty = holes(values, self.nodata)
        part = (values.astype(np.float32) - self.low) / (self.high - self.low) * 255
        part[empty] = 0
        return part.clip(0, 255).round().astype(np.uint8)


def find_scale(values: Array, nodata: float | None, name: str = "") -> Scale:
    """Find what is black and what is white: 0 and the brightest thousandth, without what is none.

    Values below zero, as decibels of radar, have their darkest thousandth black.

    Args:
        values: Some of the values.
        nodata: The value that the file declares for no data, or None.
        name: What to call the file.

    Returns:
        The scale.

    Raises:
        BadRecordError: If there is no data at all.
    """
    guess = () if nodata is not None else _topmost(values)
    nodata = guess[0] if guess else nodata
    empty = holes(values, nodata)
    known = values[~empty].astype(np.float64)
    if not known.size:
        raise BadRecordError(
            f"The TIFF holds no data: all its values are {_named(nodata)}, which stands for none.",
            file=name or None,
        )
    low, high = (float(edge) for edge in np.quantile(known, TAILS))
    notes = tell_holes(float(empty.mean()), nodata)
    if guess:
        notes += (f"The file declares no value for that; all others are up to {known.max():g}.",)
    if low < 0 and low < -NOISE * max(high, 0.0):
        notes += (
            f"Values below zero, as decibels have: {low:.3g} became black and {high:.3g} white.",
        )
    else:
        low = 0.0
    return Scale(low, high if high > low else low + 1e-12, nodata, notes)


def _topmost(values: Array) -> tuple[float, ...]:
    """Guess that the largest whole number of its kind is none, if the others are far below it."""
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 2:
        return ()
    top = np.iinfo(values.dtype).max
    rest = values[values != top]
    # With nothing but zeros beside it, it is the white of a mask.
    apart = 0 < rest.size < values.size and 0 < float(rest.max()) < top / 2
    return (float(top),) if apart else ()


def tell_holes(share: float, nodata: float | None) -> tuple[str, ...]:
    """Say how much of a picture is no data.

    Args:
        share: Part of the values, in [0, 1].
        nodata: The value that the file declares for it, or None.

    Returns:
        One sentence, none for a share of 0.
    """
    if not share:
        return ()
    part = "Less than 1 %" if share < 0.01 else f"{share:.0%}".replace("%", " %")
    return (f"{part} of the values are no data ({_named(nodata)}); they count as 0.",)


def _named(nodata: float | None) -> str:
    if nodata is None or math.isnan(nodata):
        return "no number" if nodata is not None else "no number, or such as -9999"
    return f"{nodata:g}"
