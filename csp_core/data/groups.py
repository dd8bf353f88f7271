"""Which records stay together when a data set is split: by record, site, block or recorder."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.geo import cell_ids

UNKNOWN_RECORDER = -1
SITES_PER_DEGREE = 100


def by_record(lonlat: Tensor, block_degrees: float = 0.0, recorder: Tensor | None = None) -> Tensor:
    """Put every record in a group of its own.

    Args:
        lonlat: ``(N, 2)`` degrees.
        block_degrees: Not used.
        recorder: Not used.

    Returns:
        ``(N,)`` int64 groups.
    """
    return torch.arange(len(lonlat))


def by_site(lonlat: Tensor, block_degrees: float = 0.0, recorder: Tensor | None = None) -> Tensor:
    """Group records whose coordinates agree when rounded to 0.01 degrees.

    Longitudes 180 and -180 agree, and so do all longitudes at a pole. Rounding rather than cutting
    keeps coordinates given to two decimals away from the edges of their cells.

    Args:
        lonlat: ``(N, 2)`` degrees.
        block_degrees: Not used.
        recorder: Not used.

    Returns:
        ``(N,)`` int64 groups.
    """
    around = 360 * SITES_PER_DEGREE
    lon, lat = (lonlat.to(torch.float64) * SITES_PER_DEGREE).round().long().unbind(1)
    pole = 90 * SITES_PER_DEGREE
    lon = torch.where(lat.abs() == pole, torch.zeros_like(lon), lon % around)
    return (lat + pole) * around + lon


def by_block(lonlat: Tensor, block_degrees: float, recorder: Tensor | None = None) -> Tensor:
    """Group records that share a cell of a regular grid.

    Args:
        lonlat: ``(N, 2)`` degrees.
        block_degrees: Side of a cell.
        recorder: Not used.

    Returns:
        ``(N,)`` int64 groups.

    Raises:
        ConfigError: If the side is not above 0 and at most 90.
    """
    check_degrees(block_degrees)
    return cell_ids(lonlat, block_degrees)


def check_degrees(block_degrees: float) -> None:
    """Refuse a side that no block has.

    Args:
        block_degrees: Side of a cell.

    Raises:
        ConfigError: If it is not above 0 and at most 90.
    """
    if not 0 < block_degrees <= 90:
        raise ConfigError(f"block_degrees is {block_degrees}; give a side above 0 and at most 90.")


def by_recorder(
    lonlat: Tensor, block_degrees: float = 0.0, recorder: Tensor | None = None
) -> Tensor:
    """Group the records of one recorder; records whose recorder is unknown are grouped by site.

    Recorders differ in where they go and in what they notice, which a split by place leaves on both
    sides.

    Args:
        lonlat: ``(N, 2)`` degrees.
        block_degrees: Not used.
        recorder: ``(N,)`` int64, -1 where unknown; None if all are.

    Returns:
        ``(N,)`` int64 groups.
    """
    # Sites and recorders are numbered apart, so that no number means one of each.
    site: Tensor = torch.unique(by_site(lonlat), return_inverse=True)[1]
    if recorder is None:
        return site
    person = torch.unique(recorder, return_inverse=True)[1]
    return torch.where(recorder == UNKNOWN_RECORDER, site, len(lonlat) + person)


SPLITS: dict[str, Callable[[Tensor, float, Tensor | None], Tensor]] = {
    "random": by_record,
    "site": by_site,
    "block": by_block,
    "recorder": by_recorder,
}
