"""Values on a grid as coloured pictures: fixed colour steps, and hatching where support lacks."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from csp_core.raster import Raster
from csp_core.raster.picture import STEPS
from csp_core.raster.polygons import cell_polygons
from mapping.evidence import EDGE
from shared.palette import Palette

# Rows of a picture from one edge of the map to the other; twice the columns of a 0.5° grid, as the
# rows of a Mercator map are no rows of the grid.
MERCATOR_ROWS = 1440


@dataclass(frozen=True)
class Scale:
    """Colour steps that are the same for every map of a kind.

    Args:
        edges: Ends of the steps, ascending; values outside of them are not coloured.
        colours: One a step.
        unit: What the edges are written in: ``"%"`` or ``""``.
        title: What the values are.
    """

    edges: tuple[float, ...]
    colours: tuple[str, ...]
    unit: str
    title: str

    def step_of(self, values: NDArray[np.float32]) -> NDArray[np.int64]:
        """Find the step of every value, from 1; 0 is none, as of no data."""
        step = np.searchsorted(np.array(self.edges), values, side="right")
        step = np.where(values >= self.edges[-1], len(self.colours), step)
        return np.where(np.isnan(values), 0, step).astype(np.int64)

    def labels(self) -> list[str]:
        """Write the edges in their unit."""
        factor = 100 if self.unit == "%" else 1
        return [f"{edge * factor:.4g}".replace("-", "−") for edge in self.edges]


# The first step is quiet: there are recordings, of which hardly any, or none, is of the species.
EDGES = {
    "share": (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    "relative": (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    # Of a rare class most values are below a few hundredths.
    "probability": (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.0),
}
# The same as in the files.
DIFFERENCES = {kind.removesuffix(" difference"): ends for kind, ends in STEPS.items()}
TITLES = {
    "share": "Share of the recordings made at a place",
    "relative": "Relative score, no percentage",
    "probability": "Probability of being in the label set of a patch",
}
# Kilometres from where there are too few recordings to say, up to which colours are faint: the
# border is one of counting within 250 km, none of nature.
FADES_KM = (40.0, 80.0, 120.0)
OPACITIES = (0.35, 0.55, 0.78, 1.0)
KM_A_DEGREE = 111.2


def value_scale(kind: str, palette: Palette) -> Scale:
    """Give the steps of a kind of value.

    Args:
        kind: ``"share"``, ``"relative"`` or ``"probability"``.
        palette: The theme's colours.

    Returns:
        The scale.
    """
    edges, steps = EDGES[kind], len(EDGES[kind]) - 2
    colours = [_between(palette.values, i / (steps - 1)) for i in range(steps)]
    return Scale(edges, (palette.looked, *colours), _unit(kind), TITLES[kind])


def difference_scale(kind: str, palette: Palette) -> Scale:
    """Give the steps of a difference; those around 0 are not coloured.

    Args:
        kind: ``"share"``, ``"relative"`` or ``"probability"``.
        palette: The theme's colours.

    Returns:
        The scale; its middle is quiet.
    """
    ends = DIFFERENCES[kind]
    edges = (*(-end for end in reversed(ends)), *ends)
    colours = (*palette.less, palette.looked, *palette.more)
    title = "Difference in percentage points" if _unit(kind) else "Difference in score"
    return Scale(edges, colours, _unit(kind), title)


def _unit(kind: str) -> str:
    return "" if kind == "relative" else "%"


def _between(ramp: Sequence[str], part: float) -> str:
    at = part * (len(ramp) - 1)
    first = min(int(at), len(ramp) - 2)
    low, high = _rgb(ramp[first]), _rgb(ramp[first + 1])
    mixed = (round(a + (b - a) * (at - first)) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue


def mercator_png(
    raster: Raster,
    scale: Scale,
    palette: Palette,
    *,
    guesses: bool,
    hatch: bool = False,
    fade: bool = False,
) -> bytes:
    """Draw a raster of the world for a Mercator map that ends at ``EDGE``.

    Args:
        raster: The raster.
        scale: Its steps.
        palette: The theme's colours.
        guesses: Whether values are coloured where the model extrapolates.
        hatch: Whether to draw hatching there, for maps that have no patterns of their own.
        fade: Whether colours are faint near there.

    Returns:
        A PNG with a palette; what is not coloured is transparent.
    """
    rows = mercator_rows(raster.grid.step)
    steps = steps_of(raster, scale, guesses)[rows]
    mask = raster.extrapolated.numpy()[rows]
    if fade and not guesses:
        steps = faded(steps, mask, scale)
    if hatch:
        steps = hatched(np.kron(steps, np.ones((1, 2), np.uint8)), np.repeat(mask, 2, axis=1))
    return png_of(steps, scale, palette)


def faded(steps: NDArray[np.uint8], mask: NDArray[np.bool_], scale: Scale) -> NDArray[np.uint8]:
    """Make the steps of a Mercator picture faint near where there are too few recordings to say.

    Args:
        steps: ``(MERCATOR_ROWS, columns)`` steps.
        mask: The same shape, where there are too few.
        scale: Their scale.

    Returns:
        Steps with their faintness, as ``picture_of`` reads them.
    """
    if not mask.any():
        return steps
    height, width = mask.shape
    # The world goes on beyond both sides.
    wide = np.pad(mask, ((0, 0), (width // 8, width // 8)), mode="wrap")
    pixel = 360 / width
    degrees = ndimage.distance_transform_edt(~wide, sampling=(2 * _top() / height, pixel))
    # A degree of this map is as many kilometres up as it is across: fewer towards the poles.
    lat = np.arcsin(np.tanh(_northings()))[:, None]
    km = degrees[:, width // 8 : width // 8 + width] * KM_A_DEGREE * np.cos(lat)
    faintness = len(FADES_KM) - np.digitize(km, FADES_KM)
    return np.where(steps > 0, steps + faintness * (len(scale.colours) + 1), 0).astype(np.uint8)


def steps_of(raster: Raster, scale: Scale, guesses: bool) -> NDArray[np.uint8]:
    """Find the step of every cell; 0 is not coloured."""
    steps = scale.step_of(raster.values.numpy())
    if not guesses:
        steps[raster.extrapolated.numpy()] = 0
    return steps.astype(np.uint8)


def mercator_rows(step: float) -> NDArray[np.int64]:
    """Find the row of a grid of the world, from the north, for every row of a Mercator picture.

    Args:
        step: Side of the grid's cells, degrees.

    Returns:
        ``(MERCATOR_ROWS,)`` rows.
    """
    lat = np.rad2deg(np.arcsin(np.tanh(_northings())))
    return np.asarray(np.floor((90 - lat) / step), dtype=np.int64)


def _top() -> float:
    """Give the northing of the map's edge, in degrees of its equator."""
    return float(np.rad2deg(np.arctanh(np.sin(np.deg2rad(EDGE)))))


