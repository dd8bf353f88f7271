"""`csp evaluate` finds the captions again that a model learned from, or says that they are gone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from csp_core.data import load_dataset
from csp_core.data.captions.table import write_captions
from csp_core.evaluation.report import evaluate_splits
from csp_core.files import read_json
from tests import photo_model

Csp = Callable[..., tuple[int | str, str, str]]
TEXT = {"name": "transformer", "width": 16, "layers": 1, "heads": 2, "vocabulary": 320}
PAIRS = ["image-place", "image-text", "place-text"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose captions were read from a file."""
    folder = tmp_path_factory.mktemp("captions")
    loading = photo_model.config(data={"size": 200}).data.loading()
    records = load_dataset("demo", "all", **loading)
    texts = [f"a mark of kind {int(label)}" for label in records.label]
    write_captions(records, texts, folder / "mine.csv")
    photo_model.run(
        folder / "words",
        data={"captions": str(folder / "mine.csv"), "size": 200},
        model={"text": TEXT},
        objective={"name": "clip", "augmentation": None},
        training={"epochs": 1},
    )
    return folder


@pytest.fixture
def elsewhere(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Another folder, to which the file of captions has gone."""
    (home / "mine.csv").rename(tmp_path / "mine.csv")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield tmp_path
    (tmp_path / "mine.csv").rename(home / "mine.csv")


def test_a_file_of_captions_is_found_again(home: Path) -> None:
    report = evaluate_splits(str(home / "words"), "demo")
    assert list(report["splits"]) == ["all", "train", "val", "test"]
    assert all(list(found) == PAIRS for found in report["splits"].values())
    assert f"read from {home / 'mine.csv'}, from which they were in training." in report["note"]
    told = read_json(home / "words" / "model" / "metrics.json")["test"]
    assert report["splits"]["test"]["image-text"] == told["image-text"]


def test_it_is_found_beside_the_data_and_by_what_is_in_it(home: Path, elsewhere: Path) -> None:
    (elsewhere / "work" / "mine.csv").write_text("caption,lon,lat\nanother,1,2\n")
    report = evaluate_splits(str(home / "words"), "demo")
    assert "is not found again" in report["note"] and "has other captions in it" in report["note"]
    # One pair of sides is left, which is told without its name.
    assert all("recall_at_10" in found for found in report["splits"].values())
    (elsewhere / "work" / "mine.csv").unlink()
    report = evaluate_splits(str(home / "words"), "demo", root=elsewhere)
    assert list(report["splits"]["val"]) == PAIRS


def test_what_is_gone_is_told_and_can_be_given(home: Path, elsewhere: Path, csp: Csp) -> None:
    code, said, _ = csp("evaluate", home / "words", "demo")
    assert code == 0 and "read from mine.csv, which is not found again" in " ".join(said.split())
    given = ("--captions", elsewhere / "mine.csv", "--json")
    code, said, _ = csp("evaluate", home / "words", "demo", *given)
    report = json.loads(said)
    assert code == 0 and list(report["splits"]) == ["all", "train", "val", "test"]
    assert list(report["splits"]["test"]) == PAIRS and "captions" not in report["note"]
    for wrong, reason in (("none.csv", "No file none.csv"), ("words", "captions is 'words'; give")):
        code, _, errors = csp("evaluate", home / "words", "demo", "--captions", wrong)
        assert code and reason in " ".join(errors.split()) and "Traceback" not in errors
