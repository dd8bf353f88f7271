import io
from collections.abc import AsyncIterator

import pytest
import rasterio
from PIL import Image
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartParser

from photo import files
from tests.photos import placed_jpeg
from tests.workers import run_apart


def test_the_server_parses_a_large_upload_without_a_file() -> None:
    files.keep_uploads_in_memory()
    head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.jpg"\r\n\r\n'

    async def stream() -> AsyncIterator[bytes]:
        yield head + bytes(3 << 20) + b"\r\n--x--\r\n"

    headers = Headers({"content-type": "multipart/form-data; boundary=x"})
    form = run_apart(MultiPartParser(headers, stream()).parse())
    upload_file = form["f"]
    assert not isinstance(upload_file, str) and upload_file.size == 3 << 20
    assert upload_file._in_memory
    upload_file.file.close()


def test_what_is_shown_of_a_photo_holds_no_place() -> None:
    chosen = files._read("key", "here.jpg", placed_jpeg(8.0, 47.0, side=1500))
    assert chosen.photo is not None and chosen.photo.lonlat == (8, 47)
    assert max(chosen.photo.image.shape) == files.KEPT
    shown = Image.open(io.BytesIO(chosen.thumbnail))
    assert not shown.getexif() and max(shown.size) == files.SHOWN


@pytest.mark.parametrize(("bands", "side"), [(13, 1024), (64, 512)])
def test_a_session_keeps_no_large_picture_of_many_bands(bands: int, side: int) -> None:
    layout = {"driver": "GTiff", "width": 1500, "height": 1500, "count": bands, "dtype": "int16",
              "transform": rasterio.Affine(1e-4, 0, 8, 0, -1e-4, 47)}  # fmt: skip
    with rasterio.MemoryFile() as memory:
        with memory.open(**layout, tiled=True, SPARSE_OK=True):
            pass
        content = bytes(memory.read())
    kept = files._read("key", "patch.tif", content).photo
    assert kept is not None and kept.image.shape == (bands, side, side)
    assert kept.stored == (bands, 1500, 1500)


def test_an_upload_that_is_too_large_is_told_on_the_server_too() -> None:
    problem = files._read("key", "a.jpg", bytes((files.MEGABYTES << 20) + 1)).problem
    assert problem == "The file has 51 MB; up to 50 are taken: make it smaller."
