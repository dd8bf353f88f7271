"""Twelve small maps, one a month, as one picture."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import shapely
from PIL import Image, ImageDraw, ImageFont

from csp_core.raster import Raster
from mapping.values import Scale, hatched, png_of, steps_of
from shared.months import MONTHS
from shared.palette import Palette

SMALL_WIDTH, SMALL_HEIGHT, SMALL_COLUMNS, CAPTION = 360, 160, 4, 22
NORTH, SOUTH = 80.0, -60.0


def months_png(
    rasters: Sequence[Raster],
    scale: Scale,
    palette: Palette,
    land: str,
    *,
    guesses: bool = False,
    hatch: bool = True,
) -> bytes:
    """Draw twelve small maps as one picture.

    Args:
        rasters: One a month, of the world.
        scale: Their steps.
        palette: The theme's colours.
        land: GeoJSON text of land.
        guesses: Whether values are coloured where the model extrapolates.
        hatch: Whether to draw hatching there.

    Returns:
        A PNG.
    """
    across, down = SMALL_COLUMNS, -(-len(rasters) // SMALL_COLUMNS)
    size = across * SMALL_WIDTH, down * (SMALL_HEIGHT + CAPTION)
    sheet = Image.new("RGB", size, palette.sea)
    font = ImageFont.load_default(15)
    rings = _small_rings(land)
    for number, (name, raster) in enumerate(zip(MONTHS, rasters, strict=True)):
        left = number % across * SMALL_WIDTH
        top = number // across * (SMALL_HEIGHT + CAPTION)
        layer = _small_layer(raster, scale, palette, guesses, hatch)
        sheet.paste(_small_map(layer, palette, rings), (left, top + CAPTION))
        draw = ImageDraw.Draw(sheet)
        draw.text((left + 6, top + 2), name, fill=palette.text, font=font)
        draw.rectangle(
            (left, top + CAPTION, left + SMALL_WIDTH, top + CAPTION + SMALL_HEIGHT),
            outline=palette.border,
        )
    stream = io.BytesIO()
    sheet.quantize(64, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _small_rings(land: str) -> list[list[tuple[float, float]]]:
    shapes = shapely.get_parts(shapely.from_geojson(land))
    rings = shapely.get_rings(shapely.get_parts(shapes))
    scale_x, scale_y = SMALL_WIDTH / 360, SMALL_HEIGHT / (NORTH - SOUTH)
    return [
        [((lon + 180) * scale_x, (NORTH - lat) * scale_y) for lon, lat in ring.coords]
        for ring in rings
    ]


def _small_layer(
    raster: Raster, scale: Scale, palette: Palette, guesses: bool, hatch: bool
) -> Image.Image:
    grid = raster.grid
    rows = np.floor(
        (90 - NORTH + (np.arange(SMALL_HEIGHT) + 0.5) * (NORTH - SOUTH) / SMALL_HEIGHT) / grid.step
    ).astype(np.int64)
    columns = ((np.arange(SMALL_WIDTH) + 0.5) * grid.columns / SMALL_WIDTH).astype(np.int64)
    steps = steps_of(raster, scale, guesses)[np.ix_(rows, columns)]
    if hatch:
        steps = hatched(steps, raster.extrapolated.numpy()[np.ix_(rows, columns)])
    return Image.open(io.BytesIO(png_of(steps, scale, palette))).convert("RGBA")


def _small_map(
    layer: Image.Image, palette: Palette, rings: list[list[tuple[float, float]]]
) -> Image.Image:
    image = Image.new("RGB", (SMALL_WIDTH, SMALL_HEIGHT), palette.sea)
    draw = ImageDraw.Draw(image)
    for ring in rings:
        draw.polygon(ring, fill=palette.land)
    image.paste(layer, mask=layer)
    for ring in rings:
        ImageDraw.Draw(image).line(ring, fill=palette.border)
    return image
