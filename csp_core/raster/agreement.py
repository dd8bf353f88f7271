"""How well places agree with a picture or a text, on a grid."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from csp_core.geo import EARTH_RADIUS_KM, WORLD, unit_vectors
from csp_core.grid import make_grid
from csp_core.raster.land import land_cells
from csp_core.raster.raster import Raster

# A cell has the value of the nearest place if that is no farther than so many times the distance
# between neighbours.
REACH = 1.5


class PlacesOnGrid:
    """Which of some places is nearest to every cell of the world's land.

    Args:
        lonlat: ``(G, 2)`` degrees.
        step: Side of a cell, degrees.
    """

    def __init__(self, lonlat: Tensor, step: float = 0.5) -> None:
        from scipy.spatial import cKDTree

        self.step = step
        points = unit_vectors(lonlat.double()).numpy()
        tree = cKDTree(points)
        count = min(2, len(points))
        # Of a chord, in parts of the Earth's radius.
        spacing = np.asarray(tree.query(points, k=count)[0]).reshape(len(points), count)[:, -1]
        reach = max(REACH * float(np.median(spacing)), np.deg2rad(step))
        self.reach_km = reach * EARTH_RADIUS_KM
        centres, land = _land(step)
        away, nearest = tree.query(centres[land], distance_upper_bound=reach)
        self.nearest = np.full(len(centres), -1)
        self.nearest[land] = np.where(np.isfinite(away), nearest, -1)

    def raster(self, values: Tensor, model: str) -> Raster:
        """Give every cell the value of its nearest place.

        Args:
            values: ``(G,)`` in [0, 1].
            model: Name of the model.

        Returns:
            A raster of the world; at sea, and far from all places, without data.
        """
        grid = make_grid(WORLD, self.step)
        own = torch.cat((values.float(), torch.tensor([torch.nan])))
        cells = own[torch.from_numpy(self.nearest)].reshape(grid.shape)
        nothing = torch.zeros(grid.shape, dtype=torch.bool)
        about: dict[str, Any] = {"taxon": "", "common_name": "", "kind": "relative"}
        return Raster(cells, grid.bounds, self.step, model=model, date=None,
                      extrapolated=nothing, land_only=True, **about)  # fmt: skip


@lru_cache(maxsize=2)
def _land(step: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Give the middle of every cell as a unit vector, and which of them hold land."""
    grid = make_grid(WORLD, step)
    return unit_vectors(grid.lonlat().double()).numpy(), land_cells(grid).flatten().numpy()
