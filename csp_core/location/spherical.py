"""Position encodings that respect the sphere: xyz, rff_sphere and the Sphere2Vec family.

``xyz`` and ``rff_sphere`` are continuous everywhere. The Sphere2Vec encodings multiply angles by
frequencies that are not whole numbers, so they jump at ±180° longitude and depend on longitude at
the poles.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from csp_core import geo
from csp_core.location.multiscale import Multiscale
from csp_core.location.planar import fourier_features, random_frequencies


class XYZ(nn.Module):
    """The point on the unit sphere.

    Source:
        The "xyz" baseline of Mai et al. 2023 (Sphere2Vec).
    """

    out_dim = 3

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, 3)``: cos φ cos λ, cos φ sin λ, sin φ.
        """
        return geo.unit_vectors(lonlat)


class RandomFourierSphere(nn.Module):
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
        return fourier_features(geo.unit_vectors(lonlat), self.omega, self.phase)


class _Sphere2Vec(Multiscale):
    """Base of the Sphere2Vec family: angles in radians times frequencies."""

    features_per_scale: int

    def __init__(
        self, num_scales: int = 32, min_radius: float = 0.01, max_radius: float = 1.0
    ) -> None:
        super().__init__(num_scales, min_radius, max_radius, self.features_per_scale)

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, out_dim)``: scales outermost.
        """
        radians = torch.deg2rad(lonlat)
        scaled = radians[:, :, None] * self.frequencies.to(lonlat.dtype)  # (N, 2, S)
        return torch.stack(self.terms(radians, scaled), dim=-1).flatten(1)

    def terms(self, radians: Tensor, scaled: Tensor) -> tuple[Tensor, ...]:
        """Give the features of every scale.

        Args:
            radians: ``(N, 2)`` longitude, latitude.
            scaled: ``(N, 2, S)`` the same times each frequency.

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

    def terms(self, radians: Tensor, scaled: Tensor) -> tuple[Tensor, ...]:
        """Return sin φ_s, cos φ_s cos λ_s, cos φ_s sin λ_s, each ``(N, S)``."""
        lon, lat = scaled.unbind(1)
        return lat.sin(), lat.cos() * lon.cos(), lat.cos() * lon.sin()


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

    def terms(self, radians: Tensor, scaled: Tensor) -> tuple[Tensor, ...]:
        """Return sin φ_s, cos φ_s, sin λ_s, cos λ_s and the two products, each ``(N, S)``."""
        lon, lat = scaled.unbind(1)
        grid = (lat.sin(), lat.cos(), lon.sin(), lon.cos())
        return *grid, lat.cos() * lon.cos(), lat.cos() * lon.sin()


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

    def terms(self, radians: Tensor, scaled: Tensor) -> tuple[Tensor, ...]:
        """Return sin φ_s and the four products of a scaled and an unscaled angle."""
        lon, lat = (angle[:, None] for angle in radians.unbind(1))
        lon_s, lat_s = scaled.unbind(1)
        return (
            lat_s.sin(),
            lat_s.cos() * lon.cos(),
            lat.cos() * lon_s.cos(),
            lat_s.cos() * lon.sin(),
            lat.cos() * lon_s.sin(),
        )
