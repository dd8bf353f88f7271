"""A linear classifier of fine classes, summed up to the coarser ones that a model answers with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError

# The class of what a classifier knows and its model does not name.
REST = "something else"


class Grouped(nn.Module):
    """A linear layer over fine classes, whose probabilities are summed up by groups.

    The softmax over the groups is the sum, group by group, of the softmax over the fine classes.

    Args:
        dim: Size of the embedding.
        fine: Number of fine classes.
        classes: Number of groups K.
    """

    group: Tensor

    def __init__(self, dim: int, fine: int, classes: int) -> None:
        super().__init__()
        self.fine, self.classes = nn.Linear(dim, fine), classes
        self.register_buffer("group", torch.arange(fine) % classes)

    def forward(self, embedding: Tensor) -> Tensor:
        """Score every group.

        Args:
            embedding: ``(N, dim)``.

        Returns:
            ``(N, K)`` logits.
        """
        return group_logits(self.fine(embedding), self.group, self.classes)

    def check(self) -> None:
        """Check that each fine class is in a group, and each group has one.

        Raises:
            ConfigError: If not.
        """
        if sorted(set(self.group.tolist())) != list(range(self.classes)):
            raise ConfigError(
                f"the fine classes are not summed up to the {self.classes} classes of the model"
            )


def group_logits(logits: Tensor, group: Tensor, classes: int) -> Tensor:
    """Sum up classes by groups, in logarithms.

    Args:
        logits: ``(N, F)``.
        group: ``(F,)`` int64 group of each, from 0 to K - 1, each of which occurs.
        classes: Number of groups K.

    Returns:
        ``(N, K)`` log-sum-exp over each group.

    Example:
        >>> group_logits(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([0, 1, 0]), 2)
        tensor([[3.1269, 2.0000]])
    """
    # By the shape, which a file of traced operators takes from what it is given.
    rows = logits.shape[0]
    at = group.expand(rows, -1)
    empty = logits.new_full((rows, classes), -torch.inf)
    # The largest of each group is taken off, so that no group underflows beside another.
    most = empty.scatter_reduce(1, at, logits.detach(), "amax")
    parts = (logits - most.gather(1, at)).exp()
    return torch.zeros_like(empty).scatter_add(1, at, parts).log() + most
