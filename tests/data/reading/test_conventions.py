"""What commas, signs, letters, hemispheres and datums mean, and that every guess is told."""

from __future__ import annotations

import polars as pl
import pytest

from csp_core.data import read_occurrences


@pytest.fixture
def read(tmp_path):
    """Read a text: the records, and the report."""

    def run(text, **options):
        path = tmp_path / "x.csv"
        path.write_text(text, encoding="utf-8")
        return read_occurrences(path, **options)

    return run


def uncertainties(read, values, places=(("1.5", "2.5"),), sign=";"):
    head = sign.join(("species", "lon", "lat", "coordinateUncertaintyInMeters"))
    rows = [
        sign.join(("Aus bus", *places[i % len(places)], value)) for i, value in enumerate(values)
    ]
    records, report = read("\n".join([head, *rows]) + "\n")
    return records.table["uncertainty_m"].to_list(), report


POINTS, COMMAS, WHOLE = [("1.5", "2.5")], [("1,5", "2,5")], [("1", "2")]


@pytest.mark.parametrize(
    ("values", "places", "read_as", "said"),
    [
        # Only one reading is possible.
        (["28,512", "12,5"], WHOLE, [28.512, 12.5], "decimal comma in `coordinateUnc"),
        (["28,512", "0,512"], POINTS, [28.512, 0.512], "decimal comma in `coordinateUnc"),
        (["28,512", "1234,5"], WHOLE, [28.512, 1234.5], "1 of 2 values with a comma"),
        (["28,512", "1,234,567"], COMMAS, [28512, 1234567], "comma of thousands in `coord"),
        (["28,512", "1,000.5"], WHOLE, [28512, 1000.5], "comma of thousands in `coord"),
        (["28,512", "12.5"], WHOLE, [28512, 12.5], "1 have a decimal point"),
        (["1.234,5", "28.512"], POINTS, [1234.5, 28512], "decimal comma in `coordinateUnc"),
        # Numbers of a spreadsheet have points, whatever the texts beside them have.
        (["28,512", "12.5"], COMMAS, [None, 12.5], "may part decimals, as in 4 coordinates"),
        # Both are, and the coordinates decide.
        (["28,512", "1,000", "50"], POINTS, [28512, 1000, 50], "behind a point in 6 values"),
        (["28,512", "50"], COMMAS, [28.512, 50], "behind a comma in 4 values"),
        (["28.512", "1.000"], COMMAS, [28512, 1000], "point of thousands in `coord"),
        # Nothing decides.
        (["28,512", "50"], WHOLE, [None, 50], "nothing else in the file decides"),
        (["28,512", "12,5", "1,000.5"], POINTS, [None, None, None], "those values were set to"),
    ],
)
def test_a_comma_in_distances_is_decided_by_column(read, values, places, read_as, said):
    found, report = uncertainties(read, values, places)
    assert found == read_as
    assert any(said in note for note in report.notes), report.notes
    empty = sum(v is None for v in read_as)
    told = [
        n for reason, n in report.changed.items() if "comma in the uncertainty is not" in reason
    ]
    assert sum(told) == empty


def test_units_beside_a_point_say_nothing_of_commas(read):
    found, report = uncertainties(read, ["30 m", "1.5"], POINTS)
    assert found == [30, 1.5] and not report.notes


