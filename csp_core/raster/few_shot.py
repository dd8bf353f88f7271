"""Maps of species learned from a few places: what they share of a grid is computed once."""

from __future__ import annotations

import math

import torch

from csp_core.geo import WORLD
from csp_core.grid import Bounds, make_grid
from csp_core.inference.few_shot import FewShot, Ground
from csp_core.model import DualEncoder
from csp_core.raster.land import land_cells
from csp_core.raster.raster import Raster
from csp_core.store.checkpoint import count_parameters

# Cells embedded at a time.
BLOCK = 1 << 15
# An encoder of more weights takes a quarter of a minute for the finer cells of all land.
MANY_WEIGHTS, FINE, COARSE = 2_000_000, 0.5, 1.0


def quick_step(model: DualEncoder) -> float:
    """Choose cells whose embedding somebody can wait for.

    Args:
        model: A model with a location encoder.

    Returns:
        Side of a cell, degrees: coarse for an encoder of millions of weights.
    """
    weights = 0 if model.location is None else count_parameters(model.location)
    return FINE if weights <= MANY_WEIGHTS else COARSE


class FewShotGrid:
    """The features of all cells of a grid, for any species learned on one ``Ground``.

    Args:
        ground: What the species are learned on. One that knows time is asked without a date.
        bounds: West, south, east, north, degrees; west above east crosses the antimeridian.
        step: Side of a cell, degrees.
        land_only: Whether cells without land are left out.

    Raises:
        ConfigError: If bounds or step are none.
    """

    def __init__(
        self,
        ground: Ground,
        bounds: Bounds = WORLD,
        step: float = 0.5,
        *,
        land_only: bool = True,
    ) -> None:
        self.ground, self.grid, self.land_only = ground, make_grid(bounds, step), land_only
        wanted = land_cells(self.grid) if land_only else torch.ones(self.grid.shape).bool()
        self.wanted = wanted
        row, column = wanted.nonzero(as_tuple=True)
        self.places = torch.stack((self.grid.lon[column], self.grid.lat[row]), dim=1).float()
        places = self.places
        self.features = torch.empty(len(places), ground.axes.shape[1])
        for start in range(0, len(places), BLOCK):
            own = slice(start, start + BLOCK)
            self.features[own] = ground.see(places[own]).float()

    def heatmap(self, found: FewShot) -> Raster:
        """Score every cell: what ``heatmap`` gives of the species' model but for rounding.

        Args:
            found: A species learned on the same ground.

        Returns:
            The raster.
        """
        values = torch.full(self.grid.shape, math.nan)
        values.masked_scatter_(self.wanted, found.scores(self.features, self.places))
        classes = found.model.classes
        nobody = torch.ones(self.grid.shape, dtype=torch.bool)
        return Raster(
            values=values,
            bounds=self.grid.bounds,
            step=self.grid.step,
            taxon=classes.names[0],
            common_name=classes.common_names[0],
            kind=found.model.prior_kind,
            model=found.model.name,
            date=None,
            extrapolated=nobody & self.wanted,
            support_known=False,
            land_only=self.land_only,
        )
