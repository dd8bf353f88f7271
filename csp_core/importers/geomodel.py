"""Importer of BirdNET's Geomodel of version 3, from its .onnx file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from csp_core.errors import CheckpointError
from csp_core.importers.labels import class_names
from csp_core.importers.plan import Plan, count_layers, shape
from csp_core.importers.reading import Checkpoint

WEEKS = 48
ENCODER, HEAD = "encoder.", "species_head."
KEYS = ("weight", "bias")
# Of a residual block: what stands in its list, by our names.
BLOCK = {"0": "norms.0", "2": "layers.0", "3": "norms.1", "6": "layers.1"}
# Tensors beside these are how the file writes constants of its own.
OWN = (ENCODER, HEAD)
YEAR = (
    "Without a date it gives the highest answer of the 48 weeks, as its authors do for the year; it"
    " takes 48 times as long."
)


def geomodel(checkpoint: Checkpoint) -> Plan:
    """Read the Geomodel of BirdNET 3.

    Places and weeks become waves of several lengths; residual blocks on the place are modulated by
    the week. All sizes are read from the shapes of the tensors.

    Args:
        checkpoint: The file; ``encoder.*`` and ``species_head.*``.

    Returns:
        The model, its classes named by the labels that stand beside the file.

    Raises:
        CheckpointError: If a tensor is missing, or of another shape than the others ask for.

    Source:
        The Geomodel of the BirdNET team, 2026; Perez et al. 2018, FiLM.
    """
    tensors = {k: v.float() for k, v in checkpoint.tensors.items() if k.startswith(OWN)}
    file = checkpoint.file
    hidden, waves = shape(tensors, f"{ENCODER}input_proj.weight", 2, file)
    timed = shape(tensors, f"{ENCODER}film_generators.0.0.weight", 2, file)[1]
    classes, dim = shape(tensors, f"{HEAD}head.3.weight", 2, file)
    blocks = count_layers(tensors, r"encoder\.blocks\.(\d+)\.block\.2\.weight", file)
    plain = count_layers(tensors, r"species_head\.blocks\.(\d+)\.block\.2\.weight", file)
    if waves % 4 or timed % 2 or f"{HEAD}proj.weight" in tensors:
        raise CheckpointError(
            f"{file} is no Geomodel as published: it encodes places by {waves} features and weeks"
            f" by {timed}, or has a layer between its encoder and its head."
        )
    names, notes = class_names(checkpoint.params["labels"], classes)
    return Plan(
        encoding={"name": "birdnet", "harmonics": waves // 4},
        network={
            "name": "modulated",
            "modulating": timed,
            "hidden_dim": hidden,
            "num_blocks": blocks,
            "num_plain": plain,
        },
        dim=dim,
        weights=_weights(tensors, waves // 4, timed // 2, file),
        classifier=tensors[f"{HEAD}head.3.weight"],
        bias=_taken(tensors, f"{HEAD}head.3.bias", file),
        names=[name for name, _ in names],
        common=[common for _, common in names],
        time={
            "harmonics": timed // 2,
            "missing_rate": 0.0,
            "weeks": WEEKS,
            "without_date": "highest_week",
        },
        from_shapes={
            **{"hidden_dim": hidden, "blocks": blocks, "blocks of the head": plain, "dim": dim},
            **{"waves of a coordinate": waves // 4, "waves of the week": timed // 2},
            "num_classes": classes,
        },
        notes=(*notes, YEAR),
    )


def _weights(
    tensors: Mapping[str, Tensor], places: int, weeks: int, file: str
) -> dict[str, Tensor]:
    """Name the weights of the location encoder as ours; the week's waves become a table."""
    angle = 2 * math.pi * torch.arange(WEEKS, dtype=torch.float64) / WEEKS
    waves = angle[:, None] * torch.arange(1, weeks + 1)
    degree = math.pi / 180
    found = {
        "encoding.shift": torch.zeros(2),
        "encoding.per_degree": torch.tensor([degree, degree]),
        "time.table": torch.cat((waves.sin(), waves.cos()), dim=1).float(),
        "time.missing": torch.zeros(1, 2 * weeks),
        "network.place.weight": _by_wave(
            _taken(tensors, f"{ENCODER}input_proj.weight", file), places
        ),
        "network.place.bias": _taken(tensors, f"{ENCODER}input_proj.bias", file),
    }
    parts = {
        "encoder.norm": "norm",
        "species_head.head.0": "last_norm",
        "species_head.head.1": "output",
    }
    for name, tensor in tensors.items():
        stem, _, key = name.rpartition(".")
        if key in KEYS and (own := parts.get(stem) or _of_block(stem)):
            found[f"network.{own}.{key}"] = tensor
    return found


def _of_block(stem: str) -> str | None:
    """Give our name of a part of a block or modulation; None of what is neither."""
    if part := re.fullmatch(r"(encoder|species_head)\.blocks\.(\d+)\.block\.([0236])", stem):
        where = "blocks" if part[1] == "encoder" else "plain"
        return f"{where}.{part[2]}.{BLOCK[part[3]]}"
    if part := re.fullmatch(r"encoder\.film_generators\.(\d+)\.([02])", stem):
        return f"modulations.{part[1]}.{part[2]}"
    return None


def _by_wave(weight: Tensor, count: int) -> Tensor:
    """Order columns as our encoding does: published are sines, then cosines, of the latitude first.

    Ours are the sines of longitude and latitude at each length, then their cosines.
    """
    north_sin, north_cos, east_sin, east_cos = torch.split(weight, count, dim=1)
    sines = torch.stack((east_sin, north_sin), dim=2).flatten(1)
    return torch.cat((sines, torch.stack((east_cos, north_cos), dim=2).flatten(1)), dim=1)


def _taken(tensors: Mapping[str, Tensor], name: str, file: str) -> Tensor:
    if name not in tensors:
        raise CheckpointError(f"{file} has no tensor {name!r}, which its source always has.")
    return tensors[name]
