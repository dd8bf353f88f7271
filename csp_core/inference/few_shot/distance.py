"""How far a place lies from where a species was seen, as odds that multiply those of its kind.

The density of where it was seen, over that of the same kernel on the background, is to distance
what the classifier is to the kind of place: how much more often than on the background it is to be
expected there. Both multiply as if neither knew of the other. It is computed from cells of
``CELL_DEGREES``, each once, so that no place is kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from csp_core import geo
from csp_core.inference.few_shot.places import CELL_DEGREES, Given
from csp_core.location import Nearness

# Over this distance the kernel falls to a third (1/e); docs/few_shot.md says how it was chosen.
KERNEL_KM = 500.0
# Places times cells at a time.
BLOCK = 1 << 21


@dataclass(frozen=True, eq=False)
class Distance:
    """The odds of a species by distance alone, on the background 1 in the mean.

    Args:
        nearness: The density of the cells where it was seen.
        level: Its logarithm on the background, of the mean.
    """

    nearness: Nearness
    level: float

    def logits(self, lonlat: Tensor) -> Tensor:
        """Compute the logarithm of the odds.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N,)`` float64.
        """
        rows = max(1, BLOCK // len(self.nearness.places))
        parts = [
            self.nearness.log_density(part).double() for part in torch.split(lonlat.float(), rows)
        ]
        return torch.cat(parts) - self.level if parts else torch.empty(0, dtype=torch.float64)


def distance_to(given: Given, background: Tensor) -> Distance:
    """Prepare the odds by distance from all cells where a species was seen.

    Args:
        given: The places.
        background: ``(B, 2)`` degrees of the background points.

    Returns:
        The odds.
    """
    cells = torch.unique(given.cell[: len(given.seen)])
    nearness = Nearness(geo.cell_centres(cells, CELL_DEGREES).float(), km=KERNEL_KM)
    bare = Distance(nearness, 0.0)
    return Distance(nearness, _level(bare.logits(background)))


def distance_without(
    given: Given, background: Tensor, folds: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Compute the odds by distance from the cells that are left when those of a fold are not.

    Args:
        given: The places.
        background: ``(B, 2)`` degrees of the background points.
        folds: For each of F folds ``(N + M,)`` bool, True for a place that is left out; each
            leaves one where it was seen.

    Returns:
        ``(F, N + M)`` logarithms of the odds of the places, and ``(F, B)`` of the background.
    """
    many, number = len(given.seen), len(given.cell)
    cells, which = torch.unique(given.cell[:many], return_inverse=True)
    nearness = Nearness(geo.cell_centres(cells, CELL_DEGREES).float(), km=KERNEL_KM)
    asked = torch.cat((given.seen, given.missed, background.float()))
    parts = torch.split(asked, max(1, BLOCK // len(cells)))
    exponents = torch.cat([nearness.exponents(part).double() for part in parts])
    found = []
    for fold in folds:
        left = torch.zeros(len(cells), dtype=torch.bool)
        left[which[~fold[:many]]] = True
        logits = exponents[:, left].logsumexp(dim=1) - math.log(int(left.sum()))
        found.append(logits - _level(logits[number:]))
    odds = torch.stack(found)
    return odds[:, :number], odds[:, number:]


def _level(logits: Tensor) -> float:
    """Give the logarithm of the mean of what is given by its logarithms."""
    return float(logits.logsumexp(dim=0)) - math.log(len(logits))
