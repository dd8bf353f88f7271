"""Folds of places: at random or by blocks of degrees, with inner folds for what is chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.geo import cell_ids

Rows = NDArray[np.int64]
FOLDS, INNER = 5, 3
# Fewer blocks say nothing: each fold would be a single region.
LEAST_BLOCKS = 10
# Places that agree to so many decimals, 0.1 m, are one.
DECIMALS = 6


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to learn from and rows to be asked about.

    Args:
        train: ``(T,)`` rows.
        test: ``(S,)`` rows; no place of theirs, and no block, is among those of ``train``.
        inner: Pairs of the same kind within ``train``, by which the strength is chosen.
    """

    train: Rows
    test: Rows
    inner: tuple[tuple[Rows, Rows], ...]


def one_form(lonlat: Tensor) -> Tensor:
    """Write places so that two that are one have the same numbers.

    Args:
        lonlat: ``(N, 2)`` degrees.

    Returns:
        ``(N, 2)`` float64, six decimals: longitude 180 is -180, and at a pole 0.

    Example:
        >>> one_form(torch.tensor([[180.0, 10.0], [77.0, 90.0]])).tolist()
        [[-180.0, 10.0], [0.0, 90.0]]
    """
    lon, lat = lonlat.double().round(decimals=DECIMALS).unbind(1)
    lon = torch.where(lon >= 180, lon - 360, lon)
    lon = torch.where(lat.abs() >= 90, torch.zeros_like(lon), lon)
    return torch.stack((lon, lat), dim=1) + 0.0  # -0.0 is 0.0


def same_place(lonlat: Tensor) -> Rows:
    """Number the places, so that rows of one place have one number.

    Args:
        lonlat: ``(N, 2)`` degrees.

    Returns:
        ``(N,)`` from 0.
    """
    return np.asarray(torch.unique(one_form(lonlat), dim=0, return_inverse=True)[1])


def occupied_blocks(lonlat: Tensor, degrees: float) -> int:
    """Count the blocks that hold a place.

    Args:
        lonlat: ``(N, 2)`` degrees.
        degrees: Side of a block.

    Returns:
        How many.
    """
    return len(torch.unique(cell_ids(one_form(lonlat), degrees)))


def make_splits(
    lonlat: Tensor, degrees: float | None = None, *, folds: int = FOLDS, seed: int = 0
) -> tuple[Split, ...]:
    """Deal places into folds, each of which is asked about once.

    Groups are dealt in an order drawn by the seed, each to the fold with the fewest rows so far.

    Args:
        lonlat: ``(N, 2)`` degrees.
        degrees: Side of the blocks that stay together; None deals single places.
        folds: How many, from 3 to 10.
        seed: Of the order.

    Returns:
        A split for each fold.

    Raises:
        ConfigError: If there are more or fewer folds, blocks have another side than from 0.1 to 90
            degrees, or fewer than ten groups are there.
    """
    if not 3 <= folds <= LEAST_BLOCKS:
        raise ConfigError(f"folds is {folds}; give 3 to {LEAST_BLOCKS}.")
    if degrees is not None and not 0.1 <= degrees <= 90:
        raise ConfigError(f"Blocks of {degrees:g} degrees: give a side from 0.1 to 90.")
    groups = same_place(lonlat)
    if degrees is not None:
        groups = np.asarray(cell_ids(one_form(lonlat), degrees))
    count = len(np.unique(groups))
    if count < LEAST_BLOCKS:
        what = "different places" if degrees is None else f"blocks of {degrees:g} degrees"
        raise ConfigError(f"The places lie in {count} {what}; {LEAST_BLOCKS} are needed.")
    rng = np.random.default_rng(seed)
    fold = _deal(groups, folds, rng)
    rows = np.arange(len(groups))
    return tuple(_split(rows[fold != one], rows[fold == one], groups, rng) for one in range(folds))


def _split(train: Rows, test: Rows, groups: Rows, rng: np.random.Generator) -> Split:
    own = groups[train]
    count = min(INNER, len(np.unique(own)))
    fold = _deal(own, count, rng)
    inner = tuple((train[fold != one], train[fold == one]) for one in range(count))
    return Split(train, test, inner)


def _deal(groups: Rows, folds: int, rng: np.random.Generator) -> Rows:
    """Give each row the number of a fold; a group is never parted."""
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    filled = np.zeros(folds, np.int64)
    of_group = np.empty(len(sizes), np.int64)
    for group in rng.permutation(len(sizes)):
        of_group[group] = filled.argmin()
        filled[of_group[group]] += sizes[group]
    return of_group[member]
