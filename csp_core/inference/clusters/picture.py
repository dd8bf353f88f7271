"""Clusters as a picture: a map in their colours, with a legend that names them."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from csp_core.geo import wrap_longitude
from csp_core.inference.clusters.quality import CAUTION
from csp_core.inference.clusters.written import NO_DATA, Written, labels_on_grid, notes
from csp_core.land import land_shape

WIDTH_INCHES, DOTS_PER_INCH = 10.0, 150
INK, BLANK = "#1d282a", "#ffffff"
LEGEND_COLUMNS, LINE_INCHES = 2, 0.21


def write_png(clusters: Written, path: Path, **about: Any) -> None:
    """Draw the clusters as a map with a legend, shares of the area and a caution.

    Args:
        clusters: The clusters.
        path: File to write.
        **about: ``license`` and ``attribution``, for the lines below the map; they and ``people``
            for the picture's notes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import to_rgb
    from matplotlib.figure import Figure

    about.pop("polygons", None)
    grid, labels = labels_on_grid(clusters)
    west, south, _, north = grid.bounds
    east = west + grid.columns * grid.step
    map_height = min(max((north - south) / (east - west) * WIDTH_INCHES * 0.86, 2.0), 12.0)
    footer = _footer(clusters, about)
    lines = -(-len(clusters.facts) // LEGEND_COLUMNS)
    below = 0.6 + LINE_INCHES * lines + 0.14 * (footer.count("\n") + 1) + 0.25
    height = map_height + below + 0.5
    figure = Figure(figsize=(WIDTH_INCHES, height), dpi=DOTS_PER_INCH, facecolor=BLANK)
    canvas = FigureCanvasAgg(figure)
    axes: Any = figure.add_axes((0.08, below / height, 0.86, map_height / height))
    pixels = np.ones((*labels.shape, 3))
    for label, colour in clusters.colours.items():
        pixels[labels == label] = to_rgb(colour)
    pixels[labels == NO_DATA] = to_rgb(BLANK)
    axes.imshow(pixels, extent=(west, east, south, north), origin="upper", interpolation="nearest")
    _draw_land(axes, crosses=bool(grid.crosses))
    axes.set(xlim=(west, east), ylim=(south, north), xlabel="longitude (°)", ylabel="latitude (°)")
    axes.set_aspect("auto" if map_height in (2.0, 12.0) else "equal")
    axes.xaxis.set_major_formatter(lambda lon, _: f"{wrap_longitude(lon):g}".replace("-", "−"))
    told = clusters.to_dict()
    title = (
        f"What {told['model'] or 'the model'} has learned of places: {told['clusters']} clusters"
    )
    axes.set_title(title, parse_math=False, loc="left", fontsize=14, color=INK)
    _draw_legend(figure, clusters, (below - 0.5) / height)
    figure.text(0.08, 0.15 / height, footer, parse_math=False, va="bottom", fontsize=6.5, color=INK)
    noted = {"Title": title, "Source": f"model {told['model']}"}
    noted |= {"Copyright": about.get("license", ""), "Author": about.get("people", "")}
    noted["Description"] = about.get("attribution", "")
    metadata = {name: text for name, text in noted.items() if text}
    canvas.print_figure(path, format="png", metadata=metadata)


def _draw_legend(figure: Any, clusters: Written, top: float) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(
            facecolor=clusters.colours[fact.label],
            label=textwrap.shorten(
                f"{_number(fact.label)}{fact.name} ({fact.share * 100:.0f} %)", 74
            ),
        )
        for fact in clusters.facts
    ]
    legend = figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.07, top),
        ncols=LEGEND_COLUMNS,
        frameon=False,
        fontsize=8,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _number(label: int) -> str:
    return "" if label < 0 else f"{label} · "


def _draw_land(axes: Any, crosses: bool) -> None:
    from matplotlib.collections import LineCollection

    rings = shapely.get_rings(shapely.get_parts(land_shape()))
    lines = [shapely.get_coordinates(ring) for ring in rings]
    if crosses:
        lines += [line + np.array([360.0, 0.0]) for line in lines]
    axes.add_collection(LineCollection(lines, colors=INK, linewidths=0.4), autolim=False)


def _footer(clusters: Written, about: dict[str, str]) -> str:
    told = notes(clusters, **about)
    lines = [
        f"Model {told.get('model', '')}, {told['method']}, seed {told['seed']}, {told['points']}"
        f" places. Shares are of the area of the {told['where']} within the map. {CAUTION}"
    ]
    licence = told.get("license")
    lines.append(
        " ".join(filter(None, [licence and f"Licence: {licence}.", told.get("attribution", "")]))
    )
    lines.append("Outlines: Natural Earth.")
    return "\n".join(textwrap.fill(line, 190) for line in lines if line)
