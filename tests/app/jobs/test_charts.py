"""What charts draw of a run's numbers."""

from __future__ import annotations

from itertools import pairwise

import pytest

from jobs import charts
from jobs.charts import MOST_POINTS, points


def test_a_long_line_is_thinned_and_ends_where_it_ends() -> None:
    rows = [{"epoch": i, "loss": 1.0 / i} for i in range(1, 100_001)]
    found = points(rows, ("loss",), "epoch")
    assert MOST_POINTS <= len(found) <= 2 * MOST_POINTS
    assert found[-1] == {"x": 100_000, "y": 1e-5, "line": "loss, training"}


def test_a_short_line_has_all_its_points() -> None:
    rows = [{"epoch": i, "loss": float(i)} for i in range(1, 2 * MOST_POINTS)]
    assert [one["x"] for one in points(rows, ("loss",), "epoch")] == [r["epoch"] for r in rows]


def test_what_is_no_number_is_left_out() -> None:
    rows = [{"epoch": 1, "loss": None}, {"epoch": "2", "loss": 1.0}, {"epoch": 3, "loss": 0.5}]
    assert [one["x"] for one in points(rows, ("loss", "val_mrr"), "epoch")] == [3]


@pytest.mark.parametrize(("colours", "page"), [(charts.LIGHT, "#ffffff"), (charts.DARK, "#12181a")])
def test_lines_stand_out_from_the_page(colours: tuple[str, ...], page: str) -> None:
    ratios = [contrast(colour, page) for colour in colours]
    assert len(set(colours)) == 6 and min(ratios) >= 3, ratios


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_names_of_levels_cover_none_of_each_other() -> None:
    levels = {"b": 0.5, "a": 0.501, "c": 0.499, "alone": 2.0}
    shifts = charts.label_shifts(levels, [0.4, 3.0], 260)
    assert list(shifts) == ["alone", "a", "b", "c"] and shifts["alone"] == -5
    pixels = 0.9 * 260 / (3.0 - 0.4)
    places = [(3.0 - levels[name]) * pixels + shift for name, shift in shifts.items()]
    assert all(low - high >= 12.9 for high, low in pairwise(places))
    assert charts.label_shifts({"a": 1.0}, [1.0], 260) == {"a": -5.0}


def test_smoothing_leaves_other_numbers_and_the_run_as_they_are() -> None:
    rows = [{"epoch": number, "loss": float(number % 2)} for number in range(100)]
    found = charts.smoothed(rows, ["loss"])
    assert found[-1] == {"epoch": 99, "loss": 0.6} and rows[-1]["loss"] == 1.0
    assert [row["epoch"] for row in found] == list(range(100))


def test_smoothing_a_long_run_is_exact() -> None:
    rows = [{"loss": 1e30 if not number else number % 7} for number in range(10_000)]
    found = charts.smoothed(rows, ["loss"])
    assert found[-1]["loss"] == sum(number % 7 for number in range(9_500, 10_000)) / 500
