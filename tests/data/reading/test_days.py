"""Intervals, times and parts of dates: what is a day, what is none, and that both are told."""

from __future__ import annotations

import datetime

import pytest

from csp_core.data import read_occurrences


def day(tmp_path, header, row):
    path = tmp_path / "d.csv"
    path.write_text(f"species,lon,lat,{header}\nAus bus,1,2,{row}\n", encoding="utf-8")
    records, report = read_occurrences(path)
    return records.table["date"][0], report


@pytest.mark.parametrize(
    "text",
    [
        *("2019-05-01/2021", "2019-05-01/2019-12", "2019-05-01/08-30", "1979/1980", "2019-05"),
        *("2019-05-01 to 2019-09-30", "2019-05-01/2019-9-30", "2019-05-01/..", "2019-05-01/"),
        *("../2019-05-01", "/2019-05-01", "2019-05-07/2019-05-01", "2019-05-01 - 2019-09-30"),
        *("2019-05-01–2019-09-30", "2019-05-01T08:00 to 2019-09-30", "2019-05-01 bis 30.9.2019"),
        *("1.5.2019 - 30.9.2019", "2019/05/01-2019/09/30", "2019-05-01/summer", "2019-05-01?"),
        *("20190501/20190930", "2019-05-01 or later", "before 2019-05-01", "2019-05-01/40"),
        *("2019-05-01/2019-13-01", "2019-05-01|2019-09-30", "2019-05-01 until 2020"),
    ],
)
def test_intervals_that_name_no_day(tmp_path, text):
    found, report = day(tmp_path, "eventDate", text)
    assert found is None and sum(report.changed.values()) == 1
    (reason,) = report.changed
    assert reason.endswith("empty") and report.examples[reason] == ((2, text),)


@pytest.mark.parametrize(
    "text",
    [
        *("2019-05-01/2019-05-01", "2019-05-01/01", "2019-05-01/05-01"),
        *(
            "2019-05-01T08:00/2019-05-01T09:00",
            "2019-05-01T08:00/09:00",
            "2019-05-01T08:00Z/T09:00",
        ),
        *("2019-05-01 08:30:00 +0200", "2019-05-01T08:30:00.000Z", "2019-05-01 8:30 PM"),
        *("2019-05-01T08:30:00+02:00[Europe/Berlin]", "2019-05-01 08:30:00 UTC", "1.5.2019 08:30"),
        *("2019-05-01 to 2019-05-01",),
    ],
)
def test_intervals_of_one_day_and_times(tmp_path, text):
    found, report = day(tmp_path, "eventDate", text)
    assert found == datetime.date(2019, 5, 1) and not report.changed
    assert not [note for note in report.notes if "dates with points" not in note]


@pytest.mark.parametrize(
    "text", ["2019-05-01/30", "2019-05-01/2019-05-07", "2019-05-01 to 2019-05-09"]
)
def test_the_first_day_of_a_short_interval_is_a_guess_that_is_told(tmp_path, text):
    found, report = day(tmp_path, "eventDate", text)
    assert found == datetime.date(2019, 5, 1) and not report.changed
    assert any("first day of an interval" in note and text in note for note in report.notes)


@pytest.mark.parametrize(
    ("header", "row", "date"),
    [
        ("year,month,day", "2020,5,1", (2020, 5, 1)),
        ("year,month,day", "2020,05,01", (2020, 5, 1)),
        ("year,month,day", "2020.0,5.0,1.0", (2020, 5, 1)),
        ("year,month,day", "2020,May,1", (2020, 5, 1)),
        ("year,month,day", "2020,V,1", (2020, 5, 1)),
        ("Year,Month,Day,eventDate", "2020,5,1,", (2020, 5, 1)),
        ("eventDate,year,month,day", "2020,2020,5,1", (2020, 5, 1)),
        ("eventDate,year,month,day", "2020-05,2020,5,1", (2020, 5, 1)),
        ("year,startDayOfYear", "2020,122", (2020, 5, 1)),
        ("year,dayOfYear", "2019,121", (2019, 5, 1)),
        ("year,startDayOfYear,endDayOfYear", "2020,122,122", (2020, 5, 1)),
        # None of these is a day.
        ("year,month,day", "2020,5,", None),
        ("year,month,day", "2020,13,1", None),
        ("year,month,day", "2021,2,29", None),
        ("year,month,day", "20,5,1", None),
        ("year,month,day", "2020,0,0", None),
        ("year,month,day", "2999,1,1", None),
        ("eventDate,year,month,day", "2021,2020,5,1", None),
        ("eventDate,year,month,day", "2019-05-01/2021,2019,5,1", None),
        ("year,startDayOfYear,endDayOfYear", "2020,122,200", None),
        ("year,startDayOfYear", "2019,366", None),
        ("month,day", "5,1", None),
    ],
)
def test_dates_from_their_parts(tmp_path, header, row, date):
    found, report = day(tmp_path, header, row)
    assert found == (datetime.date(*date) if date else None)
    # Whatever has a year and gives no date is told.
    assert bool(report.changed) == ("year" in header.lower())


def test_a_date_that_its_parts_contradict_is_marked(tmp_path):
    found, report = day(tmp_path, "eventDate,year,month,day", "2020-05-01,2020,6,1")
    assert found == datetime.date(2020, 5, 1) and sum(report.flagged.values()) == 1


