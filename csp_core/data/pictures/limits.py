"""What a picture may take, asked of its headers before anything is decoded."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from csp_core.errors import BadRecordError

# A phone makes 12 to 50 megapixels; decoded, 100 take 300 to 400 MB.
MAX_MEGAPIXELS = 100
# WebP is decoded to three copies of four bytes a pixel, HEIC to two, AVIF to planes and two copies.
FEWER_MEGAPIXELS = {"WEBP": 36, "HEIF": 75, "AVIF": 36}
# What a TIFF's values take as they are stored; 100 megapixels of three bands of 16 bits take 600.
MAX_MEGABYTES = 1000
# What the picture that comes out takes: read in strips, a file may be larger than this.
MAX_RESULT_MEGABYTES = 400
# A TIFF is decoded block by block, and one block may be the whole picture.
MAX_BLOCK_MEGABYTES = 256
# Instruments have a few hundred bands; GDAL takes minutes to open 60,000.
MAX_BANDS = 1000
MAX_PAGES = 1000
# What GDAL is told: read as a whole, a PNG that is cut short would be whatever lay in memory.
NEVER_AT_ONCE = {"GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO"}
# A progressive JPEG is a dozen scans over the whole picture; this many pixels over all of them.
MAX_SCANNED_MEGAPIXELS = 12 * MAX_MEGAPIXELS

TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# Bytes that one number of each TIFF type takes.
WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
          16: 8, 17: 8, 18: 8}  # fmt: skip
WIDTH, HEIGHT, SAMPLES = 256, 257, 277
# Tags that lead to further folders of tags: EXIF, GPS, interoperability.
FURTHER = (34665, 34853, 40965)
MOST_TAGS = 65_535
# The tag that leads to further pictures, and how many of them are looked at.
PICTURES, MOST_PICTURES = 330, 8


@dataclass(frozen=True)
class Folder:
    """One folder of tags (IFD) of a TIFF or of EXIF data.

    Args:
        tags: Tag to its number where it is one whole number, else to 0.
        claimed: Bytes that the tags' values take when each is read; overlaps count again.
        following: Where the next folder lies, 0 if there is none.
        below: Where folders of further pictures lie that this one leads to.
    """

    tags: dict[int, int]
    claimed: int
    following: int
    below: tuple[int, ...] = ()


def folders(content: bytes, most: int = MAX_PAGES) -> Iterator[Folder]:
    """Walk the folders of tags of a TIFF without reading what the tags hold.

    Args:
        content: A TIFF, or the TIFF part of EXIF data.
        most: After this many the walk ends, as it does where the file is cut short.

    Yields:
        The folders of the file, then those that EXIF hangs below the first.
    """
    order, big = _layout(content)
    try:
        (at,) = struct.unpack_from(order + ("Q" if big else "I"), content, 8 if big else 4)
        below: list[int] = []
        for number in range(most):
            if not at:
                at = below.pop() if below else 0
            if not at:
                return
            folder = _folder(content, at, order, big)
            if number == 0:
                below = [folder.tags[tag] for tag in FURTHER if folder.tags.get(tag)]
            yield folder
            at = folder.following
    except struct.error:  # the end of a file that is cut short
        return


def _layout(content: bytes) -> tuple[str, bool]:
    """Read the order of bytes, and whether offsets have eight of them."""
    return ">" if content[:2] == b"MM" else "<", content[2:4] in (b"+\0", b"\0+")


def folder_at(content: bytes, at: int) -> Folder | None:
    """Read one folder of tags.

    Args:
        content: A TIFF.
        at: Where it lies.

    Returns:
        The folder, or None where the file ends before.
    """
    try:
        return _folder(content, at, *_layout(content))
    except struct.error:
        return None


def _folder(content: bytes, at: int, order: str, big: bool) -> Folder:
    head, entry, inline = ("Q", "HHQQ", 8) if big else ("H", "HHII", 4)
    (number,) = struct.unpack_from(order + head, content, at)
    start, width = at + struct.calcsize(order + head), struct.calcsize(order + entry)
    number = min(number, MOST_TAGS + 1, max(len(content) - start, 0) // width)
    tags: dict[int, int] = {}
    below: tuple[int, ...] = ()
    claimed = 0
    rows = struct.iter_unpack(order + entry, content[start : start + number * width])
    for tag, kind, count, value in rows:
        size = WIDTHS.get(kind, 1) * count
        if size > inline:
            claimed += min(size, max(len(content) - value, 0))
        # A short number stands at the beginning of its field, which is its end in MM files.
        short = kind == 3 and order == ">"
        tags[tag] = (value >> 8 * (inline - 2) if short else value) if count == 1 else 0
        if tag == PICTURES and WIDTHS.get(kind) in (4, 8):
            below = _below(content, order, WIDTHS[kind], count, value, inline)
    end = start + number * width
    following = 0
    if end + inline <= len(content):
        (following,) = struct.unpack_from(order + ("Q" if big else "I"), content, end)
    return Folder(tags, claimed, following, below)


def _below(
    content: bytes, order: str, width: int, count: int, value: int, inline: int
) -> tuple[int, ...]:
    count = min(count, MOST_PICTURES)
    if width * count <= inline:
        return (value,) if count == 1 else ()
    layout = f"{order}{count}{'I' if width == 4 else 'Q'}"
    try:
        return struct.unpack_from(layout, content, value)
    except struct.error:
        return ()


def check_tiff(content: bytes, name: str) -> int:
    """Refuse a TIFF that would take long to open, by the tags of its pages.

    Args:
        content: The bytes of the file.
        name: What to call it.

    Returns:
        How many pages it holds.

    Raises:
        BadRecordError: If it has too many pages or bands, or its tags claim more than it holds.
    """
    pages = 0
    for folder in folders(content, MAX_PAGES + 1 + len(FURTHER)):
        pages += WIDTH in folder.tags
        bands = folder.tags.get(SAMPLES, 1)
        if bands > MAX_BANDS:
            raise BadRecordError(
                f"The TIFF has {bands} bands; up to {MAX_BANDS:,} are read: give fewer of them.",
                file=name or None,
            )
        if folder.claimed > len(content) or len(folder.tags) > MOST_TAGS:
            raise BadRecordError(
                "The TIFF is damaged (its tags claim more than the file holds): copy it again.",
                file=name or None,
            )
    if pages > MAX_PAGES:
        raise BadRecordError(
            f"The TIFF has more than {MAX_PAGES:,} pages: give the one you mean as a file of its"
            " own.",
            file=name or None,
        )
    return pages


def check_jpeg(content: bytes, name: str) -> None:
    """Refuse a JPEG that would take long to decode, or whose EXIF data would take much memory.

    Args:
        content: The bytes of the file.
        name: What to call it.

    Raises:
        BadRecordError: If it has too many scans or its EXIF data claim more than they hold.
    """
    exif, pixels, at = b"", 0, 2
    while content[at : at + 1] == b"\xff" and at + 4 <= len(content):
        kind, (length,) = content[at + 1], struct.unpack_from(">H", content, at + 2)
        if kind == 0xE1 and content[at + 4 : at + 10] == b"Exif\0\0":
            exif += content[at + 10 : at + 2 + length]
        if 0xC0 <= kind <= 0xC2 and at + 9 <= len(content):
            height, width = struct.unpack_from(">HH", content, at + 5)
            pixels = height * width
        if kind == 0xDA:
            break
        at += 2 + length
    if is_bomb(exif):
        raise BadRecordError(
            "The picture is damaged (its EXIF data claim more than they hold): save it without"
            " them, or copy it again.",
            file=name or None,
        )
    # Within a scan a byte 255 is followed by another sign, so that only true scans count.
    scans = content.count(b"\xff\xda", at)
    if scans * pixels > MAX_SCANNED_MEGAPIXELS * 1_000_000:
        raise BadRecordError(
            f"The JPEG has {scans} scans of {pixels / 1e6:.0f} megapixels, which takes long to"
            " decode: save it again, or make it smaller.",
            file=name or None,
        )


def is_bomb(exif: bytes) -> bool:
    """Tell whether EXIF data claim more than they hold, by tags whose values overlap.

    Args:
        exif: The data, with their mark ``Exif`` or without.

    Returns:
        Whether they do.
    """
    block = exif.removeprefix(b"Exif\0\0")
    if block[:4] not in TIFF_MARKS:
        return False
    return any(folder.claimed > len(block) for folder in folders(block, 8))


def check_size(width: int, height: int, name: str, kind: str = "") -> None:
    """Refuse a picture of too many pixels, before any is decoded.

    Args:
        width: Pixels.
        height: Pixels.
        name: What to call it.
        kind: Its format as Pillow names it.

    Raises:
        BadRecordError: If there are 100 million or more, or more than its format may have.
    """
    most = FEWER_MEGAPIXELS.get(kind, MAX_MEGAPIXELS)
    if width * height >= most * 1_000_000:
        raise BadRecordError(
            f"The picture has {width} × {height} pixels; fewer than {most} megapixels are"
            f" read{f' of {kind}' if kind in FEWER_MEGAPIXELS else ''}: make it smaller.",
            file=name or None,
        )
