"""Every format that is read: what comes out of a small fake of each."""

from __future__ import annotations

import datetime
import gzip
import io
import json
import zipfile

import polars as pl
import pyproj
import pytest
import shapely

from csp_core.data import read_occurrences
from csp_core.errors import BadRecordError
from tests.data.reading import exports

PLACE = ("scientific_name", "lon", "lat")
ROW = ("a1", "Turdus merula", 52.5, 13.4, "2021-03-04")


def places(records):
    return records.table.select(PLACE).rows()


# Darwin Core Archives


@pytest.mark.parametrize("folder", ["", "some/where/"])
@pytest.mark.parametrize("as_folder", [False, True])
def test_archive_as_zip_and_as_folder(tmp_path, folder, as_folder):
    files = {"meta.xml": exports.default_meta(), "occurrence.txt": exports.tabbed(ROW)}
    if as_folder:
        path = exports.spread(tmp_path / "archive", files)
    else:
        path = exports.pack(tmp_path / "a.zip", {folder + k: v for k, v in files.items()})
    records, report = read_occurrences(path)
    assert places(records) == [("Turdus merula", 13.4, 52.5)]
    assert records.table.row(0, named=True)["date"] == datetime.date(2021, 3, 4)
    assert (report.format, report.rows_read) == ("darwin core archive", 1)
    assert report.mapping["record_id"] == "occurrenceID"


def test_quotes_in_an_archive_are_plain_unless_it_says_otherwise(tmp_path):
    fields = {"scientificName": 0, "decimalLatitude": 1, "decimalLongitude": 2, "recordedBy": 3}
    plain = exports.part("o.txt", fields, attributes=r'fieldsTerminatedBy="\t" fieldsEnclosedBy=""')
    text = 'Aus bus\t1\t2\t5" tall\nAus bus\t1\t2\t"A"\n'
    path = exports.pack(tmp_path / "a.zip", {"meta.xml": exports.meta(plain), "o.txt": text})
    assert read_occurrences(path)[0].table["recorder"].to_list() == ['5" tall', '"A"']
    quoted = exports.part(
        "o.txt", fields, attributes="""fieldsTerminatedBy=";" fieldsEnclosedBy="'" """
    )
    text = "Aus bus;1;2;'A;\nB'\nAus bus;1;2;C\n"
    path = exports.pack(tmp_path / "b.zip", {"meta.xml": exports.meta(quoted), "o.txt": text})
    assert read_occurrences(path)[0].table["recorder"].to_list() == ["A;\nB", "C"]


def test_defaults_encoding_and_several_files(tmp_path):
    fields = {"scientificName": 0, "decimalLatitude": 1, "decimalLongitude": 2}
    attributes = r'fieldsTerminatedBy="\t" fieldsEnclosedBy="" ignoreHeaderLines="1"'
    core = exports.part("one.txt two.txt", fields | {"license": "CC0"}, attributes=attributes)
    core = core.replace("UTF-8", "UTF-16")
    core = core.replace(f'term="{exports.TERMS}scientificName"', r'\g<0> default="Dus eus"')
    core = core.replace(r"\g<0>", f'term="{exports.TERMS}scientificName"')
    files = {
        "meta.xml": exports.meta(core),
        "one.txt": "name\tlat\tlon\nAüs bus\t1\t2\n\t3\t4\n".encode("utf-16"),
        "two.txt": "name\tlat\tlon\nCus dus\t5\t6\n".encode("utf-16"),
    }
    records, report = read_occurrences(exports.pack(tmp_path / "a.zip", files))
    assert places(records) == [
        ("Aüs bus", 2.0, 1.0),
        ("Dus eus", 4.0, 3.0),
        ("Cus dus", 6.0, 5.0),
    ]
    assert records.table["license"].to_list() == ["CC0"] * 3
    assert report.encoding == "utf-16"


