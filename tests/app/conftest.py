from pathlib import Path

import pytest

from tests.toy import save_toy_model


@pytest.fixture(scope="session")
def seasonal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seasonal")
    save_toy_model(folder, "seasons", train_steps=150, seasons=True)
    return folder
