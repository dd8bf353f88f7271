"""Losses between two descriptions of the same thing, such as an image and its place or caption."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.losses.contrastive import similarities
from csp_core.losses.dense import cosine_match

# Stands for minus infinity where a difference of two infinities would be no number.
NEVER = -1e30
# Where there is nothing to guess.
IGNORED = -100


def match_loss(
    logits: Tensor,
    target: Tensor,
    *,
    positives: Tensor | None = None,
    negative: Tensor | None = None,
    extra: Tensor | None = None,
) -> Tensor:
    """Find the partner among the candidates, where several may be right.

    Each right candidate is found among itself and those that are wrong, so that none of them is
    pushed away: two pictures of one place in a batch do not repel each other.

    Args:
        logits: ``(N, M)``, each row one anchor against its candidates.
        target: ``(N,)`` int64, the column of each row's partner.
        positives: ``(N, M)`` bool, which candidates are right beside the partner; None for no
            others.
        negative: ``(N, M)`` at least 0, how much a wrong candidate counts in the sum of the
            softmax; all 1 if None.
        extra: ``(N, C)`` logits of further candidates of each row, all wrong; or None.

    Returns:
        Scalar, nats: mean over each row's right candidates, then over N.
    """
    if positives is None and negative is None:
        joined = logits if extra is None else torch.cat((logits, extra), dim=1)
        return F.cross_entropy(joined, target)
    right = torch.zeros_like(logits, dtype=torch.bool) if positives is None else positives
    right = right.scatter(1, target[:, None], True)
    wrong = logits if negative is None else logits + negative.log().clamp_min(NEVER)
    wrong = wrong.masked_fill(right, NEVER)
    if extra is not None:
        wrong = torch.cat((wrong, extra), dim=1)
    against = wrong.logsumexp(dim=1, keepdim=True)
    terms = F.softplus(against - logits).masked_fill(~right, 0.0)
    return (terms.sum(dim=1) / right.sum(dim=1)).mean()


def clip_loss(
    first: Tensor,
    second: Tensor,
    scale: float | Tensor,
    *,
    everyone: tuple[Tensor, Tensor] | None = None,
    start: int = 0,
    positives: Tensor | None = None,
    negative: Tensor | None = None,
    extra: Tensor | None = None,
) -> Tensor:
    """Find each one's partner among those of the batch, in both directions.

    Args:
        first: ``(N, D)`` embeddings.
        second: ``(N, D)`` embeddings of the same things by another description.
        scale: What the cosines are multiplied by, above 0.
        everyone: ``(M, D)`` of either kind, all of the batch where these are some rows of it; None
            where these are all.
        start: Row of the batch that is the first of these.
        positives: See ``match_loss``; what is the same has no direction, so it serves both.
        negative: See ``match_loss``, likewise.
        extra: ``(N, C)`` cosines of ``first`` with further candidates, all wrong; or None.

    Returns:
        Scalar, nats, mean over N and over the two directions; log M where all cosines are equal.

    Source:
        Radford et al. 2021, CLIP.

    Example:
        >>> pairs = torch.eye(4, dtype=torch.float64)
        >>> round(clip_loss(pairs, pairs, 0.0).item(), 6)  # log 4
        1.386294
    """
    firsts, seconds = everyone or (first, second)
    target = torch.arange(start, start + len(first), device=first.device)
    there = scale * similarities(first, seconds)
    back = there.mT if everyone is None else scale * similarities(second, firsts)
    beside = None if extra is None else scale * extra
    same = {"positives": positives, "negative": negative}
    terms = (match_loss(there, target, extra=beside, **same), match_loss(back, target, **same))
    return torch.stack(terms).mean()


def sigmoid_loss(
    first: Tensor,
    second: Tensor,
    scale: float | Tensor,
    bias: float | Tensor,
    *,
    everyone: Tensor | None = None,
    start: int = 0,
    positives: Tensor | None = None,
    negative: Tensor | None = None,
    extra: Tensor | None = None,
) -> Tensor:
    """Decide of each pair by itself whether the two belong together.

    Args:
        first: ``(N, D)`` embeddings.
        second: ``(N, D)`` embeddings of the same things by another description.
        scale: What the cosines are multiplied by, above 0.
        bias: What is added to them; below 0, as most pairs are wrong.
        everyone: ``(M, D)``, all of the second kind where these are some rows of a batch.
        start: Row of the batch that is the first of these.
        positives: ``(N, M)`` bool, which pairs belong together beside a row and its partner; None
            for no others.
        negative: ``(N, M)`` at least 0, how much a wrong pair counts; all 1 if None.
        extra: ``(N, C)`` cosines of ``first`` with further candidates, all wrong; or None.

    Returns:
        Scalar, nats: the sum over a row's pairs, mean over N.

    Source:
        Zhai et al. 2023, SigLIP.
    """
    logits = scale * similarities(first, second if everyone is None else everyone) + bias
    target = torch.arange(start, start + len(first), device=first.device)[:, None]
    right = torch.zeros_like(logits, dtype=torch.bool) if positives is None else positives
    right = right.scatter(1, target, True)
    terms = F.softplus(torch.where(right, -logits, logits))
    if negative is not None:
        terms = terms * torch.where(right, 1.0, negative.to(terms.dtype))
    total = terms.sum(dim=1)
    if extra is not None:
        total = total + F.softplus(scale * extra + bias).sum(dim=1)
    return total.mean()


def simsiam(prediction: Tensor, target: Tensor, other: Tensor, other_target: Tensor) -> Tensor:
    """Predict each of two views from the other, without negatives.

    Args:
        prediction: ``(N, D)`` what is predicted from the first views.
        target: ``(N, D)`` projections of the first views, which get no gradient.
        other: ``(N, D)`` what is predicted from the second views.
        other_target: ``(N, D)`` their projections, which get none either.

    Returns:
        Scalar in [-1, 1].

    Source:
        Chen & He 2021, SimSiam.
    """
    return (cosine_match(prediction, other_target) + cosine_match(other, target)) / 2


def neighbour_loss(
    embedding: Tensor,
    neighbours: Tensor,
    scale: float | Tensor,
    *,
    start: int = 0,
    positives: Tensor | None = None,
    negative: Tensor | None = None,
) -> Tensor:
    """Find what is nearest to the partner, in place of the partner itself.

    Args:
        embedding: ``(N, D)`` of one kind.
        neighbours: ``(M, D)`` of the other kind: the nearest to each row's partner of the batch.
        scale: What the cosines are multiplied by, above 0.
        start: Row of the batch that is the first of these.
        positives: See ``match_loss``.
        negative: See ``match_loss``.

    Returns:
        Scalar, nats, mean over N: one direction alone, as it was released.

    Source:
        Li et al. 2022, DeCLIP.
    """
    target = torch.arange(start, start + len(embedding), device=embedding.device)
    logits = scale * similarities(embedding, neighbours.detach())
    return match_loss(logits, target, positives=positives, negative=negative)


def masked_token_loss(
    logits: Tensor, target: Tensor, *, count: float | Tensor | None = None
) -> Tensor:
    """Guess the tokens that were hidden.

    Args:
        logits: ``(N, L, V)``, or those ``(K, V)`` that are asked for.
        target: ``(N, L)`` or ``(K,)`` int64 tokens, -100 where there is nothing to guess.
        count: What the sum is divided by; the number of tokens to guess if None.

    Returns:
        Scalar, nats; 0 where there is nothing to guess.

    Source:
        Devlin et al. 2019, BERT.
    """
    total = F.cross_entropy(
        logits.flatten(0, -2), target.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    number = (target != IGNORED).sum() if count is None else torch.as_tensor(count)
    return total / number.to(total.device).clamp_min(1e-9)


def masked_value_loss(
    prediction: Tensor, value: Tensor, chosen: Tensor, *, count: float | Tensor | None = None
) -> Tensor:
    """Guess the values that were hidden, such as the features of a place at some scale.

    Args:
        prediction: ``(N, S, F)``.
        value: ``(N, S, F)``.
        chosen: ``(N, S)`` bool, which of them are to be guessed.
        count: What the sum over them is divided by; their number if None.

    Returns:
        Scalar: squared error, mean over what is to be guessed and over F; 0 where there is nothing.
    """
    errors = (prediction - value.detach()).square().mean(dim=2)
    total = (errors * chosen).sum()
    number = chosen.sum() if count is None else torch.as_tensor(count)
    return total / number.to(total.device).clamp_min(1e-9)
