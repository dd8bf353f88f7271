"""Reading occurrence tables: what is kept, what is dropped and why, what is said of bad files."""

from __future__ import annotations

import datetime
import gzip
import json
import math

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csp_core.data import part_of_year, read_occurrences
from csp_core.data.reading.columns import CANONICAL
from csp_core.errors import BadRecordError, DataNotFoundError


@pytest.fixture
def read(tmp_path):
    def write_and_read(content: str | bytes, name: str = "x.csv", **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_occurrences(path, **options)

    return write_and_read


# Formats, delimiters, encodings


@pytest.mark.parametrize(
    ("delimiter", "name"), [(",", "comma"), ("\t", "tab"), (";", "semicolon"), ("|", "bar")]
)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_delimiters_line_ends_and_gzip_by_content(read, delimiter, name, packed, line_end):
    rows = [["species", "lon", "lat"], ["Aus bus", "1.5", "-2"], ["Cus dus", "3", "4"]]
    data = line_end.join(delimiter.join(row) for row in rows).encode()
    records, report = read(gzip.compress(data) if packed else data, "named.wrongly")
    assert records.table.select("scientific_name", "lon", "lat").rows() == [
        ("Aus bus", 1.5, -2.0),
        ("Cus dus", 3.0, 4.0),
    ]
    assert (report.format, report.delimiter, report.encoding) == ("text", name, "utf-8")


@pytest.mark.parametrize(
    ("codec", "named"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("latin-1", "latin-1"), ("utf-16", "utf-16")],
)
def test_encodings(read, codec, named):
    text = "species,common_name,lon,lat\nAus bus,Pájaro äß,1,2\n"
    records, report = read(text.encode(codec))
    assert records.table["common_name"].to_list() == ["Pájaro äß"]
    assert report.encoding == named


def test_quotes_hold_delimiters_quotes_and_line_breaks(read):
    text = 'species,lon,lat,recordedBy\n"Aus bus",1,2,"A, ""B""\nC"\nCus dus,200,4,D\n'
    records, report = read(text)
    assert records.table["recorder"].to_list() == ['A, "B"\nC']
    ((line, what),) = report.examples["longitude is out of range (-180 to 180)"]
    assert line == 4 and "200" in what


def test_quotes_in_tab_separated_text_are_plain(read):
    records, report = read(
        'species\tlon\tlat\trecordedBy\nAus bus\t1\t2\tthe "Bird" man, 5" tall\n'
    )
    assert records.table["recorder"].to_list() == ['the "Bird" man, 5" tall']
    assert report.rows_kept == 1


def test_blank_lines_do_not_count_but_keep_the_line_numbers(read):
    _, report = read("\n\nspecies,lon,lat\n\nAus bus,1,2\n   \nAus bus,x,2\n")
    assert (report.rows_read, report.rows_kept) == (2, 1)
    assert report.examples["coordinates are not numbers"][0][0] == 7


@pytest.mark.parametrize("quote", ["", '"'])
def test_ragged_rows_are_counted_never_cut(read, quote):
    text = f"species,lon,lat\n{quote}Aus bus{quote},1,2\nAus bus,1\nAus bus,1,2,3\nAus bus,5,6\n"
    records, report = read(text)
    assert len(records) == 2
    assert report.dropped == {"wrong number of fields": 2}
    assert report.examples["wrong number of fields"] == (
        (3, "2 fields where the header has 3"),
        (4, "4 fields where the header has 3"),
    )


# Columns


@pytest.mark.parametrize(
    "header",
    [
        "scientificName,decimalLongitude,decimalLatitude,eventDate,recordedBy,occurrenceID",
        "Scientific Name,LONGITUDE,Latitude,observed_on,user_login,id",
        "dwc:scientificName,dwc:decimalLongitude,dwc:decimalLatitude,date,author,xc_id",
        "species,x,y,Event_Date,observer,gbifID",
        "scientific_name,lng,lat,date,recorder,record_id",
        "scientific_name,Long,LAT,date,recorder,record_id",
    ],
)
def test_columns_go_by_many_names(read, header):
    records, _ = read(header + "\nAus bus,10,20,2020-02-29,Ada,7\n")
    assert records.table.columns == list(CANONICAL)
    assert records.table.row(0, named=True) == {
        "scientific_name": "Aus bus",
        "common_name": None,
        "lon": 10.0,
        "lat": 20.0,
        "date": datetime.date(2020, 2, 29),
        "recorder": "Ada",
        "uncertainty_m": None,
        "record_id": "7",
        "license": None,
    }


@pytest.mark.parametrize(
    ("header", "row", "name"),
    [
        ("genus,specificEpithet", "Aus,bus", "Aus bus"),
        ("genus,species", "Aus,bus", "Aus bus"),
        ("genus,species", "Aus,Aus bus", "Aus bus"),
        ("species,scientificName", "Aus bus,Aus bus (Author 1900)", "Aus bus"),
    ],
)
def test_names_in_two_columns(read, header, row, name):
    records, _ = read(f"{header},lon,lat\n{row},1,2\n")
    assert records.table["scientific_name"].to_list() == [name]


def test_mapping_overrides(read):
    text = "species,Other Name,lon,lat,e,n\nAus bus,Cus dus,1,2,30,40\n"
    mapping = {"lon": "E", "lat": "n", "scientific_name": "Other Name"}
    records, report = read(text, mapping=mapping)
    assert records.table.select("scientific_name", "lon", "lat").row(0) == ("Cus dus", 30.0, 40.0)
    assert report.mapping["lon"] == "e"


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"longitude": "e"}, r"Unknown key 'longitude'.*lon, lat"),
        ({"lon": "east"}, r"'east', which is not there.*species, e, n"),
        ({"lon": "e"}, r"No column for lat.*species, e, n"),
        (None, r"No column for lon, lat"),
    ],
)
def test_mapping_that_does_not_fit(read, mapping, said):
    with pytest.raises(BadRecordError, match=rf"x\.csv.*{said}"):
        read("species,e,n\nAus bus,1,2\n", mapping=mapping)


