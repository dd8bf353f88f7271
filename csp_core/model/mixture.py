"""Many priors as one: their weighted geometric mean."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.model.outside import OutsidePrior, filled
from csp_core.model.prior import Prior

FLOOR = 1e-12


class Mixture:
    """A weighted geometric mean of priors over the same classes, normalised.

    What one of them excludes, all exclude; where one knows nothing, the others decide. Made of
    objects, models and baselines alike, for comparison or as a teacher. Probabilities of label sets
    are mixed of each class by itself: its odds are the weighted geometric mean of theirs.
    Of classes that an ``OutsidePrior`` does not know, it is taken to say what the others say.

    Args:
        priors: Models or baselines with the same classes in the same order.
        weights: Exponent of each, at least 0 and not all 0; equal and summing to 1 if None.
        name: What to call it.

    Raises:
        ConfigError: If there is no prior, classes differ, weights do not fit, or some answer with
            label sets and others do not.
    """

    def __init__(
        self, priors: Sequence[Prior], weights: Sequence[float] | None = None, name: str = "mixture"
    ) -> None:
        weights = [1 / len(priors)] * len(priors) if weights is None and priors else weights or ()
        if not priors or len(weights) != len(priors):
            raise ConfigError(f"{len(priors)} priors and {len(weights)} weights; give one each.")
        if not all(0 <= w < float("inf") for w in weights) or not any(weights):
            raise ConfigError(f"weights are {list(weights)}; give at least 0, and one above 0.")
        names = [prior.classes.names for prior in priors]
        if any(other != names[0] for other in names):
            raise ConfigError(
                "The priors of a mixture must have the same classes in the same order: make them"
                " from the same training records."
            )
        of_sets = [prior.prior_kind == "probability" for prior in priors]
        if any(of_sets) and not all(of_sets):
            raise ConfigError(
                "One of the priors answers with label sets and another with single labels, which"
                " share 1 out among the classes: give priors of one kind."
            )
        self.prior_kind = "probability" if all(of_sets) else "share"
        self.priors, self.name = tuple(priors), name
        self.weights = tuple(map(float, weights))
        self.classes = priors[0].classes
        self.support = next((p.support for p in priors if p.support is not None), None)
        self.uses_date = any(prior.uses_date for prior in priors)
        self.uses_hour = any(prior.uses_hour for prior in priors)

    def by_class(self) -> Mixture:
        """Mix the scores of each class by itself, as those of label sets are, without a sum of 1.

        Returns:
            The same priors and weights as relative scores.
        """
        found = Mixture(self.priors, self.weights, self.name)
        found.prior_kind = "relative"
        return found

    def prior(
        self, lonlat: Tensor, date: Tensor | None = None, hour: Tensor | None = None
    ) -> Tensor:
        """Compute the mixture at checked places.

        Args:
            lonlat: ``(N, 2)`` degrees.
            date: ``(N,)`` part of the year, or None.
            hour: ``(N,)`` part of the day, or None.

        Returns:
            ``(N, K)``; rows of shares sum to 1.
        """
        sets = self.prior_kind != "share"
        if sets and self.weights == (1.0,):
            return self.priors[0].prior(lonlat, date, hour)  # as it is, to its last digit
        logits = torch.zeros(len(lonlat), len(self.classes), dtype=torch.float64)
        pairs = list(zip(self.priors, self.weights, strict=True))
        own = 0.0
        for prior, weight in pairs:
            if isinstance(prior, OutsidePrior):
                continue
            value = prior.prior(lonlat, date, hour).double()
            # Relative scores need no sum: a factor common to a row falls out below.
            logits += weight * (value.logit(FLOOR) if sets else value.clamp_min(FLOOR).log())
            own += weight
        others = (logits / own).softmax(dim=1) if own else None
        for prior, weight in pairs:
            if isinstance(prior, OutsidePrior):
                value = prior.prior(lonlat, date, hour).double()
                value = value if others is None else filled(value, prior.known, others)
                logits += weight * (value.logit(FLOOR) if sets else value.clamp_min(FLOOR).log())
        return (logits.sigmoid() if sets else logits.softmax(dim=1)).float()
