"""Formulas of learning from few labels: losses on pseudo-labels, and what such labels weigh.

Logits may have any kind of float; those of 16 bits are computed with in 32. Means are over all
rows or entries given: one that does not count adds 0 and is counted all the same.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.errors import ConfigError

# Published: beside shares in a logarithm, and beside shares that divide.
LOG_EPSILON, SHARE_EPSILON = 1e-12, 1e-6


def precise(values: Tensor) -> Tensor:
    """Give floats of 16 bits, as mixed precision makes them, in 32; others as they are.

    Args:
        values: Of any shape.

    Returns:
        The same shape.
    """
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def weighted_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Softmax cross-entropy of pseudo-labels, each with its weight.

    Args:
        logits: ``(N, K)``.
        target: ``(N,)`` int64, or ``(N, K)`` whose rows sum to 1.
        weight: ``(N,)``, 0 where a pseudo-label does not count.

    Returns:
        Scalar, nats, mean over N.

    Source:
        Sohn et al. 2020, FixMatch.
    """
    logits = precise(logits)
    target = target if target.ndim == 1 else target.to(logits.dtype)
    return (weight * F.cross_entropy(logits, target, reduction="none")).mean()


def weighted_binary_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Binary cross-entropy of pseudo-label sets, each entry with its weight.

    Args:
        logits: ``(N, K)``.
        target: ``(N, K)`` in [0, 1].
        weight: ``(N, K)``, 0 where an entry does not count.

    Returns:
        Scalar, nats, mean over N and K.
    """
    logits = precise(logits)
    terms = F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype), reduction="none")
    return (weight * terms).mean()


def asymmetric_loss(
    logits: Tensor,
    target: Tensor,
    weight: Tensor,
    *,
    gamma_negative: float = 4.0,
    gamma_positive: float = 1.0,
    margin: float = 0.05,
) -> Tensor:
    """Asymmetric loss: what is easily told to be absent counts little, or not at all.

    Args:
        logits: ``(N, K)``.
        target: ``(N, K)``: 1 has the label, 0 has not; entries without weight may be anything.
        weight: ``(N, K)``, 0 where an entry does not count.
        gamma_negative: Power of the focus on absent labels, 0 or at least 1.
        gamma_positive: Power of the focus on labels, 0 or at least 1.
        margin: What is taken from the probability of absent labels.

    Returns:
        Scalar, nats, weighted mean over the entries; 0 where none has weight.

    Source:
        Ridnik et al. 2021, Asymmetric Loss for Multi-Label Classification.
    """
    logits = precise(logits)
    share = logits.sigmoid()
    absent = (1 - share + margin).clamp(max=1)
    present_term = -((1 - share) ** gamma_positive) * F.logsigmoid(logits)
    # Without a margin it may be 0, whose logarithm has no gradient even where it is not taken.
    sure = absent.clamp(min=torch.finfo(absent.dtype).tiny)
    absent_term = -((1 - absent) ** gamma_negative) * sure.log()
    terms = present_term.where(target > 0.5, absent_term)
    total = weight.sum()
    return (weight * terms).sum() / total.where(total > 0, torch.ones_like(total))


def fairness(logits: Tensor, weight: Tensor, model: Tensor, guessed: Tensor) -> Tensor:
    """FreeMatch's fairness: what pulls predictions away from the classes that have most of them.

    How many rows are of each class has no gradient. So downhill classes lose shares that have more
    rows than ``model`` asks for, and those that have fewer gain, if they have any; the value itself
    tells little, and falls as the shares of single rows become more even.

    Args:
        logits: ``(N, K)`` of the strong views.
        weight: ``(N,)``, 1 for rows that count.
        model: ``(K,)`` running mean of the shares, sums to 1.
        guessed: ``(K,)`` running share of the rows whose likeliest class it was, sums to 1.

    Returns:
        Scalar, normally negative: less is more spread; 0 where no row counts.

    Source:
        Wang et al. 2023, FreeMatch, with the sign of the published code, which lowers it.
    """
    shares = precise(logits).softmax(dim=1)
    hot = F.one_hot(shares.argmax(dim=1), shares.shape[1])
    expected = model * _inverse(guessed)
    mean, counted = (_masked_mean(part, weight[:, None]) for part in (shares, hot))
    seen = mean * _inverse(counted)
    expected, seen = expected / expected.sum(), seen / _not_zero(seen.sum())
    return (expected * (seen + LOG_EPSILON).log()).sum() * (weight.sum() > 0)


def fairness_of_sets(logits: Tensor, weight: Tensor, model: Tensor, guessed: Tensor) -> Tensor:
    """FreeMatch's fairness for label sets: each label and its absence are two classes.

    Args:
        logits: ``(N, K)`` of the strong views.
        weight: ``(N, K)``, 1 for entries that count.
        model: ``(K,)`` running mean of the probabilities.
        guessed: ``(K,)`` running share of the rows whose probability was at least half.

    Returns:
        Scalar, the sum over the classes; those of which no entry counts add 0.
    """
    shares = precise(logits).sigmoid()
    hot = shares >= 0.5
    expected, beside = _likelier(model, guessed)
    seen, unseen = _likelier(_masked_mean(shares, weight), _masked_mean(hot, weight))
    terms = expected * (seen + LOG_EPSILON).log() + beside * (unseen + LOG_EPSILON).log()
    return (terms * (weight.sum(dim=0) > 0)).sum()


def _masked_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Average rows by their weights; 0 where none has any."""
    return (values * weight).sum(dim=0) / _not_zero(weight.sum(dim=0))


