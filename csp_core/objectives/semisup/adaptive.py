"""Policies whose thresholds follow what the network says of the unlabelled records."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.losses.consistency import gaussian_weight
from csp_core.objectives.semisup.checks import check_count, check_momentum
from csp_core.objectives.semisup.policy import Judged, Policy, Task, moved

# Published.
QUANTILE, CLIP = 0.8, 0.95


class FreeMatch(Policy):
    """One threshold a class, which rises with how sure the network is of it.

    Args:
        task: As of every policy.
        momentum: Of the running means.
        fairness: Weight of the term that keeps predictions spread over the classes.
        quantile: Let the level follow the 0.8 quantile of the confidences, not their mean.
        clip: Keep the level at 0.95 or below.
        warmup_steps: First steps in which labelled records alone count. Published runs of 64,000
            steps have 2,000; a run of our size may have fewer steps in all, and a level that starts
            at the lowest confidence and follows the network needs none, so it is 0 unless given.
        hard: Whether pseudo-labels are the likeliest labels, not shares.
        temperature: Divisor of the logits for shares.

    Raises:
        ConfigError: If an option is out of range.

    Source:
        Wang et al. 2023, FreeMatch: Self-adaptive Thresholding for Semi-supervised Learning.
    """

    def __init__(
        self,
        task: Task,
        *,
        momentum: float = 0.999,
        fairness: float = 0.001,
        quantile: bool = False,
        clip: bool = False,
        warmup_steps: int = 0,
        hard: bool = True,
        temperature: float = 0.5,
    ) -> None:
        super().__init__(task, hard=hard, temperature=temperature)
        if not 0 <= fairness < float("inf"):
            raise ConfigError(f"fairness is {fairness}; give a weight of at least 0.")
        self.momentum, self.fairness = check_momentum(momentum), float(fairness)
        self.quantile, self.clip = quantile, clip
        self.warmup_steps = check_count("warmup_steps", warmup_steps, 0)
        self.hold("level", self.form.level(task.classes))
        self.hold("model", torch.full((task.classes,), self.form.start(task.classes)))
        self.hold("guessed", torch.full((task.classes,), self.form.start(task.classes)))

    def _after(self, logits: Tensor) -> dict[str, Tensor]:
        shares = self.form.shares(logits)
        sure = self.form.confidence(shares)
        level = sure.quantile(QUANTILE, dim=0) if self.quantile else sure.mean(dim=0)
        level = moved(self.get_buffer("level"), level, self.momentum)
        return {
            "level": level.clamp(max=CLIP) if self.clip else level,
            "model": moved(self.get_buffer("model"), shares.mean(dim=0), self.momentum),
            "guessed": moved(
                self.get_buffer("guessed"), self.form.hot(shares).mean(dim=0), self.momentum
            ),
        }

    def weigh(self, shares: Tensor, state: Mapping[str, Tensor]) -> Tensor:
        """Let what is as sure as its class asks count, all alike."""
        least = state["level"] * self.form.relative(state["model"], shares)
        return (self.form.confidence(shares) >= least).to(shares.dtype)

    def further_loss(
        self, strong: Tensor, judged: Judged, state: Mapping[str, Tensor]
    ) -> Tensor | None:
        """Compute the fairness, times its weight; None where that is 0."""
        if self.fairness == 0:
            return None
        return self.fairness * self.form.fairness(
            strong, judged.weight, state["model"], state["guessed"]
        )


class SoftMatch(Policy):
    """All pseudo-labels count, less the further their confidence lies below the mean.

    Confidences are those after the shares were moved towards a distribution of classes; labels
    come from shares as they are. Running means start with the first step; the variance starts at 1.

    Args:
        task: As of every policy.
        momentum: Of the running means.
        sigmas: How much narrower than the confidences the Gaussian is.
        target: The distribution of classes: ``uniform``, or ``labelled`` as the labelled records
            have it. If None, uniform for one label and labelled for several, as published.
        hard: Whether pseudo-labels are the likeliest labels, not shares.
        temperature: Divisor of the logits for shares.

    Raises:
        ConfigError: If an option is out of range; in a step of a single unlabelled row, which has
            no variance.

    Source:
        Chen et al. 2023, SoftMatch: Addressing the Quantity-Quality Trade-off in Semi-supervised
        Learning.
    """

    fewest = 2

    def __init__(
        self,
        task: Task,
        *,
        momentum: float = 0.999,
        sigmas: float = 2.0,
        target: str | None = None,
        hard: bool = True,
        temperature: float = 0.5,
    ) -> None:
        super().__init__(task, hard=hard, temperature=temperature)
        if not 0 < sigmas < float("inf"):
            raise ConfigError(f"sigmas is {sigmas}; give more than 0.")
        if target not in (None, "uniform", "labelled"):
            raise ConfigError(f"target is {target!r}; give 'uniform' or 'labelled'.")
        self.momentum, self.sigmas = check_momentum(momentum), float(sigmas)
        self.labelled = task.several if target is None else target == "labelled"
        even = torch.full((task.classes,), self.form.start(task.classes))
        self.register_buffer("even", even, persistent=False)
        self.hold("seen", torch.zeros((), dtype=torch.int64))
        self.hold("model", even.clone())
        self.hold("mean", self.form.level(task.classes))
        self.hold("variance", torch.ones_like(self.form.level(task.classes)))

    def _after(self, logits: Tensor) -> dict[str, Tensor]:
        shares, seen = self.form.shares(logits), self.get_buffer("seen")
        model = moved(self.get_buffer("model"), shares.mean(dim=0), self.momentum)
        model = model.where(seen > 0, shares.mean(dim=0))
        sure = self._sure(shares, model)
        return {
            "seen": seen + 1,
            "model": model,
            "mean": moved(self.get_buffer("mean"), sure.mean(dim=0), self.momentum),
            "variance": moved(self.get_buffer("variance"), sure.var(dim=0), self.momentum),
        }

    @property
    def wanted(self) -> Tensor:
        """Distribution of classes that shares are moved towards, ``(K,)``."""
        return self.frequency if self.labelled else self.get_buffer("even")

    def _sure(self, shares: Tensor, model: Tensor) -> Tensor:
        """Give the confidences of moved shares."""
        wanted = self.wanted.to(shares.dtype)
        return self.form.confidence(self.form.align(shares, wanted, model))

    def weigh(self, shares: Tensor, state: Mapping[str, Tensor]) -> Tensor:
        """Let confidences count by a Gaussian below their mean, by 1 above."""
        sure = self._sure(shares, state["model"])
        return gaussian_weight(sure, state["mean"], state["variance"], self.sigmas)
