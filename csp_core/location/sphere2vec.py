"""Multi-scale position encodings of the sphere: the Sphere2Vec family.

The published members multiply angles by frequencies that are not whole numbers, so they jump at
±180° longitude and depend on longitude at the poles. ``sphere_c_seamless`` takes odd whole numbers
and does neither.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.location.base import Compat, Options, is_reference
from csp_core.location.multiscale import Multiscale, geometric_frequencies


class Angles(NamedTuple):
    """Sines and cosines of longitude and latitude, all of one shape."""

    sin_lon: Tensor
    sin_lat: Tensor
    cos_lon: Tensor
    cos_lat: Tensor


def _angles(radians: Tensor) -> Angles:
    return Angles(*radians.sin().unbind(1), *radians.cos().unbind(1))


class _Sphere2Vec(Multiscale):
    """Base of the family: angles in radians times frequencies."""

    features_per_scale: int
    example_options: ClassVar[Options] = {"num_scales": 5, "min_radius": 0.125, "max_radius": 2.0}

    def __init__(
        self, num_scales: int = 32, min_radius: float = 0.01, max_radius: float = 1.0
    ) -> None:
        frequencies = geometric_frequencies(num_scales, min_radius, max_radius)
        super().__init__(frequencies, self.features_per_scale)

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, out_dim)``: scales outermost.
        """
        radians = torch.deg2rad(lonlat.double())
        scaled = self.phases(radians).to(lonlat.dtype)  # (N, 2, S)
        plain = radians.to(lonlat.dtype)[:, :, None]
        return torch.stack(self.terms(plain, _angles(scaled)), dim=-1).flatten(1)

    def terms(self, radians: Tensor, scaled: Angles) -> tuple[Tensor, ...]:
        """Give the features of every scale.

        Args:
            radians: ``(N, 2, 1)`` longitude, latitude.
            scaled: Of the same times each frequency, ``(N, S)`` each.

        Returns:
            ``features_per_scale`` tensors ``(N, S)``.
        """
        raise TypeError(f"{type(self).__name__} must define its terms.")


class SphereC(_Sphere2Vec):
    """The point on the sphere with both angles scaled, at each scale.

    Args:
        num_scales: Number of scales S.
        min_radius: Smallest scale λmin in radians; frequencies go from 1/λmin down to 1/λmax.
        max_radius: Largest scale λmax in radians.

    Source:
        Mai et al. 2023, Sphere2Vec, sphereC.
    """

    features_per_scale = 3

    def terms(self, radians: Tensor, scaled: Angles) -> tuple[Tensor, ...]:
        """Return sin φ_s, cos φ_s cos λ_s, cos φ_s sin λ_s, each ``(N, S)``."""
        return scaled.sin_lat, scaled.cos_lat * scaled.cos_lon, scaled.cos_lat * scaled.sin_lon


class SphereCPlus(_Sphere2Vec):
    """``SphereC`` together with the grid features of the scaled angles.

    Args:
        num_scales: Number of scales S.
        min_radius: Smallest scale λmin in radians.
        max_radius: Largest scale λmax in radians.

    Source:
        Mai et al. 2023, Sphere2Vec, sphereC+.
    """

    features_per_scale = 6

    def terms(self, radians: Tensor, scaled: Angles) -> tuple[Tensor, ...]:
        """Return sin φ_s, cos φ_s, sin λ_s, cos λ_s and the two products, each ``(N, S)``."""
        products = (scaled.cos_lat * scaled.cos_lon, scaled.cos_lat * scaled.sin_lon)
        return *_grid_terms(scaled), *products


class SphereM(_Sphere2Vec):
    """One angle scaled at a time, the other kept at its own value.

    Args:
        num_scales: Number of scales S.
        min_radius: Smallest scale λmin in radians.
        max_radius: Largest scale λmax in radians.

    Source:
        Mai et al. 2023, Sphere2Vec, sphereM.
    """

    features_per_scale = 5

    def terms(self, radians: Tensor, scaled: Angles) -> tuple[Tensor, ...]:
        """Return sin φ_s and the four products of a scaled and an unscaled angle."""
        return scaled.sin_lat, *_mixed_products(_angles(radians), scaled)


