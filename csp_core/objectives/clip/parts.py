"""The parts of the loss of the CLIP family, from what the towers said of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core import losses
from csp_core.objectives.clip.pairs import Alike, Join
from csp_core.objectives.clip.queue import Neighbours
from csp_core.objectives.clip.seen import Seen
from csp_core.objectives.clip.spec import Loss


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of this process, and all of the batch.

    Args:
        own: ``(n, …)``.
        all: ``(N, …)``, the same where there is one process.
        start: Number of the first own row among all.
    """

    own: Tensor
    all: Tensor
    start: int

    @classmethod
    def joined(cls, own: Tensor, join: Join) -> Rows:
        """Join the rows of all processes."""
        everyone, start = join(own)
        return cls(own, everyone, start)


@dataclass(frozen=True, eq=False)
class Compared:
    """Two sides that are compared.

    Args:
        first: Views of one side.
        second: Views of the other.
        alike: What records are to each other beside a record and its own.
        weight: Weight of the pair.
    """

    first: list[Rows]
    second: list[Rows]
    alike: Alike
    weight: float


def whole_part(
    pairs: Mapping[str, Compared],
    scale: float | Tensor,
    *,
    loss: Loss,
    bias: Tensor | None,
    extra: Tensor | None = None,
) -> Tensor:
    """Compare whole embeddings: CLIP's own loss, mean over all pairs of views.

    Args:
        pairs: The pairs of sides.
        scale: What cosines are multiplied by.
        loss: ``softmax`` or ``sigmoid``.
        bias: What is added to them under ``sigmoid``.
        extra: ``(n, C, dim)`` embeddings of places that no image is of, further candidates of the
            images; or None.

    Returns:
        Scalar, the sum over the pairs by their weights.
    """
    total = []
    for name, pair in pairs.items():
        terms = []
        for one in pair.first:
            far = extra if name == "image_place" else None
            beside = None if far is None else F.cosine_similarity(one.own[:, None], far, dim=2)
            for other in pair.second:
                terms.append(_whole(one, other, pair.alike, beside, scale, loss, bias))
        total.append(pair.weight * torch.stack(terms).mean())
    return torch.stack(total).sum()


def _whole(
    one: Rows, other: Rows, alike: Alike, beside: Tensor | None, scale: float | Tensor,
    loss: Loss, bias: Tensor | None,
) -> Tensor:  # fmt: skip
    alone = len(one.all) == len(one.own)
    if loss == "sigmoid":
        assert bias is not None  # the model has one
        return losses.sigmoid_loss(
            one.own, other.own, scale, bias, everyone=None if alone else other.all,
            start=one.start, positives=alike.positives, negative=alike.negative, extra=beside,
        )  # fmt: skip
    return losses.clip_loss(
        one.own, other.own, scale, everyone=None if alone else (one.all, other.all),
        start=one.start, positives=alike.positives, negative=alike.negative, extra=beside,
    )  # fmt: skip


def fine_part(
    pairs: Mapping[str, tuple[str, str]],
    tokens: Mapping[str, tuple[Tensor, Tensor | None]],
    alike: Mapping[str, Alike],
    weights: Mapping[str, float],
    scale: float | Tensor,
    join: Join,
    *,
    keep: int | None,
) -> Tensor:
    """Compare token by token.

    Args:
        pairs: Name to the two sides of each pair.
        tokens: Side to ``(n, M, D)`` tokens and which are real.
        alike: Pair to what records are to each other.
        weights: Pair to weight.
        scale: What cosines are multiplied by.
        join: Joins rows of all processes.
        keep: How many tokens of each are sent to the other side; None for all.

    Returns:
        Scalar, the sum over the pairs by their weights.
    """
    total = []
    for name, (first, second) in pairs.items():
        there, back, start = agreements(tokens[first], tokens[second], join, keep=keep)
        loss = losses.fine_loss(
            there, back, scale, start=start, positives=alike[name].positives,
            negative=alike[name].negative,
        )  # fmt: skip
        total.append(weights[name] * loss)
    return torch.stack(total).sum()


def agreements(
    first: tuple[Tensor, Tensor | None],
    second: tuple[Tensor, Tensor | None],
    join: Join,
    *,
    keep: int | None,
) -> tuple[Tensor, Tensor, int]:
    """Compare the tokens of rows with those of the whole batch, in both directions.

    Args:
        first: ``(n, M, D)`` tokens and which are real.
        second: ``(n, K, D)``, of the other side.
        join: Joins rows of all processes.
        keep: How many tokens of each are compared with all of the other side; None for all.

    Returns:
        ``(n, N)`` of the first side with all of the second, the same the other way round, and the
        number of the first own row.
    """
    (x, xmask), (y, ymask) = first, second
    sent = [(x, xmask), (y, ymask)]
    if keep is not None:
        sent = [
            losses.prune_tokens(x, y, xmask, ymask, keep),
            losses.prune_tokens(y, x, ymask, xmask, keep),
        ]
    (few_x, few_xmask), (few_y, few_ymask) = sent
    everyone, start = join(few_y)
    masks = [None if mask is None else join(mask)[0] for mask in (few_xmask, few_ymask)]
    there = losses.token_agreement(x, everyone, xmask, masks[1])
    back = losses.token_agreement(y, join(few_x)[0], ymask, masks[0])
    return there, back, start


def neighbour_part(
    pairs: Mapping[str, Compared],
    queues: Mapping[str, tuple[Neighbours, Rows]],
    scale: float | Tensor,
    *,
    published: bool,
) -> Tensor:
    """Compare with the nearest of earlier batches in place of the partner.

    Args:
        pairs: The pairs of sides.
        queues: Pair to the queue of its second side, and whose the rows are.
        scale: What cosines are multiplied by.
        published: Whether records with one and the same neighbour are told apart, as released.

    Returns:
        Scalar, the sum over the pairs by their weights.
    """
    total = []
    for name, pair in pairs.items():
        queue, whose = queues[name]
        terms = []
        for other in pair.second:
            near, entry = queue.nearest(other.all, whose.all)
            same = entry[whose.start : whose.start + len(whose.own), None] == entry
            alike = pair.alike
            positives = same if alike.positives is None else same | alike.positives
            for one in pair.first:
                terms.append(
                    losses.neighbour_loss(
                        one.own, near, scale, start=one.start,
                        positives=None if published else positives,
                        negative=None if published else alike.negative,
                    )
                )  # fmt: skip
        total.append(pair.weight * torch.stack(terms).mean())
    return torch.stack(total).sum()


def random_part(
    image: Tensor, place: Tensor, seen: Seen, scale: float | Tensor, weight: Tensor | None,
    number: int,
) -> Tensor:  # fmt: skip
    """Tell the place of an image from places drawn at random, by a softmax of its own.

    Args:
        image: ``(n, dim)``.
        place: ``(n, dim)``.
        seen: What the location tower says; its first ``number`` random places of each record.
        scale: What cosines are multiplied by.
        weight: ``(n, number)`` how much each counts, or None.
        number: Random places of each record.

    Returns:
        Scalar, nats.

    Source:
        Mai et al. 2023, CSP: the random-location part of CSP-MC.
    """
    assert seen.random is not None  # some were drawn
    own = F.cosine_similarity(image, place)[:, None]
    away = F.cosine_similarity(image[:, None], seen.random[:, :number], dim=2)
    if weight is not None:
        weight = torch.cat((torch.ones_like(own), weight), dim=1)
    target = torch.zeros(len(own), dtype=torch.int64, device=own.device)
    return losses.info_nce(
        scale * torch.cat((own, away), dim=1), target, temperature=1.0, weight=weight
    )
