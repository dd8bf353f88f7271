"""Numbers that are no longer finite: nothing of them is saved, so that a run can be resumed."""

from __future__ import annotations

import torch
from torch import nn

from csp_core.errors import DivergedError


def diverged(what: str, epoch: int, learning_rate: float) -> DivergedError:
    """Make the error of a run that has diverged.

    Args:
        what: What became what.
        epoch: The epoch in which it did, from 1.
        learning_rate: As it is configured.

    Returns:
        The error, which says what to lower.
    """
    return DivergedError(
        f"The {what} in epoch {epoch}. Lower training.learning_rate (now {learning_rate:g})."
    )


def check_weights(network: nn.Module, epoch: int, learning_rate: float) -> None:
    """Make sure that the weights are finite; a step may spoil them without a loss that tells of it.

    Args:
        network: What trains.
        epoch: The epoch under way, from 1.
        learning_rate: As it is configured.

    Raises:
        DivergedError: If they are not.
    """
    finite = torch.stack([weight.isfinite().all() for weight in network.parameters()])
    if not finite.all():
        raise diverged("weights became infinite", epoch, learning_rate)
