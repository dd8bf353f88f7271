"""A raster as a picture: fixed colours with a legend and a unit, and hatching without support."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from csp_core.files.writing import writing
from csp_core.geo import wrap_longitude
from csp_core.land import land_shape
from csp_core.raster.output import MEANING, NO_CREDIT, SUPPORT_MEANING, Credit
from csp_core.raster.polygons import cell_polygons
from csp_core.raster.raster import Raster
from csp_core.raster.thresholds import Threshold

WIDTH_INCHES, DOTS_PER_INCH = 10.0, 150
# Shares below a thousandth are left white; the scale is the same for every map.
LOWEST_SHARE = 0.001
LABELS = {
    "share": "share of recordings",
    "relative": "relative score",
    "probability": "probability in the label set",
    "share difference": "difference of the shares, points",
    "relative difference": "difference of the scores",
    "probability difference": "difference of the probabilities, points",
}
# Ends of the steps of a difference, and of the same below zero.
STEPS = {
    "share difference": (0.001, 0.005, 0.02, 0.1, 1.0),
    "relative difference": (0.05, 0.1, 0.25, 0.5, 1.0),
    "probability difference": (0.02, 0.05, 0.1, 0.25, 1.0),
}
EAST = np.array([360.0, 0.0])
INK, HATCH, LINE, BLANK = "#1d282a", "#7d8a8c", "#d55e00", "#ffffff"


def write_png(
    raster: Raster,
    path: str | Path,
    *,
    threshold: Threshold | None = None,
    credit: Credit = NO_CREDIT,
) -> None:
    """Draw a raster with legend, unit, outlines of land, attribution and a hatch without support.

    Args:
        raster: The raster.
        path: File to write.
        threshold: A threshold, whose area is outlined.
        credit: Whom to name below the map.

    Raises:
        BadRecordError: If the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    west, south, _, north = raster.grid.bounds
    east = west + raster.grid.columns * raster.grid.step
    map_height = min(max((north - south) / (east - west) * WIDTH_INCHES * 0.86, 2.0), 12.0)
    figure = Figure(figsize=(WIDTH_INCHES, map_height + 2.6), dpi=DOTS_PER_INCH, facecolor=BLANK)
    canvas = FigureCanvasAgg(figure)
    height = map_height + 2.6
    axes: Any = figure.add_axes((0.08, 1.95 / height, 0.86, map_height / height))
    image = _draw_values(axes, raster, (west, east, south, north))
    handles = [*_draw_hatch(axes, raster), *_draw_threshold(axes, raster, threshold)]
    _draw_land(axes, crosses=bool(raster.grid.crosses))
    axes.set(xlim=(west, east), ylim=(south, north), facecolor=BLANK)
    axes.set_aspect("auto" if map_height in (2.0, 12.0) else "equal")
    axes.set_title(raster.label, parse_math=False, loc="left", fontsize=14, color=INK)
    axes.set(xlabel="longitude (°)", ylabel="latitude (°)")
    axes.xaxis.set_major_formatter(lambda lon, _: f"{wrap_longitude(lon):g}".replace("-", "−"))
    bar: Any = figure.colorbar(
        image,
        cax=figure.add_axes((0.08, 1.2 / height, 0.4, 0.13 / height)),
        orientation="horizontal",
        extend="min" if raster.kind == "share" else "neither",
    )
    _label_scale(bar, raster.kind)
    if handles:
        figure.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(0.52, 1.4 / height),
            frameon=False,
            fontsize=8,
        )
    figure.text(
        0.08, 0.62 / height, _footer(raster, credit), parse_math=False, va="top", fontsize=6.5,
        color=INK,
    )  # fmt: skip
    told = {"Title": raster.label, "Source": f"model {raster.model}", "Copyright": credit.license,
            "Description": credit.attribution, "Author": credit.people}  # fmt: skip
    with writing(path) as temporary:
        metadata = {name: text for name, text in told.items() if text}
        canvas.print_figure(temporary, format="png", metadata=metadata)


