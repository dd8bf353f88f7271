"""A linear classifier through few numbers, for many classes in little space."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Of the mean square of the embedding's numbers: keeps what never lights up invertible.
RIDGE = 1e-4


class LowRank(nn.Module):
    """A linear layer whose matrix is the product of two narrow ones.

    For thousands of classes this takes a fraction of the space. It can start from a full layer.

    Args:
        dim: Size of the embedding.
        classes: Number of classes K.
        rank: Numbers between the two matrices.
        bias: Whether there is a bias.
    """

    def __init__(self, dim: int, classes: int, rank: int, *, bias: bool = True) -> None:
        super().__init__()
        self.down = nn.Linear(dim, rank, bias=False)
        self.up = nn.Linear(rank, classes, bias=bias)

    def forward(self, embedding: Tensor) -> Tensor:
        """Score every class.

        Args:
            embedding: ``(N, dim)``.

        Returns:
            ``(N, K)`` logits.
        """
        logits: Tensor = self.up(self.down(embedding))
        return logits

    @property
    def weight(self) -> Tensor:
        """The matrix of the full layer that this one is, ``(K, dim)``."""
        return self.up.weight @ self.down.weight

    @property
    def bias(self) -> Tensor | None:
        """``(K,)``, or None."""
        return self.up.bias

    @torch.no_grad()
    def approximate(self, weight: Tensor, bias: Tensor | None, embedding: Tensor) -> None:
        """Become what is nearest to a full layer on given embeddings.

        Of all matrices of this rank, the one whose logits there differ least in the mean square.

        Args:
            weight: ``(K, dim)`` of the full layer.
            bias: ``(K,)``, or None.
            embedding: ``(N, dim)`` that the layer is usually given.

        Source:
            Eckart & Young 1936, on the matrix times a root of the embeddings' second moments.

        Example:
            >>> full, few = nn.Linear(4, 9), LowRank(4, 9, rank=4)
            >>> seen = torch.randn(50, 4)
            >>> few.approximate(full.weight, full.bias, seen)
            >>> bool((few(seen) - full(seen)).abs().max() < 1e-3)
            True
        """
        seen, full = embedding.double(), weight.double()
        moment = seen.T @ seen / max(1, len(seen))
        size = moment.diagonal().mean().clamp_min(1e-12)
        moment += RIDGE * size * torch.eye(len(moment), dtype=moment.dtype, device=moment.device)
        root = torch.linalg.cholesky(moment)
        left, sizes, right = torch.linalg.svd(full @ root, full_matrices=False)
        rank = min(self.up.in_features, len(sizes))
        even = sizes[:rank].sqrt()
        down = torch.linalg.solve_triangular(root, right[:rank], upper=False, left=False)
        self.up.weight.zero_()
        self.down.weight.zero_()
        self.up.weight[:, :rank] = (left[:, :rank] * even).to(self.up.weight)
        self.down.weight[:rank] = (even[:, None] * down).to(self.down.weight)
        if self.up.bias is not None:
            self.up.bias.copy_(torch.zeros(len(weight)) if bias is None else bias)


@torch.no_grad()
def rows_of(layer: nn.Linear | LowRank, labels: Tensor) -> nn.Linear | LowRank:
    """Make a classifier of some classes of another.

    Args:
        layer: The other.
        labels: ``(M,)`` int64 its classes to keep.

    Returns:
        A classifier that scores these, in that order, as the other does.
    """
    last = layer.up if isinstance(layer, LowRank) else layer
    few = nn.Linear(last.in_features, len(labels), bias=last.bias is not None)
    few.weight.copy_(last.weight[labels])
    if last.bias is not None:
        few.bias.copy_(last.bias[labels])
    if not isinstance(layer, LowRank):
        return few
    narrow = LowRank(layer.down.in_features, len(labels), layer.down.out_features)
    narrow.down, narrow.up = layer.down, few
    return narrow


def make_classifier(dim: int, classes: int, *, bias: bool, rank: int = 0) -> nn.Linear | LowRank:
    """Make a linear classifier of embeddings.

    Args:
        dim: Size of the embedding.
        classes: Number of classes K.
        bias: Whether it has one.
        rank: Numbers that it goes through, 0 for none between.

    Returns:
        The layer.
    """
    if rank:
        return LowRank(dim, classes, rank, bias=bias)
    return nn.Linear(dim, classes, bias=bias)
