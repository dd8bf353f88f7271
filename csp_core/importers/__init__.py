"""Published checkpoints as our models: one importer for each source, nothing executed.

Shapes of tensors are believed before stored settings, which later evaluations have overwritten.

Example:
    >>> sorted(IMPORTERS)
    ['birdnet', 'csp', 'geo_prior', 'geoclip', 'geomodel', 'satclip', 'sinr', 'torchspatial']
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from csp_core.errors import CheckpointError
from csp_core.importers.birdnet import birdnet
from csp_core.importers.clip import NETWORKS as SINES
from csp_core.importers.clip import geoclip, satclip
from csp_core.importers.fcnet import geo_prior, sinr
from csp_core.importers.geomodel import geomodel
from csp_core.importers.names import inner_model
from csp_core.importers.packages import PACKAGES, find_published
from csp_core.importers.plan import Plan, build
from csp_core.importers.reading import Checkpoint, read_file
from csp_core.importers.sources import SOURCES, write_import_card
from csp_core.importers.spatial import csp, torchspatial
from csp_core.model import DualEncoder
from csp_core.tables import lookup

__all__ = [
    "IMPORTERS",
    "PACKAGES",
    "Imported",
    "import_checkpoint",
    "read_checkpoint",
    "write_import_card",
]

IMPORTERS: dict[str, Callable[[Checkpoint], Plan]] = {
    "torchspatial": torchspatial,
    "csp": csp,
    "geo_prior": geo_prior,
    "sinr": sinr,
    "satclip": satclip,
    "geoclip": geoclip,
    "birdnet": birdnet,
    "geomodel": geomodel,
}
# Settings that only one of the two sources with the same network writes.
ONLY_CSP = ("gridcell", "geo_net", "theory", "sphere", "dft")
ONLY_TORCHSPATIAL = ("Space2Vec-", "Sphere2Vec-", "NeRF", "wrap", "tile_ffn")
SUFFIXES = (".tar", ".pth", ".pt", ".ckpt", ".bin", ".safetensors",
            ".tflite", ".onnx")  # fmt: skip


@dataclass(frozen=True)
class Imported:
    """A model and what is known of the file it came from.

    Args:
        model: The model, in evaluation mode, on the CPU.
        provenance: ``source``, ``repository``, ``license``, ``file``, ``sha256``, ``from_shapes``,
            ``from_params`` and ``notes``: what was left out or is otherwise than published.
    """

    model: DualEncoder
    provenance: Mapping[str, Any]


def import_checkpoint(path: str | Path, *, source: str | None = None) -> DualEncoder:
    """Make a model of a published checkpoint.

    ``read_checkpoint`` also says where its parts come from. Classes give relative scores; a file
    without classes becomes a location encoder alone.

    Args:
        path: The file as it was published, or a word of ``PACKAGES`` for the one that an installed
            package holds.
        source: A name in ``IMPORTERS``; None recognises the source by the names of the tensors.

    Returns:
        The model, in evaluation mode, single precision, on the CPU.

    Raises:
        UnknownNameError: If there is no such source.
        DataNotFoundError: If there is no such file.
        CheckpointError: If the file is damaged, asks for more than weights, or is of another kind.
    """
    return read_checkpoint(path, source=source).model


def read_checkpoint(path: str | Path, *, source: str | None = None) -> Imported:
    """Make a model of a published checkpoint, and say where its parts come from.

    Args:
        path: The file as it was published, or a word of ``PACKAGES`` for the one that an installed
            package holds.
        source: A name in ``IMPORTERS``; None recognises the source by the names of the tensors.

    Returns:
        The model and its provenance.

    Raises:
        UnknownNameError: If there is no such source.
        DataNotFoundError: If there is no such file.
        CheckpointError: If the file is damaged, asks for more than weights, or is of another kind.
    """
    if source is not None:
        lookup("source", IMPORTERS, source)
    checkpoint = read_file(find_published(path))
    tensors, left = inner_model(
        checkpoint.tensors, lambda inner: bool(_fitting(replace(checkpoint, tensors=inner)))
    )
    checkpoint = replace(checkpoint, tensors=tensors)
    name = _recognise(checkpoint, source)
    plan = IMPORTERS[name](checkpoint)
    # Building draws weights only to overwrite them; the caller's random state stays as it was.
    with torch.random.fork_rng(devices=[]):
        model = build(plan, checkpoint.file, _stem(checkpoint.file))
    provenance = {
        "source": name,
        "repository": SOURCES[name].repository,
        "license": SOURCES[name].license,
        "file": checkpoint.file,
        "sha256": checkpoint.sha256,
        "from_shapes": dict(plan.from_shapes),
        "from_params": dict(plan.from_params),
        "notes": [*checkpoint.notes, *left, *plan.notes, *_precision(plan)],
    }
    return Imported(model, provenance)


def _precision(plan: Plan) -> list[str]:
    """Say where a file holds its numbers with three digits, its frequencies too."""
    kinds = {tensor.dtype for tensor in plan.weights.values()}
    return [
        f"The file holds numbers in {str(kind).removeprefix('torch.')}, so its scores are known to"
        " 2 or 3 digits."
        for kind in (torch.float16, torch.bfloat16)
        if kind in kinds
    ]


def _recognise(checkpoint: Checkpoint, source: str | None) -> str:
    """Name the source, and check the one that was given."""
    fitting = _fitting(checkpoint)
    if source is None and len(fitting) == 1:
        return fitting[0]
    if source is not None and source in fitting:
        return source
    if source is None and fitting:
        raise CheckpointError(
            f"{checkpoint.file} could be of {' or '.join(fitting)}; say which one as source."
        )
    if source is not None:
        seems = f"it seems to be of {' or '.join(fitting)}" if fitting else "nor of any other"
        raise CheckpointError(
            f"{checkpoint.file} is not of {source}, which is known by"
            f" {SOURCES[source].recognised}: {seems}."
        )
    names = ", ".join(list(checkpoint.tensors)[:3])
    raise CheckpointError(
        f"{checkpoint.file} holds {names}, …, which fit none of the sources that can be imported:"
        f" {', '.join(IMPORTERS)}."
    )


def _fitting(checkpoint: Checkpoint) -> tuple[str, ...]:
    """List the sources that a file's names fit; settings tell those apart that share them."""
    keys, params = checkpoint.tensors, checkpoint.params

    def any_begins(*prefixes: str) -> bool:
        return any(key.startswith(prefixes) for key in keys)

    if "graph" in params:
        return ("birdnet",)
    if any_begins("encoder.film_generators.") and any_begins("species_head."):
        return ("geomodel",)
    if any_begins("LocEnc0."):
        return ("geoclip",)
    if any_begins(*SINES):
        return ("satclip",)
    if "class_emb.weight" not in keys and "loc_enc.class_emb.weight" not in keys:
        return ()
    stated = checkpoint.text("spa_enc_type") or ""
    if any_begins("loc_enc.", "spa_enc.") or (stated and "feats.0.weight" in keys):
        if stated.startswith(ONLY_TORCHSPATIAL) or any_begins("spa_enc.position_encoder."):
            return ("torchspatial",)
        if stated.startswith(ONLY_CSP) or "rbf_kernal_size" in params or any_begins("loc_enc."):
            return ("csp",)
        return ("torchspatial",) if "rbf_kernel_size" in params else ("csp", "torchspatial")
    if "input_enc" in params or "user_emb.weight" not in keys:
        return ("sinr",) if "feats.0.weight" in keys or "input_enc" in params else ()
    return ("geo_prior",) if "feats.0.weight" in keys else ()


def _stem(file: str) -> str:
    name = file
    while name.lower().endswith(SUFFIXES):
        name = name.rpartition(".")[0]
    return name or file
