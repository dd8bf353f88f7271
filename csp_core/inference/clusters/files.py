"""Clusters as files, the kind told by the ending; whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from csp_core.errors import ConfigError
from csp_core.files.writing import writing
from csp_core.inference.clusters import geotiff, picture, tables
from csp_core.inference.clusters.written import Written

# Each takes the clusters, a path, and as keywords polygons, license, attribution and people.
WRITERS: Mapping[str, Callable[..., Any]] = {
    ".parquet": tables.write_parquet,
    ".geojson": tables.write_geojson,
    ".gpkg": tables.write_geopackage,
    ".csv": tables.write_csv,
    ".tif": geotiff.write_geotiff,
    ".tiff": geotiff.write_geotiff,
    ".png": picture.write_png,
}
# What can hold the areas of the clusters in the place of points.
OUTLINED = (".geojson", ".parquet")


def write_clusters(
    clusters: Written,
    path: str | Path,
    *,
    polygons: bool = False,
    license: str = "",
    attribution: str = "",
    people: str = "",
) -> None:
    """Write clusters to a file.

    Args:
        clusters: The clusters.
        path: File to write: ``.parquet`` (GeoParquet), ``.geojson``, ``.gpkg`` (points and areas),
            ``.csv``, ``.tif`` (numbers on a grid) or ``.png``.
        polygons: Write the dissolved areas instead of points, as GeoJSON or GeoParquet.
        license: Licence of the model, to be named.
        attribution: Whose records it learned from, to be named.
        people: All of them by name, with their licences; a table of points has no room for them.

    Raises:
        ConfigError: If the ending is not known, or polygons are asked of one that holds none.
        BadRecordError: If the file cannot be written.
    """
    suffix = check_ending(path, polygons=polygons)
    with writing(path) as temporary:
        about = {"license": license, "attribution": attribution, "people": people}
        WRITERS[suffix](clusters, temporary, polygons=polygons, **about)


def check_ending(path: str | Path, *, polygons: bool = False) -> str:
    """Check that a file of this name can hold clusters.

    Args:
        path: The file.
        polygons: Whether it shall hold areas in the place of points.

    Returns:
        Its ending.

    Raises:
        ConfigError: If it cannot.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        raise ConfigError(f"{path} has no known ending; give one of {', '.join(WRITERS)}.")
    if polygons and suffix not in OUTLINED:
        raise ConfigError(
            f"Areas in the place of points are written to {' or '.join(OUTLINED)}, not to {suffix};"
            " a GeoPackage holds both anyway."
        )
    return suffix