def _label_scale(bar: Any, kind: str) -> None:
    bar.set_label(LABELS[kind], color=INK)
    bar.ax.tick_params(labelsize=8)
    if kind in ("share", "probability"):
        bar.ax.xaxis.set_major_formatter(lambda value, _: f"{value * 100:g} %")
    if kind in ("share difference", "probability difference"):
        bar.ax.xaxis.set_major_formatter(lambda value, _: f"{value * 100:g}".replace("-", "−"))


def _draw_values(axes: Any, raster: Raster, extent: tuple[float, float, float, float]) -> Any:
    import matplotlib
    from matplotlib.colors import BoundaryNorm, LogNorm, Normalize

    if steps := STEPS.get(raster.kind):
        edges = [*(-step for step in reversed(steps)), *steps]
        return axes.imshow(raster.values.numpy(), extent=extent, origin="upper", cmap="PRGn",
                           norm=BoundaryNorm(edges, 256), interpolation="nearest")  # fmt: skip
    # The colours of the app's range map.
    colours = matplotlib.colormaps["viridis_r"].with_extremes(under=BLANK, bad=BLANK)
    share = raster.kind == "share"
    norm = LogNorm(LOWEST_SHARE, 1.0) if share else Normalize(0.0, 1.0)
    values = raster.values.numpy()
    # A logarithm takes no zeros; they are white like all shares below the scale.
    values = np.maximum(values, LOWEST_SHARE / 10) if share else values
    return axes.imshow(values, extent=extent, origin="upper", cmap=colours, norm=norm,
                       interpolation="nearest")  # fmt: skip


def _rings(polygons: list[Any]) -> list[NDArray[np.float64]]:
    return [shapely.get_coordinates(ring) for ring in shapely.get_rings(polygons)]


def _patch(polygons: list[Any], raster: Raster, **style: Any) -> Any:
    """Join polygons to one patch; those east of the antimeridian go on beyond 180."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    rings = _rings(polygons)
    if raster.grid.crosses:
        rings = [ring + EAST if ring[0, 0] < raster.grid.west else ring for ring in rings]
    outlines = [Outline(ring, closed=True) for ring in rings]
    shape = Outline.make_compound_path(*outlines) if outlines else Outline(np.empty((0, 2)))
    return PathPatch(shape, **style)


def _draw_hatch(axes: Any, raster: Raster) -> list[Any]:
    shapes = cell_polygons(raster.extrapolated, raster.grid)
    if not shapes:
        return []
    # Paler too: what nobody looked at must not draw the eye.
    style = {"facecolor": (1, 1, 1, 0.55), "edgecolor": HATCH, "hatch": "////", "linewidth": 0.0}
    label = "\n".join(textwrap.wrap(SUPPORT_MEANING, 48))
    patch = _patch(shapes, raster, **style, hatch_linewidth=0.35, label=label)
    axes.add_patch(patch)
    return [patch]


def _draw_threshold(axes: Any, raster: Raster, threshold: Threshold | None) -> list[Any]:
    if threshold is None:
        return []
    shapes = cell_polygons(raster.values >= threshold.value, raster.grid)
    label = f"{threshold.value:.9g} or more" + (
        "" if threshold.method == "given" else f" ({threshold.method})"
    )
    label += "" if shapes else ": no cell"
    patch = _patch(shapes, raster, facecolor="none", edgecolor=LINE, linewidth=0.9, label=label)
    axes.add_patch(patch)
    return [patch]


def _draw_land(axes: Any, crosses: bool) -> None:
    from matplotlib.collections import LineCollection

    lines = _rings(list(shapely.get_parts(land_shape())))
    if crosses:
        lines += [line + EAST for line in lines]
    axes.add_collection(LineCollection(lines, colors=INK, linewidths=0.4), autolim=False)


def _footer(raster: Raster, credit: Credit) -> str:
    when = "" if raster.date is None else f", part of the year {raster.date:.3f}"
    lines = [f"Model {raster.model}{when}, cells of {raster.step:g}°. {MEANING[raster.kind]}"]
    if credit.license or credit.attribution:
        lines.append(" ".join(filter(None, [credit.license and f"Licence: {credit.license}.",
                                            credit.attribution])))  # fmt: skip
    lines.append("Outlines: Natural Earth.")
    return "\n".join(textwrap.fill(line, 190) for line in lines)
