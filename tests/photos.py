"""Photo files of every odd kind, made on the spot: what the Photo page must take or refuse."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin
from PIL.ExifTags import GPS, IFD, Base

SIDE = 64
NOWHERE = TiffImagePlugin.IFDRational(0, 0)


@dataclass(frozen=True)
class File:
    """A file with what the page has to say of it.

    Args:
        name: Its name.
        content: Its bytes.
        says: Words that stand on the page.
        refused: Whether it cannot be read at all.
    """

    name: str
    content: bytes
    says: str
    refused: bool = False


def picture(width: int = SIDE, height: int = SIDE, mode: str = "RGB") -> Image.Image:
    """Draw smooth colours with some noise."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(40, 200, width)[None, :, None] + np.zeros((height, 1, 3))
    noisy = (ramp + rng.normal(0, 20, ramp.shape)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(noisy).convert(mode)


def encode(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """Write a picture to bytes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def exif_with(
    lonlat: tuple[float, float] | None, *, taken: str = "2024:05:17 09:30:00"
) -> Image.Exif:
    """Make EXIF data with a date, and a place if one is given."""
    exif = Image.Exif()
    # Without a tag of its own, Pillow takes the data for empty and writes none.
    exif[Base.Make] = "Nobody"
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = taken
    if lonlat is not None:
        lon, lat = lonlat
        exif.get_ifd(IFD.GPSInfo).update(
            {
                GPS.GPSLatitudeRef: "NS"[lat < 0],
                GPS.GPSLatitude: (abs(lat), 0.0, 0.0),
                GPS.GPSLongitudeRef: "EW"[lon < 0],
                GPS.GPSLongitude: (abs(lon), 0.0, 0.0),
            }
        )
    return exif


def placed_jpeg(lon: float, lat: float, side: int = SIDE) -> bytes:
    """Make a JPEG that says where and when it was taken."""
    return encode(picture(side, side), exif=exif_with((lon, lat)))


def odd_files() -> list[File]:
    """Make one file of each odd kind."""
    plain = encode(picture())
    pointless = exif_with(None)
    pointless.get_ifd(IFD.GPSInfo)[GPS.GPSMapDatum] = "WGS-84"
    nan = exif_with((1.0, 1.0))
    nan.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] = (NOWHERE, NOWHERE, NOWHERE)
    deep = Image.fromarray(np.linspace(0, 65535, SIDE * SIDE).reshape(SIDE, SIDE).astype("uint16"))
    frames = [picture(), picture().rotate(90)]
    return [
        File("no-exif.jpg", plain, "no EXIF data"),
        File("gps-without-place.jpg", encode(picture(), exif=pointless), "without coordinates"),
        File("nowhere.jpg", encode(picture(), exif=nan), "no numbers"),
        File("null-island.jpg", placed_jpeg(0.0, 0.0), "which devices write"),
        File("malformed.jpg", encode(picture(), exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), "EXIF"),
        File("really-a-png.jpg", encode(picture(), "PNG"), "but is a PNG"),
        File("cut-short.jpg", plain[: len(plain) // 2], "cut short or damaged", refused=True),
        File("print.jpg", encode(picture(mode="CMYK")), "CMYK"),
        File("deep.png", encode(deep, "PNG"), "more than 8 bits"),
        File(
            "moving.webp",
            encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=50),
            "the first is used",
        ),
        File("huge.png", huge_png(), "megapixels", refused=True),
        File("no-crs.tif", tiff_without_crs(), "coordinate"),
        File("letter.jpg", b"Dear bird,\n", "no picture", refused=True),
    ]


def huge_png(width: int = 12_000, height: int = 9_000) -> bytes:
    """Make a PNG of 108 megapixels in some kilobytes."""
    row = b"\0" + bytes(width // 8)
    data = zlib.compress(row * height, 9)

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tiff_without_crs() -> bytes:
    """Make a TIFF whose pixels have coordinates that nobody says the system of."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33550], tags.tagtype[33550] = (10.0, 10.0, 0.0), 12
    tags[33922], tags.tagtype[33922] = (0.0, 0.0, 0.0, 500_000.0, 4_649_776.0, 0.0), 12
    return encode(picture(), "TIFF", tiffinfo=tags)


def geotiff(lon: float, lat: float, side: int = SIDE) -> bytes:
    """Make a GeoTIFF around a place."""
    import rasterio

    step = 1e-4
    west, north = lon - side * step / 2, lat + side * step / 2
    transform = rasterio.Affine(step, 0.0, west, 0.0, -step, north)
    options = {"count": 3, "dtype": "uint8", "crs": "EPSG:4326", "transform": transform}
    with rasterio.MemoryFile() as memory:
        with memory.open(driver="GTiff", width=side, height=side, **options) as target:
            target.write(np.asarray(picture(side, side)).transpose(2, 0, 1))
        return bytes(memory.read())
