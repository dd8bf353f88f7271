"""Decoded pictures as tensors, and their middle squares."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from csp_core.data.pictures.decode import DAMAGE, decode


@dataclass(frozen=True)
class Picture:
    """A decoded picture and what its file says beside it.

    Args:
        image: ``(3, H, W)`` uint8, upright; ``(bands, H, W)`` uint8, int16 or float32 for
            GeoTIFFs of more than four bands.
        format: Such as ``JPEG``.
        exif: What Pillow read of the EXIF block, empty if there is none.
        xmp: The XMP packet, empty if there is none.
        notes: Sentences on what was done to the picture, or is odd about it.
        bad_exif: Whether there is an EXIF block that cannot be read.
    """

    image: Tensor
    format: str
    exif: Image.Exif
    xmp: bytes
    notes: tuple[str, ...]
    bad_exif: bool = False


def open_picture(source: bytes | str | Path, name: str = "", *, size: int | None = None) -> Picture:
    """Decode a picture; nothing is written to the disk.

    Args:
        source: The bytes of a file, or its path.
        name: What to call it in messages, with its extension; the path's own name if omitted.
        size: Side in pixels of a square, cut from the middle and scaled; None for the picture as it
            is.

    Returns:
        The picture.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it is no picture, is cut short or has too many pixels; one sentence.
    """
    found = decode(source, name, draft=None if size is None else 2 * size)
    image = square(torch.from_numpy(found.pixels), size)
    return Picture(image, found.format, found.exif, found.xmp, found.notes, found.bad_exif)


def open_plain(content: bytes, size: int) -> Tensor | None:
    """Decode a JPEG of the right size that needs nothing done to it, in half the time.

    Args:
        content: The bytes of a file.
        size: Its side in pixels.

    Returns:
        ``(3, size, size)`` uint8, or None where ``open_picture`` is to look at the file.
    """
    try:
        picture = Image.open(io.BytesIO(content), formats=("JPEG",))
        if picture.size != (size, size) or picture.mode != "RGB" or "exif" in picture.info:
            return None
        pixels = np.frombuffer(picture.tobytes(), dtype=np.uint8).reshape(size, size, 3)
    except DAMAGE:
        return None
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


def square(image: Tensor, size: int | None) -> Tensor:
    """Cut the middle square and scale it to a side.

    Args:
        image: ``(C, H, W)``.
        size: Side in pixels, or None to leave the image as it is.

    Returns:
        ``(C, size, size)`` of the same kind.
    """
    if size is None or image.shape[1:] == (size, size):
        return image
    side = min(image.shape[1:])
    top, left = ((full - side) // 2 for full in image.shape[1:])
    cut = image[None, :, top : top + side, left : left + side].float()
    scaled = torch.nn.functional.interpolate(cut, (size, size), mode="bilinear", antialias=True)
    return scaled[0].round().to(image.dtype)
