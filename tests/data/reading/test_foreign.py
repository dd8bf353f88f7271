"""Places, distances and counts laid out in other ways: read right, or told."""

from __future__ import annotations

import datetime

import pytest

from csp_core.data import read_occurrences
from csp_core.data.reading import import_records


@pytest.fixture
def read(tmp_path):
    """Read a text: the table, and the report."""

    def run(*lines):
        (tmp_path / "x.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        records, report = read_occurrences(tmp_path / "x.csv")
        return records.table, report

    return run


@pytest.mark.parametrize(
    "header",
    [
        "lat_deg,lat_min,lat_sec,lon_deg,lon_min,lon_sec",
        "latitude,latitude_minutes,latitude_seconds,longitude,longitude_minutes,longitude_seconds",
        "LatDegrees,LatMins,LatSecs,LongDegrees,LongMins,LongSecs",
        "Breite,Breite Minuten,Breite Sekunden,Länge,Länge Minuten,Länge Sekunden",
    ],
)
def test_degrees_minutes_and_seconds_in_columns_of_their_own(read, header):
    table, report = read(
        f"species,{header}", "Aus bus,52,30,36,13,24,0", "Aus bus,-0,15,,-70,45,18"
    )
    assert table["lat"].to_list() == pytest.approx([52.51, -0.25])
    assert table["lon"].to_list() == pytest.approx([13.4, -70.755])
    assert report.changed == {"degrees, minutes and seconds of several columns put together": 2}
    assert sum("holds whole degrees, to which" in note for note in report.notes) == 2


@pytest.mark.parametrize(
    ("lat", "lon", "place"),
    [
        *(("33°S,30", "70°W,45", (-70.75, -33.5)), ("33 S,30", "70 W,45", (-70.75, -33.5))),
        *(("S33,30", "w 70,45", (-70.75, -33.5)), ("33°N,30", "70°E,45", (70.75, 33.5))),
        *(("0°S,15", "0 W,30", (-0.5, -0.25)), ("−33,30", "−0,45", (-0.75, -33.5))),
        *(("0 N,15", "0°,30", (0.5, 0.25)), ("-33 S,30", "70 W,0", (-70, -33.5))),
    ],
)
def test_minutes_go_where_the_letter_of_their_degrees_goes(read, lat, lon, place):
    table, report = read(
        "species,lat_deg,lat_min,lon_deg,lon_min", f"Aus bus,{lat},{lon}", "C d,NA,,1,1"
    )
    assert table.select("lon", "lat").row(0) == pytest.approx(place)
    assert any("holds whole degrees, to which" in note for note in report.notes)


@pytest.mark.parametrize("degrees", ["33°30'S", "33.5°S", "33 X"])
def test_minutes_are_not_added_to_what_are_no_whole_degrees(read, degrees):
    _, report = read(
        "species,lat_deg,lat_min,lon_deg,lon_min", f"Aus bus,{degrees},15,70,0", "Aus bus,1,1,2,0"
    )
    assert not any("holds whole degrees" in note for note in report.notes)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("lat,lon,lat_min,lon_min,lat_max", "52,13,51,12,53"),  # a box around the place
        ("lat,lon,lat_min,lon_min", "52.5,13.4,30,24"),  # the same once more
        ("lat,lon,lat_min,lon_min", "52,13,75,90"),
        ("lat,lon,lat_min,lon_min", "52,13,0,0"),
        ("lat,lon,lat_min,lon_min", "52,13,about 30,ca. 24"),
    ],
)
def test_what_are_no_minutes_of_the_degrees_is_not_added(read, header, row):
    table, report = read(f"species,{header}", f"Aus bus,{row}")
    lat, lon = (float(value) for value in row.split(",")[:2])
    assert table.select("lat", "lon").row(0) == (lat, lon) and not report.changed


