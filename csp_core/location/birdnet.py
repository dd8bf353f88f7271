"""The position encoding of BirdNET's location prior: one wave of each coordinate."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.location.base import PositionEncoding

MOST_HARMONICS = 64


class BirdNET(PositionEncoding):
    """Sine and cosine of longitude and of twice the latitude, counted from the south-west corner.

    The published network is given 48 shifted copies of each of these waves, which are sums of the
    two, so its first layer is one of 4 features. With its own constants the encoding is ``wrap``
    but for signs. A published file holds its constants in half precision, so that a turn ends 0.2°
    late: they are kept with the weights, so that an imported model is right to its digits.

    Args:
        harmonics: Number of waves of each coordinate, each a whole part of the first; that of
            version 3 has several.

    Raises:
        ConfigError: If there is none, or more than 64.

    Source:
        Kahl et al. 2021, BirdNET; the location prior published with version 2.4.

    Example:
        >>> encoding = BirdNET()
        >>> encoding(torch.tensor([[-180.0, -90.0]])).abs().round(decimals=4)
        tensor([[0., 0., 1., 1.]])
    """

    shift: Tensor
    per_degree: Tensor
    continuous_at_antimeridian = True
    poles_differ = False

    def __init__(self, harmonics: int = 1) -> None:
        super().__init__()
        if not 1 <= harmonics <= MOST_HARMONICS:
            raise ConfigError(f"harmonics is {harmonics}; give 1 to {MOST_HARMONICS} waves.")
        self.harmonics, self.out_dim = harmonics, 4 * harmonics
        self.register_buffer("shift", torch.tensor([180.0, 90.0]))
        self.register_buffer("per_degree", torch.tensor([math.pi / 180, math.pi / 90]))

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, 4 * harmonics)``: sin ka, sin kb for each k, then cos ka, cos kb, with
            a = λ + 180° and b = 2 (φ + 90°).
        """
        angle = (lonlat + self.shift.to(lonlat)) * self.per_degree.to(lonlat)
        if self.harmonics > 1:
            waves = torch.arange(1, self.harmonics + 1, device=angle.device, dtype=angle.dtype)
            angle = (waves[:, None] * angle[:, None, :]).flatten(1)  # (N, 2 * harmonics)
        return torch.cat((angle.sin(), angle.cos()), dim=1)
