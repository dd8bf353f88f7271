"""Range maps and their difference as files: GeoTIFF, GeoJSON and PNG."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import streamlit as st

from csp_core.raster import WRITERS, Credit, heatmap
from range_map.layer import Layer, difference_of, titles
from shared import resources
from shared.words import escape_markdown, reworded

KINDS = {
    ".tif": ("GeoTIFF", "image/tiff"),
    ".geojson": ("GeoJSON", "application/geo+json"),
    ".png": ("PNG", "image/png"),
}


def downloads(layers: list[Layer], *, difference: bool) -> None:
    """Offer each map as GeoTIFF, GeoJSON and PNG, and the difference of two.

    Args:
        layers: One map or two.
        difference: Whether the difference of two is shown.
    """
    names = titles(*layers) if len(layers) == 2 else ("",)
    if difference and len(layers) == 2:
        first, other = titles(*layers)
        st.markdown(escape_markdown(f"{first} minus {other}"))
        stem = f"{_stem(layers[0])}_minus_{_stem(layers[1])}"
        _buttons(stem, "difference", partial(difference_file, first=layers[0], other=layers[1]),
                 {".tif": "", ".png": ""})  # fmt: skip
    for number, (layer, name) in enumerate(zip(layers, names, strict=True)):
        if name:
            st.markdown(escape_markdown(name))
        missing = "Outlines need a threshold." if layer.threshold is None else ""
        offered = {".tif": "", ".geojson": missing, ".png": ""}
        _buttons(_stem(layer), str(number), partial(file_of, layer=layer), offered)
    st.caption(
        "GeoTIFF: all values, with a second band that marks where"
        f" {reworded('too little was recorded to say', layers[0].info)}."
        " GeoJSON: the line on the map. PNG: a picture with legend. Each names model, unit, licence"
        " and whose records it rests on."
    )


def _stem(layer: Layer) -> str:
    stem = "_".join((layer.info.name, layer.taxon.replace(" ", "-")))
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in stem)


def _buttons(stem: str, key: str, write: Callable[[str], bytes], offered: dict[str, str]) -> None:
    """Draw a button for each ending that is offered, with why it cannot be had."""
    with st.container(horizontal=True, gap="small"):
        for suffix, missing in offered.items():
            label, mime = KINDS[suffix]
            st.download_button(
                label,
                partial(write, suffix),
                f"{stem}{suffix}",
                mime,
                key=f"file{key}{suffix}",
                on_click="ignore",
                disabled=bool(missing),
                help=missing or None,
            )


def whole(layer: Layer) -> Layer:
    """Give a map all its values: the page's has none where the model extrapolates."""
    if layer.guesses:
        return layer
    raster = layer.raster
    # Past the caches of the page, as a download is made outside of any run of it.
    full = heatmap(
        layer.model, layer.taxon, step=raster.step, date=raster.date, land_only=raster.land_only
    )
    return replace(layer, raster=full)


def file_of(suffix: str, layer: Layer) -> bytes:
    """Write a map as a file: as it is shown, or all its values where the format marks the guesses.

    Args:
        suffix: A key of ``csp_core.raster.WRITERS``.
        layer: The map.

    Returns:
        The file's content.
    """
    raster = whole(layer).raster if suffix == ".tif" else layer.raster
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"map{suffix}")
        credit = resources.credit(layer.info)
        WRITERS[suffix](raster, path, threshold=layer.threshold, credit=credit)
        return path.read_bytes()


def difference_file(suffix: str, first: Layer, other: Layer) -> bytes:
    """Write the difference of two maps as a file, with the credits of both.

    Args:
        suffix: ``".tif"`` or ``".png"``.
        first: From which.
        other: What is subtracted.

    Returns:
        The file's content.
    """
    pair = [whole(layer) if suffix == ".tif" else layer for layer in (first, other)]
    credits = dict.fromkeys(resources.credit(layer.info) for layer in pair)
    credit = Credit(
        "; ".join(dict.fromkeys(one.license for one in credits if one.license)),
        " ".join(dict.fromkeys(one.attribution for one in credits if one.attribution)),
        "\n\n".join(dict.fromkeys(one.people for one in credits if one.people)),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"map{suffix}")
        WRITERS[suffix](difference_of(*pair), path, credit=credit)
        return path.read_bytes()
