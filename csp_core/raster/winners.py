"""A picture's answer over the Earth: the class that would win at each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from csp_core import geo
from csp_core.errors import ConfigError
from csp_core.grid import Grid, make_grid
from csp_core.inference import CHUNK, combine, location_prior
from csp_core.model import DualEncoder
from csp_core.raster.prior import extrapolates

# Of a prior held at a time, 64 MB.
MOST_VALUES = 1 << 24


@dataclass(frozen=True, eq=False)
class WinningMap:
    """Which class would win at each cell, given one picture.

    Args:
        grid: The cells; row 0 is north.
        winner: ``(H, W)`` int64 class.
        share: ``(H, W)`` its share.
        classes: The classes that win somewhere, the most common first.
        extrapolated: ``(H, W)`` bool, where the model is known to extrapolate; nowhere if it keeps
            no counts of its training records.
    """

    grid: Grid
    winner: Tensor
    share: Tensor
    classes: tuple[int, ...]
    extrapolated: Tensor

    @property
    def any_extrapolated(self) -> bool:
        """Whether the model is known to extrapolate somewhere."""
        return bool(self.extrapolated.any())

    @cached_property
    def areas(self) -> dict[int, float]:
        """Label to the part of the supported area where it wins, the largest first."""
        size = self.grid.cell_areas_km2()[:, None] * ~self.extrapolated
        total = float(size.sum()) or 1.0
        parts = {k: float((size * (self.winner == k)).sum()) / total for k in self.classes}
        return dict(sorted(((k, part) for k, part in parts.items() if part > 0),
                           key=lambda row: -row[1]))  # fmt: skip

    def best_place(self, label: int) -> tuple[float, float]:
        """Find where a class wins most clearly, among cells with support.

        Args:
            label: A class of ``areas``.

        Returns:
            Longitude and latitude of the cell's centre, degrees.
        """
        wins = (self.winner == label) & ~self.extrapolated
        at = int(torch.where(wins, self.share, -1.0).argmax())
        row, column = divmod(at, self.grid.columns)
        return float(self.grid.lon[column]), float(self.grid.lat[row])

    def numbered(self, labels: Sequence[int]) -> Tensor:
        """Number the cells by who wins there.

        Args:
            labels: Classes, which get the numbers from 1.

        Returns:
            ``(H, W)`` float32; all other classes have the number after the last.
        """
        numbers = torch.full(self.grid.shape, float(len(labels) + 1))
        for number, label in enumerate(labels):
            numbers[self.winner == label] = number + 1.0
        return numbers


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
    if model.places is None:
        raise ConfigError(f"Model {model.name!r} knows nothing of places, so none changes.")
    grid = make_grid(bounds, step)
    lat, lon = torch.meshgrid(grid.lat, grid.lon, indexing="ij")
    best = []
    rows = max(1, min(CHUNK, MOST_VALUES // max(1, len(model.places.classes))))
    for places in torch.split(torch.stack((lon.flatten(), lat.flatten()), dim=1), rows):
        when = [None if t is None else torch.full((len(places),), t) for t in (date, hour)]
        prior = location_prior(model.places, places.float(), date=when[0], hour=when[1])
        found = combine(model, image_probs.expand(len(places), -1), prior, weight=weight)
        best.append(found.max(dim=1))
    winner = torch.cat([part.indices for part in best])
    support = model.places.support
    count = torch.bincount(winner, minlength=len(model.classes))
    order = count.argsort(descending=True, stable=True)
    nowhere = torch.zeros(grid.shape, dtype=torch.bool)
    return WinningMap(
        grid=grid,
        winner=winner.view(grid.shape),
        share=torch.cat([part.values for part in best]).view(grid.shape),
        classes=tuple(order[count[order] > 0].tolist()),
        extrapolated=nowhere if support is None else extrapolates(model.places, grid),
    )
