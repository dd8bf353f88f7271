"""The two terms of every binary loss, -log p and -log (1 - p), exact or as published."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-5


def presence_term(logits: Tensor, exact: bool) -> Tensor:
    """Compute -log p for p the sigmoid of a logit.

    Args:
        logits: Of any shape.
        exact: Use log-sigmoid; otherwise the published -log(p + 1e-5), which saturates at 11.51.

    Returns:
        The terms, of the same shape, at least 0 (-1e-5 as published).
    """
    return -F.logsigmoid(logits) if exact else -(logits.sigmoid() + EPSILON).log()


def absence_term(logits: Tensor, exact: bool) -> Tensor:
    """Compute -log(1 - p) for p the sigmoid of a logit.

    Args:
        logits: Of any shape.
        exact: Use log-sigmoid; otherwise the published -log(1 - p + 1e-5).

    Returns:
        The terms, of the same shape, at least 0 (-1e-5 as published).
    """
    return -F.logsigmoid(-logits) if exact else -(1 - logits.sigmoid() + EPSILON).log()
