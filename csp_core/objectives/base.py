"""The contract of everything that trains: a module that owns the model and gives losses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from csp_core import geo
from csp_core.data.batch import Batch
from csp_core.errors import ConfigError
from csp_core.model import DualEncoder


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

    def uniform(self, columns: int) -> Tensor:
        """Draw from U[0, 1).

        Args:
            columns: Numbers a row.

        Returns:
            ``(stop - start, columns)`` float32.
        """
        drawn = torch.rand(self.total, columns, generator=self.generator)
        return drawn[self.start : self.stop]


class Objective(nn.Module):
    """Base of all objectives.

    Args:
        model: The model to train.
        jitter_km: Standard deviation of the Gaussian scatter given to places in training, km along
            each of two directions; a pair (low, high) draws it anew for each record, uniform in
            its logarithm.

    Raises:
        ConfigError: If the jitter is negative or not ordered.
    """

    prior_kind = "share"

    def __init__(self, model: DualEncoder, *, jitter_km: float | tuple[float, float] = 0.0) -> None:
        super().__init__()
        self.model = model
        pair = isinstance(jitter_km, (tuple, list))
        low, high = jitter_km if isinstance(jitter_km, (tuple, list)) else (jitter_km, jitter_km)
        if not 0 <= low <= high or (pair and low == 0):
            raise ConfigError(
                f"jitter_km is {jitter_km}; give km of at least 0, or (low, high) with 0 < low."
            )
        self.jitter_km = (float(low), float(high))

    def draw(self, batch: Batch, random: BatchRandom) -> Batch:
        """Add what chance decides; the forward pass itself draws nothing but dropout.

        Places are scattered in training mode only.

        Args:
            batch: A batch on the CPU.
            random: Its source of random numbers.

        Returns:
            The batch, ready for ``forward``.
        """
        low, high = self.jitter_km
        if high == 0 or not self.training:
            return batch
        sigma = low * (high / low) ** random.uniform(1)[:, 0] if high > low else high
        scattered = geo.jitter(batch["lonlat"], sigma, random.uniform(2))
        return {**batch, "lonlat": scattered}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            batch: A batch on the model's device.

        Returns:
            Scalars by name; ``"loss"`` is what is minimised.
        """
        raise TypeError(f"{type(self).__name__} must define forward.")