@pytest.mark.parametrize(
    ("values", "places", "read_as", "said"),
    [
        # Decimals of no fixed number need no zero at their end: those are thousands.
        (["28.512", "1.000", "50"], WHOLE, [28512, 1000, 50], "1 of them end in a zero"),
        (["28.510", "500"], WHOLE, [28510, 500], "all 1 values without one are below 1000"),
        (["28.512 m", "1.000 m", "50 m"], WHOLE, [28512, 1000, 50], "end in a zero"),
        # Beside decimal points it takes several, or two points in one value.
        (["28.512", "1.000", "2.500", "10.000", "50"], POINTS, [28512, 1000, 2500, 10000, 50],
         "3 of them end in two zeros or more"),
        (["28.512", "1.234.567", "50"], POINTS, [28512, 1234567, 50], "can be read no other way"),
        (["30.480", "100", "50"], POINTS, [30.48, 100, 50], "1 of them end in a zero; if it parts"),
        (["30.480"] * 5 + ["100"], POINTS, [30.48] * 5 + [100], "5 of them end in a zero; if it"),
        (["28.512", "1.000", "50"], POINTS, [28.512, 1, 50], "as that of `lon` and `lat` is in 6"),
        (["1.000", "2.500", "50"], POINTS, [1, 2.5, 50], "2 of them end in a zero"),
        (["1.000"] * 3 + ["1.234"] * 28 + ["5"], POINTS, [1] * 3 + [1.234] * 28 + [5],
         "they are 1000 times as large"),
        # Thousands stand there without one.
        (["28.512", "1.000", "1000"], POINTS, [28.512, 1, 1000], "decimal point in `coord"),
        (["28.512", "25000"], WHOLE, [28.512, 25000], "1 values of 1000 and more"),
        # Nothing decides, which the report says.
        (["28.512", "50"], POINTS, [28.512, 50], "as that of `lon` and `lat` is in 4 values"),
        (["28.512", "1.000"], WHOLE, [28.512, 1], "they are 1000 times as large"),
    ],
)  # fmt: skip
def test_a_point_in_distances_is_decided_by_column(read, values, places, read_as, said):
    found, report = uncertainties(read, values, places)
    assert found == read_as
    assert any(said in note for note in report.notes), report.notes


@pytest.mark.parametrize("values", [["28.512", "0.500"], ["28.512", "28.5"], ["28.5", "1.000"]])
def test_other_decimals_of_the_column_tell_what_a_point_is(read, values):
    found, report = uncertainties(read, values, POINTS)
    assert found == [float(value) for value in values] and not report.notes


def test_what_a_format_holds_as_a_number_has_one_value(tmp_path):
    pl.DataFrame(
        {"species": ["A b"] * 2, "lon": [1.0, 2.0], "lat": [1.0, 2.0],
         "coordinateUncertaintyInMeters": [28.512, 30.512]}
    ).write_parquet(tmp_path / "x")  # fmt: skip
    records, report = read_occurrences(tmp_path / "x")
    assert records.table["uncertainty_m"].to_list() == [28.512, 30.512] and not report.notes


def test_the_comma_is_decided_by_the_end_of_a_long_file(read):
    many = ["28,512"] * 60_000 + ["0,5"]
    found, report = uncertainties(read, many, WHOLE)
    assert set(found) == {28.512, 0.5}
    assert "1 of 60,001 values with a comma" in " ".join(report.notes)


@pytest.mark.parametrize(
    ("value", "metres"),
    [
        *(("10 m", 10), ("10m", 10), ("10 m.", 10), ("2 km", 2000), ("2.5km", 2500)),
        *(("5 metres", 5), ("100 ft", 30.48), ("1 mile", 1609.344), ("1 000", 1000)),
        *(("1\u00a0000", 1000), ("1\u202f000 000", 1_000_000), ("1'000", 1000)),
        *(("~100", 100), ("±50 m", 50), ("<30", 30), ("ca. 20 m", 20)),
        *((">100", None), ("10-20", None), ("5 stones", None), ("-3", None), ("1 0", None)),
    ],
)
def test_units_and_groups_of_distances(read, value, metres):
    found, report = uncertainties(read, [value, "7"], POINTS)
    assert found == [None if metres is None else pytest.approx(metres), 7.0]
    assert sum(report.changed.values()) == 1
    (reason,) = report.changed
    assert report.examples[reason][0] == (2, value)


