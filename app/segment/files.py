"""The map of the scene as files: classes and probabilities, outlines, areas."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import streamlit as st

from csp_core.raster.scenes import PROBABILITIES, write_seen
from segment.answer import Answer
from shared import resources

# By the end of the file's name: what is written on the button, and what the file is.
KINDS = {
    ".tif": ("GeoTIFF, classes", "image/tiff"),
    PROBABILITIES: ("GeoTIFF, probabilities", "image/tiff"),
    ".gpkg": ("GeoPackage", "application/geopackage+sqlite3"),
    ".geojson": ("GeoJSON", "application/geo+json"),
    ".csv": ("CSV of areas", "text/csv"),
}


def downloads(answer: Answer) -> None:
    """Offer the map as files, made as they are asked for.

    Args:
        answer: What the model says.
    """
    st.header("Files", anchor=False)
    seen = answer.seen
    stem = f"{Path(answer.chosen.scene.facts.name).stem}_{answer.info.name}"
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in stem)
    with st.container(horizontal=True, gap="small"):
        for suffix, (label, mime) in KINDS.items():
            st.download_button(
                label,
                partial(file_of, suffix, answer),
                f"{stem}{suffix}",
                mime,
                key=f"segment-file{suffix}",
                on_click="ignore",
            )
    where = "on the pixels of the scene" if seen.report.placed else "without a place, as the scene"
    st.caption(
        f"GeoTIFF: the class of every pixel in these colours, or the probability of each class,"
        f" {where}. GeoPackage and GeoJSON: outlines of the classes with their areas. Larger scenes"
        " and many of them: `csp segment`."
    )


def file_of(suffix: str, answer: Answer) -> bytes:
    """Write the map as a file.

    Args:
        suffix: A key of ``KINDS``.
        answer: What the model says.

    Returns:
        The file's content.

    Raises:
        CspError: If it cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"map{suffix}")
        write_seen(answer.seen, answer.chosen.ground, path, resources.credit(answer.info))
        return path.read_bytes()
