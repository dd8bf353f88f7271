"""Telling repeated records apart from new ones, in few bytes a record."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

Keys = npt.NDArray[np.uint64]
KEY = ("scientific_name", "lon", "lat", "date")


class SeenKeys:
    """A set of 64-bit keys that grows batch by batch.

    The keys lie in sorted runs of growing size, two runs of like size being merged into one: 8
    bytes a key, 16 while the largest runs are merged.
    """

    def __init__(self) -> None:
        self._runs: list[Keys] = []

    def add(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Add keys.

        Args:
            keys: ``(N,)`` keys.

        Returns:
            ``(N,)`` whether each was there before, in the set or earlier in ``keys``.

        Example:
            >>> seen = SeenKeys()
            >>> seen.add(np.array([7, 8, 7], np.uint64)).tolist()
            [False, False, True]
            >>> seen.add(np.array([9, 8], np.uint64)).tolist()
            [False, True]
        """
        order = np.argsort(keys, kind="stable")
        ranked = keys[order]
        again = np.zeros(len(keys), bool)
        again[1:] = ranked[1:] == ranked[:-1]
        for run in self._runs:
            at = np.minimum(np.searchsorted(run, ranked), len(run) - 1)
            again |= run[at] == ranked
        self._keep(ranked[~again])
        found = np.empty(len(keys), bool)
        found[order] = again
        return found

    def _keep(self, run: Keys) -> None:
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.concatenate([self._runs.pop(), run])
            run.sort(kind="stable")
        if len(run):
            self._runs.append(run)


def keys_of(records: pl.DataFrame) -> Keys:
    """Give each record a key of its name, place and day.

    Args:
        records: Judged records. Those without a day count as of one day.

    Returns:
        ``(N,)`` keys; two different records share one with a chance of about 1 in 2^64.
    """
    return records.select(KEY).hash_rows(seed=1).to_numpy()
