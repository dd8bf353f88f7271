"""The maps of the Clusters page: groups or three components, and places like the chosen one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import streamlit as st

from clusters import pixels
from clusters.address import View
from clusters.kept import kept
from clusters.study import Study, colours_of
from mapping import deck, leaflet
from mapping.elements import number_group
from shared import clicks, resources, style
from shared.home import look_of
from shared.visits import own


def draw_map(view: View, study: Study, lit: Sequence[bool] | None) -> None:
    """Draw the clusters, or three components as colours, with the pin.

    Args:
        view: What is asked for.
        study: What to draw.
        lit: Which points are highlighted; all if None.
    """
    marked = (view.cluster, view.brush) if lit is not None else None
    picture = kept("pictures", 24).get(
        (study.key, view.shown, marked),
        lambda: pixels.picture(study.places.cells, colours_of(study, view.shown), lit),
    )
    numbers: dict[int, tuple[float, float]] = {}
    if view.shown == "clusters":
        numbers = dict(
            kept("spots", 24).get(
                study.key, lambda: pixels.spots(study.sample.lonlat, study.labels)
            )
        )
    what = "Clusters" if view.shown == "clusters" else "Three components as colours"
    draw_world("clusters-map", "map-box", picture, f"{what} of the model {view.info.title}", view,
               numbers)  # fmt: skip


def draw_alike(
    view: View, study: Study, key: Hashable, cosine: Sequence[float], above: float
) -> None:
    """Draw where the model sees places like the chosen one.

    Args:
        view: What is asked for.
        study: The sample.
        key: Tells the cosines from all others.
        cosine: With the chosen place, of each point.
        above: Least one that is coloured.
    """
    dark = style.is_dark()
    picture = kept("pictures", 24).get(
        (key, above, dark),
        lambda: pixels.picture(study.places.cells, alike_colours(cosine, above), None),
    )
    draw_world("clusters-alike", "map-box-2", picture, "Places like the chosen one", view, {})


def alike_colours(cosine: Sequence[float], above: float) -> list[str]:
    """Colour points by how alike they are; those below the threshold are not drawn.

    Args:
        cosine: Of each point.
        above: The threshold.

    Returns:
        ``#rrggbb`` or ``""`` of each.
    """
    ramp = style.palette().values
    width = max(1 - above, 1e-9)
    colours = []
    for value in cosine:
        part = min(max((value - above) / width, 0.0), 1.0)
        colours.append(ramp[min(int(part * len(ramp)), len(ramp) - 1)] if value >= above else "")
    return colours


def draw_world(
    key: str,
    box: str,
    picture: bytes,
    label: str,
    view: View,
    numbers: dict[int, tuple[float, float]],
) -> None:
    """Draw a picture on the world, with the pin; a click chooses a place.

    Args:
        key: Of the map in the session's state.
        box: Key of the container that it is drawn in.
        picture: A PNG in the map's projection.
        label: What it shows, for those who cannot see it.
        view: What is asked for.
        numbers: Label to longitude and latitude of the numbers written on it.
    """
    colours = style.palette()
    state = st.session_state
    pinned = (*view.place, view.zoom) if view.place and view.zoom is not None else None
    start = clicks.map_start(pinned or look_of(view.bounds), colours, view.bounds)
    with st.container(key=box):
        if resources.leaflet_ready():
            leaflet.click_map(
                key,
                [
                    leaflet.value_group(picture, 1.0, label),
                    number_group(numbers),
                    leaflet.pin_group(view.place, colours),
                ],
                start=start,
                center=clicks.map_center(view.place)
                if box == "map-box"
                else state.get(own("center")),
                palette=colours,
                on_change=clicks.on_map,
                halves=True,
            )
        else:
            deck.cell_map(key, deck.value_layers(picture, 1.0, None, colours), view.place,
                          start=start, palette=colours, on_select=clicks.on_cell)  # fmt: skip
