"""Pages of web services, and JSON with a record in each line."""

from __future__ import annotations

import gzip
import json

import pytest

from csp_core.data import read_occurrences
from csp_core.data.reading import import_records
from csp_core.errors import BadRecordError
from tests.data.reading import exports

RECORD = {"species": "Turdus merula", "decimalLatitude": 52.5, "decimalLongitude": 13.4}
POINT = {"type": "Point", "coordinates": [13.4, 52.5]}
PLACE = ("Turdus merula", 13.4, 52.5)


def read(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    records, report = read_occurrences(path)
    return records.table.select("scientific_name", "lon", "lat").rows(), report


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ({"offset": 0, "limit": 1, "endOfRecords": False, "count": 54321}, "1 of 54,321 records"),
        ({"offset": 0, "limit": 1, "endOfRecords": False}, "says that there are more"),
        ({"total": 900, "facets": []}, "1 of 900 records"),
        ({"total_results": 7, "page": 1, "per_page": 1}, "1 of 7 records"),
        ({"itemCount": "12"}, "1 of 12 records"),
        ({"meta": {"total_count": 30}}, "1 of 30 records"),
        ({"next": "https://example.org/?offset=1"}, "says that there are more"),
        ({"links": [{"rel": "next", "href": "x"}]}, "says that there are more"),
        ({"properties": {"exceededTransferLimit": True}}, "says that there are more"),
        *(({key: 40}, "1 of 40 records") for key in ("totalCount", "totalElements", "totalHits")),
        *(({key: "40"}, "1 of 40 records") for key in ("numRecordings", "@odata.count")),
        *(({key: "x"}, "that there are more") for key in ("nextPage", "nextLink", "next_page_url")),
        ({"@odata.nextLink": "x"}, "says that there are more"),
    ],
)
@pytest.mark.parametrize("key", ["results", "records", "recordings", "hits"])
def test_one_page_of_many_is_told(tmp_path, page, told, key):
    places, report = read(tmp_path / "x.json", {**page, key: [RECORD]})
    assert places == [PLACE]
    (note,) = report.notes
    assert note.startswith("one page: 1") and told in note


@pytest.mark.parametrize(
    "page",
    [
        {"offset": 0, "limit": 300, "endOfRecords": True, "count": 1},
        {"total": 1},
        {"next": None},
        {"count": True},
        {},
    ],
)
def test_all_there_is_needs_no_word(tmp_path, page):
    assert read(tmp_path / "x.json", {**page, "results": [RECORD]})[1].notes == ()


def test_pages_of_observations_and_of_features(tmp_path):
    page = {"total_results": 9, "results": [exports.observation()]}
    places, report = read(tmp_path / "a.json", page)
    assert places == [PLACE] and report.format == "inaturalist"
    assert report.notes == ("one page: 1 of 9 records",)
    feature = exports.feature(POINT, species="Turdus merula")
    more = {"numberMatched": 80, "numberReturned": 1}
    places, report = read(tmp_path / "b.json", exports.collection(feature, **more))
    assert places == [PLACE] and report.notes == ("one page: 1 of 80 records",)
    text = exports.collection(feature, exceededTransferLimit=True)
    assert "there are more" in read(tmp_path / "c.json", text)[1].notes[0]


def test_records_that_lie_below_a_key_of_their_own(tmp_path):
    item = {
        "uuid": "u",
        "data": {"dwc:scientificName": "Turdus merula", "dwc:decimalLatitude": 52.5},
    }
    item["data"]["dwc:decimalLongitude"] = 13.4
    places, report = read(tmp_path / "x.json", {"itemCount": 1, "items": [item]})
    assert places == [PLACE] and report.mapping["record_id"] == "uuid"


def test_records_with_a_place_name_are_no_observations(tmp_path):
    places, report = read(tmp_path / "x.json", [RECORD | {"location": "Berlin", "taxon": "bird"}])
    assert places == [PLACE] and report.format == "json"


# JSON Lines


@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x.ndjson", "x"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", "\n\x1e"])
@pytest.mark.parametrize("packed", [False, True])
def test_json_lines(tmp_path, name, end, packed):
    lines = [json.dumps(RECORD | {"note": "é"}), json.dumps(RECORD | {"eventDate": "2020-05-01"})]
    data = end.join(["\x1e" * ("\x1e" in end) + lines[0], lines[1]]).encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if packed else data)
    records, report = read_occurrences(path)
    assert len(records) == 2 and report.format == "json lines"
    # A column that only a later line has is read too.
    assert records.table["date"].null_count() == 1


@pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
def test_a_single_record_is_a_list_of_one(tmp_path, name):
    assert read(tmp_path / name, RECORD)[0] == [PLACE]


def test_a_cell_of_megabytes_is_told_in_a_line(tmp_path):
    rows = [RECORD, {**RECORD, "species": "a" * 3_000_000}]
    report = read(tmp_path / "x.json", rows)[1]
    assert sum(report.flagged.values()) == 1
    assert len(str(report)) < 1000


def test_json_lines_of_features_and_of_observations(tmp_path):
    features = [exports.feature(POINT, species="Turdus merula", lon=1, lat=2)] * 3
    places, report = read(tmp_path / "x.geojsonl", "\n".join(map(json.dumps, features)))
    assert places == [PLACE] * 3 and report.mapping["lon"] == "lon"
    found = [exports.observation(id=n) for n in range(3)]
    places, report = read(tmp_path / "x.jsonl", "\n".join(map(json.dumps, found)))
    assert places == [PLACE] * 3 and report.mapping["recorder"] == "user_login"


def test_lines_that_are_no_objects_are_counted(tmp_path):
    lines = [json.dumps(RECORD), json.dumps(RECORD), "{broken", "", "[1, 2]", json.dumps(RECORD)]
    places, report = read(tmp_path / "x.jsonl", "\n".join(lines))
    assert len(places) == 3 and report.rows_read == 5
    assert report.dropped == {"line is no JSON object": 2}
    assert report.examples["line is no JSON object"] == ((3, "{broken"), (5, "[1, 2]"))


def test_json_lines_in_blocks_are_the_same(tmp_path, monkeypatch):
    lines = [json.dumps(RECORD | {"id": n, **({"x1": 1} if n == 59 else {})}) for n in range(60)]
    path = tmp_path / "x.jsonl"
    whole = read(path, "\n".join(lines))
    monkeypatch.setattr("csp_core.data.reading.lines.BLOCK", 200)
    assert read(path, "\n".join(lines)) == whole
    report = import_records(path, tmp_path / "out.parquet")
    assert report.rows_kept == 60


def test_json_that_is_cut_short_stays_so(tmp_path):
    with pytest.raises(BadRecordError, match="cut short or damaged"):
        read(tmp_path / "x.json", '{"results": [\n{"species": "Aus bus"},\n{"spec')


def test_json_lines_nested_beyond_reason(tmp_path):
    deep = '{"a":' * 100_000 + "1" + "}" * 100_000
    with pytest.raises(BadRecordError, match="nested too deeply"):
        read(tmp_path / "x.jsonl", "\n".join([json.dumps(RECORD), deep]))
