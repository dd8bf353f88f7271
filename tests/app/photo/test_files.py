import asyncio
import io
from collections.abc import AsyncIterator

import pytest
import torch
from PIL import Image
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartParser

from csp_core.data.pictures import Photo
from photo import files
from tests.photos import placed_jpeg


def test_the_server_parses_a_large_upload_without_a_file() -> None:
    files.keep_uploads_in_memory()
    head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.jpg"\r\n\r\n'

    async def stream() -> AsyncIterator[bytes]:
        yield head + bytes(3 << 20) + b"\r\n--x--\r\n"

    headers = Headers({"content-type": "multipart/form-data; boundary=x"})
    form = asyncio.run(MultiPartParser(headers, stream()).parse())
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


@pytest.mark.parametrize(
    ("bands", "dtype", "side"),
    [(13, torch.int16, 1024), (64, torch.float32, 512), (5, torch.uint8, 1024)],
)
def test_a_session_keeps_no_large_picture_of_many_bands(
    monkeypatch: pytest.MonkeyPatch, bands: int, dtype: torch.dtype, side: int
) -> None:
    large = torch.full((bands, 40, 2000), 7, dtype=dtype)
    monkeypatch.setattr(files, "read_photo", lambda *_: Photo(large, None, None, "None."))
    kept = files._read("key", "patch.tif", b"II*\0").photo
    assert kept is not None and kept.image.dtype == dtype
    assert kept.image.shape == (bands, round(side / 50), side)
    assert torch.allclose(kept.image.float(), torch.tensor(7.0))
