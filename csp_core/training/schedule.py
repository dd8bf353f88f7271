"""How far each step goes, and which number says that a run got better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from csp_core.config import TrainingConfig
from csp_core.errors import ConfigError
from csp_core.evaluation import Measure
from csp_core.model import DualEncoder


@dataclass(frozen=True)
class Schedule:
    """The learning rate of every step.

    Args:
        options: How to train.
        steps_per_epoch: Steps in an epoch.
    """

    options: TrainingConfig
    steps_per_epoch: int

    def __call__(self, step: int) -> float:
        """Compute the learning rate.

        Args:
            step: Steps done before this one.

        Returns:
            The rate: it rises over the warm-up, then follows the schedule.
        """
        options, total = self.options, self.steps_per_epoch * self.options.epochs
        rate, warmup = options.learning_rate, options.warmup * total
        rate *= min(1.0, (step + 1) / warmup) if warmup else 1.0
        if options.schedule == "cosine":
            return rate * 0.5 * (1 + math.cos(math.pi * step / total))
        if options.schedule == "cosine_7_16":
            # It ends at a fifth of the rate, as published for FixMatch.
            return rate * math.cos(7 * math.pi * step / (16 * total))
        if options.schedule == "exponential":
            return rate * options.decay ** (step // self.steps_per_epoch)
        return rate


def monitored(
    row: Mapping[str, float], choice: str, model: DualEncoder, measure: Measure | None
) -> float:
    """Pick the number that decides which epoch was best.

    Args:
        row: One epoch's line of metrics.
        choice: ``training.monitor``; ``auto`` is what the measure of the model names: the log-loss
            that one temperature leaves for shares, the mean reciprocal rank for relative scores,
            the macro average precision for label sets, the mean IoU for masks; the objective
            where there is none.
        model: What is trained.
        measure: How it is measured on the records held out, or None.

    Returns:
        The value; lower is better.

    Raises:
        ConfigError: If it is not measured.
    """
    if choice == "auto":
        choice = "loss" if measure is None else measure.monitor(model)
    key = "val_objective" if choice == "loss" else f"val_{choice}"
    if key not in row:
        raise ConfigError(
            f"training.monitor is {choice!r}, which is not measured here; give 'auto' or 'loss'."
        )
    return -float(row[key]) if measure is not None and choice in measure.rising else float(row[key])
