"""What charts draw of a run's numbers."""

from __future__ import annotations

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
