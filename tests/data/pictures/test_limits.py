"""Small pictures that would grow: each is refused, or read, within bounds of memory and time."""

from __future__ import annotations

import io
import resource
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from csp_core.data.pictures import describe_photo, read_photo
from csp_core.data.pictures.limits import folders, is_bomb
from csp_core.data.pictures.xmp import read_xmp
from csp_core.errors import BadRecordError

SIDE = 9990
MEMORY, SECONDS = 1_500_000_000, 10
READ = """
import sys
from csp_core.data.pictures import describe_photo
from csp_core.errors import BadRecordError
try:
    print(describe_photo(sys.argv[1], fit=4096)[0].shape)
except BadRecordError as error:
    print(error)
"""


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def read_in_a_child(path: Path) -> str:
    """Decode a picture in a process with limits; return its shape, or why it was refused."""
    command = [sys.executable, "-c", READ, str(path)]
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout.strip()


def sparse(path: Path, **options: object) -> None:
    """Write a TIFF that claims pixels which it does not hold."""
    place = {"crs": "EPSG:4326", "transform": rasterio.Affine(1e-4, 0, 8, 0, -1e-4, 47)}
    size = {"width": SIDE, "height": SIDE, "count": 1, "dtype": "float64", **place, **options}
    with rasterio.open(path, "w", driver="GTiff", SPARSE_OK=True, **size):
        pass


def tags(entries: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
    """Write one folder of tags, little-endian."""
    rows = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<H", len(entries)) + rows + struct.pack("<I", following)


def with_pages(number: int) -> bytes:
    """Write a TIFF of many pages of one pixel."""
    content, length = b"II*\0" + struct.pack("<I", 8), len(tags([(256, 3, 1, 1)] * 2))
    for page in range(number):
        end = 8 + (page + 1) * length
        content += tags([(256, 3, 1, 1), (257, 3, 1, 1)], end if page < number - 1 else 0)
    return content


def overlapping(size: int, number: int) -> bytes:
    """Write tags that all claim the same bytes."""
    return b"II*\0\x08\0\0\0" + tags([(1000 + n, 1, size, 8) for n in range(number)]) + bytes(size)


def jpeg(exif: bytes = b"", scans: int = 0) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(stream, "JPEG", progressive=bool(scans))
    content = stream.getvalue()
    parts = [exif[at : at + 60_000] for at in range(0, len(exif), 60_000)]
    head = b"".join(
        b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in parts
    )
    last = content.rindex(b"\xff\xda")
    return content[:2] + head + content[2:last] + content[last:-2] * max(1, scans) + content[-2:]


def png(path: Path) -> None:
    Image.new("RGBA", (SIDE, SIDE), (200, 10, 10, 128)).save(path, "PNG", compress_level=1)


PIECE = {"tiled": True, "blockxsize": 4000, "blockysize": 4000, "interleave": "pixel"}
HOSTILE = {
    "png": (png, "(3, 4096, 4096)"),
    "sparse": (sparse, "(3, 4096, 4096)"),
    "sparse, tiled": (lambda path: sparse(path, tiled=True), "(3, 4096, 4096)"),
    "sparse bands": (lambda p: sparse(p, count=13, dtype="uint16"), "13 bands"),
    "bands in one piece": (
        lambda p: sparse(p, width=4000, height=4000, count=5, **PIECE),
        "in pieces of 640 MB",
    ),
    "many bands": (
        lambda p: p.write_bytes(
            b"II*\0\x08\0\0\0" + tags([(256, 3, 1, 1), (257, 3, 1, 1), (277, 3, 1, 60_000)])
        ),
        "60000 bands; up to 1,000",
    ),
    "pages": (lambda p: p.write_bytes(with_pages(30_000)), "more than 1,000 pages"),
    "pages in a ring": (
        lambda p: p.write_bytes(b"II*\0\x08\0\0\0" + tags([(256, 3, 1, 1)], 8)), "1,000 pages"
    ),
    "tags": (lambda p: p.write_bytes(overlapping(1_000_000, 60_000)), "tags claim more"),
    "EXIF": (lambda p: p.write_bytes(jpeg(overlapping(500_000, 60_000))), "EXIF data claim more"),
    "scans": (lambda p: p.write_bytes(jpeg(scans=300_000)), "scans of 0 megapixels"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_picture_that_would_grow_is_bounded(case, tmp_path):
    make, expected = HOSTILE[case]
    path = tmp_path / "a.any"
    make(path)
    said = read_in_a_child(path)
    assert expected in said and "\n" not in said


def test_gps_of_plain_exif_is_no_bomb():
    from tests.photos import exif_with

    block = exif_with((8.0, 47.0)).tobytes()
    assert not is_bomb(block) and len(list(folders(block[6:], 8))) == 3
    assert is_bomb(overlapping(10_000, 100)) and not is_bomb(b"") and not is_bomb(b"Exif\0\0none")


def test_a_bomb_in_a_png_is_bad_exif(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", exif=overlapping(100_000, 60_000))
    photo = read_photo(tmp_path / "a.png")
    assert photo.lonlat is None and "malformed" in photo.why_no_place


def test_a_large_or_deep_packet_is_not_read():
    assert read_xmp(b"<a>" + b" " * (1 << 22) + b"</a>") == {}
    assert read_xmp(b"<a>" * 100_000 + b"x" + b"</a>" * 100_000) == {}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_made_smaller_while_it_is_decoded(orientation):
    ramp = np.linspace(0, 255, 300 * 200 * 3).reshape(200, 300, 3).astype(np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    stream = io.BytesIO()
    Image.fromarray(ramp).save(stream, "PNG", exif=exif)
    whole, _ = describe_photo(stream.getvalue())
    small, told = describe_photo(stream.getvalue(), fit=60)
    assert told["stored"] == whole.shape and max(small.shape) == 60 and min(small.shape[1:]) == 40
    means = [part.reshape(3, 2, -1, 2, part.shape[2] // 2).mean((2, 4)) for part in (whole, small)]
    assert np.abs(means[0] - means[1]).max() < 1.5


def test_a_gif_is_not_read_to_its_end_for_a_count():
    stream = io.BytesIO()
    frames = [Image.new("L", (8, 8), n) for n in range(5)]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    assert "several pictures; the first is used" in " ".join(read_photo(stream.getvalue()).notes)


def test_what_comes_out_is_bounded_too(tmp_path):
    sparse(tmp_path / "a.tif", width=4400, height=4400, count=6, dtype="float32", tiled=True)
    with pytest.raises(BadRecordError, match="MB once read; up to 400 are"):
        read_photo(tmp_path / "a.tif")
    assert read_photo(tmp_path / "a.tif", fit=64).image.shape == (6, 64, 64)


def test_a_webp_of_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "a.webp"
    Image.new("RGB", (SIDE, SIDE)).save(path, lossless=True, method=0)
    assert path.stat().st_size < 100
    assert "fewer than 36 megapixels are read of WEBP" in read_in_a_child(path)
