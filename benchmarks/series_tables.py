"""Rows of a table of series compared in pairs, with intervals that resample blocks of ground."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from report import markdown
from stssl_common import Cell, Outcome

from csp_core.files import read_json

RESAMPLES = 10_000


def confusions(cells: Sequence[Cell], folder: Path, classes: int) -> dict[tuple[int, int], Any]:
    """Count answers by block of ground, over all draws.

    Args:
        cells: Cells of one row and column, all run.
        folder: Of their answers.
        classes: How many classes there are.

    Returns:
        Block to ``(K, K)`` counts, truth by answer.
    """
    found: dict[tuple[int, int], Any] = {}
    for cell in cells:
        kept = read_json(folder / cell.file)
        for block, truth, said in zip(kept["blocks"], kept["truth"], kept["said"], strict=True):
            counts = found.setdefault((block[0], block[1]), np.zeros((classes, classes)))
            counts[truth, said] += 1
    return found


def score(counts: np.ndarray, measure: str) -> np.ndarray:
    """Compute a measure of confusion matrices.

    Args:
        counts: ``(R, K, K)``, truth by answer.
        measure: ``accuracy`` or ``macro_f1``, over the classes that the truth has.

    Returns:
        ``(R,)``.
    """
    right, true, said = (
        np.diagonal(counts, axis1=1, axis2=2), counts.sum(axis=2), counts.sum(axis=1))  # fmt: skip
    if measure == "accuracy":
        return np.asarray(right.sum(axis=1) / true.sum(axis=1))
    f1 = 2 * right / np.maximum(true + said, 1)
    return np.asarray((f1 * (true > 0)).sum(axis=1) / (true > 0).sum(axis=1))


def paired(
    outcome: Outcome,
    folder: Path,
    measure: str,
    *,
    other: str,
    rows: Sequence[str],
    classes: int = 4,
) -> tuple[str, dict[str, Any]]:
    """Write how far rows are from one of them, with intervals over blocks.

    Args:
        outcome: What there is.
        folder: Of the answers of its cells.
        measure: ``accuracy`` or ``macro_f1``.
        other: The row to compare with.
        rows: The rows to compare.
        classes: How many classes there are.

    Returns:
        Markdown, in bold where the interval leaves out 0, with the number of draws that both rows
        have in brackets; and the numbers by row and column.
    """
    columns = list(dict.fromkeys(cell.column for cell in outcome.planned))
    table, data = [], {}
    for row in rows:
        texts = [row]
        for column in columns:
            cells = {who: {c.draw: c for c in outcome.planned if c.key[:2] == (who, column)
                           and c.key in outcome.found} for who in (row, other)}  # fmt: skip
            draws = sorted(cells[row].keys() & cells[other].keys())
            if not draws:
                texts.append("not run")
                continue
            ours, theirs = (
                confusions([cells[who][draw] for draw in draws], folder, classes)
                for who in (row, other)
            )
            middle, low, high = _interval(ours, theirs, measure)
            data[f"{row} − {other}, {column}"] = {"mean": middle, "interval": [low, high]}
            mark = "**" if low > 0 or high < 0 else ""
            told = f"{mark}{middle:+.1f}{mark} [{low:+.1f}, {high:+.1f}]"
            texts.append(f"{told} ({len(draws)})")
        table.append(texts)
    return markdown([f"less *{other}*", *columns], table), data


def _interval(ours: dict[Any, Any], theirs: dict[Any, Any], measure: str) -> tuple[float, ...]:
    blocks = sorted(ours)
    both = [np.stack([side[block] for block in blocks]) for side in (ours, theirs)]
    chance = np.random.default_rng(0)
    weight = chance.multinomial(len(blocks), np.full(len(blocks), 1 / len(blocks)), RESAMPLES)
    whole = np.ones((1, len(blocks)))
    middle, spread = (
        100 * (score(np.tensordot(w, both[0], 1), measure)
               - score(np.tensordot(w, both[1], 1), measure))
        for w in (whole, weight.astype(float))
    )  # fmt: skip
    return float(middle[0]), *(float(q) for q in np.quantile(spread, (0.025, 0.975)))
