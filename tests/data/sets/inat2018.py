"""Makes a small folder in the form in which iNaturalist 2018 is published with its features."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from csp_core.data.sets.inat2018 import LAYOUT
from csp_core.data.sets.published import Layout

# The published numbers are not in the order of the names.
CLASSES = {0: "Zea mays", 1: "Aus bus", 2: "Mus musculus"}
FEATURES = 8
SIZES = {"train": 40, "val": 10}


def records(part: str, seed: int = 0) -> list[dict[str, Any]]:
    """Invent images: every tenth has no place, every eighth no user."""
    chance = random.Random(f"{part}{seed}")
    found = []
    for i in range(SIZES[part]):
        place = (round(chance.uniform(-180, 180), 5), round(chance.uniform(-90, 90), 5))
        found.append(
            {
                "id": 1000 + 7 * i,
                "category": chance.randrange(len(CLASSES)),
                "lon": None if i % 10 == 3 else place[0],
                "lat": None if i % 10 == 3 else place[1],
                "user_id": None if i % 8 == 1 else i,
                "date_c": 1.0 if i == 0 else round(chance.random(), 3),
            }
        )
    return found


def features(part: str) -> np.ndarray:
    """Give the features of a part: the first column numbers the images."""
    rows = np.random.default_rng(0).normal(size=(SIZES[part], FEATURES)).astype(np.float32)
    rows[:, 0] = np.arange(SIZES[part])
    return rows


def write(folder: Path, layout: Layout) -> Path:
    """Write the files of a layout, and return the folder above them."""
    root = folder / layout.folder
    for part in SIZES:
        found = records(part)
        images = [{"id": r["id"], "file_name": f"{r['id']}.jpg"} for r in found]
        labels = [{"image_id": r["id"], "category_id": r["category"]} for r in found]
        # Files list images and places in orders of their own.
        places = [{k: r[k] for k in ("id", "lon", "lat", "user_id", "date_c")} for r in found]
        annotations = {"images": images, "annotations": labels[::-1]}
        for name, value in ((layout.annotations, annotations), (layout.places, places[::-1])):
            path = root / name.format(part=part)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(value))
        for name in layout.features.values():
            path = root / name.format(part=part)
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, features(part))
    return folder


def make(folder: Path) -> Path:
    """Write the fake and return the folder above it."""
    write(folder, LAYOUT)
    categories = [{"id": number, "name": name} for number, name in CLASSES.items()]
    (folder / LAYOUT.folder / LAYOUT.classes).write_text(json.dumps(categories))
    return folder


def options(folder: Path) -> dict[str, object]:
    """Give the options with which the loader reads the fake."""
    return {"root": make(folder), "val_fraction": 0.2}
