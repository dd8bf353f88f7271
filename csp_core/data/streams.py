"""Which records a step of training sees: one stream, or labelled beside unlabelled records."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from csp_core.data.batch import Batch, Sample, collate
from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError

# What a record of the unlabelled stream is not to tell; a caption may name the class.
SECRET = ("label", "labels", "mask", "caption")
Unlabelled = Literal["all", "rest"]
# Makes a generator of random numbers that belongs to a purpose, the same each time.
Drawn = Callable[[str], torch.Generator]


class Stream(Protocol):
    """What the loop takes its batches from.

    Args:
        batch_size: Labelled records of a step, or records where there is one stream.
        steps: Steps of an epoch.
    """

    @property
    def batch_size(self) -> int:
        """Records of a step that are counted as its batch."""
        ...

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        ...

    def batches(self, drawn: Drawn, first: int, start: int, stop: int) -> Iterator[Batch]:
        """Yield the rows ``start`` to ``stop`` of each batch of an epoch, from ``first`` on."""
        ...


@dataclass(frozen=True)
class OneStream:
    """All records in one order an epoch; what does not fill a batch is left for another epoch.

    Args:
        dataset: The records.
        most: Records of a step; fewer where there are not so many.
        rows: ``(n,)`` int64 numbers of those that count; None for all.
    """

    dataset: RecordDataset
    most: int
    rows: Tensor | None = None

    def __len__(self) -> int:
        """Return how many records count."""
        return len(self.dataset) if self.rows is None else len(self.rows)

    @property
    def batch_size(self) -> int:
        """Records of a step."""
        return min(self.most, len(self))

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return len(self) // self.batch_size

    def batches(self, drawn: Drawn, first: int, start: int, stop: int) -> Iterator[Batch]:
        """Yield batches of an epoch.

        Args:
            drawn: Source of generators for the epoch.
            first: Number of the first batch.
            start: First row of each batch that is given.
            stop: Row after its last.

        Yields:
            The rows, as ``collate`` gives them.
        """
        order = torch.randperm(len(self), generator=drawn("order"))
        order = order if self.rows is None else self.rows[order]
        rows = _cut(order, self.batch_size, start, stop)[first : self.steps]
        yield from DataLoader(self.dataset, batch_sampler=rows, collate_fn=collate)


@dataclass(frozen=True, eq=False)
class TwoStreams:
    """Labelled and unlabelled records in each step; an epoch is one way through the unlabelled.

    Labelled records come again as often as it takes: their orders follow one another, so that
    none comes twice before each of them came once.

    Args:
        dataset: The records; of some the label is not known.
        batch_size: Labelled records of a step.
        ratio: Unlabelled records of a step for each labelled one, at least 1.
        unlabelled: ``all`` records, whose labels are not looked at, as the published protocols do;
            or the ``rest``, those without a label.

    Raises:
        ConfigError: If there are no labelled records, or too few unlabelled ones for a step.
    """

    dataset: RecordDataset
    batch_size: int
    ratio: int = 1
    unlabelled: Unlabelled = "all"

    def __post_init__(self) -> None:
        """Check that no stream is empty."""
        labelled, others = self._pools()
        if self.ratio < 1 or self.batch_size < 1:
            raise ConfigError(
                f"ratio is {self.ratio} and batch_size {self.batch_size}; give 1 or more of each."
            )
        if not len(labelled):
            raise ConfigError(
                f"None of {len(self.dataset):,} training records has a label: give some labels, or"
                " pre-train without any (simclr, csp_mc)."
            )
        if len(others) < self.batch_size * self.ratio:
            hint = ""
            if self.unlabelled == "rest" and not len(others):
                hint = " (records without a label are kept by data option unlabelled=true)"
            raise ConfigError(
                f"A step takes {self.batch_size} × {self.ratio} = {self.batch_size * self.ratio}"
                f" unlabelled records, and there are {len(others):,}{hint}: lower"
                " training.batch_size or objective.ratio, or give more."
            )

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return len(self._pools()[1]) // (self.batch_size * self.ratio)

    def _pools(self) -> tuple[Tensor, Tensor]:
        known = self.dataset.labelled()
        others = torch.ones_like(known) if self.unlabelled == "all" else ~known
        return known.nonzero().flatten(), others.nonzero().flatten()

    def batches(self, drawn: Drawn, first: int, start: int, stop: int) -> Iterator[Batch]:
        """Yield batches of an epoch.

        Args:
            drawn: Source of generators for the epoch.
            first: Number of the first batch.
            start: First of the labelled rows of each batch that are given.
            stop: Row after their last; the unlabelled rows are those beside them.

        Yields:
            Labelled rows, with ``unlabelled`` beside them, which hold no label at all.
        """
        labelled, others = self._pools()
        size, steps = self.batch_size, self.steps
        generator = drawn("labelled order")
        rounds = math.ceil(steps * size / len(labelled))
        again = [torch.randperm(len(labelled), generator=generator) for _ in range(rounds)]
        own = _cut(labelled[torch.cat(again)], size, start, stop)
        order = torch.randperm(len(others), generator=drawn("order"))
        beside = _cut(others[order], size * self.ratio, start * self.ratio, stop * self.ratio)
        rows = [a + b for a, b in zip(own[first:steps], beside[first:steps], strict=True)]
        pairs = _Pairs(self.dataset, stop - start)
        yield from DataLoader(pairs, batch_sampler=rows, collate_fn=collate)


@dataclass(frozen=True)
class _Pairs(Dataset[Sample]):
    """Rows of which the first so many are labelled, and the others have no label."""

    dataset: RecordDataset
    labelled: int

    def __getitems__(self, rows: Sequence[int]) -> Batch:
        own = self.dataset.__getitems__(rows[: self.labelled])
        others = self.dataset.__getitems__(rows[self.labelled :])
        kept = {name: value for name, value in others.items() if name not in SECRET}
        own["unlabelled"] = kept  # type: ignore[typeddict-item]
        return own


def _cut(order: Tensor, size: int, start: int, stop: int) -> list[list[int]]:
    """Cut an order into batches, and take of each the rows from ``start`` to ``stop``."""
    whole = order[: len(order) // size * size].view(-1, size)
    return [rows.tolist() for rows in whole[:, start:stop]]
