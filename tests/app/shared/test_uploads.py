"""Uploads are read by child processes: what ends one of them ends nothing else."""

from __future__ import annotations

import io
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from affine import Affine
from PIL import Image
from rasterio.io import MemoryFile

from csp_core.errors import BadRecordError
from shared import uploads
from tests.photos import placed_jpeg

HOSTILE = Path(__file__).parents[4] / "shared" / "cases" / "hostile"


@pytest.fixture
def readers() -> Iterator[uploads.Readers]:
    made = uploads.Readers(1)
    yield made
    made.end()


def ask(readers: uploads.Readers, content: bytes) -> tuple[int, ...]:
    told, _ = readers.run("photo", {"name": "a.jpg", "fit": 32}, content)
    return tuple(told["shape"])


def children(readers: uploads.Readers) -> list[psutil.Process]:
    return [psutil.Process(c._process.pid) for c in readers._children if c._process]


def test_a_photo_comes_back_as_it_was(readers: uploads.Readers) -> None:
    photo = uploads.read_photo(placed_jpeg(8.0, 47.0), "here.jpg", 1024)
    assert photo.lonlat == pytest.approx((8, 47)) and photo.name == "here.jpg"
    assert photo.image.shape == (3, 64, 64) and isinstance(photo.notes, tuple)
    assert photo.stored == (3, 64, 64)
    assert ask(readers, placed_jpeg(8.0, 47.0)) == (3, 32, 32)
    with pytest.raises(BadRecordError, match="no picture that can be read"):
        ask(readers, b"This is no picture.")


def test_a_child_leaves_the_end_by_ctrl_c_to_its_parent(readers: uploads.Readers) -> None:
    ask(readers, placed_jpeg(8.0, 47.0))
    (child,) = children(readers)
    child.send_signal(signal.SIGINT)
    assert ask(readers, placed_jpeg(8.0, 47.0)) == (3, 32, 32) and children(readers) == [child]


def test_a_child_that_ends_is_replaced(readers: uploads.Readers) -> None:
    assert ask(readers, placed_jpeg(8.0, 47.0))
    process = readers._children[0]._process
    assert process
    process.kill()
    process.wait()
    assert ask(readers, placed_jpeg(8.0, 47.0)) == (3, 32, 32)


def _sparse_tiff() -> bytes:
    size: dict[str, Any] = {"width": 7000, "height": 7000, "count": 1, "dtype": "float64"}
    size["transform"] = Affine(0.001, 0, 0, 0, -0.001, 10)
    with MemoryFile() as file:
        with file.open(driver="GTiff", **size, sparse_ok=True, tiled=True):
            pass
        return bytes(file.read())


def test_a_child_gives_memory_back_after_a_large_file(readers: uploads.Readers) -> None:
    told, _ = readers.run("photo", {"name": "a.tif", "fit": 2048}, _sparse_tiff())
    assert max(told["shape"]) == 2048
    ask(readers, placed_jpeg(8.0, 47.0))
    (child,) = children(readers)
    # 60 of them are its libraries; 360 were left without giving back.
    assert child.memory_info().rss < 180e6


def test_a_child_that_has_grown_is_replaced(
    readers: uploads.Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(readers, placed_jpeg(8.0, 47.0))
    (child,) = children(readers)
    monkeypatch.setattr(uploads, "KEPT_BYTES", 1)
    assert ask(readers, placed_jpeg(8.0, 47.0)) == (3, 32, 32)
    assert not child.is_running() and children(readers) == []
    with pytest.raises(BadRecordError, match="no picture that can be read"):
        ask(readers, b"This is no picture.")
    assert ask(readers, placed_jpeg(8.0, 47.0)) == (3, 32, 32)


def test_what_takes_too_long_is_ended_and_said(
    readers: uploads.Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(readers, placed_jpeg(8.0, 47.0))
    monkeypatch.setattr(uploads, "PATIENCE", 0.3)
    for child in children(readers):
        child.suspend()
    with pytest.raises(BadRecordError, match="more than the 10 seconds"):
        ask(readers, placed_jpeg(8.0, 47.0))
    monkeypatch.undo()
    assert ask(readers, placed_jpeg(8.0, 47.0)) == (3, 32, 32)


def test_a_session_that_leaves_ends_its_work_alone(readers: uploads.Readers) -> None:
    class Left(Exception):
        pass

    def leave() -> None:
        raise Left

    assert ask(readers, placed_jpeg(8.0, 47.0))
    before = children(readers)[0]
    large = _slow_png()
    with pytest.raises(Left):
        readers.run("photo", {"name": "a.png", "fit": 4096}, large, tick=leave)
    psutil.wait_procs([before], timeout=5)
    assert not before.is_running()
    assert ask(readers, placed_jpeg(8.0, 47.0)) == (3, 32, 32)


def _slow_png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (9990, 9990)).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def test_there_are_two_children_at_most_and_a_queue() -> None:
    readers = uploads.Readers()
    answers: list[tuple[int, ...]] = []
    content = placed_jpeg(8.0, 47.0)
    asking = [
        threading.Thread(target=lambda: answers.append(ask(readers, content))) for _ in range(8)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert answers == [(3, 32, 32)] * 8
    assert len(children(readers)) <= uploads.MOST
    readers.end()


def test_no_child_imports_torch(readers: uploads.Readers, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("species,lon,lat\nAus bus,1,2\n")
    told, _ = readers.run(
        "records", {"path": str(tmp_path / "a.csv"), "out": str(tmp_path / "o.pq"), "most": 9}
    )
    assert told["kept"] == 1
    with pytest.raises(BadRecordError, match="holds 1 records; up to 0"):
        readers.run(
            "records", {"path": str(tmp_path / "a.csv"), "out": str(tmp_path / "o.pq"), "most": 0}
        )
    for child in readers._children:
        process = child._running()
        maps = Path(f"/proc/{process.pid}/maps")
        if maps.is_file():
            assert "libtorch" not in maps.read_text()


@pytest.mark.skipif(not HOSTILE.is_dir(), reason="needs the hostile files beside the repository")
@pytest.mark.parametrize("name", ["png_9999x9999_291kB.png", "tif_9999x9999_float64_13kB.tif",
                                  "tiff_60000_bands.tif"])  # fmt: skip
def test_hostile_pictures_end_nothing(name: str) -> None:
    began = time.monotonic()
    try:
        photo = uploads.read_photo((HOSTILE / name).read_bytes(), name, 1024)
        assert max(photo.image.shape) == 1024
    except BadRecordError as error:
        assert "60000 bands" in str(error)
    assert time.monotonic() - began < uploads.PATIENCE


@pytest.mark.skipif(not HOSTILE.is_dir(), reason="needs the hostile files beside the repository")
@pytest.mark.parametrize("name", ["parquet_dictionary_bomb.parquet", "lone_surrogate.geojson"])
def test_hostile_records_end_nothing(name: str, tmp_path: Path) -> None:
    try:
        kept, _ = uploads.import_upload(str(HOSTILE / name), str(tmp_path / "o.parquet"), 1000)
        assert kept == 1
    except BadRecordError as error:
        assert "which would grow" in str(error)
