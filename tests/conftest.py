"""What every test has: fixed seeds, one thread, folders of its own, small records and a model."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# A worker, and what its tests start, keep to one core. NumPy and torch read this on their import.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
    # There these are set, and a console would keep the width that it found when it was made.
    os.environ.pop("COLUMNS", None)
    os.environ.pop("LINES", None)

# What the set-up has made here is seen by the tests of it alone; servers start before fixtures.
os.environ["CSP_MADE"] = os.devnull

import pytest
import torch

from tests import small
from tests.workers import Groups, in_a_worker, once, turn

torch.set_num_threads(1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Groups | None:
    """Keep together what shares fixtures, with ``--dist loadgroup``."""
    return Groups(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest where several workers share the tests; ask a browser twice.

    A page that is drawn late on a busy machine is no fault of it. The summary tells of every such
    test (`R`), and what fails twice has failed.
    """
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1))
    if in_a_worker():
        items.sort(key=lambda item: turn(item.nodeid))


@pytest.fixture(autouse=True)
def _own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CSP_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CSP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CSP_MADE", str(tmp_path / "made"))
    monkeypatch.delenv("CSP_MODELS", raising=False)
    torch.manual_seed(0)
    # Weights are bit-equal only with the same number of threads.
    torch.set_num_threads(1)
    yield


@pytest.fixture(scope="session")
def records_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 records of 6 taxa in three clusters."""
    folder = once(tmp_path_factory, "records", lambda it: small.write_csv(it / "records.csv"))
    return folder / "records.csv"


@pytest.fixture(scope="session")
def finished_run(records_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run; not to be written to."""
    from csp_core.training import train

    def make(folder: Path) -> None:
        train(small.config(records_csv), run_dir=folder / "tiny")

    return once(tmp_path_factory, "finished", make) / "tiny"


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
