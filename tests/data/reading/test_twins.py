"""Columns of one name are put together in every format by the rule of CSV, in its words."""

from __future__ import annotations

import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from csp_core.data import read_occurrences
from tests.data.reading import books

NAMES = ("species", "lat", "lon", "lat")
ROWS = (
    ("Aus bus", None, 13.4, 52.5),
    ("Aus bus", 48.25, 2.5, None),
    ("Cus dus", 10.5, 20.5, -33.5),
    ("Cus dus", 11.5, 21.5, 11.5),
)
PLACES = [(13.4, 52.5), (2.5, 48.25), (20.5, 10.5), (21.5, 11.5)]
TOLD = {
    "values taken from another column of one name, where the first is empty: 1",
    "values that differ between columns of one name, of which the first counts: 1",
}


def csv(path, names):
    lines = [names, *(["" if v is None else str(v) for v in row] for row in ROWS)]
    path.write_text("\n".join(map(",".join, lines)) + "\n")


def parquet(path, names):
    columns = [pa.array(column) for column in zip(*ROWS, strict=True)]
    pq.write_table(pa.Table.from_arrays(columns, names=list(names)), path)


def parquet_of_texts(path, names):
    columns = [pa.array(column) for column in zip(*ROWS, strict=True)]
    columns[3] = pa.array([None if v is None else f" {v}" for v in columns[3].to_pylist()])
    pq.write_table(pa.Table.from_arrays(columns, names=list(names)), path)


def parquet_with_holes(path, names):
    columns = [pa.array(column) for column in zip(*ROWS, strict=True)]
    columns[1] = pa.array([float("nan") if v is None else v for v in columns[1].to_pylist()])
    pq.write_table(pa.Table.from_arrays(columns, names=list(names)), path)


def objects(names):
    cells = [[f"{json.dumps(n)}: {json.dumps(v)}" for n, v in zip(names, r, strict=True)]
             for r in ROWS]  # fmt: skip
    return [f"{{{', '.join(each)}}}" for each in cells]


def json_list(path, names):
    path.write_text(f"[{', '.join(objects(names))}]")


def json_lines(path, names):
    path.write_text("\n".join(objects(names)) + "\n")


def xlsx(path, names):
    books.excel(path, {"records": books.excel_rows([list(names), *map(list, ROWS)])})


FORMATS = (csv, parquet, parquet_of_texts, parquet_with_holes, json_list, json_lines, xlsx)


@pytest.mark.parametrize("write", FORMATS)
@pytest.mark.parametrize("other", ["lat", "Lat", "LAT ", "dwc:lat"])
def test_two_columns_of_one_name(tmp_path, write, other):
    write(tmp_path / "x", (*NAMES[:3], other))
    records, report = read_occurrences(tmp_path / "x")
    assert records.table.select("lon", "lat").rows() == PLACES
    assert set(report.notes) >= TOLD, report.notes


@pytest.mark.parametrize("write", FORMATS)
def test_two_pairs_of_synonyms(tmp_path, write):
    """A pair that is blank gives way to the next, as one column alone would mix two places."""
    write(tmp_path / "x", ("species", "decimalLatitude", "decimalLongitude", "lat"))
    records, report = read_occurrences(tmp_path / "x")
    assert records.table.select("lon", "lat").rows() == PLACES[1:]
    assert report.dropped == {"coordinates are missing": 1}
    assert "lat is read from 'decimalLatitude', not from 'lat'" in report.notes


def test_a_pair_that_is_blank_gives_way_to_the_next(tmp_path):
    pl.DataFrame(
        {"species": ["Aus bus"] * 2, "decimalLatitude": [None, 1.0],
         "decimalLongitude": [None, 2.0], "lat": [52.5, 9.0], "lon": [13.4, 9.0]}
    ).write_parquet(tmp_path / "x")  # fmt: skip
    records, report = read_occurrences(tmp_path / "x")
    assert records.table.select("lon", "lat").rows() == [(13.4, 52.5), (2.0, 1.0)]
    assert any("where the first columns are blank" in reason for reason in report.changed)


def test_the_geometry_counts_and_another_place_in_the_properties_is_told(tmp_path):
    about = {"species": None, "Species": "Aus bus", "lat": 7, "lon": 8, "Lat": 9}
    point = {"type": "Point", "coordinates": [1.5, 2.5]}
    feature = {"type": "Feature", "properties": about, "geometry": point}
    (tmp_path / "x").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    records, report = read_occurrences(tmp_path / "x")
    assert records.table.select("scientific_name", "lon", "lat").rows() == [("Aus bus", 1.5, 2.5)]
    assert "lat is read from 'lat', not from 'Lat'" in report.notes
    assert any("another place than their geometry, which counts: 1" in n for n in report.notes)
