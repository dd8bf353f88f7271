"""Köppen's main climates, by the monthly means of invented places of a known kind."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
# January to December, degrees Celsius and millimetres; of the north, and turned for the south.
RAINFOREST = ([27] * 12, [200] * 12)
DESERT = ([14, 16, 19, 24, 28, 31, 32, 31, 29, 25, 19, 15], [5, 3, 3, 1, 0, 0, 0, 0, 0, 1, 3, 5])
OCEANIC = ([5, 5, 7, 9, 13, 16, 18, 18, 15, 12, 8, 6], [50] * 12)
TAIGA = ([-20, -17, -9, 0, 8, 14, 17, 14, 7, -2, -12, -18], [30, 25, 25, 30, 40, 60, 70] + [50] * 5)
TUNDRA = ([-25, -25, -24, -16, -6, 2, 6, 5, -1, -10, -18, -23], [10] * 12)
# As much rain as the limit of a dry summer allows, and of a wet one forbids.
WINTER_RAIN = ([10] * 3 + [20] * 6 + [10] * 3, [50] * 3 + [3] * 6 + [50] * 3)
SUMMER_RAIN = ([10] * 3 + [20] * 6 + [10] * 3, [3] * 3 + [50] * 6 + [3] * 3)


@pytest.mark.parametrize(
    ("months", "climate"),
    [(RAINFOREST, "A"), (DESERT, "B"), (OCEANIC, "C"), (TAIGA, "D"), (TUNDRA, "E"),
     (WINTER_RAIN, "C"), (SUMMER_RAIN, "B")],
)  # fmt: skip
def test_main_climates(
    months: tuple[list[int], list[int]], climate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    koppen = importlib.import_module("koppen")
    north = np.array(months, np.float64)
    both = np.stack((north, np.roll(north, 6, axis=1)), axis=2)
    found = koppen.main_climates(both[0], both[1], np.array([50.0, -50.0]))
    assert [koppen.CLIMATES[number][-2] for number in found] == [climate, climate]
