"""Clusters as tables of points and as polygons: CSV, GeoParquet, GeoJSON and GeoPackage."""

from __future__ import annotations

import csv
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from csp_core.files import spreadsheet_cell
from csp_core.inference.clusters.written import (
    NO_DATA,
    Written,
    columns,
    labels_on_grid,
    notes,
    summary,
)

PLACES, AREAS = "places", "clusters"


def write_csv(
    clusters: Written, path: Path, *, license: str = "", attribution: str = "", **about: Any
) -> None:
    """Write the points, one a row, each with the model and whom to name.

    Args:
        clusters: The clusters.
        path: File to write.
        license: Licence of the model, or ``""``.
        attribution: Whose records it learned from, or ``""``.
        **about: What other writers take.
    """
    table = columns(clusters)
    noted = {"model": clusters.to_dict()["model"], "license": license, "attribution": attribution}
    table |= {name: [text] * len(table["lon"]) for name, text in noted.items()}
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(table)
        for row in zip(*table.values(), strict=True):
            writer.writerow([spreadsheet_cell(value) for value in row])


def write_parquet(clusters: Written, path: Path, *, polygons: bool = False, **about: str) -> None:
    """Write GeoParquet: points, or the areas of the clusters.

    Args:
        clusters: The clusters.
        path: File to write.
        polygons: Write areas.
        **about: ``license``, ``attribution`` and ``people``, noted in the frame's attributes.
    """
    frame = _frame(clusters, polygons)
    frame.attrs.update(notes(clusters, **about))
    frame.to_parquet(path, index=False)


def write_geojson(clusters: Written, path: Path, *, polygons: bool = False, **about: str) -> None:
    """Write GeoJSON: points, or the areas of the clusters.

    Args:
        clusters: The clusters.
        path: File to write.
        polygons: Write areas.
        **about: ``license``, ``attribution`` and ``people``, in the description of the collection.
    """
    frame, told = _frame(clusters, polygons), _told(clusters, **about)
    by_driver(path, ".geojson", [(frame, {"driver": "GeoJSON", "DESCRIPTION": told})])


def write_geopackage(clusters: Written, path: Path, **about: Any) -> None:
    """Write a GeoPackage with two layers: ``places`` and ``clusters``, the areas.

    Args:
        clusters: The clusters.
        path: File to write.
        **about: ``license``, ``attribution`` and ``people``, in the description of the layers.
    """
    about.pop("polygons", None)
    told = _told(clusters, **about)
    layers = [(_points(clusters), PLACES), (_areas(clusters), AREAS)]
    options = {"driver": "GPKG", "DESCRIPTION": told}
    by_driver(path, ".gpkg", [(frame, options | {"layer": name}) for frame, name in layers])


def _frame(clusters: Written, polygons: bool) -> Any:
    return _areas(clusters) if polygons else _points(clusters)


def _told(clusters: Written, **about: str) -> str:
    return "; ".join(f"{name}: {text}" for name, text in notes(clusters, **about).items())


def by_driver(path: Path, suffix: str, layers: list[tuple[Any, dict[str, Any]]]) -> None:
    """Have GDAL write layers, which goes by endings and wants no file there.

    Args:
        path: The file that they shall be in.
        suffix: Ending that names the format.
        layers: Frames, and options of each for its ``to_file``.

    Raises:
        OSError: If they cannot be written.
    """
    from pyogrio.errors import DataSourceError

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        inner = Path(folder) / f"written{suffix}"
        try:
            for frame, options in layers:
                with warnings.catch_warnings():
                    # Of a layer that holds both polygons and multipolygons it warns.
                    warnings.simplefilter("ignore", UserWarning)
                    frame.to_file(inner, engine="pyogrio", **options)
        except DataSourceError as error:
            raise OSError(str(error)) from error
        os.replace(inner, path)


def _points(clusters: Written) -> Any:
    import geopandas

    table = columns(clusters)
    points = geopandas.points_from_xy(table["lon"], table["lat"])
    return geopandas.GeoDataFrame(table, geometry=points, crs="EPSG:4326")


def _areas(clusters: Written) -> Any:
    import geopandas

    outlines = polygons_of(clusters)
    rows = [row | {"geometry": outlines.get(row["cluster"])} for row in summary(clusters)]
    return geopandas.GeoDataFrame(rows, geometry="geometry", crs="EPSG:4326")


def polygons_of(clusters: Written) -> dict[int, Any]:
    """Outline the cells of each cluster, dissolved; cut at the antimeridian.

    Args:
        clusters: The clusters.

    Returns:
        Number to multipolygon in degrees; a cluster that has no cell of its own is left out.
    """
    grid, labels = labels_on_grid(clusters)
    inside = grid.columns - grid.crosses
    north = grid.north - grid.step * np.arange(grid.rows + 1)
    parts: dict[int, list[Any]] = {}
    for first, last, west in ((0, inside, grid.west), (inside, grid.columns, -180.0)):
        east = np.round(west + grid.step * np.arange(last - first + 1), 9)
        for label in np.unique(labels[:, first:last]).tolist():
            if label != NO_DATA:
                mine = labels[:, first:last] == label
                parts.setdefault(label, []).extend(_runs(mine, east, np.round(north, 9)))
    return {
        label: shapely.multipolygons(shapely.get_parts(shapely.union_all(boxes)))
        for label, boxes in parts.items()
    }


def _runs(mine: Any, east: Any, north: Any) -> list[Any]:
    """Give one box for each run of cells in a row: fewer to join than cells."""
    padded = np.pad(mine, ((0, 0), (1, 1))).astype(np.int8)
    row, start = np.nonzero(np.diff(padded, axis=1) == 1)
    _, end = np.nonzero(np.diff(padded, axis=1) == -1)
    return list(shapely.box(east[start], north[row + 1], east[end], north[row]))
