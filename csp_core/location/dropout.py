"""Dropout whose masks cost little on a processor."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# A mask is drawn in whole numbers of 16 bits, four of them from one of 64.
LEVELS = 1 << 16


class Dropout(nn.Dropout):
    """Dropout that compares 16 random bits a number with the rate, where torch draws a float.

    On a processor torch's own masks are a fifth of a step of pre-training; these take a fifth of
    that. The rate is rounded to a multiple of 2^-16, and what stays is scaled by the rounded one,
    so that means are kept exactly. Elsewhere, and outside of training, it is torch's dropout.

    Args:
        p: Share of the values to drop, in [0, 1).

    Example:
        >>> kept = Dropout(0.25)(torch.ones(100_000))
        >>> sorted({round(value, 4) for value in kept.unique().tolist()})
        [0.0, 1.3333]
    """

    def forward(self, values: Tensor) -> Tensor:
        """Drop some values and scale the others up.

        Args:
            values: Of any shape.

        Returns:
            The same shape; the values themselves in evaluation.
        """
        dropped = round(self.p * LEVELS)
        if not self.training or values.device.type != "cpu" or not 0 < dropped < LEVELS:
            result: Tensor = super().forward(values)
            return result
        bits = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        # As signed numbers of 16 bits they go from -LEVELS / 2 up.
        level = bits.view(torch.int16)[: values.numel()].view(values.shape)
        kept = (level >= dropped - LEVELS // 2).to(values.dtype)
        return values * kept.mul_(LEVELS / (LEVELS - dropped))
