"""Pictures to look at: made small, with nothing of their file beside the pixels."""

from __future__ import annotations

import io

import torch
from PIL import Image, ImageOps
from torch import Tensor

# Pictures with no longer side are kept to the last bit: their pixels are looked at one by one.
LOSSLESS = 130
# How many times as long as wide a picture is at most; beyond, white is added at both sides.
LONGEST = 16


def thumbnail(image: Tensor, side: int) -> bytes:
    """Write a picture small.

    Args:
        image: ``(C, H, W)`` uint8, int16 or float32. Its first three bands are shown, or one for
            all; what is brightest becomes white where it has more than 8 bits.
        side: No side of what is written has more pixels.

    Returns:
        A JPEG; a PNG of a picture that is small already.
    """
    shown = Image.fromarray(_first_bands(image).permute(1, 2, 0).contiguous().numpy())
    small = max(shown.size) <= LOSSLESS
    shown.thumbnail((side, side))
    # Made smaller yet, as a page may, a line of pixels would come to none.
    least = -(-max(shown.size) // LONGEST)
    if min(shown.size) < least:
        sides = max(shown.width, least), max(shown.height, least)
        shown = ImageOps.pad(shown, sides, color="white")
    stream = io.BytesIO()
    shown.save(stream, "PNG" if small else "JPEG", quality=88)
    return stream.getvalue()


def _first_bands(image: Tensor) -> Tensor:
    pixels = image[:3] if len(image) >= 3 else image[:1].expand(3, -1, -1)
    if pixels.dtype != torch.uint8:
        values = pixels.float()
        # Decibels are below zero, and 0 among them is where there is no data.
        low = min(0.0, float(values.min()))
        high = float(values[values != 0].max()) if low and values.any() else float(values.max())
        span = high - low if low else max(1.0, high)
        shown = ((values - low) / max(span, 1e-12) * 255).clamp(0, 255)
        pixels = (shown * (values != 0) if low else shown).byte()
    return pixels