@pytest.mark.parametrize(
    ("texts", "dates", "said"),
    [
        (["03/04/2021", "31/12/2020"], ["2021-04-03", "2020-12-31"], "day first in the dates of"),
        (["03/04/2021", "12/31/2020"], ["2021-03-04", "2020-12-31"], "month first in the dates of"),
        (["3-4-2021 08:30", "31-12-2020"], ["2021-04-03", "2020-12-31"], "1 of 2 have a first"),
        (["03/04/2021", "05/06/2020"], [None, None], ""),
        (["31/12/2020", "12/31/2020"], [None, None], ""),
        (["03/04/2021 - 05/04/2021", "31/12/2020"], ["2021-04-03", "2020-12-31"], "day first"),
        (["5 May 2019", "May 5, 2019"], ["2019-05-05", "2019-05-05"], ""),
        (["05-May-2019", "5. Mai 2019"], ["2019-05-05", "2019-05-05"], ""),
        (["5 Foo 2019", "31 Feb 2019"], [None, None], ""),
    ],
)
def test_the_order_of_day_and_month_is_found_by_column(tmp_path, texts, dates, said):
    path = tmp_path / "d.csv"
    rows = "".join(f'Aus bus,1,2,"{text}"\n' for text in texts)
    path.write_text("species,lon,lat,eventDate\n" + rows, encoding="utf-8")
    records, report = read_occurrences(path)
    assert records.table["date"].cast(str).to_list() == dates
    assert sum(report.changed.values()) == dates.count(None)
    told = [note for note in report.notes if " records have no date" not in note]
    assert any(said in note for note in told) if said else not told


@pytest.mark.parametrize(
    ("row", "date", "said"),
    [
        ("2019-05-01,2019-05-01", "2019-05-01", ""),
        ("2019-05-01,", "2019-05-01", ""),
        ("2019-05-01,2019-05-09", "2019-05-01", "first day of an interval"),
        ("2019-05-01,2019-09-01", None, "more than a month"),
        ("2019-05-01,30.9.2019", None, "more than a month"),
        ("2019-05-01,2019-04-01", None, "ends before it begins"),
        ("01/05/2019,13/05/2019", "2019-05-01", "first day of an interval"),
        ("01/05/2019,13/08/2019", None, "more than a month"),
        ("1 May 2019,3 Aug 2019", None, "more than a month"),
        ("13/05/2019,13/05/2019", "2019-05-13", ""),
        ("2019-05-01 10:00,18:30", "2019-05-01", ""),
        ("2019-05-01,unknown", None, "without a readable end"),
        ("2019-05-01,2019", None, "without a readable end"),
        ("2019-05-01/2019-05-03,2019-05-03", "2019-05-01", "first day of an interval"),
        ("2019-05-01/2019-05-03,2019-09-03", None, "more than a month"),
    ],
)
@pytest.mark.parametrize("start", ["startDate", "eventDate"])
def test_intervals_in_two_columns(tmp_path, row, date, said, start):
    path = tmp_path / "d.csv"
    path.write_text(f"species,lon,lat,{start},endDate\nAus bus,1,2,{row}\n", encoding="utf-8")
    records, report = read_occurrences(path)
    assert records.table["date"].cast(str).to_list() == [date] and said in str(report)
    assert bool(report.changed) == (date is None)


@pytest.mark.parametrize(
    ("header", "row", "day"),
    [
        ("eventYear,eventMonth,eventDay", "2019,5,13", "2019-05-13"),
        ("Jahr,Monat,Tag", "2019,Mai,13", "2019-05-13"),
        ("año,mes,día", "2019,5,13", "2019-05-13"),
        ("année,mois,jour", "2019,mai,13", "2019-05-13"),
        ("yr,mo,dy", "2019,5,13", "2019-05-13"),
        ("yearCollected,monthCollected,dayCollected", "2019,5,13", "2019-05-13"),
        ("startYear,startMonth,startDay", "2019,5,13", "2019-05-13"),
        # The days of a span; the tag of a bird.
        ("startYear,startMonth,startDay,endYear", "2019,5,13,2020", None),
        ("year,month,tag", "2019,5,13", None),
        *((f"{n},x{n}", "2019-05-13,1", "2019-05-13") for n in ("dateFrom", "begin_date")),
        ("startDate,finishDate", "2019-05-01,2019-12-31", None),
        ("startDate,until", "2019-05-01,2019-05-01", "2019-05-01"),
        ("dateFrom,dateTo", "2019-05-01,2019-12-31", None),
    ],
)
def test_dates_under_other_headings(tmp_path, header, row, day):
    path = tmp_path / "d.csv"
    path.write_text(f"species,lon,lat,{header}\nAus bus,1,2,{row}\n", encoding="utf-8")
    records, report = read_occurrences(path)
    assert records.table["date"].cast(str).to_list() == [day]
    lacks = any("1 of 1 records have no date" in n or "to hold the date" in n for n in report.notes)
    assert lacks == (day is None)


@pytest.mark.parametrize(
    ("header", "told"),
    [("Jahr,Monat", True), ("sampling_date_local", True), ("modified_date", False)],
)
def test_a_column_that_may_hold_the_date_is_told(tmp_path, header, told):
    path = tmp_path / "d.csv"
    row = "2019,5" if "," in header else "2019"
    path.write_text(f"species,lon,lat,{header}\nAus bus,1,2,{row}\n", encoding="utf-8")
    _, report = read_occurrences(path)
    assert any("no column was found to hold the date" in note for note in report.notes) == told


def test_dates_with_points_are_told_with_their_evidence(tmp_path):
    path = tmp_path / "d.csv"
    days = ("05.06.2019", "13.06.2019", "06.13.2019")
    rows = "".join(f"Aus bus,1,2,{day}\n" for day in days)
    path.write_text("species,lon,lat,eventDate\n" + rows, encoding="utf-8")
    records, report = read_occurrences(path)
    assert records.table["date"].cast(str).to_list() == ["2019-06-05", "2019-06-13", None]
    (note,) = [note for note in report.notes if "dates with points" in note]
    assert "05.06.2019: 1 of 3 have a first number above 12, 1 a second one" in note
