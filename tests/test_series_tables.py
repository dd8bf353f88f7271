"""Tables of series: measures of confusion matrices, and intervals over blocks of ground."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("series_tables")


def test_measures_are_those_of_scikit_learn(tables):
    metrics = pytest.importorskip("sklearn.metrics")
    chance = np.random.default_rng(0)
    # Of four classes the truth has three, as in blocks that no class of its own lies in.
    truth, said = chance.choice([0, 2, 3], 200), chance.integers(0, 4, 200)
    counts = np.zeros((1, 4, 4))
    np.add.at(counts[0], (truth, said), 1)
    assert tables.score(counts, "accuracy")[0] == pytest.approx((truth == said).mean())
    want = metrics.f1_score(truth, said, labels=[0, 2, 3], average="macro")
    assert tables.score(counts, "macro_f1")[0] == pytest.approx(want)


def test_pairs_are_of_draws_that_both_have_and_intervals_of_blocks(tables, tmp_path):
    common = importlib.import_module("stssl_common")
    cells = [common.Cell(row, "all", draw, {}) for row in ("new", "old") for draw in range(3)]
    outcome = common.Outcome(tuple(cells))
    for cell in cells:
        if cell.key == ("old", "all", 2):
            continue
        outcome.found[cell.key] = {"accuracy": 0.0}
        right = 8 if cell.row == "new" else 6
        # Ten series in each of four blocks; rows differ alike in all of them.
        kept = {
            "blocks": [[block, 0] for block in range(4) for _ in range(10)],
            "truth": [0] * 40,
            "said": ([0] * right + [1] * (10 - right)) * 4,
        }
        (tmp_path / cell.file).write_text(json.dumps(kept))
    text, found = tables.paired(outcome, tmp_path, "accuracy", other="old", rows=["new"], classes=2)
    told = found["new − old, all"]
    assert told["mean"] == pytest.approx(20) and told["interval"] == pytest.approx([20, 20])
    assert "**+20.0** [+20.0, +20.0] (2)" in text
