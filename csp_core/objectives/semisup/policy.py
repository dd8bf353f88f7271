"""The contract of policies: which pseudo-labels count in a semi-supervised step, and how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError
from csp_core.losses.consistency import precise
from csp_core.objectives.semisup.forms import Form, LabelSets, OneLabel


@dataclass(frozen=True)
class Judged:
    """Pseudo-labels of unlabelled rows.

    Args:
        target: ``(N,)`` int64 classes or ``(N, K)`` shares for one label, ``(N, K)`` in [0, 1] for
            several.
        weight: ``(N,)`` or ``(N, K)``, 0 where a pseudo-label does not count.
    """

    target: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Task:
    """What a policy is told of the records and the run.

    Args:
        classes: Number of classes K.
        several: Whether records have label sets instead of one label.
        frequency: ``(K,)`` of the labelled records: shares that sum to 1 for one label, the part of
            the label sets that has each class for several.
        steps: Steps of the whole run.
    """

    classes: int
    several: bool
    frequency: Tensor
    steps: int


class Policy(nn.Module):
    """Base of all policies.

    Statistics are persistent buffers. They change in ``commit`` alone, after the optimiser's step:
    ``after`` tells what they will be with the present batch, and the batch is judged with that.
    ``after`` needs the rows of all processes. So do the losses, where several processes shall equal
    one: fairness and means over the entries that are known are no means over rows.

    What a policy needs stands in its class: ``several_only`` (label sets alone), ``averaged`` (an
    exponential average of the network makes the pseudo-labels), ``white`` (the logits of a white
    picture), ``labelled_strong`` (strong views of labelled records), ``strong`` (pseudo-labels are
    learned on strong views; else on the weak ones), ``unlabelled`` (unlabelled records at all),
    ``apart`` (a network that learns from the pseudo-labels of another needs a policy of its own),
    ``fewest`` (unlabelled rows that a step needs, of all processes) and ``unlabelled_weight``, the
    published weight of the unlabelled loss.

    Args:
        task: What there is to learn.
        hard: Whether pseudo-labels are the likeliest labels, not shares.
        temperature: Divisor of the logits for shares.

    Raises:
        ConfigError: If an option is out of range, or the policy has no form for one label.
    """

    warmup_steps: int = 0
    several_only: ClassVar[bool] = False
    averaged: ClassVar[bool] = False
    white: ClassVar[bool] = False
    labelled_strong: ClassVar[bool] = False
    strong: ClassVar[bool] = True
    unlabelled: ClassVar[bool] = True
    apart: ClassVar[bool] = False
    fewest: ClassVar[int] = 1
    unlabelled_weight: ClassVar[float] = 1.0
    several_threshold: ClassVar[float | tuple[float, float]] = (0.05, 0.70)
    step: Tensor
    frequency: Tensor

    def __init__(self, task: Task, *, hard: bool = True, temperature: float = 0.5) -> None:
        super().__init__()
        name, classes, several = type(self).__name__, task.classes, task.several
        frequency, steps = task.frequency, task.steps
        if self.several_only and not several:
            raise ConfigError(f"{name} is for label sets, and the records have one label each.")
        if frequency.shape != (classes,) or not bool(((frequency >= 0) & (frequency <= 1)).all()):
            raise ConfigError(
                f"frequency is {frequency.tolist()}; give {name} a share in [0, 1] of each of the"
                f" {classes} classes."
            )
        if not several and not abs(float(frequency.sum()) - 1) < 1e-3:
            raise ConfigError(
                f"The shares of the classes sum to {float(frequency.sum()):.4g}; records of one"
                " label each have shares that sum to 1."
            )
        if steps < 1:
            raise ConfigError(f"steps is {steps}; give at least 1.")
        if not 0 < temperature < float("inf"):
            raise ConfigError(f"temperature is {temperature}; give more than 0.")
        self.classes, self.several, self.steps = classes, several, steps
        self.hard, self.temperature = hard, temperature
        self.form: Form = LabelSets() if several else OneLabel()
        self.held: tuple[str, ...] = ()
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        # It follows from the records, so it need not be saved.
        self.register_buffer("frequency", frequency.clone(), persistent=False)

    def take_frequency(self, frequency: Tensor) -> None:
        """Hear how frequent the classes are among the labelled records.

        Args:
            frequency: As of ``Task``.
        """
        self.frequency.copy_(frequency)

    def hold(self, name: str, value: Tensor) -> None:
        """Keep a statistic as a persistent buffer.

        Args:
            name: Its name.
            value: What it is before the first step.
        """
        self.register_buffer(name, value)
        self.held += (name,)

    def current(self) -> dict[str, Tensor]:
        """Give the statistics as they are, without the present batch."""
        return {name: self.get_buffer(name) for name in self.held}

    def after(self, logits: Tensor) -> dict[str, Tensor]:
        """Tell what the statistics will be; changes nothing.

        Args:
            logits: ``(M, K)`` of the weak views of all unlabelled rows of the step.

        Returns:
            Name to value; some policies have none.

        Raises:
            ConfigError: If there are too few rows.
        """
        if len(logits) < self.fewest:
            why = ", as one alone has no variance" if self.fewest > 1 else ""
            raise ConfigError(
                f"A step has {len(logits)} unlabelled pictures; {type(self).__name__} needs at"
                f" least {self.fewest}{why}: give a larger batch or share of unlabelled pictures."
            )
        with torch.no_grad():
            return self._after(precise(logits.detach()))

    def _after(self, logits: Tensor) -> dict[str, Tensor]:
        """Compute what ``after`` gives, without gradients."""
        return {}

    @torch.no_grad()
    def commit(self, state: Mapping[str, Tensor]) -> None:
        """Take statistics over, and count the step: called once after each.

        Args:
            state: What ``after`` gave; empty where the step had no unlabelled rows.
        """
        for name, value in state.items():
            self.get_buffer(name).copy_(value)
        self.step += 1

    def judge(
        self, logits: Tensor, state: Mapping[str, Tensor], *, white: Tensor | None = None
    ) -> Judged:
        """Make pseudo-labels.

        Args:
            logits: ``(N, K)`` of weak views.
            state: What ``after`` gave.
            white: ``(1, K)`` or ``(K,)`` logits of a white picture, for policies that need it.

        Returns:
            Pseudo-labels and their weights, without gradients.
        """
        with torch.no_grad():
            logits = precise(logits.detach())
            return self._judge(logits, state, white)

    def _judge(self, logits: Tensor, state: Mapping[str, Tensor], white: Tensor | None) -> Judged:
        """Compute what ``judge`` gives, without gradients."""
        return Judged(self.target(logits), self.weigh(self.form.shares(logits), state))

    def target(self, logits: Tensor) -> Tensor:
        """Give the likeliest labels of weak views, or shares.

        Args:
            logits: ``(N, K)``.

        Returns:
            As ``Judged.target``.
        """
        if self.hard:
            return self.form.guess(logits)
        return self.form.shares(logits / self.temperature)

    def weigh(self, shares: Tensor, state: Mapping[str, Tensor]) -> Tensor:
        """Tell how much each pseudo-label counts.

        Args:
            shares: ``(N, K)`` probabilities.
            state: What ``after`` gave.

        Returns:
            As ``Judged.weight``.
        """
        raise TypeError(f"{type(self).__name__} must define weigh.")

    def unlabelled_loss(
        self, strong: Tensor, judged: Judged, state: Mapping[str, Tensor]
    ) -> Tensor:
        """Compute the loss of pseudo-labels.

        Args:
            strong: ``(N, K)`` logits of the views that are learned on.
            judged: Their pseudo-labels.
            state: What ``after`` gave.

        Returns:
            Scalar, 0 where none counts, not weighted by ``unlabelled_weight`` yet.
        """
        return self.form.loss(strong, judged.target, judged.weight)

    def labelled_loss(self, logits: Tensor, target: Tensor, state: Mapping[str, Tensor]) -> Tensor:
        """Compute the loss of labelled rows.

        Args:
            logits: ``(N, K)``.
            target: ``(N,)`` int64 classes, or ``(N, K)``: 1 has the label, 0 has not, -1 unknown.
            state: What ``after`` gave.

        Returns:
            Scalar.
        """
        return self.form.labelled(logits, target)

    def further_loss(
        self, strong: Tensor, judged: Judged, state: Mapping[str, Tensor]
    ) -> Tensor | None:
        """Compute what else is minimised, times its weight.

        Args:
            strong: ``(N, K)`` logits of the views that are learned on.
            judged: Their pseudo-labels.
            state: What ``after`` gave.

        Returns:
            Scalar, or None where there is nothing else.
        """
        return None

    def correction(
        self, weak: Tensor, strong: Tensor, state: Mapping[str, Tensor]
    ) -> Tensor | None:
        """Compute what is taken from the unlabelled loss.

        Args:
            weak: ``(N, K)`` logits of weak views of labelled rows, of the network that labels.
            strong: ``(N, K)`` logits of their strong views, of the network that learns.
            state: What ``after`` gave.

        Returns:
            Scalar, or None where nothing is.
        """
        return None

    def ready(self) -> bool:
        """Tell whether unlabelled rows count in the present step, after what it warms up in."""
        return self.unlabelled and (not self.warmup_steps or int(self.step) >= self.warmup_steps)


def moved(old: Tensor, new: Tensor, momentum: float) -> Tensor:
    """Move a running mean on by one step: momentum * old + (1 - momentum) * new."""
    return momentum * old.to(new.dtype) + (1 - momentum) * new
