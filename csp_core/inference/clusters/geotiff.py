"""Clusters as a GeoTIFF of their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from csp_core.inference.clusters.written import NO_DATA, Written, labels_on_grid, notes

BLOCK = 256


def write_geotiff(clusters: Written, path: Path, **about: Any) -> None:
    """Write the labels in EPSG:4326, int16, deflated.

    -1 is no cluster, -2 no data. Over the antimeridian, longitudes go on beyond 180. The tags name
    the clusters: ``cluster_0``, ``colour_0`` and so on.

    Args:
        clusters: The clusters.
        path: File to write.
        **about: ``license``, ``attribution`` and ``people``, for the tags.
    """
    from rasterio import Affine
    from rasterio.errors import RasterioError
    from rasterio.io import MemoryFile

    about.pop("polygons", None)
    grid, labels = labels_on_grid(clusters)
    tags = notes(clusters, **about) | {"meaning": "number of the cluster; -1: in no cluster"}
    for fact in clusters.facts:
        number = "noise" if fact.label < 0 else str(fact.label)
        tags[f"cluster_{number}"] = fact.name
        tags[f"colour_{number}"] = clusters.colours[fact.label]
    with MemoryFile() as memory:
        try:
            with memory.open(
                driver="GTiff",
                height=grid.rows,
                width=grid.columns,
                count=1,
                dtype="int16",
                crs="EPSG:4326",
                transform=Affine(grid.step, 0, grid.west, 0, -grid.step, grid.north),
                nodata=NO_DATA,
                compress="deflate",
                tiled=True,
                blockxsize=BLOCK,
                blockysize=BLOCK,
            ) as file:
                file.write(labels, 1)
                file.set_band_description(1, "cluster")
                file.update_tags(**tags)
        except RasterioError as error:
            raise OSError(str(error)) from error
        # GDAL tells of a full disk in lines of its own, Python in an error.
        path.write_bytes(memory.read())
