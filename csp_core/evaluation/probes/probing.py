"""Probing: ways to answer for places, asked over folds at random and by blocks, and the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from csp_core.evaluation.probes.embedding import plain_coordinates
from csp_core.evaluation.probes.fitting import Probe
from csp_core.evaluation.probes.folds import (
    FOLDS,
    LEAST_BLOCKS,
    Rows,
    Split,
    make_splits,
    occupied_blocks,
    same_place,
)
from csp_core.evaluation.probes.interpolating import Nearest
from csp_core.evaluation.probes.numbers import score_classes, score_numbers

Numbers = dict[str, float]
BLOCKS = (2.0, 10.0, 20.0, 40.0)
SEEDS = 3


class Way(Protocol):
    """Whatever answers for places after seeing others: a probe, or the nearest places."""

    def numbers(self, split: Split, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Answer ``(S, T)`` numbers for the test rows of a split."""

    def classes(self, split: Split, codes: NDArray[np.int64], count: int) -> Rows:
        """Answer ``(S,)`` codes for the test rows of a split."""


@dataclass(frozen=True, eq=False)
class Target:
    """What is to be told of places.

    Args:
        name: What it is called.
        values: ``(N,)`` float64 numbers, or int64 positions in ``classes``.
        classes: Names of the classes; none for numbers.
    """

    name: str
    values: NDArray[Any]
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Places:
    """Places, and what is to be told of each.

    Args:
        lonlat: ``(N, 2)`` degrees.
        targets: Of the same N rows.
    """

    lonlat: Tensor
    targets: tuple[Target, ...]


@dataclass(frozen=True)
class Report:
    """What probing one table gave.

    Args:
        rows: Way to split to measure to one number a seed; None in the place of the measures where
            too few blocks are occupied.
        blocks: Split to how many groups were dealt: different places, or occupied blocks.
    """

    rows: Mapping[str, Mapping[str, Mapping[str, list[float]] | None]]
    blocks: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: mean, sd (None of one seed) and the number of each seed."""
        return {
            way: {
                split: None
                if found is None
                else {
                    name: {
                        "mean": mean(values),
                        "sd": stdev(values) if len(values) > 1 else None,
                        "seeds": values,
                    }
                    for name, values in found.items()
                }
                for split, found in splits.items()
            }
            for way, splits in self.rows.items()
        }


def split_name(degrees: float | None) -> str:
    """Say what a split is called.

    Args:
        degrees: Side of its blocks, or None.

    Returns:
        Such as ``random`` or ``10°``.
    """
    return "random" if degrees is None else f"{degrees:g}°"


def plain_ways(lonlat: Tensor) -> dict[str, Way]:
    """List what any encoder has to beat.

    Args:
        lonlat: ``(N, 2)`` degrees of all rows.

    Returns:
        Name to way.
    """
    return {
        "interpolation (inverse distance)": Nearest(lonlat, by_distance=True),
        "nearest places": Nearest(lonlat, by_distance=False),
        "raw coordinates": Probe(plain_coordinates("raw", lonlat)),
        "sine and cosine": Probe(plain_coordinates("sincos", lonlat)),
    }


def measure(
    way: Way, places: Places, degrees: float | None, *, folds: int = FOLDS, seed: int = 0
) -> dict[str, Numbers]:
    """Ask a way for all places, each from the folds that it is not in, and measure the answers.

    Answers of all folds are measured together: a fold of one region has hardly any variance of its
    own to be explained.

    Args:
        way: What answers.
        places: Places and targets.
        degrees: Side of the blocks that stay together; None deals places at random.
        folds: How many.
        seed: Of the folds.

    Returns:
        Target to measure to number.

    Raises:
        ConfigError: If fewer than ten blocks are occupied.
    """
    splits = make_splits(places.lonlat, degrees, folds=folds, seed=seed)
    found: dict[str, Numbers] = {}
    numbers = [target for target in places.targets if not target.classes]
    if numbers:
        values = np.stack([target.values for target in numbers], axis=1).astype(np.float64)
        said = np.empty_like(values)
        for split in splits:
            said[split.test] = way.numbers(split, values)
        for column, target in enumerate(numbers):
            found[target.name] = score_numbers(values[:, column], said[:, column])
    for target in (target for target in places.targets if target.classes):
        codes = np.empty(len(target.values), np.int64)
        for split in splits:
            codes[split.test] = way.classes(split, target.values, len(target.classes))
        found[target.name] = score_classes(target.values, codes)
    return {target.name: found[target.name] for target in places.targets}


def run_probe(
    ways: Mapping[str, Way],
    places: Places,
    *,
    blocks: Sequence[float] = BLOCKS,
    folds: int = FOLDS,
    seeds: int = SEEDS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Measure ways on one target, at random and by blocks of growing size.

    Args:
        ways: Name to way.
        places: Places and one target.
        blocks: Sides of the blocks in degrees.
        folds: How many.
        seeds: How many orders of the folds.
        seed: The first of them.
        progress: Told how many of how many measurements are done.

    Returns:
        The report; a size of blocks of which fewer than ten are occupied does not count.

    Raises:
        ConfigError: If an option is out of range.
    """
    (target,) = places.targets
    sizes: tuple[float | None, ...] = (None, *blocks)
    counts = {split_name(None): len(np.unique(same_place(places.lonlat)))}
    counts |= {split_name(size): occupied_blocks(places.lonlat, size) for size in blocks}
    counted = [size for size in sizes if size is None or counts[split_name(size)] >= LEAST_BLOCKS]
    rows: dict[str, dict[str, dict[str, list[float]] | None]] = {}
    done, total = 0, len(ways) * len(counted) * seeds
    for name, way in ways.items():
        rows[name] = {split_name(size): None for size in sizes}
        for size in counted:
            found: dict[str, list[float]] = {}
            for number in range(seed, seed + seeds):
                told = measure(way, places, size, folds=folds, seed=number)[target.name]
                for key, value in told.items():
                    found.setdefault(key, []).append(value)
                done += 1
                if progress is not None:
                    progress(done, total)
            rows[name][split_name(size)] = found
    return Report(rows, counts)
