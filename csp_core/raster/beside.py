"""What a location encoder knows besides the position, on the cells of a grid: time, covariates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from csp_core.location import Covariates, LocationEncoder


@dataclass(frozen=True)
class Beside:
    """Features that stand behind those of the position, at one time for all cells.

    Args:
        time: ``(1, T)``; T is 0 where the encoder knows no time.
        covariates: Values sampled at the cells, or None.
    """

    time: Tensor
    covariates: Covariates | None

    @classmethod
    def of(cls, location: LocationEncoder, like: Tensor, date: float | None) -> Beside:
        """Look at an encoder.

        Args:
            location: The encoder.
            like: A tensor on the device and of the kind of number to compute in.
            date: Part of the year in [0, 1), or None. The hour is unknown.

        Returns:
            What it knows.
        """
        if location.time is None:
            return cls(like.new_zeros(1, 0), location.covariates)
        when = None if date is None else like.new_tensor([date])
        return cls(location.time(1, when).to(like.dtype), location.covariates)

    @property
    def size(self) -> int:
        """Number of features."""
        return self.time.shape[1] + (0 if self.covariates is None else self.covariates.out_dim)

    def join(self, encoded: Tensor, places: Tensor) -> Tensor:
        """Put the features beside those of the position.

        Args:
            encoded: ``(N, E)``.
            places: ``(N, 2)`` degrees.

        Returns:
            ``(N, E + size)``.
        """
        if not self.size:
            return encoded
        sampled = [] if self.covariates is None else [self.covariates(places)]
        return torch.cat([encoded, self.time.expand(len(encoded), -1), *sampled], dim=1)

    def bias(self, weight: Tensor) -> Tensor:
        """Compute what the time adds to a linear layer: the same in every cell.

        Args:
            weight: ``(features, hidden)`` of the layer.

        Returns:
            ``(hidden,)``.
        """
        first = len(weight) - self.size
        return (self.time @ weight[first : first + self.time.shape[1]])[0]

    def add(self, out: Tensor, weight: Tensor, places: Tensor) -> Tensor:
        """Add what the covariates add to a linear layer.

        Args:
            out: ``(N, hidden)`` so far.
            weight: ``(features, hidden)`` of the layer.
            places: ``(N, 2)`` degrees.

        Returns:
            ``(N, hidden)``.
        """
        if self.covariates is None:
            return out
        return torch.addmm(out, self.covariates(places), weight[-self.covariates.out_dim :])
