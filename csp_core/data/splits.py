"""Dealing the records of a data set to its parts, as one `Split` says."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from csp_core.data.groups import SPLITS, check_degrees
from csp_core.data.labels import check_kept, check_unseen, chosen_labels, is_known
from csp_core.data.parts import LEFT_OUT, PARTS, Dealt
from csp_core.errors import BadRecordError, ConfigError
from csp_core.geo import nearest_km
from csp_core.tables import lookup

# Where records without a place go; for "train" they are dealt like the others.
WITHOUT_PLACE = {"test": PARTS["test"], "train": PARTS["train"], "none": LEFT_OUT}


@dataclass(frozen=True)
class Split:
    """How records are dealt to train, validation and test.

    Args:
        method: A name in ``SPLITS``.
        val: Share of the records for validation, in [0, 1).
        test: Share of the records for test, in [0, 1).
        block_degrees: Side of a block, for ``block``.
        buffer_km: Training records this near to a record of validation or test are left out, at
            least 0; 0 leaves out none.
        seed: Seed of the shuffle.
        label_fraction: Part of the training records of each class to keep, in (0, 1]; at least one
            of each stays.
        label_seed: Seed of the choice of labels; None for that of the shuffle.
        max_per_class: Training records of one class to keep at most; None keeps all.
        labels: Training records to keep in all, the same number of each class; None keeps as many
            as the other options say.
        keep_unlabelled: Whether the other training records stay too, their labels unseen, rather
            than being left out.
        split_longitude: Records east of it, or at it, are the part ``outside``, and those west of
            it are dealt to the others; None where all are dealt. Longitudes are compared as they
            are, in [-180, 180].

    Raises:
        UnknownNameError: If there is no such method.
        ConfigError: If another value does not fit.

    Example:
        >>> Split("block", test=0.2, block_degrees=1.0).words("train")
        'train of block, 1°: val 0.1, test 0.2, seed 0'
    """

    method: str = "random"
    val: float = 0.1
    test: float = 0.0
    block_degrees: float = 2.0
    buffer_km: float = 0.0
    seed: int = 0
    label_fraction: float = 1.0
    label_seed: int | None = None
    max_per_class: int | None = None
    labels: int | None = None
    keep_unlabelled: bool = False
    split_longitude: float | None = None

    def __post_init__(self) -> None:
        """Check the values before any record is read."""
        lookup("split method", SPLITS, self.method)
        if not (0 <= self.val < 1 and 0 <= self.test < 1 and self.val + self.test < 1):
            raise ConfigError(
                f"Shares val={self.val}, test={self.test}: each must be in [0, 1) and leave some"
                " for training."
            )
        if self.method == "block":
            check_degrees(self.block_degrees)
        if not 0 <= self.buffer_km < float("inf"):
            raise ConfigError(f"buffer_km is {self.buffer_km}; give kilometres of at least 0.")
        check_kept(self.label_fraction, self.max_per_class, self.labels)
        if self.split_longitude is not None and not -180 < self.split_longitude < 180:
            raise ConfigError(
                f"split_longitude is {self.split_longitude}; give degrees between -180 and 180."
            )

    def words(self, part: str) -> str:
        """Say in words what a part of the records is, for cards.

        Args:
            part: ``train``, ``val``, ``test`` or ``all``.

        Returns:
            A line, such as ``train of site: val 0.1, test 0, seed 0``.
        """
        how = [f"block, {self.block_degrees:g}°" if self.method == "block" else self.method]
        how += [f"{self.buffer_km:g} km buffer"] if self.buffer_km else []
        how += [f"{self.label_fraction:g} of the labels"] if self.label_fraction < 1 else []
        cap = self.max_per_class
        how += [f"at most {cap} of a class"] if cap is not None else []
        how += [few] if (few := self.few()) else []
        how += [where] if (where := self.where()) else []
        shares = f"val {self.val:g}, test {self.test:g}"
        return f"{part} of {', '.join(how)}: {shares}, seed {self.seed}"

    def where(self) -> str:
        """Say in words from where the records come, where a part of them is outside.

        Returns:
            Some words, such as ``west of 10°``; none where all are dealt.
        """
        return "" if self.split_longitude is None else f"west of {self.split_longitude:g}°"

    def few(self) -> str:
        """Say in words how few labels are seen, where a number was asked for or the others stay.

        Returns:
            Some words, such as ``40 labels, the others unseen``; none where neither is so.
        """
        told = [f"{self.labels} labels"] if self.labels is not None else []
        return ", ".join([*told, "the others unseen"] if self.keep_unlabelled else told)


def deal(
    split: Split,
    lonlat: Tensor,
    label: Tensor,
    *,
    recorder: Tensor | None = None,
    without_place: str = "test",
    among: Tensor | None = None,
    names: Sequence[str] = (),
    groups: Tensor | None = None,
) -> Dealt:
    """Deal the records of a data set to its parts, and keep of their labels what is asked for.

    Args:
        split: How.
        lonlat: ``(N, 2)`` degrees, NaN where the place is unknown.
        label: ``(N,)`` int64, -1 where unlabelled; or ``(N, K)`` label sets. Unless unlabelled
            records are kept, these are dealt like the others. If they are, the others are dealt as
            if these were not there, and these are trained on where they share no group with a
            record held out and are not near one; those without a place are left out unless they are
            dealt for ``train``.
        recorder: ``(N,)`` int64, -1 where unknown, for ``recorder``.
        without_place: Where records without a place go: to the ``test``; to ``none``; or, for
            ``train``, wherever chance deals them, like the others, which ``random`` alone can.
        among: ``(N,)`` which of the records with a place to deal; the others are left out. All if
            None.
        names: Names of the classes, for what is said of them.
        groups: ``(N,)`` int64 what stays together, rather than what the method would keep so.

    Returns:
        The part of each record.

    Raises:
        UnknownNameError: If ``without_place`` is another word.
        ConfigError: If records without a place cannot be dealt by this method.
        BadRecordError: If the records are too few or too clumped to fill every part, or a class has
            too few of them for its labels, or none to stay without.
    """
    rest = lookup("place for records without one", WITHOUT_PLACE, without_place)
    placed = ~lonlat.isnan().any(dim=1)
    if without_place == "train":
        if split.method != "random" and not placed.all():
            raise ConfigError("without_place='train' needs split_method='random'.")
        placed = torch.ones_like(placed)
    if groups is None:
        people = None if recorder is None else recorder[placed]
        found = SPLITS[split.method](lonlat[placed], split.block_degrees, people)
        groups = torch.full((len(lonlat),), -1).masked_scatter(placed, found)
    known = is_known(label)
    dealt = known | (not split.keep_unlabelled)
    chosen = placed if among is None else placed & among
    parts = torch.full((len(lonlat),), LEFT_OUT).masked_fill(~placed & dealt, rest)
    outside = _outside(split, lonlat, chosen)
    first = chosen & dealt & ~outside
    parts[outside & dealt] = PARTS["outside"]
    parts[first] = _assign(split, lonlat[first], groups[first])
    aside = torch.zeros_like(chosen)
    if not dealt.all():
        # Those without a label are trained on where they belong to nothing that is held out.
        shared = torch.isin(groups, groups[chosen & (parts > PARTS["train"])])
        aside = chosen & ~dealt & (outside | shared)
        parts[chosen & ~dealt & ~aside] = PARTS["train"]
    if outside.any() or not dealt.all():
        parts[chosen] = with_buffer(parts[chosen], lonlat[chosen], split.buffer_km)
    near = int((parts[chosen & ~aside] == LEFT_OUT).sum())
    kept = keep_labels(split, parts, label, names)
    if not split.keep_unlabelled:
        parts = torch.where((parts == PARTS["train"]) & ~kept, LEFT_OUT, parts)
    return Dealt(parts, kept & known, near, int(aside.sum()))


def _outside(split: Split, lonlat: Tensor, chosen: Tensor) -> Tensor:
    """Find the records that are dealt to no other part because of where they are."""
    if split.split_longitude is None:
        return torch.zeros_like(chosen)
    east = chosen & (lonlat[:, 0] >= split.split_longitude)
    west = chosen & (lonlat[:, 0] < split.split_longitude)
    if not east.any() or not west.any():
        raise BadRecordError(
            f"{int(west.sum())} records lie west of {split.split_longitude:g}° and"
            f" {int(east.sum())} east of it; give a split_longitude that leaves some on both sides."
        )
    return east


def keep_labels(split: Split, parts: Tensor, label: Tensor, names: Sequence[str] = ()) -> Tensor:
    """Choose the records that are kept for their labels.

    Args:
        split: How many.
        parts: ``(N,)`` the part of each record.
        label: ``(N,)`` int64, -1 where unlabelled; or ``(N, K)`` label sets.
        names: Names of the classes, for what is said of them.

    Returns:
        ``(N,)`` bool; True for all records that are not trained on.

    Raises:
        ConfigError: If the number of labels does not fit, or none is left unseen where some should.
        BadRecordError: If a class has too few records for it.
    """
    draw = split.seed if split.label_seed is None else split.label_seed
    train = (parts == PARTS["train"]).nonzero().flatten()
    kept = torch.ones(len(parts), dtype=torch.bool).index_fill(0, train, False)
    rows = chosen_labels(
        label[train],
        number=split.labels,
        fraction=split.label_fraction,
        most=split.max_per_class,
        seed=draw,
        names=names,
    )
    kept = kept.index_fill(0, train[rows], True)
    if split.keep_unlabelled:
        learned = parts == PARTS["train"]
        check_unseen(label[learned], (kept & is_known(label))[learned], names)
    return kept


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
    how = Split(method, val, test, block_degrees, buffer_km, seed)
    return _assign(how, lonlat, SPLITS[method](lonlat, block_degrees, recorder))


def _assign(split: Split, lonlat: Tensor, groups: Tensor) -> Tensor:
    found, member = torch.unique(groups, return_inverse=True)
    sizes = torch.bincount(member, minlength=len(found))
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(split.seed))
    before = sizes[order].cumsum(0) - sizes[order]
    is_val = before < split.val * len(lonlat)
    taken = sizes[order][is_val].sum()
    is_test = ~is_val & (before < taken + split.test * len(lonlat))
    part_of_group = torch.zeros(len(found), dtype=torch.int64)
    part_of_group[order] = PARTS["val"] * is_val + PARTS["test"] * is_test
    parts = with_buffer(part_of_group[member], lonlat, split.buffer_km)
    _check_left_out(parts, split)
    wanted = {"train": 1.0, "val": split.val, "test": split.test}
    empty = [name for name in wanted if wanted[name] and not (parts == PARTS[name]).any()]
    if empty:
        raise BadRecordError(
            f"{len(lonlat)} records in {len(found)} groups leave {' and '.join(empty)} empty with"
            f" the {split.method!r} split. Give more records, other shares, smaller groups or a"
            " smaller buffer."
        )
    return parts


def with_buffer(parts: Tensor, lonlat: Tensor, buffer_km: float) -> Tensor:
    """Leave out training records that are too near to one held out.

    Args:
        parts: ``(N,)`` the part of each record.
        lonlat: ``(N, 2)`` degrees; those of NaN are near nothing.
        buffer_km: How near is too near; 0 leaves out none.

    Returns:
        ``(N,)`` the part of each, -1 where it is left out.
    """
    held_out = parts > PARTS["train"]
    if not buffer_km or not held_out.any():
        return parts
    rows = ((parts == PARTS["train"]) & ~lonlat.isnan().any(dim=1)).nonzero().flatten()
    others = lonlat[held_out]
    near = nearest_km(lonlat[rows], others[~others.isnan().any(dim=1)]) <= buffer_km
    return parts.index_fill(0, rows[near], LEFT_OUT)


def _check_left_out(parts: Tensor, split: Split) -> None:
    """Warn if a buffer takes most of what there is to learn from."""
    left_out, kept = int((parts == LEFT_OUT).sum()), int((parts == PARTS["train"]).sum())
    if kept and left_out > kept:
        warnings.warn(
            f"{left_out:,} of {left_out + kept:,} training records lie within {split.buffer_km:g}"
            f" km of one held out by the {split.method!r} split and are left out; {kept:,} remain."
            " Give a smaller buffer_km, or split_method='block' with larger blocks.",
            stacklevel=4,
        )
