"""Comparing things token by token: each token with the most similar one of the other side."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.losses.captions import NEVER, match_loss
from csp_core.losses.contrastive import similarities

# Cosines that are computed at a time, which take 128 MiB.
AT_ONCE = 1 << 25


def token_agreement(
    tokens: Tensor,
    others: Tensor,
    mask: Tensor | None = None,
    others_mask: Tensor | None = None,
    *,
    chunk: int = 64,
) -> Tensor:
    """Measure how well each token of one finds a like in the other: mean over own, best of others.

    Args:
        tokens: ``(B, N, D)``.
        others: ``(C, M, D)``.
        mask: ``(B, N)`` bool, which tokens are real; None for all.
        others_mask: ``(C, M)``, likewise.
        chunk: How many of the others are compared at a time, at most; fewer where there are many
            tokens, which bounds the memory.

    Returns:
        ``(B, C)`` means of the best cosines, in [-1, 1]; 0 where either has no token.
    """
    unit, found = F.normalize(tokens, dim=-1), []
    each = tokens.shape[0] * tokens.shape[1] * others.shape[1]
    chunk = max(1, min(chunk, AT_ONCE // max(1, each)))
    for at in range(0, len(others), chunk):
        part = F.normalize(others[at : at + chunk], dim=-1)
        there = None if others_mask is None else others_mask[at : at + chunk]
        best = _best(torch.einsum("bnd,cmd->bcnm", unit, part), there)
        found.append(_mean(best, mask))
    return torch.cat(found, dim=1)


def late_interaction(
    x: Tensor,
    y: Tensor,
    xmask: Tensor | None = None,
    ymask: Tensor | None = None,
    *,
    chunk: int = 64,
) -> tuple[Tensor, Tensor]:
    """Compare things token by token, in both directions, which do not agree in general.

    Args:
        x: ``(B, N, D)`` tokens.
        y: ``(C, M, D)`` tokens.
        xmask: ``(B, N)`` bool, which tokens are real; None for all.
        ymask: ``(C, M)``, likewise.
        chunk: How many of ``y`` are compared at a time, which bounds the memory.

    Returns:
        ``(B, C)``, the mean over tokens of ``x`` of the best cosine among those of ``y``, and
        ``(C, B)``, the other way round; 0 where either has no token.

    Source:
        Yao et al. 2022, FILIP, eq. 4 and 5; padding is left out, which the released code counts.
    """
    return (
        token_agreement(x, y, xmask, ymask, chunk=chunk),
        token_agreement(y, x, ymask, xmask, chunk=chunk),
    )


def prune_tokens(
    tokens: Tensor,
    partner: Tensor,
    mask: Tensor | None,
    partner_mask: Tensor | None,
    keep: int,
) -> tuple[Tensor, Tensor | None]:
    """Keep the tokens that agree best with those of the partner.

    Args:
        tokens: ``(B, N, D)``.
        partner: ``(B, M, D)`` tokens of each one's partner.
        mask: ``(B, N)`` bool, which tokens are real; None for all.
        partner_mask: ``(B, M)``, likewise.
        keep: How many are kept; all where there are no more.

    Returns:
        ``(B, keep, D)`` tokens with the largest sums of cosines, and which of them are real.

    Source:
        Cui et al. 2022, the released FILIP.
    """
    if keep >= tokens.shape[1]:
        return tokens, mask
    with torch.no_grad():
        agree = similarities(tokens, partner)
        if partner_mask is not None:
            agree = agree * partner_mask[:, None]
        total = agree.sum(dim=2)
        if mask is not None:
            total = total.masked_fill(~mask, NEVER)
        best = total.topk(keep, dim=1).indices
    kept = tokens.gather(1, best[..., None].expand(-1, -1, tokens.shape[2]))
    return kept, None if mask is None else mask.gather(1, best)


def fine_loss(
    there: Tensor,
    back: Tensor,
    scale: float | Tensor,
    *,
    start: int = 0,
    positives: Tensor | None = None,
    negative: Tensor | None = None,
) -> Tensor:
    """Find each one's partner by their tokens, in both directions.

    Args:
        there: ``(N, M)`` as ``token_agreement`` gives it, of rows with all of the other kind.
        back: ``(N, M)``, the same of the other kind's rows.
        scale: What they are multiplied by, above 0.
        start: Row of the batch that is the first of these.
        positives: See ``match_loss``.
        negative: See ``match_loss``.

    Returns:
        Scalar, nats, mean over N and over the two directions.

    Source:
        Yao et al. 2022, FILIP.
    """
    target = torch.arange(start, start + len(there), device=there.device)
    terms = [
        match_loss(scale * some, target, positives=positives, negative=negative)
        for some in (there, back)
    ]
    return torch.stack(terms).mean()


def _best(similarity: Tensor, there: Tensor | None) -> Tensor:
    """Take the best cosine of each token, ``(B, C, N, M)`` → ``(B, C, N)``."""
    if there is None:
        # Of a maximum by position only the position is kept for the gradient.
        return similarity.max(dim=3).values
    best = similarity.masked_fill(~there[None, :, None], NEVER).max(dim=3).values
    return torch.where(there.any(dim=1)[None, :, None], best, 0.0)


def _mean(best: Tensor, mask: Tensor | None) -> Tensor:
    """Average over the real tokens, ``(B, C, N)`` → ``(B, C)``."""
    if mask is None:
        return best.mean(dim=2)
    kept = mask.to(best.dtype)[:, None]
    return (best * kept).sum(dim=2) / kept.sum(dim=2).clamp_min(1)
