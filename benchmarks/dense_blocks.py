"""Maps compared in pairs, with intervals that resample blocks of ground and seeds together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from report import markdown
from stssl_common import Cell, Outcome

from csp_core.files import read_json

RESAMPLES = 4000
# Side of a block in crops of 64 pixels.
SIDE = 2
NOT_RUN = "not run"
# Of one row and the one that it is compared with, by seed: ``(B, K, K)`` pixels of each block.
Pairs = Mapping[int, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Gain:
    """A difference of two rows.

    Args:
        mean: In points.
        low: Lower end of its 95 % interval.
        high: Upper end.
        seeds: How many seeds both rows have, of the label count that has most.
    """

    mean: float
    low: float
    high: float
    seeds: int

    def __str__(self) -> str:
        """Write it, in bold where the interval leaves out 0, with the number of seeds."""
        mark = "**" if self.low > 0 or self.high < 0 else ""
        return f"{mark}{self.mean:+.1f}{mark} [{self.low:+.1f}, {self.high:+.1f}] ({self.seeds})"

    def told(self) -> dict[str, Any]:
        """Give its numbers."""
        return {"mean": self.mean, "interval": [self.low, self.high], "seeds": self.seeds}


def by_block(counts: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum the pixels of crops by block, so that each pixel of the ground counts once.

    Args:
        counts: ``(N, K, K)`` pixels of each crop by true class and class said.
        cells: ``(N, 2)`` row and column of each in the lattice; crops of one place, of other days,
            share it evenly.

    Returns:
        ``(B, 2)`` rows and columns of blocks, and ``(B, K, K)`` pixels of the ground in them.
    """
    _, place, days = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    blocks, which = np.unique(cells // SIDE, axis=0, return_inverse=True)
    found = np.zeros((len(blocks), *counts.shape[1:]))
    np.add.at(found, which.reshape(-1), counts / days[place.reshape(-1)][:, None, None])
    return blocks, found


def mean_iou(counts: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Compute the mean IoU of some classes.

    Args:
        counts: ``(…, K, K)`` pixels by true class and class said.
        classes: Numbers of the classes; one that is neither there nor said counts for nothing.

    Returns:
        ``(…)``.
    """
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    union = counts.sum(axis=-1) + counts.sum(axis=-2) - right
    some = np.where(union > 0, right / np.maximum(union, 1e-9), np.nan)[..., list(classes)]
    return np.asarray(np.nanmean(some, axis=-1))


def gain(parts: Sequence[Pairs], classes: Sequence[int], *, resamples: int = RESAMPLES) -> Gain:
    """Compare two rows, and resample blocks and seeds for the interval.

    A resample draws as many blocks as there are and as many seeds as there are, with repetition,
    the same for both rows and for all parts; the mean IoU is that of the summed pixels of its
    blocks, and the gain the mean over its seeds. A part without any of its seeds is left out of it.

    Args:
        parts: The pairs, such as those of each label count; their gains are averaged.
        classes: Numbers of the classes that the mean IoU is of.
        resamples: How many there are.

    Returns:
        The gain in points.
    """
    seeds = sorted({seed for part in parts for seed in part})
    number = len(next(iter(parts[0].values()))[0])
    chance = np.random.default_rng(0)
    ground = chance.multinomial(number, np.full(number, 1 / number), resamples)
    drawn = chance.multinomial(len(seeds), np.full(len(seeds), 1 / len(seeds)), resamples)
    # The first line is what was measured, each block and each seed once.
    ground = np.concatenate((np.ones_like(ground[:1]), ground)).astype(float)
    drawn = np.concatenate((np.ones_like(drawn[:1]), drawn))
    total, counted = np.zeros(len(ground)), np.zeros(len(ground))
    for part in parts:
        weight = drawn[:, [seeds.index(seed) for seed in part]]
        each = [[mean_iou(np.tensordot(ground, side, 1), classes) for side in pair]
                for pair in part.values()]  # fmt: skip
        difference = np.stack([ours - theirs for ours, theirs in each], axis=1)
        held = weight.sum(axis=1)
        total += (difference * weight).sum(axis=1) / np.maximum(held, 1)
        counted += held > 0
    points = 100 * total / counted
    low, high = np.quantile(points[1:], (0.025, 0.975))
    most = max(len(part) for part in parts)
    return Gain(float(points[0]), float(low), float(high), most)


def pairs_of(outcome: Outcome, folder: Path, row: str, other: str, column: str) -> Pairs:
    """Read what two rows have counted in one column.

    Args:
        outcome: What there is.
        folder: Of the counts, a file a cell.
        row: The row that is judged.
        other: The one that it is compared with.
        column: The column.

    Returns:
        The pairs of all seeds that both have.
    """
    cells: dict[str, dict[int, Cell]] = {row: {}, other: {}}
    for cell in outcome.planned:
        if cell.row in cells and cell.column == column and cell.key in outcome.found:
            cells[cell.row][cell.draw] = cell
    both = sorted(cells[row].keys() & cells[other].keys())
    return {
        seed: (read_counts(cells[row][seed], folder), read_counts(cells[other][seed], folder))
        for seed in both
    }


def read_counts(cell: Cell, folder: Path) -> np.ndarray:
    """Read ``(B, K, K)`` pixels of each block of a cell."""
    return np.asarray(read_json(folder / cell.file)["counts"], dtype=float)


def gain_table(
    outcome: Outcome, folder: Path, classes: Sequence[int], pairs: Iterable[tuple[str, str]]
) -> tuple[str, dict[str, Gain]]:
    """Write how far rows are from others.

    Args:
        outcome: What there is.
        folder: Of the counts.
        classes: Numbers of the classes that the mean IoU is of.
        pairs: The row that is judged and the one that it is compared with.

    Returns:
        Markdown, with a last column over all columns that were run; and the gains by row, other
        row and column.
    """
    columns = list(dict.fromkeys(cell.column for cell in outcome.planned))
    table, found = [], {}
    for row, other in pairs:
        texts, parts = [f"{row} − {other}"], []
        for column in columns:
            part = pairs_of(outcome, folder, row, other, column)
            if part:
                parts.append(part)
                found[f"{row} − {other}, {column}"] = gain([part], classes)
            texts.append(str(found.get(f"{row} − {other}, {column}", NOT_RUN)))
        if parts and len(columns) > 1:
            found[f"{row} − {other}, all"] = gain(parts, classes)
        texts += [str(found.get(f"{row} − {other}, all", NOT_RUN))] if len(columns) > 1 else []
        table.append(texts)
    last = ["mean of these"] if len(columns) > 1 else []
    return markdown(["difference", *columns, *last], table), found
