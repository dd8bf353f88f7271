"""Second views of a place and of a row of tokens, and what is hidden of either to be guessed."""

from __future__ import annotations

import torch
from torch import Tensor

from csp_core import geo

# What is asked for: hidden, that of another in its place, or as it is.
KEPT, HIDDEN, SWAPPED, ASKED = 0, 1, 2, 3
# Of what is asked for, this part is hidden, and this part of another; the rest stays as it is.
HIDE, SWAP = 0.8, 0.1
DAYS = 365.25
# Where there is nothing to guess; the losses leave it out.
IGNORED = -100


def scatter_places(lonlat: Tensor, low: float, high: float, uniform: Tensor) -> Tensor:
    """Move places by a Gaussian on the sphere, whose width differs from place to place.

    Args:
        lonlat: ``(N, 2)`` degrees, NaN where unknown.
        low: Least standard deviation along each of two directions, km, above 0.
        high: Greatest; between them it is uniform in its logarithm.
        uniform: ``(N, 3)`` numbers in [0, 1).

    Returns:
        ``(N, 2)`` degrees, NaN where they were.
    """
    sigma = low * (high / low) ** uniform[:, 0]
    return geo.jitter(lonlat, sigma, uniform[:, 1:])


def shift_dates(date: Tensor, days: float, uniform: Tensor) -> Tensor:
    """Move dates by some days, over the end of the year too.

    Args:
        date: ``(N,)`` parts of the year in [0, 1), NaN where unknown.
        days: Farthest either way.
        uniform: ``(N,)`` numbers in [0, 1).

    Returns:
        ``(N,)`` parts of the year in [0, 1).
    """
    moved = (date + (2 * uniform - 1) * days / DAYS) % 1.0
    # What lies a rounding below 0 is carried to 1 itself.
    return torch.where(moved == 1.0, 0.0, moved)


def forget(values: Tensor, share: float, uniform: Tensor) -> Tensor:
    """Forget some of the values, such as dates.

    Args:
        values: ``(N,)``.
        share: Part that is forgotten, in [0, 1].
        uniform: ``(N,)`` numbers in [0, 1).

    Returns:
        ``(N,)``, NaN where forgotten.
    """
    return values.masked_fill(uniform < share, torch.nan)


def hide_scales(share: float, uniform: Tensor) -> Tensor:
    """Choose the scales of a place that are to be guessed from the others.

    Args:
        share: Part that is chosen, in [0, 1].
        uniform: ``(N, S, 2)`` numbers in [0, 1).

    Returns:
        ``(N, S)`` int64: ``KEPT``, or of what is chosen in 8 cases of 10 ``HIDDEN``, in one
        ``SWAPPED`` and in one ``ASKED``.

    Source:
        The rule of Devlin et al. 2019, BERT.
    """
    kind = torch.full(uniform.shape[:2], HIDDEN)
    kind[uniform[..., 1] >= HIDE] = SWAPPED
    kind[uniform[..., 1] >= HIDE + SWAP] = ASKED
    return kind.masked_fill(uniform[..., 0] >= share, KEPT)


def hide_tokens(
    tokens: Tensor,
    share: float,
    uniform: Tensor,
    *,
    specials: tuple[int, ...],
    mask: int,
    vocabulary: int,
    real: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Choose the tokens that are to be guessed from the others, and hide most of them.

    Args:
        tokens: ``(N, L)`` int64.
        share: Part of the tokens that is chosen, in [0, 1]; specials never are.
        uniform: ``(N, L, 3)`` numbers in [0, 1).
        specials: Tokens that stand for no part of a text.
        mask: The token that hides.
        vocabulary: Number of tokens there are.
        real: ``(N, L)`` bool, which tokens are no padding, where padding has the number of a piece;
            None where it has one of its own, which is among the specials.

    Returns:
        ``(N, L)`` int64 of what is seen, in which 8 of 10 chosen ones are hidden, one is any other
        token and one as it was; and ``(N, L)`` int64 of what is to be guessed, -100 elsewhere.

    Source:
        Devlin et al. 2019, BERT.
    """
    never = torch.tensor(specials, device=tokens.device)
    chosen = (uniform[..., 0] < share) & ~torch.isin(tokens, never)
    chosen = chosen if real is None else chosen & real
    words = torch.arange(vocabulary, device=tokens.device)
    words = words[~torch.isin(words, never)]
    any_word = words[(uniform[..., 2] * len(words)).long().clamp_max(len(words) - 1)]
    seen = torch.where(chosen & (uniform[..., 1] < HIDE), mask, tokens)
    swapped = chosen & (uniform[..., 1] >= HIDE) & (uniform[..., 1] < HIDE + SWAP)
    return torch.where(swapped, any_word, seen), torch.where(chosen, tokens, IGNORED)