def _not_zero(divisor: Tensor) -> Tensor:
    """Give 1 in place of 0."""
    return divisor.where(divisor != 0, torch.ones_like(divisor))


def _inverse(values: Tensor) -> Tensor:
    """Give 1 / values, and 0 for 0, as published."""
    return (1 / values).nan_to_num(posinf=0.0)


def _likelier(model: Tensor, guessed: Tensor) -> tuple[Tensor, Tensor]:
    """Tell how a probability and that of its absence stand to how often they were guessed.

    Both are divided by their sum; as 1 less the other, what is 0 would have a gradient of rounding.
    """
    present, absent = model * _inverse(guessed), (1 - model) * _inverse(1 - guessed)
    total = _not_zero(present + absent)
    return present / total, absent / total


def align(shares: Tensor, target: Tensor, model: Tensor) -> Tensor:
    """Move shares towards a distribution of classes, as far as their mean is from it.

    Args:
        shares: ``(N, K)``, rows sum to 1.
        target: ``(K,)`` the wanted mean.
        model: ``(K,)`` their mean so far.

    Returns:
        ``(N, K)``, rows sum to 1.

    Source:
        Berthelot et al. 2020, ReMixMatch; as in Chen et al. 2023, SoftMatch.
    """
    moved = shares * (target + SHARE_EPSILON) / (model + SHARE_EPSILON)
    return moved / moved.sum(dim=1, keepdim=True)


def align_sets(shares: Tensor, target: Tensor, model: Tensor) -> Tensor:
    """Move the probabilities of labels towards how frequent each shall be.

    Args:
        shares: ``(N, K)`` in [0, 1].
        target: ``(K,)`` the wanted means.
        model: ``(K,)`` their means so far.

    Returns:
        ``(N, K)`` in [0, 1].
    """
    present = shares * (target + SHARE_EPSILON) / (model + SHARE_EPSILON)
    absent = (1 - shares) * (1 - target + SHARE_EPSILON) / (1 - model + SHARE_EPSILON)
    return present / (present + absent)


def gaussian_weight(
    confidence: Tensor, mean: Tensor, variance: Tensor, sigmas: float = 2.0
) -> Tensor:
    """Weigh pseudo-labels by a Gaussian below the mean of their confidences, by 1 above.

    Args:
        confidence: ``(N,)`` or ``(N, K)`` in [0, 1].
        mean: Its running mean, scalar or ``(K,)``.
        variance: Its running variance, of the same shape.
        sigmas: How much narrower than the confidences the Gaussian is.

    Returns:
        The shape of the confidences, in (0, 1].

    Source:
        Chen et al. 2023, SoftMatch.
    """
    below = (confidence - mean).clamp(max=0)
    # Of confidences that are all alike the variance is 0.
    return (-(below**2) / (2 * variance.clamp(min=LOG_EPSILON) / sigmas**2)).exp()


def flatten(frequency: Tensor, power: Tensor | float) -> Tensor:
    """Flatten a distribution of classes by a power.

    Args:
        frequency: ``(K,)`` above 0.
        power: 1 leaves it, 0 makes it uniform.

    Returns:
        ``(K,)``, sums to 1.

    Source:
        Lazarow et al. 2023, Unifying Distribution Alignment as a Loss for Imbalanced
        Semi-supervised Learning.
    """
    raised = frequency**power
    return raised / raised.sum()


def flatten_sets(frequency: Tensor, power: Tensor | float) -> Tensor:
    """Flatten the frequencies of labels by a power, each against its absence.

    Args:
        frequency: ``(K,)`` in (0, 1].
        power: 1 leaves them, 0 makes all one half.

    Returns:
        ``(K,)`` in (0, 1].
    """
    raised = frequency**power
    return raised / (raised + (1 - frequency) ** power)


def draw_towards(student: Tensor, teacher: Tensor, *, how: str) -> Tensor:
    """Distil: how far vectors are from those that they shall become.

    Args:
        student: ``(N, D)``.
        teacher: ``(N, D)``; no gradient goes there.
        how: ``mse`` (mean square), ``mae`` (mean absolute difference) or ``cosine`` (negative mean
            cosine).

    Returns:
        Scalar.

    Raises:
        ConfigError: If it is another word.

    Source:
        Bernhard et al. 2024, distillation of the metadata token.
    """
    student, teacher = precise(student), precise(teacher).detach()
    if how == "mse":
        return (student - teacher).square().mean()
    if how == "mae":
        return (student - teacher).abs().mean()
    if how == "cosine":
        return -F.cosine_similarity(student, teacher, dim=1).mean()
    raise ConfigError(f"A vector is drawn by {how!r}; give 'mse', 'mae' or 'cosine'.")
