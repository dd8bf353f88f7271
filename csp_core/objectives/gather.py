"""Rows that all processes hold, joined with their gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


class _Gather(torch.autograd.Function):
    """Rows of all processes, one below the other; gradients go back to where the rows came from."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.number = len(rows)
        parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # Each process's loss pulls at all rows, so what it asks of a row is summed up. The copy
        # keeps the sum out of a gradient that others may read.
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        start = ctx.number * distributed.get_rank()
        return total[start : start + ctx.number]


def gather_rows(rows: Tensor) -> tuple[Tensor, int]:
    """Join the rows that all processes hold of a global batch, with gradients.

    Each process then computes the loss of its own rows against all; the mean of these losses over
    the processes, and of their gradients, is that of one process with the whole batch.

    Args:
        rows: ``(n, …)``, as many in every process.

    Returns:
        ``(N, …)`` rows in the order of the global batch, and the number of the first own one; the
        rows themselves and 0 where there is one process.
    """
    several = distributed.is_available() and distributed.is_initialized()
    if not several or distributed.get_world_size() == 1:
        return rows, 0
    joined: Tensor = _Gather.apply(rows)
    return joined, len(rows) * distributed.get_rank()
