"""A range map as files: GeoTIFF, GeoJSON and PNG."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import streamlit as st

from csp_core.raster import WRITERS, heatmap, only_land
from range_map.layer import Layer, titles
from shared import resources
from shared.words import escape_markdown


def downloads(layers: list[Layer]) -> None:
    """Offer each map as GeoTIFF, GeoJSON and PNG.

    Args:
        layers: One map or two.
    """
    names = titles(*layers) if len(layers) == 2 else ("",)
    for number, (layer, name) in enumerate(zip(layers, names, strict=True)):
        if name:
            st.markdown(escape_markdown(name))
        _download_buttons(layer, number)
    st.caption(
        "GeoTIFF: all values, with a second band that marks where the model extrapolates."
        " GeoJSON: the line on the map. PNG: a picture with legend."
    )


def _download_buttons(layer: Layer, number: int) -> None:
    kinds: Mapping[str, tuple[str, str]] = {
        ".tif": ("GeoTIFF", "image/tiff"),
        ".geojson": ("GeoJSON", "application/geo+json"),
        ".png": ("PNG", "image/png"),
    }
    stem = "_".join((layer.info.name, layer.taxon.replace(" ", "-")))
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in stem)
    with st.container(horizontal=True, gap="small"):
        for suffix, (label, mime) in kinds.items():
            missing = suffix == ".geojson" and layer.threshold is None
            st.download_button(
                label,
                partial(file_of, suffix, layer),
                f"{stem}{suffix}",
                mime,
                key=f"file{number}{suffix}",
                on_click="ignore",
                disabled=missing,
                help="Outlines need a threshold." if missing else None,
            )


def file_of(suffix: str, layer: Layer) -> bytes:
    """Write a map as a file: as it is shown, or all its values where the format marks the guesses.

    Args:
        suffix: A key of ``csp_core.raster.WRITERS``.
        layer: The map.

    Returns:
        The file's content.
    """
    raster = layer.raster
    if suffix == ".tif" and not layer.guesses:
        # Past the caches of the page, as a download is made outside of any run of it.
        whole = heatmap(layer.model, layer.taxon, step=raster.step, date=raster.date)
        raster = only_land(whole) if raster.land_only else whole
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"map{suffix}")
        credit = resources.credit(layer.info)
        WRITERS[suffix](raster, path, threshold=layer.threshold, credit=credit)
        return path.read_bytes()
