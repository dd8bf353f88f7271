from pathlib import Path

import pytest

from tests.toy import save_toy_model


@pytest.fixture(autouse=True)
def runs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no run of whoever tests be listed in the sidebar."""
    monkeypatch.setenv("CSP_RUNS", str(tmp_path_factory.getbasetemp() / "no-runs"))


@pytest.fixture(scope="session")
def seasonal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seasonal")
    save_toy_model(folder, "seasons", train_steps=150, seasons=True)
    return folder
