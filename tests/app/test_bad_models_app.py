"""Every page goes on beside models that cannot be loaded, and their cards fetch nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from shared import resources
from tests.toy import save_toy_model

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"
BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)
PICTURE = (
    "---\ntitle: Toy\n---\n!![far](https://example.org/a.png) <img src='https://example.org/b'>"
)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good model beside four bad ones."""
    for name in ("good", "inf", "bomb", "device", "deep"):
        (tmp_path / name).mkdir()
        save_toy_model(tmp_path / name)
    folders = {name: next((tmp_path / name).rglob("config.json")).parent for name in
               ("good", "inf", "bomb", "device", "deep")}  # fmt: skip
    config = json.loads((folders["inf"] / "config.json").read_text())
    text = json.dumps(config | {"num_classes": 77}).replace(": 77", ": 1e999")
    (folders["inf"] / "config.json").write_text(text)
    (folders["deep"] / "config.json").write_text("[" * 10**5)
    (folders["bomb"] / "README.md").write_text(f"---\n{BOMB}title: *a8\n---\nx")
    (folders["device"] / "classes.csv").unlink()
    (folders["device"] / "classes.csv").symlink_to("/dev/zero")
    (folders["good"] / "README.md").write_text(PICTURE)
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for name, folder in folders.items():
        folder.rename(shelf / name)
    monkeypatch.setenv("CSP_MODELS", str(shelf))
    resources._list_models.clear()
    return shelf


@pytest.mark.parametrize("page", ["about", "explore", "range_map", "photo"])
def test_each_page_goes_on(shelf: Path, page: str) -> None:
    app = AppTest.from_file(str(MAIN), default_timeout=120).run()
    app.switch_page(f"views/{page}.py").run()
    assert not app.exception
    if page == "about":
        told = " ".join(error.value for error in app.error)
        assert all(name in told for name in ("inf", "bomb", "device", "deep"))
        card = next(text.value for text in app.markdown if "far" in text.value)
        assert "![" not in card and not next(m for m in app.markdown if m.value == card).allow_html
