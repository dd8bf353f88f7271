"""Where on Earth something fits, drawn: places coloured by how many others agree less."""

from __future__ import annotations

from html import escape

import streamlit as st

from csp_core.inference.retrieval import Fit, Gallery, places_gallery
from csp_core.model import DualEncoder
from csp_core.raster import PlacesOnGrid
from csp_core.store import ModelInfo
from mapping.values import Scale, legend_steps, mercator_png
from shared import resources, style
from shared.palette import Palette
from shared.words import escape_markdown

# Parts of the places that agree less. Cosines differ from model to model; their order does not.
EDGES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)
MEANING = (
    "Each colour says of how many of the places the agreement is lower. It is an order, and no"
    " chance that it is there; half of the places, those that agree less, have no colour."
)


def gallery(info: ModelInfo, model: DualEncoder) -> Gallery:
    """Spread places over where a model has learned, and ask it about them, once for all sessions.

    Args:
        info: The model's line in the list.
        model: The model.

    Returns:
        The places, shared: read them, never change them.

    Raises:
        CspError: If the model compares no places.
    """
    return _gallery(str(info.directory), resources.content_hash(info), model)


# 4,000 places with 128 numbers each take 2 MB, with 25 tokens each some 25 MB.
@st.cache_resource(show_spinner="Asking the model about its places …", max_entries=3)
def _gallery(directory: str, content: str, _model: DualEncoder) -> Gallery:
    return places_gallery(_model)


@st.cache_resource(show_spinner=False, max_entries=3)
def _on_grid(directory: str, content: str, _places: Gallery) -> PlacesOnGrid:
    assert _places.lonlat is not None  # a gallery of places has them
    return PlacesOnGrid(_places.lonlat)


def picture(info: ModelInfo, fit: Fit, palette: Palette) -> bytes:
    """Draw how well places fit, for a map of the world.

    Args:
        info: The model's line in the list.
        fit: What was compared.
        palette: The theme's colours.

    Returns:
        A PNG; half of the places, and all where the model has learned nothing, are transparent.
    """
    grid = _on_grid(str(info.directory), resources.content_hash(info), fit.gallery)
    return mercator_png(grid.raster(fit.above, info.name), scale(palette), palette, guesses=True)


def scale(palette: Palette) -> Scale:
    """Give the steps of colour."""
    colours = palette.values
    count = len(EDGES) - 1
    chosen = [colours[round(k * (len(colours) - 1) / (count - 1))] for k in range(count)]
    return Scale(EDGES, tuple(chosen), "%", "Agrees better than so many of the places")


def legend(fit: Fit) -> None:
    """Explain the colours, and where the places lie."""
    steps = legend_steps(scale(style.palette()))
    boxes = "".join(f'<i style="background:{colour}"></i>' for colour, _ in steps)
    low, high = f"{EDGES[0]:.0%}", "all"
    st.html(
        '<div class="csp-scale" role="img" aria-label="Colour scale: agrees better than'
        f' {low} to {high} of the places"><div>Agrees better than so many of the places</div>'
        f'<div class="csp-steps">{boxes}</div>'
        f'<div class="csp-ends"><span>{low}</span><span>{high}</span></div></div>'
        f'<div class="csp-small">{escape(fit.gallery.about)}. {MEANING}</div>'
    )


def listed(fit: Fit) -> None:
    """List the places that agree best, as a table."""
    # Names wrap beside the numbers, so that all stays in sight where there is little room.
    st.table(
        {
            "Where": [escape_markdown(one.name) for one in fit.best],
            "Agreement": [f"{one.agreement:.3f}" for one in fit.best],
            "Latitude": [f"{one.lat:.2f}" for one in fit.best],
            "Longitude": [f"{one.lon:.2f}" for one in fit.best],
        },
        border="horizontal",
        hide_index=True,
    )
