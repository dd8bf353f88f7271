"""Makes a small folder in the form in which EuroSAT is published, with its table of places."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("AnnualCrop", "Forest", "SeaLake")
EACH = 8
SIDE = 64


def names() -> list[str]:
    """List the pictures: class folder and file."""
    return [f"{c}/{c}_{n}.jpg" for c in CLASSES for n in range(1, EACH + 1)]


def place(row: int) -> tuple[float, float]:
    """Give the place of a picture: every one in a block of its own."""
    return 5.5 + row, 45.25


def jpeg(row: int) -> bytes:
    """Draw a picture whose brightness tells its number."""
    stream = io.BytesIO()
    pixels = np.full((SIDE, SIDE, 3), 5 * row + 20, dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def write_places(folder: Path) -> None:
    """Write the table of places."""
    rows = [
        f"{name},{name.split('/')[0]},{place(r)[1]},{place(r)[0]}" for r, name in enumerate(names())
    ]
    text = "\n".join(["filepath,class,latitude,longitude", *rows])
    (folder / "eurosat_coordinates.csv").write_text(text + "\n")


def make(folder: Path, *, unpacked: bool = False) -> Path:
    """Write the fake, as an archive or unpacked, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_places(folder)
    if unpacked:
        for row, name in enumerate(names()):
            path = folder / "2750" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg(row))
        return folder
    with zipfile.ZipFile(folder / "EuroSAT_RGB.zip", "w") as archive:
        for row, name in enumerate(names()):
            archive.writestr(f"2750/{name}", jpeg(row))
    return folder


def make_tiffs(folder: Path, *, bands: int = 13, crs: str | None = "EPSG:32631") -> Path:
    """Write GeoTIFFs of many bands, two a class, and return their folder."""
    import rasterio
    from rasterio import Affine

    folder.mkdir(parents=True, exist_ok=True)
    for row, name in enumerate(f"{c}_{n}" for c in CLASSES for n in (1, 2)):
        profile = {
            "driver": "GTiff",
            "width": SIDE,
            "height": SIDE,
            "count": bands,
            "dtype": "uint16",
            "crs": crs,
            "transform": Affine(10, 0, 500_000 + 1000 * row, 0, -10, 5_000_000),
        }
        with rasterio.open(folder / f"{name}.tif", "w", **profile) as file:
            file.write(np.full((bands, SIDE, SIDE), 1000 * (row + 1), dtype=np.uint16))
    return folder


def options(folder: Path) -> dict[str, object]:
    """Give the options with which the loader reads the fake."""
    return {"root": make(folder), "val_fraction": 0.2, "test_fraction": 0.2}
