"""Position encodings taken apart on a grid into what longitude says and what latitude says.

Each function writes the features of one kind of encoding as products f(λ) · g(φ), with few f that
many features share. A linear layer behind them then costs one product a column or a row, or few
products a cell, instead of one for every feature of every cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from csp_core.location.harmonics import Harmonics
from csp_core.location.multiscale import Grid, Theory
from csp_core.location.planar import Direct, RandomFourier, Wrap, WrapRadians, scaled
from csp_core.location.sphere2vec import (
    DoubleFourier,
    SphereC,
    SphereCPlus,
    SphereCSeamless,
    SphereM,
    SphereMPlus,
)
from csp_core.location.spherical import XYZ


@dataclass(frozen=True)
class Columns:
    """Features f(λ) · g(φ) that share one g.

    Args:
        values: ``(W, A)`` the f.
        index: ``(A,)`` int64 numbers of the features.
        scale: ``(H,)`` the g, or None where it is 1.
    """

    values: Tensor
    index: Tensor
    scale: Tensor | None = None


@dataclass(frozen=True)
class Products:
    """Features that are sums of products f(λ) · g(φ), each f shared by some of them.

    Args:
        basis: ``(W, Q)`` the f.
        factor: ``(H, P)`` the g of every product.
        index: ``(P,)`` int64 the feature that each product adds to.
        member: ``(P,)`` int64 which f each product takes.
    """

    basis: Tensor
    factor: Tensor
    index: Tensor
    member: Tensor


@dataclass(frozen=True)
class Split:
    """An encoding on a grid of W longitudes and H latitudes; the parts add up.

    Args:
        rows: ``(H, B)`` features of latitude alone, or None.
        row_index: ``(B,)`` int64 their numbers.
        columns: Features of longitude, at one scale a latitude.
        products: All others, or None.
    """

    rows: Tensor | None = None
    row_index: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    columns: tuple[Columns, ...] = ()
    products: Products | None = None


def _across(encoding: nn.Module, lon: Tensor) -> Tensor:
    """Encode the equator: ``(W, F)``."""
    features: Tensor = encoding(torch.stack((lon, torch.zeros_like(lon)), dim=1))
    return features


def _down(encoding: nn.Module, lat: Tensor) -> Tensor:
    """Encode the meridian of 0°: ``(H, F)``."""
    features: Tensor = encoding(torch.stack((torch.zeros_like(lat), lat), dim=1))
    return features


def _sum(encoding: nn.Module, lon: Tensor, lat: Tensor, of_lon: list[int]) -> Split:
    """Take apart features that each know one coordinate only."""
    across, down = _across(encoding, lon), _down(encoding, lat)
    east = torch.tensor(of_lon)
    mine = torch.ones(down.shape[1], dtype=torch.bool)
    mine[east] = False
    north = mine.nonzero()[:, 0]
    return Split(down[:, north], north, (Columns(across[:, east], east),))


def _direct(encoding: nn.Module, lon: Tensor, lat: Tensor) -> Split:
    return _sum(encoding, lon, lat, [0])


def _wrap(encoding: nn.Module, lon: Tensor, lat: Tensor) -> Split:
    return _sum(encoding, lon, lat, [0, 2])


def _wrap_radians(encoding: nn.Module, lon: Tensor, lat: Tensor) -> Split:
    return _sum(encoding, lon, lat, [0, 1])


def _grid(encoding: Any, lon: Tensor, lat: Tensor) -> Split:
    return _sum(encoding, lon, lat, list(range(encoding.out_dim // 2)))


def _theory(encoding: Any, lon: Tensor, lat: Tensor) -> Split:
    """Part the two slanted directions, both of -λ/2; the straight one knows no latitude."""
    frequencies = encoding.frequencies.to(lon.dtype)
    scale = 6 * torch.arange(len(frequencies))
    straight = torch.stack((scale, scale + 1), dim=1).flatten()
    first = Columns(_across(encoding, lon)[:, straight], straight)
    slant = encoding.directions.to(lon.dtype)  # (2, 3)
    a = (lon * slant[0, 1])[:, None] * frequencies
    basis = torch.cat((a.sin(), a.cos()), dim=1)
    own = torch.arange(len(frequencies))
    sine, cosine = own, own + len(frequencies)
    factor, index, member = [], [], []
    for direction in (1, 2):
        b = (lat * slant[1, direction])[:, None] * frequencies
        at = scale + 2 * direction
        # sin(a + b) = sin a cos b + cos a sin b, cos(a + b) = cos a cos b - sin a sin b
        factor += [b.cos(), b.sin(), b.cos(), -b.sin()]
        index += [at, at, at + 1, at + 1]
        member += [sine, cosine, cosine, sine]
    products = Products(basis, torch.cat(factor, dim=1), torch.cat(index), torch.cat(member))
    return Split(columns=(first,), products=products)


def _random_fourier(encoding: Any, lon: Tensor, lat: Tensor) -> Split:
    """Part cos(ω₁u + ω₂v + b) = cos(ω₁u) cos(ω₂v + b) - sin(ω₁u) sin(ω₂v + b)."""
    omega, phase = encoding.omega.to(lon.dtype), encoding.phase.to(lon.dtype)
    u = scaled(torch.stack((lon, lon.new_zeros(len(lon))), dim=1), encoding.extent)[:, :1]
    v = scaled(torch.stack((lat.new_zeros(len(lat)), lat), dim=1), encoding.extent)[:, 1:]
    a, b = u * omega[0], v * omega[1] + phase
    size, own = math.sqrt(2 / len(phase)), torch.arange(len(phase))
    return Split(
        products=Products(
            basis=torch.cat((a.cos(), a.sin()), dim=1),
            factor=size * torch.cat((b.cos(), -b.sin()), dim=1),
            index=torch.cat((own, own)),
            member=torch.arange(2 * len(phase)),
        )
    )


def _xyz(encoding: nn.Module, lon: Tensor, lat: Tensor) -> Split:
    down = _down(encoding, lat)
    first = Columns(_across(encoding, lon)[:, :2], torch.tensor([0, 1]), scale=down[:, 0])
    return Split(down[:, 2:], torch.tensor([2]), (first,))


def _harmonics(encoding: Any, lon: Tensor, lat: Tensor) -> Split:
    """Part the orders: all degrees of one order share the waves of longitude."""
    degrees = encoding.num_degrees
    # At longitude 0 the cosines are 1, and orders m and -m have one function of latitude.
    down = _down(encoding, lat)
    zonal = torch.tensor([degree * (degree + 1) for degree in range(degrees)])
    rest = [(d * (d + 1), m) for d in range(1, degrees) for m in range(1, d + 1)]
    centre, order = torch.tensor(rest, dtype=torch.int64).reshape(-1, 2).unbind(1)
    orders = torch.arange(1, max(degrees, 2), device=lon.device)
    angle = torch.deg2rad(lon.double())[:, None] * orders
    return Split(
        down[:, zonal],
        zonal,
        products=Products(
            basis=torch.cat((angle.cos(), angle.sin()), dim=1).to(lon.dtype),
            factor=down[:, torch.cat((centre + order, centre + order))],
            index=torch.cat((centre + order, centre - order)),
            member=torch.cat((order - 1, order - 1 + angle.shape[1])),
        ),
    )


@dataclass(frozen=True)
class _Waves:
    """Sines and cosines of scaled angles, ``(W, S)`` of longitudes and ``(H, S)`` of latitudes."""

    sin_lon: Tensor
    cos_lon: Tensor
    sin_lat: Tensor
    cos_lat: Tensor
    own: Tensor


def _waves(encoding: Any, lon: Tensor, lat: Tensor) -> _Waves:
    frequencies = encoding.frequencies.to(lon.dtype)
    east = torch.deg2rad(lon)[:, None] * frequencies
    north = torch.deg2rad(lat)[:, None] * frequencies
    own = torch.arange(len(frequencies))
    return _Waves(east.sin(), east.cos(), north.sin(), north.cos(), own)


def _scaled_products(waves: _Waves, at: Tensor) -> Products:
    """Give cos φ_s cos λ_s as features ``at``, and cos φ_s sin λ_s as the ones after them."""
    return Products(
        basis=torch.cat((waves.cos_lon, waves.sin_lon), dim=1),
        factor=waves.cos_lat.repeat(1, 2),
        index=torch.cat((at, at + 1)),
        member=torch.arange(2 * len(at)),
    )


def _both(even: Tensor, odd: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """Join two families of features with the numbers ``at`` and ``at + 1``."""
    return torch.cat((even, odd), dim=1), torch.cat((at, at + 1))


def _sphere_c(encoding: Any, lon: Tensor, lat: Tensor) -> Split:
    waves = _waves(encoding, lon, lat)
    at = 3 * waves.own
    return Split(waves.sin_lat, at, products=_scaled_products(waves, at + 1))


def _sphere_c_plus(encoding: Any, lon: Tensor, lat: Tensor) -> Split:
    waves = _waves(encoding, lon, lat)
    at = 6 * waves.own
    alone = Columns(*_both(waves.sin_lon, waves.cos_lon, at + 2))
    products = _scaled_products(waves, at + 4)
    return Split(*_both(waves.sin_lat, waves.cos_lat, at), (alone,), products)


def _mixed(waves: _Waves, lon: Tensor, lat: Tensor, at: Tensor) -> tuple[Columns, Products]:
    """Give the four products of a scaled and an unscaled angle, from the feature ``at`` on."""
    own = torch.deg2rad(lon)[:, None]
    # cos φ is one for all scales; cos λ and sin λ too.
    scaled_lon, numbers = _both(waves.cos_lon, waves.sin_lon, at + 1)
    # The sine comes two features after the cosine.
    numbers[len(at) :] += 1
    columns = Columns(scaled_lon, numbers, scale=torch.deg2rad(lat).cos())
    products = Products(
        basis=torch.cat((own.cos(), own.sin()), dim=1),
        factor=waves.cos_lat.repeat(1, 2),
        index=torch.cat((at, at + 2)),
        member=torch.arange(2).repeat_interleave(len(at)),
    )
    return columns, products


def _sphere_m(encoding: Any, lon: Tensor, lat: Tensor) -> Split:
    waves = _waves(encoding, lon, lat)
    at = 5 * waves.own
    columns, products = _mixed(waves, lon, lat, at + 1)
    return Split(waves.sin_lat, at, (columns,), products)


def _sphere_m_plus(encoding: Any, lon: Tensor, lat: Tensor) -> Split:
    waves = _waves(encoding, lon, lat)
    at = 8 * waves.own
    alone = Columns(*_both(waves.sin_lon, waves.cos_lon, at + 2))
    columns, products = _mixed(waves, lon, lat, at + 4)
    return Split(*_both(waves.sin_lat, waves.cos_lat, at), (alone, columns), products)


def _double_fourier(encoding: Any, lon: Tensor, lat: Tensor) -> Split:
    waves = _waves(encoding, lon, lat)
    size = 2 * len(waves.own)
    at = size**2 + 4 * waves.own
    products = Products(
        basis=torch.cat((waves.sin_lon, waves.cos_lon), dim=1),
        factor=torch.cat((waves.sin_lat, waves.cos_lat), dim=1).repeat(1, size),
        index=torch.arange(size**2),
        member=torch.arange(size).repeat_interleave(size),
    )
    alone = Columns(*_both(waves.sin_lon, waves.cos_lon, at + 2))
    return Split(*_both(waves.sin_lat, waves.cos_lat, at), (alone,), products)


# By exact type: a subclass may compute something else.
SPLITS: Mapping[type[nn.Module], Callable[[Any, Tensor, Tensor], Split]] = {
    Direct: _direct,
    Wrap: _wrap,
    WrapRadians: _wrap_radians,
    RandomFourier: _random_fourier,
    Grid: _grid,
    Theory: _theory,
    XYZ: _xyz,
    Harmonics: _harmonics,
    SphereC: _sphere_c,
    SphereCPlus: _sphere_c_plus,
    SphereCSeamless: _sphere_c,
    SphereM: _sphere_m,
    SphereMPlus: _sphere_m_plus,
    DoubleFourier: _double_fourier,
}
