"""One order of controls on all pages: the model, what is asked, the date, what is shown, files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from csp_core.store import catalog
from tests.toy import save_demo_model, save_toy_model

MAIN = Path(__file__).parents[2] / "app" / "main.py"
PLACE = ("place_text", "lat_box", "lon_box")
COMPARISON = ("other_box", "other_model_box", "show_box")
# What every page has of each step; keys of boxes that a photo has for itself are beginnings.
STEPS = {
    "explore": (("model_box",), PLACE, ("month_box",), ("species", "find_box", "order_box")),
    # Its place is where the map is read, which is a part of what is shown.
    "range_map": (
        ("model_box",),
        ("taxon_box", "random"),
        ("month_box",),
        (*COMPARISON, "opacity", "guesses_box", "threshold_box", *PLACE),
    ),
    "photo": (
        ("model_box",),
        (*PLACE, "radius_box"),
        ("date_box",),
        ("ignore_box", "weight_box", "fitted_weight"),
    ),
}
SAVED = "download_button"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ordered")
    save_toy_model(folder, "seasons", train_steps=20, seasons=True)
    shutil.copytree(folder / "seasons", folder / "other")
    save_demo_model(folder, train_steps=20)
    return folder


@pytest.fixture
def bundled(models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("CSP_MODELS", str(models))
    monkeypatch.setattr(catalog, "ASSETS", tmp_path / "no-assets")
    st.cache_data.clear()
    yield
    st.cache_data.clear()


def steps_of(app: AppTest, page: str) -> list[int]:
    """Give the step that each control of a page is of, from its top."""
    keys = {key: step for step, named in enumerate(STEPS[page]) for key in named}
    found = []
    for element in app.main:
        if element.type == SAVED:
            found.append(len(STEPS[page]))
        name = str(element.key or "") if hasattr(element, "key") else ""
        found += [step for key, step in keys.items() if name.startswith(key)]
    return found


@pytest.mark.parametrize("page", STEPS)
def test_controls_come_in_one_order(page: str, bundled: None) -> None:
    app = AppTest.from_file(MAIN, default_timeout=60).run()
    app.switch_page(f"views/{page}.py")
    asked = {"explore": {"model": "seasons"}, "range_map": {"model": "seasons"}, "photo": {}}
    for name, value in asked[page].items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    found = steps_of(app, page)
    assert found == sorted(found), found
    # The photo's own files are offered where there is an answer to it.
    assert set(range(len(STEPS[page]) + (page != "photo"))) <= set(found)