def test_occurrences_are_joined_to_their_events(tmp_path):
    event = exports.part(
        "event.txt",
        {"eventDate": 1, "decimalLatitude": 2, "decimalLongitude": 3},
        row="Event",
    )
    found = exports.part(
        "occurrence.txt",
        {"occurrenceID": 1, "scientificName": 2, "decimalLatitude": 3},
        tag="extension",
    )
    files = {
        "meta.xml": exports.meta(event, found),
        "event.txt": exports.tabbed(
            ("e1", "2021-03-04", 10, 20), ("e2", "2021-03-05", 30, 40), header=("id", "d", "y", "x")
        ),
        "occurrence.txt": exports.tabbed(
            ("e2", "o1", "Aus bus", ""),
            ("e1", "o2", "Cus dus", "11"),
            ("gone", "o3", "Cus dus", ""),
            header=("coreid", "o", "n", "y"),
        ),
    }
    records, report = read_occurrences(exports.pack(tmp_path / "a.zip", files))
    # What the occurrence says of itself comes before what its event says.
    assert places(records) == [("Aus bus", 40.0, 30.0), ("Cus dus", 20.0, 11.0)]
    assert records.table["record_id"].to_list() == ["o1", "o2"]
    assert report.dropped == {"coordinates are missing": 1}
    assert any("joined to its Event" in note for note in report.notes)


def test_core_of_occurrences_is_read_without_its_extensions(tmp_path):
    core = exports.part("occurrence.txt", {n: i for i, n in enumerate(exports.FIELDS)})
    media = exports.part("media.txt", {"title": 1}, tag="extension", row="Multimedia")
    files = {"meta.xml": exports.meta(core, media), "occurrence.txt": exports.tabbed(ROW)}
    _, report = read_occurrences(exports.pack(tmp_path / "a.zip", files))
    assert report.notes == ("extensions not used: Multimedia",)


def test_rare_line_signs_end_no_line(tmp_path):
    text = exports.tabbed(("a\x85b\u2028", "Aus bus", 1, 2, "2021-03-04"), header=None)
    meta = exports.default_meta().replace('ignoreHeaderLines="1"', 'ignoreHeaderLines="0"')
    path = exports.pack(tmp_path / "a.zip", {"meta.xml": meta, "occurrence.txt": text})
    assert read_occurrences(path)[1].rows_kept == 1


@pytest.mark.parametrize("name", ["occurrence.txt", "folder/records.csv"])
def test_zip_without_meta_is_read_with_a_note(tmp_path, name):
    files = {name: "species,lon,lat\nAus bus,1,2\n", "readme.pdf": "no", "__MACOSX/._x.csv": "no"}
    records, report = read_occurrences(exports.pack(tmp_path / "a.zip", files))
    assert len(records) == 1 and "no meta.xml" in report.notes[0] and name in report.notes[0]


def test_gbif_simple_download(tmp_path):
    header = ("gbifID", "species", "scientificName", "taxonRank", "decimalLatitude")
    header = (*header, "decimalLongitude", "eventDate", "occurrenceStatus", "countryCode")
    rows = [
        ("1", "Aus bus", "Aus bus L.", "SPECIES", 52.0, 13.0, "2020-01-02T10:00", "PRESENT", "DE"),
        ("2", "Aus bus", "Aus bus L.", "SPECIES", 52.0, -13.0, "2020-01-02", "PRESENT", "DE"),
        ("3", "Aus bus", "Aus bus L.", "SPECIES", 52.0, 13.0, "2020-01-03", "ABSENT", "DE"),
        ("4", "", "Aus", "GENUS", 52.0, 13.0, "2020-01-03", "PRESENT", "DE"),
    ]
    path = tmp_path / "download.csv"
    path.write_text(exports.tabbed(*rows, header=header))
    records, report = read_occurrences(path)
    assert records.table["record_id"].to_list() == ["1", "2"]
    assert report.dropped == {"record of an absence": 1, "scientific name is missing": 1}
    assert report.flagged == {"sign of the longitude does not fit the country": 1}
    (told,) = report.examples["sign of the longitude does not fit the country"]
    assert told == (3, "longitude -13.0, latitude 52.0 in DE")


