"""Which position encoding stands before the network of a CSP or TorchSpatial file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from csp_core.errors import CheckpointError
from csp_core.geo import WORLD
from csp_core.importers.reading import Checkpoint

# Names in CSP, TorchSpatial and Sphere2Vec, and ours.
NAMES = {
    **dict.fromkeys(("gridcell", "Space2Vec-grid"), "grid"),
    **dict.fromkeys(("theory", "Space2Vec-theory"), "theory"),
    **dict.fromkeys(("sphere", "Sphere2Vec-sphereC"), "sphere_c"),
    **dict.fromkeys(("spheregrid", "Sphere2Vec-sphereC+"), "sphere_c_plus"),
    **dict.fromkeys(("spheremixscale", "Sphere2Vec-sphereM"), "sphere_m"),
    **dict.fromkeys(("spheregridmixscale", "Sphere2Vec-sphereM+"), "sphere_m_plus"),
    **dict.fromkeys(("dft", "Sphere2Vec-dfs"), "dfs"),
    **dict.fromkeys(("geo_net_fft", "wrap_ffn"), "wrap"),
    **{"NeRF": "nerf", "tile_ffn": "tile", "naive": "direct", "rbf": "rbf", "rff": "rff"},
    "xyz": "xyz",
}
FEATURES_PER_SCALE = {
    **{"grid": 4, "theory": 6, "sphere_c": 3, "sphere_c_plus": 6, "sphere_m": 5},
    **{"sphere_m_plus": 8, "nerf": 6},
}
# Encodings of few features, which nothing else has: the radii play no part in them.
SMALL = {2: "direct", 3: "xyz", 4: "wrap"}
# Evaluating a file again wrote this box, of the United States, over the one it was trained with.
STALE_BOX = (-162.0, -59.0, 20.0, 56.0)
REGIONAL_DATA = ("birdsnap", "nabirds", "yfcc")


@dataclass(frozen=True)
class Encoding:
    """A position encoding and where its facts come from.

    Args:
        spec: ``name`` and options.
        buffers: What it holds beside its options, by our names.
        used: The names of those tensors in the file.
        from_shapes: Settings that the shapes said, by their published names.
        from_params: Settings that only the stored ones say.
        notes: What is otherwise than published, or doubtful.
    """

    spec: Mapping[str, Any]
    buffers: Mapping[str, Tensor] = field(default_factory=dict)
    used: frozenset[str] = frozenset()
    from_shapes: Mapping[str, Any] = field(default_factory=dict)
    from_params: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def find_encoding(
    inside: Mapping[str, Tensor], inputs: int, checkpoint: Checkpoint, *, torchspatial: bool
) -> Encoding:
    """Find the position encoding, from tensors where they say it and from settings where not.

    Args:
        inside: The tensors below ``spa_enc.``, without it.
        inputs: Number of features that the network takes.
        checkpoint: The file.
        torchspatial: Whether sphereM+ and dfs have the frequencies of TorchSpatial.

    Returns:
        The encoding.

    Raises:
        CheckpointError: If it cannot be told, or the file does not hold all of it.
    """
    # CSP keeps them beside the network, TorchSpatial one level deeper.
    keys = {key.removeprefix("position_encoder."): key for key in inside}
    stated, file = checkpoint.text("spa_enc_type"), checkpoint.file
    name = _name(keys, stated, inputs, file)
    notes: tuple[str, ...] = ()
    if stated is not None and NAMES.get(stated) != name:
        notes = (f"The settings say {stated}, the tensors {name}; the tensors count.",)
    if name == "rbf":
        raise CheckpointError(
            f"{file} cannot be imported: its {inputs} anchor places are kept as row numbers of"
            " training records that it does not hold."
        )
    if name == "rff":
        return _random_fourier(inside, keys, checkpoint, notes)
    if name == "tile":
        return _tile(inside, keys["embedding.weight"], file, notes)
    if name == "direct":
        box, more = _box(checkpoint)
        spec = {"name": name, "extent": list(box)}
        return Encoding(spec, from_params={"map_range": list(box)}, notes=notes + more)
    if name in SMALL.values():
        return Encoding({"name": name}, notes=notes)
    return _multiscale(name, inputs, checkpoint, torchspatial, notes)


def _name(keys: Mapping[str, str], stated: str | None, inputs: int, file: str) -> str:
    if "dirvec" in keys:
        return "rff"
    if "embedding.weight" in keys:
        return "tile"
    if inputs in SMALL and stated != "rbf":
        return SMALL[inputs]
    if stated is None:
        raise CheckpointError(
            f"{file} has no stored settings (params), and {inputs} features alone do not tell the"
            " position encoding; give the file as it was published."
        )
    if stated not in NAMES:
        raise CheckpointError(
            f"{file} encodes places as {stated!r}, which has no counterpart here; these have:"
            f" {', '.join(NAMES)}."
        )
    name = NAMES[stated]
    if name not in (*FEATURES_PER_SCALE, "dfs", "rbf"):
        raise CheckpointError(f"{file} says {stated!r}, but its tensors are of another encoding.")
    return name


def _multiscale(
    name: str,
    inputs: int,
    checkpoint: Checkpoint,
    torchspatial: bool,
    notes: tuple[str, ...],
) -> Encoding:
    file = checkpoint.file
    per_scale = FEATURES_PER_SCALE.get(name, 1)
    # The features of dfs are 4 S² + 4 S.
    scales = (math.isqrt(inputs + 1) - 1) // 2 if name == "dfs" else inputs // per_scale
    if inputs != (4 * scales * (scales + 1) if name == "dfs" else scales * per_scale):
        raise CheckpointError(
            f"{file} says {checkpoint.text('spa_enc_type')!r}, but {inputs} features are no whole"
            " number of scales of it."
        )
    spec: dict[str, Any] = {"name": name, "num_scales": scales}
    found = {"frequency_num": scales}
    if name == "nerf":
        fixed = "NeRF takes its number of scales from its code, whatever the settings say."
        return Encoding(spec, from_shapes=found, notes=(*notes, fixed))
    if (kind := checkpoint.text("freq_init") or "geometric") != "geometric":
        raise CheckpointError(
            f"{file} has frequencies of the kind {kind!r}, which it does not hold;"
            " only 'geometric' ones can be imported."
        )
    radii = {key: _positive(checkpoint, key) for key in ("min_radius", "max_radius")}
    spec |= radii
    if torchspatial and name in ("sphere_m_plus", "dfs"):
        spec["compat"] = "reference"
        notes += (
            "TorchSpatial forgets min_radius in this encoding: with a max_radius of 1 all scales"
            " are one. It is kept so, since the weights were learned behind it.",
        )
    return Encoding(spec, from_shapes=found, from_params=radii, notes=notes)


def _random_fourier(
    inside: Mapping[str, Tensor],
    keys: Mapping[str, str],
    checkpoint: Checkpoint,
    notes: tuple[str, ...],
) -> Encoding:
    omega, phase = inside[keys["dirvec"]], inside.get(keys.get("shift", ""))
    if phase is None or tuple(omega.shape) != (2, phase.numel()):
        raise CheckpointError(
            f"{checkpoint.file} does not hold all directions and shifts of its rff."
        )
    box, more = _box(checkpoint)
    spec = {"name": "rff", "num_features": phase.numel(), "extent": list(box)}
    return Encoding(
        spec,
        buffers={"omega": omega, "phase": phase.flatten()},
        used=frozenset((keys["dirvec"], keys["shift"])),
        from_shapes={"frequency_num": phase.numel()},
        from_params={"map_range": list(box)},
        notes=notes + more,
    )


def _tile(inside: Mapping[str, Tensor], key: str, file: str, notes: tuple[str, ...]) -> Encoding:
    table = inside[key]
    if table.ndim != 2 or len(table) != 1:
        raise CheckpointError(
            f"{file} has a table of the shape {tuple(table.shape)}; how its cells lie on the map is"
            " not stored, so only tables of one row can be imported."
        )
    return Encoding(
        {"name": "tile", "cell_degrees": 360.0, "num_features": table.shape[1]},
        buffers={"embedding.weight": table},
        used=frozenset((key,)),
        from_shapes={"cells": 1},
        notes=(*notes, "The table has one row: the scores are the same at every place."),
    )


def _box(checkpoint: Checkpoint) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Find the box that coordinates are scaled by: west, south, east, north."""
    stored = checkpoint.params.get("map_range")
    if stored is None:
        return WORLD, ("No map_range is stored; the world is taken.",)
    try:
        west, east, south, north = (float(degrees) for degrees in stored)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{checkpoint.file} has the map_range {stored!r}, which is no box."
        ) from error
    if (west, east, south, north) == STALE_BOX:
        if checkpoint.text("dataset") not in REGIONAL_DATA:
            return WORLD, (
                "The stored map_range is the box of the United States that a later evaluation wrote"
                " there; the world is taken, as the data are global.",
            )
        return (west, south, east, north), (
            "map_range is the default of later evaluations; if the model was trained with another"
            " box, its scores are not the published ones.",
        )
    return (west, south, east, north), ()


def _positive(checkpoint: Checkpoint, key: str) -> float:
    value = checkpoint.params.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise CheckpointError(
            f"{checkpoint.file} needs a {key} above 0 in its settings; there is {value!r}."
        )
    return float(value)
