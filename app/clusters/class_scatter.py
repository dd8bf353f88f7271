"""The scatter of a model's classes by the directions in which it looks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow  # type: ignore[import-untyped]
import streamlit as st

from clusters.address import View
from clusters.kept import kept
from clusters.scatter import axes_of
from csp_core.data.records import ClassTable
from csp_core.inference.clusters import class_vectors, colour_of, project
from csp_core.model import DualEncoder
from shared import resources, style
from shared.address import set_taxon
from shared.palette import Palette
from shared.words import count_of, plural, singular

KEY = "clusters-classes"
HEIGHT = 430
PICK = "pick"
CHOSEN, NEAR, OTHER = "chosen", "near", "other"


@dataclass(frozen=True)
class Plane:
    """Where the classes lie in the scatter.

    Args:
        x: Of each class.
        y: Of each class.
        shares: Of all differences, that each of the two directions holds.
    """

    x: list[float]
    y: list[float]
    shares: list[float]


def plane_of(view: View, model: DualEncoder) -> Plane:
    """Lay out the classes of a model by principal components.

    Args:
        view: What is asked for.
        model: The model.

    Returns:
        Where each class lies.

    Raises:
        CspError: If its classes have no vectors.
    """
    return kept("class-planes", 6).get(resources.content_hash(view.info), lambda: _lay_out(model))


def _lay_out(model: DualEncoder) -> Plane:
    plane, shares = project(class_vectors(model))
    x, y = plane.T.tolist()
    return Plane(x, y, [] if shares is None else shares.tolist())


def on_pick(key: str, names: Sequence[str]) -> None:
    """Take over a class whose dot was clicked.

    Args:
        key: Of the chart.
        names: Of all classes.
    """
    picked = st.session_state[key].selection.get(PICK) or []
    # A click between the dots leaves what is chosen.
    if picked:
        set_taxon(names[int(picked[0]["label"])])


def table(
    plane: Plane, classes: ClassTable, chosen: int | None, near: Sequence[tuple[int, float]]
) -> pyarrow.Table:
    """Give the classes as the chart reads them; those that are marked come last, above the others.

    Args:
        plane: Where they lie.
        classes: The classes.
        chosen: The one that is chosen, or None.
        near: Those most like it, with their cosines.

    Returns:
        A row a class.
    """
    cosine = dict(near)
    kind = {label: NEAR for label in cosine} | ({} if chosen is None else {chosen: CHOSEN})
    rank = {OTHER: 0, NEAR: 1, CHOSEN: 2}
    order = sorted(range(len(plane.x)), key=lambda label: rank[kind.get(label, OTHER)])
    common = [classes.common_names[label] or classes.names[label] for label in order]
    words = {CHOSEN: "1, as it is itself", OTHER: "less than of the nearest"}
    like = [
        f"{cosine[label]:.2f}" if label in cosine else words[kind.get(label, OTHER)]
        for label in order
    ]
    return pyarrow.table(
        {
            "x": pyarrow.array([plane.x[label] for label in order], pyarrow.float32()),
            "y": pyarrow.array([plane.y[label] for label in order], pyarrow.float32()),
            "label": pyarrow.array(order, pyarrow.int32()),
            "common": pyarrow.array(common),
            "name": pyarrow.array([classes.names[label] for label in order]),
            "like": pyarrow.array(like),
            "kind": pyarrow.array([kind.get(label, OTHER) for label in order]),
        }
    )


def chart(
    view: View,
    plane: Plane,
    classes: ClassTable,
    chosen: int | None,
    near: Sequence[tuple[int, float]],
) -> None:
    """Draw the scatter; a click on a dot chooses its class.

    Args:
        view: What the page shows.
        plane: Where the classes lie.
        classes: The classes.
        chosen: The one that is chosen, or None.
        near: Those most like it, with their cosines.
    """
    palette = style.palette()
    # Another chart for another class: a click on one that was clicked before is none to a chart
    # that remembers it.
    key = f"{KEY}-{'none' if chosen is None else chosen}"
    spec = {
        "usermeta": {"embedOptions": {"renderer": "canvas"}},
        "height": HEIGHT,
        "autosize": {"type": "fit", "contains": "padding"},
        "layer": _layers(view, plane, palette),
        "datasets": {"classes": table(plane, classes, chosen, near)},
    }
    st.vega_lite_chart(
        spec,
        width="stretch",
        key=key,
        on_select=lambda: on_pick(key, classes.names),
        selection_mode=[PICK],
        alt=f"Scatter of {count_of(len(plane.x), singular(view.info), plural(view.info))} by PCA;"
        " the box above picks one as well, and those most like it are listed.",
    )


def _layers(view: View, plane: Plane, palette: Palette) -> list[dict[str, Any]]:
    """Describe the dots, and the name beside the chosen one."""
    axes = axes_of("PCA", plane.shares, palette)
    each = singular(view.info).capitalize()
    tooltip = [{"field": field, "type": "nominal", "title": title}
               for field, title in (("common", each), ("name", "Name"),
                                    ("like", "Cosine"))]  # fmt: skip
    marked = {"field": "kind", "type": "nominal", "legend": None}
    kinds = [OTHER, NEAR, CHOSEN]
    # Told apart from the pin with any sight.
    near = colour_of(0)
    size = max(24, min(90, 20_000 // len(plane.x)))
    dots = {
        "name": "classes-dots",
        "data": {"name": "classes"},
        "mark": {"type": "circle", "opacity": 0.9, "cursor": "pointer", "stroke": palette.ring},
        "params": [{"name": PICK, "select": {"type": "point", "fields": ["label"],
                                             "toggle": False}}],
        "encoding": {
            **axes,
            "color": marked | {"scale": {"domain": kinds,
                                         "range": [palette.hatch, near, palette.pin]}},
            "size": marked | {"scale": {"domain": kinds, "range": [size, 2.5 * size, 4 * size]}},
            "tooltip": tooltip,
        },
    }  # fmt: skip
    text = {"type": "text", "dy": -16, "fontSize": 14, "fontWeight": "bold",
            "color": palette.text, "tooltip": None}  # fmt: skip
    name: dict[str, Any] = {
        "data": {"name": "classes"},
        "transform": [{"filter": f"datum.kind === '{CHOSEN}'"}],
        "mark": text,
        "encoding": {**axes, "text": {"field": "common", "type": "nominal"}},
    }  # fmt: skip
    # A rim first, as the name lies over other dots.
    rim = name | {"mark": text | {"stroke": palette.ring, "strokeWidth": 5, "opacity": 0.8}}
    return [dots, rim, name]
