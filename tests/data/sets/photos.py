"""Makes small pictures with the EXIF, XMP or georeference that a test asks for."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

GPS, EXIF = 0x8825, 0x8769


def pixels(width: int = 32, height: int = 24, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Draw a picture of smooth colours, its left upper corner bright."""
    rows, columns = np.mgrid[0:height, 0:width]
    base = np.stack((255 - 5 * rows, 255 - 4 * columns, 0 * rows + 40 * seed % 255), axis=2)
    return Image.fromarray(base.clip(0, 255).astype(np.uint8)).convert(mode)


def gps(lon: float, lat: float, **more: Any) -> dict[int, Any]:
    """Make a GPS block for a place in degrees."""

    def parts(value: float) -> tuple[IFDRational, ...]:
        whole, minutes = divmod(abs(value) * 60, 60)
        return (IFDRational(int(whole)), IFDRational(round(minutes * 10_000), 10_000), 0)

    block = {1: "N" if lat >= 0 else "S", 2: parts(lat), 3: "E" if lon >= 0 else "W", 4: parts(lon)}
    return block | {int(key.removeprefix("tag")): value for key, value in more.items()}


def exif(
    block: dict[int, Any] | None = None, *, taken: str = "", orientation: int = 0
) -> Image.Exif:
    """Make EXIF data with a GPS block, a time and an orientation."""
    found = Image.Exif()
    found[271] = "Test"  # some formats drop data without a tag of the first block
    if orientation:
        found[274] = orientation
    if block is not None:
        found[GPS] = block
    if taken:
        found.get_ifd(EXIF)[36867] = taken
    return found


def xmp(**attributes: str) -> bytes:
    """Make an XMP packet; ``exif__GPSLatitude`` is the tag ``exif:GPSLatitude``."""
    listed = " ".join(f'{k.replace("__", ":")}="{v}"' for k, v in attributes.items())
    names = {
        "dwc": "http://rs.tdwg.org/dwc/index.htm/",
        "exif": "http://ns.adobe.com/exif/1.0/",
        "photoshop": "http://ns.adobe.com/photoshop/1.0/",
        "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "x": "adobe:ns:meta/",
    }
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in names.items())
    return (
        f'<x:xmpmeta {spaces}><rdf:RDF><rdf:Description rdf:about="" {listed}/></rdf:RDF>'
        "</x:xmpmeta>"
    ).encode()


def encode(picture: Image.Image | None = None, format: str = "JPEG", **options: Any) -> bytes:
    """Write a picture in a format, with Pillow's options such as ``exif`` and ``xmp``."""
    stream = io.BytesIO()
    if isinstance(options.get("exif"), Image.Exif):
        options["exif"] = options["exif"].tobytes()
    (picture or pixels()).save(stream, format, **options)
    return stream.getvalue()


def geotiff(
    *, crs: str | None = "EPSG:4326", bands: int = 3, dtype: str = "uint8", grid: bool = True
) -> bytes:
    """Write a GeoTIFF of 20 × 10 pixels whose middle is 11° E, 47.5° N in EPSG:4326."""
    import warnings

    from rasterio import Affine
    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.io import MemoryFile

    profile = {"driver": "GTiff", "width": 20, "height": 10, "count": bands, "dtype": dtype}
    if grid:
        profile["transform"] = Affine(0.1, 0, 10, 0, -0.1, 48)
    values = np.broadcast_to(np.arange(20), (bands, 10, 20)).astype(dtype)
    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(**profile, **({"crs": crs} if crs else {})) as file:
            file.write(values)
        return bytes(memory.read())


def write_folder(folder: Path) -> Path:
    """Write a folder of photos of two classes, one without a place, one damaged, and one lone."""
    for label, (name, number) in enumerate({"Aus bus": 6, "Cus dus": 6, "Eus fus": 1}.items()):
        for i in range(number):
            data = exif(gps(10.0 + i, 40.0 + label), taken=f"2023:0{i + 1}:15 12:00:00")
            path = folder / name / f"{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(pixels(48, 40, seed=label), exif=data))
    (folder / "Aus bus" / "nowhere.jpg").write_bytes(encode())
    (folder / "Aus bus" / "damaged.jpg").write_bytes(encode(pixels(200, 200))[:700])
    (folder / "Cus dus" / "notes.txt").write_text("no picture")
    return folder


def options(folder: Path) -> dict[str, object]:
    """Give the options with which the loader reads the fake."""
    return {"root": write_folder(folder / "photos"), "val_fraction": 0.2, "test_fraction": 0.2}