@pytest.mark.parametrize(
    ("header", "value", "metres"),
    [
        ("coordinateUncertainty (km)", "2", 2000),
        ("accuracy_km", "0.5", 500),
        ("coordinateUncertaintyInFeet", "1000", 304.8),
        ("uncertainty (miles)", "1", 1609.344),
        ("accuracy_km", "30 m", 30),
        ("coordinateUncertainty,coordinateUncertaintyUnit", "2,km", 2000),
        ("MAX_ERROR_DISTANCE,MAX_ERROR_UNITS", "2,Mi.", 3218.688),
        ("coordinateUncertainty,uncertainty unit", "2,", 2),
        ("coordinateUncertainty,uncertainty unit", "2,leagues", None),
        ("coordinateUncertaintyInMeters", "30", 30),
        ("accuracy_km", "ca. 2", 2000),
        ("accuracy_km", "1e1", 10_000),
    ],
)
def test_the_unit_of_an_uncertainty_stands_elsewhere(read, header, value, metres):
    table, report = read(f"species,lat,lon,{header}", f"Aus bus,52.5,13.4,{value}")
    found = table["uncertainty_m"][0]
    assert found == (None if metres is None else pytest.approx(metres))
    assert bool(report.changed) == (str(metres) != value.split(",")[0])


@pytest.mark.parametrize(
    ("header", "values", "metres", "told"),
    [
        ("coordinateUncertaintyInMeters,max_error_distance,max_error_units", "100,0.1,km", 100, 1),
        ("coordinateUncertaintyInMeters,coordinateUncertaintyUnit", "100,km", 100, 1),
        ("uncertainty_m,accuracy,accuracy_unit", "100,0.1,km", 100, 1),
        ("accuracy_km,accuracy_unit", "2,m", 2000, 1),
        # "uncertainty unit" is close to the first, and that of the second.
        ("coordinateUncertainty,uncertainty,uncertainty unit", "100,0.1,km", 100, 1),
        ("positionalAccuracy,accuracy_unit,max_error_units", "0.1,km,mi", 100, 0),
        ("max_error_distance,accuracy_unit,max_error_units", "0.1,mi,km", 100, 0),
        ("gpsAccuracy,gpsAccuracyUnit", "0.1,km", 100, 0),
        ("gpsAccuracy,y_unit,count units", "100,km,km", 100, 0),
    ],
)
def test_the_unit_of_one_distance_is_not_that_of_another(read, header, values, metres, told):
    table, report = read(f"species,lat,lon,{header}", f"Aus bus,52.5,13.4,{values}")
    assert table["uncertainty_m"].to_list() == pytest.approx([metres])
    assert sum("not taken as the unit of" in note for note in report.notes) == told


@pytest.mark.parametrize(
    ("header", "value", "metres"),
    [
        ("accuracy_km", "0.999", 999),
        ("accuracy_km", "9.999", 9999),
        ("accuracy_km", "999", None),
        ("accuracy_km", "999.0", None),
        ("coordinateUncertaintyInFeet", "9999", None),
        ("coordinateUncertaintyInMeters", "0.999 km", 999),
        ("coordinateUncertaintyInMeters", "999 m", None),
    ],
)
def test_a_code_for_an_unknown_distance_is_the_number_as_written(
    read, tmp_path, header, value, metres
):
    table, report = read(f"species,lat,lon,{header}", f"Aus bus,52.5,13.4,{value}")
    assert table["uncertainty_m"].to_list() == [metres and pytest.approx(metres)]
    assert any("a code for an unknown one" in why for why in report.changed) == (metres is None)
    # What was read once is no code when it is read again.
    import_records(tmp_path / "x.csv", tmp_path / "x.parquet")
    again, _ = read_occurrences(tmp_path / "x.parquet")
    assert again.table["uncertainty_m"].to_list() == table["uncertainty_m"].to_list()


@pytest.mark.parametrize("header", ["Menge", "catch", "Bestand", "numeroIndividuos", "abundance"])
def test_a_count_by_other_names_that_is_none_is_an_absence(read, header):
    rows = [f"Aus bus,{50 + i}.5,13.4,{n}" for i, n in enumerate((0, 3, 3))]
    table, report = read(f"species,lat,lon,{header}", *rows)
    assert len(table) == 2 and report.dropped == {"record of an absence (a count of 0)": 1}


