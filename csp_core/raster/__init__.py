"""Range maps: the prior of a class on a grid, its thresholds, and the files it is written to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from csp_core.files.writing import check_writable
from csp_core.grid import Grid, make_grid
from csp_core.raster.agreement import PlacesOnGrid
from csp_core.raster.blocks import write_zarr
from csp_core.raster.compare import common_area_km2, subtract
from csp_core.raster.few_shot import FewShotGrid, quick_step
from csp_core.raster.geotiff import read_geotiff, write_geotiff
from csp_core.raster.held_out import (
    HeldOut,
    fit_class_threshold,
    names_known,
    read_held_out,
    values_at_records,
)
from csp_core.raster.land import land_cells, mostly_at_sea, only_land
from csp_core.raster.output import SUPPORT_MEANING, Credit, read_credit
from csp_core.raster.picture import write_png
from csp_core.raster.polygons import write_geojson
from csp_core.raster.prior import GridPrior, forget_grids, heatmap
from csp_core.raster.raster import UNITS, Raster, find_class
from csp_core.raster.thresholds import THRESHOLDS, Threshold, fit_threshold, given_threshold
from csp_core.raster.winners import WinningMap, winning_map

# What writes a raster to a file of this ending; each takes threshold and credit too. A ``.zarr`` is
# computed while it is written, by ``write_zarr``.
WRITERS: Mapping[str, Callable[..., Any]] = {
    ".tif": write_geotiff,
    ".tiff": write_geotiff,
    ".geojson": write_geojson,
    ".png": write_png,
}

__all__ = [
    "SUPPORT_MEANING",
    "THRESHOLDS",
    "UNITS",
    "WRITERS",
    "Credit",
    "FewShotGrid",
    "Grid",
    "GridPrior",
    "HeldOut",
    "PlacesOnGrid",
    "Raster",
    "Threshold",
    "WinningMap",
    "check_writable",
    "common_area_km2",
    "find_class",
    "fit_class_threshold",
    "fit_threshold",
    "forget_grids",
    "given_threshold",
    "heatmap",
    "land_cells",
    "make_grid",
    "mostly_at_sea",
    "names_known",
    "only_land",
    "quick_step",
    "read_credit",
    "read_geotiff",
    "read_held_out",
    "subtract",
    "values_at_records",
    "winning_map",
    "write_geojson",
    "write_geotiff",
    "write_png",
    "write_zarr",
]
