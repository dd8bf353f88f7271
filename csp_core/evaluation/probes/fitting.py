"""Linear probes on frozen features: ridge for numbers, logistic regression for classes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from csp_core.evaluation.probes.folds import Rows, Split
from csp_core.inference.retrieval.bank import Bank

Floats = NDArray[np.float64]
Features = Callable[[Rows, Rows], tuple[Floats, Floats]]
# Of ridge, for each training row, and of logistic regression likewise; inner folds choose.
STRENGTHS = tuple(10.0**power for power in range(-6, 3))
PENALTIES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
STEPS, TOLERANCE = 200, 1e-4
SMALLEST_SHARE = 1e-6


class Probe:
    """A linear model on features that are standardised on the training fold.

    Args:
        vectors: ``(N, D)`` features of all rows; or a function of training and test rows that
            gives the features of both, for features that depend on who is in the training fold.
    """

    def __init__(self, vectors: Floats | Features) -> None:
        self.features: Features = vectors if callable(vectors) else _rows_of(vectors)

    def numbers(self, split: Split, values: Floats) -> Floats:
        """Answer with numbers, by ridge regression.

        Args:
            split: Whom to learn from and whom to answer.
            values: ``(N, T)`` of all rows; those of the test are not looked at.

        Returns:
            ``(S, T)``.
        """
        from sklearn.linear_model import Ridge

        errors = np.zeros((len(STRENGTHS), values.shape[1]))
        for train, test in split.inner:
            x, asked = self._standard(train, test)
            for row, tried in enumerate(ridge_path(x, values[train], asked)):
                errors[row] += ((tried - values[test]) ** 2).sum(axis=0)
        x, asked = self._standard(split.train, split.test)
        strengths = np.array(STRENGTHS)[errors.argmin(axis=0)]
        ridge = Ridge(alpha=strengths * len(x), solver="cholesky").fit(x, values[split.train])
        said: Floats = ridge.predict(asked).reshape(len(asked), -1)
        return said

    def classes(self, split: Split, codes: NDArray[np.int64], count: int) -> Rows:
        """Answer with classes, by logistic regression.

        Args:
            split: Whom to learn from and whom to answer.
            codes: ``(N,)`` of all rows, from 0; those of the test are not looked at.
            count: How many classes there are.

        Returns:
            ``(S,)`` codes.
        """
        losses = np.zeros(len(PENALTIES))
        for train, test in split.inner:
            x, asked = self._standard(train, test)
            for row, shares in enumerate(_logistic(x, codes[train], asked, PENALTIES, count)):
                true = shares[np.arange(len(test)), codes[test]]
                losses[row] -= np.log(np.maximum(true, SMALLEST_SHARE)).sum()
        x, asked = self._standard(split.train, split.test)
        best = PENALTIES[int(losses.argmin())]
        (shares,) = _logistic(x, codes[split.train], asked, (best,), count)
        said: Rows = shares.argmax(axis=1)
        return said

    def _standard(self, train: Rows, test: Rows) -> tuple[Floats, Floats]:
        from sklearn.preprocessing import StandardScaler

        own, asked = self.features(train, test)
        scaler = StandardScaler().fit(own)
        return scaler.transform(own), scaler.transform(asked)


def ridge_path(x: Floats, y: Floats, asked: Floats) -> list[Floats]:
    """Fit ridge regression with every strength of ``STRENGTHS``, at the price of about one.

    Args:
        x: ``(T, D)`` features, each of mean 0.
        y: ``(T, K)`` values.
        asked: ``(S, D)`` features.

    Returns:
        ``(S, K)`` for each strength: the answers of ridge regression with an intercept and a
        penalty of the strength times T.
    """
    mean = y.mean(axis=0)
    spread, axes = np.linalg.eigh(x.T @ x)
    along, seen = axes.T @ (x.T @ (y - mean)), asked @ axes
    spread = spread.clip(min=0)[:, None]
    return [seen @ (along / (spread + strength * len(x))) + mean for strength in STRENGTHS]


def with_bank(vectors: Floats, lonlat: Tensor, mix: float) -> Features:
    """Put beside each embedding what a bank of the training fold's embeddings retrieves for it.

    Args:
        vectors: ``(N, D)`` embeddings of all rows.
        lonlat: ``(N, 2)`` degrees.
        mix: Part of what is alike, the rest is near: as of ``Bank.beside``.

    Returns:
        The features as ``Probe`` takes them, ``2 D`` of them.
    """

    def features(train: Rows, test: Rows) -> tuple[Floats, Floats]:
        bank = Bank(vectors[train], lonlat[train])
        own, asked = (bank.beside(vectors[rows], lonlat[rows], mix) for rows in (train, test))
        return own, asked

    return features


def _rows_of(vectors: Floats) -> Features:
    return lambda train, test: (vectors[train], vectors[test])


def _logistic(
    x: Floats, codes: NDArray[np.int64], asked: Floats, penalties: tuple[float, ...], count: int
) -> list[Floats]:
    """Give ``(S, count)`` shares for each penalty, each fit starting where the last one ended."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    seen, own = np.unique(codes, return_inverse=True)
    found = []
    # Half the time of double precision, and no answer of the probe needs more digits.
    x, asked = x.astype(np.float32), asked.astype(np.float32)
    model: Any = LogisticRegression(max_iter=STEPS, tol=TOLERANCE, warm_start=True)
    for penalty in penalties:
        shares = np.zeros((len(asked), count))
        if len(seen) == 1:
            shares[:, seen] = 1
        else:
            with warnings.catch_warnings():
                # The last steps of a weak penalty change no answer worth their time.
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.set_params(C=1 / (penalty * len(x))).fit(x, own)
            shares[:, seen] = model.predict_proba(asked)
        found.append(shares)
    return found