def _grid_terms(scaled: Angles) -> tuple[Tensor, ...]:
    return scaled.sin_lat, scaled.cos_lat, scaled.sin_lon, scaled.cos_lon


def _mixed_products(plain: Angles, scaled: Angles) -> tuple[Tensor, ...]:
    """Return cos φ_s cos λ, cos φ cos λ_s, cos φ_s sin λ and cos φ sin λ_s, each ``(N, S)``."""
    return (
        scaled.cos_lat * plain.cos_lon,
        plain.cos_lat * scaled.cos_lon,
        scaled.cos_lat * plain.sin_lon,
        plain.cos_lat * scaled.sin_lon,
    )


def plus_frequencies(
    num_scales: int, min_radius: float, max_radius: float, compat: Compat
) -> Tensor:
    """Space the frequencies of sphere_m_plus and dfs, highest first.

    The code that was published later, TorchSpatial, takes λmax^{-s/(S-1)} and forgets λmin: with
    its usual λmax of 1 every frequency is 1.

    Args:
        num_scales: Number of scales S, at least 1.
        min_radius: Smallest scale λmin in radians, above 0.
        max_radius: Largest scale λmax in radians, at least ``min_radius``.
        compat: ``"reference"`` for the frequencies of TorchSpatial.

    Returns:
        ``(S,)`` float64.

    Raises:
        ConfigError: If an option is out of range.

    Example:
        >>> plus_frequencies(3, 0.01, 1.0, compat=None).round().tolist()
        [100.0, 10.0, 1.0]
        >>> plus_frequencies(3, 0.01, 1.0, compat="reference").tolist()
        [1.0, 1.0, 1.0]
    """
    right = geometric_frequencies(num_scales, min_radius, max_radius)
    if not is_reference(compat):
        return right
    exponent = torch.arange(num_scales, dtype=torch.float64) / max(num_scales - 1, 1)
    return float(max_radius) ** -exponent


class SphereMPlus(_Sphere2Vec):
    """``SphereM`` together with the grid features of the scaled angles.

    Args:
        num_scales: Number of scales S.
        min_radius: Smallest scale λmin in radians.
        max_radius: Largest scale λmax in radians.
        compat: ``"reference"`` for the frequencies of TorchSpatial, which ignore ``min_radius``.

    Source:
        Mai et al. 2023, Sphere2Vec, sphereM+.
    """

    features_per_scale = 8

    def __init__(
        self,
        num_scales: int = 32,
        min_radius: float = 0.01,
        max_radius: float = 1.0,
        compat: Compat = None,
    ) -> None:
        frequencies = plus_frequencies(num_scales, min_radius, max_radius, compat)
        Multiscale.__init__(self, frequencies, self.features_per_scale)

    def terms(self, radians: Tensor, scaled: Angles) -> tuple[Tensor, ...]:
        """Return sin φ_s, cos φ_s, sin λ_s, cos λ_s and the four products of ``SphereM``."""
        return *_grid_terms(scaled), *_mixed_products(_angles(radians), scaled)


