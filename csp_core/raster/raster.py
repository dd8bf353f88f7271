"""A raster: the values of one class on a grid, and what they rest on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from csp_core.errors import BadRecordError, UnknownNameError
from csp_core.grid import Bounds, Grid, make_grid
from csp_core.model import Prior

UNITS = {
    "share": "share of the recordings of the listed classes, 0 to 1",
    "relative": "relative score, 0 to 1, no percentage",
    "probability": "probability that the class is in the label set, 0 to 1",
    "share difference": "difference of two shares, -1 to 1",
    "relative difference": "difference of two relative scores, -1 to 1",
    "probability difference": "difference of two probabilities, -1 to 1",
}


@dataclass(frozen=True, eq=False)
class Raster:
    """The prior of one class on a grid.

    Args:
        values: ``(H, W)`` float32 in [0, 1], of a difference in [-1, 1]; row 0 is the northernmost.
            Not a number is no data.
        bounds: West, south, east, north, degrees; west above east crosses the antimeridian.
        step: Side of a cell, degrees.
        taxon: Scientific name of the class.
        common_name: Its common name, or ``""``.
        kind: A key of ``UNITS``.
        model: Name of the model.
        date: Part of the year in [0, 1), or None for a model without a time input.
        extrapolated: ``(H, W)`` bool, where fewer than 10 training records lie within 250 km of a
            cell's centre; nowhere if the model keeps no counts of them.
        land_only: Whether cells without land were left out.
        support_known: Whether the model keeps such counts; without, a cell is neither known to be
            extrapolated nor known not to be.

    Raises:
        BadRecordError: If values and bounds do not fit.
    """

    values: Tensor
    bounds: Bounds
    step: float
    taxon: str
    common_name: str
    kind: str
    model: str
    date: float | None
    extrapolated: Tensor
    land_only: bool = False
    support_known: bool = True

    def __post_init__(self) -> None:
        """Check that there is a value for every cell."""
        if not self.values.shape == self.extrapolated.shape == self.grid.shape:
            raise BadRecordError(
                f"Values {tuple(self.values.shape)} and extrapolated"
                f" {tuple(self.extrapolated.shape)} do not fill bounds and step, which make"
                f" {self.grid.shape} cells."
            )

    @cached_property
    def grid(self) -> Grid:
        """The cells."""
        return make_grid(self.bounds, self.step)

    @property
    def label(self) -> str:
        """The scientific name with the common one."""
        return f"{self.taxon} ({self.common_name})" if self.common_name else self.taxon

    def at(self, lon: float, lat: float) -> float:
        """Read the value at a place.

        Args:
            lon: Longitude, degrees.
            lat: Latitude, degrees.

        Returns:
            The value of the cell that holds it.

        Raises:
            BadRecordError: If the place is outside the bounds.
        """
        return float(self.values[self.grid.cell(lon, lat)])

    @property
    def any_extrapolated(self) -> bool:
        """Whether the model extrapolates somewhere on the map."""
        return bool(self.extrapolated.any())

    def content_hash(self) -> str:
        """Tell the map from every other by its cells and what they hold.

        Returns:
            SHA-256 of grid, values and support, in hexadecimal.
        """
        found = hashlib.sha256(repr(self.grid).encode())
        for part in (self.values, self.extrapolated):
            found.update(part.numpy().tobytes())
        return found.hexdigest()

    def reaches(self, threshold: float, *, extrapolated: bool | None = None) -> Tensor:
        """Find the cells that reach a threshold.

        Args:
            threshold: Cells with this value or more count.
            extrapolated: True or False counts only cells where the model does or does not
                extrapolate.

        Returns:
            ``(H, W)`` bool.
        """
        reached = self.values >= threshold
        return reached if extrapolated is None else reached & (self.extrapolated == extrapolated)

    def area_km2(self, threshold: float, *, extrapolated: bool | None = None) -> float:
        """Measure the cells that reach a threshold, on the WGS84 ellipsoid.

        Args:
            threshold: Cells with this value or more count.
            extrapolated: As for ``reaches``.

        Returns:
            Square kilometres above the threshold; not the size of a range.
        """
        return self.grid.area_km2(self.reaches(threshold, extrapolated=extrapolated))

    def to_dict(self) -> dict[str, Any]:
        """Describe the raster in plain values, without its cells.

        Returns:
            ``model, taxon, common_name, kind, unit, date, bounds, step, width, height, land_only``.
        """
        return {
            "model": self.model,
            "taxon": self.taxon,
            "common_name": self.common_name,
            "kind": self.kind,
            "unit": UNITS[self.kind],
            "date": self.date,
            "bounds": list(self.bounds),
            "step": self.step,
            "width": self.grid.columns,
            "height": self.grid.rows,
            "land_only": self.land_only,
        }


def find_class(model: Prior, taxon: str | int) -> int:
    """Find a class of a model.

    Args:
        model: A model or a baseline.
        taxon: Scientific name, common name or label; a label may be written out, such as ``"17"``.

    Returns:
        The label.

    Raises:
        UnknownNameError: If the model has no such class; near misses are named.
    """
    count = len(model.classes)
    if isinstance(taxon, str):
        digits = taxon.strip().isascii() and taxon.strip().isdigit()
        if not digits or taxon.strip() in model.classes.names:
            return model.classes.label(taxon)
    if not 0 <= int(taxon) < count:
        known = [f"0 to {count - 1}, or names such as {model.classes.names[0]!r}"] if count else []
        raise UnknownNameError("class number", int(taxon), known)
    return int(taxon)
