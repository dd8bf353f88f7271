"""Policies that adjust logits for what the network prefers before they judge or learn."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.losses.consistency import precise
from csp_core.objectives.semisup.checks import check_count, check_momentum
from csp_core.objectives.semisup.fixed import FixMatch
from csp_core.objectives.semisup.policy import Judged, Task, moved

# A class that is never seen would have the logarithm of 0 added to its logit.
RAREST = 1e-6


class UDAL(FixMatch):
    """Adjust the logits that learn by class frequencies, which become flatter during the run.

    The distribution that is aimed at goes from that of the labelled records towards the uniform
    one. Labelled rows learn with ``log(p_data / aim)`` added, unlabelled ones with the running mean
    of what the network says in place of ``p_data``; plain logits judge and answer. A network that
    learns from the pseudo-labels of another has a policy of its own, with the mean of what it says
    itself (the published code reads the mean of the other). For label sets the same is added as for
    one label, as published.

    Args:
        task: As of every policy.
        threshold: As of FixMatch; for label sets 0.95 of a label or its absence if None.
        least: Power of the frequencies at the end, in [0, 1]: 0 aims at the uniform distribution.
        power: How late in the run the power falls from 1, above 0.
        momentum: Of the running mean, which starts with the first step.
        hard: Whether pseudo-labels are the likeliest labels, not shares.
        temperature: Divisor of the logits for shares.

    Raises:
        ConfigError: If an option is out of range.

    Source:
        Lazarow et al. 2023, Unifying Distribution Alignment as a Loss for Imbalanced
        Semi-supervised Learning.
    """

    apart = True
    several_threshold = 0.95

    def __init__(
        self,
        task: Task,
        *,
        threshold: float | tuple[float, float] | None = None,
        least: float = 0.5,
        power: float = 2.0,
        momentum: float = 0.999,
        hard: bool = True,
        temperature: float = 0.5,
    ) -> None:
        super().__init__(task, threshold=threshold, hard=hard, temperature=temperature)
        if not 0 <= least <= 1:
            raise ConfigError(f"least is {least}; give a power in [0, 1].")
        if not 0 < power < float("inf"):
            raise ConfigError(f"power is {power}; give more than 0.")
        self.least, self.power = float(least), float(power)
        self.momentum = check_momentum(momentum)
        self.hold("seen", torch.zeros((), dtype=torch.int64))
        self.hold("model", torch.full((task.classes,), self.form.start(task.classes)))

    def _after(self, logits: Tensor) -> dict[str, Tensor]:
        new, seen = self.form.shares(logits).mean(dim=0), self.get_buffer("seen")
        old = self.get_buffer("model")
        return {"seen": seen + 1, "model": moved(old, new, self.momentum).where(seen > 0, new)}

    def flatness(self) -> Tensor:
        """Give the power of the frequencies in the present step, a scalar from 1 to ``least``."""
        part = (self.step.double() / self.steps).clamp(max=1)
        return 1 - (1 - self.least) * part**self.power

    def adjustment(self, share: Tensor) -> Tensor:
        """Give the logarithm of shares over those that are aimed at.

        Args:
            share: ``(K,)`` of each class.

        Returns:
            ``(K,)``, to be added to logits.
        """
        data = self.frequency.clamp(min=RAREST)
        aim = self.form.flatten(data, self.flatness().to(data.dtype))
        return (share.clamp(min=RAREST) / aim).log()

    def labelled_loss(self, logits: Tensor, target: Tensor, state: Mapping[str, Tensor]) -> Tensor:
        """Compute the loss of logits adjusted by the frequencies of the labelled records."""
        logits = precise(logits)
        added = self.adjustment(self.frequency).to(logits.dtype)
        return super().labelled_loss(logits + added, target, state)

    def unlabelled_loss(
        self, strong: Tensor, judged: Judged, state: Mapping[str, Tensor]
    ) -> Tensor:
        """Compute the loss of logits adjusted by the running mean of what is said."""
        strong = precise(strong)
        added = self.adjustment(state["model"]).to(strong.dtype)
        return super().unlabelled_loss(strong + added, judged, state)


class CDMAD(FixMatch):
    """Take off what the network says of a picture without content before it judges.

    Pseudo-labels are shares. The network that answers takes off its own logits of a white picture
    too (``debias``).

    Args:
        task: As of every policy.
        threshold: As of FixMatch; (0.05, 0.95) for label sets if None.
        warmup_steps: First steps in which labelled records alone count. Published runs of 64,000
            steps have 2,000, as a network that has learned nothing says nothing of itself by its
            answer to white; a run of our size may have fewer steps in all, so it is 0 unless given.

    Raises:
        ConfigError: If an option is out of range.

    Source:
        Lee and Kim 2024, CDMAD: Class-Distribution-Mismatch-Aware Debiasing for Class-Imbalanced
        Semi-Supervised Learning; here with the trained classifier's answer to white, and each
        network with its own.
    """

    white = True
    several_threshold = (0.05, 0.95)

    def __init__(
        self,
        task: Task,
        *,
        threshold: float | tuple[float, float] | None = None,
        warmup_steps: int = 0,
    ) -> None:
        super().__init__(task, threshold=threshold, hard=False, temperature=1.0)
        self.warmup_steps = check_count("warmup_steps", warmup_steps, 0)

    def _judge(self, logits: Tensor, state: Mapping[str, Tensor], white: Tensor | None) -> Judged:
        if white is None:
            raise ConfigError("CDMAD judges by the logits of a white picture too: give `white`.")
        return super()._judge(debias(logits, white), state, None)


def debias(logits: Tensor, white: Tensor) -> Tensor:
    """Take the logits of a white picture off.

    Args:
        logits: ``(N, K)``.
        white: ``(1, K)`` or ``(K,)``, of a picture whose normalised pixels are all 1.

    Returns:
        ``(N, K)``.
    """
    return precise(logits) - precise(white.detach()).reshape(1, -1)
