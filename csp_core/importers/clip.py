"""Importers of location encoders learned against images: SatCLIP and GeoCLIP."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from csp_core.errors import CheckpointError
from csp_core.importers.plan import Plan, count_layers, differing, same, shape
from csp_core.importers.reading import Checkpoint
from csp_core.location.geoclip import published_state

# The same network stands in a SatCLIP file under two names, and in those of a hub without "model".
NETWORKS = ("model.location.nnet.", "model.nnet.", "location.nnet.", "nnet.")
IMAGES = (
    "Left out: the image side. The embedding of a place is compared with none here, but a"
    " classifier can be trained on it."
)


def satclip(checkpoint: Checkpoint) -> Plan:
    """Read the location encoder of SatCLIP.

    Args:
        checkpoint: The file, with ``model.location.nnet.*`` or ``model.nnet.*``.

    Returns:
        A location encoder without classes.

    Raises:
        CheckpointError: If its network or its encoding is not among ours.

    Source:
        Klemmer et al. 2025, SatCLIP: spherical harmonics before a network of sines.
    """
    params, file = checkpoint.params, checkpoint.file
    network = _network(checkpoint)
    num_hidden = count_layers(network, r"layers\.(\d+)\.weight", file)
    dim = shape(network, "last_layer.weight", 2, file)[0]
    hidden_dim, inputs = shape(network, "layers.0.weight", 2, file)
    encoding, found = _encoding(inputs, checkpoint)
    doubles = network["last_layer.weight"].dtype == torch.float64
    notes = [
        *differing(params, {**found, "embed_dim": dim, "capacity": hidden_dim}),
        *differing(params, {"num_hidden_layers": num_hidden}),
        IMAGES,
        "The factors inside the sines (30 in the first layer, then 1) are those of the published"
        " code; no file holds them.",
    ]
    if doubles:
        notes.append("The weights are in double precision in the file, here in single precision.")
    return Plan(
        encoding=encoding,
        network={"name": "siren", "hidden_dim": hidden_dim, "num_hidden": num_hidden},
        dim=dim,
        weights={f"network.{key}": value for key, value in network.items()},
        from_shapes={**found, "hidden_dim": hidden_dim, "num_hidden": num_hidden, "dim": dim},
        from_params={k: v for k in ("le_type", "pe_type") if (v := checkpoint.text(k))},
        notes=tuple(notes),
    )


def _network(checkpoint: Checkpoint) -> dict[str, Tensor]:
    copies = [
        {k.removeprefix(prefix): v for k, v in checkpoint.tensors.items() if k.startswith(prefix)}
        for prefix in NETWORKS
    ]
    first, *others = [copy for copy in copies if copy] or [{}]
    if any(
        set(first) != set(other) or not all(same(v, other[k]) for k, v in first.items())
        for other in others
    ):
        raise CheckpointError(
            f"{checkpoint.file} holds its location network twice, but not the same: it is damaged."
        )
    known = [key for key in first if key.startswith(("layers.", "last_layer."))]
    if len(known) != len(first) or not first:
        raise CheckpointError(
            f"{checkpoint.file} has another network than SatCLIP's sines"
            f" (pe_type {checkpoint.text('pe_type')!r}); only 'siren' can be imported."
        )
    return first


def _encoding(inputs: int, checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, Any]]:
    """Find the position encoding: its spec, and what the number of inputs said of it."""
    file, stated = checkpoint.file, checkpoint.text("le_type") or "sphericalharmonics"
    fixed = {"wrap": ("wrap_radians", 4), "cartesian3d": ("xyz", 3)}
    if stated in fixed and inputs == fixed[stated][1]:
        return {"name": fixed[stated][0]}, {}
    degrees = math.isqrt(inputs)
    if stated != "sphericalharmonics" or degrees**2 != inputs:
        raise CheckpointError(
            f"{file} encodes places as {stated!r} with {inputs} features; of SatCLIP only"
            " 'sphericalharmonics' (a square number), 'wrap' (4) and 'cartesian3d' (3) can be"
            " imported."
        )
    calculation = checkpoint.text("harmonics_calculation") or "analytic"
    if calculation != "analytic":
        raise CheckpointError(
            f"{file} was trained on harmonics of the kind {calculation!r}, which have other signs"
            " and sizes; only 'analytic' ones, as in all released models, can be imported."
        )
    spec = {"name": "harmonics", "num_degrees": degrees, "compat": "reference"}
    return spec, {"legendre_polys": degrees}


def geoclip(checkpoint: Checkpoint) -> Plan:
    """Read the location encoder of GeoCLIP.

    Args:
        checkpoint: The content of ``location_encoder_weights.pth``.

    Returns:
        A location encoder without classes.

    Raises:
        CheckpointError: If these are other weights.

    Source:
        Vivanco Cepeda et al. 2023, GeoCLIP.
    """
    tensors, file = checkpoint.tensors, checkpoint.file
    count = count_layers(tensors, r"LocEnc(\d+)\.capsule\.0\.b", file)
    if count != 3:
        raise CheckpointError(f"{file} has {count} scales; the published encoder has 3.")
    frequencies = shape(tensors, "LocEnc0.capsule.0.b", 2, file)[0]
    hidden_dim = shape(tensors, "LocEnc0.capsule.1.weight", 2, file)[0]
    dim = shape(tensors, "LocEnc0.head.0.weight", 2, file)[0]
    try:
        weights = published_state(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{file}: its scales have waves of different shapes.") from error
    found = {"num_frequencies": frequencies, "hidden_dim": hidden_dim, "dim": dim}
    return Plan(
        encoding={"name": "geoclip", "num_frequencies": frequencies},
        network={"name": "capsules", "num_capsules": count, "hidden_dim": hidden_dim},
        dim=dim,
        weights=weights,
        from_shapes={"scales": count, **found},
        notes=(IMAGES,),
    )
