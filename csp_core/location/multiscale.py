"""Multi-scale position encodings of the plane, grid and theory (Space2Vec).

Both work in degrees and jump at ±180° longitude, because their wavelengths do not divide 360°.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.location.base import Options, PositionEncoding


def geometric_frequencies(num_scales: int, min_radius: float, max_radius: float) -> Tensor:
    """Space frequencies geometrically, highest first.

    Args:
        num_scales: Number of scales S, at least 1.
        min_radius: Smallest scale λmin, above 0.
        max_radius: Largest scale λmax, at least ``min_radius``.

    Returns:
        ``(S,)`` float64: 1 / (λmin (λmax/λmin)^{s/(S-1)}).

    Raises:
        ConfigError: If an option is out of range.

    Source:
        Mai et al. 2020, Space2Vec, section 4.

    Example:
        >>> geometric_frequencies(3, 0.25, 1.0).tolist()
        [4.0, 2.0, 1.0]
    """
    if num_scales < 1 or not 0 < min_radius <= max_radius < math.inf:
        raise ConfigError(
            f"num_scales is {num_scales}, min_radius {min_radius}, max_radius {max_radius}; give"
            " at least one scale and 0 < min_radius <= max_radius."
        )
    exponent = torch.arange(num_scales, dtype=torch.float64) / max(num_scales - 1, 1)
    return 1 / (min_radius * (max_radius / min_radius) ** exponent)


class Multiscale(PositionEncoding):
    """Base of encodings over S scales; holds the frequencies.

    Args:
        frequencies: ``(S,)`` float64, highest first.
        features_per_scale: Features that one scale gives.
    """

    frequencies: Tensor

    def __init__(self, frequencies: Tensor, features_per_scale: int) -> None:
        super().__init__()
        # Not persistent: the options already say what they are. Kept in double precision, so that
        # double coordinates get the exact phase.
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.out_dim = features_per_scale * len(frequencies)

    @property
    def scale_columns(self) -> Tensor:
        """Which features each scale has, ``(S, F)`` int64; here scales are outermost."""
        return torch.arange(self.out_dim).view(len(self.frequencies), -1)

    def phases(self, angle: Tensor) -> Tensor:
        """Multiply by each frequency and take whole turns off.

        Both in double precision: in single, the finest scales would lose the digits that matter,
        up to 5e-4 of a published score. What is left is small and keeps them.

        Args:
            angle: ``(N, ...)`` in the unit of the frequencies' scales.

        Returns:
            ``(N, ..., S)`` radians in [-π, π], of the type of the input.
        """
        turns = angle.double()[..., None] * (self.frequencies.double() / (2 * math.pi))
        return (turns - turns.round()).mul_(2 * math.pi).to(angle.dtype)


def sin_cos(angle: Tensor) -> Tensor:
    """Interleave sine and cosine along a new last dimension and flatten it with the one before.

    Args:
        angle: ``(N, ..., S)`` radians.

    Returns:
        ``(N, ..., 2 S)``: sin, cos of the first scale, then of the second.
    """
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(-2)


class Grid(Multiscale):
    """Sine and cosine of each coordinate at each scale.

    Args:
        num_scales: Number of scales S.
        min_radius: Smallest scale in degrees; the wavelength is 2π times that.
        max_radius: Largest scale in degrees.

    Source:
        Mai et al. 2020, Space2Vec, "grid"; defaults of CSP.
    """

    example_options: ClassVar[Options] = {"num_scales": 5, "min_radius": 0.5, "max_radius": 8.0}

    def __init__(
        self, num_scales: int = 32, min_radius: float = 0.1, max_radius: float = 360.0
    ) -> None:
        frequencies = geometric_frequencies(num_scales, min_radius, max_radius)
        super().__init__(frequencies, features_per_scale=4)

    @property
    def scale_columns(self) -> Tensor:
        """Which features each scale has, ``(S, 4)`` int64."""
        return torch.arange(self.out_dim).view(2, -1, 2).transpose(0, 1).flatten(1)

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, 4 S)``: (sin, cos) over scales for longitude, then for latitude.
        """
        return sin_cos(self.phases(lonlat)).flatten(1)


class Theory(Multiscale):
    """Sine and cosine of projections on three directions 120° apart, at each scale.

    Args:
        num_scales: Number of scales S.
        min_radius: Smallest scale in degrees.
        max_radius: Largest scale in degrees.

    Source:
        Mai et al. 2020, Space2Vec, "theory", after the hexagonal grid cells of Gao et al. 2019.
    """

    directions: Tensor
    example_options = Grid.example_options

    def __init__(
        self, num_scales: int = 32, min_radius: float = 0.1, max_radius: float = 360.0
    ) -> None:
        frequencies = geometric_frequencies(num_scales, min_radius, max_radius)
        super().__init__(frequencies, features_per_scale=6)
        angle = torch.tensor([0.0, 2 * math.pi / 3, 4 * math.pi / 3], dtype=torch.float64)
        directions = torch.stack((angle.cos(), angle.sin()))  # (2, 3)
        self.register_buffer("directions", directions, persistent=False)

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, 6 S)``: scales outermost, then the three directions, then (sin, cos).
        """
        projection = lonlat.double() @ self.directions.double()
        angle = self.phases(projection).to(lonlat.dtype)  # (N, 3, S)
        return sin_cos(angle.transpose(1, 2)).flatten(1)
