"""The parts of a data set, and to which of them each record went."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from csp_core.data.counts import count_classes
from csp_core.errors import ConfigError, UnknownNameError

# ``outside`` is a test of another kind: of places where nothing was learned from.
PARTS = {"train": 0, "val": 1, "test": 2, "outside": 3}
LEFT_OUT = -1


@dataclass(frozen=True, eq=False)
class Dealt:
    """To which part each record of a data set went.

    Args:
        parts: ``(N,)`` int64: 0 train, 1 validation, 2 test, 3 outside, -1 left out.
        labelled: ``(N,)`` bool: which records have a label that may be seen. Of a record of
            training without one, nothing but its image, place and date is learned from.
        near: How many of those left out were too near to a record held out.
        beside: How many records without a label were left out as they share a block, or site or
            recorder, with a record held out, or lie outside.
    """

    parts: Tensor
    labelled: Tensor
    near: int = 0
    beside: int = 0

    def rows(self, part: str) -> Tensor:
        """Find the records of one part, as ``rows_of`` does."""
        return rows_of(self.parts, part)

    def shown(self, label: Tensor) -> Tensor:
        """Hide the labels that are not to be seen: those of records trained on without them.

        Args:
            label: ``(N,)`` labels, or ``(N, K)`` label sets.

        Returns:
            The same, -1 where a label is hidden. Records that are left out keep theirs.
        """
        hidden = (self.parts == PARTS["train"]) & ~self.labelled
        return label.masked_fill(hidden if label.ndim == 1 else hidden[:, None], -1)

    def left_out(self) -> dict[str, object]:
        """Tell what was left out for the sake of records held out.

        Returns:
            Facts for ``info``: ``left_out_by_buffer`` and ``left_out_with_block``.
        """
        return {"left_out_by_buffer": self.near, "left_out_with_block": self.beside}

    def counts(self, label: Tensor, classes: int) -> tuple[int, ...]:
        """Count the labelled training records of each class.

        Args:
            label: ``(N,)`` int64, -1 where unlabelled; or ``(N, K)`` label sets.
            classes: How many classes there are.

        Returns:
            A number for each class.
        """
        learned = self.shown(label)[self.parts == PARTS["train"]]
        return count_classes(learned, learned if learned.ndim == 2 else None, classes)

    def test_hash(self, classes: Sequence[str], *columns: Tensor, files: Sequence[str] = ()) -> str:
        """Hash the records of the test, so that two runs can tell whether theirs is the same.

        Args:
            classes: Names of the classes.
            *columns: ``(N, …)`` what is known of each record: places, labels, dates.
            files: Name of each record's image; without a place nothing else tells two images apart.

        Returns:
            64 hexadecimal digits; empty if there is no test.
        """
        rows = (self.parts >= PARTS["test"]).nonzero().flatten()
        if not len(rows):
            return ""
        names = [files[row] for row in rows.tolist()] if files else []
        digest = hashlib.sha256("\n".join([*classes, "", *names]).encode())
        for column in columns:
            digest.update(column[rows].contiguous().numpy().tobytes())
        return digest.hexdigest()


def rows_of(parts: Tensor, split: str) -> Tensor:
    """Find the records of one part.

    Args:
        parts: ``(N,)`` what ``assign_parts`` returned.
        split: ``train``, ``val``, ``test``, ``outside`` or ``all``.

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
        wanted = "split_longitude" if split == "outside" else f"{split}_fraction above 0"
        raise ConfigError(f"The {split} part has no records; give {wanted}.")
    return rows
