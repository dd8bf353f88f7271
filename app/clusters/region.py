"""The region whose places are grouped: four edges in the address, typed in boxes."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from csp_core.errors import ConfigError
from csp_core.geo import WORLD
from csp_core.grid import Bounds, check_bounds, describe_bounds
from shared.address import CENTRE, set_param

NAME = "bounds"
# In the order of the address and of the command line.
EDGES = (("West", 180.0), ("South", 90.0), ("East", 180.0), ("North", 90.0))


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
        st.container(
            horizontal=True, vertical_alignment="bottom", gap="small", key="clusters-edges"
        ),
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
