"""Importers of CSP and TorchSpatial, which share network and names."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

from torch import Tensor

from csp_core.errors import CheckpointError
from csp_core.importers.encodings import Encoding, find_encoding
from csp_core.importers.fcnet import PHOTOGRAPHERS, dropout, geo_prior
from csp_core.importers.plan import Head, Plan, count_layers, differing, same, shape
from csp_core.importers.reading import Checkpoint

ACTIVATIONS = {
    "relu": "relu",
    "leakyrelu": "leaky_relu",
    "gelu": "gelu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
}
# Published names of the network's parts, and ours.
PARTS = {
    r"ffn\.layers\.(\d+)\.linear\.(weight|bias)": "hidden",
    r"ffn\.layers\.(\d+)\.layernorm\.(weight|bias)": "norms",
}
HEADS: dict[str, Literal["image", "location"]] = {"img_dec": "image", "loc_dec": "location"}


def torchspatial(checkpoint: Checkpoint) -> Plan:
    """Read a model of TorchSpatial.

    Args:
        checkpoint: The file; ``spa_enc.*``, or ``feats.*`` for "wrap", and ``class_emb.weight``.

    Returns:
        The model.

    Raises:
        CheckpointError: If its encoding or network is not among ours.

    Source:
        Wu et al. 2024, TorchSpatial.
    """
    return _import(checkpoint, torchspatial=True)


def csp(checkpoint: Checkpoint) -> Plan:
    """Read a model of CSP, pre-trained with images or not.

    Args:
        checkpoint: The file; as for TorchSpatial, or all of it twice below ``loc_enc.`` too, with
            a projection head ``img_dec`` or ``loc_dec``.

    Returns:
        The model. One that was pre-trained alone has no classes: theirs were never trained.

    Raises:
        CheckpointError: If its encoding or network is not among ours.

    Source:
        Mai et al. 2023, CSP.
    """
    return _import(checkpoint, torchspatial=False)


def _import(checkpoint: Checkpoint, *, torchspatial: bool) -> Plan:
    tensors = _without_copies(checkpoint)
    head, tensors = _take_head(tensors, checkpoint.file)
    single = replace(checkpoint, tensors=tensors)
    if "feats.0.weight" in tensors:
        plan = geo_prior(single)
    else:
        plan = _plan(single, torchspatial)
    if head is None:
        return plan
    notes = (*plan.notes, f"The projection head stands on the {head.side} side.")
    plan = replace(plan, head=head, notes=notes)
    return _without_untrained_classes(plan)


def _without_copies(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Keep one of the copies that a file with an image side holds, after comparing them."""
    kept = dict(checkpoint.tensors)
    # The network of geo_prior has no encoder of its own, so it stands there as a whole.
    prefixes = ("", "spa_enc.") if "loc_enc.feats.0.weight" in kept else ("",)
    for key in [key for key in kept if key.startswith("loc_enc.")]:
        value, name = kept.pop(key), key.removeprefix("loc_enc.")
        for copy in (f"{prefix}{name}" for prefix in prefixes):
            if copy in kept and not same(kept.pop(copy), value):
                raise CheckpointError(
                    f"{checkpoint.file} holds {name!r} twice, and the two differ: it is damaged."
                )
        kept[name] = value
    return kept


def _take_head(tensors: Mapping[str, Tensor], file: str) -> tuple[Head | None, dict[str, Tensor]]:
    rest = dict(tensors)
    for name, side in HEADS.items():
        if f"{name}.weight" in rest:
            shape(rest, f"{name}.weight", 2, file)
            shape(rest, f"{name}.bias", 1, file)
            weight, bias = rest.pop(f"{name}.weight"), rest.pop(f"{name}.bias")
            return Head(side, weight, bias), rest
    return None, rest


