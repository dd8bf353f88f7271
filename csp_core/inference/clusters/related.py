"""Classes that a model places like a given one."""

from __future__ import annotations

from typing import Any

from csp_core.errors import ConfigError
from csp_core.inference.clusters.vectors import class_vectors

LISTED = 10


def similar_classes(model: Any, label: int, *, count: int = LISTED) -> list[tuple[int, float]]:
    """List the classes whose vectors are nearest to that of one.

    Args:
        model: A model with a location classifier.
        label: The class, 0 to K - 1.
        count: How many to list at most.

    Returns:
        Labels with the cosine of their vectors, in [-1, 1], the highest first; the class itself is
        left out.

    Raises:
        ConfigError: If the label is none, the model has no location classifier, or fewer than two
            classes.
        BadRecordError: If a vector is no number or has no direction.

    Example:
        >>> from csp_core import load_model
        >>> near = similar_classes(load_model("demo"), 0, count=3)
        >>> len(near), near[0][1] >= near[1][1]
        (3, True)
    """
    vectors = class_vectors(model)
    if not 0 <= label < len(vectors):
        raise ConfigError(f"There is no class {label}; give 0 to {len(vectors) - 1}.")
    cosine = (vectors @ vectors[label]).clamp(-1, 1)
    cosine[label] = -2
    value, index = cosine.topk(min(count, len(vectors) - 1))
    return list(zip(index.tolist(), value.tolist(), strict=True))
