"""Small pictures made to cost much when they are decoded."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

from PIL import Image

MEGABYTE = 1 << 20


def png(*chunks: tuple[bytes, bytes], width: int = 8, height: int = 8) -> bytes:
    """Write a grey PNG with chunks of one's own before its pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data))  # fmt: skip

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes((width + 1) * height)))
    middle = b"".join(chunk(*one) for one in chunks)
    return b"\x89PNG\r\n\x1a\n" + head + middle + pixels + chunk(b"IEND", b"")


def zeros(megabytes: int) -> bytes:
    """Pack zeros as a PNG does."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(MEGABYTE)) for _ in range(megabytes)]
    return b"".join((*parts, packer.flush()))


def encoded(kind: str, size: tuple[int, int] = (64, 64), **options: Any) -> bytes:
    """Write a plain picture."""
    stream = io.BytesIO()
    Image.new("RGB", size, (90, 120, 60)).save(stream, kind, **options)
    return stream.getvalue()


def jpeg_with(exif: bytes) -> bytes:
    """Write a JPEG with the EXIF data given."""
    plain, block = encoded("JPEG"), b"Exif\0\0" + exif
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]


def circular_exif() -> bytes:
    """EXIF whose folders of tags lead to each other."""
    entry = struct.pack("<HHII", 34665, 4, 1, 8) + struct.pack("<HHII", 34853, 4, 1, 8)
    return jpeg_with(b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + entry + struct.pack("<I", 8))


def sized_jpeg(width: int, height: int) -> bytes:
    """A JPEG that claims another size."""
    plain = bytearray(encoded("JPEG"))
    at = plain.index(b"\xff\xc0")
    plain[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(plain)


def long_gif(frames: int = 100_000) -> bytes:
    """A GIF of as many pictures of one pixel."""
    head = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff"
    frame = b"\x21\xf9\x04\0\x01\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0"
    return head + frame * frames + b";"


def webp_frames(frames: int = 20_000) -> bytes:
    """An animated WebP whose canvas is large and whose frames are many."""
    small = [Image.new("RGB", (1, 1), (n % 255, 0, 0)) for n in range(2)]
    stream = io.BytesIO()
    small[0].save(stream, "WEBP", save_all=True, append_images=small[1:], lossless=True)
    data = stream.getvalue()
    at = data.index(b"ANMF")
    (size,) = struct.unpack_from("<I", data, at + 4)
    frame = data[at : at + 8 + size + size % 2]
    head = bytearray(data[12:at])
    canvas = head.index(b"VP8X") + 12
    head[canvas : canvas + 6] = struct.pack("<I", 9998)[:3] + struct.pack("<I", 9998)[:3]
    body = b"WEBP" + bytes(head) + frame * frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff(tags: list[tuple[int, int, int, int]], behind: bytes = b"") -> bytes:
    """Write a TIFF of the tags given; what they point to begins behind the folder."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0" + behind


def one_strip(side: int = 9_999, pack: int = 8) -> bytes:
    """A TIFF of one deflated strip as large as the picture."""
    packer = zlib.compressobj(9)
    line = bytes(side)
    data = b"".join((*(packer.compress(line) for _ in range(side)), packer.flush()))
    count = 10
    at = 8 + 2 + count * 12 + 4
    return tiff(
        [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, pack), (262, 3, 1, 1),
         (273, 4, 1, at), (277, 3, 1, 1), (278, 4, 1, side), (279, 4, 1, len(data)),
         (339, 3, 1, 1)], data)  # fmt: skip


def tiff_ring() -> bytes:
    """A TIFF whose second page follows on itself."""
    plain = bytearray(one_strip(8))
    plain[8 + 2 + 120 : 8 + 2 + 124] = struct.pack("<I", 8)
    return bytes(plain)


def cog_many_tiles() -> bytes:
    """A sparse TIFF of a huge table of tiles, each of one pixel by 16."""
    side = 9_984
    tiles = (side // 16) ** 2
    at = 8 + 2 + 12 * 12 + 4
    tags = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1),
            (277, 3, 1, 1), (322, 3, 1, 16), (323, 3, 1, 16), (324, 4, tiles, at),
            (325, 4, tiles, at + 4 * tiles), (339, 3, 1, 1), (284, 3, 1, 1)]  # fmt: skip
    return tiff(tags, bytes(8 * tiles))


def svg_like() -> bytes:
    """A text that calls itself a picture."""
    return (
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><svg>&e;</svg>'
    )


def xmp_bomb() -> bytes:
    """A JPEG whose XMP packet expands entities."""
    rows = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    packet = f'<!DOCTYPE x [<!ENTITY e0 "ha">{rows}]><x>&e11;</x>'.encode()
    block = b"http://ns.adobe.com/xap/1.0/\0" + packet
    plain = encoded("JPEG")
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]


def heic_cut() -> bytes:
    """A HEIC picture without its end, whose boxes claim more."""
    box = struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic"
    return box + struct.pack(">I", 0x7FFFFFFF) + b"meta" + bytes(4000)


def gradient_icc() -> bytes:
    """A PNG whose colour profile unpacks to 400 MB."""
    return png((b"iCCP", b"x\0\0" + zeros(400)))


PICTURES: dict[str, Callable[[], bytes]] = {
    "png_text_bomb.png": lambda: png((b"zTXt", b"a\0\0" + zeros(400))),
    "png_many_texts.png": lambda: png(*[(b"tEXt", b"k%d\0v" % n) for n in range(100_000)]),
    "png_profile_bomb.png": gradient_icc,
    "png_exif_bomb.png": lambda: png((b"eXIf", b"II*\0\xff\xff\xff\x7f" + bytes(MEGABYTE))),
    "png_one_row.png": lambda: png(width=2**31 - 1, height=1)[:4000],
    "png_flat_strip.png": lambda: png(width=99_000_000, height=1),
    "jpeg_ring_of_exif.jpg": circular_exif,
    "jpeg_claims_65535.jpg": lambda: sized_jpeg(65_535, 65_535),
    "jpeg_claims_9990.jpg": lambda: sized_jpeg(9_990, 9_990),
    "jpeg_xmp_entities.jpg": xmp_bomb,
    "gif_100000_frames.gif": long_gif,
    "webp_20000_frames.webp": webp_frames,
    "heic_cut.heic": heic_cut,
    "tiff_one_strip.tif": one_strip,
    "tiff_ring_of_pages.tif": tiff_ring,
    "tiff_400000_tiles.tif": cog_many_tiles,
    "xml_as_png.png": svg_like,
    "\x1b[2J\u202ename[red].png": lambda: encoded("PNG"),
}
