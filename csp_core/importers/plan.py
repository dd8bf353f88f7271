"""What an importer finds out about a file, and the model that is built from it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from csp_core.data.records import ClassTable
from csp_core.errors import CheckpointError, CspError
from csp_core.image import make_image_encoder
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder, Heads


@dataclass(frozen=True)
class Head:
    """The projection head that joins images and places.

    Args:
        side: Which side's embedding it maps.
        weight: ``(out, in)``.
        bias: ``(out,)``.
    """

    side: Literal["image", "location"]
    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Plan:
    """A model in our terms, with the weights that belong into it.

    Args:
        encoding: ``name`` and options of the position encoding.
        network: ``name`` and options of the network.
        dim: Size of the embedding.
        weights: State of the location encoder, by our names.
        classifier: ``(K, dim)``, or None for a location encoder without classes.
        bias: ``(K,)`` of the classifier, or None.
        names: Names of the classes; empty where the file has none.
        common: Their common names, in the same order; empty where there are none.
        time: Options of the features of time, or None.
        head: The projection head, or None.
        from_shapes: What the shapes of the tensors said.
        from_params: What only the stored settings say.
        notes: What was left out, contradicts itself or is otherwise than published.
    """

    encoding: Mapping[str, Any]
    network: Mapping[str, Any]
    dim: int
    weights: Mapping[str, Tensor]
    classifier: Tensor | None = None
    bias: Tensor | None = None
    names: Sequence[str] = ()
    common: Sequence[str] = ()
    time: Mapping[str, Any] | None = None
    head: Head | None = None
    from_shapes: Mapping[str, Any] = field(default_factory=dict)
    from_params: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def build(plan: Plan, file: str, name: str) -> DualEncoder:
    """Build the model of a plan.

    Args:
        plan: What to build.
        file: Name of the file, for the error message.
        name: What to call the model.

    Returns:
        The model, in evaluation mode and single precision.

    Raises:
        CheckpointError: If the parts do not fit together.
    """
    state = {f"location.{key}": value for key, value in plan.weights.items()}
    if plan.classifier is not None:
        state["classifier.weight"] = plan.classifier
    if plan.bias is not None:
        state["classifier.bias"] = plan.bias
    if plan.head is not None:
        state[f"{plan.head.side}_head.weight"] = plan.head.weight
        state[f"{plan.head.side}_head.bias"] = plan.head.bias
    for key, value in state.items():
        if not value.is_floating_point() or not value.isfinite().all():
            raise CheckpointError(f"{file} holds values for {key} that are no finite numbers.")
    try:
        model = _empty(plan, name)
        model.load_state_dict(state)
    except (CspError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"{file} does not fit together: {_short(error)}") from error
    return model.eval()


def _empty(plan: Plan, name: str) -> DualEncoder:
    location = make_location_encoder(
        dim=plan.dim, network=plan.network, time=plan.time, **plan.encoding
    )
    image = None
    if plan.head is not None:
        rows, columns = plan.head.weight.shape
        image = make_image_encoder("features", columns if plan.head.side == "image" else rows)
    classes = None
    if plan.classifier is not None:
        names = tuple(plan.names) or default_names(len(plan.classifier))
        classes = ClassTable(names, tuple(plan.common))
    on_places = plan.head is not None and plan.head.side == "location"
    return DualEncoder(
        image,
        location,
        dim=plan.dim,
        classes=classes,
        bias=plan.bias is not None,
        prior_kind="relative",
        name=name,
        heads=Heads(image=None, location="linear") if on_places else None,
    )


def default_names(count: int) -> tuple[str, ...]:
    """Name classes by their labels.

    Args:
        count: Number of classes.

    Returns:
        One name a class.

    Example:
        >>> default_names(2)
        ('class 0', 'class 1')
    """
    return tuple(f"class {label}" for label in range(count))


def _short(error: Exception) -> str:
    """Take the first thing that torch names when weights do not fit, or the whole sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[1] if len(lines) > 1 and lines[0].startswith("Error(s) in") else lines[0]


def differing(params: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[str, ...]:
    """Say where stored settings contradict the tensors.

    Args:
        params: The stored settings.
        found: The same settings as the shapes of the tensors say them.

    Returns:
        One sentence for each contradiction.

    Example:
        >>> differing({"hidden_dim": 256}, {"hidden_dim": 512, "num_filts": 256})
        ('The settings say hidden_dim 256, the tensors 512; the tensors count.',)
    """
    return tuple(
        f"The settings say {key} {params[key]}, the tensors {value}; the tensors count."
        for key, value in found.items()
        if isinstance(params.get(key), (int, float, str)) and params[key] != value
    )


def shape(tensors: Mapping[str, Tensor], key: str, axes: int, file: str) -> tuple[int, ...]:
    """Look a tensor's shape up.

    Args:
        tensors: Name to tensor.
        key: The name.
        axes: How many axes it must have.
        file: Name of the file, for the error message.

    Returns:
        Its shape.

    Raises:
        CheckpointError: If it is missing, empty, of another kind of number or number of axes.
    """
    if key not in tensors:
        raise CheckpointError(f"{file} has no tensor {key!r}, which its source always has.")
    size = tuple(tensors[key].shape)
    if len(size) != axes or not all(size) or not tensors[key].is_floating_point():
        raise CheckpointError(
            f"{file}: {key!r} has the shape {size} and the type {tensors[key].dtype}; {axes} axes"
            " of floating-point numbers are needed."
        )
    return size


def same(first: Tensor, second: Tensor) -> bool:
    """Compare two tensors exactly.

    Args:
        first: One of them.
        second: The other.

    Returns:
        Whether type, shape and all values are the same.
    """
    return first.dtype == second.dtype and first.equal(second)


def count_layers(tensors: Mapping[str, Tensor], pattern: str, file: str, first: int = 0) -> int:
    """Count layers by the numbers in their names.

    Args:
        tensors: Name to tensor.
        pattern: Regular expression of a name, with one group for the number.
        file: Name of the file, for the error message.
        first: Number of the first layer.

    Returns:
        How many there are.

    Raises:
        CheckpointError: If one is missing in between.
    """
    numbers = sorted(int(m[1]) for key in tensors if (m := re.fullmatch(pattern, key)))
    if numbers != list(range(first, first + len(numbers))):
        raise CheckpointError(f"{file} has the layers {numbers} only; some are missing.")
    return len(numbers)
