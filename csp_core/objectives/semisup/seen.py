"""What a network says of the views of a step, and the loss that it gets for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from csp_core.losses import binary_cross_entropy, class_cross_entropy
from csp_core.objectives.semisup.policy import Judged, Policy


@dataclass(frozen=True)
class Seen:
    """What a network says of the views that it learns from; rows of all processes.

    Args:
        labelled: ``(N, K)`` logits of the weak views of labelled rows.
        strong: ``(N, K)`` of their strong views, or None.
        unlabelled: ``(M, K)`` of the unlabelled rows' views, or None.
        token: ``(n, D)`` what has become of the further token, of this process's rows, or None.
    """

    labelled: Tensor
    strong: Tensor | None
    unlabelled: Tensor | None
    token: Tensor | None


def network_loss(
    policy: Policy,
    seen: Seen,
    by: Seen,
    target: Tensor,
    judged: Judged | None,
    state: Mapping[str, Tensor],
    *,
    weight: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the loss of one network.

    Args:
        policy: Which pseudo-labels count.
        seen: What the network says of the views.
        by: What the network says that made the pseudo-labels, which may be the same.
        target: ``(N,)`` labels or ``(N, K)`` label sets of the labelled rows.
        judged: The pseudo-labels; None where unlabelled rows do not count.
        state: Statistics of the policy.
        weight: Weight of the unlabelled part.

    Returns:
        The loss, and its parts ``labelled`` and ``unlabelled``.
    """
    views = [seen.labelled] if seen.strong is None else [seen.labelled, seen.strong]
    terms = [policy.labelled_loss(logits, target, state) for logits in views]
    parts = {"labelled": torch.stack(terms).mean()}
    total = parts["labelled"]
    if judged is None or seen.unlabelled is None:
        return total, parts
    parts["unlabelled"] = policy.unlabelled_loss(seen.unlabelled, judged, state)
    total = total + weight * parts["unlabelled"]
    if seen.strong is not None:
        taken = policy.correction(by.labelled, seen.strong, state)
        total = total if taken is None else total - weight * taken
    further = policy.further_loss(seen.unlabelled, judged, state)
    return (total if further is None else total + further), parts


def plain_loss(logits: Tensor, target: Tensor, *, several: bool) -> Tensor:
    """Compute what is measured: the cross-entropy of what is known, without anything of a method.

    Args:
        logits: ``(N, K)``.
        target: ``(N,)`` labels, -1 where unknown, or ``(N, K)`` label sets.
        several: Which of these.

    Returns:
        Scalar, nats.
    """
    if several:
        return binary_cross_entropy(logits, target)
    known = target >= 0
    return class_cross_entropy(logits[known], target[known]) if known.any() else logits.sum() * 0.0
