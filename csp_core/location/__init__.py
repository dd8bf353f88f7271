"""Location encoders: one table of position encodings, one function that composes an encoder.

Example:
    >>> import torch
    >>> encoder = make_location_encoder("sphere_c", dim=8, num_scales=4)
    >>> encoder(torch.tensor([[36.8, -1.3]])).shape
    torch.Size([1, 8])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from csp_core.errors import ConfigError
from csp_core.location.multiscale import Grid, Theory
from csp_core.location.network import ACTIVATIONS, NETWORKS, LocationEncoder
from csp_core.location.planar import Direct, RandomFourier, Wrap
from csp_core.location.spherical import XYZ, RandomFourierSphere, SphereC, SphereCPlus, SphereM
from csp_core.tables import construct, option_names

__all__ = ["ACTIVATIONS", "ENCODINGS", "NETWORKS", "LocationEncoder", "make_location_encoder"]

ENCODINGS: dict[str, Callable[..., nn.Module]] = {
    "direct": Direct,
    "wrap": Wrap,
    "rff": RandomFourier,
    "grid": Grid,
    "theory": Theory,
    "xyz": XYZ,
    "rff_sphere": RandomFourierSphere,
    "sphere_c": SphereC,
    "sphere_c_plus": SphereCPlus,
    "sphere_m": SphereM,
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
            ``residual_mlp``.
        **options: Options of the encoding.

    Returns:
        The encoder: ``(N, 2)`` degrees → ``(N, dim)``.

    Raises:
        UnknownNameError: If the encoding, network or activation is unknown.
        ConfigError: If an option is unknown or out of range.
    """
    if dim < 1:
        raise ConfigError(f"dim is {dim}; an embedding needs at least 1 dimension.")
    if isinstance(name, nn.Module):
        encoding = name
        if not isinstance(getattr(encoding, "out_dim", None), int):
            raise ConfigError("A position encoding of your own needs an integer attribute out_dim.")
    else:
        encoding = construct("location encoder", ENCODINGS, name, **options)
    if isinstance(network, nn.Module):
        return LocationEncoder(encoding, network, dim)
    choice = {"name": network or "residual_mlp"} if not isinstance(network, Mapping) else network
    network_options = {key: value for key, value in choice.items() if key != "name"}
    network_name = str(choice.get("name", "residual_mlp"))
    in_dim: int = encoding.out_dim  # type: ignore[assignment]
    body = construct("network", NETWORKS, network_name, in_dim, dim, **network_options)
    if isinstance(name, nn.Module):
        return LocationEncoder(encoding, body, dim)
    # Defaults are written out, so that a saved model keeps its shape when a default changes.
    full = option_names(ENCODINGS[name]) | options
    full_network = option_names(NETWORKS[network_name], given=2) | network_options
    spec = {"name": name, **full, "network": {"name": network_name, **full_network}}
    return LocationEncoder(encoding, body, dim, spec)
