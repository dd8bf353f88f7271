"""Small files of records and configurations made to cost much when they are read."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from csp_core.files import ASSETS

MEGABYTE = 1 << 20
HEAD = b"scientificName,decimalLongitude,decimalLatitude\n"


def table(rows: int) -> bytes:
    """Write as many rows of text."""
    return HEAD + b"".join(b"Pica pica,%d,%d\n" % (n % 180, n % 90) for n in range(rows))


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    """Write a Parquet file."""
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, **options)
    return stream.getvalue()


def places(rows: int) -> dict[str, Any]:
    """Give as many equal places."""
    return {"lon": np.zeros(rows), "lat": np.zeros(rows)}


def nested_lists(depth: int) -> bytes:
    """A Parquet column of lists in lists."""
    kind: pa.DataType = pa.int8()
    value: Any = 1
    for _ in range(depth):
        kind, value = pa.list_(kind), [value]
    names = pa.array([value] * 10, kind)
    return parquet({"scientific_name": names, **places(10)})


def archive(meta: str, members: dict[str, bytes]) -> bytes:
    """Write a Darwin Core Archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("meta.xml", meta)
        for name, content in members.items():
            packed.writestr(name, content)
    return stream.getvalue()


def described(location: str, head: str = "") -> str:
    """Write a meta.xml of one core file."""
    terms = ("scientificName", "decimalLongitude", "decimalLatitude")
    fields = "".join(f'<field index="{n}" term="{term}"/>' for n, term in enumerate(terms))
    return (
        f'{head}<archive xmlns="http://rs.tdwg.org/dwc/text/"><core fieldsTerminatedBy=","'
        f' rowType="Occurrence" ignoreHeaderLines="1"><files><location>{location}</location>'
        f'</files><id index="0"/>{fields}</core></archive>'
    )


