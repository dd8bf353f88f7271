"""A position encoding by nearness to anchor places: rbf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from csp_core import geo
from csp_core.errors import BadRecordError, ConfigError
from csp_core.location.base import Compat, Options, PositionEncoding, is_reference


class RadialBasis(PositionEncoding):
    """A Gaussian bump around each of M anchor places.

    Distances are great circles, in degrees of arc. The published code measures them in the plane
    of longitude and latitude and keeps the row numbers of its anchors instead of their places.

    Args:
        anchors: Longitude and latitude of each anchor; None draws ``num_anchors`` of them
            uniformly on the sphere. They are kept with the weights.
        num_anchors: Number M of anchors to draw.
        kernel_size: Standard deviation σ of a bump, in degrees.
        seed: Seed of the draw.
        compat: ``"reference"`` for distances in the plane, with their seam at ±180°.

    Source:
        The "rbf" baseline of Mai et al. 2020 and 2023: exp(-d²/(2σ²)), there with anchors among
        the training places and σ of 1 or 2 degrees.
    """

    anchors: Tensor
    continuous_at_antimeridian = True
    continuous_at_poles = True
    example_options: ClassVar[Options] = {"num_anchors": 6, "kernel_size": 60.0}

    def __init__(
        self,
        anchors: Sequence[Sequence[float]] | None = None,
        num_anchors: int = 200,
        kernel_size: float = 15.0,
        seed: int = 0,
        compat: Compat = None,
    ) -> None:
        super().__init__()
        if num_anchors < 1 or not kernel_size > 0:
            raise ConfigError(
                f"num_anchors is {num_anchors} and kernel_size {kernel_size}; give at least one"
                " anchor and a size above 0 degrees."
            )
        self.kernel_size = float(kernel_size)
        self.planar = is_reference(compat)
        if self.planar:
            self.continuous_at_antimeridian = self.continuous_at_poles = False
        if anchors is None:
            generator = torch.Generator().manual_seed(seed)
            places = geo.sphere_points(torch.rand(num_anchors, 2, generator=generator))
        else:
            places = checked_places(anchors, "anchors")
        self.register_buffer("anchors", places)
        self.out_dim = len(places)

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, M)`` in [0, 1].
        """
        anchors = self.anchors.to(lonlat.dtype)
        if self.planar:
            squared = (lonlat[:, None] - anchors).square().sum(-1)
        else:
            squared = squared_arc(geo.unit_vectors(lonlat), geo.unit_vectors(anchors))
        return torch.exp(-squared / (2 * self.kernel_size**2))


def checked_places(given: Sequence[Sequence[float]] | Tensor, name: str) -> Tensor:
    """Check places that an option lists.

    Args:
        given: Longitude and latitude of each.
        name: Of the option, for the error message.

    Returns:
        ``(M, 2)`` degrees, M at least 1.

    Raises:
        ConfigError: If there are none, or one is no place.
    """
    try:
        places = geo.check_lonlat(torch.as_tensor(given, dtype=torch.get_default_dtype()))
    except (BadRecordError, TypeError, ValueError) as error:
        raise ConfigError(f"{name} must be pairs of longitude and latitude: {error}") from error
    if not len(places):
        raise ConfigError(f"{name} is empty; give at least one pair of longitude and latitude.")
    return places.clone()


def arc_degrees(a: Tensor, b: Tensor) -> Tensor:
    """Measure the great-circle distance of every pair of points, with gradients that stay finite.

    Args:
        a: ``(N, 3)`` unit vectors.
        b: ``(M, 3)`` unit vectors.

    Returns:
        ``(N, M)`` degrees of arc.
    """
    # From differences, because 1 - a·b forgets distances below 0.03° in single precision. The
    # derivatives of root and arc sine are infinite at 0 and 1, at an anchor and opposite of it.
    quarter = (a[:, None] - b).square().sum(-1) / 4  # sin² of half the arc
    limits = torch.finfo(quarter.dtype)
    half_arc = torch.asin(quarter.clamp(limits.tiny, 1 - 4 * limits.eps).sqrt())
    return torch.rad2deg(2 * half_arc)


def squared_arc(a: Tensor, b: Tensor) -> Tensor:
    """Square the great-circle distance of every pair of points, with gradients that stay finite.

    Args:
        a: ``(N, 3)`` unit vectors.
        b: ``(M, 3)`` unit vectors.

    Returns:
        ``(N, M)`` squared degrees of arc.
    """
    return arc_degrees(a, b).square()