# Records


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("Aus bus,,2", "missing"),
        ("Aus bus,NA,2", "missing"),
        ("Aus bus,east,2", "not numbers"),
        ("Aus bus,inf,2", "not numbers"),
        ("Aus bus,1e400,2", "not numbers"),
        ("Aus bus,181,2", "longitude is out of range"),
        ("Aus bus,-170,-90.5", "latitude is out of range"),
        ("Aus bus,40,120", "look swapped"),
        ("Aus bus,0,0.0", "exactly 0, 0"),
        (",1,2", "scientific name is missing"),
        ("null,1,2", "scientific name is missing"),
    ],
)
def test_reasons_to_drop(read, row, reason):
    records, report = read(f"species,lon,lat\n{row}\nAus bus,180,-90\n")
    assert len(records) == 1
    ((found, count),) = report.dropped.items()
    assert reason in found and count == 1
    assert report.examples[found][0][0] == 2
    assert found in str(report) and "line 2" in str(report)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2021-03-04", (2021, 3, 4)),
        ("2021-3-4", (2021, 3, 4)),
        ("2021/03/04", (2021, 3, 4)),
        ("20210304", (2021, 3, 4)),
        ("4.3.2021", (2021, 3, 4)),
        ("2021-03-04T23:59:59+05:00", (2021, 3, 4)),
        ("1984-09-19T02:00Z", (1984, 9, 19)),
        ("2021-03-04 10:00", (2021, 3, 4)),
        ("2021-03-04/2021-03-09", (2021, 3, 4)),
    ],
)
def test_dates(read, text, date):
    records, report = read(f"species,lon,lat,date\nAus bus,1,2,{text}\n")
    assert records.table["date"].to_list() == [datetime.date(*date)] and not report.changed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2021-02-30", "impossible"),
        ("2021-13-01", "impossible"),
        ("0021-01-01", "impossible"),
        ("2999-01-01", "impossible"),
        ("2021", "without a day"),
        ("2021-03", "without a day"),
        ("03/04/2021", "not of the form"),
        ("last spring", "not of the form"),
        ("1990-01-01/1999-12-31", "more than a month"),
    ],
)
def test_dates_that_become_empty_are_counted(read, text, reason):
    records, report = read(f"species,lon,lat,date\nAus bus,1,2,{text}\n")
    assert records.table["date"].to_list() == [None] and not report.dropped
    ((found, count),) = report.changed.items()
    assert reason in found and count == 1 and report.examples[found] == ((2, text),)


def test_decimal_commas_and_bad_uncertainty(read):
    text = "species;lon;lat;coordinateUncertaintyInMeters\nAus bus;1,5;-2,25;-3\nAus bus;1;2;30\n"
    records, report = read(text)
    assert records.table.select("lon", "lat", "uncertainty_m").rows() == [
        (1.5, -2.25, None),
        (1.0, 2.0, 30.0),
    ]
    assert sorted(report.changed.values()) == [1, 1]


def test_examples_stop_at_a_hundred(read):
    _, report = read("species,lon,lat\n" + "Aus bus,,\n" * 250 + "Aus bus,1,2\n")
    assert report.dropped == {"coordinates are missing": 250}
    assert len(report.examples["coordinates are missing"]) == 100


