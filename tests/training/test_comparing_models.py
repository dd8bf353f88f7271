"""What a run leaves of a model that only compares: its numbers, where it learned, and its card."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from csp_core.files import read_json
from csp_core.inference import retrieval
from csp_core.store import list_models, load_model
from tests import photo_model
from tests.workers import once

Csp = Callable[..., tuple[int | str, str, str]]
TEXT = {"name": "transformer", "width": 16, "layers": 1, "heads": 2, "vocabulary": 320}


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of pictures, places and captions."""

    def make(folder: Path) -> None:
        photo_model.run(
            folder / "words",
            data={"captions": "facts_and_class", "size": 400},
            model={"text": TEXT},
            objective={"name": "clip", "augmentation": None},
            training={"epochs": 2},
        )

    return once(tmp_path_factory, "words-run", make) / "words"


def test_numbers_of_retrieval_are_kept_and_told(words: Path) -> None:
    metrics = read_json(words / "model" / "metrics.json")
    assert set(metrics) == {"val", "test"}
    for split in metrics.values():
        assert list(split) == ["image-place", "image-text", "place-text"]
        assert {"median_km", "centre_median_km", "within_200_km"} <= set(split["image-place"])
    card = (words / "model" / "README.md").read_text()
    for part in ("It compares images, places and texts", "R@10 back", "| val, image-place |"):
        assert part in card, part
    spread = retrieval.spread_of(metrics, read_json(words / "model" / "config.json"))
    assert spread is not None and spread.blocks
    assert spread.median_km == metrics["test"]["image-place"]["median_km"]


def test_where_it_has_learned_is_kept_as_counts_alone(words: Path) -> None:
    model = load_model(words)
    assert model.support is not None and not len(model.support.count)
    assert model.support.bounds() is not None and not len(model.classes)
    assert retrieval.sides_of(model) == ("image", "location", "text")
    _, about = retrieval.learned_places(model, 500)
    assert "near its training records" in about


def test_it_is_listed_with_what_it_compares(words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSP_MODELS", str(words))
    (info,) = [one for one in list_models() if one.name == "model"]
    assert info.compares == ("image", "location", "text") and not info.sees_images


def test_csp_evaluate_answers_with_retrieval(csp: Csp, words: Path) -> None:
    code, printed, errors = csp("evaluate", words, "demo", "--json")
    assert code == 0, errors
    report = json.loads(printed)
    assert set(report["splits"]) == {"all", "train", "val", "test"}
    told = read_json(words / "model" / "metrics.json")["test"]["image-text"]
    assert report["splits"]["test"]["image-text"] == told
    code, printed, _ = csp("evaluate", words, "demo")
    assert code == 0 and "R@10 back" in printed and "image – place" in printed


def test_csp_pretraining_is_measured_too(tmp_path: Path) -> None:
    run = photo_model.run(
        tmp_path / "pairs",
        data={"size": 300, "test_fraction": 0.0},
        objective={"name": "csp_mc", "augmentation": None},
        training={"epochs": 1},
    )
    found = read_json(run / "model" / "metrics.json")["val"]
    assert {"recall_at_10", "median_km"} <= set(found) and found["n"] <= found["gallery"]
    rows = (run / "metrics.jsonl").read_text().splitlines()
    assert "val_recall_at_10" in json.loads(rows[-1])
