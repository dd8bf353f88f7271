"""Places left out in turn: what the others say of them decides penalty, calibration, threshold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.calibrate.temperature import find_minimum
from csp_core.inference.few_shot.distance import Distance, distance_to, distance_without
from csp_core.inference.few_shot.ground import Ground
from csp_core.inference.few_shot.logistic import Fitted, Rows, fit_logistic, leave_out
from csp_core.inference.few_shot.places import Given

# From the strongest down; the first is taken where several are as good.
PENALTIES = (10.0, 3.0, 1.0, 0.3, 0.1)
# Without a second cell nothing can be left out.
SOLE_PENALTY, SOLE_THRESHOLD = 3.0, 0.5
# More cells are left out by so many parts.
MOST_FOLDS = 8
# From so many places on, one in ten may lie below the threshold.
ENOUGH_FOR_TENTHS = 10
# So many scores decide a divisor of the logits, which stays near 1 as there are few.
ENOUGH_TO_CALIBRATE, MOST_TEMPERATURE = 4, 2.0
# What a row is: background, or the number of a place, seen ones first.
BACKGROUND = -1


@dataclass(frozen=True, eq=False)
class LeftOut:
    """How the places were scored by classifiers that had not seen them, nor others in their cell.

    Args:
        folds: How often something was left out.
        log_loss: In nats: the mean of -log p over places where it was seen, plus that of
            -log (1 - p) over background and places where it was not.
        auc: Part of background points below a place where it was seen, in the mean.
        seen: ``(N,)`` calibrated scores where it was seen.
    """

    folds: int
    log_loss: float
    auc: float
    seen: Tensor


@dataclass(frozen=True, eq=False)
class Chosen:
    """A classifier of a species, with what leaving out decided of it.

    Args:
        fitted: The classifier, of all places.
        distance: The odds by distance, which multiply its own; None where distance does not count.
        penalty: Strength of the penalty.
        temperature: Divisor of the logits.
        left_out: What leaving out found, or None where nothing could be left out.
        threshold: From which score on a place counts as in the range.
        rule: How the threshold was found, as part of a sentence.
    """

    fitted: Fitted
    distance: Distance | None
    penalty: float
    temperature: float
    left_out: LeftOut | None
    threshold: float
    rule: str


def choose(ground: Ground, given: Given, *, distance: bool = True) -> Chosen:
    """Fit a classifier, with penalty, calibration and threshold by what leaving out says.

    Args:
        ground: The features.
        given: The places.
        distance: Whether the odds by distance multiply those of the classifier.

    Returns:
        The classifier; with fewer than two cells where it was seen, of a fixed penalty.
    """
    rows, kind = _rows(ground, given)
    folds, background = deal(given), ground.background.lonlat
    odds = distance_to(given, background) if distance else None
    if not folds:
        rule = "one half, where the places weigh as much as the background"
        fitted = fit_logistic(rows, SOLE_PENALTY)
        return Chosen(fitted, odds, SOLE_PENALTY, 1.0, None, SOLE_THRESHOLD, rule)
    weights = [_weights(kind, given, fold) for fold in folds]
    with _one_thread():
        whole, logits = leave_out(rows, weights, PENALTIES)
    by_distance = distance_without(given, background, folds) if distance else None
    scored = [_left_out(one, kind, given, folds, by_distance) for one in logits]
    best = min(range(len(PENALTIES)), key=lambda number: _loss(scored[number], 1.0))
    temperature = _temperature(scored[best])
    left = _told(scored[best], temperature, len(folds))
    threshold, rule = _threshold(left.seen)
    if distance and threshold < SOLE_THRESHOLD:
        # A place far from all others is not foretold at all, which would mark half of the world.
        threshold, rule = SOLE_THRESHOLD, "one half, as some places lie far from all the others"
    return Chosen(whole[best], odds, PENALTIES[best], temperature, left, threshold, rule)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread: of thousands of short steps, each would wait for the others' part.

    On a busy machine that takes ten times as long as the work.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _rows(ground: Ground, given: Given) -> tuple[Rows, Tensor]:
    """Lay out background points and places, each place once for each time of the year."""
    places = ground.through_year(torch.cat((given.seen, given.missed)))
    number = torch.arange(places.shape[1]).repeat(len(places))
    kind = torch.cat((torch.full((len(ground.features),), BACKGROUND), number))
    features = torch.cat((ground.features, places.flatten(0, 1)))
    truth = ((kind >= 0) & (kind < len(given.seen))).double()
    return Rows(features, truth, _weights(kind, given, None)), kind


def _weights(kind: Tensor, given: Given, fold: Tensor | None) -> Tensor:
    """Weigh the rows: ``(N,)``, 0 for those of a fold.

    Args:
        kind: ``(N,)`` what each row is.
        given: The places.
        fold: ``(N + M,)`` bool, the places that are left out, or None.
    """
    many = len(given.seen)
    stays = torch.ones(len(given.cell)).double()
    if fold is not None:
        stays[fold] = 0
    seen, missed = stays[:many], stays[many:]
    each = torch.cat((seen / seen.sum(), missed / torch.maximum(missed.sum(), seen.sum())))
    times = max(1, int((kind == 0).sum()))
    weight = torch.full((len(kind),), 1.0 / int((kind == BACKGROUND).sum())).double()
    return torch.where(kind >= 0, each[kind.clamp_min(0)] / times, weight)


def deal(given: Given) -> list[Tensor]:
    """Deal the cells with places into folds, so that each cell is left out once.

    Args:
        given: The places.

    Returns:
        ``(N + M,)`` bool for each fold, True where a place is left out; a fold for each cell where
        it was seen, and at most ``MOST_FOLDS``. None at all where it was seen in one cell alone.
    """
    many = len(given.seen)
    cells = torch.unique(given.cell[:many])
    if len(cells) < 2:
        return []
    count = min(len(cells), MOST_FOLDS)
    # In turn, so that what is left out in one fold lies far apart, as it does with few cells.
    of_cell = {int(cell): number % count for number, cell in enumerate(cells)}
    bare = [int(cell) for cell in torch.unique(given.cell[many:]) if int(cell) not in of_cell]
    of_cell |= {cell: number % count for number, cell in enumerate(bare)}
    fold = torch.tensor([of_cell[int(cell)] for cell in given.cell])
    return [fold == number for number in range(count)]


@dataclass(frozen=True, eq=False)
class _Scored:
    """Logits by classifiers that had left out: of places seen and missed, and of background."""

    seen: Tensor
    missed: Tensor
    ground: Tensor


def _left_out(
    logits: Tensor,
    kind: Tensor,
    given: Given,
    folds: list[Tensor],
    by_distance: tuple[Tensor, Tensor] | None,
) -> _Scored:
    """Take each place's logit, its mean through the year, from the fold that left it out.

    Args:
        logits: ``(F, N)`` of all rows, with each fold left out.
        kind: ``(N,)`` what each row is.
        given: The places.
        folds: Which places each fold left out.
        by_distance: What is added to the logits of places and of background, as of
            ``distance_without``; None for nothing.
    """
    places, many = len(given.cell), len(given.seen)
    whose = torch.stack(folds).long().argmax(dim=0)  # (places,)
    rows = logits[:, kind >= 0].view(len(folds), -1, places).mean(dim=1)
    ground = logits[:, kind == BACKGROUND]
    if by_distance is not None:
        rows, ground = rows + by_distance[0], ground + by_distance[1]
    own = rows[whose, torch.arange(places)]
    return _Scored(own[:many], own[many:], ground)


def _loss(scored: _Scored, temperature: float) -> float:
    """Compute the log-loss of what was left out, weighed as it is learned."""
    seen = F.softplus(-scored.seen / temperature).mean()
    ground = F.softplus(scored.ground / temperature).mean()
    missed = F.softplus(scored.missed / temperature).sum()
    return float(seen + ground + missed / max(len(scored.seen), len(scored.missed)))


def _temperature(scored: _Scored) -> float:
    if len(scored.seen) < ENOUGH_TO_CALIBRATE:
        return 1.0
    end = math.log(MOST_TEMPERATURE)
    return math.exp(
        find_minimum(lambda log: _loss(scored, math.exp(log)), -end, end, precision=1e-3)
    )


def _told(scored: _Scored, temperature: float, folds: int) -> LeftOut:
    ground, seen = scored.ground.flatten().sort().values, scored.seen.contiguous()
    ends = [torch.searchsorted(ground, seen, right=right).double() for right in (False, True)]
    auc = float((ends[0] + ends[1]).mean() / 2 / len(ground))
    score = (seen / temperature).sigmoid()
    return LeftOut(folds, _loss(scored, temperature), auc, score)


def _threshold(seen: Tensor) -> tuple[float, str]:
    """Find the score from which on a place counts as in the range.

    Args:
        seen: ``(N,)`` scores where it was seen, with each place left out.

    Source:
        Pearson et al. 2007, for the lowest score of presences left out.
    """
    lowest = seen.sort().values
    if len(seen) < ENOUGH_FOR_TENTHS:
        return float(lowest[0]), "the lowest score of a place where it was seen, left out"
    below = len(seen) - math.ceil(0.9 * len(seen) - 1e-9)
    return float(lowest[below]), "9 of 10 places where it was seen, left out, reach it"
