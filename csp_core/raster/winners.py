"""A picture's answer over the Earth: the class that would win at each cell."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from csp_core import geo
from csp_core.errors import ConfigError
from csp_core.inference import CHUNK, combine, location_prior
from csp_core.model import DualEncoder
from csp_core.raster.grid import Grid, make_grid


@dataclass(frozen=True, eq=False)
class WinningMap:
    """Which class would win at each cell, given one picture.

    Args:
        grid: The cells; row 0 is north.
        winner: ``(H, W)`` int64 class.
        share: ``(H, W)`` its share.
        classes: The classes that win somewhere, the most common first.
    """

    grid: Grid
    winner: Tensor
    share: Tensor
    classes: tuple[int, ...]


def winning_map(
    model: DualEncoder,
    image_probs: Tensor,
    bounds: tuple[float, float, float, float] = geo.WORLD,
    step: float = 2.0,
    *,
    date: float | None = None,
    hour: float | None = None,
    weight: float | None = None,
) -> WinningMap:
    """Find where on Earth the answer to a picture would change.

    Args:
        model: A model with places.
        image_probs: ``(K,)`` P(class | image).
        bounds: West, south, east, north, degrees.
        step: Side of a cell, degrees; it must divide 180.
        date: Part of the year in [0, 1), or None.
        hour: Part of the day in [0, 1), or None.
        weight: Exponent of the prior; the fitted one if None.

    Returns:
        The winning class of each cell, by its centre.

    Raises:
        ConfigError: If the bounds, the step or the number of classes do not fit.
    """
    if image_probs.shape != (len(model.classes),):
        raise ConfigError(
            f"image_probs has shape {tuple(image_probs.shape)}; give ({len(model.classes)},), a"
            " share for each class of the model."
        )
    grid = make_grid(bounds, step)
    lat, lon = torch.meshgrid(grid.lat, grid.lon, indexing="ij")
    best = []
    for places in torch.split(torch.stack((lon.flatten(), lat.flatten()), dim=1), CHUNK):
        when = [None if t is None else torch.full((len(places),), t) for t in (date, hour)]
        prior = location_prior(model, places.float(), date=when[0], hour=when[1])
        found = combine(model, image_probs.expand(len(places), -1), prior, weight=weight)
        best.append(found.max(dim=1))
    winner = torch.cat([part.indices for part in best])
    count = torch.bincount(winner, minlength=len(model.classes))
    order = count.argsort(descending=True, stable=True)
    return WinningMap(
        grid=grid,
        winner=winner.view(grid.shape),
        share=torch.cat([part.values for part in best]).view(grid.shape),
        classes=tuple(order[count[order] > 0].tolist()),
    )
