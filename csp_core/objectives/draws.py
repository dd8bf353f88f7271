"""Random numbers that all processes of a run draw alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BatchRandom:
    """Random numbers for the rows of a global batch that this process holds.

    Every process draws for the whole batch from the same generator and keeps its own rows, so that
    two processes see together what one would have seen alone.

    Args:
        generator: Seeded by the run's seed and the step.
        start: First row of this process in the global batch.
        stop: Row after its last.
        total: Rows of the global batch.
    """

    generator: torch.Generator
    start: int
    stop: int
    total: int

    def times(self, ratio: int) -> BatchRandom:
        """Give the source for a batch of which each process holds so many times as many rows.

        Args:
            ratio: Rows for each row of this batch.

        Returns:
            The source, which draws from the same generator.
        """
        ends = (self.start * ratio, self.stop * ratio, self.total * ratio)
        return BatchRandom(self.generator, *ends)

    def uniform(self, columns: int) -> Tensor:
        """Draw from U[0, 1).

        Args:
            columns: Numbers a row.

        Returns:
            ``(stop - start, columns)`` float32.
        """
        drawn = torch.rand(self.total, columns, generator=self.generator)
        return drawn[self.start : self.stop]

    def rows(self, draw: Callable[[torch.Generator, int], Tensor]) -> Tensor:
        """Draw something else, one row for each row of the batch.

        Args:
            draw: Function of the generator and the number of rows of the global batch.

        Returns:
            The rows of this process.
        """
        return draw(self.generator, self.total)[self.start : self.stop]