@pytest.mark.parametrize(
    ("lat", "lon", "place"),
    [
        *(("52.5°", "13.4°", (13.4, 52.5)), ("33.9 S", "18.4 E", (18.4, -33.9))),
        *(("N52.5", "E13.4", (13.4, 52.5)), ("−33.9", "18.4", (18.4, -33.9))),
        *(("33.9s", "18.4w", (-18.4, -33.9)), ("–33.9", "–18.4", (-18.4, -33.9))),
        ("33°54'36\"S", "18°24'E", (18.4, -33.91)),
        ("33° 54′ 36″ S", "18° 24′ 0″ E", (18.4, -33.91)),
        ("33:54:36 S", "18:24", (18.4, -33.91)),
        ("33 54 36 S", "18 24 00 E", (18.4, -33.91)),
        ("S 33º54.6'", "E 18º24.0'", (18.4, -33.91)),
        ("-33°54'36''", "18°24'0''", (18.4, -33.91)),
        ("33d54m36S", "18 24 E", (18.4, -33.91)),
        ("52,5° N", "13,4° E", (13.4, 52.5)),
        ("-33.9 S", "+18.4E", (18.4, -33.9)),
        ("52.5 deg", "13.4 degrees", (13.4, 52.5)),
    ],
)
def test_coordinates_as_text(read, lat, lon, place):
    quote = lambda text: '"' + text.replace('"', '""') + '"'  # noqa: E731
    records, report = read(f"species,lat,lon\nAus bus,{quote(lat)},{quote(lon)}\nCus dus,1,2\n")
    assert records.table.select("lon", "lat").row(0) == pytest.approx(place)
    assert sum(report.changed.values()) == 1
    assert any("degrees as text in `lat`: 1 of 2 values" in note for note in report.notes)


@pytest.mark.parametrize(
    ("lat", "lon"),
    [
        *(("-33.9 N", "18.4"), ("33.9 E", "18.4"), ("33°75'S", "18"), ("33.5°30'", "18")),
        *(("13 52", "18"), ("N33.9S", "18"), ("33.9 X", "18"), ("1.234,5", "18"), ("525N", "1")),
        *(("52512", "18 W E"), ("33°54'36\"61S", "18")),
    ],
)
def test_text_that_is_no_coordinate_is_dropped_and_told(read, lat, lon):
    quote = lambda text: '"' + text.replace('"', '""') + '"'  # noqa: E731
    _, report = read(f"species,lat,lon\nAus bus,{quote(lat)},{quote(lon)}\nCus dus,1,2\n")
    assert report.rows_kept == 1 and sum(report.dropped.values()) == 1


def test_decimal_commas_of_coordinates_are_told_with_their_evidence(read):
    rows = "Aus bus;52,512;13,4\nAus bus;48;11,5\nAus bus;47,1;10\n"
    records, report = read("species;decimalLatitude;decimalLongitude\n" + rows)
    assert records.table["lat"].to_list() == [52.512, 48.0, 47.1]
    assert (
        "decimal comma in `decimalLatitude`: 2 of 3 values with one comma and one or more digits"
        " after it" in report.notes
    )


@pytest.mark.parametrize(
    ("header", "row", "place"),
    [
        ("lat,lat_dir,long,long_dir", "33.9,S,151.2,E", (151.2, -33.9)),
        ("latitude,NS,longitude,EW", "33.9,s,70.5,w", (-70.5, -33.9)),
        ("lat,latitudeHemisphere,lon,longitudeHemisphere", "33.9,South,70.5,West", (-70.5, -33.9)),
        ("lat,lat_direction,lon,lon_direction", "33.9,N,70.5,E", (70.5, 33.9)),
        ("lat,lat_dir,lon,lon_dir", "-33.9,S,-70.5,W", (-70.5, -33.9)),
        ("lat,lat_dir,lon,lon_dir", "33.9,Sur,70.5,Oeste", (-70.5, -33.9)),
        ("GPSLatitude,GPSLatitudeRef,GPSLongitude,GPSLongitudeRef", "33.9,S,7.5,W", (-7.5, -33.9)),
        ("lat,lat_ref,lon,lon_ref", "33.9,S,7.5,W", (-7.5, -33.9)),
        ("lat,latCardinal,lon,lonCardinal", "33.9,S,7.5,E", (7.5, -33.9)),
        # Names that nobody has listed, whose values are all sides.
        ("lat,lat_half,lon,lon_half", "33.9,S,7.5,W", (-7.5, -33.9)),
        ("lat,hemi1,lon,hemi2", "33.9,South,7.5,West", (-7.5, -33.9)),
    ],
)
def test_hemispheres_in_columns_of_their_own(read, header, row, place):
    records, report = read(f"species,{header}\nAus bus,{row}\n")
    assert records.table.select("lon", "lat").row(0) == place and not report.flagged
    assert bool(report.changed) == (place[1] < 0 and "-" not in row)


