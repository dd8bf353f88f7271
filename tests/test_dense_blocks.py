"""Gains of maps: ground counted once, and intervals over blocks and seeds that stay paired."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def blocks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("dense_blocks")


def test_each_pixel_of_the_ground_counts_once(blocks):
    # Three crops of one block, one of them seen on two days, and one crop of another block.
    cells = np.array([[-4, 6], [-4, 6], [-3, 6], [-4, 7], [-6, 6]])
    counts = np.arange(5)[:, None, None] + np.array([[9.0, 1.0], [2.0, 4.0]])
    where, found = blocks.by_block(counts, cells)
    assert where.tolist() == [[-3, 3], [-2, 3]]
    assert found[0] == pytest.approx(counts[4])
    assert found[1] == pytest.approx((counts[0] + counts[1]) / 2 + counts[2] + counts[3])


def test_mean_iou_is_that_of_scikit_learn(blocks):
    metrics = pytest.importorskip("sklearn.metrics")
    chance = np.random.default_rng(0)
    truth, said = chance.choice([0, 2, 3], 300), chance.choice([0, 1, 2, 3], 300)
    counts = np.zeros((5, 5))
    np.add.at(counts, (truth, said), 1)
    want = metrics.jaccard_score(truth, said, labels=[0, 1, 2, 3], average="macro")
    # The class 4 is neither there nor said.
    assert blocks.mean_iou(counts, range(5)) == pytest.approx(want)
    bare = metrics.jaccard_score(truth, said, labels=[1, 2, 3], average="macro")
    assert blocks.mean_iou(counts[None], [1, 2, 3]) == pytest.approx([bare])


def slow_gain(blocks, parts, classes, resamples):
    """Resample one by one, as ``gain`` says it does."""
    seeds = sorted({seed for part in parts for seed in part})
    number = len(next(iter(parts[0].values()))[0])
    chance = np.random.default_rng(0)
    ground = chance.multinomial(number, np.full(number, 1 / number), resamples)
    drawn = chance.multinomial(len(seeds), np.full(len(seeds), 1 / len(seeds)), resamples)
    found = []
    for times, often in zip(ground, drawn, strict=True):
        rows = np.repeat(np.arange(number), times)
        means = []
        for part in parts:
            each = []
            for seed, weight in zip(seeds, often, strict=True):
                if seed in part:
                    ours, theirs = (
                        blocks.mean_iou(side[rows].sum(axis=0), classes) for side in part[seed]
                    )
                    each += [ours - theirs] * weight
            means += [np.mean(each)] if each else []
        found.append(100 * np.mean(means))
    return np.quantile(found, (0.025, 0.975))


def test_gains_resample_blocks_and_seeds_together(blocks):
    chance = np.random.default_rng(1)

    def counted(right):
        noise = chance.integers(1, 20, (12, 3, 3)).astype(float)
        return noise + right * np.eye(3)

    # The second part lacks a seed, so that some resamples of seeds hold none of it.
    parts = [
        {seed: (counted(30), counted(20)) for seed in range(3)},
        {seed: (counted(25), counted(20)) for seed in range(1)},
    ]
    found = blocks.gain(parts, [0, 2], resamples=200)
    assert (found.low, found.high) == pytest.approx(slow_gain(blocks, parts, [0, 2], 200))
    each = [
        np.mean([np.subtract(*(blocks.mean_iou(side.sum(axis=0), [0, 2]) for side in pair))
                 for pair in part.values()])
        for part in parts
    ]  # fmt: skip
    assert found.mean == pytest.approx(100 * np.mean(each))
    assert found.seeds == 3 and found.low < found.mean < found.high


def test_equal_rows_differ_by_nothing(blocks):
    chance = np.random.default_rng(2)
    same = {seed: (one := chance.random((8, 4, 4)), one) for seed in range(2)}
    found = blocks.gain([same], range(4), resamples=50)
    assert (found.mean, found.low, found.high) == (0, 0, 0)
    assert str(found) == "+0.0 [+0.0, +0.0] (2)"
