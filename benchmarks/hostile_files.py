"""Small files and folders made to cost much, or to say what they should not."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import re
import shutil
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from csp_core.files import ASSETS

MEGABYTE = 1 << 20
Make = Callable[[Path], object]
HEAD = b"scientificName,decimalLongitude,decimalLatitude\n"


def png(*chunks: tuple[bytes, bytes], width: int = 8, height: int = 8) -> bytes:
    """Write a grey PNG with chunks of one's own before its pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data))  # fmt: skip

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes((width + 1) * height)))
    middle = b"".join(chunk(*one) for one in chunks)
    return b"\x89PNG\r\n\x1a\n" + head + middle + pixels + chunk(b"IEND", b"")


def zeros(megabytes: int) -> bytes:
    """Pack zeros as a PNG does."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(MEGABYTE)) for _ in range(megabytes)]
    return b"".join((*parts, packer.flush()))


def encoded(kind: str, size: tuple[int, int] = (64, 64), **options: Any) -> bytes:
    """Write a plain picture."""
    stream = io.BytesIO()
    Image.new("RGB", size, (90, 120, 60)).save(stream, kind, **options)
    return stream.getvalue()


def jpeg_with(exif: bytes) -> bytes:
    """Write a JPEG with the EXIF data given."""
    plain, block = encoded("JPEG"), b"Exif\0\0" + exif
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]


def circular_exif() -> bytes:
    """EXIF whose folders of tags lead to each other."""
    entry = struct.pack("<HHII", 34665, 4, 1, 8) + struct.pack("<HHII", 34853, 4, 1, 8)
    return jpeg_with(b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + entry + struct.pack("<I", 8))


def sized_jpeg(width: int, height: int) -> bytes:
    """A JPEG that claims another size."""
    plain = bytearray(encoded("JPEG"))
    at = plain.index(b"\xff\xc0")
    plain[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(plain)


def long_gif(frames: int = 100_000) -> bytes:
    """A GIF of as many pictures of one pixel."""
    head = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff"
    frame = b"\x21\xf9\x04\0\x01\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0"
    return head + frame * frames + b";"


def webp_frames(frames: int = 20_000) -> bytes:
    """An animated WebP whose canvas is large and whose frames are many."""
    small = [Image.new("RGB", (1, 1), (n % 255, 0, 0)) for n in range(2)]
    stream = io.BytesIO()
    small[0].save(stream, "WEBP", save_all=True, append_images=small[1:], lossless=True)
    data = stream.getvalue()
    at = data.index(b"ANMF")
    (size,) = struct.unpack_from("<I", data, at + 4)
    frame = data[at : at + 8 + size + size % 2]
    head = bytearray(data[12:at])
    canvas = head.index(b"VP8X") + 12
    head[canvas : canvas + 6] = struct.pack("<I", 9998)[:3] + struct.pack("<I", 9998)[:3]
    body = b"WEBP" + bytes(head) + frame * frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff(tags: list[tuple[int, int, int, int]], behind: bytes = b"") -> bytes:
    """Write a TIFF of the tags given; what they point to begins behind the folder."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0" + behind


def one_strip(side: int = 9_999, pack: int = 8) -> bytes:
    """A TIFF of one deflated strip as large as the picture."""
    packer = zlib.compressobj(9)
    line = bytes(side)
    data = b"".join((*(packer.compress(line) for _ in range(side)), packer.flush()))
    count = 10
    at = 8 + 2 + count * 12 + 4
    return tiff(
        [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, pack), (262, 3, 1, 1),
         (273, 4, 1, at), (277, 3, 1, 1), (278, 4, 1, side), (279, 4, 1, len(data)),
         (339, 3, 1, 1)], data)  # fmt: skip


def tiff_ring() -> bytes:
    """A TIFF whose second page follows on itself."""
    plain = bytearray(one_strip(8))
    plain[8 + 2 + 120 : 8 + 2 + 124] = struct.pack("<I", 8)
    return bytes(plain)


def cog_many_tiles() -> bytes:
    """A sparse TIFF of a huge table of tiles, each of one pixel by 16."""
    side = 9_984
    tiles = (side // 16) ** 2
    at = 8 + 2 + 12 * 12 + 4
    tags = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1),
            (277, 3, 1, 1), (322, 3, 1, 16), (323, 3, 1, 16), (324, 4, tiles, at),
            (325, 4, tiles, at + 4 * tiles), (339, 3, 1, 1), (284, 3, 1, 1)]  # fmt: skip
    return tiff(tags, bytes(8 * tiles))


def svg_like() -> bytes:
    """A text that calls itself a picture."""
    return (
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><svg>&e;</svg>'
    )


def xmp_bomb() -> bytes:
    """A JPEG whose XMP packet expands entities."""
    rows = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    packet = f'<!DOCTYPE x [<!ENTITY e0 "ha">{rows}]><x>&e11;</x>'.encode()
    block = b"http://ns.adobe.com/xap/1.0/\0" + packet
    plain = encoded("JPEG")
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]


