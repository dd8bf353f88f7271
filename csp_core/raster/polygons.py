"""The area above a threshold as polygons: on the map's cells, in GeoJSON, in square kilometres."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import torch
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.files.writing import writing
from csp_core.grid import Grid, area_to_equator_km2
from csp_core.raster.output import NO_CREDIT, Credit, describe
from csp_core.raster.raster import Raster
from csp_core.raster.thresholds import Threshold

# Of an edge's length; exact for the areas under all but the longest slanted ones.
NODES = 6
DECIMALS = 7


def cell_polygons(mask: Tensor, grid: Grid) -> list[shapely.Polygon]:
    """Outline the cells of a grid that are marked.

    Args:
        mask: ``(H, W)`` bool.
        grid: The cells.

    Returns:
        Valid polygons that share no more than corners, counter-clockwise, with holes; split at the
        antimeridian, with longitudes from -180 to 180.
    """
    from rasterio import Affine
    from rasterio.features import shapes

    cells = mask.numpy().astype(np.uint8)
    here = grid.columns - grid.crosses
    found: list[Any] = []
    for west, part in ((grid.west, cells[:, :here]), (-180.0, cells[:, here:])):
        if part.any():
            transform = Affine(grid.step, 0, west, 0, -grid.step, grid.north)
            rings = shapes(part, mask=part.astype(bool), connectivity=4, transform=transform)
            found += [shapely.geometry.shape(outline) for outline, _ in rings]
    return _valid(shapely.transform(np.array(found, dtype=object), lambda at: at.round(DECIMALS)))


def _valid(polygons: Any) -> list[shapely.Polygon]:
    """Part polygons whose rings touch themselves, as cells do at a corner, and orient them all."""
    parts = shapely.get_parts(shapely.make_valid(polygons))
    return [shape for shape in shapely.orient_polygons(parts) if shape.geom_type == "Polygon"]


def simplify(polygons: list[shapely.Polygon], tolerance: float) -> list[shapely.Polygon]:
    """Drop corners of outlines so that polygons stay valid and apart.

    Args:
        polygons: As ``cell_polygons`` gives them.
        tolerance: About the square root of the area that a dropped corner may move, degrees; 0
            drops none.

    Returns:
        The simplified polygons; none gets lost.

    Raises:
        ConfigError: If the tolerance is negative.
    """
    if not tolerance >= 0:
        raise ConfigError(f"The tolerance is {tolerance}; give degrees, 0 to keep every corner.")
    if not tolerance or not polygons:
        return polygons
    return _valid(shapely.coverage_simplify(np.array(polygons, dtype=object), tolerance))


def polygons_area_km2(polygons: list[shapely.Polygon]) -> float:
    """Measure polygons in longitude and latitude on the WGS84 ellipsoid.

    Edges are straight in longitude and latitude, as GeoJSON has them: along a parallel, not along
    the shortest line.

    Args:
        polygons: Counter-clockwise, with longitudes from -180 to 180.

    Returns:
        Square kilometres.

    Source:
        The area as a line integral around it (Green's theorem), by Gauss-Legendre quadrature.
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    total = 0.0
    for ring in shapely.get_rings(np.array(polygons, dtype=object)):
        at = shapely.get_coordinates(ring)
        middle, half = (at[1:] + at[:-1]) / 2, (at[1:] - at[:-1]) / 2
        lat = middle[:, 1:] + half[:, 1:] * nodes
        height = area_to_equator_km2(torch.from_numpy(lat)).numpy() @ weights
        total -= float(height @ np.deg2rad(half[:, 0]))
    return total


def write_geojson(
    raster: Raster,
    path: str | Path,
    *,
    threshold: Threshold | None,
    credit: Credit = NO_CREDIT,
    tolerance: float = 0.0,
) -> dict[str, Any]:
    """Write the area above a threshold by RFC 7946: one feature, or none if no cell reaches it.

    Args:
        raster: The raster.
        path: File to write.
        threshold: The threshold.
        credit: Whom to name.
        tolerance: See ``simplify``.

    Returns:
        What the file says of itself under ``about``, with ``area_above_threshold_km2`` of the
        cells, ``of_which_extrapolated_km2`` and ``area_of_polygons_km2`` as simplified.

    Raises:
        ConfigError: If there is no threshold, or the tolerance is negative.
        BadRecordError: If the file cannot be written.
    """
    if threshold is None:
        raise ConfigError("Polygons need a threshold, such as 0.02.")
    above = raster.values >= threshold.value
    polygons = simplify(cell_polygons(above, raster.grid), tolerance)
    about = {
        **describe(raster, threshold, credit),
        "area_above_threshold_km2": round(raster.area_km2(threshold.value), 3),
        "of_which_extrapolated_km2": (
            round(raster.area_km2(threshold.value, extrapolated=True), 3)
            if raster.support_known
            else None
        ),
        "area_of_polygons_km2": round(polygons_area_km2(polygons), 3),
        "tolerance_degrees": tolerance,
    }
    shape = json.loads(shapely.to_geojson(shapely.MultiPolygon(polygons)))
    feature = {"type": "Feature", "properties": about, "geometry": shape}
    # A collection may have no "properties"; a member of another name is allowed.
    content = {
        "type": "FeatureCollection",
        "about": about,
        "features": [feature] if polygons else [],
    }
    with writing(path) as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return about
