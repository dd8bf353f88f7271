"""Tests are dealt to workers by what they share, and what takes long is made once for all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workers import APART, LONGEST, group_of, once, turn


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/browser/test_explore.py::test_a", "browser"),
        ("tests/browser/map/test_pin.py::test_a[tests/x.py::y]", "browser"),
        ("tests/app/test_photo_app.py::test_a", "tests/app/test_photo_app.py"),
        ("tests/test_benchmarks.py::test_a[costs]", "tests/test_benchmarks.py::test_a[costs]"),
        ("csp_core/geo.py::csp_core.geo.wrap", "csp_core/geo.py"),
    ],
)
def test_what_stays_together(nodeid, group):
    assert group_of(nodeid) == group


def test_the_browser_begins_and_short_ones_end():
    files = ["tests/test_geo.py", "tests/inference/test_photo.py", "tests/browser/test_photo.py"]
    assert sorted(files, key=turn) == files[::-1]
    assert turn("tests/test_geo.py::test_a[tests/browser/]") == len(LONGEST)


def test_each_of_the_longest_is_there():
    root = Path(__file__).resolve().parent
    files = [f"tests/{path.relative_to(root).as_posix()}" for path in root.rglob("test_*.py")]
    for part in (*LONGEST, *APART):
        assert any(part in file for file in files), part


@pytest.mark.parametrize("worker", [None, "gw0"])
def test_the_second_asks_in_vain_and_half_of_it_does_not_count(tmp_path, monkeypatch, worker):
    class Factory:
        def getbasetemp(self):
            return tmp_path / "own"

    (tmp_path / "own").mkdir()
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    if worker:
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)

    def fails(folder):
        (folder / "half").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        once(Factory(), "thing", fails)
    folder = once(Factory(), "thing", lambda folder: (folder / "whole").touch())
    assert folder == (tmp_path if worker else tmp_path / "own") / "thing"
    assert once(Factory(), "thing", fails) == folder
    assert [path.name for path in folder.iterdir()] == ["whole"]