def heic_cut() -> bytes:
    """A HEIC picture without its end, whose boxes claim more."""
    box = struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic"
    return box + struct.pack(">I", 0x7FFFFFFF) + b"meta" + bytes(4000)


def gradient_icc() -> bytes:
    """A PNG whose colour profile unpacks to 400 MB."""
    return png((b"iCCP", b"x\0\0" + zeros(400)))


PICTURES: dict[str, Callable[[], bytes]] = {
    "png_text_bomb.png": lambda: png((b"zTXt", b"a\0\0" + zeros(400))),
    "png_many_texts.png": lambda: png(*[(b"tEXt", b"k%d\0v" % n) for n in range(100_000)]),
    "png_profile_bomb.png": gradient_icc,
    "png_exif_bomb.png": lambda: png((b"eXIf", b"II*\0\xff\xff\xff\x7f" + bytes(MEGABYTE))),
    "png_one_row.png": lambda: png(width=2**31 - 1, height=1)[:4000],
    "png_flat_strip.png": lambda: png(width=99_000_000, height=1),
    "jpeg_ring_of_exif.jpg": circular_exif,
    "jpeg_claims_65535.jpg": lambda: sized_jpeg(65_535, 65_535),
    "jpeg_claims_9990.jpg": lambda: sized_jpeg(9_990, 9_990),
    "jpeg_xmp_entities.jpg": xmp_bomb,
    "gif_100000_frames.gif": long_gif,
    "webp_20000_frames.webp": webp_frames,
    "heic_cut.heic": heic_cut,
    "tiff_one_strip.tif": one_strip,
    "tiff_ring_of_pages.tif": tiff_ring,
    "tiff_400000_tiles.tif": cog_many_tiles,
    "xml_as_png.png": svg_like,
    "\x1b[2J\u202ename[red].png": lambda: encoded("PNG"),
}


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


def _edit(name: str, old: str, new: str) -> Make:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")

    return change


def _set(**values: Any) -> Make:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def _header(length: int, body: bytes = b"") -> Make:
    def change(folder: Path) -> None:
        with (folder / "model.safetensors").open("wb") as stream:
            stream.write(struct.pack("<Q", length) + body)
            stream.truncate(min(length + 8, 8 * MEGABYTE))

    return change


