"""Image times place: what a picture says by what its place says."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from csp_core.calibrate import add_place, log_frequency
from csp_core.errors import ConfigError
from csp_core.model.dual import DualEncoder
from csp_core.model.prior import Prior, class_frequency

# The place is trusted in 99 of 100 cases; in the rest it says nothing. So it moves any two classes
# apart by a limited factor and removes none.
DOUBT = 0.01


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
    _check_shapes(image_probs, prior, weight)
    tiny = torch.finfo(torch.float32).tiny
    # In double logarithms: products of small shares underflow in float32 and would tie.
    place = weight * prior.double().clamp_min(tiny).log()
    if class_frequency is not None:
        place = place - weight * log_frequency(class_frequency)
    place = place.masked_fill(prior.isnan().any(dim=1, keepdim=True), 0.0)
    logits = image_probs.double().clamp_min(0).log() + place
    return logits.softmax(dim=1).to(image_probs.dtype)


def posterior_within(
    image_probs: Tensor,
    prior: Tensor,
    *,
    weight: float = 1.0,
    class_frequency: Tensor | None = None,
) -> Tensor:
    """Let the place speak among the classes that it knows, and leave all others as they are.

    The classes that the prior knows share out anew what the image gave to all of them together: a
    prior of birds says which bird, and nothing of whether it is one.

    Args:
        image_probs: ``(N, K)`` P(class | image), at least 0, rows sum to 1.
        prior: ``(N, K)`` what the place says of each class, at least 0; a column of NaN for one
            that it does not know, a row of NaN where the place is unknown.
        weight: Exponent of the prior; 0 is the image alone.
        class_frequency: ``(K,)`` P(class) to divide by, or None to leave it out.

    Returns:
        ``(N, K)``, rows sum to 1.

    Raises:
        ConfigError: If the shapes do not fit or the weight is negative.

    Source:
        Mac Aodha et al. 2019, eq. 2, within the classes known.

    Example:
        >>> prior = torch.tensor([[0.9, 0.1, float("nan")]])
        >>> posterior_within(torch.tensor([[0.2, 0.2, 0.6]]), prior)
        tensor([[0.3600, 0.0400, 0.6000]])
    """
    _check_shapes(image_probs, prior, weight)
    # Over all columns rather than those known alone, as a file of traced operators has to be.
    known = ~prior.isnan().all(dim=0)
    given = image_probs.double().masked_fill(~known, 0.0)
    mass = given.sum(dim=1, keepdim=True)
    # Where no known class had a share, there is nothing to share out.
    even = torch.where(mass > 0, given, known.to(given.dtype))
    frequency = None if class_frequency is None else class_frequency.masked_fill(~known, 1.0)
    new = posterior(even, prior.masked_fill(~known, 1.0), weight=weight, class_frequency=frequency)
    return torch.where(known, (new * mass).to(image_probs.dtype), image_probs)


def doubted(model: Prior, prior: Tensor) -> Tensor:
    """Mix a prior with what would be said without a place, so that nothing is impossible.

    Args:
        model: The model whose prior it is, of shares or relative scores.
        prior: ``(N, K)``.

    Returns:
        ``(N, K)``.
    """
    if model.prior_kind == "share":
        even = 1 / len(model.classes)
        # A class without a training record is not impossible either.
        usual = 0.5 * model.classes.frequency() + 0.5 * even
        return (1 - DOUBT) * prior + DOUBT * usual
    return (1 - DOUBT) * prior + DOUBT


def set_posterior(
    image_probs: Tensor, prior: Tensor, class_frequency: Tensor, *, weight: float = 1.0
) -> Tensor:
    """Combine what an image and its place say of each class of a label set.

    Assumes that image and place are independent given whether the class is there. Rows of the prior
    that are NaN (no known place) leave the image's answer unchanged.

    Args:
        image_probs: ``(N, K)`` P(class in the set | image).
        prior: ``(N, K)`` P(class in the set | place).
        class_frequency: ``(K,)`` P(class in the set).
        weight: Factor of what the place adds; 0 is the image alone.

    Returns:
        ``(N, K)`` in [0, 1]; rows need not sum to 1.

    Raises:
        ConfigError: If the shapes do not fit or the weight is negative.

    Example:
        >>> even = torch.tensor([[0.5]])
        >>> set_posterior(even, torch.tensor([[0.3]]), torch.tensor([0.3])).round(decimals=4).item()
        0.5
    """
    _check_shapes(image_probs, prior, weight)
    return add_place(image_probs, prior, class_frequency, weight).sigmoid().to(image_probs.dtype)


def combine(
    model: DualEncoder, image_probs: Tensor, prior: Tensor, *, weight: float | None = None
) -> Tensor:
    """Multiply an image's answer and a place's prior as a model was fitted to.

    A prior that is another model's speaks among the classes that it knows, and is trusted up to a
    doubt; the others keep what the image gave them.

    Args:
        model: A model whose ``place_weight`` and ``divide_frequency`` were fitted.
        image_probs: ``(N, K)`` P(class | image).
        prior: ``(N, S)`` what ``model.places`` says of its own classes, which are the model's but
            where it borrows; rows of NaN where the place is unknown.
        weight: Exponent of the prior; the fitted one if None.

    Returns:
        ``(N, K)``, rows sum to 1, but for label sets: there each class has its own log-odds, to
        which the place adds what it says beyond the class frequency.

    Raises:
        ConfigError: If the model is of label sets and nobody counted the records it learned from.
    """
    if model.borrowed is not None and model.classifier is None:
        return combine_borrowed(model, image_probs, borrowed_prior(model, prior), weight=weight)
    if model.prior_kind == "probability":
        chosen = model.calibration.place_weight if weight is None else weight
        return set_posterior(image_probs, prior, _counted(model), weight=chosen)
    return posterior(
        image_probs,
        prior,
        weight=model.calibration.place_weight if weight is None else weight,
        class_frequency=model.classes.frequency() if model.calibration.divide_frequency else None,
    )


def borrowed_prior(model: DualEncoder, said: Tensor) -> Tensor:
    """Bring what the model that is borrowed from says of places to the borrower's classes.

    Args:
        model: The model that borrows.
        said: ``(N, S)`` of the other's own classes; rows of NaN where the place is unknown.

    Returns:
        ``(N, K)`` up to a doubt, NaN for classes of which nothing is said.
    """
    lent = model.borrowed
    assert lent is not None  # who asks has looked
    return lent.of_classes(doubted(lent.prior, said))


def combine_borrowed(
    model: DualEncoder, image_probs: Tensor, prior: Tensor, *, weight: float | None = None
) -> Tensor:
    """Let a borrowed prior speak among the classes that it knows.

    Args:
        model: The model that borrows.
        image_probs: ``(N, K)`` P(class | image).
        prior: ``(N, K)`` of ``borrowed_prior``.
        weight: Exponent of the prior; the model's own if None.

    Returns:
        ``(N, K)``, rows sum to 1.
    """
    chosen = model.calibration.place_weight if weight is None else weight
    return posterior_within(image_probs, prior, weight=chosen)


def _check_shapes(image_probs: Tensor, prior: Tensor, weight: float) -> None:
    if image_probs.shape != prior.shape or not 0 <= weight < math.inf:
        raise ConfigError(
            f"image_probs has shape {tuple(image_probs.shape)}, prior {tuple(prior.shape)} and"
            f" weight is {weight}; give equal shapes (N, K) and a weight of at least 0."
        )


def _counted(model: DualEncoder) -> Tensor:
    frequency = class_frequency(model)
    if frequency is None:
        raise ConfigError(
            f"Model {model.name!r} does not say in how many records its classes were counted, so"
            " what the place adds to a picture is not known: give ClassTable.records."
        )
    return frequency
