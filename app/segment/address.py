"""What the address of the Segment page says: model, layer, opacity, and the pixel asked about.

The pixel of a scene that lies on a map is a place, as on other pages; of another, a row and a
column. An uploaded scene is no part of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from csp_core.store import ModelInfo
from shared import address
from shared.visits import own

LAYERS = {"classes": "Classes", "features": "What looks alike", "picture": "The picture alone"}
OPACITY, LEAST_OPACITY, STEP = 70, 10, 10
# Of one scene; the rest of the address holds for all.
OWN = ("lat", "lon", "row", "column", address.CENTRE, "zoom")
# In the session's state: the scene whose pixel the address names.
SHOWN = "shown-scene"


@dataclass
class SegmentView:
    """What the address of the Segment page asks for, and what is wrong with it.

    Args:
        info: The model.
        layer: A key of ``LAYERS``.
        opacity: Of the layer, percent.
        place: Longitude and latitude asked about, or None.
        cell: Row and column asked about, or None.
        zoom: Of the map, or None for the whole scene.
        problems: What cannot be used.
    """

    info: ModelInfo
    layer: str
    opacity: int
    place: tuple[float, float] | None
    cell: tuple[int, int] | None
    zoom: float | None
    problems: list[str] = field(default_factory=list)


def mapping_models(known: list[ModelInfo]) -> dict[str, ModelInfo]:
    """Give the models that say what each pixel is, by name."""
    return {info.name: info for info in known if info.problem is None and info.maps_pixels}


def read_segment(known: dict[str, ModelInfo]) -> SegmentView:
    """Read the address; what cannot be used becomes a sentence.

    Args:
        known: The models that say what each pixel is, of which there is one at least.

    Returns:
        What to show.
    """
    problems: list[str] = []
    first = next(iter(known.values()))
    name = st.query_params.get("model") or first.name
    if name not in known:
        problems.append(
            f"Model {name} says nothing of single pixels, or is not here. Models that do:"
            f" {', '.join(known)}. Showing {first.name} instead."
        )
    opacity = address.read_number("opacity", OPACITY, problems)
    if opacity is None or not LEAST_OPACITY <= opacity <= 100:
        problems.append(
            f"opacity={st.query_params.get('opacity')} in the address is out of range; give"
            f" {LEAST_OPACITY} to 100."
        )
        opacity = OPACITY
    return SegmentView(
        info=known.get(name, first),
        layer=address.read_word("layer", tuple(LAYERS), problems),
        opacity=STEP * round(opacity / STEP),
        place=_read_place(problems),
        cell=_read_cell(problems),
        zoom=address.read_zoom(None, problems, address.CLOSEST),
        problems=problems,
    )


def _read_place(problems: list[str]) -> tuple[float, float] | None:
    lon, lat = (address.read_number(name, None, problems) for name in ("lon", "lat"))
    if lon is None or lat is None:
        if ("lon" in st.query_params) != ("lat" in st.query_params):
            problems.append("Half a place stands in the address; give lat and lon.")
        return None
    return address.tidy(lon, lat, [], problems)


def _read_cell(problems: list[str]) -> tuple[int, int] | None:
    given = [address.read_number(name, None, problems) for name in ("row", "column")]
    row, column = given
    if row is None or column is None:
        return None
    if row < 0 or column < 0 or row != int(row) or column != int(column):
        problems.append(
            f"row={row:g}, column={column:g} in the address is no pixel; give whole numbers from 0."
        )
        return None
    return int(row), int(column)


def turn_to(scene: str) -> bool:
    """Leave behind what the address says of another scene.

    Args:
        scene: Key of the scene that is shown.

    Returns:
        Whether the address has changed by it.
    """
    state, params = st.session_state, st.query_params
    before, state[own(SHOWN)] = state.get(own(SHOWN)), scene
    if before is None or before == scene:
        return False
    said = [name for name in OWN if name in params]
    for name in said:
        params.pop(name)
    for name in ("clicked", "shown", "looks"):
        state.pop(own(name), None)
    return bool(said)
