"""Pictures of any usual format, decoded from bytes or a file into tensors with their metadata."""

from __future__ import annotations

import io
import re
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from csp_core.data.pictures.geotiff import MAX_MEGAPIXELS, read_as_picture, read_bands
from csp_core.errors import BadRecordError, DataNotFoundError

FORMATS = {"JPEG": ("jpg", "jpeg", "jpe", "jfif"), "PNG": ("png",), "TIFF": ("tif", "tiff"),
           "WEBP": ("webp",), "HEIF": ("heic", "heif", "hif"), "MPO": ("jpg", "jpeg", "mpo"),
           "GIF": ("gif",), "BMP": ("bmp",)}  # fmt: skip
READABLE = "JPEG, PNG, TIFF, GeoTIFF, WebP or HEIC"
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif")
DEEP = "The picture has more than 8 bits a channel; it was brought to 8."
EMPTY_EXIF = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"
TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# What Pillow and its plug-ins raise on damaged files.
DAMAGE = (OSError, ValueError, SyntaxError, struct.error, EOFError, IndexError, TypeError, KeyError,
          AttributeError, ArithmeticError, RuntimeError)  # fmt: skip
_LOCK = threading.RLock()


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
    content, name = read_bytes(source, name)
    with telling() as told:
        if content[:4] in TIFF_MARKS and (bands := read_bands(content, name)) is not None:
            check_size(bands.shape[2], bands.shape[1], name)
            return Picture(_square(bands, size), "TIFF", Image.Exif(), b"", ())
        picture = _open(content, name)
        if picture is None:
            grey = read_as_picture(content, name)
            return Picture(_square(grey, size), "TIFF", Image.Exif(), b"", (DEEP,))
        exif, xmp = _exif(picture), _xmp(picture)
        notes = tuple(_notes(picture, name))
        image = _decode(picture, name, size)
    bad = exif is None or any("exif" in said.lower() for said in told)
    found = Image.Exif() if exif is None else exif
    return Picture(_square(image, size), picture.format or "", found, xmp, (*notes, *told), bad)


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


def read_bytes(source: bytes | str | Path, name: str = "") -> tuple[bytes, str]:
    """Read a file, unless its bytes are given.

    Args:
        source: Bytes, or a path.
        name: What to call it; the path's own name if omitted.

    Returns:
        Bytes and name.

    Raises:
        DataNotFoundError: If there is no such file, or it is a folder or an address.
        BadRecordError: If it is empty.
    """
    if not isinstance(source, bytes):
        path = Path(source)
        name = name or path.name
        if not path.is_file():
            raise DataNotFoundError(_why_no_file(str(source), path))
        source = path.read_bytes()
    if not source:
        raise BadRecordError("The file is empty.", file=name or None)
    return source, name


def _why_no_file(given: str, path: Path) -> str:
    # A path keeps one of the two strokes of an address.
    if re.match(r"[a-z]{2,}:/", given, flags=re.IGNORECASE):
        return f"{given} is an address, and only files are read; save it and give the path."
    if path.is_dir():
        return f"{path} is a folder; give a picture in it."
    return f"No file {path}."


def check_size(width: int, height: int, name: str) -> None:
    """Refuse a picture of too many pixels, before any is decoded.

    Args:
        width: Pixels.
        height: Pixels.
        name: What to call it.

    Raises:
        BadRecordError: If there are 100 million or more.
    """
    if width * height >= MAX_MEGAPIXELS * 1_000_000:
        raise BadRecordError(
            f"The picture has {width} × {height} pixels; fewer than {MAX_MEGAPIXELS} megapixels are"
            " read: make it smaller.",
            file=name or None,
        )


def _open(content: bytes, name: str) -> Image.Image | None:
    """Open a picture without decoding it; None for a TIFF that Pillow does not know."""
    if content[4:8] == b"ftyp" and content[8:12] in HEIF_BRANDS:
        _register_heif(name)
    try:
        # Pillow knows formats that run other programs, such as Ghostscript for EPS.
        picture = Image.open(io.BytesIO(content), formats=_known_formats())
    except UnidentifiedImageError as error:
        if content[:4] in TIFF_MARKS:
            return None
        raise BadRecordError(f"This is no picture that can be read: give {READABLE}.",
                             file=name or None) from error  # fmt: skip
    except Image.DecompressionBombError as error:
        raise BadRecordError(
            f"The picture has far more than {MAX_MEGAPIXELS} megapixels, which is the limit: make"
            " it smaller.",
            file=name or None,
        ) from error
    except DAMAGE as error:
        raise _damaged(name, error) from error
    check_size(*picture.size, name)
    return picture


