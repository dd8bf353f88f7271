"""The region whose places are grouped: four edges in the address, typed in boxes."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from csp_core.errors import ConfigError, CspError
from csp_core.geo import WORLD
from csp_core.grid import Bounds, check_bounds, describe_bounds
from csp_core.store import ModelInfo
from shared import resources
from shared.address import CENTRE, set_param

NAME = "bounds"
# In the order of the address and of the command line.
EDGES = (("West", 180.0), ("South", 90.0), ("East", 180.0), ("North", 90.0))
# Pixels of the map that a region has to fit into, and its nearest look at one.
ROOM, NEAREST = 420, 7.0
# Up to this part of the Earth, a page opens at what a model knows.
SMALL = 0.1


def home_of(info: ModelInfo) -> Bounds:
    """Give the region that a page opens at: where a model of label sets has learned from.

    Others open at the world, as their addresses of before do.

    Args:
        info: The model.

    Returns:
        The region in whole degrees; the world unless that is a small part of it.
    """
    try:
        support = resources.model(info).support
    except CspError:  # the page says so when it asks the model
        return WORLD
    found = None if support is None or not support.of_sets else support.bounds()
    if found is None:
        return WORLD
    west, south, east, north = found
    band = math.sin(math.radians(north)) - math.sin(math.radians(south))
    return found if (east - west) / 360 * band / 2 <= SMALL else WORLD


def read_bounds(problems: list[str], home: Bounds = WORLD) -> tuple[Bounds, Bounds]:
    """Read the region of the address.

    Args:
        problems: A sentence is added for what is no region.
        home: The region where the address names none.

    Returns:
        The region, which is the world where what is named is none, and the edges as the boxes hold
        them.
    """
    given = st.query_params.get(NAME, "")
    if not given:
        return home, home
    try:
        west, south, east, north = map(float, given.split(","))
        edges = (west, south, east, north)
    except ValueError:
        edges = (math.nan,) * 4
    try:
        return check_bounds(edges), edges
    except ConfigError as error:
        why = "give west, south, east, north with commas."
        if all(map(math.isfinite, edges)):
            why = str(error)
        problems.append(
            f"{NAME}={given} in the address is no region: {why} Taking the whole world instead."
        )
    fits = all(abs(edge) <= most for edge, (_, most) in zip(edges, EDGES, strict=True))
    return WORLD, edges if fits else WORLD


def write_bounds(edges: Bounds, home: Bounds = WORLD) -> str | None:
    """Write a region as the address has it; None for the one that the page opens at.

    Example:
        >>> write_bounds((-20.0, -36.5, 52.0, 38.0)), write_bounds((-180, -90, 180, 90))
        ('-20,-36.5,52,38', None)
    """
    return None if edges == home else ",".join(f"{round(edge, 4):g}" for edge in edges)


def inside(bounds: Bounds, lon: Any, lat: Any, room: float = 0.0) -> Any:
    """Tell whether places lie in a region.

    Args:
        bounds: West, south, east, north, degrees.
        lon: Longitude in [-180, 180], degrees; a number or an array.
        lat: Latitude, degrees.
        room: So far beyond its edges a place still counts, degrees.

    Returns:
        A bool, or an array of them.

    Example:
        >>> inside((170.0, -20.0, -170.0, 0.0), -175.0, -5.0), inside((0, 0, 9, 9), 10.0, 5.0)
        (True, False)
    """
    west, south, east, north = bounds
    width = east - west + (360 if west > east else 0)
    across = (lon - west + room) % 360 <= width + 2 * room
    return across & (lat >= south - room) & (lat <= north + room)


def words_of(bounds: Bounds) -> str:
    """Name a region at the end of a sentence; nothing for the world."""
    return "" if bounds == WORLD else f", {describe_bounds(bounds)}"


def look_of(bounds: Bounds) -> tuple[float, float, float] | None:
    """Tell how a map shows a region as a whole.

    Returns:
        Longitude, latitude and zoom, in halves; None for the world.

    Example:
        >>> look_of((170.0, -20.0, -170.0, 0.0))
        (180.0, -10.1559, 4.5)
    """
    if bounds == WORLD:
        return None
    west, south, east, north = bounds
    width = east - west + (360 if west > east else 0)
    low, high = (math.asinh(math.tan(math.radians(max(-85.0, min(85.0, lat)))))
                 for lat in (south, north))  # fmt: skip
    part = max(width / 360, (high - low) / (2 * math.pi), 1e-6)
    zoom = math.floor(2 * math.log2(ROOM / 256 / part)) / 2
    lon = west + width / 2
    lat = math.degrees(math.atan(math.sinh((low + high) / 2)))
    return lon - 360 if lon > 180 else lon, round(lat, 4), max(0.5, min(NEAREST, zoom))


def _take(edges: Bounds, home: Bounds) -> None:
    set_param(NAME, write_bounds(edges, home))
    # Another region has other groups, in other places of the scatter and of the map.
    for name in ("cluster", "brush", CENTRE, "zoom"):
        set_param(name, None)


def on_edges(home: Bounds) -> None:
    """Take over the four boxes; an empty one is the end of the world.

    Args:
        home: The region that the page opens at.
    """
    typed = [st.session_state[_key(name)] for name, _ in EDGES]
    west, south, east, north = (
        end if edge is None else edge for edge, end in zip(typed, WORLD, strict=True)
    )
    _take((west, south, east, north), home)


def _key(name: str) -> str:
    return f"clusters-{name.lower()}"


def draw(bounds: Bounds, edges: Bounds, home: Bounds) -> None:
    """Draw the boxes for the edges.

    Args:
        bounds: The region.
        edges: What the boxes hold.
        home: The region that the page opens at.
    """
    with (
        st.expander("Region: the whole world or a part of it", expanded=edges != home),
        st.container(horizontal=True, vertical_alignment="bottom", gap="small"),
    ):
        for (name, most), edge in zip(EDGES, edges, strict=True):
            st.session_state[_key(name)] = edge
            st.number_input(
                f"{name}, degrees",
                *(-most, most),
                value=None,
                step=1.0,
                format="%.2f",
                key=_key(name),
                on_change=on_edges,
                args=(home,),
                width=172,
            )
        if bounds != WORLD or edges != WORLD:
            st.button("Whole world", key="clusters-world", on_click=_take, args=(WORLD, home))
