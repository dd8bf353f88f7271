"""The right answers to a folder of small inputs that go wrong, where it is at hand."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import polars as pl
import pytest

from csp_core.data.reading import import_records

CASES = Path(__file__).parents[2].parent / "shared" / "cases"
CASES = Path(os.environ.get("CSP_SHARED_CASES", CASES))
pytestmark = pytest.mark.skipif(
    not (CASES / "a03_ranges.csv").is_file(),
    reason="needs the folder of cases beside the project, as ../shared/cases, or its path in"
    " CSP_SHARED_CASES",
)


@pytest.fixture
def load(tmp_path):
    """Import a case: its records, and the report."""

    def run(name):
        report = import_records(CASES / name, tmp_path / "out.parquet")
        assert report.rows_read == report.rows_kept + sum(report.dropped.values())
        return pl.read_parquet(tmp_path / "out.parquet"), report

    return run


def told(report, word):
    everything = report.dropped | report.changed | report.flagged
    return sum(n for reason, n in everything.items() if word in reason)


def test_uncertainty_with_thousands(load):
    table, report = load("e23_uncertainty_thousands.csv")
    assert table["uncertainty_m"].to_list() == [28512, 1000, 50]
    assert "comma of thousands in `coordinateUncertaintyInMeters`" in str(report)


def test_ranges(load):
    table, report = load("a03_ranges.csv")
    dated = [i + 1 for i, date in enumerate(table["date"]) if date is not None]
    assert dated == [3, 8] and set(table["date"].drop_nulls()) == {datetime.date(2019, 5, 1)}
    assert sum(report.changed.values()) == 8 and "first day of an interval" in str(report)


def test_years_months_and_days(load):
    table, report = load("a04_ymd_no_eventdate.csv")
    assert table["date"].to_list() == [datetime.date(2020, 5, 1), datetime.date(2020, 5, 2)]
    table, report = load("ymd_season.csv")
    assert table["date"].null_count() == 0 and told(report, "year, month and day") == 600


def test_absences(load):
    for name in ("a06_individualcount0.csv", "c07_obis_flat.parquet"):
        table, report = load(name)
        assert (len(table), told(report, "absence")) == (1, 1)


def test_zoo_and_fossil(load):
    table, report = load("a13_living_fossil.csv")
    assert len(table) == 4 and {i for r in report.flagged for i, _ in report.examples[r]} >= {
        2,
        3,
        4,
    }
    assert len(report.flagged) == 3


def test_spellings(load):
    table, report = load("a08_authors.csv")
    assert set(table["scientific_name"]) == {"Turdus merula", "Passer domesticus"}
    assert sum(report.changed.values()) == 3
    table, report = load("spellings_train.csv")
    assert table["scientific_name"].value_counts(sort=True).rows() == [
        ("Turdus merula", 100),
        ("Parus major", 20),
    ]
    assert len(report.spellings["Turdus merula"]) == 4


def test_open_names(load):
    table, report = load("a10_open_names.csv")
    assert sum(report.dropped.values()) == 18 and sum(report.flagged.values()) == 2
    assert "Anas × rubripes" in set(table["scientific_name"])


def test_exchanged_coordinates(load):
    table, report = load("a45_latlon_swapped.csv")
    assert len(table) == 2 and told(report, "look swapped") == 2


def test_hemispheres(load):
    table, report = load("e17_longitude_dir_cols.csv")
    assert table.select("lon", "lat").rows() == [(151.2, -33.9)] and told(report, "hemisphere") == 1


def test_datums(load):
    table, report = load("a11_geodeticdatum.csv")
    assert told(report, "brought to WGS84") == 3
    assert table["lat"].to_list() == pytest.approx([35.6832, 52.5, 52.519, 45.0], abs=1e-3)


def test_coordinates_as_text(load):
    table, report = load("a39_textcoords.csv")
    assert table["lat"].to_list() == [52.5, 52.5, -33.9, 52.5, -33.9]
    assert told(report, "degrees written as text") == 5


def test_a_file_to_train_on(load):
    table, report = load("dirty.csv")
    assert set(table["scientific_name"]) == {"Turdus merula", "Parus major"}
    assert len(table) == 180 and told(report, "not that of a species") == 120
