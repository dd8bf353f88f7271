"""Records held as tensors: the table of classes, and the data set that every source ends in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from csp_core.data import counts as counting
from csp_core.data.batch import Batch, Sample
from csp_core.data.captions.column import check_column
from csp_core.data.names import clashes, identity
from csp_core.errors import AmbiguousNameError, BadRecordError, UnknownNameError


@dataclass(frozen=True)
class ClassTable:
    """What the labels 0..K-1 mean.

    Args:
        names: Scientific name (or class name) of each class, unique.
        common_names: Common name of each class, ``""`` where there is none.
        counts: Training records of each class; of masks their pixels, each ground pixel of a date
            once.
        records: Training records with a label set, of which each may have several classes; None
            where a record has one class.
    """

    names: tuple[str, ...]
    common_names: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    records: int | None = None

    def __post_init__(self) -> None:
        """Fill the optional columns and check that the columns fit together."""
        if not self.common_names:
            object.__setattr__(self, "common_names", ("",) * len(self.names))
        if not self.counts:
            object.__setattr__(self, "counts", (0,) * len(self.names))
        if not len(self.names) == len(self.common_names) == len(self.counts):
            raise BadRecordError("A class table needs one common name and one count per name.")
        if len(set(self.names)) != len(self.names):
            raise BadRecordError("Class names must be unique.")
        if self.records is not None and not max(1, *self.counts, 0) <= self.records:
            raise BadRecordError(
                f"A class has {max(self.counts):,} of {self.records:,} records; give at least that"
                " many, or None where a record has one class."
            )

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.names)

    @cached_property
    def _exact(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def _labels(self) -> dict[str, list[int]]:
        return _by_identity(self.names)

    @cached_property
    def _common(self) -> dict[str, list[int]]:
        return _by_identity(self.common_names)

    def label(self, name: str) -> int:
        """Find a class by scientific or common name, whatever its case, spaces and Unicode form.

        Args:
            name: The name. Written just as the class is, it is that class.

        Returns:
            Its label.

        Raises:
            UnknownNameError: If no class has that name, when near misses are named; or if several
                have, when all of them are.
        """
        if name in self._exact:
            return self._exact[name]
        key = identity(name)
        found = self._labels.get(key) or self._common.get(key) or []
        if len(found) == 1:
            return found[0]
        if found:
            meant = [self.names[label] for label in found]
            raise AmbiguousNameError("taxon", name, meant)
        raise UnknownNameError("taxon", name, [*self.names, *filter(None, self.common_names)])

    def match(self, names: Sequence[str]) -> Tensor:
        """Match other classes to these by scientific name.

        Args:
            names: Scientific names.

        Returns:
            ``(len(names),)`` int64: the label here, or -1 where there is none, or where several
            could be meant and none is written just so.
        """
        return torch.tensor([self._matching(name) for name in names], dtype=torch.int64)

    def _matching(self, name: str) -> int:
        found = self._labels.get(identity(name), [])
        return self._exact.get(name, found[0] if len(found) == 1 else -1)

    def check_distinct(self) -> None:
        """Make sure that no two classes have one name, before a model learns to tell them apart.

        Raises:
            BadRecordError: If some do.
        """
        if same := clashes(self.names):
            groups = "; ".join(" = ".join(map(repr, group)) for group in same[:5])
            raise BadRecordError(
                f"Some classes differ only in case, spaces or the form of a letter: {groups}."
                " Nobody could ask for one of them: make them one class, or give each a name of its"
                " own."
            )

    def frequency(self) -> Tensor:
        """Return P(class), the share of each class among the training records.

        Returns:
            ``(K,)`` float32, sums to 1; even when no counts are known. Of label sets, the part of
            the records that have the class, which need not sum to 1.
        """
        return counting.frequency(self.counts, self.records)

    def usual(self) -> Tensor:
        """Return the answer of somebody who knows the training records but no place.

        Returns:
            ``(K,)`` float32, as ``frequency``, but one without training records counts as half a
            record, as no class that is listed is impossible.

        Example:
            >>> ClassTable(("a", "b"), ("", ""), (3, 0)).usual().round(decimals=3).tolist()
            [0.8569999933242798, 0.14300000667572021]
        """
        return counting.usual(torch.tensor(self.counts, dtype=torch.float64), self.records)


def _by_identity(names: Sequence[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for label, name in enumerate(names):
        if name:
            found.setdefault(identity(name), []).append(label)
    return found


@dataclass(frozen=True, eq=False)
class RecordDataset(Dataset[Sample]):
    """Records as tensors, one row each.

    Args:
        lonlat: ``(N, 2)`` float32 degrees, NaN rows where the place is unknown.
        label: ``(N,)`` int64, -1 where unlabelled.
        classes: What the labels mean; the counts are those of the training part.
        date: ``(N,)`` float32 part of the year in [0, 1), NaN where unknown. All NaN if omitted.
        image: ``(N, C, H, W)`` float32, or None for data without images.
        name: What to call the data in cards and reports.
        info: Facts for cards and reports (source, licence, what was dropped).
        recorder: ``(N,)`` int64, one number a recorder, -1 where unknown. All -1 if omitted. It is
            no part of samples or of the hash: nothing learns from it.
        hour: ``(N,)`` float32 part of the day in [0, 1) as recorded, which may be local time or
            UTC, NaN where unknown. All NaN if omitted.
        test_hash: Hash of the records held out for the test of the data set that these are a part
            of, whichever part; empty where there are none, or where none are compared.
        labels: ``(N, K)`` int8 label sets: 1 where a record has a class, 0 where it has not, -1
            where that is unknown; None for data with one label a record. Where there are label
            sets, every ``label`` is -1.
        captions: Distinct captions, one table for all parts of a data set; None for data without.
        caption: ``(N,)`` int64 number of each record's caption in it, -1 where it has none. All -1
            if omitted.
    """

    lonlat: Tensor
    label: Tensor
    classes: ClassTable
    date: Tensor = field(default_factory=lambda: torch.empty(0))
    image: Tensor | None = None
    name: str = "records"
    info: dict[str, object] = field(default_factory=dict)
    recorder: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    hour: Tensor = field(default_factory=lambda: torch.empty(0))
    test_hash: str = ""
    labels: Tensor | None = None
    captions: tuple[str, ...] | None = None
    caption: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))

    def __post_init__(self) -> None:
        """Fill the optional columns and check that the columns fit together."""
        for name in ("date", "hour"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, torch.full((len(self.lonlat),), float("nan")))
        for name in ("recorder", "caption"):
            if not len(getattr(self, name)):
                unknown = torch.full((len(self.lonlat),), -1, dtype=torch.int64)
                object.__setattr__(self, name, unknown)
        columns = ("lonlat", "label", "date", "hour", "recorder", "caption")
        if len({len(getattr(self, name)) for name in columns}) > 1:
            raise BadRecordError(f"{', '.join(columns)} need the same number of rows.")
        self._check_sets()
        check_column(self.captions, self.caption)

    def _check_sets(self) -> None:
        if self.labels is None:
            return
        if self.labels.shape != (len(self.lonlat), len(self.classes)):
            raise BadRecordError(
                f"labels has shape {tuple(self.labels.shape)}; give a row for each of"
                f" {len(self.lonlat)} records and a column for each of {len(self.classes)} classes."
            )
        if (self.label >= 0).any():
            raise BadRecordError("A record has a label or a label set; leave label at -1.")

    def labelled(self) -> Tensor:
        """Tell which records have a label, or know of a class whether it is in their label set.

        Returns:
            ``(N,)`` bool.
        """
        return self.label >= 0 if self.labels is None else (self.labels >= 0).any(dim=1)

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.lonlat)

    def __getitem__(self, index: int) -> Sample:
        """Return one record."""
        sample: Sample = {
            "lonlat": self.lonlat[index],
            "date": self.date[index],
            "hour": self.hour[index],
            "label": self.label[index],
        }
        if self.labels is not None:
            sample["labels"] = self.labels[index]
        if self.captions is not None:
            sample["caption"] = self.caption[index]
        if self.image is not None:
            sample["image"] = self.image[index]
        return sample

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Return many records as a batch at once; the data loader prefers this to single rows."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        batch: Batch = {
            "lonlat": self.lonlat[rows],
            "date": self.date[rows],
            "hour": self.hour[rows],
            "label": self.label[rows],
        }
        if self.labels is not None:
            batch["labels"] = self.labels[rows]
        if self.captions is not None:
            batch["caption"] = self.caption[rows]
        if self.image is not None:
            batch["image"] = self.image[rows]
        return batch

    def joined_columns(self, other: RecordDataset) -> dict[str, Any]:
        """Put the columns of two parts of one data set one below the other.

        Args:
            other: The second part.

        Returns:
            Field name to column.
        """
        names = ["lonlat", "label", "date", "hour", "recorder", "caption"]
        names += [name for name in ("image", "labels") if getattr(self, name) is not None]
        return {name: torch.cat((getattr(self, name), getattr(other, name))) for name in names}

    def content_hash(self) -> str:
        """Return a SHA-256 over places, dates, labels, class names; hours, sets, captions if known.

        Returns:
            64 hexadecimal digits; equal for equal records in equal order.
        """
        digest = hashlib.sha256("\n".join(self.classes.names).encode())
        # Data without hours, label sets or captions keeps the hash it had before there were any.
        hours = () if self.hour.isnan().all() else (self.hour,)
        sets = () if self.labels is None else (self.labels,)
        said = () if self.captions is None else (self.caption,)
        for tensor in (self.lonlat, self.date, self.label, *hours, *sets, *said):
            digest.update(tensor.contiguous().numpy().tobytes())
        digest.update("\n".join(self.captions or ()).encode())
        return digest.hexdigest()


def join_records(first: RecordDataset, second: RecordDataset) -> RecordDataset:
    """Put the records of two parts of one data set together.

    Args:
        first: One part, whose name and facts are kept.
        second: Another part with the same classes.

    Returns:
        All records; the classes are counted in them.

    Raises:
        BadRecordError: If classes or captions differ, or one part alone has images or label sets.
    """
    has = [[getattr(one, name) is None for name in ("image", "labels")] for one in (first, second)]
    same = first.classes.names == second.classes.names and first.captions == second.captions
    if not same or has[0] != has[1]:
        raise BadRecordError(
            "Only parts of one data set can be joined: classes, images or captions differ."
        )
    columns = first.joined_columns(second)
    label, labels, masks = columns["label"], columns.get("labels"), columns.get("masks")
    return replace(first, classes=recounted(first.classes, label, labels, masks), **columns)


def recounted(
    classes: ClassTable, label: Tensor, labels: Tensor | None, masks: Tensor | None = None
) -> ClassTable:
    """Count classes anew in training records.

    Args:
        classes: The classes.
        label: ``(N,)`` int64, -1 where unlabelled.
        labels: ``(N, K)`` label sets, or None; see ``RecordDataset``.
        masks: ``(N, H, W)`` whole numbers of classes, -1 where unknown, or None.

    Returns:
        The classes with their counts, of masks in pixels, and, of label sets, the number of records
        that have one.
    """
    if masks is not None:
        return replace(classes, counts=counting.pixels(masks, len(classes)), records=None)
    records = None if labels is None else max(1, int((labels >= 0).any(dim=1).sum()))
    return replace(
        classes, counts=counting.count_classes(label, labels, len(classes)), records=records
    )
