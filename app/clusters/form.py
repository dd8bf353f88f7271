"""The boxes that choose the model, the sample and how its places are grouped and laid out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from clusters import region
from clusters.address import (
    COUNTS,
    METHODS,
    POINTS,
    PROJECTIONS,
    SAMPLES,
    SEEDS,
    SHOWN,
    SIZES,
    View,
    whole,
)
from csp_core.inference.clusters import umap_seconds
from csp_core.inference.clusters.apart import LAYOUTS
from csp_core.store import ModelInfo
from shared import address, months, widgets
from shared.address import set_param

# What the parts of the address are called in the session's state.
KEYS = {
    name: f"clusters-{name}"
    for name in (
        "model",
        "method",
        "count",
        "size",
        "projection",
        "where",
        "points",
        "seed",
        "show",
    )
}


def on_box(name: str) -> None:
    """Take over what a box holds.

    Args:
        name: Its part of the address.
    """
    value = st.session_state[KEYS[name]]
    if name == "model":
        address.set_model(value)
    elif value is not None:
        set_param(name, str(value))
    if name == "show":
        return
    # Another model or layout has other groups, in other places of the scatter.
    set_param("cluster", None)
    if name not in ("method", "count", "size"):
        set_param("brush", None)


def draw_controls(view: View, known: Sequence[ModelInfo], *, seasons: bool) -> None:
    """Draw the boxes, and what is wrong with the choice.

    Args:
        view: What is asked for.
        known: All models.
        seasons: Whether the model knows the time of year.
    """
    _keep(view)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="controls"):
        _pick("Model", "model", list(whole(known)), width=190)
        _pick("Group by", "method", list(METHODS), METHODS, width=130)
        if view.method == "kmeans":
            _number("Clusters", "count", COUNTS)
        else:
            _number("Smallest cluster, places", "size", SIZES, width=190)
        _pick("Lay out by", "projection", list(PROJECTIONS), _layouts(view), width=150)
        _pick("Places on", "where", list(SAMPLES), SAMPLES, width=150)
        sizes = sorted({*POINTS, view.points})
        _pick("Places", "points", sizes, {size: f"{size:,}" for size in sizes}, width=110)
        _number("Seed", "seed", SEEDS)
        if seasons:
            months.month_picker(view.month, drops=("cluster", "brush"))
        st.segmented_control(
            "Colour the map by",
            list(SHOWN),
            format_func=SHOWN.__getitem__,
            key=KEYS["show"],
            required=True,
            on_change=on_box,
            args=("show",),
        )
    region.draw(view.bounds, view.edges, view.home)
    widgets.messages(view.problems, view.notices)


def _layouts(view: View) -> dict[str, str]:
    """Name the layouts; of one that takes long, while it is not chosen, with the time it takes."""
    if view.projection == "umap":
        return PROJECTIONS
    seconds = umap_seconds(view.points, first=not LAYOUTS.started)
    return PROJECTIONS | {"umap": f"UMAP, about {math.ceil(seconds / 5) * 5} s"}


def _keep(view: View) -> None:
    """Have every box show what the address says."""
    held = {
        "model": view.info.name,
        "method": view.method,
        "count": view.count,
        "size": view.size,
        "projection": view.projection,
        "where": view.where,
        "points": view.points,
        "seed": view.seed,
        "show": view.shown,
    }
    for name, value in held.items():
        st.session_state[KEYS[name]] = value


def _pick(
    label: str,
    name: str,
    choice: Sequence[Any],
    words: Mapping[Any, str] | None = None,
    *,
    width: int,
) -> None:
    st.selectbox(
        label,
        choice,
        format_func=(lambda value: words[value]) if words else str,
        key=KEYS[name],
        on_change=on_box,
        args=(name,),
        width=width,
    )


def _number(label: str, name: str, ends: tuple[int, int], width: int = 120) -> None:
    st.number_input(
        label, *ends, key=KEYS[name], step=1, on_change=on_box, args=(name,), width=width
    )