# Bad files


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"species,lon,lat\n", "header but no records"),
        (b"species,lon,lat", "header but no records"),
        (b"PK\x03\x04" + bytes(99), "zip archive.*can be read"),
        (b' {"type": "FeatureCollection"}', "JSON"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, "binary"),
        (bytes(range(256)) * 9, "binary"),
        (b"PAR1 and no more", "cut short or damaged"),
        (
            gzip.compress(b"species,lon,lat\nAus bus,1,2\n" * 999, mtime=0)[:40],
            "gzip file is cut short",
        ),
        (b"\x1f\x8b and no gzip", "gzip file is cut short"),
        (b'species,lon,lat\n"Aus bus,1,2\nAus bus,1,2\n', "quotation mark"),
        (b"<html><body>404</body></html>", "web page"),
        (b"just one line of words", "No column for lon, lat"),
    ],
)
def test_bad_files_give_one_clear_sentence(read, content, said):
    with pytest.raises(BadRecordError, match=rf"(?s)^bad\.csv.*{said}") as caught:
        read(content, "bad.csv")
    assert caught.value.file == "bad.csv" and len(str(caught.value)) < 400


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"No file .*none\.csv"):
        read_occurrences(tmp_path / "none.csv")
    with pytest.raises(DataNotFoundError, match="is a folder"):
        read_occurrences(tmp_path)


def test_nested_columns_are_refused(tmp_path):
    pl.DataFrame({"species": ["A b"], "lon": [[1.0]], "lat": [1.0]}).write_parquet(tmp_path / "a")
    with pytest.raises(BadRecordError, match=r"column 'lon'.*one plain value"):
        read_occurrences(tmp_path / "a")


# Parquet and properties

coordinate = st.floats(-180, 180) | st.sampled_from(["", "x", "95", "0", "-181", "NaN", "1,5"])
rows = st.lists(
    st.tuples(
        st.sampled_from(["Aus bus", "Cus dus", "", "NA"]),
        coordinate,
        coordinate,
        st.sampled_from(["", "2020-01-01", "2020-02-31", "soon"]),
        st.integers(0, 5),
    ),
    min_size=1,
    max_size=30,
)
on_disk = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@on_disk
@given(rows=rows, delimiter=st.sampled_from(";\t|"))
def test_every_row_is_accounted_for_and_what_is_written_reads_back(tmp_path, rows, delimiter):
    lines = ["species,lon,lat,date,note".replace(",", delimiter)]
    for *values, more in rows:
        lines.append(delimiter.join(map(str, values)) + delimiter * more)
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines))
    records, report = read_occurrences(path)
    assert report.rows_read == len(rows) == len(records) + sum(report.dropped.values())
    assert all(len(report.examples[r]) == min(n, 100) for r, n in report.dropped.items())
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False)) == report.to_dict()
    if len(records):
        records.write_parquet(tmp_path / "rows.parquet")
        again, second = read_occurrences(tmp_path / "rows.parquet")
        assert again.table.equals(records.table) and again.table.schema == records.table.schema
        assert second.format == "parquet" and not second.dropped and not second.changed


def test_parquet_with_other_types(tmp_path):
    moment = datetime.datetime(2021, 3, 4, 23, 30)
    table = pl.DataFrame(
        {
            "species": ["Aus bus", "Aus bus", None],
            "longitude": [1, 2, 3],
            "latitude": [1.5, math.nan, 2.5],
            "eventDate": [moment, moment, moment],
            "id": [7, 8, 9],
        }
    )
    table.write_parquet(tmp_path / "other.parquet")
    records, report = read_occurrences(tmp_path / "other.parquet")
    assert records.table["date"].to_list() == [moment.date()]
    assert records.table["record_id"].to_list() == ["7"]
    assert report.examples["scientific name is missing"][0][0] == 4
    assert sum(report.dropped.values()) == 2


def test_lonlat_and_length(read):
    records, _ = read("species,lon,lat\nAus bus,1.5,2\nAus bus,1.5,2\n")
    assert len(records) == 2 and records.lonlat().tolist() == [[1.5, 2.0], [1.5, 2.0]]


def test_part_of_year():
    date = datetime.date
    dates = pl.Series([date(2023, 1, 1), date(2023, 12, 31), date(2024, 12, 31), None])
    part = part_of_year(dates)
    assert part[:3].tolist() == pytest.approx([0, 364 / 365, 365 / 366]) and part[3].isnan()
    assert part_of_year(pl.Series([], dtype=pl.Date)).shape == (0,)
    assert part_of_year(pl.Series([None], dtype=pl.Date)).isnan().all()
