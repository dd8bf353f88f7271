"""Policies with one threshold for all classes and steps, and the floor without any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.objectives.semisup.checks import check_threshold
from csp_core.objectives.semisup.forms import passes
from csp_core.objectives.semisup.policy import Judged, Policy, Task


class Supervised(Policy):
    """Learn from the labelled records alone: the floor that the others are compared with."""

    unlabelled = False
    fewest = 0
    unlabelled_weight = 0.0

    def __init__(self, task: Task) -> None:
        super().__init__(task)

    def weigh(self, shares: Tensor, state: Mapping[str, Tensor]) -> Tensor:
        """Let none count."""
        return 0 * self.form.confidence(shares)


class FixMatch(Policy):
    """Learn on strong views what weak views say with a fixed confidence.

    Args:
        task: As of every policy.
        threshold: Least probability of the likeliest class, 0.95 if None. For label sets a least
            probability of a label or of its absence, or a pair: at most the first is absent, at
            least the second present; (0.05, 0.70) if None.
        hard: Whether pseudo-labels are the likeliest labels, not shares.
        temperature: Divisor of the logits for shares.

    Raises:
        ConfigError: If an option is out of range.

    Source:
        Sohn et al. 2020, FixMatch: Simplifying Semi-Supervised Learning with Consistency and
        Confidence.
    """

    def __init__(
        self,
        task: Task,
        *,
        threshold: float | tuple[float, float] | None = None,
        hard: bool = True,
        temperature: float = 0.5,
    ) -> None:
        super().__init__(task, hard=hard, temperature=temperature)
        self.threshold = check_threshold(threshold, task.several, self.several_threshold)

    def weigh(self, shares: Tensor, state: Mapping[str, Tensor]) -> Tensor:
        """Let what is sure enough count, all alike."""
        return passes(self.form.confidence(shares), shares, self.threshold)


class DeFixMatch(FixMatch):
    """FixMatch without its bias: the same loss on labelled records is taken off.

    The labelled loss is the mean of those of weak and strong views. What is taken off has the
    expectation of the unlabelled loss, so the risk is estimated without bias.

    Source:
        Schmutz et al. 2023, Don't fear the unlabelled: safe semi-supervised learning via debiasing.
    """

    labelled_strong = True
    unlabelled_weight = 0.5

    def correction(self, weak: Tensor, strong: Tensor, state: Mapping[str, Tensor]) -> Tensor:
        """Compute the loss of labelled rows with pseudo-labels from their own weak views."""
        return self.unlabelled_loss(strong, self.judge(weak, state), state)


class PseudoLabel(FixMatch):
    """Learn on weak views what they themselves say with a fixed confidence.

    Args:
        task: As of every policy.
        threshold: As of FixMatch.
        ramp: Part of the run over which the unlabelled loss rises from 0 to its full weight; 0 to
            have it from the start.

    Raises:
        ConfigError: If an option is out of range.

    Source:
        Lee 2013, Pseudo-Label; threshold and ramp as in USB (Wang et al. 2022).
    """

    strong: ClassVar[bool] = False

    def __init__(
        self,
        task: Task,
        *,
        threshold: float | tuple[float, float] | None = None,
        ramp: float = 0.4,
    ) -> None:
        super().__init__(task, threshold=threshold)
        if not 0 <= ramp <= 1:
            raise ConfigError(f"ramp is {ramp}; give a part of the run in [0, 1].")
        self.ramp = float(ramp)

    def unlabelled_loss(
        self, strong: Tensor, judged: Judged, state: Mapping[str, Tensor]
    ) -> Tensor:
        """Compute the loss of pseudo-labels, lower in the first steps."""
        loss = super().unlabelled_loss(strong, judged, state)
        if self.ramp == 0:
            return loss
        return loss * (self.step / (self.ramp * self.steps)).clamp(max=1)