def _plan(checkpoint: Checkpoint, torchspatial: bool) -> Plan:
    params, file = checkpoint.params, checkpoint.file
    inside = {
        key.removeprefix("spa_enc."): value
        for key, value in checkpoint.tensors.items()
        if key.startswith("spa_enc.")
    }
    layers = count_layers(inside, r"ffn\.layers\.(\d+)\.linear\.weight", file)
    if not layers:
        raise CheckpointError(f"{file} has no network (spa_enc.ffn) that could be imported.")
    sizes = [shape(inside, f"ffn.layers.{i}.linear.weight", 2, file) for i in range(layers)]
    inputs, dim, widths = sizes[0][1], sizes[-1][0], [rows for rows, _ in sizes[:-1]]
    encoding = find_encoding(inside, inputs, checkpoint, torchspatial=torchspatial)
    network = _network(checkpoint, inside, [inputs, *widths])
    weights, used = _weights(inside, layers, encoding)
    classes = shape(checkpoint.tensors, "class_emb.weight", 2, file)[0]
    known = {f"spa_enc.{key}" for key in used} | {"class_emb.weight", "user_emb.weight"}
    if unknown := sorted(set(checkpoint.tensors) - known):
        raise CheckpointError(f"{file} has tensors that its source has not: {unknown[:3]}.")
    found = {
        **encoding.from_shapes,
        "num_hidden_layer": layers - 1,
        **({"hidden_dim": widths[0]} if widths else {}),
        "num_filts": dim,
        "num_classes": classes,
    }
    photographers = (PHOTOGRAPHERS,) if "user_emb.weight" in checkpoint.tensors else ()
    return Plan(
        encoding=encoding.spec,
        network=network,
        dim=dim,
        weights=weights,
        classifier=checkpoint.tensors["class_emb.weight"],
        from_shapes={"encoding": encoding.spec["name"], **found},
        from_params={**encoding.from_params, "spa_f_act": network["activation"]},
        notes=(*differing(params, found), *encoding.notes, *photographers),
    )


def _network(
    checkpoint: Checkpoint, inside: Mapping[str, Tensor], widths: list[int]
) -> dict[str, Any]:
    file, params, stated = checkpoint.file, checkpoint.params, checkpoint.text("spa_f_act")
    if stated not in ACTIVATIONS:
        raise CheckpointError(
            f"{file} needs its activation (spa_f_act) in its settings, one of"
            f" {', '.join(ACTIVATIONS)}; there is {stated!r}."
        )
    hidden = len(widths) - 1
    if any(f"ffn.layers.{i}.layernorm.weight" not in inside for i in range(hidden)):
        raise CheckpointError(f"{file} has a network without layer norm, which is not among ours.")
    if len(set(widths[1:])) > 1:
        raise CheckpointError(f"{file} has hidden layers of different widths: {widths[1:]}.")
    # Two equal widths in a row are where a skip connection stands.
    skips = any(a == b for a, b in pairwise(widths))
    if skips and params.get("skip_connection") in (False, "F"):
        raise CheckpointError(f"{file} has a network without skips, which is not among ours.")
    activation = ACTIVATIONS[stated]
    return {
        "name": "residual_mlp",
        "hidden_dim": widths[1] if hidden else 1,
        "num_hidden": hidden,
        "activation": activation,
        # The published networks put activation and dropout on the output, too.
        "final_activation": activation,
        "dropout": dropout(params),
    }


def _weights(
    inside: Mapping[str, Tensor], layers: int, encoding: Encoding
) -> tuple[dict[str, Tensor], set[str]]:
    """Rename the tensors; say which of the file's were used."""
    weights = {f"encoding.{key}": value for key, value in encoding.buffers.items()}
    used = set(encoding.used)
    for key, value in inside.items():
        for pattern, ours in PARTS.items():
            if found := re.fullmatch(pattern, key):
                last = ours == "hidden" and int(found[1]) == layers - 1
                part = "output" if last else f"{ours}.{found[1]}"
                weights[f"network.{part}.{found[2]}"] = value
                used.add(key)
    return weights, used


def _without_untrained_classes(plan: Plan) -> Plan:
    """Drop classes whose weights are still those drawn at the start, as pre-training leaves them.

    They are drawn evenly from ±1/√dim, and hardly any training of thousands stays within.
    """
    weight = plan.classifier
    if weight is None or weight.abs().max() > 1 / math.sqrt(plan.dim):
        return plan
    note = (
        "The classes are left out: their weights are still those drawn at the start, as in files of"
        " pre-training alone."
    )
    return replace(plan, classifier=None, names=(), notes=(*plan.notes, note))
