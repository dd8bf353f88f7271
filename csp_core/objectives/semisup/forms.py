"""The two forms of a semi-supervised policy: one label a picture, or several."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.losses import binary_cross_entropy, consistency
from csp_core.losses.classes import class_cross_entropy


class Form(Protocol):
    """What a policy asks of the labels, however many a picture has.

    ``shares`` are probabilities ``(N, K)``; a guess is ``(N,)`` classes or an ``(N, K)`` set of 0
    and 1; confidences and weights are ``(N,)`` or ``(N, K)``, so that their means are a scalar or
    ``(K,)``.
    """

    def start(self, classes: int) -> float:
        """Tell the share of a class before anything was seen."""

    def level(self, classes: int) -> Tensor:
        """Give the mean confidence before anything was seen."""

    def shares(self, logits: Tensor) -> Tensor:
        """Turn logits into probabilities."""

    def guess(self, logits: Tensor) -> Tensor:
        """Tell the likeliest label or set."""

    def hot(self, shares: Tensor) -> Tensor:
        """Mark, ``(N, K)``, which classes are guessed."""

    def confidence(self, shares: Tensor) -> Tensor:
        """Tell how probable the guess is."""

    def relative(self, frequency: Tensor, shares: Tensor) -> Tensor:
        """Give the frequency of what is guessed over that of the likeliest guess."""

    def align(self, shares: Tensor, target: Tensor, model: Tensor) -> Tensor:
        """Move shares towards a distribution of classes."""

    def flatten(self, frequency: Tensor, power: Tensor) -> Tensor:
        """Flatten a distribution of classes by a power."""

    def loss(self, logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Compute the loss of pseudo-labels, a scalar."""

    def labelled(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of labels, a scalar."""

    def fairness(self, logits: Tensor, weight: Tensor, model: Tensor, guessed: Tensor) -> Tensor:
        """Compute how little spread predictions are, a scalar."""


class OneLabel:
    """Each picture has one label: softmax."""

    def start(self, classes: int) -> float:
        """Tell the share of a class before anything was seen: all are alike."""
        return 1 / classes

    def level(self, classes: int) -> Tensor:
        """Give the mean confidence before anything was seen, a scalar."""
        return torch.tensor(self.start(classes))

    def shares(self, logits: Tensor) -> Tensor:
        """Turn logits into probabilities that sum to 1."""
        return logits.softmax(dim=1)

    def guess(self, logits: Tensor) -> Tensor:
        """Tell the likeliest class, ``(N,)``."""
        return logits.argmax(dim=1)

    def hot(self, shares: Tensor) -> Tensor:
        """Mark the likeliest class."""
        return F.one_hot(shares.argmax(dim=1), shares.shape[1]).to(shares.dtype)

    def confidence(self, shares: Tensor) -> Tensor:
        """Give the largest share, ``(N,)``."""
        return shares.amax(dim=1)

    def relative(self, frequency: Tensor, shares: Tensor) -> Tensor:
        """Give the frequency of the likeliest class over the largest of all, ``(N,)``."""
        return (frequency / frequency.max())[shares.argmax(dim=1)]

    align = staticmethod(consistency.align)
    flatten = staticmethod(consistency.flatten)
    loss = staticmethod(consistency.weighted_cross_entropy)
    fairness = staticmethod(consistency.fairness)

    def labelled(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the cross-entropy of ``(N,)`` classes."""
        return class_cross_entropy(consistency.precise(logits), target)


class LabelSets:
    """Each picture has any number of labels: one sigmoid a class."""

    def start(self, classes: int) -> float:
        """Tell the share of a class before anything was seen: one half."""
        return 0.5

    def level(self, classes: int) -> Tensor:
        """Give the mean confidence before anything was seen, ``(K,)``."""
        return torch.full((classes,), 0.5)

    def shares(self, logits: Tensor) -> Tensor:
        """Turn logits into a probability of each label."""
        return logits.sigmoid()

    def guess(self, logits: Tensor) -> Tensor:
        """Tell which labels are likelier than not, ``(N, K)``."""
        return (logits >= 0).to(logits.dtype)

    def hot(self, shares: Tensor) -> Tensor:
        """Mark the labels that are likelier than not."""
        return (shares >= 0.5).to(shares.dtype)

    def confidence(self, shares: Tensor) -> Tensor:
        """Give the probability of the label or of its absence, the larger one, ``(N, K)``."""
        return torch.maximum(shares, 1 - shares)

    def relative(self, frequency: Tensor, shares: Tensor) -> Tensor:
        """Give the frequency of what is guessed, label or absence, over the larger, ``(N, K)``."""
        guessed = frequency.where(shares >= 0.5, 1 - frequency)
        return guessed / self.confidence(frequency)

    align = staticmethod(consistency.align_sets)
    flatten = staticmethod(consistency.flatten_sets)
    loss = staticmethod(consistency.weighted_binary_cross_entropy)
    labelled = staticmethod(binary_cross_entropy)
    fairness = staticmethod(consistency.fairness_of_sets)


def passes(confidence: Tensor, shares: Tensor, threshold: float | tuple[float, float]) -> Tensor:
    """Tell which guesses are sure enough.

    Args:
        confidence: ``(N,)`` or ``(N, K)``.
        shares: ``(N, K)`` probabilities.
        threshold: Least confidence, or for label sets a pair: at most the first is absent, at
            least the second present.

    Returns:
        1 or 0 in the shape of the confidences.
    """
    if isinstance(threshold, tuple):
        sure = (shares <= threshold[0]) | (shares >= threshold[1])
    else:
        sure = confidence >= threshold
    return sure.to(shares.dtype)
