"""Makes a small table of series, and a small stack of dated rasters in a sinusoidal grid."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

LABELS = ("Cerrado", "Forest", "Pasture")
DATES = 5
SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
LEFT, TOP, PIXEL = -6_073_798.0, -1_278_280.0, 20_000.0
ROWS, COLUMNS = 6, 8


def days_of(year: int, dates: int = DATES) -> list[str]:
    """Give dates every 32 days from September on."""
    first = datetime.date(year, 9, 14)
    return [(first + datetime.timedelta(days=32 * at)).isoformat() for at in range(dates)]


def nested(number: int = 60) -> pl.DataFrame:
    """Draw series of two bands at 15 places, each place in four years."""
    chance = np.random.default_rng(1)
    rows = []
    for row in range(number):
        place, label = row % 15, row % 3
        values = (0.2 + 0.2 * label + 0.01 * chance.standard_normal(DATES)).tolist()
        rows.append(
            {
                "id": row,
                "longitude": -57.5 + 1.1 * (place % 5),
                "latitude": -13.3 + 1.1 * (place // 5),
                "label": LABELS[label],
                "date": days_of(2001 + row // 15),
                "ndvi": values,
                "evi": [value / 2 for value in values],
            }
        )
    return pl.DataFrame(rows)


def make(folder: Path) -> Path:
    """Write the table and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    nested().write_parquet(folder / "series.parquet")
    return folder / "series.parquet"


def make_long(folder: Path) -> Path:
    """Write the same as one row a date, the dates in any order, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    table = nested().explode("date", "ndvi", "evi").sample(fraction=1, shuffle=True, seed=3)
    table.write_csv(folder / "long.csv")
    return folder / "long.csv"


def options(folder: Path) -> dict[str, object]:
    """Give the options with which the loader reads the fake."""
    return {"root": make(folder), "val_fraction": 0.2, "test_fraction": 0.2}


def write_raster(path: Path, values: np.ndarray, **more: Any) -> None:
    """Write a GeoTIFF of the grid."""
    import rasterio
    from rasterio import Affine

    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "GTiff",
        "height": values.shape[-2],
        "width": values.shape[-1],
        "count": 1,
        "dtype": values.dtype,
        "crs": SINUSOIDAL,
        "transform": Affine(PIXEL, 0, LEFT, 0, -PIXEL, TOP),
    }
    with rasterio.open(path, "w", **profile | more) as file:
        file.write(values.reshape(1, *values.shape[-2:]))


def make_stack(folder: Path) -> Path:
    """Write rasters whose value tells date, row and column, and return their folder."""
    row, column = np.indices((ROWS, COLUMNS))
    for at, day in enumerate(days_of(2013)):
        values = (1000 * at + 10 * row + column + 1).astype(np.int16)
        write_raster(folder / f"NDVI_{day}.tif", values)
    return folder


def place(row: float, column: float) -> tuple[float, float]:
    """Give longitude and latitude of a place in the grid, halves being middles."""
    y = TOP - PIXEL * row
    latitude = np.degrees(y / 6_371_007.181)
    x = LEFT + PIXEL * column
    return float(np.degrees(x / 6_371_007.181 / np.cos(np.radians(latitude)))), float(latitude)


def make_points(folder: Path) -> Path:
    """Write points: in two pixels, twice in one of them, and one outside."""
    at = [(2.5, 3.5, "Forest"), (4.2, 0.9, "Pasture"), (4.8, 0.1, "Forest"), (99.0, 0.5, "Forest")]
    lines = ["longitude,latitude,label"]
    lines += [f"{place(row, column)[0]},{place(row, column)[1]},{n}" for row, column, n in at]
    (folder / "points.csv").write_text("\n".join(lines) + "\n")
    return folder / "points.csv"
