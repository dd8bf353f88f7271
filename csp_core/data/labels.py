"""Which labels are learned from: a part of each class, at most so many of it, or so many in all."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from csp_core.data.counts import count_classes
from csp_core.errors import BadRecordError, ConfigError

FIRST = 3
# Of data with label sets, how many labelled records each class is in, where labels are few.
LEAST = 2


def is_known(label: Tensor) -> Tensor:
    """Tell which records have a label, or know of a class whether it is in their label set.

    Args:
        label: ``(N,)`` labels, or ``(N, K)`` label sets, -1 where unknown.

    Returns:
        ``(N,)`` bool.
    """
    return label >= 0 if label.ndim == 1 else (label >= 0).any(dim=1)


def chosen_labels(
    label: Tensor,
    *,
    number: int | None,
    fraction: float,
    most: int | None,
    seed: int,
    names: Sequence[str] = (),
) -> Tensor:
    """Choose the labels that are seen; all of them, known or not, where nothing else is asked for.

    Args:
        label: ``(N,)`` int64, -1 where unlabelled; or ``(N, K)`` label sets, of which a part is
            drawn from all, and a number so that each class is in two at least.
        number: How many, or None.
        fraction: Part of the labels of each class.
        most: Labels of one class at most, or None.
        seed: Seed of the draw.
        names: Names of the classes, for what is said of them.

    Returns:
        ``(M,)`` int64 rows, ascending.

    Raises:
        ConfigError: If what is asked for does not fit.
        BadRecordError: If a class has too few records for it.
    """
    rows = torch.arange(len(label))
    if label.ndim == 2 and most is not None:
        raise ConfigError("max_per_class is of records with one label each; give labels instead.")
    if number is not None and label.ndim == 2:
        rows = few_sets(label, number, seed, names)
    elif number is not None:
        classes = len(names) or max(1, int(label.max()) + 1)
        rows = balanced(label, number, classes, seed, names)
    if fraction < 1:
        # Label sets are drawn as if all were of one class.
        classes_of = label if label.ndim == 1 else is_known(label).long() - 1
        rows = rows[stratified_fraction(classes_of[rows], fraction, seed)]
    if most is not None:
        rows = rows[capped(label[rows], most, seed)]
    return rows


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


def balanced(
    label: Tensor, number: int, classes: int, seed: int = 0, names: Sequence[str] = ()
) -> Tensor:
    """Choose so many labels in all, the same number of each class.

    With one seed, fewer labels are a part of more.

    Args:
        label: ``(N,)`` int64; negative ones (unlabelled) are never chosen.
        number: How many, a multiple of the number of classes.
        classes: How many classes there are.
        seed: Seed of the draw.
        names: Names of the classes, for what is said of them.

    Returns:
        ``(number,)`` int64 rows, ascending.

    Raises:
        ConfigError: If the number is below that of the classes, or no multiple of it.
        BadRecordError: If a class has too few records.

    Source:
        The labelled subsets of FixMatch (Sohn et al. 2020) and of what followed it.
    """
    found = count_classes(label, None, classes)
    return capped(label, share_out(number, found, names), seed)


def share_out(number: int, sizes: Sequence[int], names: Sequence[str] = ()) -> int:
    """Share labels out evenly among classes.

    Args:
        number: How many.
        sizes: Records of each class that may be labelled.
        names: Names of the classes, for what is said of them.

    Returns:
        How many labels each class gets.

    Raises:
        ConfigError: If the number is below that of the classes, or no multiple of it.
        BadRecordError: If a class has too few records.
    """
    classes = len(sizes)
    each = number // classes
    if each < 1:
        raise ConfigError(
            f"Fewer labels than classes: {number} labels for {classes} classes; give {classes} or"
            f" a multiple, such as {4 * classes}."
        )
    if number % classes:
        raise ConfigError(
            f"{number} labels cannot be shared out evenly among {classes} classes; give"
            f" {each * classes} or {(each + 1) * classes}."
        )
    if few := [at for at, size in enumerate(sizes) if size < each]:
        told = "; ".join(f"{_name(at, names)} has {sizes[at]}" for at in few[:FIRST])
        raise BadRecordError(
            f"{number} labels for {classes} classes are {each} of each, but {len(few)} have fewer"
            f" training records ({told}). Give {min(sizes) * classes} labels, or leave those"
            " classes out."
            if min(sizes)
            else f"{number} labels for {classes} classes need training records of each, but {told}."
            " Leave those classes out, or give another seed or other shares."
        )
    return each


def few_sets(
    sets: Tensor, number: int, seed: int = 0, names: Sequence[str] = (), *, least: int = LEAST
) -> Tensor:
    """Choose so many label sets, with each class in some of them.

    Classes are gone through from the rarest to the most common; each gets as many records as it
    still lacks, and the rest are drawn from all.

    Args:
        sets: ``(N, K)`` int8, 1 where a record has a class; those of -1 alone are never chosen.
        number: How many.
        seed: Seed of the draw.
        names: Names of the classes, for what is said of them.
        least: In how many of them each class is at least.

    Returns:
        ``(number,)`` int64 rows, ascending.

    Raises:
        ConfigError: If the number is too small for that.
        BadRecordError: If a class is in too few records, or the records are too few.
    """
    rows = torch.randperm(len(sets), generator=torch.Generator().manual_seed(seed))
    rows = rows[is_known(sets[rows])]
    has = sets[rows] == 1
    sizes = has.sum(dim=0)
    if few := [at for at, size in enumerate(sizes.tolist()) if size < least]:
        told = "; ".join(f"{_name(at, names)} is in {int(sizes[at])}" for at in few[:FIRST])
        raise BadRecordError(
            f"Labels need {least} training records of each class at least, but {told}. Leave such"
            " classes out, or give another seed or other shares."
        )
    if number > len(rows):
        raise BadRecordError(f"{number} labels of {len(rows)} training records; give fewer.")
    chosen = torch.zeros(len(rows), dtype=torch.bool)
    for at in sizes.argsort(stable=True).tolist():
        lacking = least - int((chosen & has[:, at]).sum())
        chosen[(has[:, at] & ~chosen).nonzero().flatten()[: max(0, lacking)]] = True
    needed = int(chosen.sum())
    if needed > number:
        raise ConfigError(
            f"Fewer labels than classes need: {number} labels cannot hold {least} of each of the"
            f" {len(sizes)} classes; give {needed} or more."
        )
    chosen[(~chosen).nonzero().flatten()[: number - needed]] = True
    return rows[chosen].sort().values


def check_unseen(label: Tensor, seen: Tensor, names: Sequence[str] = ()) -> None:
    """Make sure that there is something to learn from without labels.

    Args:
        label: ``(N,)`` int64 of the training records, -1 where there is none; or ``(N, K)`` label
            sets.
        seen: ``(N,)`` which of the labels are seen.
        names: Names of the classes, for what is said of them.

    Raises:
        ConfigError: If every record is labelled and seen.
        BadRecordError: If of a class every record is, and no label is unknown, so that it cannot
            be among what is learned from without labels.
    """
    if seen.all():
        raise ConfigError(
            f"unlabelled is on, but each of the {len(label):,} training records has a label that is"
            " seen; give fewer labels, a label_fraction below 1, or pictures without a label."
        )
    if (label < 0).any():
        return
    every, hidden = _sizes(label), _sizes(label[~seen], len(_sizes(label)))
    bare = [at for at, size in enumerate(every) if size and not hidden[at]]
    if bare:
        told = ", ".join(_name(at, names) for at in bare[:FIRST])
        more = f" and {len(bare) - FIRST} more" if len(bare) > FIRST else ""
        raise BadRecordError(
            f"Every training record of {told}{more} is labelled, so none is left to learn from"
            " without its label. Give fewer labels, or leave classes with so few records out."
        )


def _sizes(label: Tensor, classes: int | None = None) -> tuple[int, ...]:
    if label.ndim == 2:
        return count_classes(label, label, label.shape[1])
    return count_classes(label, None, int(label.max()) + 1 if classes is None else classes)


def _name(label: int, names: Sequence[str]) -> str:
    return repr(names[label]) if names else f"class {label}"


def check_kept(fraction: float = 1.0, most: int | None = None, number: int | None = None) -> None:
    """Refuse parts and numbers of labels that nothing would be left of.

    Args:
        fraction: Part of the labels of each class.
        most: Records of one class to keep, or None for all.
        number: Labels in all, or None for as many as the others say.

    Raises:
        ConfigError: If the fraction is not in (0, 1], or a number below 1; or if the number of
            labels is given, and a part of them or a number of each class too.
    """
    if not 0 < fraction <= 1:
        raise ConfigError(f"label_fraction is {fraction}; give a part in (0, 1].")
    if most is not None and most < 1:
        raise ConfigError(f"max_per_class is {most}; give 1 or more.")
    if number is not None and number < 1:
        raise ConfigError(f"labels is {number}; give as many as there are classes, or a multiple.")
    if number is not None and (fraction < 1 or most is not None):
        raise ConfigError(
            f"labels is {number}, and label_fraction or max_per_class is given too; give one."
        )


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
