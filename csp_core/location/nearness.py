"""How near some places lie, as one number that stands beside an embedding."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from csp_core import geo
from csp_core.errors import ConfigError
from csp_core.location.anchors import arc_degrees, checked_places
from csp_core.location.base import PositionEncoding

# What stands beside an embedding, as a part of the logarithm.
PART = 1e-3
# Of the kernel; far below, how far the other side of the Earth lies is no number any more.
BOUNDS_KM = 0.001, 1e6
# Places asked times places kept at a time, each pair some 40 bytes.
PAIRS = 1 << 21
KM_PER_DEGREE = geo.EARTH_RADIUS_KM * math.pi / 180


class Nearness(PositionEncoding):
    """The logarithm of a kernel density: where some places are dense it is near 0, else below.

    It falls by 1 every ``km`` away from all of them. Only a thousandth of it stands beside an
    embedding, so that whoever compares embeddings compares what the network gives. The places are
    kept with the weights.

    Args:
        places: Longitude and latitude of each of M places; None makes room for ``count`` of them,
            to be filled from saved weights.
        count: Number M of places where none are given.
        km: Distance over which the kernel, exp(-distance / km), falls to a third (1/e), km.

    Raises:
        ConfigError: If there is no place, one is none, ``count`` is no whole number, or ``km`` is
            out of ``BOUNDS_KM``.

    Example:
        >>> nearness = Nearness([(0.0, 0.0)], km=500.0)
        >>> nearness.log_density(torch.tensor([[0.0, 0.0], [8.99322, 0.0]])).round(decimals=3)
        tensor([-0., -2.])
    """

    places: Tensor
    out_dim = 1
    continuous_at_antimeridian = True
    continuous_at_poles = True
    poles_differ = False  # not where all places lie on the equator

    def __init__(
        self,
        places: Sequence[Sequence[float]] | Tensor | None = None,
        count: int = 1,
        km: float = 500.0,
    ) -> None:
        super().__init__()
        numbers = type(count) is int and isinstance(km, int | float)
        if not numbers or count < 1 or not BOUNDS_KM[0] <= km <= BOUNDS_KM[1]:
            raise ConfigError(
                f"count is {count!r} and km {km!r}; give a whole number, at least one place, and a"
                f" distance of {BOUNDS_KM[0]:g} to {BOUNDS_KM[1]:,.0f} km."
            )
        self.km = float(km)
        found = torch.zeros(count, 2) if places is None else checked_places(places, "places")
        self.register_buffer("places", found)

    @property
    def spec(self) -> dict[str, float]:
        """The options that make this again, but for the places."""
        return {"count": len(self.places), "km": self.km}

    def exponents(self, lonlat: Tensor) -> Tensor:
        """Compute how far each place lies, as the exponent of the kernel.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, M)``: minus the distance over ``km``.
        """
        ends = (geo.unit_vectors(part) for part in (lonlat, self.places.to(lonlat.dtype)))
        return arc_degrees(*ends) * (-KM_PER_DEGREE / self.km)

    def log_density(self, lonlat: Tensor) -> Tensor:
        """Compute how near the places lie.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N,)``: the logarithm of the mean over the places of exp(-distance / km).
        """
        return self.exponents(lonlat).logsumexp(dim=1) - math.log(len(self.places))

    def forward(self, lonlat: Tensor) -> Tensor:
        """Compute what stands beside an embedding.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, 1)``: ``PART`` of the logarithm of the density.
        """
        return PART * self.log_density(lonlat)[:, None]

    def in_parts(self, lonlat: Tensor) -> Tensor:
        """Compute what stands beside embeddings of many places, some of them at a time.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, 1)``, as when called.
        """
        rows = max(1, PAIRS // len(self.places))
        return torch.cat([self(part) for part in torch.split(lonlat, rows)])
