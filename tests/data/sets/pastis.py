"""Makes a small folder in the form in which PASTIS is published."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np

SIDE, BANDS = 8, 10
# Lambert 93, in which PASTIS is published; each patch in a block of its own.
CRS = "urn:ogc:def:crs:EPSG::2154"
NUMBERS = tuple(10_000 + at for at in range(20))


def dates_of(at: int) -> list[int]:
    """Give the dates of a patch: 4 to 6 of them, from September on."""
    first = datetime.date(2018, 9, 17)
    days = [first + datetime.timedelta(days=40 * step + at) for step in range(4 + at % 3)]
    return [int(day.strftime("%Y%m%d")) for day in days]


def mask_of(at: int) -> np.ndarray:
    """Draw a mask of four squares: background, two crops and void."""
    quarters = np.array([[0, 1 + at % 3], [5 + at % 2, 19]], dtype=np.uint8)
    return quarters.repeat(SIDE // 2, axis=0).repeat(SIDE // 2, axis=1)


def feature(at: int) -> dict[str, Any]:
    """Describe a patch as the table does."""
    x, y = 400_000.0 + 110_000.0 * (at % 5), 6_400_000.0 + 120_000.0 * (at // 5)
    ring = [[x, y], [x + 1280, y], [x + 1280, y + 1280], [x, y + 1280], [x, y]]
    return {
        "type": "Feature",
        "properties": {
            "ID_PATCH": NUMBERS[at],
            "Fold": at % 5 + 1,
            "TILE": "t30uxv",
            "dates-S2": {str(step): date for step, date in enumerate(dates_of(at))},
        },
        "geometry": {"type": "MultiPolygon", "coordinates": [[ring]]},
    }


def write_table(folder: Path, features: list[dict[str, Any]]) -> None:
    """Write the table of the patches."""
    crs = {"type": "name", "properties": {"name": CRS}}
    table = {"type": "FeatureCollection", "crs": crs, "features": features}
    (folder / "metadata.geojson").write_text(json.dumps(table))


def make(folder: Path) -> Path:
    """Write the folder; the values of a series tell patch and date."""
    for name in ("DATA_S2", "ANNOTATIONS"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for at, number in enumerate(NUMBERS):
        series = np.zeros((len(dates_of(at)), BANDS, SIDE, SIDE), dtype=np.int16)
        series += (100 * at + np.arange(len(series)))[:, None, None, None].astype(np.int16)
        series[:, 0] += 10 * np.arange(SIDE, dtype=np.int16)[:, None]
        np.save(folder / "DATA_S2" / f"S2_{number}.npy", series)
        target = np.stack([mask_of(at)] * 3)
        np.save(folder / "ANNOTATIONS" / f"TARGET_{number}.npy", target)
    write_table(folder, [feature(at) for at in reversed(range(len(NUMBERS)))])
    return folder


def options(folder: Path) -> dict[str, object]:
    """Give the options with which the loader reads the fake."""
    return {"root": make(folder)}
