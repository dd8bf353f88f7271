"""Draw the pictures of docs/encoders.md: how alike places look to each position encoding."""

from __future__ import annotations

import io
import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import DOCS, arguments
from torch import Tensor

from csp_core.files import asset_path, atomic_path
from csp_core.location import ENCODINGS

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 200_000
# Suva in Fiji, 1.6° west of the antimeridian, which the maps have in their middle.
PLACE = (178.4, -18.1)
RED = "#d62728"
BOUNDS = (0.0, 360.0, -90.0, 90.0)
# Coarser than the defaults, whose waves are narrower than a picture's points.
COARSE: dict[str, dict[str, Any]] = {
    "tile": {"cell_degrees": 15.0},
    "rff": {"num_features": 1024, "kernel_variance": 20.0},
    "rff_sphere": {"num_features": 1024, "kernel_variance": (4.0, 40.0)},
    "geoclip": {"sigmas": (0.5, 1.0, 4.0)},
    "nerf": {"num_scales": 3},
    **{name: {"num_scales": 8, "min_radius": 4.0} for name in ("grid", "theory")},
    **{
        name: {"num_scales": 7, "min_radius": 0.06}
        for name in ENCODINGS
        if name.startswith("sphere_") or name == "dfs"
    },
}


def world(step: float) -> Tensor:
    """List the centres of the cells of a map that begins at Greenwich.

    Args:
        step: Side of a cell in degrees.

    Returns:
        ``(rows, columns, 2)`` degrees, the north first.
    """
    lon = torch.arange(step / 2, 360, step)
    lon = torch.where(lon > 180, lon - 360, lon)
    lat = torch.arange(90 - step / 2, -90, -step)
    return torch.stack(torch.meshgrid(lon, lat, indexing="xy"), dim=-1)


def nearness(features: Tensor, here: Tensor) -> np.ndarray:
    """Compare every cell with one place.

    Args:
        features: ``(rows, columns, D)``.
        here: ``(D,)`` features of the place.

    Returns:
        ``(rows, columns)``: the share of the map whose features are farther off, 1 for the
        nearest ones.
    """
    distance = (features - here).norm(dim=-1)
    order = distance.flatten().sort().values
    farther = len(order) - torch.searchsorted(order, distance.flatten(), right=True)
    return (farther / (len(order) - 1)).view(distance.shape).numpy()


def bands(name: str) -> Any:
    """Cut a colour map into bands, which the eye can count and a PNG can pack.

    Args:
        name: A colour map of matplotlib.

    Returns:
        The colour map with 21 colours.
    """
    from matplotlib import colormaps

    return colormaps[name].resampled(21)


def coastlines() -> list[np.ndarray]:
    """Read the outlines of land, cut where the map begins.

    Returns:
        Lines of ``(n, 2)`` degrees, longitude from 0 to 360.
    """
    land = json.loads(asset_path("world", "land.geojson").read_text(encoding="utf-8"))
    lines = []
    for feature in land["features"]:
        for polygon in feature["geometry"]["coordinates"]:
            line = np.array(polygon[0], dtype=float)
            line[:, 0] %= 360
            cuts = np.flatnonzero(np.abs(np.diff(line[:, 0])) > 180) + 1
            lines += [part for part in np.split(line, cuts) if len(part) > 1]
    return lines


def panel(axes: Any, values: np.ndarray, coast: Sequence[np.ndarray], **colours: Any) -> None:
    """Draw one map.

    Args:
        axes: Where to draw.
        values: ``(rows, columns)``.
        coast: Lines of land.
        **colours: Colour map and its limits.
    """
    from matplotlib.collections import LineCollection

    axes.imshow(values, extent=BOUNDS, aspect="equal", interpolation="nearest", **colours)
    axes.add_collection(LineCollection(coast, colors="white", linewidths=0.35, alpha=0.75))
    axes.axvline(180, color="white", linewidth=0.5, linestyle=(0, (2, 2)), alpha=0.75)
    axes.set(xlim=BOUNDS[:2], ylim=BOUNDS[2:], xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)


