"""The page of the CLIP family: what is said of its numbers, and rows that were not run."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def made(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    names = ("clip_tables", "clip_findings", "stssl_common")
    return [importlib.import_module(name) for name in names]


def outcome_of(common, shares):
    cells = [common.Cell(row, tower, draw, {}) for row, tower, draw, _ in shares]
    found = {
        cell.key: {"recall_at_100": share, "back_recall_at_100": share + 0.1, "probe": 0.5}
        for cell, (*_, share) in zip(cells, shares, strict=True)
        if share is not None
    }
    return common.Outcome(tuple(cells), found)


@pytest.mark.parametrize(
    ("pairs", "helps", "said"),
    [
        ([1.0, 2.0, 3.0], True, "holds"),
        ([-1.0, -2.0, -3.0], True, "does not hold"),
        ([-1.0, -2.0, -3.0], False, "holds"),
        ([1.0, 2.0], False, "does not hold"),
        ([-1.0, 2.0], True, "undecided"),
        ([2.0], True, "one draw, as the paper says, which decides nothing"),
        ([2.0], False, "one draw, not as the paper says, which decides nothing"),
    ],
)
def test_a_verdict_needs_an_interval_that_leaves_out_nothing(made, pairs, helps, said):
    assert made[1].verdict(pairs, helps=helps) == said


def test_findings_are_of_pairs_of_the_same_draw(made):
    tables, findings, common = made
    shares = [("CLIP", "ViT", 0, 0.2), ("CLIP", "ViT", 1, 0.3), ("FILIP", "ViT", 0, 0.25),
              ("FILIP", "ViT", 1, 0.37), ("SLIP", "ViT", 0, None)]  # fmt: skip
    outcome = outcome_of(common, shares)
    said = "\n".join(findings.findings(tables.with_found(outcome)))
    assert "FILIP less CLIP: ViT **+6.0** [+5.1, +6.9] (2), holds; convnet not run" in said
    assert "SLIP less CLIP, first 100: ViT not run" in said
    text, data = tables.page(outcome, common.Outcome(()), (1e-3,), 1e-3)
    assert data["differences"]["FILIP - CLIP, ViT, found"] == pytest.approx([5.0, 7.0])
    assert "| SLIP | ViT (0) | not run |" in text and "| CLIP | ViT (2) | n/a |" in text
    assert "was not measured" in text


def test_the_plan_gives_all_objectives_as_many_passes(made):
    family = importlib.import_module("clip_family")
    size = {**family.WHOLE, "learning_rate": 1e-3}
    cells = family.main_cells(size, 0, ("ViT",))
    few = {made[1].HALF: (None, 2), made[1].THIRD: (None, 3)}
    passes = {**family.PRESETS, **family.BESIDE, **few}
    assert {cell.settings["epochs"] * passes[cell.row][1] for cell in cells} == {6}
    data = family.data_cells(size, 0, ("ViT",), "CLIP")
    assert [cell.settings["epochs"] for cell in data] == [6, 9, 7, 7]
    assert all(0.95 < c.settings["epochs"] * family.QUALITY[c.row[6:]][1] / 6 < 1.06 for c in data)
