"""Covariates: values of a table or raster, such as climate, sampled at a place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError
from csp_core.location.base import Options
from csp_core.location.surfaces import Surface, read_surface


class Covariates(nn.Module):
    """Values on a regular grid of longitude and latitude, as features of a place.

    Each column is brought to mean 0 and standard deviation 1 over the cells that have a value, and
    read between the centres of cells by bilinear interpolation over those neighbours that have
    one. Where none has, or outside of the grid, the value is 0 and a feature of its own says so.
    The grid is kept with the weights, so that a saved model needs no file.

    Args:
        source: A raster (any that GDAL reads, in any reference system), or a CSV or Parquet table
            with the columns ``lon`` and ``lat`` in degrees. None makes an empty grid, to be filled
            from saved weights; it needs ``columns`` and ``bounds``.
        columns: Which bands, counted from 1 or by their description, or which columns; all bands,
            or all columns with numbers, if None.
        step: Side of a cell of the grid, degrees. What is finer is averaged.
        bounds: West, south, east, north of the grid, degrees; those of the source if None, grown
            to whole cells.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it cannot be read, or a raster has no reference system.
        ConfigError: If an option does not fit, or the grid would be too large.

    Source:
        Cole et al. 2023, Spatial Implicit Neural Representations, environmental inputs.
    """

    example_options: ClassVar[Options] = {
        "columns": ["a", "b"],
        "step": 45.0,
        "bounds": (-180.0, -90.0, 180.0, 90.0),
    }
    values: Tensor
    known: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        source: str | Path | None = None,
        columns: Sequence[str | int] | None = None,
        step: float = 0.5,
        bounds: tuple[float, float, float, float] | None = None,
    ) -> None:
        super().__init__()
        if source is None:
            if columns is None or bounds is None:
                raise ConfigError(
                    "covariates need a source: a raster, or a CSV or Parquet table with lon and lat"
                    " and columns of numbers."
                )
            names = tuple(str(name) for name in columns)
            surface = Surface.empty(names, bounds, step)
        else:
            surface = read_surface(source, columns, step, bounds)
        self.columns, self.bounds, self.step = surface.names, surface.bounds, surface.step
        self._take(surface.values)
        self.out_dim = 2 * len(self.columns)

    @property
    def spec(self) -> dict[str, object]:
        """The options that make this grid again, but for its values."""
        return {"columns": list(self.columns), "step": self.step, "bounds": list(self.bounds)}

    def _take(self, values: Tensor) -> None:
        """Standardise ``(C, H, W)`` float64 values, NaN where there are none, and keep them."""
        known = values.isfinite()
        count = known.sum(dim=(1, 2)).clamp_min(1)
        filled = values.where(known, 0.0)
        mean = filled.sum(dim=(1, 2)) / count
        spread = (filled - mean[:, None, None]).where(known, 0.0)
        deviation = (spread.square().sum(dim=(1, 2)) / count).sqrt()
        # A column that is the same everywhere says nothing: it becomes 0.
        deviation = deviation.where(deviation > 1e-9 * (1 + mean.abs()), 1.0)
        standard = (spread / deviation[:, None, None]).float()
        self.register_buffer("values", standard.contiguous())
        self.register_buffer("known", known)
        self.register_buffer("mean", mean.float())
        self.register_buffer("deviation", deviation.float())

    def forward(self, lonlat: Tensor) -> Tensor:
        """Read the values at places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, 2 C)``: standardised values, 0 where there is none, and then 1 where there is none
            and 0 elsewhere.
        """
        west, _, east, north = self.bounds
        rows, columns = self.values.shape[1:]
        round_trip = math.isclose(east - west, 360.0)
        x = ((lonlat[:, 0] - west) % 360.0) / self.step - 0.5
        y = (north - lonlat[:, 1]) / self.step - 0.5
        # A place outside of the grid has no value, however near.
        inside = (x >= -0.5) & (x <= columns - 0.5) & (y >= -0.5) & (y <= rows - 0.5)
        left, top = x.floor(), y.floor()
        total = weights = lonlat.new_zeros(len(self.columns), lonlat.shape[0])
        for down in (0, 1):
            for right in (0, 1):
                row = (top + down).clamp(0, rows - 1).nan_to_num().long()
                column = (left + right).nan_to_num().long()
                column = column % columns if round_trip else column.clamp(0, columns - 1)
                weight = (1 - (x - left - right).abs()) * (1 - (y - top - down).abs())
                here = weight * self.known[:, row, column].to(lonlat.dtype)  # (C, N)
                here = torch.where(inside, here, torch.zeros_like(here))
                total = total + here * self.values[:, row, column].to(lonlat.dtype)
                weights = weights + here
        missing = weights <= 1e-6
        mean = total / weights.masked_fill(missing, 1)
        value = torch.where(missing, torch.zeros_like(mean), mean)
        return torch.cat((value, missing.to(value.dtype))).T
