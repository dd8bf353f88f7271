"""Places that stand for equal areas of the land or the world, or for the cells of a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import shapely
import torch
from numpy.typing import NDArray
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.geo import WORLD
from csp_core.grid import Bounds, area_to_equator_km2, check_bounds, describe_bounds, make_grid
from csp_core.land import land_shape, on_land

Where = Literal["land", "world"]
WHERE: tuple[Where, ...] = ("land", "world")
MOST_POINTS = 200_000
GOLDEN_RATIO = (1 + math.sqrt(5)) / 2
# Lattice points that a small region's share of land is first measured by.
PROBE, MOST_PROBE = 4_000, 1_000_000
# Latitudes from which the one that cuts off a given area is interpolated: to 1e-7 degrees.
_TABLE = 18_001
# Degrees.
SHORT = 0.25


@dataclass(frozen=True, eq=False)
class Sample:
    """Places of which each stands for a known area.

    Args:
        lonlat: ``(N, 2)`` float32 degrees.
        area_km2: ``(N,)`` float64, on the WGS84 ellipsoid; they sum to the region's land, or to
            the region.
        step: Side of a cell in degrees where the places are the cells of a grid, else None: then
            every place stands for the same area.
        bounds: West, south, east, north, degrees.
        kind: ``land`` or ``world``.
    """

    lonlat: Tensor
    area_km2: Tensor
    step: float | None
    bounds: Bounds
    kind: Where

    def __len__(self) -> int:
        """Return the number of places."""
        return len(self.lonlat)

    @property
    def spacing_km(self) -> float:
        """About how far a place is from its neighbours."""
        return math.sqrt(float(self.area_km2.mean()))


def make_sample(
    count: int = 4000,
    *,
    where: Where = "land",
    bounds: Bounds = WORLD,
    step: float | None = None,
) -> Sample:
    """Spread places evenly over the land or the world: the same ones at every call.

    They are a Fibonacci lattice, stretched so that equal numbers stand for equal areas of the
    ellipsoid; a grid of longitudes and latitudes would crowd the poles.

    Args:
        count: How many, from 2 to ``MOST_POINTS``.
        where: ``land`` or ``world``.
        bounds: West, south, east, north, degrees; west above east crosses the antimeridian.
        step: Take the cells of a grid of this side in degrees instead, however many there are.

    Returns:
        The places.

    Raises:
        ConfigError: If the number or the region is none, or there is no land in it.

    Example:
        >>> sample = make_sample(500)
        >>> len(sample), round(float(sample.area_km2.sum()) / 1e6)
        (500, 147)
    """
    bounds = check_bounds(bounds)
    if where not in WHERE:
        raise ConfigError(f"where is {where!r}; give one of {', '.join(WHERE)}.")
    if step is not None:
        return _cells(step, where, bounds)
    if not 2 <= count <= MOST_POINTS:
        raise ConfigError(f"The number of points is {count}; give from 2 to {MOST_POINTS:,}.")
    tried = count if where == "world" else _first_guess(count, bounds)
    best: Tensor | None = None
    for _ in range(24):
        places = _lattice(tried, bounds)
        kept = places if where == "world" else places[on_land(places)]
        if len(kept) >= count and (best is None or len(kept) < len(best)):
            best = kept
        if len(kept) == count:
            break
        missing = (count - len(kept)) * tried / max(len(kept), 1)
        # At least a step, so that it ends at once when hit, and never stands still.
        tried += int(math.copysign(max(1, round(abs(missing))), missing))
    if best is None:
        places = _lattice(2 * tried, bounds)
        best = places[on_land(places)]
    kept = best
    region = _region_km2(bounds) if where == "world" else land_km2(bounds)
    # The few too many are left out here and there.
    kept = kept[torch.linspace(0, len(kept) - 1, count, dtype=torch.float64).round().long()]
    area = torch.full((count,), region / count, dtype=torch.float64)
    return Sample(kept, area, None, bounds, where)


def _cells(step: float, where: Where, bounds: Bounds) -> Sample:
    grid = make_grid(bounds, step)
    if grid.rows * grid.columns > 8 * MOST_POINTS:
        raise ConfigError(
            f"Cells of {step:g}° are {grid.rows * grid.columns:,} here; give a larger step or a"
            " smaller region."
        )
    places = grid.lonlat()
    area = grid.cell_areas_km2().repeat_interleave(grid.columns)
    if where == "land":
        kept = on_land(places)
        places, area = places[kept], area[kept]
    if len(places) > MOST_POINTS:
        raise ConfigError(
            f"Cells of {step:g}° give {len(places):,} places; at most {MOST_POINTS:,} are"
            " clustered, so give a larger step or a smaller region."
        )
    if len(places) < 2:
        raise _no_land(grid.bounds, len(places))
    return Sample(places, area, grid.step, grid.bounds, where)


def _no_land(bounds: Bounds, found: int) -> ConfigError:
    has = "no land" if not found else "hardly any land"
    return ConfigError(
        f"There is {has} within {describe_bounds(bounds)}; give other bounds, or take places"
        " on land and sea."
    )


def _first_guess(count: int, bounds: Bounds) -> int:
    """Guess how many lattice points it takes to have some number on land."""
    probe = PROBE
    while probe <= MOST_PROBE:
        found = int(on_land(_lattice(probe, bounds)).sum())
        if found >= 20:
            return max(count, round(count * probe / found))
        probe *= 6
    raise _no_land(bounds, found)


def _width(bounds: Bounds) -> float:
    west, _, east, _ = bounds
    return east - west + (360 if west > east else 0)


def _region_km2(bounds: Bounds) -> float:
    below, above = area_to_equator_km2(torch.tensor([bounds[1], bounds[3]]))
    return math.radians(_width(bounds)) * float(above - below)


def land_km2(bounds: Bounds = WORLD) -> float:
    """Measure the land within bounds on the WGS84 ellipsoid, by the bundled outlines.

    Args:
        bounds: West, south, east, north, degrees.

    Returns:
        Square kilometres.

    Example:
        >>> round(land_km2() / 1e6, 1)
        147.4
    """
    west, south, east, north = bounds
    turns = [(west, east)] if west < east else [(west, 180.0), (-180.0, east)]
    total = 0.0
    for left, right in turns:
        land = shapely.intersection(land_shape(), shapely.box(left, south, right, north))
        # Straight lines of the outlines bend where areas are kept, so they are cut short before.
        flat = shapely.transform(shapely.segmentize(land, SHORT), _equal_area)
        total += float(shapely.area(flat))
    return total


def _equal_area(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
    # Equal numbers may be rounded apart in one vector, and a ring must end where it began.
    latitudes, row = np.unique(lonlat[:, 1], return_inverse=True)
    height = area_to_equator_km2(torch.from_numpy(latitudes)).numpy()[row]
    return np.stack((np.deg2rad(lonlat[:, 0]), height), axis=1)


def _lattice(count: int, bounds: Bounds) -> Tensor:
    """Give ``count`` places of equal areas within bounds."""
    number = np.arange(count)
    _, south, _, north = bounds
    table = np.linspace(south, north, _TABLE)
    cut = area_to_equator_km2(torch.from_numpy(table)).numpy()
    lat = np.interp(cut[0] + (number + 0.5) / count * (cut[-1] - cut[0]), cut, table)
    turn = (number / GOLDEN_RATIO + 0.5) % 1
    lon = bounds[0] + turn * _width(bounds)
    lon = np.where(lon >= 180, (lon + 180) % 360 - 180, lon)
    return torch.from_numpy(np.stack((lon, lat), axis=1)).float()
