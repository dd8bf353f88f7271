"""Importers of the residual network behind "wrap": geo_prior and SINR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from csp_core.errors import CheckpointError
from csp_core.importers.plan import Plan, count_layers, differing, shape
from csp_core.importers.reading import Checkpoint

PHOTOGRAPHERS = "Left out: user_emb, which says who photographs where and is no part of the prior."
ENVIRONMENT = {20: "20 environmental features", 24: "place and 20 environmental features"}


def geo_prior(checkpoint: Checkpoint) -> Plan:
    """Read a model of geo_prior, or one of CSP and TorchSpatial with the same network.

    Args:
        checkpoint: The file; ``feats.*``, ``class_emb.weight`` and ``user_emb.weight``.

    Returns:
        The model.

    Raises:
        CheckpointError: If it needs a date, or its encoding is not among ours.

    Source:
        Mac Aodha et al. 2019, ``FCNet``.
    """
    tensors, params, file = checkpoint.tensors, checkpoint.params, checkpoint.file
    inputs = shape(tensors, "feats.0.weight", 2, file)[1]
    if params.get("use_date_feats") is True or inputs > 4:
        raise CheckpointError(
            f"{file} takes a date beside the place ({inputs} features), and models here take places"
            " alone; give one trained without dates, such as geo_prior's '…_no_date_final'."
        )
    encodings = {4: ("wrap", "encode_cos_sin"), 2: ("direct", "encode_none")}
    name, published = encodings.get(inputs, ("", ""))
    stated = checkpoint.text("loc_encode")
    if stated not in (None, published) or not name:
        raise CheckpointError(
            f"{file} encodes places as {stated!r} with {inputs} features; only"
            " 'encode_cos_sin' with 4 and 'encode_none' with 2 can be imported."
        )
    return _plan(checkpoint, name, left={"user_emb.weight"})


def sinr(checkpoint: Checkpoint) -> Plan:
    """Read a model of SINR.

    Args:
        checkpoint: The file; ``feats.*`` and ``class_emb.weight``, and the taxa in its settings.

    Returns:
        The model, its classes named by their iNaturalist taxon ids.

    Raises:
        CheckpointError: If it needs environmental features, or has no network.

    Source:
        Cole et al. 2023, SINR, ``ResidualFCNet``.
    """
    tensors, file = checkpoint.tensors, checkpoint.file
    if "feats.0.weight" not in tensors:
        raise CheckpointError(
            f"{file} is SINR's linear model (LinNet), which embeds nothing; give a ResidualFCNet."
        )
    inputs = shape(tensors, "feats.0.weight", 2, file)[1]
    if inputs != 4:
        what = ENVIRONMENT.get(inputs, f"{inputs} features")
        raise CheckpointError(
            f"{file} takes {what}; only SINR models of the place alone (input_enc 'sin_cos', 4"
            " features) can be imported, since no environmental maps are here."
        )
    return _plan(checkpoint, "wrap", left=set())


def _plan(checkpoint: Checkpoint, encoding: str, left: set[str]) -> Plan:
    tensors, params, file = checkpoint.tensors, checkpoint.params, checkpoint.file
    dim = shape(tensors, "feats.0.weight", 2, file)[0]
    classes = shape(tensors, "class_emb.weight", 2, file)[0]
    blocks = count_layers(tensors, r"feats\.(\d+)\.w1\.weight", file, first=2)
    used = {key for key in tensors if key.startswith("feats.")} | {"class_emb.weight"}
    if unknown := sorted(set(tensors) - used - left):
        raise CheckpointError(f"{file} has tensors that its source has not: {unknown[:3]}.")
    rate = dropout(params)
    names, notes = _taxa(params, classes)
    found = {"num_filts": dim, "num_classes": classes, "depth": blocks}
    return Plan(
        encoding={"name": encoding},
        network={"name": "fcnet", "num_blocks": blocks, "dropout": rate},
        dim=dim,
        weights={f"network.{key}": v for key, v in tensors.items() if key.startswith("feats.")},
        classifier=tensors["class_emb.weight"],
        names=names,
        from_shapes={"encoding": encoding, **found},
        from_params={"class_to_taxa": f"{len(names)} taxon ids"} if names else {},
        notes=(
            *differing(params, found),
            *notes,
            *((PHOTOGRAPHERS,) if left & set(tensors) else ()),
        ),
    )


def dropout(params: Mapping[str, Any]) -> float:
    """Look the dropout rate up; it changes no score, only further training.

    Args:
        params: The stored settings.

    Returns:
        The rate; 0.5, which all sources have, where none is stored.
    """
    rate = params.get("dropout", 0.5)
    return float(rate) if isinstance(rate, (int, float)) else 0.5


def _taxa(params: Mapping[str, Any], count: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read the taxon ids of the classes, and say what is wrong with them."""
    stored = params.get("class_to_taxa")
    if stored is None:
        return (), ()
    values = stored.tolist() if isinstance(stored, Tensor) else stored
    names = tuple(str(value) for value in values) if isinstance(values, (list, tuple)) else ()
    if len(names) != count or len(set(names)) != count:
        return (), ("The settings do not name each class once in class_to_taxa: no names.",)
    return names, ("Classes are named by their iNaturalist taxon ids.",)
