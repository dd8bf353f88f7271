"""Clusters as files: points, outlines, a raster and a picture, made as they are asked for."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import streamlit as st

from clusters.address import View
from clusters.study import Account, Study
from csp_core.geo import WORLD
from csp_core.inference.clusters import Clusters, write_clusters
from csp_core.raster import Credit
from shared import resources

AREAS = "_areas"
# By the end of the file's name: what is written on the button, and what the file is.
KINDS = {
    ".csv": ("CSV", "text/csv"),
    ".geojson": ("GeoJSON", "application/geo+json"),
    f"{AREAS}.geojson": ("GeoJSON, areas", "application/geo+json"),
    ".gpkg": ("GeoPackage", "application/geopackage+sqlite3"),
    ".parquet": ("GeoParquet", "application/vnd.apache.parquet"),
    f"{AREAS}.parquet": ("GeoParquet, areas", "application/vnd.apache.parquet"),
    ".tif": ("GeoTIFF", "image/tiff"),
    ".png": ("PNG", "image/png"),
}


def downloads(view: View, found: Study, told: Account) -> None:
    """Offer the clusters as files.

    Args:
        view: What is asked for.
        found: The clusters.
        told: What is known of them.
    """
    st.header("Files", anchor=False)
    stem = f"{view.info.name}_{view.method}_{view.points}"
    if found.date is not None and view.month:
        stem += f"_month{view.month}"
    if view.bounds != WORLD:
        stem += "_region"
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in stem)
    credit = resources.credit(view.info)
    clusters = to_clusters(view, found, told)
    with st.container(horizontal=True, gap="small"):
        for suffix, (label, mime) in KINDS.items():
            st.download_button(
                label,
                partial(file_of, suffix, clusters, credit),
                f"{stem}{suffix}",
                mime,
                key=f"clusters-file{suffix}",
                on_click="ignore",
            )
    st.caption(
        "CSV: every place with its cluster. GeoJSON and GeoParquet: the places, or the area of each"
        " cluster, for maps; GeoPackage: both. GeoTIFF: the cluster of every cell. PNG: a picture"
        " with legend."
    )


def to_clusters(view: View, found: Study, told: Account) -> Clusters:
    """Give what is shown as `csp_core` writes it, with the numbers and colours of the page."""
    return Clusters(
        sample=found.sample,
        labels=found.shown,
        vectors=found.vectors,
        projection=found.plane,
        explained=found.shares,
        facts=tuple(told.facts),
        quality=told.quality,
        method=view.method,
        layout=view.projection,
        count=view.count,
        min_size=None if view.method == "kmeans" else view.size,
        seed=view.seed,
        model=view.info.name,
        date=found.date,
    )


def file_of(suffix: str, clusters: Clusters, credit: Credit) -> bytes:
    """Write clusters as a file.

    Args:
        suffix: A key of ``KINDS``.
        clusters: The clusters.
        credit: Whom the file names.

    Returns:
        The file's content.

    Raises:
        CspError: If it cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"clusters{suffix}")
        write_clusters(clusters, path, polygons=suffix.startswith(AREAS), **vars(credit))
        return path.read_bytes()
