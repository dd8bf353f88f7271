"""Which classes are in the set of an answer with label sets, and in what order they are listed."""

from __future__ import annotations

import torch
from torch import Tensor

from csp_core.calibrate import NO_THRESHOLD
from csp_core.model import Prior, calibration_of


def set_members(model: Prior, probs: Tensor, answer: str) -> Tensor | None:
    """Tell which classes are in the set: those whose probability reaches their threshold.

    Args:
        model: A model or a baseline.
        probs: ``(K,)`` its probabilities.
        answer: What they rest on: ``IMAGE``, ``PLACE`` or ``BOTH``.

    Returns:
        ``(K,)`` bool; from 0.5 on where no thresholds were fitted; None for a model that does not
        answer with label sets.
    """
    if model.prior_kind != "probability":
        return None
    fitted = calibration_of(model).thresholds_of(answer) or (NO_THRESHOLD,) * len(probs)
    # As measured: probabilities of single precision against thresholds of double.
    return probs.double() >= torch.tensor(fitted, dtype=torch.float64)


def listed(values: Tensor, members: Tensor | None) -> Tensor:
    """Order classes: those of the set first, and within them and the others by their values.

    Args:
        values: ``(K,)`` in [0, 1].
        members: ``(K,)`` bool which are in the set, or None where there is no set.

    Returns:
        ``(K,)`` int64 classes.
    """
    key = values.double() if members is None else values.double() + 2.0 * members
    return key.argsort(descending=True, stable=True)
