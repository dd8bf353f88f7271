"""Regular grids of longitude and latitude: cells, centres and their areas on the ellipsoid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from csp_core.errors import BadRecordError, ConfigError
from csp_core.geo import WORLD

Bounds = tuple[float, float, float, float]
# Of a cell, degrees.
MIN_STEP = 1e-6
# The WGS84 ellipsoid: semi-major axis in km, flattening.
SEMI_MAJOR_KM, FLATTENING = 6378.137, 1 / 298.257223563


@dataclass(frozen=True)
class Grid:
    """Cells of a regular grid, all cut from one grid of the world, so that maps of one step align.

    Args:
        per_half: Cells along 180°.
        first_column: Cells between longitude -180 and the western edge.
        first_row: Cells between the north pole and the northern edge.
        columns: Cells from west to east, W; they may run over the antimeridian.
        rows: Cells from north to south, H.
    """

    per_half: int
    first_column: int
    first_row: int
    columns: int
    rows: int

    @property
    def step(self) -> float:
        """Side of a cell, degrees."""
        return 180 / self.per_half

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    @property
    def west(self) -> float:
        """Western edge, degrees in [-180, 180)."""
        return round(self.first_column * 180 / self.per_half - 180, 9)

    @property
    def north(self) -> float:
        """Northern edge, degrees."""
        return round(90 - self.first_row * 180 / self.per_half, 9)

    @property
    def crosses(self) -> int:
        """Columns that lie beyond the antimeridian, 0 where the grid does not cross it."""
        return max(0, self.first_column + self.columns - 2 * self.per_half)

    @property
    def bounds(self) -> Bounds:
        """West, south, east, north; west is above east where the antimeridian is crossed."""
        end = self.first_column + self.columns - (2 * self.per_half if self.crosses else 0)
        east = round(end * 180 / self.per_half - 180, 9)
        south = round(90 - (self.first_row + self.rows) * 180 / self.per_half, 9)
        return self.west, south, east, self.north

    @cached_property
    def lon(self) -> Tensor:
        """``(W,)`` float32 longitudes of the centres, west to east, in [-180, 180)."""
        column = torch.arange(self.first_column, self.first_column + self.columns)
        column = column % (2 * self.per_half)
        return ((column.double() + 0.5) * 180 / self.per_half - 180).float()

    @cached_property
    def lat(self) -> Tensor:
        """``(H,)`` float32 latitudes of the centres, north to south."""
        row = torch.arange(self.first_row, self.first_row + self.rows).double()
        return (90 - (row + 0.5) * 180 / self.per_half).float()

    def lonlat(self) -> Tensor:
        """List the centres row by row.

        Returns:
            ``(H · W, 2)`` float32 degrees.
        """
        lat, lon = torch.meshgrid(self.lat, self.lon, indexing="ij")
        return torch.stack((lon.flatten(), lat.flatten()), dim=1)

    def cell(self, lon: float, lat: float) -> tuple[int, int]:
        """Find the cell that holds a place; an edge belongs to the cell east or south of it.

        Args:
            lon: Longitude, degrees.
            lat: Latitude, degrees.

        Returns:
            Row and column.

        Raises:
            BadRecordError: If the place is outside the grid.
        """
        turn = 2 * self.per_half
        if math.isfinite(lon) and abs(lat) <= 90:
            column = (math.floor((lon + 180) * self.per_half / 180) - self.first_column) % turn
            row = math.floor((90 - lat) * self.per_half / 180) - self.first_row
            # The world's southern and a map's eastern edge have no cell on their other side.
            row -= row == self.rows and lat == self.bounds[1]
            column -= column == self.columns and lon == self.bounds[2]
            if 0 <= row < self.rows and column < self.columns:
                return row, column
        raise BadRecordError(
            f"Longitude {lon:g}, latitude {lat:g} is outside the map, which spans"
            f" {describe_bounds(self.bounds)}."
        )

    def cell_areas_km2(self) -> Tensor:
        """Measure one cell of every row on the WGS84 ellipsoid.

        Returns:
            ``(H,)`` float64, north to south.
        """
        row = torch.arange(self.first_row, self.first_row + self.rows + 1, dtype=torch.float64)
        below = area_to_equator_km2(90 - row * 180 / self.per_half)
        return math.radians(self.step) * (below[:-1] - below[1:])

    def area_km2(self, cells: Tensor) -> float:
        """Measure cells on the WGS84 ellipsoid.

        Args:
            cells: ``(H, W)`` bool, which of them count.

        Returns:
            Square kilometres.
        """
        return float((cells.sum(dim=1) * self.cell_areas_km2()).sum())


def area_to_equator_km2(lat: Tensor) -> Tensor:
    """Measure the WGS84 ellipsoid between the equator and parallels, for a radian of longitude.

    Args:
        lat: ``(N,)`` degrees.

    Returns:
        ``(N,)`` float64, negative in the south.

    Source:
        Snyder 1987, Map Projections, eq. 3-12.
    """
    sine = torch.sin(torch.deg2rad(lat.double()))
    e = math.sqrt(FLATTENING * (2 - FLATTENING))
    q = (1 - e**2) * (sine / (1 - (e * sine) ** 2) + torch.atanh(e * sine) / e)
    return SEMI_MAJOR_KM**2 / 2 * q


def make_grid(bounds: Bounds = WORLD, step: float = 0.5) -> Grid:
    """Cut a grid from the world's, as large as it takes for whole cells to cover the bounds.

    Args:
        bounds: West, south, east, north, degrees; west above east crosses the antimeridian.
        step: Side of a cell, degrees; it must divide 180.

    Returns:
        The grid.

    Raises:
        ConfigError: If the bounds or the step are none.

    Example:
        >>> make_grid((5.9, 45.8, 10.5, 47.8), 0.5).bounds
        (5.5, 45.5, 10.5, 48.0)
        >>> make_grid((170, -20, -175, -10), 1.0).shape
        (10, 15)
    """
    west, south, east, north = check_bounds(bounds)
    if not 0 < step <= 90:
        raise ConfigError(f"step is {step}; give a side from above 0 to 90 degrees, such as 0.5.")
    if step < MIN_STEP:
        raise ConfigError(f"step is {step:g}; the smallest is {MIN_STEP:g} degrees, a decimetre.")
    per_half = round(180 / step)
    if abs(180 / step - per_half) > 1e-6 * per_half:
        raise ConfigError(
            f"Cells of {step:g}° do not fill the world; give a step that divides 180, such as"
            f" {180 / per_half:.6g}."
        )
    start, end = _outward(west + 180, east + 180, per_half)
    turn = 2 * per_half
    if west > east:
        end += turn
    # What is thinner than the tolerance of an edge still lies in a cell.
    end = max(end, start + 1)
    if start >= turn:
        start, end = start - turn, end - turn
    top, bottom = _outward(90 - north, 90 - south, per_half)
    top = min(top, per_half - 1)
    bottom = max(bottom, top + 1)
    if end - start >= turn:
        # All the way round there is no western edge but the usual one.
        start, end = 0, turn
    return Grid(per_half, start, top, end - start, bottom - top)


def _outward(low: float, high: float, per_half: int) -> tuple[int, int]:
    # Bounds such as 0.3 lie on an edge but for the last bit; they must not cost another cell.
    scale = per_half / 180
    return math.floor(low * scale + 1e-6), math.ceil(high * scale - 1e-6)


def check_bounds(bounds: Bounds) -> Bounds:
    """Check the edges of a map.

    Args:
        bounds: West, south, east, north, degrees.

    Returns:
        The same as floats.

    Raises:
        ConfigError: If they are no edges of a map.
    """
    if len(bounds) != 4 or not all(math.isfinite(edge) for edge in bounds):
        raise ConfigError(f"bounds are {bounds}; give west, south, east, north in degrees.")
    west, south, east, north = (float(edge) for edge in bounds)
    if not -90 <= south < north <= 90:
        raise ConfigError(
            f"The bounds go from latitude {south:g} to {north:g}; give west, south, east, north,"
            " south below north and both from -90 to 90."
        )
    if max(abs(west), abs(east)) > 180 or west == east or west - east == 360:
        raise ConfigError(
            f"The bounds go from longitude {west:g} to {east:g}; give two different ones from -180"
            " to 180. Over the antimeridian west is above east, such as 170 and -170."
        )
    return west, south, east, north


def describe_bounds(bounds: Bounds) -> str:
    """Write bounds the way people read them.

    Args:
        bounds: West, south, east, north, degrees.

    Returns:
        The two ranges.

    Example:
        >>> describe_bounds((170.0, -20.0, -175.0, -10.0))
        'longitude 170 to -175 (over the antimeridian), latitude -20 to -10'
    """
    west, south, east, north = bounds
    over = " (over the antimeridian)" if west > east else ""
    return f"longitude {west:g} to {east:g}{over}, latitude {south:g} to {north:g}"