# JSON


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("wrap", [lambda o: {"total_results": 9, "results": o}, lambda o: o])
def test_inaturalist_api(tmp_path, wrap, packed):
    obscured = exports.observation(id=8, geojson=None, captive=True, obscured=True)
    nowhere = exports.observation(id=9, geojson=None, location=None)
    as_list = exports.observation(id=10, geojson=None, location=[52.5, 13.4], user=None)
    data = json.dumps(wrap([exports.observation(), obscured, nowhere, as_list])).encode()
    path = tmp_path / "page"
    path.write_bytes(gzip.compress(data) if packed else data)
    records, report = read_occurrences(path)
    assert places(records) == [("Turdus merula", 13.4, 52.5)] * 3
    assert records.table.row(0, named=True) == {
        "scientific_name": "Turdus merula",
        "common_name": "Eurasian Blackbird",
        "lon": 13.4,
        "lat": 52.5,
        "date": datetime.date(2021, 3, 4),
        "recorder": "ada",
        "uncertainty_m": 12.0,
        "record_id": "7",
        "license": "cc-by",
    }
    assert report.format == "inaturalist" and report.dropped == {"coordinates are missing": 1}
    assert report.flagged["captive or cultivated"] == 1
    assert report.flagged["place obscured by the recorder or the site"] == 1
    assert report.examples["coordinates are missing"][0][0] == 4


def test_inaturalist_website_and_darwin_core(tmp_path):
    text = (
        "id,observed_on,user_login,latitude,longitude,public_positional_accuracy,captive_cultivated"
        ",coordinates_obscured,species_guess,scientific_name,common_name\n"
        '5,2019-08-13,ada,41.6,-93.7,77,true,false,"A, b",Calopteryx maculata,Ebony Jewelwing\n'
    )
    path = tmp_path / "observations.csv"
    path.write_text(text)
    records, report = read_occurrences(path)
    row = records.table.row(0, named=True)
    assert (row["common_name"], row["uncertainty_m"]) == ("Ebony Jewelwing", 77.0)
    assert report.flagged == {"captive or cultivated": 1}


def test_geojson(tmp_path):
    point = {"type": "Point", "coordinates": [13.4, 52.5, 30.0]}
    square = {"type": "Polygon", "coordinates": [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]]}
    text = exports.collection(
        exports.feature(point, species="Aus bus", date="2021-03-04", more={"a": [1]}),
        exports.feature(square, species="Cus dus"),
        exports.feature(None, species="Cus dus"),
        exports.feature({"type": "Point", "coordinates": []}, species="Cus dus"),
        exports.feature({"type": "Spiral", "coordinates": 3}, species="Cus dus"),
    )
    path = tmp_path / "x.geojson"
    path.write_text(text)
    records, report = read_occurrences(path)
    assert places(records) == [("Aus bus", 13.4, 52.5), ("Cus dus", 1.0, 1.0)]
    assert report.dropped == {"coordinates are missing": 3} and report.format == "geojson"


def test_geojson_in_another_reference_system(tmp_path):
    point = {"type": "Point", "coordinates": [1_491_681.2, 6_891_041.7]}
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}
    path = tmp_path / "x.json"
    path.write_text(exports.collection(exports.feature(point, species="Aus bus"), crs=crs))
    records, report = read_occurrences(path)
    assert records.table.select("lon", "lat").row(0) == pytest.approx((13.4, 52.5), abs=1e-4)
    assert "EPSG::3857" in report.notes[0]


