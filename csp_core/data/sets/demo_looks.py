"""The looks of ``demo``: what its invented species are called, and what their pictures show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from csp_core.data.sets.demo_images import DEFAULT_NOISE, SIZE, draw_waves
from csp_core.data.sets.demo_wings import KINDS, draw_wings

STEMS = ("fabula", "fictus", "mythus", "nullus", "simula", "umbra", "vacuus", "xenia")
EPITHETS = ("alpha", "beta", "gamma")
NAMES = tuple(f"Demo{stem} {epithet}" for stem in STEMS for epithet in EPITHETS)
COMMON_NAMES = tuple(f"synthetic {stem} {epithet}" for stem in STEMS for epithet in EPITHETS)
# Like film rather than like snow: the eye tells the kinds apart at once.
WINGS_NOISE = 0.05


@dataclass(frozen=True)
class Look:
    """What the species of an invented world are called, and what their pictures show.

    Args:
        names: Scientific name of each class; no real taxon has such a one.
        common_names: Common name of each.
        noise: Standard deviation of the noise that it is made for, per channel and pixel.
        draw: Gives the picture of each genus, ``(8, 3, 64, 64)`` float64, mostly in [0, 1].
    """

    names: tuple[str, ...]
    common_names: tuple[str, ...]
    noise: float
    draw: Callable[[torch.Generator], Tensor]


def _butterflies(generator: torch.Generator) -> Tensor:
    """Draw the butterflies, which are the same in every world."""
    return draw_wings(SIZE)


LOOKS = {
    "waves": Look(NAMES, COMMON_NAMES, DEFAULT_NOISE, draw_waves),
    "butterflies": Look(
        tuple(f"Demo{kind.name.split()[1].lower()} {e}" for kind in KINDS for e in EPITHETS),
        tuple(f"{kind.name} {e}" for kind in KINDS for e in EPITHETS),
        WINGS_NOISE,
        _butterflies,
    ),
}