def draw_nearness(step: float) -> Any:
    """Draw one map for each encoding: how alike its places are to Suva.

    Args:
        step: Side of a cell in degrees.

    Returns:
        The figure.
    """
    from matplotlib.figure import Figure

    lonlat, coast = world(step), coastlines()
    columns = 4
    rows = -(-len(ENCODINGS) // columns)
    figure = Figure(figsize=(10.4, 1.5 * rows), dpi=100)
    figure.subplots_adjust(0.004, 0.004, 0.996, 0.972, wspace=0.03, hspace=0.19)
    axes = figure.subplots(rows, columns).ravel()
    for plot, name in zip(axes, ENCODINGS, strict=False):
        torch.manual_seed(0)
        encoding = ENCODINGS[name](**COARSE.get(name, {}))
        with torch.no_grad():
            features = encoding(lonlat.flatten(0, 1)).view(*lonlat.shape[:2], -1)
            here = encoding(torch.tensor([PLACE]))[0]
        panel(plot, nearness(features, here), coast, cmap=bands("viridis"), vmin=0, vmax=1)
        plot.plot(PLACE[0] % 360, PLACE[1], "o", color=RED, markersize=3.5)
        plot.set_title(name, fontsize=9.5, loc="left", pad=3)
        if not encoding.continuous_at_antimeridian:
            plot.set_title("seam at 180°", fontsize=8, loc="right", pad=3, color=RED)
    for plot in axes[len(ENCODINGS) :]:
        plot.set_axis_off()
    return figure


def draw_features(step: float, count: int = 4) -> Any:
    """Draw some features of each encoding.

    Args:
        step: Side of a cell in degrees.
        count: How many of each, spread from the first to the last.

    Returns:
        The figure.
    """
    from matplotlib.figure import Figure

    lonlat, coast = world(step), coastlines()
    rows = -(-len(ENCODINGS) // 2)
    figure = Figure(figsize=(10.4, 0.83 * rows), dpi=100)
    figure.subplots_adjust(0.004, 0.004, 0.996, 0.976, wspace=0.04, hspace=0.28)
    # A narrow column keeps the two halves apart.
    widths = [1.0] * count + [0.2] + [1.0] * count
    grid = figure.subplots(rows, len(widths), width_ratios=widths)
    for plot in grid[:, count]:
        plot.set_axis_off()
    for k, name in enumerate(ENCODINGS):
        torch.manual_seed(0)
        encoding = ENCODINGS[name](**COARSE.get(name, {}))
        with torch.no_grad():
            features = encoding(lonlat.flatten(0, 1)).view(*lonlat.shape[:2], -1)
        first = (count + 1) * (k // rows)
        axes = grid[k % rows, first : first + count]
        shown = np.unique(np.linspace(0, encoding.out_dim - 1, count).round().astype(int))
        for plot, feature in zip(axes, shown, strict=False):
            values = features[..., feature].numpy()
            size = np.abs(values).max()
            panel(plot, values, coast, cmap=bands("RdBu_r"), vmin=-size, vmax=size)
        for plot in axes[len(shown) :]:
            plot.set_axis_off()
        axes[0].set_title(name, fontsize=9, loc="left", pad=2)
    return figure


def save(figure: Any, path: Path) -> None:
    """Write a figure as a PNG of few colours.

    Args:
        figure: The figure.
        path: Where to.
    """
    from PIL import Image

    content = io.BytesIO()
    figure.savefig(content, format="png", facecolor="white")
    picture = Image.open(content).convert("RGB")
    packed = io.BytesIO()
    picture.quantize(128, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        packed, "PNG", optimize=True
    )
    if packed.tell() > LIMIT:
        raise SystemExit(f"{path.name} would take {packed.tell():,} bytes of {LIMIT:,}.")
    with atomic_path(path) as part:
        part.write_bytes(packed.getvalue())
    print(f"{path.name}  {picture.width} × {picture.height}  {packed.tell() / 1000:.0f} kB")


def main(options: Namespace) -> None:
    """Draw both pictures.

    Args:
        options: ``quick`` for coarse maps; ``out``, the folder, docs/ unless given.
    """
    folder = ROOT / "docs" if options.out == DOCS else options.out
    step = 4.0 if options.quick else 1.0
    save(draw_nearness(step), folder / "encoders-nearness.png")
    save(draw_features(step), folder / "encoders-features.png")


if __name__ == "__main__":
    main(arguments("Draw the pictures of docs/encoders.md."))
