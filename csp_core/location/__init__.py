"""Location encoders: one table of position encodings, one function that composes an encoder.

Example:
    >>> import torch
    >>> encoder = make_location_encoder("sphere_c", dim=8, num_scales=4)
    >>> encoder(torch.tensor([[36.8, -1.3]])).shape
    torch.Size([1, 8])
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from csp_core.errors import ConfigError
from csp_core.location.anchors import RadialBasis
from csp_core.location.base import PositionEncoding
from csp_core.location.geoclip import EqualEarth, GeoCLIP
from csp_core.location.harmonics import Harmonics
from csp_core.location.multiscale import Grid, Theory
from csp_core.location.network import ACTIVATIONS, NETWORKS, LocationEncoder
from csp_core.location.planar import Direct, RandomFourier, Tile, Wrap, WrapRadians
from csp_core.location.sphere2vec import (
    DoubleFourier,
    SphereC,
    SphereCPlus,
    SphereCSeamless,
    SphereM,
    SphereMPlus,
)
from csp_core.location.spherical import XYZ, NeRF, RandomFourierSphere
from csp_core.tables import construct, option_names

__all__ = [
    "ACTIVATIONS",
    "ENCODINGS",
    "NETWORKS",
    "LocationEncoder",
    "PositionEncoding",
    "make_location_encoder",
]

ENCODINGS: dict[str, type[PositionEncoding]] = {
    "direct": Direct,
    "equal_earth": EqualEarth,
    "tile": Tile,
    "wrap": Wrap,
    "wrap_radians": WrapRadians,
    "rbf": RadialBasis,
    "rff": RandomFourier,
    "geoclip": GeoCLIP,
    "grid": Grid,
    "theory": Theory,
    "xyz": XYZ,
    "nerf": NeRF,
    "rff_sphere": RandomFourierSphere,
    "harmonics": Harmonics,
    "sphere_c": SphereC,
    "sphere_c_plus": SphereCPlus,
    "sphere_c_seamless": SphereCSeamless,
    "sphere_m": SphereM,
    "sphere_m_plus": SphereMPlus,
    "dfs": DoubleFourier,
}


def make_location_encoder(
    name: str | nn.Module,
    dim: int = 256,
    *,
    network: str | Mapping[str, Any] | nn.Module | None = None,
    **options: Any,
) -> LocationEncoder:
    """Compose a location encoder from a position encoding and a network.

    Args:
        name: A name in ``ENCODINGS``, or a module with ``out_dim`` that takes ``(N, 2)`` degrees.
        dim: Size of the embedding.
        network: A name in ``NETWORKS``, ``{"name": …, option: value}``, or a module; None means
            the encoding's own, ``capsules`` for ``geoclip`` and ``residual_mlp`` for all others.
        **options: Options of the encoding.

    Returns:
        The encoder: ``(N, 2)`` degrees → ``(N, dim)``.

    Raises:
        UnknownNameError: If the encoding, network or activation is unknown.
        ConfigError: If an option is unknown or out of range.
    """
    if dim < 1:
        raise ConfigError(f"dim is {dim}; an embedding needs at least 1 dimension.")
    # A specification is written as JSON.
    options = {k: v.tolist() if hasattr(v, "tolist") else v for k, v in options.items()}
    if isinstance(name, nn.Module):
        encoding = name
        if not isinstance(getattr(encoding, "out_dim", None), int):
            raise ConfigError("A position encoding of your own needs an integer attribute out_dim.")
    else:
        encoding = construct("location encoder", ENCODINGS, name, **options)
    if isinstance(network, nn.Module):
        return LocationEncoder(encoding, network, dim)
    choice = dict(network) if isinstance(network, Mapping) else {"name": network}
    usual = getattr(encoding, "default_network", PositionEncoding.default_network)
    network_name = str(choice.pop("name", None) or usual)
    in_dim: int = encoding.out_dim  # type: ignore[assignment]
    body = construct("network", NETWORKS, network_name, in_dim, dim, **choice)
    if isinstance(name, nn.Module):
        return LocationEncoder(encoding, body, dim)
    # Defaults are written out, so that a saved model keeps its shape when a default changes.
    full = option_names(ENCODINGS[name]) | options
    full_network = option_names(NETWORKS[network_name], given=2) | choice
    spec = {"name": name, **full, "network": {"name": network_name, **full_network}}
    return LocationEncoder(encoding, body, dim, spec)