def _known_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _register_heif(name: str) -> None:
    try:
        import pillow_heif
    except ImportError as error:
        raise BadRecordError(
            "HEIC pictures need the package pillow-heif: install it, or give a JPEG.",
            file=name or None,
        ) from error
    pillow_heif.register_heif_opener()


def _decode(picture: Image.Image, name: str, size: int | None) -> Tensor:
    try:
        if size is not None:
            # A JPEG can be decoded at a half, quarter or eighth of its size.
            picture.draft("RGB", (2 * size, 2 * size))
        upright = ImageOps.exif_transpose(picture) if _exif(picture) else picture
        pixels = np.array(_to_rgb(upright), dtype=np.uint8)
    except DAMAGE as e:
        raise _damaged(name, e) from e
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        values = np.array(picture, dtype=np.float64)
        top = 65_535.0 if picture.mode != "F" else max(float(np.nanmax(values)), 1e-12)
        scaled = np.nan_to_num(values / top * 255).clip(0, 255)
        return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
    if "A" in picture.getbands() or "transparency" in picture.info:
        # What shines through is white, as on a page.
        upper = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", upper.size, "white"), upper).convert("RGB")
    return picture.convert("RGB")


def _notes(picture: Image.Image, name: str) -> Iterator[str]:
    given = Path(name).suffix.lower().lstrip(".")
    usual = FORMATS.get(picture.format or "", (given,))
    if given and given not in usual:
        yield f"The file is called .{given}, but is a {picture.format}; it was read as that."
    frames = _frames(picture)
    if frames > 1 and picture.format != "MPO":
        what = "pages" if picture.format == "TIFF" else "pictures"
        yield f"The file holds {frames} {what}; the first is used."
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        yield DEEP
    if picture.mode == "CMYK":
        yield "The colours are those of print (CMYK); they were turned into red, green and blue."
    if "A" in picture.getbands() or "transparency" in picture.info:
        yield "Transparent parts were made white."
    if picture.mode in ("1", "L", "LA") or picture.mode.startswith("I"):
        yield "The picture is grey; all three bands are the same."


def _frames(picture: Image.Image) -> int:
    """Count the pictures in a file; one where the others are damaged."""
    try:
        return int(getattr(picture, "n_frames", 1))
    except DAMAGE:
        return 1


def _square(image: Tensor, size: int | None) -> Tensor:
    """Cut the middle square and scale it to a side."""
    if size is None or image.shape[1:] == (size, size):
        return image
    side = min(image.shape[1:])
    top, left = ((full - side) // 2 for full in image.shape[1:])
    square = image[None, :, top : top + side, left : left + side].float()
    scaled = torch.nn.functional.interpolate(square, (size, size), mode="bilinear", antialias=True)
    return scaled[0].round().to(image.dtype)


def _exif(picture: Image.Image) -> Image.Exif | None:
    """Read the EXIF data; None if they are there and cannot be read."""
    try:
        found = picture.getexif()
    except DAMAGE:
        return None
    raw = picture.info.get("exif") or b""
    return None if len(raw) > len(EMPTY_EXIF) and not found else found


def _xmp(picture: Image.Image) -> bytes:
    found: Any = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp") or b""
    if isinstance(found, str):
        return found.encode()
    # A TIFF may give its tag any type; of a whole number, bytes() would make as many zeros.
    if isinstance(found, tuple) and all(isinstance(v, int) and 0 <= v <= 255 for v in found):
        return bytes(found)
    return found if isinstance(found, bytes) else b""


def _damaged(name: str, error: Exception) -> BadRecordError:
    said = (str(error).splitlines() or [""])[0][:100]
    return BadRecordError(
        f"The picture is cut short or damaged ({said or type(error).__name__}): copy it again.",
        file=name or None,
    )


@contextmanager
def telling() -> Iterator[list[str]]:
    """Collect the warnings of the libraries as notes; filters of warnings are not thread-safe.

    Yields:
        The notes, complete when the block has ended.
    """
    told: list[str] = []
    with _LOCK, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield told
        told += sorted({_said(warning) for warning in caught} - {""})


def _said(warning: warnings.WarningMessage) -> str:
    if issubclass(warning.category, (DeprecationWarning, Image.DecompressionBombWarning)):
        return ""
    text = str(warning.message).splitlines() or [""]
    return f"On reading the file: {text[0].strip()[:120]}"
