"""Position encodings that treat longitude and latitude as plane coordinates.

They are direct, wrap, wrap_radians, rff and tile. All but the two wraps have a seam at ±180°
longitude, and none knows that meridians meet at the poles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from csp_core import geo
from csp_core.errors import ConfigError
from csp_core.location.base import Options, PositionEncoding, reduced

Extent = tuple[float, float, float, float]
# A table of this many numbers takes 256 MB, which no model directory should.
MAX_TABLE = 2**26


def scaled(lonlat: Tensor, extent: Extent = geo.WORLD) -> Tensor:
    """Scale degrees to [-1, 1].

    Args:
        lonlat: ``(N, 2)`` degrees.
        extent: West, south, east and north in degrees, which become -1, -1, 1 and 1.

    Returns:
        ``(N, 2)``: for the world, longitude / 180 and latitude / 90.
    """
    west, south, east, north = extent
    centre = lonlat.new_tensor([(west + east) / 2, (south + north) / 2])
    return (lonlat - centre) / lonlat.new_tensor([(east - west) / 2, (north - south) / 2])


def check_extent(extent: Sequence[float]) -> Extent:
    """Check the corners of a region.

    Args:
        extent: West, south, east and north in degrees.

    Returns:
        The same four numbers.

    Raises:
        ConfigError: If they are not the corners of a region.
    """
    if len(extent) == 4:
        west, south, east, north = (float(degrees) for degrees in extent)
        if -180 <= west < east <= 180 and -90 <= south < north <= 90:
            return west, south, east, north
    raise ConfigError(
        f"extent is {tuple(extent)}; give west, south, east, north in degrees, west of east and"
        " south of north."
    )


class Direct(PositionEncoding):
    """Longitude and latitude scaled to [-1, 1].

    Args:
        extent: West, south, east and north in degrees, which become -1 and 1.

    Source:
        The "naive" baseline of Mai et al. 2023 (CSP).
    """

    out_dim = 2

    def __init__(self, extent: Extent = geo.WORLD) -> None:
        super().__init__()
        self.extent = check_extent(extent)

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, 2)``.
        """
        return scaled(lonlat, self.extent)


class Wrap(PositionEncoding):
    """Sine and cosine of both scaled coordinates, continuous at the antimeridian.

    Latitude has the period 180° here, so the two poles share one encoding. With the network
    ``fcnet`` it is the encoder of Mac Aodha et al. and of SINR, with ``residual_mlp`` the "wrap +
    ffn" of CSP.

    Source:
        Mac Aodha et al. 2019, Presence-Only Geographical Priors, eq. 8.
    """

    out_dim = 4
    continuous_at_antimeridian = True
    poles_differ = False

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, 4)``: sin πu, sin πv, cos πu, cos πv with u = λ/180, v = φ/90.
        """
        angle = math.pi * scaled(lonlat)
        return torch.cat((angle.sin(), angle.cos()), dim=1)


class WrapRadians(PositionEncoding):
    """Sine and cosine of longitude and latitude as angles, so that the poles stay apart.

    Source:
        "Wrap" of Klemmer et al. 2025, SatCLIP.
    """

    out_dim = 4
    continuous_at_antimeridian = True

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, 4)``: cos λ, sin λ, cos φ, sin φ.
        """
        angle = torch.deg2rad(lonlat)
        return torch.stack((angle.cos(), angle.sin()), dim=-1).flatten(1)


class RandomFourier(PositionEncoding):
    """Random Fourier features of the scaled plane.

    Args:
        num_features: Number of cosines S.
        kernel_variance: Variance κ of the frequencies, ω ~ N(0, κ I); several values share the
            cosines evenly, one block each.
        seed: Seed of the frequencies and phases, which are kept with the weights.
        extent: West, south, east and north in degrees, which are scaled to -1 and 1 first.

    Source:
        Rahimi & Recht 2007, as √(2/S) cos(ωᵀu + b) in TorchSpatial.
    """

    omega: Tensor
    phase: Tensor
    example_options: ClassVar[Options] = {"num_features": 6, "kernel_variance": 4.0}

    def __init__(
        self,
        num_features: int = 64,
        kernel_variance: float | Sequence[float] = 50.0,
        seed: int = 0,
        extent: Extent = geo.WORLD,
    ) -> None:
        super().__init__()
        self.out_dim = num_features
        self.extent = check_extent(extent)
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
        points = scaled(lonlat.double(), self.extent)
        return fourier_features(points, self.omega, self.phase, lonlat.dtype)


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


def fourier_features(points: Tensor, omega: Tensor, phase: Tensor, dtype: torch.dtype) -> Tensor:
    """Compute √(2/S) cos(ωᵀx + b), whose inner products approach a Gaussian kernel.

    Args:
        points: ``(N, D)`` float64, as the phases need more digits than the features have.
        omega: ``(D, S)``.
        phase: ``(S,)``.
        dtype: Of the features.

    Returns:
        ``(N, S)``.
    """
    angle = reduced(points @ omega.double() + phase.double())
    return math.sqrt(2 / len(phase)) * torch.cos(angle.to(dtype))


class Tile(PositionEncoding):
    """A learned row of numbers for each cell of a regular grid; no gradient reaches the place.

    The published table has a single row, so that its prior is the same everywhere;
    ``cell_degrees=360`` makes that table.

    Args:
        cell_degrees: Side of a cell in degrees.
        num_features: Numbers a row.

    Source:
        Tang et al. 2015, as ``tile`` in Mai et al. 2023 (CSP).
    """

    differentiable = False
    example_options: ClassVar[Options] = {"cell_degrees": 30.0, "num_features": 6}

    def __init__(self, cell_degrees: float = 5.0, num_features: int = 256) -> None:
        super().__init__()
        if not 0 < cell_degrees <= 360 or num_features < 1:
            raise ConfigError(
                f"cell_degrees is {cell_degrees} and num_features {num_features}; give a side above"
                " 0 and up to 360 degrees, and at least one feature."
            )
        rows = math.ceil(360 / cell_degrees) * math.ceil(180 / cell_degrees)
        if rows * num_features > MAX_TABLE:
            raise ConfigError(
                f"Cells of {cell_degrees} degrees with {num_features} features each make a table"
                f" of {rows * num_features:,} numbers; give larger cells or fewer features, up to"
                f" {MAX_TABLE:,}."
            )
        self.cell_degrees, self.out_dim = float(cell_degrees), num_features
        self.embedding = nn.Embedding(rows, num_features)
        nn.init.normal_(self.embedding.weight, std=1 / num_features)

    def forward(self, lonlat: Tensor) -> Tensor:
        """Look up the rows of places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, num_features)``; ±180° is one meridian, in the cell to its east.
        """
        cells = geo.cell_ids(lonlat.detach(), self.cell_degrees)
        rows: Tensor = self.embedding(cells)
        return rows.to(lonlat.dtype)
