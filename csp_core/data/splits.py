"""Dealing records to the parts of a data set: by record, site, block of the map or recorder."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from csp_core.errors import BadRecordError, ConfigError, UnknownNameError
from csp_core.geo import cell_ids, nearest_km

PARTS = {"train": 0, "val": 1, "test": 2}
LEFT_OUT = -1
UNKNOWN_RECORDER = -1
SITES_PER_DEGREE = 100


def by_record(lonlat: Tensor, block_degrees: float = 0.0, recorder: Tensor | None = None) -> Tensor:
    """Put every record in a group of its own.

    Args:
        lonlat: ``(N, 2)`` degrees.
        block_degrees: Not used.
        recorder: Not used.

    Returns:
        ``(N,)`` int64 groups.
    """
    return torch.arange(len(lonlat))


def by_site(lonlat: Tensor, block_degrees: float = 0.0, recorder: Tensor | None = None) -> Tensor:
    """Group records whose coordinates agree when rounded to 0.01 degrees.

    Longitudes 180 and -180 agree, and so do all longitudes at a pole. Rounding rather than cutting
    keeps coordinates given to two decimals away from the edges of their cells.

    Args:
        lonlat: ``(N, 2)`` degrees.
        block_degrees: Not used.
        recorder: Not used.

    Returns:
        ``(N,)`` int64 groups.
    """
    around = 360 * SITES_PER_DEGREE
    lon, lat = (lonlat.to(torch.float64) * SITES_PER_DEGREE).round().long().unbind(1)
    pole = 90 * SITES_PER_DEGREE
    lon = torch.where(lat.abs() == pole, torch.zeros_like(lon), lon % around)
    return (lat + pole) * around + lon


def by_block(lonlat: Tensor, block_degrees: float, recorder: Tensor | None = None) -> Tensor:
    """Group records that share a cell of a regular grid.

    Args:
        lonlat: ``(N, 2)`` degrees.
        block_degrees: Side of a cell.
        recorder: Not used.

    Returns:
        ``(N,)`` int64 groups.

    Raises:
        ConfigError: If the side is not above 0 and at most 90.
    """
    if not 0 < block_degrees <= 90:
        raise ConfigError(f"block_degrees is {block_degrees}; give a side above 0 and at most 90.")
    return cell_ids(lonlat, block_degrees)


def by_recorder(
    lonlat: Tensor, block_degrees: float = 0.0, recorder: Tensor | None = None
) -> Tensor:
    """Group the records of one recorder; records whose recorder is unknown are grouped by site.

    Recorders differ in where they go and in what they notice, which a split by place leaves on both
    sides.

    Args:
        lonlat: ``(N, 2)`` degrees.
        block_degrees: Not used.
        recorder: ``(N,)`` int64, -1 where unknown; None if all are.

    Returns:
        ``(N,)`` int64 groups.
    """
    # Sites and recorders are numbered apart, so that no number means one of each.
    site: Tensor = torch.unique(by_site(lonlat), return_inverse=True)[1]
    if recorder is None:
        return site
    person = torch.unique(recorder, return_inverse=True)[1]
    return torch.where(recorder == UNKNOWN_RECORDER, site, len(lonlat) + person)


SPLITS: dict[str, Callable[[Tensor, float, Tensor | None], Tensor]] = {
    "random": by_record,
    "site": by_site,
    "block": by_block,
    "recorder": by_recorder,
}


def assign_parts(
    lonlat: Tensor,
    *,
    method: str = "random",
    val: float = 0.1,
    test: float = 0.0,
    block_degrees: float = 2.0,
    seed: int = 0,
    recorder: Tensor | None = None,
    buffer_km: float = 0.0,
) -> Tensor:
    """Deal records to train, validation and test, whole groups at a time.

    Groups are shuffled and dealt to validation, then to test, until each has its share of the
    records; the last group may carry a part over its share. Nearby records resemble each other, so
    a ``random`` split flatters a model; ``site`` and ``block`` keep neighbours together, and a
    buffer keeps what it learns from at a distance from what it is asked.

    Args:
        lonlat: ``(N, 2)`` degrees.
        method: A name in ``SPLITS``.
        val: Share of the records for validation, in [0, 1).
        test: Share of the records for test, in [0, 1).
        block_degrees: Side of a block, for ``block``.
        seed: Seed of the shuffle. Which groups go where depends on it and on the groups, not on
            the order of the records.
        recorder: ``(N,)`` int64, -1 where unknown, for ``recorder``.
        buffer_km: Training records this near to a record of validation or test are left out, at
            least 0; 0 leaves out none. A warning says so if that is more than half of them, as
            with a ``random`` split, whose held-out records are everywhere.

    Returns:
        ``(N,)`` int64: 0 train, 1 validation, 2 test, -1 left out by the buffer.

    Raises:
        UnknownNameError: If there is no such method.
        ConfigError: If the shares do not fit.
        BadRecordError: If the records are too few or too clumped to fill every part.
    """
    if method not in SPLITS:
        raise UnknownNameError("split method", method, SPLITS)
    if not (0 <= val < 1 and 0 <= test < 1 and val + test < 1):
        raise ConfigError(
            f"Shares val={val}, test={test}: each must be in [0, 1) and leave some for training."
        )
    if not 0 <= buffer_km < float("inf"):
        raise ConfigError(f"buffer_km is {buffer_km}; give kilometres of at least 0.")
    groups = SPLITS[method](lonlat, block_degrees, recorder)
    found, member = torch.unique(groups, return_inverse=True)
    sizes = torch.bincount(member, minlength=len(found))
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(seed))
    before = sizes[order].cumsum(0) - sizes[order]
    is_val = before < val * len(lonlat)
    taken = sizes[order][is_val].sum()
    is_test = ~is_val & (before < taken + test * len(lonlat))
    part_of_group = torch.zeros(len(found), dtype=torch.int64)
    part_of_group[order] = PARTS["val"] * is_val + PARTS["test"] * is_test
    parts = _with_buffer(part_of_group[member], lonlat, buffer_km)
    _check_left_out(parts, method, buffer_km)
    wanted = {"train": 1.0, "val": val, "test": test}
    empty = [name for name, part in PARTS.items() if wanted[name] and not (parts == part).any()]
    if empty:
        raise BadRecordError(
            f"{len(lonlat)} records in {len(found)} groups leave {' and '.join(empty)} empty with"
            f" the {method!r} split. Give more records, other shares, smaller groups or a smaller"
            " buffer."
        )
    return parts


def _with_buffer(parts: Tensor, lonlat: Tensor, buffer_km: float) -> Tensor:
    held_out = parts != PARTS["train"]
    if not buffer_km or not held_out.any():
        return parts
    # Records without a place are near nothing.
    rows = (~held_out & ~lonlat.isnan().any(dim=1)).nonzero().flatten()
    others = lonlat[held_out]
    near = nearest_km(lonlat[rows], others[~others.isnan().any(dim=1)]) <= buffer_km
    return parts.index_fill(0, rows[near], LEFT_OUT)


def _check_left_out(parts: Tensor, method: str, buffer_km: float) -> None:
    """Warn if a buffer takes most of what there is to learn from."""
    left_out, kept = int((parts == LEFT_OUT).sum()), int((parts == PARTS["train"]).sum())
    if kept and left_out > kept:
        warnings.warn(
            f"{left_out:,} of {left_out + kept:,} training records lie within {buffer_km:g} km of"
            f" one held out by the {method!r} split and are left out; {kept:,} remain. Give a"
            " smaller buffer_km, or split_method='block' with larger blocks.",
            stacklevel=3,
        )


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
    if not 0 < fraction <= 1:
        raise ConfigError(f"label_fraction is {fraction}; give a part in (0, 1].")
    rows, position, size = _shuffled_by_class(label, seed)
    wanted = (size.double() * fraction).round().long().clamp_min(1)
    return rows[position < wanted].sort().values


def keep_labels(parts: Tensor, label: Tensor, fraction: float, seed: int = 0) -> Tensor:
    """Leave out of training all but a part of the labels of each class, and what has none.

    Args:
        parts: ``(N,)`` what ``assign_parts`` returned.
        label: ``(N,)`` int64.
        fraction: In (0, 1]; 1 leaves everything as it is.
        seed: Seed of the draw.

    Returns:
        ``(N,)`` parts.

    Raises:
        ConfigError: If the fraction is out of range.
    """
    if fraction == 1:
        return parts
    train = (parts == PARTS["train"]).nonzero().flatten()
    few = train[stratified_fraction(label[train], fraction, seed)]
    return parts.index_fill(0, train, LEFT_OUT).index_fill(0, few, PARTS["train"])


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
    if most < 1:
        raise ConfigError(f"max_per_class is {most}; give 1 or more.")
    rows, position, _ = _shuffled_by_class(label, seed)
    return rows[position < most].sort().values


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


def rows_of(parts: Tensor, split: str) -> Tensor:
    """Find the records of one part.

    Args:
        parts: ``(N,)`` what ``assign_parts`` returned.
        split: ``train``, ``val``, ``test`` or ``all``.

    Returns:
        ``(M,)`` int64 row numbers, ascending.

    Raises:
        UnknownNameError: If there is no such part.
        ConfigError: If the part was given no share.
    """
    if split == "all":
        return torch.arange(len(parts))
    if split not in PARTS:
        raise UnknownNameError("split", split, [*PARTS, "all"])
    rows = (parts == PARTS[split]).nonzero().flatten()
    if not len(rows):
        raise ConfigError(f"The {split} part has no records; give {split}_fraction above 0.")
    return rows
