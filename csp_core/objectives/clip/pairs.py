"""Which records of a batch are right, or not wrong, for each other, and how often one is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from csp_core import losses
from csp_core.augment.views import DAYS
from csp_core.data.batch import Batch

Join = Callable[[Tensor], tuple[Tensor, int]]
RECALL_AT = 10


@dataclass(frozen=True, eq=False)
class Alike:
    """What records of this process and those of the batch are to each other.

    Args:
        positives: ``(n, N)`` bool, pairs that are right beside a record and its own; or None.
        negative: ``(n, N)`` weights of wrong pairs, 0 for those that may be right; or None.
    """

    positives: Tensor | None = None
    negative: Tensor | None = None


def near_weight(
    batch: Batch, join: Join, *, mask_km: float, mask_days: float | None
) -> Tensor | None:
    """Weigh wrong pairs by distance: two records of one place are not told apart.

    Args:
        batch: ``exact`` ``(n, 2)`` degrees and ``exact_date``, as they were recorded.
        join: Joins rows of all processes.
        mask_km: Records closer than this are no negatives of each other; 0 for no such rule.
        mask_days: Of those, only records whose days of the year differ by less; None for all. An
            unknown date may be any.

    Returns:
        ``(n, N)`` float32, 0 or 1; None where there is no rule.
    """
    if mask_km == 0:
        return None
    exact = batch["exact"]
    weight = losses.negative_weight(exact, join(exact)[0], mask_km=mask_km)
    if mask_days is None or "exact_date" not in batch:
        return weight
    date = batch["exact_date"]
    apart = (date[:, None] - join(date)[0]).abs()
    days = DAYS * torch.minimum(apart, 1 - apart)
    return torch.where(days >= mask_days, 1.0, weight)


def same_caption(batch: Batch, join: Join) -> Tensor | None:
    """Tell which records have the same caption.

    Args:
        batch: ``caption`` ``(n,)`` numbers of captions, if there are any.
        join: Joins rows of all processes.

    Returns:
        ``(n, N)`` bool, or None.
    """
    if "caption" not in batch:
        return None
    own = batch["caption"]
    return own[:, None] == join(own)[0]


def retrieval(similarity: Tensor, alike: Alike) -> dict[str, Tensor]:
    """Tell how near partners are, and how often one is among the first ten.

    Args:
        similarity: ``(N, N)``, each row one anchor against all; its partner on the diagonal.
        alike: What is right beside it; what is not wrong is left out.

    Returns:
        ``alignment``, the mean similarity of partners, and ``recall_at_10``.
    """
    right = torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    own = similarity.diagonal()
    wrong = ~right if alike.positives is None else ~(right | alike.positives)
    if alike.negative is not None:
        wrong = wrong & (alike.negative > 0)
    # The nearest of what is right counts.
    best = own
    if alike.positives is not None:
        best = similarity.masked_fill(~(right | alike.positives), -torch.inf).amax(dim=1)
    nearer = ((similarity > best[:, None]) & wrong).sum(dim=1)
    # Equal similarities share the middle of their ranks.
    ties = ((similarity == best[:, None]) & wrong).sum(dim=1)
    recall = (1 + nearer + 0.5 * ties <= RECALL_AT).float().mean()
    return {"alignment": own.mean(), f"recall_at_{RECALL_AT}": recall}