@pytest.mark.parametrize(
    ("header", "values"),
    [("occurrence", "011"), ("estado", ("ausente", "presente", "presente")), ("observed", "nyy")],
)
def test_whether_it_was_there_by_other_names(read, header, values):
    rows = [f"Aus bus,{50 + i}.5,13.4,{n}" for i, n in enumerate(values)]
    table, report = read(f"species,lat,lon,{header}", *rows)
    assert len(table) == 2 and report.dropped == {"record of an absence": 1}
    words = ["Aus bus,50.5,13.4,seen by night", "Aus bus,51.5,13.4,no"]
    assert len(read(f"species,lat,lon,{header}", *words)[0]) == 2  # a remark


def test_places_that_may_be_radians_are_told(read):
    rows = [f"Aus bus,{0.9 + i / 1000:.4f},{0.2 + i / 500:.4f}" for i in range(30)]
    table, report = read("species,lat,lon", *rows)
    assert len(table) == 30 and any("if these are radians" in note for note in report.notes)
    assert not read("species,lat,lon", *rows, "Aus bus,2.1,0.5")[1].notes


def test_dates_with_the_day_before_the_month_behind_the_year_are_told(read):
    days = "2019-13-05", "2019-05-06"
    table, report = read(
        "species,lat,lon,date", *(f"Aus bus,{i}.5,2,{d}" for i, d in enumerate(days))
    )
    assert table["date"].to_list() == [None, datetime.date(2019, 5, 6)]
    assert any("have the day before the month behind the year" in n for n in report.notes)


def test_a_count_of_none_and_some_is_no_absence(read):
    some = ("0 adults; 3 juveniles", "0m/3f", "0 ad + 2 juv", "0 adults and 3 young", "3",
            "0 males 2 females", '"0 adults, 10 larvae"', '"0 (adults), 1 (young)"')  # fmt: skip
    none = ("0 adults", "no", "0 (none)", "0 in 10 minutes", "0 (2 observers)", "0 on 3/5/2019",
            '"0 in 1,5 hours"', "0 observed by 3 people", "0.0 per 100 m2")  # fmt: skip
    table, report = read(
        "species,lat,lon,individualCount",
        *(f"Aus bus,{i}.5,13.4,{count}" for i, count in enumerate((*some, *none))),
    )
    assert table["lat"].to_list() == [i + 0.5 for i in range(len(some))]
    assert report.dropped == {"record of an absence (a count of 0)": len(none)}


def test_names_as_web_pages_write_them_are_one_species(read):
    names = ("<i>Parus major</i>", "<em>Parus</em> <em>major</em>", "Parus&nbsp;major",
             "Parus major", '<span class="sp">PARUS MAJOR</span>')  # fmt: skip
    table, _ = read("lat;lon;species", *(f"{50 + i}.5;13.4;{name}" for i, name in enumerate(names)))
    assert set(table["scientific_name"]) == {"Parus major"}


@pytest.mark.parametrize("failed", ["#REF!", "#VALUE!", "#N/A", "#NAME?", "#DIV/0!"])
def test_a_formula_that_failed_is_no_value(read, failed):
    table, report = read(
        "species,lat,lon,date",
        f"{failed},52.5,13.4,2019-05-01",
        f"Aus bus,{failed},13.4,2019-05-01",
        f"Aus bus,52.5,13.4,{failed}",
    )
    assert table["date"].to_list() == [None]
    assert report.dropped == {"scientific name is missing": 1, "coordinates are missing": 1}


def test_headings_of_other_languages(read):
    table, _ = read("Art;Breite;Länge;Datum", "Parus major;52,5;13,4;01.05.2019")
    assert table.select("scientific_name", "lat", "lon").row(0) == ("Parus major", 52.5, 13.4)
    assert table["date"].to_list() == [datetime.date(2019, 5, 1)]