def _tensors(count: int) -> Make:
    head = {f"t{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(count)}
    body = json.dumps(head).encode()

    return lambda f: (f / "model.safetensors").write_bytes(struct.pack("<Q", len(body)) + body)


def _shape(*sides: int) -> Make:
    head = {"x": {"dtype": "F32", "shape": list(sides), "data_offsets": [0, 0]}}
    body = json.dumps(head).encode()

    return lambda f: (f / "model.safetensors").write_bytes(struct.pack("<Q", len(body)) + body)


def _card(text: str) -> Make:
    return lambda f: (f / "README.md").write_text(text, encoding="utf-8")


def _loop(name: str) -> Make:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(name)

    return change


def _rows(count: int) -> Make:
    def change(folder: Path) -> None:
        with (folder / "classes.csv").open("w") as stream:
            stream.write("class,scientific_name,common_name,count\n")
            stream.writelines(f"{n},a{n},,1\n" for n in range(count))

    return change


MODELS: dict[str, Make] = {
    "num_classes_huge_int": _set(num_classes=10**18),
    "num_classes_text": _set(num_classes="77"),
    "num_classes_true": _set(num_classes=True),
    "num_classes_float": _set(num_classes=77.0),
    "dim_1e999": _edit("config.json", '"dim":', '"dim": 1e999, "was":'),
    "format_list": _set(format=["csp-model/1"]),
    "header_of_2_63": _header(2**63),
    "header_of_4mb": _header(4 * MEGABYTE - 8, b"{" + b'"a":[' * 100_000),
    "tensors_50000": _tensors(50_000),
    "shape_overflow": _shape(2**40, 2**40),
    "shape_deep": _shape(*[1] * 5000),
    "classes_300000_rows": _rows(300_000),
    "classes_loop": _loop("classes.csv"),
    "card_loop": _loop("README.md"),
    "card_controls": _card("---\ntitle: \"\\e]0;owned\\a\\e[2J:bomb: [red]x\\u202e\"\nsummary:"
                           " \"\\e[31m[link=file:///etc/passwd]y\"\nlicense: \"\\r\\n\\x9b2J\"\n"
                           "---\n\x1b[2J<script>alert(1)</script>[a](javascript:alert(1))"),
    "card_of_brackets": _card("---\ntitle: t\n---\n" + "[" * 100_000),
    "card_of_quotes": _card("---\ntitle: t\n---\n" + ">" * 50_000 + "x"),
    "card_of_stars": _card("---\ntitle: t\n---\n" + "*a_ " * 25_000),
    "title_of_lists": _card("---\ntitle: " + "[" * 60 + "]" * 60 + "\n---\nx"),
    "provenance_deep": _set(provenance={"data": [{"sha256": [[[]]]}] * 1000}),
}  # fmt: skip

ALIVE = {"format": "csp-run/1", "state": "running", "pid": 2**22 + 1, "host": "elsewhere"}


def _status(**fields: Any) -> Make:
    def change(folder: Path) -> None:
        told = ALIVE | {"heartbeat": time.time()} | fields
        (folder / "status.json").write_text(json.dumps(told))

    return change


def _raw(text: str) -> Make:
    return lambda f: (f / "status.json").write_text(text)


def _sparse(name: str, size: int) -> Make:
    def change(folder: Path) -> None:
        _status()(folder)
        with (folder / name).open("ab") as stream:
            stream.truncate(size)

    return change


RUNS: dict[str, Make] = {
    "status_pipe": lambda f: os.mkfifo(f / "status.json"),
    "status_folder": lambda f: (f / "status.json").mkdir(),
    "status_device": lambda f: (f / "status.json").symlink_to("/dev/zero"),
    "status_loop": lambda f: (f / "status.json").symlink_to("status.json"),
    "status_10gb": _sparse("status.json", 10 << 30),
    "metrics_1gb": _sparse("metrics.jsonl", 1 << 30),
    "config_1gb": _sparse("config.yaml", 1 << 30),
    "log_pipe": lambda f: (_status()(f), os.mkfifo(f / "log.txt")),
    "heartbeat_nan": _status(heartbeat=float("nan")),
    "heartbeat_inf": _status(heartbeat=float("inf")),
    "heartbeat_negative": _status(heartbeat=-1e300),
    "heartbeat_bool": _status(heartbeat=True),
    "pid_negative": _status(pid=-1, host=os.uname().nodename),
    "pid_zero": _status(pid=0, host=os.uname().nodename),
    "pid_one": _status(pid=1, host=os.uname().nodename),
    "pid_float": _status(pid=1.5),
    "pid_list": _status(pid=[1]),
    "step_huge": _status(step=10**400),
    "state_list": _status(state=["running"]),
    "message_controls": _status(message="\x1b]0;owned\x07\x1b[2J:bomb: [red]x[/b]\u202e\x9b1m\r\n"),
    "message_surrogate": _raw(json.dumps(ALIVE | {"heartbeat": 1, "message": "\ud800"})),
    "message_long": _status(message="a" * 60_000),
    "deep": _raw('{"format":"csp-run/1","x":' + "[" * 30_000 + "]" * 30_000 + "}"),
    "empty": _raw(""),
    "not_utf8": lambda f: (f / "status.json").write_bytes(b'{"format":"\xff"}'),
}


def write_files(folder: Path, given: Path | None = None) -> dict[str, list[Path]]:
    """Write all files and folders, and copy those that are given.

    Args:
        folder: Where to.
        given: A folder of further ones: pictures, records, configurations, models and states of
            runs lie in it side by side.

    Returns:
        Kind to what there is of it: ``pictures``, ``records`` and ``configs`` are files, ``models``
        and ``runs`` folders.
    """
    found: dict[str, list[Path]] = {}
    for kind, made in (("pictures", PICTURES), ("records", RECORDS), ("configs", CONFIGS)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for name, make in made.items():
            content = make()
            path = folder / kind / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    model = ASSETS / "models" / "demo"
    for name, change in MODELS.items():
        change(Path(shutil.copytree(model, folder / "models" / name)))
    for name, change in RUNS.items():
        (folder / "runs" / name).mkdir(parents=True)
        change(folder / "runs" / name)
    if given:
        copy_given(given, folder, model)
    for kind in ("pictures", "records", "configs", "models", "runs"):
        found[kind] = sorted((folder / kind).iterdir())
    return found


def copy_given(given: Path, folder: Path, model: Path) -> None:
    """Copy files of others to where those of their kind lie."""
    kinds = {".png": "pictures", ".tif": "pictures", ".jpg": "pictures", ".yaml": "configs",
             ".geojson": "records", ".parquet": "records", ".csv": "records"}  # fmt: skip
    for path in given.iterdir():
        if path.suffix in kinds:
            shutil.copyfile(path, folder / kinds[path.suffix] / path.name)
        elif path.name.startswith("status_"):
            (folder / "runs" / path.stem).mkdir()
            shutil.copyfile(path, folder / "runs" / path.stem / "status.json")
    models = given / "models"
    for path in models.iterdir() if models.is_dir() else ():
        into = folder / "models" / f"given_{path.stem}"
        shutil.copytree(model, into)
        for part in path.iterdir() if path.is_dir() else [path]:
            name = next((n for n in ("config.json", "classes.csv", "calibration.json")
                         if n.split(".")[0] in part.name), part.name)  # fmt: skip
            content = part.read_bytes()
            (into / name).unlink(missing_ok=True)
            (into / name).write_bytes(gzip.decompress(content) if part.suffix == ".gz" else content)