# Parquet and GeoParquet


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("crs", "xy"),
    [
        ("absent", (13.4, 52.5)),
        (None, (13.4, 52.5)),
        (4326, (13.4, 52.5)),
        (3857, (1_491_681.2, 6_891_041.7)),
        (25833, (391_391.6, 5_817_858.6)),
    ],
)
def test_geoparquet(tmp_path, crs, xy, packed):
    said = pyproj.CRS(crs).to_json_dict() if isinstance(crs, int) else crs
    shapes = [shapely.Point(xy), shapely.Point(xy).buffer(0.01), None, shapely.Point()]
    path = exports.geoparquet(tmp_path / "x.parquet", shapes, said, species=["Aus bus"] * 4)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    records, report = read_occurrences(path)
    for row in records.table.select("lon", "lat").rows():
        assert row == pytest.approx((13.4, 52.5), abs=0.02)
    assert report.format == "geoparquet" and len(records) == 2
    assert report.dropped == {"coordinates are missing": 2}
    assert ("converted to WGS84" in report.notes[0]) == (crs in (3857, 25833))


@pytest.mark.parametrize(
    ("crs", "said"), [("EPSG:999999", "unknown"), ({"type": "nonsense"}, "unknown")]
)
def test_geoparquet_of_an_unknown_reference_system(tmp_path, crs, said):
    path = exports.geoparquet(tmp_path / "x", [shapely.Point(1, 2)], crs, species=["Aus bus"])
    with pytest.raises(BadRecordError, match=said):
        read_occurrences(path)


def test_parquet_inside_a_zip_and_location_lists(tmp_path):
    table = pl.DataFrame(
        {"taxon.name": ["Aus bus", "Aus bus"], "location": [[52.5, 13.4], None], "obscured": True}
    )
    held = io.BytesIO()
    table.write_parquet(held)
    path = exports.pack(tmp_path / "a.zip", {"x.parquet": held.getvalue()})
    records, report = read_occurrences(path)
    assert places(records) == [("Aus bus", 13.4, 52.5)]
    assert report.dropped == {"coordinates are missing": 1}


# Text


def test_delimiter_is_not_counted_inside_quotes(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('"name, full, of the species";species;lon;lat\n"a";Aus bus;1,5;2\n')
    records, report = read_occurrences(path)
    assert places(records) == [("Aus bus", 1.5, 2.0)] and report.delimiter == "semicolon"


def test_blocks_cut_lines_quotes_and_line_ends_anywhere(tmp_path, monkeypatch):
    rows = [f'Aus bus,{i % 90},{i % 80},"a\r\n""{i}"", é"\r\n' for i in range(60)]
    odd = ["Aus bus,1\r\n", "\r\n", "Aus bus,1,2,x,y\r\n"]
    data = ("species,lon,lat,recordedBy\r\n" + "".join([*rows[:30], *odd, *rows[30:]])).encode()
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    whole, told = read_occurrences(path)
    assert len(whole) == 59 and told.dropped["wrong number of fields"] == 2
    for size in (40, 41, 64, 97):
        monkeypatch.setattr("csp_core.data.reading.lines.BLOCK", size)
        again, report = read_occurrences(path)
        assert again.table.equals(whole.table)
        assert report == told


def test_latin_1_is_found_wherever_it_begins(tmp_path, monkeypatch):
    monkeypatch.setattr("csp_core.data.reading.lines.BLOCK", 64)
    text = "species,common_name,lon,lat\n" + "Aus bus,x,1,2\n" * 50 + "Aus bus,Pájaro,1,2\n"
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode("latin-1"))
    records, report = read_occurrences(path)
    assert records.table["common_name"][-1] == "Pájaro" and report.encoding == "latin-1"


def test_nothing_is_unpacked_beside_the_archive(tmp_path):
    files = {"meta.xml": exports.default_meta(), "occurrence.txt": exports.tabbed(ROW)}
    path = exports.pack(tmp_path / "a.zip", files)
    read_occurrences(path)
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["a.zip"]
    assert zipfile.is_zipfile(path)
