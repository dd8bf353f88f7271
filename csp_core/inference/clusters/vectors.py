"""What a model has learned of places and of classes, as vectors of unit length."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from csp_core import geo
from csp_core.errors import BadRecordError, ConfigError

CHUNK = 4096
SHORTEST = 1e-12


def embed(model: Any, lonlat: Tensor, *, date: float | Tensor | None = None) -> Tensor:
    """Embed places by a model's location encoder, before any head.

    Assumes that directions tell places apart: that is how objectives compare them, and lengths
    differ between models.

    Args:
        model: Any model with a location side, imported ones too.
        lonlat: ``(N, 2)`` degrees.
        date: Part of the year in [0, 1) for all places or ``(N,)``; None where unknown. A model
            that knows no time ignores it.

    Returns:
        ``(N, D)`` float32 on the CPU, each of unit length.

    Raises:
        ConfigError: If the model has no location encoder.
        BadRecordError: If a place is none, or the model gives what is no number.

    Example:
        >>> from csp_core import load_model
        >>> vectors = embed(load_model("demo"), torch.tensor([[36.8, -1.3]]))
        >>> round(vectors.norm().item(), 4)
        1.0
    """
    if getattr(model, "location", None) is None:
        name = getattr(model, "name", type(model).__name__)
        raise ConfigError(
            f"Model {name!r} has no location encoder, so it holds no space of places: take a model"
            " that was trained on places, such as 'demo' or 'birds'."
        )
    lonlat = geo.check_lonlat(lonlat)
    when = None
    if date is not None and model.uses_date:
        when = torch.as_tensor(date, dtype=lonlat.dtype).expand(len(lonlat))
        if bool(((when < 0) | (when >= 1)).any()):
            raise BadRecordError("A date is a part of the year in [0, 1), or NaN when unknown.")
    # An encoding without a network has no weights.
    training, first = model.training, next(model.parameters(), torch.zeros(()))
    parts = []
    model.eval()
    try:
        with torch.inference_mode():
            for start in range(0, len(lonlat), CHUNK):
                rows = slice(start, start + CHUNK)
                places = lonlat[rows].to(first.device, first.dtype)
                time = None if when is None else when[rows].to(first.device)
                parts.append(model.embed_location(places, time).float().cpu())
    finally:
        model.train(training)
    vectors = torch.cat(parts) if parts else torch.zeros(0, model.dim)
    return _unit(vectors, f"model {model.name!r}")


def class_vectors(model: Any) -> Tensor:
    """Give the directions in which a model's location classifier looks for its classes.

    Classes whose vectors are near live alike, as far as the model has learned. What all classes
    share, which changes no share, is taken out.

    Args:
        model: A model with a location classifier.

    Returns:
        ``(K, D)`` float32 on the CPU, each of unit length.

    Raises:
        ConfigError: If the model has no such classifier, or fewer than two classes.
        BadRecordError: If a vector is no number or has no direction.
    """
    name = getattr(model, "name", type(model).__name__)
    classifier = getattr(model, "classifier", None)
    if classifier is None:
        raise ConfigError(
            f"Model {name!r} has no location classifier, so its classes have no vectors: fine-tune"
            " it on labelled records, or take a model that ranks classes by place."
        )
    if len(model.classes) < 2:
        raise ConfigError(
            f"Model {name!r} has one class only, which lives like no other; take a model of two or"
            " more."
        )
    rows = classifier.weight.detach().float().cpu()
    if model.prior_kind == "share":
        rows = rows - rows.mean(dim=0)
    return _unit(rows, f"the classifier of model {name!r}")


def _unit(vectors: Tensor, whose: str) -> Tensor:
    check_finite(vectors, whose)
    length = vectors.norm(dim=1, keepdim=True)
    if bool((length < SHORTEST).any()):
        raise BadRecordError(
            f"{int((length < SHORTEST).sum())} of {len(vectors)} vectors of {whose} are zero and"
            " have no direction: it was not trained, or its training failed."
        )
    unit: Tensor = vectors / length
    return unit


def check_finite(vectors: Tensor, whose: str) -> None:
    """Refuse vectors that are no numbers.

    Args:
        vectors: ``(N, D)``.
        whose: What they belong to, for the message.

    Raises:
        BadRecordError: If one is not finite.
    """
    bad = ~vectors.isfinite().all(dim=1)
    if bool(bad.any()):
        raise BadRecordError(
            f"{int(bad.sum())} of {len(vectors)} vectors of {whose} are not finite, so they cannot"
            " be clustered: train the model anew, with a lower learning rate if its loss was none."
        )


def components(
    points: NDArray[np.float32], dims: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute principal components; the sign is that of the largest part of each direction.

    Args:
        points: ``(N, D)``, finite.
        dims: How many, at most D.

    Returns:
        ``(N, dims)`` and the ``(dims,)`` shares of the variance that they hold.
    """
    mean, directions, share = axes(points, dims)
    return (points.astype(np.float64) - mean) @ directions, share


def axes(
    points: NDArray[np.float32], dims: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Find the directions in which vectors differ most.

    Args:
        points: ``(N, D)``, finite.
        dims: How many, at most D.

    Returns:
        The ``(D,)`` mean, the ``(D, dims)`` unit directions, and the ``(dims,)`` shares of
        the variance along them.
    """
    mean = points.mean(axis=0, dtype=np.float64)
    centred = points.astype(np.float64) - mean
    variance, directions = np.linalg.eigh(centred.T @ centred / max(len(points) - 1, 1))
    variance, directions = variance[::-1].clip(min=0), directions[:, ::-1][:, :dims]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=0)[None], axis=0)
    total = variance.sum()
    share = variance[:dims] / total if total > 0 else np.zeros(dims)
    return mean, directions * np.where(largest < 0, -1.0, 1.0), share
