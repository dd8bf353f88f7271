"""What was learned as files: the map as GeoTIFF, GeoJSON and PNG, the places as CSV."""

from __future__ import annotations

import csv
import io
import tempfile
from functools import partial
from pathlib import Path

import streamlit as st

from csp_core.raster import WRITERS
from few_shot.address import PlacesView
from few_shot.answer import Answer
from shared import resources

KINDS = {
    ".tif": ("GeoTIFF", "image/tiff"),
    ".geojson": ("GeoJSON", "application/geo+json"),
    ".png": ("PNG", "image/png"),
    ".csv": ("CSV of the places", "text/csv"),
}


def downloads(view: PlacesView, answer: Answer) -> None:
    """Offer the map and the places as files, made as they are asked for.

    Args:
        view: What is asked for.
        answer: What was learned.
    """
    stem = f"{answer.raster.taxon}_{view.info.name}_from-places"
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in stem)
    with st.container(horizontal=True, gap="small"):
        for suffix, (label, mime) in KINDS.items():
            st.download_button(
                label,
                partial(file_of, suffix, view, answer),
                f"{stem}{suffix}",
                mime,
                key=f"few-shot-file{suffix}",
                on_click="ignore",
            )
    st.caption(
        "GeoTIFF: all scores. GeoJSON: the line on the map. PNG: a picture with legend. CSV: the"
        " places with their scores, as this page and `csp few-shot` read them."
    )


def file_of(suffix: str, view: PlacesView, answer: Answer) -> bytes:
    """Write a file.

    Args:
        suffix: A key of ``KINDS``.
        view: What is asked for.
        answer: What was learned.

    Returns:
        Its content.
    """
    if suffix == ".csv":
        return table_of(view, answer)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"map{suffix}")
        credit = resources.credit(view.info)
        WRITERS[suffix](answer.raster, path, threshold=answer.threshold, credit=credit)
        return path.read_bytes()


def table_of(view: PlacesView, answer: Answer) -> bytes:
    """Write the places as a table.

    Args:
        view: What is asked for.
        answer: What was learned.

    Returns:
        CSV in UTF-8.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["decimalLongitude", "decimalLatitude", "occurrenceStatus", "score"])
    for spot in view.spots:
        score = answer.raster.at(spot.lon, spot.lat)
        status = "present" if spot.seen else "absent"
        writer.writerow([spot.lon, spot.lat, status, "" if score != score else f"{score:.4f}"])
    return stream.getvalue().encode()