class DoubleFourier(Multiscale):
    """Every product of a longitude and a latitude wave at any two scales, and the waves alone.

    Args:
        num_scales: Number of scales S, from 1 to 32; the features grow with its square.
        min_radius: Smallest scale λmin in radians.
        max_radius: Largest scale λmax in radians.
        compat: ``"reference"`` for the frequencies of TorchSpatial, which ignore ``min_radius``.

    Source:
        Mai et al. 2023, Sphere2Vec, dfs, after the double Fourier sphere of Orszag 1974.
    """

    example_options: ClassVar[Options] = {"num_scales": 3, "min_radius": 0.125, "max_radius": 2.0}

    def __init__(
        self,
        num_scales: int = 8,
        min_radius: float = 0.01,
        max_radius: float = 1.0,
        compat: Compat = None,
    ) -> None:
        frequencies = plus_frequencies(num_scales, min_radius, max_radius, compat)
        if num_scales > 32:
            raise ConfigError(
                f"num_scales is {num_scales}, which makes {4 * num_scales * (num_scales + 1)}"
                " features; give at most 32."
            )
        super().__init__(frequencies, features_per_scale=4 * num_scales + 4)

    @property
    def scale_columns(self) -> Tensor:
        """Which features each scale of longitude has, ``(S, 4 S + 4)`` int64, its waves too."""
        scales = len(self.frequencies)
        products = torch.arange(4 * scales**2).view(2, scales, -1).transpose(0, 1).flatten(1)
        waves = torch.arange(4 * scales**2, self.out_dim).view(scales, -1)
        return torch.cat((products, waves), dim=1)

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, 4 S² + 4 S)``: the products, longitude outermost, each side its S sines and then
            its S cosines; then sin φ_s, cos φ_s, sin λ_s, cos λ_s of each scale.
        """
        radians = torch.deg2rad(lonlat.double())
        scaled = _angles(self.phases(radians).to(lonlat.dtype))
        lon = torch.cat((scaled.sin_lon, scaled.cos_lon), dim=1)  # (N, 2 S)
        lat = torch.cat((scaled.sin_lat, scaled.cos_lat), dim=1)
        products = (lon[:, :, None] * lat[:, None, :]).flatten(1)
        waves = torch.stack(_grid_terms(scaled), dim=-1).flatten(1)
        return torch.cat((products, waves), dim=1)


def odd_frequencies(num_scales: int, min_radius: float, max_radius: float) -> Tensor:
    """Space odd whole frequencies as nearly geometrically as S different ones can be.

    Args:
        num_scales: Number of scales S.
        min_radius: Smallest scale λmin in radians; no frequency exceeds 1/λmin.
        max_radius: Largest scale λmax in radians, at most 1.

    Returns:
        ``(S,)`` float64, highest first.

    Raises:
        ConfigError: If an option is out of range, or there are fewer odd numbers than scales.

    Example:
        >>> odd_frequencies(6, 0.01, 1.0).tolist()
        [99.0, 39.0, 15.0, 7.0, 3.0, 1.0]
    """
    if max_radius > 1:
        raise ConfigError(f"max_radius is {max_radius}; give at most 1: the lowest frequency is 1.")
    # A hair above, so that 1 / 0.04 is 25 and not the odd number below 24.999.
    wanted = geometric_frequencies(num_scales, min_radius, max_radius) * (1 + 1e-9)
    top = 2 * int((wanted[0].item() - 1) // 2) + 1
    odd = [min(2 * round((f - 1) / 2) + 1, top) for f in wanted.flip(0).tolist()]
    available = (top - odd[0]) // 2 + 1
    if available < num_scales:
        raise ConfigError(
            f"num_scales is {num_scales}, but there are only {available} odd numbers from {odd[0]}"
            f" to {top}; give fewer scales or a smaller min_radius."
        )
    # Low frequencies that round to the same number move up, the highest ones down again.
    for s in range(1, num_scales):
        odd[s] = max(odd[s], odd[s - 1] + 2)
    for s in range(num_scales):
        odd[s] = min(odd[s], top - 2 * (num_scales - 1 - s))
    return torch.tensor(odd[::-1], dtype=torch.float64)


class SphereCSeamless(SphereC):
    """``SphereC`` at odd whole frequencies: no seam at ±180°, one value at each pole.

    Whole frequencies let longitude close on itself; odd ones bring cos φ_s to zero at both poles,
    where longitude must not matter, and keep sin φ_s apart there.

    Args:
        num_scales: Number of scales S, at most as many as there are odd numbers in the range; the
            closer to it, the less geometrically they are spaced.
        min_radius: Smallest scale λmin in radians; frequencies go from about 1/λmin down to 1/λmax.
        max_radius: Largest scale λmax in radians, at most 1.

    Source:
        Mai et al. 2023, Sphere2Vec, sphereC, with other frequencies.
    """

    continuous_at_antimeridian = True
    continuous_at_poles = True
    example_options: ClassVar[Options] = {"num_scales": 4, "min_radius": 0.1, "max_radius": 1.0}

    def __init__(
        self, num_scales: int = 16, min_radius: float = 0.01, max_radius: float = 1.0
    ) -> None:
        frequencies = odd_frequencies(num_scales, min_radius, max_radius)
        Multiscale.__init__(self, frequencies, self.features_per_scale)
