"""Answers from the nearest places alone, without any encoder: the mean of k, or by distance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from csp_core.evaluation.probes.folds import Rows, Split
from csp_core.geo import EARTH_RADIUS_KM, unit_vectors

Floats = NDArray[np.float64]
# How many neighbours are tried; inner folds choose.
COUNTS = (1, 3, 10, 30, 100)
# Nearer than a metre counts as a metre, so that no weight is infinite.
LEAST_KM = 1e-3


class Nearest:
    """The mean, or the vote, of the nearest places of the training fold.

    Args:
        lonlat: ``(N, 2)`` degrees of all rows.
        by_distance: Whether each counts with 1 / distance², as in inverse-distance interpolation;
            otherwise all count alike.
        counts: How many neighbours are tried.
    """

    def __init__(
        self, lonlat: Tensor, *, by_distance: bool, counts: Sequence[int] = COUNTS
    ) -> None:
        # Straight lines between unit vectors order places as great circles do.
        self.points: Floats = unit_vectors(lonlat.double()).numpy()
        self.by_distance, self.counts = by_distance, tuple(counts)

    def numbers(self, split: Split, values: Floats) -> Floats:
        """Answer with numbers.

        Args:
            split: Whom to learn from and whom to answer.
            values: ``(N, T)`` of all rows; those of the test are not looked at.

        Returns:
            ``(S, T)``.
        """

        def error(train: Rows, test: Rows) -> Floats:
            truth = values[test]
            tried = self._numbers(train, test, values, self.counts)
            return np.stack([((said - truth) ** 2).sum(axis=0) for said in tried])

        best = _chosen(split, error)
        tried = np.stack(self._numbers(split.train, split.test, values, self.counts))
        return tried[best, :, np.arange(values.shape[1])].T

    def classes(self, split: Split, codes: NDArray[np.int64], count: int) -> Rows:
        """Answer with classes.

        Args:
            split: Whom to learn from and whom to answer.
            codes: ``(N,)`` of all rows, from 0; those of the test are not looked at.
            count: How many classes there are.

        Returns:
            ``(S,)`` codes.
        """
        hot = np.eye(count)[codes]

        def error(train: Rows, test: Rows) -> Floats:
            tried = self._numbers(train, test, hot, self.counts)
            return np.array([[(votes.argmax(axis=1) != codes[test]).sum()] for votes in tried])

        best = int(_chosen(split, error)[0])
        (votes,) = self._numbers(split.train, split.test, hot, self.counts[best : best + 1])
        said: Rows = votes.argmax(axis=1)
        return said

    def _numbers(
        self, train: Rows, test: Rows, values: Floats, counts: Sequence[int]
    ) -> list[Floats]:
        from sklearn.neighbors import KDTree

        most = min(max(counts), len(train))
        chord, near = KDTree(self.points[train]).query(self.points[test], k=most)
        km = 2 * EARTH_RADIUS_KM * np.arcsin(np.minimum(chord / 2, 1))
        weight = np.maximum(km, LEAST_KM) ** -2 if self.by_distance else np.ones_like(km)
        rows = train[near]
        found = []
        for k in counts:
            own = weight[:, :k] / weight[:, :k].sum(axis=1, keepdims=True)
            # One neighbour at a time: all at once would take k times the memory.
            said = np.zeros((len(test), values.shape[1]))
            for i in range(own.shape[1]):
                said += own[:, [i]] * values[rows[:, i]]
            found.append(said)
        return found


def _chosen(split: Split, error: Callable[[Rows, Rows], Floats]) -> NDArray[np.intp]:
    """Choose, for each target, the option with the least error over the inner folds."""
    total: Floats = np.sum([error(train, test) for train, test in split.inner], axis=0)
    best: NDArray[np.intp] = total.argmin(axis=0)
    return best
