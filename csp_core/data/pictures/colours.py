"""Pictures of any mode of Pillow's, brought to red, green and blue of 8 bits."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
from PIL import Image

# Rows that are turned to red, green and blue at once, so that no second copy of all is made.
STRIP = 512
OPAQUE = 255


def to_rgb(picture: Image.Image, fit: int | None) -> npt.NDArray[np.uint8]:
    """Turn a picture to red, green and blue, strip by strip.

    Args:
        picture: Of any mode; it is closed.
        fit: No side may have more pixels; sides are divided by a whole number first.

    Returns:
        ``(H, W, 3)``.
    """
    picture.load()
    wide, high = picture.size
    part = max(1, max(wide, high) // fit) if fit else 1
    top = _brightest(picture)
    out = np.empty((-(-high // part), -(-wide // part), 3), dtype=np.uint8)
    lines = max(1, STRIP // part)
    for at in range(0, len(out), lines):
        start = at * part
        strip = picture.crop((0, start, wide, min(start + lines * part, high)))
        strip = _strip_to_rgb(strip, top)
        out[at : at + lines] = np.asarray(strip if part == 1 else strip.reduce(part))
    picture.close()  # which frees its pixels
    longest = max(out.shape[:2])
    if fit is None or longest <= fit:
        return out
    sides = [max(1, round(side * fit / longest)) for side in out.shape[1::-1]]
    small = Image.fromarray(out).resize((sides[0], sides[1]), Image.Resampling.BILINEAR)
    return np.asarray(small)


def _brightest(picture: Image.Image) -> float:
    """Give the value that becomes white, for pictures of more than 8 bits a channel."""
    if picture.mode != "F":
        return 65_535.0
    strips = (picture.crop((0, at, picture.width, min(at + STRIP, picture.height)))
              for at in range(0, picture.height, STRIP))  # fmt: skip
    tops = [float(np.fmax.reduce(np.asarray(strip), axis=None)) for strip in strips]
    return max(*tops, 1e-12)


def _strip_to_rgb(picture: Image.Image, top: float) -> Image.Image:
    if picture.mode == "RGB" and not is_clear(picture):
        return picture
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        values = np.array(picture, dtype=np.float64)
        scaled = np.nan_to_num(values / top * 255).clip(0, 255)
        return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
    if is_clear(picture):
        # What shines through is white, as on a page.
        upper = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", upper.size, "white"), upper).convert("RGB")
    return picture.convert("RGB")


def is_clear(picture: Image.Image) -> bool:
    """Tell whether parts of a picture may be transparent; the A of Lab is a colour.

    Args:
        picture: Of any mode; one with an alpha channel is decoded, to see whether all is opaque.

    Returns:
        Whether they may.
    """
    if "transparency" in picture.info:
        return True
    if "A" not in picture.getbands() or picture.mode == "LAB":
        return False
    try:
        lowest = picture.getchannel("A").getextrema()[0]
    # What cannot be decoded is told where it is; here it only may be transparent.
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, struct.error):
        return True
    return not isinstance(lowest, (int, float)) or lowest < OPAQUE
