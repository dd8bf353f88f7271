from pathlib import Path

import pytest

from csp_core.errors import CheckpointError, DataNotFoundError
from csp_core.store import find_model, keep_run, kept_runs, let_go_run, list_models, load_model
from csp_core.store.kept import MARK
from tests.toy import save_toy_model


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CSP_RUNS", str(tmp_path / "runs"))
    (tmp_path / "runs" / "under-way").mkdir(parents=True)
    save_toy_model(tmp_path / "runs" / "mine", "model")
    return tmp_path / "runs"


def test_a_kept_run_is_listed_and_found_by_its_name(runs: Path) -> None:
    before = [info.name for info in list_models()]
    assert "mine" not in before
    keep_run("mine")
    found = {info.name: info for info in list_models()}
    assert set(found) == {*before, "mine"} and found["mine"].problem is None
    assert find_model("mine") == runs / "mine" / "model" == found["mine"].directory
    assert len(load_model("mine").classes) == found["mine"].num_classes
    let_go_run("mine")
    assert [info.name for info in list_models()] == before and kept_runs() == []
    assert (runs / "mine" / "model" / "config.json").is_file()


def test_a_kept_run_does_not_take_the_place_of_a_bundled_model(runs: Path) -> None:
    save_toy_model(runs / "demo", "model")
    with pytest.raises(CheckpointError, match="rename"):
        keep_run("demo")
    (runs / "demo" / MARK).write_text("by hand")
    assert find_model("demo") != runs / "demo" / "model"
    assert [info.name for info in list_models()].count("demo") == 1


def test_what_is_no_finished_run_is_refused(runs: Path) -> None:
    with pytest.raises(CheckpointError, match="no model yet"):
        keep_run("under-way")
    for name in ("missing", "../runs/mine", "", "."):
        with pytest.raises((DataNotFoundError, CheckpointError)):
            keep_run(name)
    assert kept_runs() == []
