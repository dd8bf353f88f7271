"""Real spherical harmonics as a position encoding."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.location.base import Compat, Options, PositionEncoding, is_reference

MAX_DEGREES = 100


def normalised_legendre(sin_lat: Tensor, cos_lat: Tensor, num_degrees: int) -> list[Tensor]:
    """Compute normalised associated Legendre functions by a stable recurrence.

    Their squares integrate to 1/(2π) over [-1, 1], there is no Condon-Shortley phase, and all
    are polynomials in the two arguments, so that their gradients are finite at the poles.

    Args:
        sin_lat: ``(N,)`` float64 sine of latitude, the cosine of colatitude.
        cos_lat: ``(N,)`` float64 cosine of latitude.
        num_degrees: Number of degrees L.

    Returns:
        For each degree l < L, ``(N, l + 1)``: orders 0 to l.

    Source:
        Holmes & Featherstone 2002, J. Geodesy 76, the standard forward column recursion.
    """
    x, y = sin_lat[:, None], cos_lat[:, None]
    rows = [torch.full_like(x, 1 / math.sqrt(4 * math.pi))]
    for degree in range(1, num_degrees):
        before = rows[-1]
        diagonal = math.sqrt((2 * degree + 1) / (2 * degree)) * y * before[:, -1:]
        next_to_it = math.sqrt(2 * degree + 1) * x * before[:, -1:]
        parts = [next_to_it, diagonal]
        if degree > 1:
            order = torch.arange(degree - 1, dtype=x.dtype, device=x.device)
            square = degree**2 - order**2
            a = torch.sqrt((4 * degree**2 - 1) / square)
            b = torch.sqrt(
                ((degree - 1) ** 2 - order**2) * ((2 * degree + 1) / (2 * degree - 3)) / square
            )
            parts.insert(0, a * x * before[:, :-1] - b * rows[-2])
        rows.append(torch.cat(parts, dim=1))
    return rows


class Harmonics(PositionEncoding):
    """Real spherical harmonics up to a degree: waves of the sphere itself, without seam or pole.

    They are orthonormal on the sphere and computed in double precision. The published form counts
    colatitude from the south pole and longitude from -180°, which changes the sign of odd degrees,
    and its order 0 is π times too large.

    Args:
        num_degrees: Number of degrees L, from 1 to 100; the finest waves are about 40,000 km / L
            long.
        compat: ``"reference"`` for the signs and the order 0 of the published form, as its weights
            expect them.

    Source:
        Rußwurm et al. 2024, Geographic Location Encoding with Spherical Harmonics and SIREN;
        Klemmer et al. 2025, SatCLIP, with L of 10 and 40 before the network ``siren``.
    """

    continuous_at_antimeridian = True
    continuous_at_poles = True
    example_options: ClassVar[Options] = {"num_degrees": 4}

    def __init__(self, num_degrees: int = 10, compat: Compat = None) -> None:
        super().__init__()
        if not 1 <= num_degrees <= MAX_DEGREES:
            raise ConfigError(
                f"num_degrees is {num_degrees}; give 1 to {MAX_DEGREES}. L degrees make L² features"
                " and waves of 40,000 km / L."
            )
        self.num_degrees, self.reference = num_degrees, is_reference(compat)
        self.out_dim = num_degrees**2
        self.poles_differ = num_degrees > 1

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, L²)``: degrees l outermost, in each the orders m from -l to l; negative orders
            have sin |m|λ, positive ones cos mλ.
        """
        lon, lat = torch.deg2rad(lonlat.double()).unbind(1)
        order = torch.arange(1, self.num_degrees, dtype=lon.dtype, device=lon.device)
        angle = lon[:, None] * order
        sin, cos = math.sqrt(2) * angle.sin(), math.sqrt(2) * angle.cos()
        blocks = []
        legendre = normalised_legendre(lat.sin(), lat.cos(), self.num_degrees)
        for degree, row in enumerate(legendre):
            zonal, rest = row[:, :1], row[:, 1:]
            if self.reference:
                sign = (-1) ** degree
                zonal, rest = sign * math.pi * zonal, sign * rest
            blocks += [(rest * sin[:, :degree]).flip(1), zonal, rest * cos[:, :degree]]
        return torch.cat(blocks, dim=1).to(lonlat.dtype)