def zip_of(members: dict[str, bytes]) -> bytes:
    """Write a zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return stream.getvalue()


def features(geometry: str, name: str) -> bytes:
    """Write GeoJSON of one feature, of JSON texts."""
    head = '{"type":"FeatureCollection","features":[{"type":"Feature","geometry":'
    return f'{head}{geometry},"properties":{{"scientificName":{name}}}}}]}}'.encode()


POINT = '{"type":"Point","coordinates":[1,2]}'


def deep_features(depth: int) -> bytes:
    """GeoJSON whose properties lie as deep as given."""
    return features(POINT, "[" * depth + "]" * depth)


def deep_geometry(depth: int) -> bytes:
    """GeoJSON whose geometries stand inside each other."""
    start = '{"type":"GeometryCollection","geometries":['
    return features(start * depth + POINT + "]}" * depth, '"Pica pica"')


def many_corners(corners: int) -> bytes:
    """GeoJSON of one polygon of as many corners, which cross each other."""
    ring = [[(n * 7919) % 360 - 180, (n * 104_729) % 180 - 90] for n in range(corners)]
    ring.append(ring[0])
    shape = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "geometry": shape, "properties": {"scientificName": "Pica pica"}}
    return json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()


def wide_records(columns: int) -> bytes:
    """JSON of records each of which has a column of its own."""
    rows = [{"scientificName": "Pica pica", "decimalLongitude": 1, "decimalLatitude": 2, f"c{n}": n}
            for n in range(columns)]  # fmt: skip
    return json.dumps(rows).encode()


RECORDS: dict[str, Callable[[], bytes]] = {
    "gzip_bomb.csv.gz": lambda: gzip.compress(HEAD + bytes(600 * MEGABYTE), 9),
    "gzip_rows.csv.gz": lambda: gzip.compress(HEAD + b"Pica pica,1,2\n" * 20_000_000, 9),
    "gzip_in_gzip.csv.gz": lambda: gzip.compress(gzip.compress(table(10))),
    "zip_bomb.zip": lambda: zip_of({"a.csv": HEAD + bytes(300 * MEGABYTE)}),
    "zip_climbs.zip": lambda: zip_of({"../../tmp/a.csv": table(10)}),
    "zip_100001_files.zip": lambda: zip_of({f"{n}.csv": b"" for n in range(100_001)}),
    "csv_50000_columns.csv": lambda: b",".join(b"c%d" % n for n in range(50_000)) + b"\n" + (
        b",".join([b"1"] * 50_000) + b"\n") * 20,
    "csv_one_line.csv": lambda: HEAD + b"a" * (80 * MEGABYTE),
    "csv_long_header.csv": lambda: b"a" * (30 * MEGABYTE) + b",b\n1,2\n",
    "csv_open_quote.csv": lambda: HEAD + b'"' + b"Pica pica,1,2\n" * 3_000_000,
    "csv_nothing_but_commas.csv": lambda: HEAD + b"," * (20 * MEGABYTE),
    "csv_blank_lines.csv": lambda: HEAD + b"\n" * (40 * MEGABYTE),
    "csv_escapes.csv": lambda: b"scientificName,decimalLongitude,decimalLatitude\n"
        b"\x1b]0;owned\x07\x1b[31mPica pica,1,2\n=cmd|'/c calc'!A0,1,2\n",
    "csv_many_names.csv": lambda: HEAD + b"".join(
        b"Pica p%d,1,2\n" % n for n in range(1_000_000)),
    "csv_digits.csv": lambda: HEAD + (b"Pica pica," + b"9" * 4000 + b",1e999\n") * 5000,
    "csv_dates.csv": lambda: b"scientificName,decimalLongitude,decimalLatitude,eventDate\n" + (
        b"Pica pica,1,2,99999999-99-99T99:99:99+99:99/0000\n") * 200_000,
    "json_deep.json": lambda: b"[" * 100_000 + b"]" * 100_000,
    "json_wide.json": lambda: wide_records(6_000),
    "json_empty_objects.json": lambda: b"[" + b"{}," * 5_000_000 + b"{}]",
    "json_digits.json": lambda: b'[{"scientificName": ' + b"9" * 5_000_000 + b"}]",
    "geojson_deep.geojson": lambda: deep_features(900),
    "geojson_deep_geometry.geojson": lambda: deep_geometry(300),
    "geojson_200000_corners.geojson": lambda: many_corners(200_000),
    "parquet_10000_row_groups.parquet": lambda: parquet(
        {"scientific_name": ["Pica pica"] * 10_000, **places(10_000)}, row_group_size=1),
    "parquet_long_text.parquet": lambda: parquet(
        {"scientific_name": ["a" * (100 * MEGABYTE)], "lon": [1.0], "lat": [2.0]}),
    "parquet_same_text.parquet": lambda: parquet(
        {"scientific_name": pa.DictionaryArray.from_arrays(
            np.zeros(100_000, np.int32), ["a" * 100_000]), **places(100_000)}),
    "parquet_lists.parquet": lambda: nested_lists(30),
    "parquet_many_rows.parquet": lambda: parquet(
        {"scientific_name": pa.DictionaryArray.from_arrays(
            np.zeros(20_000_000, np.int32), ["Pica pica"]), **places(20_000_000)}),
    "parquet_3000_columns.parquet": lambda: parquet(
        {**{f"c{n}": [1] for n in range(3_000)}, "scientific_name": ["Pica pica"], "lon": [1.0],
         "lat": [2.0]}),
    "parquet_cut.parquet": lambda: parquet(places(1000))[:-20] + b"\xff\xff\xff\x7fPAR1",
    "archive_entities.zip": lambda: archive(described("o.txt", '<!DOCTYPE a [<!ENTITY x SYSTEM '
        '"file:///etc/passwd">]>'), {"o.txt": table(10)}),
    "archive_climbs.zip": lambda: archive(described("../../../../etc/passwd"), {"o.txt": table(9)}),
    "archive_same_file.zip": lambda: archive(described("</location><location>".join(
        ["o.txt"] * 20_000)), {"o.txt": table(1000)}),
    "sheet_bomb.xlsx": lambda: zip_of({"[Content_Types].xml": b"<x/>", "xl/sheet.xml":
        bytes(100 * MEGABYTE)}),
    "not_a_number.csv": lambda: HEAD + b"Pica pica,nan,inf\nPica pica,-0x10,1_0\n" * 1000,
    "utf16_cut.csv": lambda: b"\xff\xfe" + ("a,b\n" * 100_000).encode("utf-16-le")[:-1],
}  # fmt: skip


def demo() -> str:
    """Give the configuration of the demo run, without its absolute place."""
    return (ASSETS.parent / "configs" / "demo.yaml").read_text(encoding="utf-8")


def nested_yaml(depth: int) -> str:
    """Write YAML in YAML."""
    return "training: " + "{a: " * depth + "1" + "}" * depth


CONFIGS: dict[str, Callable[[], str]] = {
    "deep.yaml": lambda: nested_yaml(3000),
    "wide.yaml": lambda: "\n".join(f"k{n}: 1" for n in range(200_000)),
    "merge.yaml": lambda: "a: &a {x: 1}\n" + "\n".join(
        f"b{n}: &b{n}\n  <<: [{', '.join(['*a'] * 50)}]" for n in range(200)),
    "tag.yaml": lambda: "name: !!python/object/apply:os.system ['touch owned']",
    "number.yaml": lambda: demo() + "\nseed: 1e999\n",
    "nan_rate.yaml": lambda: re.sub(r"learning_rate: .*", "learning_rate: .nan", demo()),
    "escape.yaml": lambda: demo().replace("name:", 'name: "\\e[31m:bomb: [red]x" #', 1),
    "surrogate.yaml": lambda: 'name: "\\ud800"\n',
    "digits.yaml": lambda: f"seed: {'9' * 50_000}\n",
    "sexagesimal.yaml": lambda: f"seed: {':'.join(['59'] * 20_000)}\n",
    "date.yaml": lambda: "name: 9999-99-99\nseed: !!binary '" + base64.b64encode(
        bytes(30_000)).decode() + "'\n",
}  # fmt: skip
