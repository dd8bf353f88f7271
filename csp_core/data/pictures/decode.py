"""Pictures of any usual format, decoded from bytes or a file into arrays with their metadata.

No torch is imported here: the app decodes in processes of its own, which shall be small.
"""

from __future__ import annotations

import io
import re
import struct
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError, features

from csp_core.data.pictures.colours import is_clear, to_rgb
from csp_core.data.pictures.geotiff import DEEP, Found, read_as_picture, read_bands
from csp_core.data.pictures.limits import (
    MAX_MEGAPIXELS,
    TIFF_MARKS,
    check_jpeg,
    check_size,
    check_tiff,
    is_bomb,
)
from csp_core.data.pictures.raws import check_raw
from csp_core.errors import BadRecordError, DataNotFoundError

FORMATS = {"JPEG": ("jpg", "jpeg", "jpe", "jfif"), "PNG": ("png",), "TIFF": ("tif", "tiff"),
           "WEBP": ("webp",), "HEIF": ("heic", "heif", "hif"), "MPO": ("jpg", "jpeg", "mpo"),
           "AVIF": ("avif",), "GIF": ("gif",), "BMP": ("bmp",)}  # fmt: skip
READABLE = "JPEG, PNG, TIFF, GeoTIFF, WebP, HEIC or AVIF"
# Endings of photos, which a folder of them is searched for.
ENDINGS = tuple(dict.fromkeys(f".{ending}" for kind, endings in FORMATS.items()
                              if kind not in ("GIF", "BMP") for ending in endings))  # fmt: skip
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")
EMPTY_EXIF = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"
# What Pillow and its plug-ins raise on damaged files.
DAMAGE = (OSError, ValueError, SyntaxError, struct.error, EOFError, IndexError, TypeError, KeyError,
          AttributeError, ArithmeticError, RuntimeError)  # fmt: skip
ORIENTATION, XMP = 274, 700
_LOCK = threading.RLock()


@dataclass(frozen=True)
class Decoded:
    """A decoded picture and what its file says beside it.

    Args:
        pixels: ``(3, H, W)`` uint8, upright; ``(bands, H, W)`` uint8, int16 or float32 for
            GeoTIFFs of more than four bands.
        stored: Bands, height and width of the file, upright, before anything was made smaller.
        format: Such as ``JPEG``.
        exif: What Pillow read of the EXIF block, empty if there is none.
        xmp: The XMP packet, empty if there is none.
        notes: Sentences on what was done to the picture, or is odd about it.
        bad_exif: Whether there is an EXIF block that cannot be read.
    """

    pixels: npt.NDArray[Any]
    stored: tuple[int, ...]
    format: str
    exif: Image.Exif
    xmp: bytes
    notes: tuple[str, ...]
    bad_exif: bool = False


def decode(
    source: bytes | str | Path, name: str = "", *, draft: int | None = None, fit: int | None = None
) -> Decoded:
    """Decode a picture; nothing is written to the disk.

    Args:
        source: The bytes of a file, or its path.
        name: What to call it in messages, with its extension; the path's own name if omitted.
        draft: No side need have more pixels; a JPEG is then decoded at a part of its size.
        fit: No side may have more pixels; what is larger is made smaller while it is decoded.
            Pictures of many bands get shorter sides, see ``geotiff.fitted``.

    Returns:
        The picture.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it is no picture, is cut short or takes too much; one sentence.
    """
    content, name = read_bytes(source, name)
    with telling() as told:
        pages = check_tiff(content, name) if content[:4] in TIFF_MARKS else 0
        check_raw(content, name)
        if pages and (bands := read_bands(content, name, fit)) is not None:
            return _of_values(content, bands, told)
        picture = _open(content, name)
        if picture is None or _is_measured(picture):
            return _of_values(content, read_as_picture(content, name, fit), told)
        exif, xmp = _exif(picture), _xmp(picture.info)
        notes = tuple(_notes(picture, name, pages))
        # Pillow turns TIFFs upright by itself, and no other format.
        turn = 1 if picture.format == "TIFF" else _orientation(exif)
        wide, high = picture.size
        stored = (3, wide, high) if turn > 4 else (3, high, wide)
        pixels = _pixels(picture, name, draft, fit, turn)
    bad = exif is None or any("exif" in said.lower() for said in told)
    found = Image.Exif() if exif is None else exif
    return Decoded(pixels, stored, picture.format or "", found, xmp, (*notes, *told), bad)


def _is_measured(picture: Image.Image) -> bool:
    """Tell whether a TIFF holds measured values, whose scale GDAL knows how to read, or a picture.

    Pillow neither leaves out what is no data nor turns a grey round in which 0 is white.
    """
    deep = picture.mode.startswith("I;16") or picture.mode in ("I", "F")
    return picture.format == "TIFF" and deep


