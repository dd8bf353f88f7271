"""Makes a small folder of tiles with masks, some of one ground, on two dates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from csp_core.data import load_dataset

CLASSES = {10: "building", 30: "road", 50: "field", 70: "forest"}
ALL = CLASSES | {100: "background"}
NUMBERS = (10, 30, 50, 70, 100)
SIDE, PIXEL = 64, 10.0
LEFT, TOP = 340_000.0, 3_840_000.0
GROUND = 512
# Name, and first row and column on the ground.
TILES = (
    *(("202309_a", 0, 0), ("202309_b", 0, 64), ("202309_c", 24, 40), ("202412_d", 8, 16)),
    *(("202412_e", 64, 0), ("202412_f", 70, 72), ("undated", 130, 130)),
)


def ground() -> np.ndarray:
    """Draw the classes of the ground, as squares of 8 pixels."""
    chance = np.random.default_rng(3)
    coarse = chance.choice(NUMBERS, size=(GROUND // 8, GROUND // 8), p=(0.05, 0.1, 0.2, 0.35, 0.3))
    return coarse.repeat(8, axis=0).repeat(8, axis=1).astype(np.uint8)


def write(path: Path, values: np.ndarray, row: int, column: int, **more: Any) -> None:
    """Write a GeoTIFF of the ground from a row and column on."""
    import rasterio
    from rasterio import Affine

    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "GTiff",
        "height": values.shape[1],
        "width": values.shape[2],
        "count": len(values),
        "dtype": values.dtype,
        "crs": "EPSG:32652",
        "transform": Affine(PIXEL, 0, LEFT + PIXEL * column, 0, -PIXEL, TOP - PIXEL * row),
    }
    with rasterio.open(path, "w", **profile | more) as file:
        file.write(values)


def pair(folder: Path, name: str, row: int, column: int, **more: Any) -> None:
    """Write a tile and its mask; the image shows the number of the class."""
    mask = ground()[row : row + SIDE, column : column + SIDE]
    image = np.stack([mask, mask + 1, mask // 2]).astype(np.uint8)
    write(folder / "images" / f"{name}.tif", image, row, column, **more)
    write(folder / "masks" / f"{name}.tif", mask[None], row, column, **more)


def make(folder: Path) -> Path:
    """Write the folder and return it."""
    for name, row, column in TILES:
        pair(folder, name, row, column)
    return folder


def options(folder: Path) -> dict[str, object]:
    """Give the options with which the loader reads the fake."""
    return {
        "root": make(folder),
        "crop": 8,
        "classes": CLASSES,
        "ignored": [100],
        "val_fraction": 0.2,
        "test_fraction": 0.2,
        "block_crops": 2,
    }


def masked(folder: Path) -> dict[str, Any]:
    """Give the options with which the loader reads the fake with masks of all its numbers."""
    return options(folder) | {"masks": True, "classes": ALL, "ignored": (), "crop": 16}


def load(given: dict[str, Any], split: str = "all", **more: Any) -> Any:
    """Load a part of tiles by options, some of them others."""
    return load_dataset("tiles", split, **given | more)
