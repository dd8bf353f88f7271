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
from csp_core.location.birdnet import BirdNET
from csp_core.location.covariates import Covariates
from csp_core.location.encoder import LocationEncoder
from csp_core.location.geoclip import EqualEarth, GeoCLIP
from csp_core.location.harmonics import Harmonics
from csp_core.location.multiscale import Grid, Theory
from csp_core.location.nearness import Nearness
from csp_core.location.network import ACTIVATIONS, NETWORKS
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
from csp_core.location.time import TimeFeatures
from csp_core.location.tokens import MultiScaleTokens, TokenLayout, scale_columns
from csp_core.tables import construct, option_names

__all__ = [
    "ACTIVATIONS",
    "ENCODINGS",
    "INPUTS",
    "NETWORKS",
    "Covariates",
    "LocationEncoder",
    "MultiScaleTokens",
    "Nearness",
    "PositionEncoding",
    "TimeFeatures",
    "TokenLayout",
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
    "birdnet": BirdNET,
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


# What may stand beside the position, by the option that asks for it.
INPUTS: dict[str, type[nn.Module]] = {"time": TimeFeatures, "covariates": Covariates}


def make_location_encoder(
    name: str | nn.Module,
    dim: int = 256,
    *,
    network: str | Mapping[str, Any] | nn.Module | None = None,
    time: bool | Mapping[str, Any] | None = None,
    covariates: Mapping[str, Any] | None = None,
    nearness: Mapping[str, Any] | None = None,
    **options: Any,
) -> LocationEncoder:
    """Compose a location encoder from a position encoding, a network and further inputs.

    Args:
        name: A name in ``ENCODINGS``, or a module with ``out_dim`` that takes ``(N, 2)`` degrees.
        dim: Size of the embedding.
        network: A name in ``NETWORKS``, ``{"name": …, option: value}``, or a module; None means
            the encoding's own, ``capsules`` for ``geoclip`` and ``residual_mlp`` for all others.
        time: Options of ``TimeFeatures``, such as ``{"harmonics": 2}``; True for its defaults,
            None or False for an encoder that knows no time.
        covariates: Options of ``Covariates``, such as ``{"source": "climate.tif"}``, or None.
        nearness: Options of ``Nearness``, such as ``{"places": [(36.8, -1.3)]}``, or None; how near
            the places lie is the last of the ``dim`` numbers, and the network gives the others.
        **options: Options of the encoding.

    Returns:
        The encoder: ``(N, 2)`` degrees → ``(N, dim)``; with time, ``(N,)`` dates and hours too.

    Raises:
        UnknownNameError: If the encoding, network or activation is unknown.
        ConfigError: If an option is unknown or out of range.
        CspError: If covariates cannot be read.

    Example:
        >>> import torch
        >>> encoder = make_location_encoder("xyz", dim=8, time={"harmonics": 2})
        >>> encoder(torch.tensor([[36.8, -1.3]]), torch.tensor([0.25])).shape
        torch.Size([1, 8])
    """
    if nearness is not None:
        near = _make_nearness(nearness, dim)
        parts = {"network": network, "time": time, "covariates": covariates, **options}
        return make_location_encoder(name, dim - near.out_dim, **parts).with_nearness(near)
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
    inputs, inputs_spec = _make_inputs(time, covariates)
    if isinstance(network, nn.Module):
        return LocationEncoder(encoding, network, dim, **inputs)
    choice = dict(network) if isinstance(network, Mapping) else {"name": network}
    usual = getattr(encoding, "default_network", PositionEncoding.default_network)
    network_name = str(choice.pop("name", None) or usual)
    if inputs and network_name == "capsules":
        raise ConfigError(
            "The network capsules has one part for each scale of geoclip and none for time or"
            " covariates; give network: residual_mlp."
        )
    in_dim: int = encoding.out_dim  # type: ignore[assignment]
    in_dim += sum(part.out_dim for part in inputs.values())
    wanted: int | TokenLayout = in_dim
    if getattr(NETWORKS.get(network_name), "takes_layout", False):
        wanted = TokenLayout(scale_columns(encoding), _sizes(inputs))
    body = construct("network", NETWORKS, network_name, wanted, dim, **choice)
    if isinstance(name, nn.Module):
        return LocationEncoder(encoding, body, dim, **inputs)
    # Defaults are written out, so that a saved model keeps its shape when a default changes.
    full = option_names(ENCODINGS[name]) | options
    full_network = option_names(NETWORKS[network_name], given=2) | choice
    spec = {"name": name, **full, "network": {"name": network_name, **full_network}}
    return LocationEncoder(encoding, body, dim, spec | inputs_spec, **inputs)


def _sizes(inputs: Mapping[str, nn.Module]) -> tuple[int, ...]:
    """Count the features of each further token: the year, the day, the covariates."""
    found: list[int] = []
    for part in inputs.values():
        times = part.day_of_year + part.hour if isinstance(part, TimeFeatures) else 1
        found += [int(part.out_dim) // times] * times  # type: ignore[arg-type]
    return tuple(found)


def _make_nearness(options: Mapping[str, Any], dim: int) -> Nearness:
    """Make how near some places lie, to stand beside what a network gives."""
    if not isinstance(options, Mapping):
        raise ConfigError(f"nearness is {options!r}; give its options, such as places and km.")
    if dim <= Nearness.out_dim:
        raise ConfigError(f"dim is {dim}; with nearness an embedding needs at least 2.")
    return construct("nearness", {"nearness": Nearness}, "nearness", **options)


def _make_inputs(
    time: bool | Mapping[str, Any] | None, covariates: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make what stands beside the position, with the options that make it again."""
    made: dict[str, Any] = {}
    spec: dict[str, Any] = {}
    if time is not None and time is not False:
        given = {} if time is True else dict(time)
        made["time"] = construct("input", INPUTS, "time", **given)
        spec["time"] = option_names(TimeFeatures) | given
    if covariates is not None:
        # Not the file but its values are kept, so the specification names no file.
        made["covariates"] = construct("input", INPUTS, "covariates", **covariates)
        spec["covariates"] = made["covariates"].spec
    return made, spec
