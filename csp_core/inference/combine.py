"""Image times place: what a picture says by what its place says."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from csp_core.calibrate import log_frequency
from csp_core.errors import ConfigError
from csp_core.model import DualEncoder


def posterior(
    image_probs: Tensor,
    prior: Tensor,
    *,
    weight: float = 1.0,
    class_frequency: Tensor | None = None,
) -> Tensor:
    """Combine what an image says with what its place says.

    Assumes that image and place are independent given the class. Rows of the prior that are NaN (no
    known place) leave the image's answer unchanged.

    Args:
        image_probs: ``(N, K)`` P(class | image), at least 0.
        prior: ``(N, K)`` P(class | place), at least 0.
        weight: Exponent of the prior; 0 is the image alone.
        class_frequency: ``(K,)`` P(class) to divide by, right when the image model's training
            classes were not even; None to leave it out. A class of 0 counts as the rarest other.

    Returns:
        ``(N, K)``, rows sum to 1.

    Raises:
        ConfigError: If the shapes do not fit or the weight is negative.

    Source:
        Mac Aodha et al. 2019, eq. 2: P(y | I, x) ∝ P(y | I) P(y | x).

    Example:
        >>> posterior(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.1, 0.3]])).tolist()
        [[0.25, 0.75]]
    """
    if image_probs.shape != prior.shape or not 0 <= weight < math.inf:
        raise ConfigError(
            f"image_probs has shape {tuple(image_probs.shape)}, prior {tuple(prior.shape)} and"
            f" weight is {weight}; give equal shapes (N, K) and a weight of at least 0."
        )
    tiny = torch.finfo(torch.float32).tiny
    # In double logarithms: products of small shares underflow in float32 and would tie.
    place = weight * prior.double().clamp_min(tiny).log()
    if class_frequency is not None:
        place = place - weight * log_frequency(class_frequency)
    place = place.masked_fill(prior.isnan().any(dim=1, keepdim=True), 0.0)
    logits = image_probs.double().clamp_min(0).log() + place
    return logits.softmax(dim=1).to(image_probs.dtype)


def combine(
    model: DualEncoder, image_probs: Tensor, prior: Tensor, *, weight: float | None = None
) -> Tensor:
    """Multiply an image's answer and a place's prior as a model was fitted to.

    Args:
        model: A model whose ``place_weight`` and ``divide_frequency`` were fitted.
        image_probs: ``(N, K)`` P(class | image).
        prior: ``(N, K)`` P(class | place), rows of NaN where the place is unknown.
        weight: Exponent of the prior; the fitted one if None.

    Returns:
        ``(N, K)``, rows sum to 1.
    """
    return posterior(
        image_probs,
        prior,
        weight=model.calibration.place_weight if weight is None else weight,
        class_frequency=model.classes.frequency() if model.calibration.divide_frequency else None,
    )
