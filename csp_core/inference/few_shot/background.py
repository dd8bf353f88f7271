"""Places that describe what was available to a species, drawn by seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from csp_core import geo
from csp_core.errors import ConfigError
from csp_core.land import land_grid
from csp_core.model import Prior
from csp_core.tables import lookup

# What a click costs grows with their number.
POINTS = 1500
LAND_DEGREES = 0.5


@dataclass(frozen=True, eq=False)
class Background:
    """Background points of one kind.

    Args:
        lonlat: ``(M, 2)`` float32 degrees.
        kind: A key of ``BACKGROUNDS``, or ``"given"``.
    """

    lonlat: Tensor
    kind: str = "given"


def _land(model: Prior, generator: torch.Generator) -> Tensor:
    centres, area = land_grid(LAND_DEGREES)
    cell = torch.multinomial(area, POINTS, replacement=True, generator=generator)
    within = torch.rand(POINTS, 2, generator=generator, dtype=torch.float64) - 0.5
    return centres[cell] + LAND_DEGREES * within


def _world(model: Prior, generator: torch.Generator) -> Tensor:
    return geo.sphere_points(torch.rand(POINTS, 2, generator=generator, dtype=torch.float64))


def _target_group(model: Prior, generator: torch.Generator) -> Tensor:
    cells = None if model.support is None else model.support.cells()
    if cells is None or not len(cells[0]):
        raise ConfigError(
            f"Model {model.name!r} keeps no counts of where its records were made, so there is no"
            " target group to draw background from: take background land, or world for the sea."
        )
    drawn = torch.multinomial(cells[1].double(), POINTS, replacement=True, generator=generator)
    return cells[0][drawn].double()


BACKGROUNDS: dict[str, Callable[[Prior, torch.Generator], Tensor]] = {
    "land": _land,
    "target-group": _target_group,
    "world": _world,
}
BACKGROUND_MEANING = {
    "land": "points spread evenly over all land",
    "target-group": "points where the model's own records were made, which share their habits",
    "world": "points spread evenly over land and sea",
}


def draw_background(model: Prior, kind: str = "land", *, seed: int = 0) -> Background:
    """Draw background points.

    Args:
        model: Whose records a target group is of; only its counts on cells are needed.
        kind: A key of ``BACKGROUNDS``.
        seed: Of the draw.

    Returns:
        ``POINTS`` of them, drawn with replacement.

    Raises:
        UnknownNameError: If there is no such kind.
        ConfigError: If the model keeps no counts to draw a target group by.

    Source:
        Phillips et al. 2009, Sample selection bias and presence-only distribution models, for the
        target group.
    """
    draw = lookup("background", BACKGROUNDS, kind)
    generator = torch.Generator().manual_seed(seed)
    return Background(draw(model, generator).float(), kind)
