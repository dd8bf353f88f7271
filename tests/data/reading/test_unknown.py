"""What stands for "unknown" in a column is no value, and a date without a day is no day."""

from __future__ import annotations

import datetime

import polars as pl
import pytest

from csp_core.data import read_occurrences

DAY = datetime.date(2019, 5, 1)


@pytest.fixture
def read(tmp_path):
    """Read a table of one species at other columns: the table, and the report."""

    def run(header, *rows, place="{0},1"):
        lines = [f"species,lat,lon,{header}"]
        lines += [f"Aus bus,{place.format(2 + i / 10)},{row}" for i, row in enumerate(rows)]
        (tmp_path / "x.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        records, report = read_occurrences(tmp_path / "x.csv")
        return records.table, report

    return run


@pytest.mark.parametrize("code", ["-999", "-9999", "-9999.0", "9999", "999", "-99,-99", "1e20"])
def test_a_code_is_no_coordinate(read, code):
    lat, lon = code.split(",") if "," in code else (code, code)
    table, report = read("x", "1", place=f"{lat},{lon}")
    assert not len(table) and [
        ("out of range" in said, n) for said, n in report.dropped.items()
    ] == [(True, 1)]


@pytest.mark.parametrize("code", ["-999", "-9999", "-1", "999", "9999", "9999.0", "99999", "1e20",
                                  "3.4e38", "2147483647"])  # fmt: skip
def test_a_code_is_no_uncertainty(read, code):
    table, report = read("coordinateUncertaintyInMeters", code, "30")
    assert table["uncertainty_m"].to_list() == [None, 30.0]
    told = [reason for reason in report.changed if reason.startswith("uncertainty")]
    assert len(told) == 1 and told[0].endswith("set to empty")


@pytest.mark.parametrize("code", ["-999", "-9999", "9999", "0"])
@pytest.mark.parametrize("part", ["year", "month", "day"])
def test_a_code_is_no_part_of_a_date(read, code, part):
    row = {"year": "2019", "month": "5", "day": "1"} | {part: code}
    table, report = read("year,month,day", ",".join(row.values()), "2019,5,1")
    assert table["date"].to_list() == [None, DAY]
    assert report.changed["year, month and day are no date, left empty"] == 1


def test_a_one_is_a_month_and_a_day_but_no_year(read):
    table, report = read("year,month,day", "2019,1,2", "2019,2,1", "1,2,3")
    assert table["date"].to_list() == [datetime.date(2019, 1, 2), datetime.date(2019, 2, 1), None]
    assert report.changed["year, month and day are no date, left empty"] == 1


@pytest.mark.parametrize(
    "text",
    ["2019", "2019-05", "2019/5", "2019.05", "2019-05-00", "2019-00-00", "05/2019", "5.2019",
     "May 2019", "mai 2019", "MAY-2019", "2019 May", "2019-May", "00.05.2019", "00/00/2019",
     "V.2019", "Sept. 2019"],
)  # fmt: skip
def test_parts_fill_a_date_without_a_day_that_they_agree_with(read, text):
    month = 9 if text.startswith("Sept") else 5
    table, report = read("eventDate,year,month,day", f"{text},2019,{month},12")
    assert table["date"].to_list() == [datetime.date(2019, month, 12)]
    assert report.changed == {"date put together from year, month and day": 1}
    for other in (f"2018,{month},12", "2019,10,12", f"2019,{month},", f"2019,{month},32"):
        if other.startswith("2019,10") and text in ("2019", "2019-00-00", "00/00/2019"):
            continue  # a year alone agrees with any month
        table, report = read("eventDate,year,month,day", f"{text},{other}")
        assert table["date"].to_list() == [None], other
        assert report.changed == {"date without a day, set to empty": 1}


@pytest.mark.parametrize(
    "text", ["2018/2019", "2019-05/2019-06", "May 2019 - June 2019", "2019-13"]
)
def test_parts_do_not_fill_a_span_or_a_month_that_is_none(read, text):
    table, report = read("eventDate,year,month,day", f"{text},2019,5,12")
    assert table["date"].to_list() == [None] and sum(report.changed.values()) == 1


@pytest.mark.parametrize(
    "held",
    [datetime.timedelta(days=18_000), datetime.time(10, 30), 43586.0, 1556668800000],
)
def test_what_a_format_holds_as_a_span_or_number_is_no_date(tmp_path, held):
    columns = {"species": ["Aus bus"], "lat": [1.5], "lon": [2.5], "eventDate": [held]}
    pl.DataFrame(columns).write_parquet(tmp_path / "x.parquet")
    records, report = read_occurrences(tmp_path / "x.parquet")
    assert records.table["date"].to_list() == [None] and sum(report.changed.values()) == 1


@pytest.mark.parametrize("key", ["individualCount", "organismQuantity"])
def test_a_count_below_none_is_told(read, key):
    table, report = read(key, "-999", "-1", "3")
    assert len(table) == 3
    assert report.flagged == {"count below 0, which may stand for an unknown one": 2}


@pytest.mark.parametrize("day", ["1970-01-01", "1900-01-01", "1899-12-30", "1904-01-01"])
def test_the_first_day_of_a_calendar_is_told(read, day):
    table, report = read("eventDate", f"{day}T00:00:00Z", "1970-01-02")
    assert len(table) == 2
    assert [n for said, n in report.flagged.items() if said.startswith(f"date is {day}")] == [1]


def test_the_same_nines_for_both_coordinates_are_told(read):
    _, report = read("year", "2019", place="-9.999,-9.999")
    assert [n for said, n in report.flagged.items() if "the same nines" in said] == [1]
    assert not read("year", "2019", place="-9,-8")[1].flagged


@pytest.mark.parametrize(
    "text",
    ["2019", "2019-05", "2019/05", "2019-05-00", "2019-00-00", "05/2019", "May 2019", "mai 2019",
     "2019 May", "00.05.2019", "00/00/2019", "2019-05/2019-06", "2018/2019", "May 2019 - June 2019",
     "2019-May", "V.2019"],
)  # fmt: skip
def test_a_date_without_a_day_is_empty_and_told(read, text):
    table, report = read("eventDate", text, "2019-05-01")
    assert table["date"].to_list() == [None, DAY]
    assert report.changed == {"date without a day, set to empty": 1}
    assert "1 of 2 records have no date" in report.notes


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("year,month", "2019,5", "year and month without a day, date left empty"),
        ("year,month,day", "2019,5,", "year and month without a day, date left empty"),
        ("year,month,day", "2019,,", "year without a month and a day, date left empty"),
        ("year", "2019", "year without a month and a day, date left empty"),
        ("Jahr,Monat,Tag", "2019,Mai,", "year and month without a day, date left empty"),
        ("year,month,day", "2019,toukokuu,5", "year, month and day are no date, left empty"),
        ("year,month,day", "2019?,5,1", "year, month and day are no date, left empty"),
        ("eventDate,year,month", ",2019,5", "year and month without a day, date left empty"),
        ("eventDate,year,month", "2019-05,2019,5", "date without a day, set to empty"),
    ],
)
def test_parts_without_a_day_make_no_date_and_are_told(read, header, row, said):
    table, report = read(header, row)
    assert table["date"].to_list() == [None]
    assert report.changed == {said: 1}
    assert "1 of 1 records have no date" in report.notes
