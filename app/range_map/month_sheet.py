"""Twelve small maps, one a month, as one picture."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from csp_core.raster import Raster
from mapping.small import HEIGHT, WIDTH, small_map
from mapping.values import Scale
from shared.months import MONTHS
from shared.palette import Palette

SMALL_COLUMNS, CAPTION = 4, 22


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
    size = across * WIDTH, down * (HEIGHT + CAPTION)
    sheet = Image.new("RGB", size, palette.sea)
    font = ImageFont.load_default(15)
    for number, (name, raster) in enumerate(zip(MONTHS, rasters, strict=True)):
        left = number % across * WIDTH
        top = number // across * (HEIGHT + CAPTION)
        small = small_map(raster, scale, palette, land, guesses=guesses, hatch=hatch)
        sheet.paste(small, (left, top + CAPTION))
        draw = ImageDraw.Draw(sheet)
        draw.text((left + 6, top + 2), name, fill=palette.text, font=font)
        draw.rectangle(
            (left, top + CAPTION, left + WIDTH, top + CAPTION + HEIGHT),
            outline=palette.border,
        )
    stream = io.BytesIO()
    sheet.quantize(64, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return stream.getvalue()
