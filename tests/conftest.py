"""What every test has: fixed seeds, one thread, folders of its own, small records and a model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests import small

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CSP_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CSP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CSP_MODELS", raising=False)
    torch.manual_seed(0)
    yield


@pytest.fixture(scope="session")
def records_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 records of 6 taxa in three clusters."""
    return small.write_csv(tmp_path_factory.mktemp("records") / "records.csv")


@pytest.fixture(scope="session")
def finished_run(records_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run; not to be written to."""
    from csp_core.training import train

    folder = tmp_path_factory.mktemp("finished") / "tiny"
    train(small.config(records_csv), run_dir=folder)
    return folder


@pytest.fixture(scope="session")
def model_dir(finished_run: Path) -> Path:
    """The directory of a trained model; not to be written to."""
    return finished_run / "model"


@pytest.fixture
def csp(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int | str, str, str]]:
    """Run the command in this process: exit code, output, errors."""
    from csp_core import cli

    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int | str, str, str]:
        monkeypatch.setattr(sys, "argv", ["csp", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return run
