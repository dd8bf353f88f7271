"""Names of tensors as programs that train write them, brought to those of the published models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from torch import Tensor

from csp_core.errors import CheckpointError

# What PyTorch puts around a part of a model: several GPUs, compiled, averaged.
WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module",
            "_forward_module")  # fmt: skip
# Attributes that programs keep the model in, asked before any other; Lightning has no name for it.
HOLDERS = ("model", "net", "network", "state_dict", "encoder", "location_encoder", "loc_encoder",
           "location", "location_model", "location_net", "backbone", "student", "ema_model", "ema",
           "teacher")  # fmt: skip
# What is named as the weights are and is none: steps, differences and what an optimiser keeps.
NO_WEIGHTS = ("delta", "deltas", "diff", "grad", "grads", "gradients", "exp_avg", "exp_avg_sq",
              "momentum", "momentum_buffer", "fisher")  # fmt: skip
# What holds the weights in some files and something else named like them in others: asked last.
DOUBTFUL = ("state", "mask", "masks")
# Parts of what is written beside weights, which are none.
BESIDE = ("n_averaged", "_extra_state")
DEEPEST = 4
Tensors = Mapping[str, Tensor]


def plain_names(tensors: Tensors, file: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Leave out of names what wrappers have put into them.

    Args:
        tensors: Name to tensor.
        file: Name of the file, for the error message.

    Returns:
        The same tensors, and a sentence where names have changed.

    Raises:
        CheckpointError: If two tensors would have one name and differ.

    Example:
        >>> list(plain_names({"module.a._orig_mod.b": Tensor()}, "x.pt")[0])
        ['a.b']
    """
    found: dict[str, Tensor] = {}
    seen = set()
    for name, tensor in tensors.items():
        parts = name.split(".")
        if parts[-1] in BESIDE:
            continue
        seen |= set(WRAPPERS).intersection(parts[:-1])
        plain = ".".join([*(p for p in parts[:-1] if p not in WRAPPERS), parts[-1]])
        if plain in found and not found[plain].equal(tensor):
            raise CheckpointError(
                f"{file} holds {plain!r} twice, as {name!r} too, and the two differ: give a file of"
                " one model."
            )
        found[plain] = tensor
    told = ", ".join(f"{part}." for part in sorted(seen))
    note = f"Names of the tensors hold {told} of training on several GPUs or of a compiled model"
    return found, (f"{note}; it was left off.",) if seen else ()


def inner_model(
    tensors: Tensors, fits: Callable[[Tensors], bool]
) -> tuple[Tensors, tuple[str, ...]]:
    """Find the published model in a larger one, such as a Lightning module or all of GeoCLIP.

    Args:
        tensors: Name to tensor.
        fits: Whether names are those of a published model.

    Returns:
        Its tensors by their published names, and what was left off and out; all tensors as they
        are where none fits.
    """
    if fits(tensors):
        return tensors, ()
    below = list(_inside(tensors, "", 0))
    for holder, inside in sorted(below, key=lambda held: _is_doubtful(held[0])):
        if fits(inside):
            rest = sorted(name for name in tensors if not name.startswith(holder))
            notes = [f"Names of the tensors begin with {holder}, which was left off."]
            if rest:
                listed = ", ".join(sorted({name.split(".")[0] for name in rest})[:5])
                notes.append(f"Left out: {len(rest)} tensors of other parts ({listed}).")
            return inside, tuple(notes)
    return tensors, ()


def _is_doubtful(holder: str) -> bool:
    return any(part in DOUBTFUL for part in holder.split("."))


def _inside(tensors: Tensors, before: str, depth: int) -> Iterator[tuple[str, Tensors]]:
    """List what stands below each name, outer ones first, and usual ones before others."""
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        first, dot, rest = name.partition(".")
        if dot:
            groups.setdefault(first, {})[rest] = tensor
    usable = [first for first in groups if first not in NO_WEIGHTS]
    ranked = sorted(usable, key=lambda first: first not in HOLDERS)
    below = [(f"{before}{first}.", groups[first]) for first in ranked]
    yield from below
    if depth + 1 < DEEPEST:
        for holder, inside in below:
            yield from _inside(inside, holder, depth + 1)
