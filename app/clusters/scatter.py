"""The scatter: the sample's points by how alike they are, with a brush and boxes beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow  # type: ignore[import-untyped]
import streamlit as st

from clusters.address import PROJECTIONS, Brush, View, write_brush
from shared.address import set_param
from shared.palette import Palette
from shared.visits import own
from shared.words import percent

KEY = "clusters-scatter"
HEIGHT = 430
BRUSH = "brush"
# In the session's state: how often the chart was drawn anew.
DRAWN = "drawn"


def within(brush: Brush | None, x: Sequence[float], y: Sequence[float]) -> list[bool] | None:
    """Tell which points a rectangle of the scatter holds.

    Args:
        brush: The rectangle, or None.
        x: Of each point.
        y: Of each point.

    Returns:
        One a point; None without a rectangle.
    """
    if brush is None:
        return None
    left, right, low, high = brush
    return [left <= a <= right and low <= b <= high for a, b in zip(x, y, strict=True)]


def both(first: list[bool] | None, other: list[bool] | None) -> list[bool] | None:
    """Tell what both of two highlights hold; one that is None holds all."""
    if first is None or other is None:
        return other if first is None else first
    return [a and b for a, b in zip(first, other, strict=True)]


def on_brush() -> None:
    """Take over a rectangle that was drawn on the scatter, or that there is none any more."""
    chosen: Mapping[str, Any] = st.session_state[KEY].selection.get(BRUSH) or {}
    ends = [*chosen.get("x", ()), *chosen.get("y", ())]
    brush = (min(ends[:2]), max(ends[:2]), min(ends[2:]), max(ends[2:])) if len(ends) == 4 else None
    set_param(BRUSH, write_brush(brush))


def on_box(axis: int) -> None:
    """Take over the ends of a slider beside the scatter.

    Args:
        axis: 0 for across, 1 for up.
    """
    low, high = st.session_state[f"clusters-{'xy'[axis]}"]
    other: tuple[float, float] = st.session_state[f"clusters-{'yx'[axis]}"]
    brush = (low, high, *other) if axis == 0 else (*other, low, high)
    set_param(BRUSH, write_brush(brush))
    _without_rectangle()


def _without_rectangle() -> None:
    """Have the chart drawn anew, as nothing else takes away what was drawn on it."""
    st.session_state[own(DRAWN)] = st.session_state.get(own(DRAWN), 0) + 1


def clear() -> None:
    """Highlight everything again."""
    set_param(BRUSH, None)
    _without_rectangle()
    set_param("cluster", None)


def number_of(label: int) -> str:
    """Give the number by which a cluster goes, the same as in files.

    Example:
        >>> number_of(0), number_of(-1)
        ('0', 'none')
    """
    return "none" if label < 0 else str(label)


def table(
    lonlat: Sequence[Sequence[float]],
    x: Sequence[float],
    y: Sequence[float],
    labels: Sequence[int],
    colours: Sequence[str],
    lit: Sequence[bool] | None,
) -> pyarrow.Table:
    """Give the points as the chart reads them.

    Args:
        lonlat: N places, degrees.
        x: Of each point.
        y: Of each point.
        labels: The cluster of each; negative for none.
        colours: Of each point.
        lit: Which are highlighted; all if None.

    Returns:
        A row a point.
    """
    words = {label: number_of(label) for label in {*labels}}
    return pyarrow.table(
        {
            "x": pyarrow.array(x, pyarrow.float32()),
            "y": pyarrow.array(y, pyarrow.float32()),
            "cluster": pyarrow.array([words[label] for label in labels]).dictionary_encode(),
            "colour": pyarrow.array(colours).dictionary_encode(),
            "lit": pyarrow.array([True] * len(x) if lit is None else lit),
            "latitude": pyarrow.array([round(row[1], 2) for row in lonlat], pyarrow.float32()),
            "longitude": pyarrow.array([round(row[0], 2) for row in lonlat], pyarrow.float32()),
        }
    )


def chart(
    points: pyarrow.Table,
    pin: tuple[float, float] | None,
    view: View,
    explained: Sequence[float] | None,
    palette: Palette,
) -> None:
    """Draw the scatter; what is drawn on it with the mouse is highlighted on the map.

    Args:
        points: As ``table`` gives them.
        pin: Where the point nearest to the pin lies, or None.
        view: What the page shows.
        explained: Shares of all differences that the two directions hold, or None.
        palette: Colours.
    """
    # Never empty: a layer without a row has no extent, of which the chart warns.
    at = pin or (points["x"][0].as_py(), points["y"][0].as_py())
    spot = pyarrow.table({"x": [at[0]], "y": [at[1]], "shown": [pin is not None]})
    # It must not depend on what is highlighted: another specification would draw the chart anew,
    # and its rectangle with it would be gone.
    spec = {
        # In an SVG, which is taken for few points, the rectangle is a picture without a name.
        "usermeta": {
            "drawn": st.session_state.get(own(DRAWN), 0),
            "embedOptions": {"renderer": "canvas"},
        },
        "height": HEIGHT,
        "autosize": {"type": "fit", "contains": "padding"},
        "params": [
            {"name": BRUSH, "select": {"type": "interval", "encodings": ["x", "y"]},
             "views": ["dots"]}
        ],
        "layer": _layers(view, explained, palette),
        "datasets": {"points": points, "pin": spot},
    }  # fmt: skip
    st.vega_lite_chart(
        spec,
        width="stretch",
        key=KEY,
        on_select=on_brush,
        selection_mode=[BRUSH],
        alt=f"Scatter of {view.points:,} places by {PROJECTIONS[view.projection]}; the boxes below"
        " it highlight as well.",
    )


def axes_of(name: str, explained: Sequence[float] | None, palette: Palette) -> dict[str, Any]:
    """Describe the two directions of a scatter, which have names and no numbers.

    Args:
        name: Of the layout.
        explained: Shares of all differences that the two directions hold, or None.
        palette: Colours.

    Returns:
        The encoding of x and y.
    """
    parts = [f" ({percent(share)} of all differences)" for share in explained or ()] or ["", ""]
    return {
        axis: {"field": axis, "type": "quantitative", "title": title,
               "scale": {"zero": False, "nice": False, "padding": 8},
               "axis": {"labels": False, "ticks": False, "grid": False, "domain": True,
                        "titleColor": palette.text}}
        for axis, title in (("x", f"{name}, first direction{parts[0]}"),
                            ("y", f"{name}, second direction{parts[1]}"))
    }  # fmt: skip


def _layers(view: View, explained: Sequence[float] | None, palette: Palette) -> list[Any]:
    """Describe the points and the ring; it must not depend on what is highlighted."""
    axes = axes_of(PROJECTIONS[view.projection], explained, palette)
    tooltip = [{"field": field, "type": kind, "title": field.capitalize()}
               for field, kind in (("cluster", "nominal"), ("latitude", "quantitative"),
                                   ("longitude", "quantitative"))]  # fmt: skip
    dots = {
        "name": "dots",
        "data": {"name": "points"},
        "mark": {"type": "circle", "size": max(6, min(60, 80_000 // view.points))},
        "encoding": {
            **axes,
            "color": {"field": "colour", "type": "nominal", "scale": None, "legend": None},
            "opacity": {"condition": {"test": "datum.lit", "value": 0.85}, "value": 0.06},
            "tooltip": tooltip,
        },
    }
    ring = {"type": "point", "shape": "circle", "filled": False, "size": 260, "strokeWidth": 4}
    seen = {"opacity": {"condition": {"test": "datum.shown", "value": 1}, "value": 0}}
    rings = [
        {"data": {"name": "pin"}, "mark": ring | marked, "encoding": axes | seen}
        for marked in ({"color": palette.ring, "strokeWidth": 8}, {"color": palette.pin})
    ]
    return [dots, *rings]


def boxes(view: View, x: Sequence[float], y: Sequence[float]) -> None:
    """Draw the sliders that highlight a rectangle without a mouse.

    Args:
        view: What the page shows.
        x: Of each point.
        y: Of each point.
    """
    with st.container(horizontal=True, gap="medium"):
        for axis, (values, label) in enumerate(((x, "First direction"), (y, "Second direction"))):
            low, high = round(min(values) - 5e-5, 4), round(max(values) + 5e-5, 4)
            if low >= high:
                high = low + 1e-3
            asked = view.brush[2 * axis : 2 * axis + 2] if view.brush else (low, high)
            first, last = (min(high, max(low, end)) for end in asked)
            st.session_state[f"clusters-{'xy'[axis]}"] = (first, last)
            st.slider(
                label,
                low,
                high,
                key=f"clusters-{'xy'[axis]}",
                step=(high - low) / 200,
                format="%.2f",
                on_change=on_box,
                args=(axis,),
                width=200,
            )
