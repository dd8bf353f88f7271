"""Thresholds that let each class be as frequent among pseudo-labels as among labels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.losses.consistency import asymmetric_loss
from csp_core.objectives.semisup.checks import check_count
from csp_core.objectives.semisup.policy import Judged, Policy, Task

# A frequency that was rounded to 32 bits moves a quantile by less than this part of a row.
ROUNDED = 1e-2


class CAP(Policy):
    """Class-aware pseudo-labels: quantiles of what the averaged network said of the last records.

    Logits are kept and compared, not probabilities: their order is the same, and they do not become
    equal where the network is sure.

    Args:
        task: As of every policy.
        positive_part: Part of the labels expected of a class that counts as present.
        negative_part: Part of the absences expected of a class that counts as absent.
        queue: How many of the last records are looked at.
        gamma_negative: Power of the loss's focus on absent labels, 0 or at least 1.
        gamma_positive: Power of its focus on labels, 0 or at least 1.
        margin: What the loss takes from the probability of absent labels, in [0, 1).

    Raises:
        ConfigError: If records have one label each, or an option is out of range.

    Source:
        Xie et al. 2023, Class-Distribution-Aware Pseudo Labeling for Semi-Supervised Multi-Label
        Learning; loss of Ridnik et al. 2021.
    """

    several_only = True
    averaged = True

    def __init__(
        self,
        task: Task,
        *,
        positive_part: float = 1.0,
        negative_part: float = 1.0,
        queue: int = 64_000,
        gamma_negative: float = 4.0,
        gamma_positive: float = 1.0,
        margin: float = 0.05,
    ) -> None:
        super().__init__(task)
        for name, part in {"positive": positive_part, "negative": negative_part}.items():
            if not 0 <= part <= 1:
                raise ConfigError(f"{name}_part is {part}; give a part in [0, 1].")
        for name, gamma in {"negative": gamma_negative, "positive": gamma_positive}.items():
            if not (gamma == 0 or 1 <= gamma < float("inf")):
                raise ConfigError(f"gamma_{name} is {gamma}; give 0, or at least 1.")
        if not 0 <= margin < 1:
            raise ConfigError(f"margin is {margin}; give at least 0 and less than 1.")
        self.focus = {
            "gamma_negative": float(gamma_negative),
            "gamma_positive": float(gamma_positive),
            "margin": float(margin),
        }
        self.positive_part, self.negative_part = float(positive_part), float(negative_part)
        size = check_count("queue", queue, 1)
        self.hold("rows", torch.zeros(task.classes, size))
        self.hold("seen", torch.zeros((), dtype=torch.int64))
        for name in self.quantiles():
            self.hold(name, torch.zeros(task.classes))

    def quantiles(self) -> dict[str, Tensor]:
        """Tell which quantiles are the thresholds, ``(K,)`` float64 each on the CPU."""
        rate = self.frequency.double().cpu()
        return {
            "label": 1 - rate,
            "present": 1 - self.positive_part * rate,
            "absent": self.negative_part * (1 - rate),
        }

    def _after(self, logits: Tensor) -> dict[str, Tensor]:
        rows, seen = self.get_buffer("rows").to(logits.dtype, copy=True), self.get_buffer("seen")
        size = rows.shape[1]
        newest = logits[-size:].T
        total = seen + len(logits)
        place = torch.arange(newest.shape[1], device=rows.device) + (total - newest.shape[1])
        rows[:, place % size] = newest
        ordered = ascending(rows[:, : min(int(total), size)])
        found = {name: order_statistic(ordered, q) for name, q in self.quantiles().items()}
        return {"rows": rows, "seen": total, **found}

    def _judge(self, logits: Tensor, state: Mapping[str, Tensor], white: Tensor | None) -> Judged:
        counts = (logits >= state["present"]) | (logits <= state["absent"])
        return Judged((logits >= state["label"]).to(logits.dtype), counts.to(logits.dtype))

    def unlabelled_loss(
        self, strong: Tensor, judged: Judged, state: Mapping[str, Tensor]
    ) -> Tensor:
        """Compute the asymmetric loss, mean over the pseudo-labels that count."""
        return asymmetric_loss(strong, judged.target, judged.weight, **self.focus)

    def labelled_loss(self, logits: Tensor, target: Tensor, state: Mapping[str, Tensor]) -> Tensor:
        """Compute the asymmetric loss, mean over the known entries."""
        return asymmetric_loss(logits, target, (target >= 0).to(logits.dtype), **self.focus)


def ascending(rows: Tensor) -> Tensor:
    """Sort each row from its least value up.

    Args:
        rows: ``(K, n)``.

    Returns:
        ``(K, n)``, on the device of its input.
    """
    if rows.device.type == "cpu":
        # The same order as torch's at a tenth of its time or less.
        return torch.from_numpy(np.sort(rows.numpy(), axis=1))
    return rows.sort(dim=1).values


def order_statistic(ordered: Tensor, quantile: Tensor) -> Tensor:
    """Give a quantile of each row: the value with the number floor(n q), the last one at most.

    Args:
        ordered: ``(K, n)``, each row from its least value up.
        quantile: ``(K,)`` float64 in [0, 1].

    Returns:
        ``(K,)``.
    """
    count = ordered.shape[1]
    number = (count * quantile + ROUNDED).floor().long().clamp(0, count - 1)
    return ordered.gather(1, number.to(ordered.device)[:, None])[:, 0]
