"""What moves the weights of an objective, and which of them go shorter steps."""

from __future__ import annotations

import torch
from torch import nn

from csp_core.config import TrainingConfig
from csp_core.model import TOWERS
from csp_core.objectives import Objective
from csp_core.objectives.base import MODEL

# Key of a group of the optimiser: its part of the learning rate.
PART = "part"
ENCODERS = tuple(f"{MODEL}{tower}." for tower in TOWERS)
Named = list[tuple[str, nn.Parameter]]


def make_optimizer(
    objective: Objective, options: TrainingConfig
) -> tuple[list[str], torch.optim.Optimizer]:
    """Make what moves the weights of an objective.

    Args:
        objective: The objective, its own layers included.
        options: How to train.

    Returns:
        The names of the weights in the optimiser's order, and the optimiser, whose groups say by
        ``PART`` at which part of the learning rate they learn.

    Source:
        Howard and Ruder 2018, Universal Language Model Fine-tuning for Text Classification, for
        shorter steps in layers that have learned before.
    """
    groups: list[tuple[Named, float, float]] = []
    for named, part in _by_rate(objective.named_weights(), options.encoder_rate):
        if options.decay_vectors:
            groups.append((named, part, options.weight_decay))
            continue
        matrices = [(name, weight) for name, weight in named if weight.ndim > 1]
        vectors = [(name, weight) for name, weight in named if weight.ndim < 2]
        groups += [(matrices, part, options.weight_decay), (vectors, part, 0.0)]
    groups = [group for group in groups if group[0]]
    parts = [
        {"params": [w for _, w in named], "weight_decay": decay, PART: part}
        for named, part, decay in groups
    ]
    optimizer = torch.optim.AdamW(parts, lr=options.learning_rate)
    return [name for named, *_ in groups for name, _ in named], optimizer


def _by_rate(named: Named, encoder_rate: float) -> list[tuple[Named, float]]:
    """Tell encoders from the rest, if they learn at another rate."""
    if encoder_rate == 1:
        return [(named, 1.0)]
    encoders = [one for one in named if one[0].startswith(ENCODERS)]
    rest = [one for one in named if not one[0].startswith(ENCODERS)]
    return [(encoders, encoder_rate), (rest, 1.0)]
