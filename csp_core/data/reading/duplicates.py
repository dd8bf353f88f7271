"""Telling repeated records apart from new ones, in few bytes a record."""

from __future__ import annotations

import mmap

import numpy as np
import numpy.typing as npt
import polars as pl

Keys = npt.NDArray[np.uint64]
KEY = ("scientific_name", "lon", "lat", "date")


# Runs are merged a part at a time: what a merge needs beside the keys is a sixteenth of them.
PARTS = 16
BOUNDS = (np.arange(1, PARTS, dtype=np.uint64) << np.uint64(60)).astype(np.uint64)


class SeenKeys:
    """A set of 64-bit keys that grows batch by batch.

    The keys are parted by their first four bits, and lie in each part in sorted runs of growing
    size, two runs of like size being merged into one: 8 bytes a key, and little more.
    """

    def __init__(self) -> None:
        self._parts: list[list[Keys]] = [[] for _ in range(PARTS)]

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
        cuts = np.searchsorted(ranked, BOUNDS)
        for runs, own, known in zip(
            self._parts, np.split(ranked, cuts), np.split(again, cuts), strict=True
        ):
            for run in runs:
                at = np.minimum(np.searchsorted(run, own), len(run) - 1)
                known |= run[at] == own
            _keep(runs, own[~known])
        found = np.empty(len(keys), bool)
        found[order] = again
        return found


def _keep(runs: list[Keys], run: Keys) -> None:
    while runs and len(runs[-1]) <= 2 * len(run):
        longer = runs.pop()
        both = _room(len(longer) + len(run))
        both[: len(longer)], both[len(longer) :] = longer, run
        both.sort(kind="stable")
        run = both
    if len(run):
        runs.append(run)


def _room(length: int) -> Keys:
    """Take memory of its own for a run, which goes back to the system with it, hole for hole."""
    if not hasattr(mmap, "MAP_PRIVATE"):
        return np.empty(length, np.uint64)
    # Private, as a limit of the process's memory counts no other.
    own = mmap.mmap(-1, 8 * length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(own, np.uint64)


def keys_of(records: pl.DataFrame) -> Keys:
    """Give each record a key of its name, place and day.

    Args:
        records: Judged records. Those without a day count as of one day.

    Returns:
        ``(N,)`` keys; two different records share one with a chance of about 1 in 2^64.
    """
    return records.select(KEY).hash_rows(seed=1).to_numpy()
