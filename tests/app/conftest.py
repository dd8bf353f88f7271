from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from csp_core.store import catalog
from tests.toy import save_toy_model

MAIN = Path(__file__).parents[2] / "app" / "main.py"


@pytest.fixture(autouse=True)
def runs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no run of whoever tests be listed in the sidebar."""
    monkeypatch.setenv("CSP_RUNS", str(tmp_path_factory.getbasetemp() / "no-runs"))


@pytest.fixture(scope="session")
def seasonal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seasonal")
    save_toy_model(folder, "seasons", train_steps=150, seasons=True)
    return folder


@pytest.fixture
def open_view(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., AppTest]]:
    """Open a page by its name, with the models of a folder and with an address."""

    def start(page: str, *, folder: Path, **params: str) -> AppTest:
        monkeypatch.setenv("CSP_MODELS", str(folder))
        st.cache_data.clear()
        app = AppTest.from_file(MAIN, default_timeout=90).run()
        app.switch_page(f"views/{page}.py")
        for name, value in params.items():
            app.query_params[name] = value
        return app.run()

    monkeypatch.setattr(catalog, "ASSETS", tmp_path / "no-assets")
    yield start
    st.cache_data.clear()
