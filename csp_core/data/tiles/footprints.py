"""The ground that records of tiles show, and whether two sets of records share any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from csp_core.data.images import ImageDataset
from csp_core.data.records import RecordDataset
from csp_core.data.shapes import to_wgs84
from csp_core.data.tiles.files import Grid
from csp_core.errors import ConfigError

# Shared edges are no shared ground; places are kept to this part of a footprint.
TOUCH = 1e-6
FIRST = 3


@dataclass(frozen=True, eq=False)
class TileDataset(ImageDataset):
    """Crops of tiles.

    Args:
        footprint: ``(N, 4)`` float64 left, bottom, right and top of each crop, in the units of
            ``crs``; NaN where tiles have no place.
        crs: Their reference system as WKT; empty where tiles have no place.
    """

    footprint: Tensor = field(default_factory=lambda: torch.empty(0, 4, dtype=torch.float64))
    crs: str = ""

    def joined_columns(self, other: RecordDataset) -> dict[str, Any]:
        """Put the columns of two parts of one data set one below the other."""
        columns = super().joined_columns(other)
        if isinstance(other, TileDataset):
            columns["footprint"] = torch.cat((self.footprint, other.footprint))
        return columns


def footprint_of(grid: Grid | None, cells: Tensor, side: int) -> Tensor:
    """Find the ground of crops.

    Args:
        grid: The grid that they are cut from, or None.
        cells: ``(N, 2)`` row and column of each in the lattice.
        side: Their side in pixels.

    Returns:
        ``(N, 4)`` float64 left, bottom, right and top.
    """
    if grid is None:
        return torch.full((len(cells), 4), torch.nan, dtype=torch.float64)
    row, column = cells.double().unbind(1)
    left, top = grid.left + column * side * grid.width, grid.top - row * side * grid.height
    right, bottom = left + side * grid.width, top - side * grid.height
    return torch.stack((left, bottom, right, top), dim=1)


def footprints(dataset: RecordDataset) -> Tensor:
    """Tell which ground records show, in degrees.

    Args:
        dataset: Crops of tiles; of other records the place alone is known.

    Returns:
        ``(N, 4)`` float64 west, south, east and north, WGS84; NaN where unknown.
    """
    if not isinstance(dataset, TileDataset):
        lon, lat = dataset.lonlat.double().unbind(1)
        return torch.stack((lon, lat, lon, lat), dim=1)
    convert = to_wgs84(dataset.crs) if dataset.crs else None
    if convert is None or not len(dataset.footprint):
        return dataset.footprint
    left, bottom, right, top = dataset.footprint.numpy().T
    # A straight edge may bulge beyond its ends.
    along = np.linspace(0, 1, 5)[:, None]
    x = np.concatenate([left + along * (right - left)] * 2 + [left + 0 * along, right + 0 * along])
    y = np.concatenate(
        [bottom + 0 * along, top + 0 * along, *[bottom + along * (top - bottom)] * 2]
    )
    lon, lat = convert.transform(x, y)
    edges = (lon.min(axis=0), lat.min(axis=0), lon.max(axis=0), lat.max(axis=0))
    return torch.from_numpy(np.stack(edges, axis=1))


def share_ground(first: RecordDataset, second: RecordDataset) -> Tensor:
    """Tell which records show ground that others show, too.

    Args:
        first: Records.
        second: Others; of one reference system footprints are compared in it, else in degrees.

    Returns:
        ``(N,)`` bool for the first; False where no place is known.
    """
    same = isinstance(first, TileDataset) and isinstance(second, TileDataset)
    if same and first.crs == second.crs:  # type: ignore[attr-defined]
        own, others = first.footprint, second.footprint  # type: ignore[attr-defined]
    else:
        own, others = footprints(first), footprints(second)
    others = others[~others.isnan().any(dim=1)]
    found = torch.zeros(len(own), dtype=torch.bool)
    if not len(others):
        return found
    others = others[others[:, 0].argsort()]
    widest = float((others[:, 2] - others[:, 0]).max())
    starts = others[:, 0].contiguous()
    low = torch.searchsorted(starts, (own[:, 0] - widest).contiguous())
    high = torch.searchsorted(starts, own[:, 2].contiguous(), right=True)
    for at, (begin, end) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        found[at] = bool(_meet(own[at], others[begin:end]).any())
    return found


def _meet(one: Tensor, others: Tensor) -> Tensor:
    """Tell which rectangles share ground, or lie on it, with one; NaN does with none."""
    room = TOUCH * torch.maximum(one[2:] - one[:2], (others[:, 2:] - others[:, :2]))
    return ((one[:2] <= others[:, 2:] - room) & (others[:, :2] <= one[2:] - room)).all(dim=1)


def check_ground(learned: RecordDataset, held_out: RecordDataset) -> None:
    """Make sure that nothing was learned from ground that is held out.

    Args:
        learned: What a model learned from, with labels or without.
        held_out: What it is tested on.

    Raises:
        ConfigError: If some records share ground.
    """
    shared = share_ground(learned, held_out).nonzero().flatten().tolist()
    if shared:
        places = learned.lonlat[shared[:FIRST]].tolist()
        raise ConfigError(
            f"{len(shared):,} of {len(learned):,} records show ground of the {len(held_out):,} that"
            f" are held out, the first at {_told(places)}; give both one split, with the same crop,"
            " seed and shares."
        )


def _told(places: Sequence[Sequence[float]]) -> str:
    return "; ".join(f"{lon:.4f}, {lat:.4f}" for lon, lat in places)