def _northings() -> NDArray[np.float64]:
    """Give the northing of every row of a Mercator picture, from the north, in radians."""
    part = 1 - 2 * (np.arange(MERCATOR_ROWS) + 0.5) / MERCATOR_ROWS
    return np.asarray(np.deg2rad(_top()) * part)


def hatched(steps: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Draw hatching over the steps of a picture where a mask says so."""
    row, column = np.indices(steps.shape)
    return np.where(mask & ((row + column) % 8 < 2), 255, steps).astype(np.uint8)


def png_of(steps: NDArray[np.uint8], scale: Scale, palette: Palette) -> bytes:
    """Write steps as a PNG with a palette."""
    image, stream = picture_of(steps, scale, palette), io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def picture_of(steps: NDArray[np.uint8], scale: Scale, palette: Palette) -> Image.Image:
    """Colour steps, each by its number in a palette, once for every faintness."""
    image = Image.frombytes("P", (steps.shape[1], steps.shape[0]), steps.tobytes())
    own = [(0, 0, 0), *map(_rgb, scale.colours)]
    colours = own * len(OPACITIES)
    opaque = [round(255 * part) for part in reversed(OPACITIES) for _ in own]
    opaque[:: len(own)] = [0] * len(OPACITIES)
    rest = 255 - len(colours)
    colours += [(0, 0, 0)] * rest + [_rgb(palette.hatch)]
    image.putpalette([part for colour in colours for part in colour])
    image.info["transparency"] = bytes([*opaque, *[0] * rest, 255])
    return image


def outline_above(raster: Raster, threshold: float, *, guesses: bool) -> str:
    """Outline the cells that reach a threshold.

    Args:
        raster: The raster.
        threshold: The least value.
        guesses: Whether cells count where the model extrapolates.

    Returns:
        GeoJSON text.
    """
    above = raster.reaches(threshold, extrapolated=None if guesses else False)
    return _geojson(raster, above)


def outline_unsupported(raster: Raster) -> str:
    """Outline the cells where the model extrapolates.

    Args:
        raster: The raster.

    Returns:
        GeoJSON text.
    """
    return _geojson(raster, raster.extrapolated)


def _geojson(raster: Raster, mask: object) -> str:
    polygons = shapely.MultiPolygon(cell_polygons(mask, raster.grid))  # type: ignore[arg-type]
    text: str = shapely.to_geojson(polygons)
    return text.replace(".0,", ",").replace(".0]", "]")


def legend_steps(scale: Scale) -> list[tuple[str, str]]:
    """List what a scale shows: the colour of each step with its range.

    Args:
        scale: The scale.

    Returns:
        Colour and words.
    """
    unit = f" {scale.unit}" if scale.unit else ""
    ranges = [f"{low} to {high}{unit}" for low, high in pairwise(scale.labels())]
    return list(zip(scale.colours, ranges, strict=True))
