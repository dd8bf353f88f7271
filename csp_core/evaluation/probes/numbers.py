"""What is measured of answers: R² of numbers, accuracy and balanced accuracy of classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MEASURED = {"r2": "R²", "accuracy": "accuracy", "balanced": "balanced accuracy"}


def score_numbers(truth: NDArray[np.float64], said: NDArray[np.float64]) -> dict[str, float]:
    """Compute R²: 1 minus the squared error over that of the mean of all values.

    Args:
        truth: ``(N,)``, not all equal.
        said: ``(N,)``.

    Returns:
        ``r2``: 1 is perfect, 0 as good as the mean, below 0 worse.

    Example:
        >>> score_numbers(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 2.0]))
        {'r2': 0.5}
    """
    error = float(((truth - said) ** 2).sum())
    return {"r2": 1 - error / float(((truth - truth.mean()) ** 2).sum())}


def score_classes(truth: NDArray[np.int64], said: NDArray[np.int64]) -> dict[str, float]:
    """Compute how often the class is right, over all rows and as the mean over the classes.

    Args:
        truth: ``(N,)`` codes.
        said: ``(N,)`` codes.

    Returns:
        ``accuracy``, and ``balanced``: the mean over the classes that are true of a row.

    Example:
        >>> score_classes(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]))
        {'accuracy': 0.75, 'balanced': 0.5}
    """
    right = truth == said
    of_class = [float(right[truth == one].mean()) for one in np.unique(truth)]
    return {"accuracy": float(right.mean()), "balanced": float(np.mean(of_class))}