@pytest.mark.parametrize("row", ["-33.9,N,10,E", "33.9,x,10,E", "33.9,N,10,O"])
def test_hemispheres_that_contradict_are_marked(read, row):
    records, report = read(f"species,lat,lat_dir,lon,lon_dir\nAus bus,{row}\n")
    assert len(records) == 1 and sum(report.flagged.values()) == 1


@pytest.mark.parametrize(
    "heading", ["crs", "SRID", "epsg", "coordinateReferenceSystem", "mapDatum", "gps_datum", "srs"]
)
def test_datums_under_other_headings(read, heading):
    records, report = read(f"species,lat,lon,{heading}\nAus bus,35.68,139.77,4301\n")
    place = records.table.select("lon", "lat").row(0)
    assert place == pytest.approx((139.766766, 35.683239), abs=1e-4)
    assert sum(report.changed.values()) == 1


@pytest.mark.parametrize(
    ("heading", "value"),
    [
        *(("place_country_name", "Germany"), ("countryName", "Germany"), ("Land", "Deutschland")),
        *(("iso3", "DEU"), ("ISO_A3", "deu"), ("country", "DEU"), ("pays", "Allemagne")),
        *(("iso2", "DE"), ("country_iso", "de"), ("País", "Alemania")),
    ],
)
def test_countries_under_other_headings(read, heading, value):
    _, report = read(f"species,lat,lon,{heading}\nAus bus,13.4,52.5,{value}\n")
    assert sum(n for reason, n in report.flagged.items() if "look swapped" in reason) == 1


def datum(read, *rows):
    text = "species,decimalLatitude,decimalLongitude,geodeticDatum\n"
    records, report = read(text + "".join(f"Aus bus,{row}\n" for row in rows))
    return records.table.select("lon", "lat").rows(), report


@pytest.mark.parametrize(
    ("row", "place", "metres"),
    [
        # By the published conversions, each good to some metres.
        ("35.68,139.77,Tokyo", (139.766766, 35.683239), 10),
        ("35.68,139.77,EPSG:4301", (139.766766, 35.683239), 10),
        ("45.0,-100.0,NAD27", (-100.00045, 44.99996), 10),
        ("45.0,-100.0,North American Datum 1927", (-100.00045, 44.99996), 10),
        ("52.5,13.4,European Datum 1950", (13.398922, 52.499312), 10),
        ("5820000,390000,EPSG:25833", (13.378812, 52.518995), 2),
        ('"5,820,000","390,000",epsg:25833', (13.378812, 52.518995), 2),
    ],
)
def test_datums_are_brought_to_wgs84(read, row, place, metres):
    ((lon, lat),), report = datum(read, row)
    assert (lon, lat) == pytest.approx(place, abs=metres / 70_000)
    assert sum(report.changed.values()) == 1 and "brought to WGS84 from" in next(
        iter(report.changed)
    )
    assert any(note.startswith("`geodeticDatum` says") for note in report.notes)


@pytest.mark.parametrize(
    "name",
    ["WGS84", "WGS 84", "wgs-84", "EPSG:4326", "4326", "World Geodetic System 1984", "ETRS89",
     "NAD83", "GDA94", "", "SIRGAS 2000"],
)  # fmt: skip
def test_datums_that_are_wgs84_or_as_good(read, name):
    places, report = datum(read, f"52.5,13.4,{name}")
    assert places == [(13.4, 52.5)] and not report.changed and not report.flagged


@pytest.mark.parametrize(
    "name", ["unknown", "not recorded", "Atlantis", "EPSG:99999", "local grid"]
)
def test_unknown_datums_are_told(read, name):
    places, report = datum(read, f"52.5,13.4,{name}", "1,2,WGS84")
    assert places[0] == (13.4, 52.5)
    assert report.flagged == {"datum is not known, place taken as WGS84": 1}


