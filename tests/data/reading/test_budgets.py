"""Small files that would grow: each is refused, or read, within bounds of memory and time."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from csp_core.data import read_occurrences
from csp_core.data.reading import import_records, tabular
from csp_core.data.reading.jsonrecords import whole
from csp_core.errors import BadRecordError
from tests.data.reading import books

MEMORY, SECONDS = 1_500_000_000, 10
READ = """
import sys
from csp_core.data.reading import import_records
from csp_core.errors import BadRecordError
try:
    import_records(sys.argv[1], sys.argv[2], species_only=False)
except BadRecordError as error:
    print(error)
"""


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def read_in_a_child(path: Path) -> str:
    """Import a file in a process with limits; return what it was refused with."""
    command = [sys.executable, "-c", READ, str(path), str(path.with_name("out.parquet"))]
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout.strip()


def write_parquet(path: Path, rows: int, value: str, places: int | None = None) -> None:
    """Write one name for all rows, once in the file."""
    numbers = pa.array(np.zeros(rows, np.int32))
    place = np.random.default_rng(0).uniform(-60, 60, rows if places is None else places)
    lon = pa.array(np.resize(place, rows))
    name = pa.DictionaryArray.from_arrays(numbers, [value])
    pq.write_table(pa.table({"species": name, "lon": lon, "lat": lon}), path)


def dictionary_of_long_values(path: Path) -> None:
    write_parquet(path, 100_000, "A" * 200_000)


def lists_of_long_values(path: Path) -> None:
    where = pa.array(np.random.default_rng(0).uniform(-60, 60, 10_000))
    issue = pa.array([["A" * 200_000, "B"]] * 100, pa.list_(pa.string())).take(
        pa.array(np.zeros(10_000, np.int32))
    )
    table = {"species": pa.array(["Aus bus"] * 10_000), "lon": where, "lat": where, "issue": issue}
    pq.write_table(pa.table(table), path)


def rows_that_all_repeat(path: Path) -> None:
    write_parquet(path, 20_000_000, "Aus bus", places=1)


def many_columns(path: Path) -> None:
    names = [f"c{n}" for n in range(50_000)]
    lines = [["species", "lon", "lat", *names], *[["Aus bus", "1", "2", *["x"] * 50_000]] * 3]
    path.write_text("\n".join(map(",".join, lines)) + "\n")


def lines_that_are_no_records(path: Path) -> None:
    path.write_bytes(b"species,lon,lat\n" + b"a\n" * 8_000_000)


def blank_lines(path: Path) -> None:
    with gzip.open(path, "wb", 1) as stream:
        stream.write(b"species,lon,lat\n" + b"\n" * 50_000_000)


def json_of_empty_objects(path: Path) -> None:
    path.write_bytes(b'{"type":"FeatureCollection","features":[' + b"{}," * 20_000_000 + b"{}]}")


def one_giant_line(path: Path) -> None:
    with gzip.open(path, "wb", 1) as stream:
        stream.write(b"species,lon,lat\n" + b"a" * 200_000_000)


def spreadsheet_that_reaches_far(path: Path) -> None:
    far = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    books.excel(path, {"A": books.excel_rows([("species", "lat", "lon")]) + far})


def spreadsheet_of_one_text_for_all(path: Path) -> None:
    cells = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in range(1, 50_000))
    books.excel(path, {"A": cells}, texts=f"<si><t>{'A' * 1_000_000}</t></si>")


def document_that_repeats(path: Path) -> None:
    cell = books.open_cell("x", ' table:number-columns-repeated="16384"')
    row = f'<table:table-row table:number-rows-repeated="1048576">{cell}</table:table-row>'
    books.open_document(path, {"A": row})


def database_without_end(path: Path) -> None:
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA application_id=1196444487")
        database.execute(f"CREATE VIEW gpkg_contents AS {endless}")
        database.commit()


def placemarks_that_laugh(path: Path) -> None:
    names = "abcdefghij"
    pairs = itertools.pairwise(names)
    entities = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in pairs)
    head = f'<!DOCTYPE kml [<!ENTITY a "ha">{entities}]>\n'
    path.write_text(f"{head}<kml><Placemark><name>&j;</name></Placemark></kml>")


def elements_without_end(path: Path) -> None:
    path.write_text("<kml>" + "<a/>" * 8_000_000 + "</kml>")


def one_feature_of_many_points(path: Path) -> None:
    points = ",".join(["[1,2]"] * 2_000_000)
    shape = f'{{"type":"MultiPoint","coordinates":[{points}]}}'
    path.write_text(f'{{"type":"Feature","properties":{{"species":"Aus bus"}},"geometry":{shape}}}')


def lines_of_empty_objects(path: Path) -> None:
    path.write_text("{}\n" * 15_000_000)


BOMBS = {
    dictionary_of_long_values: "values that repeat",
    lists_of_long_values: "values that repeat",
    rows_that_all_repeat: "20,000,000 records, which would grow",
    many_columns: "50,003 columns; up to 5,000 are read",
    lines_that_are_no_records: "lines are blank or hold another number of fields",
    blank_lines: "lines are blank or hold another number of fields",
    json_of_empty_objects: "would take",
    one_giant_line: "unpacks to more than it should",
    spreadsheet_that_reaches_far: "reaches over 1,048,576 rows",
    spreadsheet_of_one_text_for_all: "repeats long texts",
    document_that_repeats: "reaches over 1,048,576 rows",
    database_without_end: "no plain list of its contents",
    placemarks_that_laugh: "web page or XML file",
    elements_without_end: "more than 1,500,000 elements",
    one_feature_of_many_points: "hold 2,000,000 points",
    lines_of_empty_objects: "objects without any name or value",
}


@pytest.mark.parametrize("make", BOMBS, ids=lambda make: make.__name__)
def test_a_file_that_would_grow_is_refused_within_bounds(make, tmp_path):
    path = tmp_path / "records.any"
    make(path)
    said = read_in_a_child(path)
    assert said.startswith("records.any: ") and BOMBS[make] in said and "\n" not in said


def test_long_values_that_repeat_are_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(tabular, "PIECE", 10_000)
    write_parquet(tmp_path / "a.parquet", 100, "Aus " + "b" * 3000)
    records, report = read_occurrences(tmp_path / "a.parquet")
    assert len(records) == report.rows_read == 100
    monkeypatch.setattr(tabular, "PIECE", 1000)
    with pytest.raises(BadRecordError, match="A record is longer"):
        read_occurrences(tmp_path / "a.parquet")


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.binary(4)])
def test_columns_of_no_plain_values_are_refused_before_they_are_read(tmp_path, kind):
    value = ["Aus bus"] if pa.types.is_list(kind) else b"Aus "
    table = pa.table({"species": pa.array([value], kind), "lon": [1.0], "lat": [2.0]})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(BadRecordError, match="column 'species': The column holds"):
        read_occurrences(tmp_path / "a.parquet")


def test_half_a_character_is_replaced_and_told(tmp_path):
    about = {"species": "Alauda \ud800", "note \udc00": "x"}
    point = {"type": "Point", "coordinates": [1, 2]}
    feature = {"type": "Feature", "properties": about, "geometry": point}
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    records, report = read_occurrences(path)
    assert records.table["scientific_name"].to_list() == ["Alauda \ufffd"]
    assert "lone surrogates" in str(report) and str(report).encode()
    assert whole("\ud83d\udc26 x") == "🐦 x"
    import_records(path, tmp_path / "out.parquet", species_only=False)


def test_a_geometry_that_is_nested_deeply_is_no_place(tmp_path):
    geometry = '{"type":"Point","coordinates":[1,2]}'
    for _ in range(480):
        geometry = '{"type":"GeometryCollection","geometries":[' + geometry + "]}"
    feature = '{"type":"Feature","properties":{"species":"Aus bus"},"geometry":' + geometry + "}"
    path = tmp_path / "deep.geojson"
    path.write_text('{"type":"FeatureCollection","features":[' + feature + "]}")
    try:
        assert read_occurrences(path)[1].rows_read == 1
    except BadRecordError as error:
        assert "nested too deeply" in str(error)


def test_a_table_of_photos_has_the_budget_of_records(tmp_path):
    from csp_core import load_dataset

    numbers = pa.array(np.zeros(100_000, np.int32))
    path = pa.DictionaryArray.from_arrays(numbers, ["A" * 200_000])
    pq.write_table(pa.table({"path": path, "label": path}), tmp_path / "a.parquet")
    with pytest.raises(BadRecordError, match="values that repeat"):
        load_dataset("photos", root=tmp_path / "a.parquet")


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_of_covariates_is_bounded(tmp_path, monkeypatch, packed):
    from csp_core.location import surfaces

    monkeypatch.setattr(surfaces, "MAX_TABLE_BYTES", 1000)
    path = tmp_path / ("a.csv.gz" if packed else "a.parquet")
    if packed:
        path.write_bytes(gzip.compress(b"lon,lat,value\n" + b"1,2,3\n" * 1000))
    else:
        pq.write_table(pa.table(dict.fromkeys(("lon", "lat", "value"), [1.0] * 1000)), path)
    with pytest.raises(BadRecordError, match="once read, which is the limit"):
        surfaces.read_surface(path, None, 0.5, None)
