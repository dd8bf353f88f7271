"""Thresholds that turn a prior into a yes or no, fitted per class to records held out of training.

Presence-only records know no absences, so records of the other classes stand for them: a
target-group background, which shares the recorders' habits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from csp_core.errors import BadRecordError, ConfigError
from csp_core.tables import lookup


@dataclass(frozen=True)
class Threshold:
    """A threshold and what it keeps of the records it was fitted to.

    Args:
        value: Places with this value or more are above it.
        method: A key of ``THRESHOLDS``, or ``"given"``.
        recall: Part of the class's records above it, or None.
        specificity: Part of the other classes' records below it, or None.
        presences: Records of the class that it was fitted to.
        background: Records of other classes that it was fitted to.
    """

    value: float
    method: str = "given"
    recall: float | None = None
    specificity: float | None = None
    presences: int = 0
    background: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values.

        Returns:
            Name to value.
        """
        return asdict(self)


def max_tss(presence: Tensor, background: Tensor) -> float:
    """Find the threshold with the largest sum of recall and specificity.

    Only values of presences need to be tried: raising a threshold up to the next of them loses no
    presence. The lowest of equally good ones is taken.

    Args:
        presence: ``(P,)`` values at records of the class, at least one.
        background: ``(B,)`` values at records of other classes, at least one.

    Returns:
        The threshold.

    Source:
        Liu et al. 2005, Selecting thresholds of occurrence in the prediction of species
        distributions; for presence-only records Liu et al. 2013. TSS: Allouche et al. 2006.
    """
    tried = torch.unique(presence)
    recall = 1 - torch.searchsorted(presence.sort().values, tried) / len(presence)
    specificity = torch.searchsorted(background.sort().values, tried) / len(background)
    return float(tried[(recall.double() + specificity.double()).argmax()])


def recall_90(presence: Tensor, background: Tensor) -> float:
    """Find the largest threshold that keeps 90 % of the presences.

    Args:
        presence: ``(P,)`` values at records of the class, at least one.
        background: Not used.

    Returns:
        The threshold, one of the presences' values.

    Source:
        The 10th percentile of presences; Pearson et al. 2007 for thresholds set by the presences
        left out.
    """
    kept = math.ceil(0.9 * len(presence) - 1e-9)
    return float(presence.sort(descending=True).values[kept - 1])


THRESHOLDS: Mapping[str, Callable[[Tensor, Tensor], float]] = {
    "max_tss": max_tss,
    "recall_90": recall_90,
}


def fit_threshold(presence: Tensor, background: Tensor, method: str = "max_tss") -> Threshold:
    """Fit a threshold to values of one class at records.

    Assumes records that the model has not learned from; recall and specificity are those of the
    very same records, so that with few of them both are somewhat too good.

    Args:
        presence: ``(P,)`` values at records of the class.
        background: ``(B,)`` values at records of other classes.
        method: A key of ``THRESHOLDS``.

    Returns:
        The threshold.

    Raises:
        UnknownNameError: If there is no such method.
        BadRecordError: If there is no record of one of the two kinds, or a value is no number.

    Example:
        >>> fitted = fit_threshold(torch.tensor([0.2, 0.6, 0.7]), torch.tensor([0.1, 0.3]))
        >>> round(fitted.value, 3), round(fitted.recall, 3), fitted.specificity
        (0.6, 0.667, 1.0)
    """
    fit = lookup("threshold", THRESHOLDS, method)
    if not len(presence) or not len(background):
        raise BadRecordError(
            f"{len(presence)} records of the class and {len(background)} of others; a threshold is"
            " fitted to at least one of each. Give more records, or a threshold as a number."
        )
    if bool(presence.isnan().any() or background.isnan().any()):
        raise BadRecordError("A threshold cannot be fitted to values that are no numbers.")
    value = fit(presence, background)
    return Threshold(
        value=value,
        method=method,
        recall=float((presence >= value).double().mean()),
        specificity=float((background < value).double().mean()),
        presences=len(presence),
        background=len(background),
    )


def given_threshold(value: float) -> Threshold:
    """Take a threshold as it is given.

    Args:
        value: A value in [0, 1].

    Returns:
        The threshold.

    Raises:
        ConfigError: If it is out of range.
    """
    if not 0 <= value <= 1:
        raise ConfigError(f"The threshold is {value}; give a value from 0 to 1.")
    return Threshold(float(value))
