"""A small map of the world as a picture, for sheets and films of many."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
import shapely
from PIL import Image, ImageDraw

from csp_core.raster import Raster
from mapping.values import Scale, hatched, picture_of, steps_of
from shared.palette import Palette

WIDTH, HEIGHT = 360, 160
NORTH, SOUTH = 80.0, -60.0


def small_map(
    raster: Raster, scale: Scale, palette: Palette, land: str, *, guesses: bool, hatch: bool
) -> Image.Image:
    """Draw a raster of the world on land and sea, longitude and latitude evenly spaced.

    Args:
        raster: The raster.
        scale: Its steps.
        palette: The theme's colours.
        land: GeoJSON text of land.
        guesses: Whether values are coloured where the model extrapolates.
        hatch: Whether to draw hatching there.

    Returns:
        A picture of ``WIDTH`` by ``HEIGHT`` pixels, from ``NORTH`` to ``SOUTH``.
    """
    rings = _rings(land)
    image = Image.new("RGB", (WIDTH, HEIGHT), palette.sea)
    draw = ImageDraw.Draw(image)
    for ring in rings:
        draw.polygon(ring, fill=palette.land)
    layer = _layer(raster, scale, palette, guesses, hatch)
    image.paste(layer, mask=layer)
    for ring in rings:
        draw.line(ring, fill=palette.border)
    return image


def png_bytes(picture: Image.Image) -> bytes:
    """Write a picture as a PNG."""
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


# A film draws a frame every two seconds, and the text of the world takes longer than the rest.
@lru_cache(maxsize=2)
def _rings(land: str) -> list[list[tuple[float, float]]]:
    shapes = shapely.get_parts(shapely.from_geojson(land))
    rings = shapely.get_rings(shapely.get_parts(shapes))
    scale_x, scale_y = WIDTH / 360, HEIGHT / (NORTH - SOUTH)
    return [
        [((lon + 180) * scale_x, (NORTH - lat) * scale_y) for lon, lat in ring.coords]
        for ring in rings
    ]


def _layer(
    raster: Raster, scale: Scale, palette: Palette, guesses: bool, hatch: bool
) -> Image.Image:
    grid = raster.grid
    rows = np.floor(
        (90 - NORTH + (np.arange(HEIGHT) + 0.5) * (NORTH - SOUTH) / HEIGHT) / grid.step
    ).astype(np.int64)
    columns = ((np.arange(WIDTH) + 0.5) * grid.columns / WIDTH).astype(np.int64)
    steps = steps_of(raster, scale, guesses)[np.ix_(rows, columns)]
    if hatch:
        steps = hatched(steps, raster.extrapolated.numpy()[np.ix_(rows, columns)])
    return picture_of(steps, scale, palette).convert("RGBA")