@pytest.mark.parametrize(
    ("row", "moved"),
    [
        *(("35,139,Tokyo", True), ("52.5,13.4,Tokyo", False), ("40,-100,NAD27", True)),
        *(("-33,151,NAD27", False), ("52,5,ED50", True), ("-41,174,NZGD49", True)),
        *(("52,5,NZGD49", False), ("-10,170,WGS 72", True), ("52,179.5,NAD27", True)),
    ],
)
def test_a_datum_is_not_used_far_from_its_country(read, row, moved):
    records, report = read(f"species,lat,lon,geodeticDatum\nAus bus,{row}\n")
    lat, lon = map(float, row.split(",")[:2])
    assert (records.table.select("lat", "lon").row(0) != (lat, lon)) == moved
    assert bool(report.changed) == moved
    assert [why for why in report.flagged if "not used where" in why] == (
        [] if moved else ["datum is not used where the place lies, place taken as WGS84"]
    )


def test_a_column_of_dates_is_no_datum(read):
    text = "species,lat,lon,Datum\nAus bus,52.5,13.4,13.05.2019\n"
    records, report = read(text)
    assert records.table["date"].cast(str).to_list() == ["2019-05-13"] and not report.flagged
    assert any("'Datum' is read as the date" in note for note in report.notes)
    records, report = read(
        text.replace(",Datum", ",Datum,eventDate").replace(
            "\nAus bus,52.5,13.4,13.05.2019", "\nAus bus,52.5,13.4,13.05.2019,2019-05-01"
        )
    )
    assert [why for why in report.flagged if "--map date=" in why]
    records, report = read(text, mapping={"date": "Datum"})
    assert records.table["date"].cast(str).to_list() == ["2019-05-13"] and not report.flagged
    assert "datum" not in report.mapping


def test_a_projection_beside_degrees_moves_nothing(read):
    places, report = datum(read, "52.5,13.4,EPSG:25833")
    assert places == [(13.4, 52.5)] and sum(report.flagged.values()) == 1


@pytest.mark.parametrize(
    ("row", "marked"),
    [
        *(("13.4,52.5,DE", 1), ("11.5,48.1,DE", 1), ("52.5,13.4,DE", 0), ("13.4,52.5,de", 1)),
        *(("13.4,52.5,Germany", 1), ("13.4,52.5,Deutschland", 1), ("13.4,52.5,XX", 0)),
        *(("36.8,-1.3,KE", 1), ("-1.3,36.8,KE", 0), ("-3.7,40.4,ES", 1), ("40.4,-3.7,ES", 0)),
        # France has land in South America: outside its box, but not where it would be exchanged.
        ("4,-53,FR", 0),
    ],
)
@pytest.mark.parametrize("column", ["countryCode", "country"])
def test_exchanged_coordinates_are_marked_by_the_country(read, row, marked, column):
    records, report = read(f"species,lat,lon,{column}\nAus bus,{row}\n")
    found = sum(n for reason, n in report.flagged.items() if "look swapped" in reason)
    assert len(records) == 1 and found == marked


@pytest.mark.parametrize(
    ("row", "said"),
    [
        *(("-35.6,139.7,JP", "latitude"), ("-35.6,139.7,Japan", "latitude"), ("35.6,139.7,JP", "")),
        *(("51,114,Canada", "longitude"), ("38,145,australia", "latitude"), ("1,1,Atlantis", "")),
    ],
)
@pytest.mark.parametrize("column", ["countryCode", "country"])
def test_signs_are_checked_by_codes_and_names_of_countries(read, row, said, column):
    _, report = read(f"species,lat,lon,{column}\nAus bus,{row}\n")
    told = [reason for reason in report.flagged if reason.startswith("sign of the")]
    assert told == ([f"sign of the {said} does not fit the country"] if said else [])


def test_a_letter_that_is_east_or_west_is_marked_in_columns_of_any_name(read):
    records, report = read("species,lat,lon,lon_half\nAus bus,2,1,O\nAus bus,3,1,W\n")
    assert records.table["lon"].to_list() == [1.0, -1.0]
    assert sum(report.flagged.values()) == 1 and sum(report.changed.values()) == 1
