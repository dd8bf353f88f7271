"""Columns of one name are put together in every format by the rule of CSV, in its words."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

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


@pytest.mark.parametrize("number", [4000000001, 9007199254740993])
@pytest.mark.parametrize(
    "kinds",
    [(pl.Int64, pl.Int64), (pl.Int64, pl.UInt64), (pl.UInt64, pl.UInt64), (pl.String, pl.Int64)],
)
def test_numbers_of_records_keep_their_digits(tmp_path, kinds, number):
    table = pl.DataFrame(
        {"species": ["Aus bus"] * 2, "lat": [1.5, 2.5], "lon": [3.5, 4.5],
         "gbifID": pl.Series([number, None]).cast(kinds[0]),
         "dwc:gbifID": pl.Series([number, number + 1]).cast(kinds[1])}
    )  # fmt: skip
    table.write_parquet(tmp_path / "x")
    records, report = read_occurrences(tmp_path / "x")
    assert records.table["record_id"].to_list() == [f"{number}", f"{number + 1}"]
    assert not any("values that differ" in note for note in report.notes)


def test_whole_numbers_beside_floats_are_compared_as_numbers(tmp_path):
    pl.DataFrame(
        {"species": ["Aus bus"] * 2, "lat": [1, 2], "lon": [3, 4], "Lat": [1.0, 2.5]}
    ).write_parquet(tmp_path / "x")
    records, report = read_occurrences(tmp_path / "x")
    assert records.table["lat"].to_list() == [1, 2] and TOLD & set(report.notes)


MAY = datetime(2019, 5, 1, 10)


@pytest.mark.parametrize(
    ("first", "other", "differ"),
    [
        (MAY, "2019-05-01T10:00:00", 0),
        (MAY, "2019-05-01 10:00", 0),
        (MAY, "2019-05-01T10:00:00.000Z", 0),
        (MAY, "2019-05-01T10:00:01", 1),
        (MAY, "May 2019", 1),
        (MAY, "", 0),
        (MAY.replace(tzinfo=UTC), "2019-05-01T12:00:00+02:00", 0),
        (MAY.replace(tzinfo=UTC), "2019-05-01T12:00+02", 0),
        (MAY.replace(tzinfo=UTC), "2019-05-01T10:00:00+02:00", 1),
        (MAY, pl.Series([MAY], dtype=pl.Datetime("ms")), 0),
        (date(2019, 5, 1), "2019-05-01", 0),
        (date(2019, 5, 1), "2019-05-02", 1),
        ("2019-05-01T10:00", MAY, 0),
    ],
)
def test_times_are_compared_as_moments(tmp_path, first, other, differ):
    pl.DataFrame(
        {"species": "Aus bus", "lat": 1.5, "lon": 2.5, "eventDate": first, "dwc:eventDate": other}
    ).write_parquet(tmp_path / "x")
    records, report = read_occurrences(tmp_path / "x")
    assert records.table["date"].to_list() == [date(2019, 5, 1)]
    assert sum("values that differ" in note for note in report.notes) == differ
