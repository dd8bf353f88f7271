"""Position encodings that treat longitude and latitude as plane coordinates: direct, wrap, rff.

All but ``wrap`` have a seam at ±180° longitude, and none knows that meridians meet at the poles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError


def scaled(lonlat: Tensor) -> Tensor:
    """Scale degrees to [-1, 1].

    Args:
        lonlat: ``(N, 2)`` degrees.

    Returns:
        ``(N, 2)``: longitude / 180, latitude / 90.
    """
    return lonlat / lonlat.new_tensor([180.0, 90.0])


class Direct(nn.Module):
    """Longitude and latitude scaled to [-1, 1].

    Source:
        The "naive" baseline of Mai et al. 2023 (CSP).
    """

    out_dim = 2

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, 2)``.
        """
        return scaled(lonlat)


class Wrap(nn.Module):
    """Sine and cosine of both scaled coordinates, continuous at the antimeridian.

    Latitude has the period 180° here, so the two poles share one encoding.

    Source:
        Mac Aodha et al. 2019, Presence-Only Geographical Priors, eq. 8.
    """

    out_dim = 4

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, 4)``: sin πu, sin πv, cos πu, cos πv with u = λ/180, v = φ/90.
        """
        angle = math.pi * scaled(lonlat)
        return torch.cat((angle.sin(), angle.cos()), dim=1)


class RandomFourier(nn.Module):
    """Random Fourier features of the scaled plane.

    Args:
        num_features: Number of cosines S.
        kernel_variance: Variance κ of the frequencies, ω ~ N(0, κ I); several values share the
            cosines evenly, one block each.
        seed: Seed of the frequencies and phases, which are kept with the weights.

    Source:
        Rahimi & Recht 2007, as √(2/S) cos(ωᵀu + b) in TorchSpatial.
    """

    omega: Tensor
    phase: Tensor

    def __init__(
        self,
        num_features: int = 64,
        kernel_variance: float | Sequence[float] = 50.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.out_dim = num_features
        omega, phase = random_frequencies(2, num_features, kernel_variance, seed)
        self.register_buffer("omega", omega)
        self.register_buffer("phase", phase)

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, num_features)``.
        """
        return fourier_features(scaled(lonlat), self.omega, self.phase)


def random_frequencies(
    in_dim: int, num_features: int, kernel_variance: float | Sequence[float], seed: int
) -> tuple[Tensor, Tensor]:
    """Draw the frequencies and phases of random Fourier features.

    Args:
        in_dim: Dimension of the points.
        num_features: Number of cosines S, a multiple of the number of variances.
        kernel_variance: Variance κ of each frequency component, above 0; several values share
            the cosines evenly.
        seed: Seed of the draw.

    Returns:
        ``(in_dim, S)`` frequencies from N(0, κ) and ``(S,)`` phases from U(0, 2π).

    Raises:
        ConfigError: If an option is out of range.
    """
    variances = [kernel_variance] if isinstance(kernel_variance, (int, float)) else kernel_variance
    if num_features < 1 or not variances or min(variances) <= 0 or num_features % len(variances):
        raise ConfigError(
            f"num_features is {num_features} and kernel_variance {kernel_variance}; give variances"
            " above 0 and a multiple of their number as num_features."
        )
    generator = torch.Generator().manual_seed(seed)
    scale = torch.tensor(variances).sqrt().repeat_interleave(num_features // len(variances))
    omega = scale * torch.randn(in_dim, num_features, generator=generator)
    return omega, 2 * math.pi * torch.rand(num_features, generator=generator)


def fourier_features(points: Tensor, omega: Tensor, phase: Tensor) -> Tensor:
    """Compute √(2/S) cos(ωᵀx + b), whose inner products approach a Gaussian kernel.

    Args:
        points: ``(N, D)``.
        omega: ``(D, S)``.
        phase: ``(S,)``.

    Returns:
        ``(N, S)``.
    """
    return math.sqrt(2 / len(phase)) * torch.cos(points @ omega + phase)
