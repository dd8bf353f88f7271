"""Where on Earth the pixels of a grid lie, and how large they are there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from csp_core.data.pictures.scene import SceneFacts
from csp_core.data.shapes import to_wgs84
from csp_core.errors import BadRecordError

Floats = npt.NDArray[np.float64]
SEMI_MAJOR_M, FLATTENING = 6_378_137.0, 1 / 298.257223563
# Pixels are measured in squares of so many a side, where they are smaller than so many metres.
SQUARES = ((200.0, 32), (2000.0, 8))


@dataclass(frozen=True)
class Ground:
    """The grid of a picture on the WGS84 ellipsoid.

    Rows and columns count from the outer corner of the first pixel; halves are middles.

    Args:
        crs: Reference system, as WKT.
        transform: ``a, b, c, d, e, f``: x = a column + b row + c, y = d column + e row + f.
        height: Rows.
        width: Columns.
    """

    crs: str
    transform: tuple[float, float, float, float, float, float]
    height: int
    width: int

    @classmethod
    def of(cls, facts: SceneFacts) -> Ground | None:
        """Take the grid of a scene.

        Args:
            facts: What its file says.

        Returns:
            The grid, or None where nobody knows where the pixels lie.

        Raises:
            BadRecordError: If its reference system is unknown, or the grid is not on Earth.
        """
        if facts.crs is None:
            return None
        ground = cls(facts.crs, facts.transform, facts.height, facts.width)
        if not ground.pixel_metres:
            raise BadRecordError(
                "Its grid leads to places that are not on Earth: name the coordinate reference"
                " system (CRS) that its coordinates are in (gdal_edit.py -a_srs).",
                file=facts.name,
            )
        return ground

    @cached_property
    def convert(self) -> Any:
        """The pyproj transformer to longitude and latitude, None where they are those already."""
        return to_wgs84(self.crs)

    def lonlat(self, rows: npt.ArrayLike, columns: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Find places of the grid.

        Args:
            rows: ``(…)`` rows.
            columns: ``(…)`` columns.

        Returns:
            ``(…)`` longitudes and latitudes, degrees; infinite where there is no such place.
        """
        r, k = np.asarray(rows, np.float64), np.asarray(columns, np.float64)
        a, b, c, d, e, f = self.transform
        x, y = a * k + b * r + c, d * k + e * r + f
        if self.convert is None:
            # The middles of the outer pixels may lie on the poles.
            beyond = np.abs(y) > 90 + abs(d) + abs(e)
            return x, np.where(beyond, np.inf, y.clip(-90, 90))
        lon, lat = self.convert.transform(x, y)
        return np.asarray(lon, np.float64), np.asarray(lat, np.float64)

    def pixel(self, lon: float, lat: float) -> tuple[int, int] | None:
        """Find the pixel at a place.

        Args:
            lon: Longitude, degrees.
            lat: Latitude, degrees.

        Returns:
            Its row and column, or None where the place is not in the picture.
        """
        from pyproj.enums import TransformDirection

        x, y = lon, lat
        if self.convert is not None:
            x, y = self.convert.transform(lon, lat, direction=TransformDirection.INVERSE)
        a, b, c, d, e, f = self.transform
        # Grids may count longitudes on beyond 180.
        turns = (0.0, 360.0, -360.0) if self.convert is None else (0.0,)
        for turn in turns:
            across, down = x + turn - c, y - f
            whole = a * e - b * d
            column, row = (e * across - b * down) / whole, (a * down - d * across) / whole
            inside = 0 <= row < self.height and 0 <= column < self.width
            if math.isfinite(row) and math.isfinite(column) and inside:
                return int(row), int(column)
        return None

    @cached_property
    def pixel_metres(self) -> float:
        """Side of a square as large as the pixel in the middle, metres; 0 if none is on Earth."""
        # A pole has no direction; where it is the middle another pixel does.
        for part in (0.5, 0.25, 0.75):
            row, column = np.array([self.height * part]), np.array([self.width * part])
            area = float(self._measured(row, column, 1)[0, 0])
            if area:
                return math.sqrt(area)
        return 0.0

    @property
    def is_of_degrees(self) -> bool:
        """Whether its rows are parallels and its columns meridians."""
        return self.convert is None and not self.transform[1] and not self.transform[3]

    def to_equator_m2(self, rows: npt.ArrayLike) -> Floats:
        """Measure from upper edges of rows to the equator, of a grid of degrees, for one column.

        Args:
            rows: ``(N,)`` rows.

        Returns:
            ``(N,)`` square metres, negative in the south.
        """
        a, _, _, _, e, f = self.transform
        lat = (f + e * np.asarray(rows, np.float64)).clip(-90, 90)
        return _to_equator_m2(lat) * math.radians(abs(a))

    def areas(self, row: int, column: int, height: int, width: int) -> Floats:
        """Measure pixels on the ellipsoid.

        Args:
            row: First row.
            column: First column.
            height: Rows.
            width: Columns.

        Returns:
            ``(height, width)`` square metres; 0 where the grid leaves the Earth. It may be a view
            that repeats values.
        """
        if self.is_of_degrees:
            # Between parallels and meridians there is a closed form.
            each = np.abs(np.diff(self.to_equator_m2(row + np.arange(height + 1))))
            return np.broadcast_to(each[:, None], (height, width))
        size = next((n for metres, n in SQUARES if self.pixel_metres < metres), 1)
        down, right = _middles(height, size), _middles(width, size)
        found = self._measured(row + down, column + right, size)
        return found.repeat(size, axis=0).repeat(size, axis=1)[:height, :width]

    def _measured(self, rows: Floats, columns: Floats, size: int) -> Floats:
        """Measure the pixels at crossings of rows and columns, by how the place changes there."""
        r, k = np.meshgrid(rows, columns, indexing="ij")
        half = size / 2
        lon, lat = self.lonlat(
            np.stack((r - half, r + half, r, r)), np.stack((k, k, k - half, k + half))
        )
        with np.errstate(invalid="ignore"):
            turn = np.radians((lon[[1, 3]] - lon[[0, 2]] + 180) % 360 - 180) / size
            rise = np.radians(lat[[1, 3]] - lat[[0, 2]]) / size
            flat = np.abs(turn[1] * rise[0] - turn[0] * rise[1])
            area = flat * _element_m2(np.radians(lat.mean(axis=0)))
        return np.where(np.isfinite(area), area, 0.0)


def _middles(length: int, size: int) -> Floats:
    """Give the middles of pieces of a length, of which the last may be shorter."""
    starts = np.arange(0, length, size, dtype=np.float64)
    found: Floats = (starts + np.minimum(starts + size, length)) / 2
    return found


def _element_m2(lat: Floats) -> Floats:
    """Give the square metres of a square radian of longitude by latitude, at latitudes in radians.

    Source: the product of both radii of curvature and the cosine, Snyder 1987, eqs. 4-18 to 4-20.
    """
    square = FLATTENING * (2 - FLATTENING)
    bent: Floats = 1 - square * np.sin(lat) ** 2
    return SEMI_MAJOR_M**2 * (1 - square) * np.cos(lat) / bent**2


def _to_equator_m2(lat: Floats) -> Floats:
    """Measure between the equator and parallels in degrees, for a radian of longitude."""
    import torch

    from csp_core.grid import area_to_equator_km2

    found: Floats = area_to_equator_km2(torch.from_numpy(np.ascontiguousarray(lat))).numpy() * 1e6
    return found
