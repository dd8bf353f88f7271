"""How much a place weighs beside an image, fitted on held-out records."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from csp_core.calibrate.temperature import find_minimum

MOST_WEIGHT = 3.0


@dataclass(frozen=True)
class PlaceWeight:
    """How an image's answer and a place's prior are multiplied.

    Args:
        weight: Exponent of the prior, in [0, 3].
        divide_frequency: Whether the prior is divided by the class frequency first.
        log_loss: Mean of -log share of the true class on the records it was fitted to, nats.
    """

    weight: float
    divide_frequency: bool
    log_loss: float


def fit_place_weight(
    image_probs: Tensor, prior: Tensor, label: Tensor, class_frequency: Tensor
) -> PlaceWeight:
    """Find the exponent of the prior, and whether to divide by the class frequency.

    An image's classifier that was trained on uneven classes knows their frequency, and so does the
    prior: multiplied as they are, they count it twice. Of the two ways the one with the lower
    log-loss is taken, and the plain one where they tie.

    Args:
        image_probs: ``(N, K)`` P(class | image), rows sum to 1, on records that neither side was
            fitted to.
        prior: ``(N, K)`` P(class | place), at least 0.
        label: ``(N,)`` int64.
        class_frequency: ``(K,)`` P(class) in training.

    Returns:
        The choice; weight 1 and no division without records.

    Source:
        Mac Aodha et al. 2019, eq. 2; with a weight in the exponent as in log-linear pooling.
    """
    if not len(label):
        return PlaceWeight(1.0, False, float("nan"))
    image = _log(image_probs)
    plain = _log(prior)
    found = []
    for divide, place in ((False, plain), (True, plain - log_frequency(class_frequency))):

        def loss(weight: float, place: Tensor = place) -> float:
            return float(F.cross_entropy(image + weight * place, label.long()))

        # A log-sum-exp of straight lines is convex in the weight.
        best = find_minimum(loss, 0.0, MOST_WEIGHT, precision=1e-4)
        found.append(PlaceWeight(best, divide, loss(best)))
    return min(found, key=lambda choice: choice.log_loss)


def log_frequency(class_frequency: Tensor) -> Tensor:
    """Give the logarithm of the class frequency that a prior is divided by.

    A class without a training record counts as the rarest of the others: nothing says that it is
    rarer, and divided by nought it would win everywhere.

    Args:
        class_frequency: ``(K,)`` P(class) in training, at least 0.

    Returns:
        ``(K,)`` float64; zeros where no class has a record.

    Example:
        >>> import torch
        >>> log_frequency(torch.tensor([0.25, 0.75, 0.0])).exp().tolist()
        [0.25, 0.75, 0.25]
    """
    frequency = class_frequency.double()
    seen = frequency[frequency > 0]
    return frequency.clamp_min(float(seen.min())).log() if len(seen) else frequency * 0.0


def _log(share: Tensor) -> Tensor:
    return share.double().clamp_min(1e-38).log()
