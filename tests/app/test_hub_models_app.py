"""Pages show models of the hub that are here already, and fetch none."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from csp_core.files import ASSETS
from shared import resources

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"
COMMIT = "0123456789" * 4


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that was fetched before, and a hub that nobody may ask."""
    home = Path(os.environ["CSP_CACHE"]) / "hub" / "me--demo"
    shutil.copytree(ASSETS / "models" / "demo", home / COMMIT)
    (home / "revisions.json").write_text(json.dumps({"main": COMMIT}))

    def asked(*given: object, **options: object) -> None:
        raise AssertionError("a page asked the hub")

    monkeypatch.setattr("csp_core.store.hub.fetch.client", asked)
    resources._list_models.clear()


@pytest.mark.parametrize("page", ["explore", "range_map"])
def test_a_copy_is_a_choice_and_another_one_is_not_here(copied: None, page: str) -> None:
    app = AppTest.from_file(str(MAIN), default_timeout=120).run()
    app.switch_page(f"views/{page}.py")
    app.query_params["model"] = "hf:me/demo"
    app.run()
    assert not app.exception
    chosen = [box for box in app.selectbox if "hf:me/demo" in str(box.value)]
    assert chosen or "hf:me/demo" in " ".join(text.value for text in app.markdown)
    app.query_params["model"] = "hf:me/none"
    app.run()
    assert not app.exception
    told = [element.value for element in (*app.warning, *app.error, *app.info)]
    assert any("hf:me/none is not here" in text.replace("\\", "") for text in told)
