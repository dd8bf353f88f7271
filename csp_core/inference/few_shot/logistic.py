"""Logistic classifiers with weights and a penalty: fitted by Newton's method, left out by folds.

All is in double precision and small: some thousands of rows, some hundred columns at most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

# Steps end when no coefficient moves by more, or after so many, each halved so often at most.
TOLERANCE, MOST_STEPS, MOST_HALVINGS = 1e-6, 200, 30
# Second derivatives serve as long as each step is at most this part of the one before.
SHRINK = 0.5


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of two kinds with what each counts.

    Args:
        features: ``(N, D)`` float64.
        truth: ``(N,)`` float64, 1 or 0.
        weight: ``(N,)`` float64, at least 0.
    """

    features: Tensor
    truth: Tensor
    weight: Tensor


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted classifier, and how its loss bends there.

    Args:
        coefficients: ``(D + 1,)`` weights and, last, the bias.
        factor: ``(D + 1, D + 1)`` Cholesky factor of the second derivatives at a place near it.
    """

    coefficients: Tensor
    factor: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """Score rows.

        Args:
            features: ``(N, D)``.

        Returns:
            ``(N,)``.
        """
        return features @ self.coefficients[:-1] + self.coefficients[-1]


def logistic_loss(rows: Rows, coefficients: Tensor, penalty: float) -> Tensor:
    """Compute what a classifier is fitted to.

    That is Σ_i a_i (log(1 + exp z_i) - y_i z_i) + penalty / 2 · |w|², where z_i = x_i · w + b; the
    bias b goes free.

    Args:
        rows: Features x, truth y and weights a.
        coefficients: ``(D + 1,)`` w and, last, b.
        penalty: Above 0.

    Returns:
        The scalar.
    """
    weights = coefficients[:-1]
    logits = rows.features @ weights + coefficients[-1]
    each = F.softplus(logits) - rows.truth * logits
    return rows.weight @ each + penalty / 2 * (weights @ weights)


def fit_logistic(rows: Rows, penalty: float, start: Fitted | None = None) -> Fitted:
    """Fit a classifier.

    Assumes rows of both kinds with weights above 0, so that there is one minimum.

    Args:
        rows: Features, truth and weights.
        penalty: Above 0.
        start: One of like rows, to begin at.

    Returns:
        The classifier.

    Source:
        Newton's method with halved steps, in statistics iteratively reweighted least squares.
        Second derivatives, nearly all of its work, are computed anew where the last ones serve no
        more: where steps have to be halved, or do not shrink fast.
    """
    design = torch.cat((rows.features, rows.features.new_ones(len(rows.features), 1)), dim=1)
    ridge = torch.full((design.shape[1],), penalty, dtype=design.dtype)
    ridge[-1] = 0
    found = design.new_zeros(design.shape[1]) if start is None else start.coefficients
    factor = None if start is None else start.factor
    loss, last = logistic_loss(rows, found, penalty), math.inf
    for _ in range(MOST_STEPS):
        chance = (design @ found).sigmoid()
        slope = design.T @ (rows.weight * (chance - rows.truth)) + ridge * found
        if factor is None:
            factor = _bending(design, rows.weight * chance * (1 - chance), ridge)
            last = math.inf
        step = torch.cholesky_solve(slope[:, None], factor)[:, 0]
        size = float(step.abs().max())
        if size < TOLERANCE:
            return Fitted(found - step, factor)
        tried, there = found - step, logistic_loss(rows, found - step, penalty)
        for _ in range(MOST_HALVINGS):
            if there <= loss:
                break
            step = step / 2
            tried, there = found - step, logistic_loss(rows, found - step, penalty)
        halved = float(step.abs().max()) < size
        found, loss = tried, there
        if halved or size > SHRINK * last:
            factor = None
        last = size
    return Fitted(found, _bending(design, rows.weight, ridge) if factor is None else factor)


def _bending(design: Tensor, curve: Tensor, ridge: Tensor) -> Tensor:
    """Compute the Cholesky factor of the second derivatives."""
    # A little on the diagonal: far from the minimum all chances may be 0 or 1.
    bending = design.T @ (design * curve[:, None]) + torch.diag(ridge + 1e-9)
    factor: Tensor = torch.linalg.cholesky(bending)
    return factor


def leave_out(
    rows: Rows, folds: Sequence[Tensor], penalties: Sequence[float]
) -> tuple[list[Fitted], Tensor]:
    """Fit classifiers to all rows, and to those outside of each fold, for every penalty.

    Args:
        rows: Features, truth and weights.
        folds: For each of F folds the ``(N,)`` weights of what remains without it.
        penalties: P of them, from the strongest down: each fit begins where the last one ended.

    Returns:
        The P classifiers of all rows, and ``(P, F, N)`` logits of all rows by the other ones.
    """
    whole: list[Fitted] = []
    logits = rows.features.new_empty(len(penalties), len(folds), len(rows.features))
    for number, penalty in enumerate(penalties):
        whole.append(fit_logistic(rows, penalty, whole[-1] if whole else None))
        for fold, weight in enumerate(folds):
            left = fit_logistic(replace(rows, weight=weight), penalty, whole[-1])
            logits[number, fold] = left.logits(rows.features)
    return whole, logits
