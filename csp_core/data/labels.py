"""Which labelled records are learned from: a part of each class, or at most so many of it."""

from __future__ import annotations

import torch
from torch import Tensor

from csp_core.errors import ConfigError


def stratified_fraction(label: Tensor, fraction: float, seed: int = 0) -> Tensor:
    """Choose a part of the labels, the same part of every class but at least one record of each.

    Of a class with n records, max(1, n · fraction rounded half to even) are drawn without
    replacement. With one seed, a smaller fraction is a part of a larger one.

    Args:
        label: ``(N,)`` int64; negative ones (unlabelled) are never chosen.
        fraction: In (0, 1].
        seed: Seed of the draw.

    Returns:
        ``(M,)`` int64 rows, ascending.

    Raises:
        ConfigError: If the fraction is out of range.

    Source:
        The ``stratified-fix`` subsets of Mai et al. 2023, CSP, section 4.
    """
    check_kept(fraction)
    rows, position, size = _shuffled_by_class(label, seed)
    wanted = (size.double() * fraction).round().long().clamp_min(1)
    return rows[position < wanted].sort().values


def capped(label: Tensor, most: int, seed: int = 0) -> Tensor:
    """Choose at most so many records of each class, so that common ones do not outweigh the rest.

    Args:
        label: ``(N,)`` int64; negative ones (unlabelled) are never chosen.
        most: Records of one class to keep, at least 1.
        seed: Seed of the draw.

    Returns:
        ``(M,)`` int64 rows, ascending.

    Raises:
        ConfigError: If the number is below 1.

    Source:
        Mac Aodha et al. 2019 train on at most 100 records of a class in an epoch; here they are
        drawn once.
    """
    check_kept(most=most)
    rows, position, _ = _shuffled_by_class(label, seed)
    return rows[position < most].sort().values


def check_kept(fraction: float = 1.0, most: int | None = None) -> None:
    """Refuse parts and numbers of labels that nothing would be left of.

    Args:
        fraction: Part of the labels of each class.
        most: Records of one class to keep, or None for all.

    Raises:
        ConfigError: If the fraction is not in (0, 1], or the number below 1.
    """
    if not 0 < fraction <= 1:
        raise ConfigError(f"label_fraction is {fraction}; give a part in (0, 1].")
    if most is not None and most < 1:
        raise ConfigError(f"max_per_class is {most}; give 1 or more.")


def _shuffled_by_class(label: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Shuffle the records of each class: rows, their position in it and its size."""
    rows = torch.randperm(len(label), generator=torch.Generator().manual_seed(seed))
    rows = rows[label[rows] >= 0]
    # A stable sort leaves each class in the order of the draw, so its first records are a sample.
    rows = rows[label[rows].argsort(stable=True)]
    _, member, sizes = torch.unique_consecutive(
        label[rows], return_inverse=True, return_counts=True
    )
    position = torch.arange(len(rows)) - (sizes.cumsum(0) - sizes)[member]
    return rows, position, sizes[member]
