"""Position encodings of the point on the unit sphere: xyz, rff_sphere and nerf.

All three are continuous everywhere, at the antimeridian and at the poles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from csp_core import geo
from csp_core.errors import ConfigError
from csp_core.location.base import Options, PositionEncoding
from csp_core.location.multiscale import Multiscale
from csp_core.location.planar import fourier_features, random_frequencies


class XYZ(PositionEncoding):
    """The point on the unit sphere.

    Source:
        The "xyz" baseline of Mai et al. 2023 (Sphere2Vec).
    """

    out_dim = 3
    continuous_at_antimeridian = True
    continuous_at_poles = True

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, 3)``: cos φ cos λ, cos φ sin λ, sin φ.
        """
        return geo.unit_vectors(lonlat)


class RandomFourierSphere(PositionEncoding):
    """Random Fourier features of the point on the unit sphere, without seam or pole.

    Args:
        num_features: Number of cosines S.
        kernel_variance: Variance κ of the frequencies; the kernel's length is 6371 km / √κ. Several
            values share the cosines evenly, one block each, and give features at several scales.
        seed: Seed of the frequencies and phases, which are kept with the weights.

    Source:
        Rahimi & Recht 2007, applied to ``xyz``.
    """

    omega: Tensor
    phase: Tensor
    continuous_at_antimeridian = True
    continuous_at_poles = True
    example_options: ClassVar[Options] = {"num_features": 6, "kernel_variance": [1.0, 25.0]}

    def __init__(
        self,
        num_features: int = 256,
        kernel_variance: float | Sequence[float] = (10.0, 100.0, 1000.0, 10000.0),
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.out_dim = num_features
        omega, phase = random_frequencies(3, num_features, kernel_variance, seed)
        self.register_buffer("omega", omega)
        self.register_buffer("phase", phase)

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, num_features)``.
        """
        points = geo.unit_vectors(lonlat.double())
        return fourier_features(points, self.omega, self.phase, lonlat.dtype)


class NeRF(Multiscale):
    """Sine and cosine of the point on the unit sphere at frequencies that double.

    The lowest frequency has the period 2, so that -1 and 1 look alike: both poles share one
    encoding, and so do (0°, 0°) and (180°, 0°).

    Args:
        num_scales: Number of scales S, from 1 to 20; the published code always takes 16.

    Source:
        Mildenhall et al. 2020, eq. 4, on ``xyz`` as in Mai et al. 2023 (Sphere2Vec).
    """

    continuous_at_antimeridian = True
    continuous_at_poles = True
    poles_differ = False
    example_options: ClassVar[Options] = {"num_scales": 3}

    def __init__(self, num_scales: int = 16) -> None:
        if not 1 <= num_scales <= 20:
            raise ConfigError(
                f"num_scales is {num_scales}; give 1 to 20: the 20th wavelength is 24 m."
            )
        exponent = torch.arange(num_scales, dtype=torch.float64)
        super().__init__(math.pi * 2**exponent, features_per_scale=6)

    @property
    def scale_columns(self) -> Tensor:
        """Which features each scale has, ``(S, 6)`` int64."""
        return torch.arange(self.out_dim).view(6, -1).T

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, 6 S)``: the sines of x over scales, of y, of z, then the cosines alike; the lowest
            frequency first.
        """
        angle = self.phases(geo.unit_vectors(lonlat.double())).to(lonlat.dtype)
        return torch.cat((angle.sin(), angle.cos()), dim=1).flatten(1)  # (N, 6, S) before
