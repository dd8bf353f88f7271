"""Support: how much training evidence stands near a place, as counts per class and cell.

Only counts on a coarse grid are kept, so a model can be shared without the records it learned
from. Distances are measured to cell centres. No support is not absence: nobody may have looked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from csp_core import geo
from csp_core.errors import BadRecordError

LEVEL_RADIUS_KM = 250.0
LEVELS: tuple[tuple[str, int], ...] = (("good", 200), ("some", 50), ("little", 10), ("none", 0))
UNKNOWN_LEVEL = "unknown"
LEVEL_MEANING = {
    "good": "200 training records or more within 250 km",
    "some": "50 to 199 training records within 250 km",
    "little": "10 to 49 training records within 250 km: read the order, not the decimals",
    "none": "fewer than 10 training records within 250 km: the model extrapolates",
    # Neither well recorded nor hardly: nobody here can tell.
    UNKNOWN_LEVEL: "not known: the model came without counts of its training records",
}


@dataclass(frozen=True)
class PlaceSupport:
    """The evidence near one place.

    Args:
        level: A key of ``LEVEL_MEANING``.
        records: Training records of any class within ``radius_km``.
        per_class: ``(K,)`` int64, the same by class.
        nearest_km: Distance to the nearest cell with a record; None if there is none at all.
        radius_km: The radius of the counts.
    """

    level: str
    records: int
    per_class: Tensor
    nearest_km: float | None
    radius_km: float

    @property
    def extrapolates(self) -> bool:
        """Whether too little evidence stands near for the values to be read as numbers."""
        return self.level == LEVELS[-1][0]


class Support:
    """Counts of training records per class and cell.

    Args:
        cell: ``(M,)`` int64 cell numbers of ``geo.cell_ids``.
        label: ``(M,)`` int64 classes.
        count: ``(M,)`` int64 records of that class in that cell, above 0.
        num_classes: Number of classes K.
        cell_degrees: Side of a cell, 0.5 or coarser.
        record_cell: ``(R,)`` int64 cells with records of label sets, each once; None where a record
            has one class, so that counts of classes add up to records.
        record_count: ``(R,)`` int64 records in each of these, whatever classes they have.

    Raises:
        BadRecordError: If the columns differ in length, or a class, cell or side does not exist.
    """

    def __init__(
        self,
        cell: Tensor,
        label: Tensor,
        count: Tensor,
        num_classes: int,
        cell_degrees: float = 1.0,
        record_cell: Tensor | None = None,
        record_count: Tensor | None = None,
    ) -> None:
        _check(cell, label, count, num_classes, cell_degrees)
        self.cell, self.label, self.count = cell.long(), label.long(), count.long()
        self.num_classes, self.cell_degrees = num_classes, cell_degrees
        self.of_sets = record_cell is not None and record_count is not None
        whose, records = self.cell, self.count
        if record_cell is not None and record_count is not None:
            _check_records(self.cell, record_cell, record_count, cell_degrees)
            whose, records = record_cell.long(), record_count.long()
        ids, position = torch.unique(whose, return_inverse=True)
        # Records of any class in each cell, in the order of ``ids``.
        self._records = torch.zeros(len(ids), dtype=torch.int64).index_add_(0, position, records)
        self._cells, self._position = ids, torch.searchsorted(ids, self.cell).numpy()
        self._centres = geo.cell_centres(ids, cell_degrees)

    @classmethod
    def from_records(
        cls,
        lonlat: Tensor,
        label: Tensor,
        num_classes: int,
        cell_degrees: float = 1.0,
        *,
        labels: Tensor | None = None,
    ) -> Support:
        """Count records; those without a place or a label are left out.

        Args:
            lonlat: ``(N, 2)`` degrees.
            label: ``(N,)`` int64.
            num_classes: Number of classes K.
            cell_degrees: Side of a cell.
            labels: ``(N, K)`` label sets in place of labels, or None. A record counts once for each
                class of its set, and once for its cell.

        Returns:
            The counts.
        """
        known = ~lonlat.isnan().any(dim=1)
        known &= label >= 0 if labels is None else (labels >= 0).any(dim=1)
        cell = geo.cell_ids(lonlat[known], cell_degrees)
        records: tuple[Tensor, ...] = ()
        if labels is None:
            pair = cell * num_classes + label[known]
        else:
            row, which = (labels[known] == 1).nonzero(as_tuple=True)
            pair = cell[row] * num_classes + which
            records = torch.unique(cell, return_counts=True)
        pair, count = torch.unique(pair, return_counts=True)
        cell = torch.div(pair, num_classes, rounding_mode="floor")
        return cls(cell, pair % num_classes, count, num_classes, cell_degrees, *records)

    @classmethod
    def from_places(cls, lonlat: Tensor, num_classes: int, cell_degrees: float = 1.0) -> Support:
        """Count records whose classes nobody learned, as of a model that compares without labels.

        Args:
            lonlat: ``(N, 2)`` degrees; rows of NaN are left out.
            num_classes: Number of classes K, none of which has a count.
            cell_degrees: Side of a cell.

        Returns:
            The counts of records alone.
        """
        cell = geo.cell_ids(lonlat[~lonlat.isnan().any(dim=1)], cell_degrees)
        none = torch.empty(0, dtype=torch.int64)
        records = torch.unique(cell, return_counts=True)
        return cls(none, none, none, num_classes, cell_degrees, *records)

    def near(self, lon: float, lat: float, *, radius_km: float = LEVEL_RADIUS_KM) -> PlaceSupport:
        """Sum up the evidence near a place.

        Args:
            lon: Longitude, degrees.
            lat: Latitude, degrees.
            radius_km: How far to look.

        Returns:
            Counts within the radius, and the level within 250 km.
        """
        distance = self._distances(lon, lat)
        near = distance[self._position]
        label, count = self.label.numpy(), self.count.numpy()
        per_class = np.zeros(self.num_classes, dtype=np.int64)
        inside = near <= radius_km
        np.add.at(per_class, label[inside], count[inside])
        records = self._records.numpy()
        local = int(records[distance <= LEVEL_RADIUS_KM].sum())
        return PlaceSupport(
            level=next(name for name, least in LEVELS if local >= least),
            records=int(records[distance <= radius_km].sum()),
            per_class=torch.from_numpy(per_class),
            nearest_km=float(distance.min()) if len(distance) else None,
            radius_km=radius_km,
        )

    def _distances(self, lon: float, lat: float) -> NDArray[np.float64]:
        """Measure how far the cells' centres are from a place, in kilometres.

        ``geo.great_circle_km`` in NumPy: torch shares such short steps among threads, and on a busy
        machine they wait for each other a hundred times as long as the work takes.
        """
        east, north = np.deg2rad(self._centres.double().numpy()).T
        row = math.radians(lat)
        across = np.sin((east - math.radians(lon)) / 2) ** 2
        square = np.sin((north - row) / 2) ** 2 + np.cos(north) * math.cos(row) * across
        angle: NDArray[np.float64] = 2 * np.arcsin(np.sqrt(square.clip(0, 1)))
        return geo.EARTH_RADIUS_KM * angle

    def records_on_grid(
        self, lon: Tensor, lat: Tensor, *, radius_km: float = LEVEL_RADIUS_KM
    ) -> Tensor:
        """Count the records of any class near every place of a grid, by the distances of ``near``.

        Along a parallel, the support cells within the radius are one stretch of longitudes, so each
        row of support cells costs two look-ups a place instead of a distance a cell.

        Args:
            lon: ``(W,)`` longitudes, degrees.
            lat: ``(H,)`` latitudes, degrees.
            radius_km: How far to look.

        Returns:
            ``(H, W)`` int64.

        Example:
            >>> support = Support.from_records(torch.tensor([[0.5, 0.5]]), torch.tensor([0]), 1)
            >>> support.records_on_grid(torch.tensor([0.0, 2.0, 4.0]), torch.tensor([0.5])).tolist()
            [[1, 1, 0]]
        """
        # In NumPy, as in ``_distances``.
        east, north = lon.double().numpy(), np.deg2rad(lat.double().numpy())
        found = np.zeros((len(north), len(east)), dtype=np.int64)
        centres = self._centres.double().numpy()
        records = self._records.numpy()
        reach = math.sin(min(radius_km / (2 * geo.EARTH_RADIUS_KM), math.pi / 2)) ** 2
        for parallel in np.unique(centres[:, 1]):
            row = math.radians(parallel)
            # The haversine formula solved for the difference in longitude.
            room = reach - np.sin((north - row) / 2) ** 2
            near = np.flatnonzero(room >= 0)
            if not len(near):
                continue
            part = room[near] / np.maximum(np.cos(north[near]) * math.cos(row), 1e-12)
            half = np.rad2deg(2 * np.arcsin(np.sqrt(np.minimum(part, 1))))[:, None]
            mine = centres[:, 1] == parallel
            first, after = _stretch(centres[mine, 0], east - half, east + half)
            total = np.concatenate(([0], np.tile(records[mine], 3).cumsum()))
            found[near] += total[after] - total[first]
        return torch.from_numpy(found)

    def taxon_cells(self, label: int) -> tuple[Tensor, Tensor]:
        """List the cells in which a class was recorded.

        Args:
            label: The class.

        Returns:
            ``(n, 2)`` cell centres in degrees and ``(n,)`` counts.
        """
        mine = self.label == label
        return geo.cell_centres(self.cell[mine], self.cell_degrees), self.count[mine]

    def cells(self) -> tuple[Tensor, Tensor]:
        """List the cells in which there are records of any class.

        Returns:
            ``(n, 2)`` cell centres in degrees and ``(n,)`` numbers of records.
        """
        return self._centres, self._records

    def bounds(self) -> tuple[float, float, float, float] | None:
        """Find what surrounds all cells with records, a degree around and in whole degrees.

        Returns:
            West, south, east and north end, degrees, within the world; None without a record.

        Example:
            >>> Support.from_records(torch.tensor([[8.5, 47.5]]), torch.tensor([0]), 1).bounds()
            (7.0, 46.0, 10.0, 49.0)
        """
        if not len(self._centres):
            return None
        room = 1 + self.cell_degrees / 2
        (west, south), (east, north) = (
            end.tolist() for end in (self._centres.amin(0) - room, self._centres.amax(0) + room)
        )
        return (
            float(max(math.floor(west), -180)),
            float(max(math.floor(south), -90)),
            float(min(math.ceil(east), 180)),
            float(min(math.ceil(north), 90)),
        )

    def most_recorded(self) -> tuple[float, float] | None:
        """Find where the most records of any class were made.

        Returns:
            Longitude and latitude of the centre of that cell, degrees; None without a record.
        """
        if not len(self._records):
            return None
        lon, lat = self._centres[int(self._records.argmax())].tolist()
        return lon, lat

    def tensors(self) -> dict[str, Tensor]:
        """Return the counts in compact types, for a file.

        Returns:
            ``cell`` and ``count`` int32, ``label`` int32; of label sets also ``record_cell`` and
            ``record_count``.
        """
        columns = {"cell": self.cell, "label": self.label, "count": self.count}
        if self.of_sets:
            columns |= {"record_cell": self._cells, "record_count": self._records}
        return {name: column.to(torch.int32) for name, column in columns.items()}


def _stretch(
    lon: NDArray[np.float64], west: NDArray[np.float64], east: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find which of some longitudes, in order and laid out three times, lie from west to east."""
    thrice = np.concatenate((lon - 360, lon, lon + 360))
    first = np.searchsorted(thrice, west)
    after = np.searchsorted(thrice, east, side="right")
    # All the way round, both ends are one meridian, whose cell counts once.
    return first, np.minimum(after, first + len(lon))


def _check(cell: Tensor, label: Tensor, count: Tensor, num_classes: int, degrees: float) -> None:
    # A model from elsewhere must fail when it is loaded, not when a place is asked for.
    if not 0.5 <= degrees <= 90:
        raise BadRecordError(f"Cells of {degrees} degrees; give a side from 0.5 to 90.")
    if not cell.shape == label.shape == count.shape == (len(cell),):
        raise BadRecordError("Cells, classes and counts of support differ in length.")
    cells = math.ceil(360 / degrees) * math.ceil(180 / degrees)
    for what, values, end in (("cell", cell, cells), ("class", label, num_classes)):
        if len(values) and not (0 <= int(values.min()) and int(values.max()) < end):
            raise BadRecordError(f"Support names a {what} that does not exist; there are {end}.")


def _check_records(cell: Tensor, record_cell: Tensor, count: Tensor, degrees: float) -> None:
    once = torch.zeros_like(record_cell)
    _check(record_cell, once, count, 1, degrees)
    if len(torch.unique(record_cell)) < len(record_cell) or not torch.isin(cell, record_cell).all():
        raise BadRecordError(
            "Support counts classes in cells of which it does not say, once, how many records there"
            " are."
        )