def _of_values(content: bytes, found: Found, told: list[str]) -> Decoded:
    pixels, (bands, high, wide), notes = found
    exif, xmp = _beside(content)
    turn = _orientation(exif)
    stored = (bands, wide, high) if turn > 4 else (bands, high, wide)
    return Decoded(_upright(pixels, turn), stored, "TIFF", exif, xmp, (*notes, *told))


def _beside(content: bytes) -> tuple[Image.Exif, bytes]:
    """Read EXIF and XMP data of a TIFF whose pixels Pillow does not know."""
    exif = Image.Exif()
    try:
        exif.load(content)
        return exif, _xmp({"xmp": exif.get(XMP)})
    except DAMAGE:
        return Image.Exif(), b""


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


def _open(content: bytes, name: str) -> Image.Image | None:
    """Open a picture without decoding it; None for a TIFF that Pillow does not know."""
    brand = content[8:12] if content[4:8] == b"ftyp" else b""
    if brand in HEIF_BRANDS:
        _register_heif(name)
    if brand in AVIF_BRANDS and not features.check("avif"):
        raise BadRecordError(
            "This installation of Pillow reads no AVIF: give a JPEG.", file=name or None
        )
    if content[:2] == b"\xff\xd8":
        check_jpeg(content, name)
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
    check_size(*picture.size, name, picture.format or "")
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


def _orientation(exif: Image.Exif | None) -> int:
    """Read how the picture is to be turned, 1 to 8; 1 is upright already."""
    found = exif.get(ORIENTATION, 1) if exif else 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _pixels(
    picture: Image.Image, name: str, draft: int | None, fit: int | None, turn: int
) -> npt.NDArray[np.uint8]:
    """Decode to ``(3, H, W)``, upright."""
    try:
        if draft or fit:
            # A JPEG can be decoded at a half, quarter or eighth of its size.
            picture.draft("RGB", (draft or fit or 0,) * 2)
        rgb = to_rgb(picture, fit)
    except MemoryError as error:
        raise BadRecordError(
            f"The picture of {picture.width} × {picture.height} pixels takes more memory than"
            " there is for it: make it smaller.",
            file=name or None,
        ) from error
    except DAMAGE as error:
        raise _damaged(name, error) from error
    return _upright(rgb.transpose(2, 0, 1), turn)


def _upright(pixels: npt.NDArray[Any], turn: int) -> npt.NDArray[Any]:
    """Turn ``(C, H, W)`` as EXIF says, 1 to 8."""
    if turn > 4:
        pixels = pixels.transpose(0, 2, 1)
    # Of the four that remain: mirrored, half a turn, upside down; their transposed ones alike.
    across, down = {1: (1, 1), 2: (-1, 1), 3: (-1, -1), 4: (1, -1),
                    5: (1, 1), 6: (-1, 1), 7: (-1, -1), 8: (1, -1)}[turn]  # fmt: skip
    return np.ascontiguousarray(pixels[:, ::down, ::across])


def _notes(picture: Image.Image, name: str, pages: int) -> Iterator[str]:
    given = Path(name).suffix.lower().lstrip(".")
    usual = FORMATS.get(picture.format or "", (given,))
    if given and given not in usual:
        yield f"The file is called .{given}, but is a {picture.format}; it was read as that."
    frames = pages or _frames(picture)
    if frames != 1 and picture.format != "MPO":
        what = "pages" if picture.format == "TIFF" else "pictures"
        yield f"The file holds {frames or 'several'} {what}; the first is used."
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        yield DEEP
    if picture.mode == "CMYK":
        yield "The colours are those of print (CMYK); they were turned into red, green and blue."
    if picture.mode == "LAB":
        yield "The colours are Lab; they were turned into red, green and blue."
    if is_clear(picture):
        yield "Transparent parts were made white."
    if picture.mode in ("1", "L", "LA") or picture.mode.startswith("I"):
        yield "The picture is grey; all three bands are the same."


def _frames(picture: Image.Image) -> int:
    """Count the pictures in a file: one where the others are damaged, 0 where it would take long.

    A GIF says nowhere how many it holds; to count them is to read all of it.
    """
    try:
        if picture.format == "GIF":
            return 0 if getattr(picture, "is_animated", False) else 1
        return int(getattr(picture, "n_frames", 1))
    except DAMAGE:
        return 1


def _exif(picture: Image.Image) -> Image.Exif | None:
    """Read the EXIF data; None if they are there and cannot be read."""
    raw = picture.info.get("exif") or b""
    if is_bomb(raw):
        return None
    try:
        found = picture.getexif()
    except DAMAGE:
        return None
    return None if len(raw) > len(EMPTY_EXIF) and not found else found


def _xmp(info: Mapping[Any, Any]) -> bytes:
    found: Any = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
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
