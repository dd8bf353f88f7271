"""Files of trouble that lie beside the project: each with its right answer."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest

from csp_core.data import read_occurrences
from csp_core.data.reading import import_records
from csp_core.errors import BadRecordError

CASES = Path(__file__).parents[3].parent / "shared" / "cases"
CASES = Path(os.environ.get("CSP_SHARED_CASES", CASES))
pytestmark = pytest.mark.skipif(
    not CASES.is_dir(),
    reason="needs the cases: put them beside the project as ../shared/cases, or name their folder"
    " in CSP_SHARED_CASES",
)


def day(*of: int) -> datetime.date:
    return datetime.date(*of)


# File -> places, days where they matter, and what must be said.
RIGHT = {
    "d05_gbif_dcterms_date.zip": (
        [(13.4, 52.5), (13.4, 52.6)],
        [day(2019, 5, 1), day(2019, 7, 1)],
        "not from 'dcterms:date'",
    ),
    "b01_multipoint.geojson": (
        [(13.4, 52.5), (11.5, 48.1), (2.3, 48.8)],
        None,
        "several points: 3",
    ),
    "b10_antimer_poly.geojson": ([(180, -16.5)], None, "areas or lines: 1"),
    "d01_event_parent.zip": (
        [(3.2, 54.5), (4, 55)],
        [day(2019, 6, 1), day(2019, 6, 2)],
        "part of: 1",
    ),
    "a16_dup_columns_first_blank.csv": ([(13.4, 52.5), (11, 48)], None, "first is empty: 4"),
    "e05_gbif_page.json": ([(13.4, 52.5)], None, "1 of 54,321"),
    "a01_sep_line.csv": (
        [(13.4, 52.5), (11.5, 48.1)],
        [day(2020, 5, 1), day(2020, 5, 2)],
        "names the delimiter",
    ),
    "a42_preamble.csv": ([(13, 52)], None, "2 lines before the header"),
    "a26_ndjson.json": ([(13, 52), (13, 52)], None, "json lines"),
    "a17_nbn.csv": ([(-0.1, 51.5)], [day(2019, 5, 1)], "Latitude (WGS84)"),
    "d02_camtrapdp.zip": ([(4.0, 50.7)], [day(2020, 5, 2)], "joined to its deployment"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_answer(name, tmp_path):
    places, days, said = RIGHT[name]
    records, report = read_occurrences(CASES / name)
    found = records.table.select("lon", "lat").rows()
    assert [pytest.approx(place, abs=0.01) for place in places] == found
    assert days is None or records.table["date"].to_list() == days
    assert said in str(report)
    assert import_records(CASES / name, tmp_path / "out.parquet").rows_kept == len(places)


def test_the_uncertainty_of_an_area():
    records, _ = read_occurrences(CASES / "b10_antimer_poly.geojson")
    assert records.table["uncertainty_m"].to_list() == pytest.approx([120_370], rel=1e-3)


def test_signs_that_nobody_sees():
    records, report = read_occurrences(CASES / "e01_one_nul.csv")
    assert set(records.table["scientific_name"]) == {"Turdus merula", "Parus major"}
    assert sum(n for reason, n in report.changed.items() if "invisible" in reason) == 2


def test_a_spreadsheet_without_a_table_says_what_would_work():
    with pytest.raises(BadRecordError, match="export the sheet as CSV"):
        read_occurrences(CASES / "a29.ods")
