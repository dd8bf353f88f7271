"""Makes a folder of 60 to 300 records for each data set, so that every option of a split bites."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np

from csp_core.data.sets.fmow import LAYOUT as FMOW
from csp_core.data.sets.inat2018 import LAYOUT as INAT
from csp_core.data.sets.published import Layout
from tests.data.sets import bigearthnet, pastis, place_features, places, series, tiles
from tests.data.sets import photos as pictures

CLASSES = ("Aus bus", "Cus dus", "Eus fus", "Gus hus")
PEOPLE = ("Ada", "ada ", "Bo", "Cy", "Di | Ed", "", "Flo", "Gus")


def _places(number: int, seed: str) -> list[tuple[float, float]]:
    """Draw places around five towns, some twice."""
    chance = random.Random(seed)
    found: list[tuple[float, float]] = []
    for row in range(number):
        town = 5 + 12 * (row % 5)
        drawn = (round(chance.gauss(town, 3), 4), round(chance.gauss(45, 3), 4))
        found.append(found[row - 5] if row % 11 == 10 else drawn)
    return found


def table(folder: Path) -> Path:
    """Write 300 occurrences of four taxa by eight recorders, some of them vague."""
    chance = random.Random("table")
    lines = ["species,lon,lat,eventDate,recordedBy,coordinateUncertaintyInMeters"]
    for row, (lon, lat) in enumerate(_places(300, "table")):
        name = chance.choices(CLASSES, (60, 25, 12, 3))[0]
        date = f"2021-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
        vague = chance.choice(("", "10", "500", "20000"))
        lines.append(f"{name},{lon},{lat},{date},{PEOPLE[row % len(PEOPLE)]},{vague}")
    path = folder / "dealt.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def patches(folder: Path) -> Path:
    """Write an unpacked EuroSAT of 120 files that hold nothing, eight of them without a place."""
    lines = ["filepath,class,latitude,longitude"]
    for row, (lon, lat) in enumerate(_places(120, "patches")):
        label = ("Forest", "River", "SeaLake")[row % 3]
        path = folder / "2750" / label / f"{label}_{row}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        lines += [] if row % 15 == 4 else [f"{label}/{path.name},{label},{lat},{lon}"]
    (folder / "eurosat_coordinates.csv").write_text("\n".join(lines) + "\n")
    return folder


def photos(folder: Path) -> Path:
    """Write a table of 60 small photos, every twelfth without a place, and return its path."""
    lines = ["path,label,lon,lat,date"]
    content = pictures.encode(pictures.pixels(16, 16))
    folder.mkdir(parents=True, exist_ok=True)
    for row, (lon, lat) in enumerate(_places(60, "photos")):
        (folder / f"{row:02}.jpg").write_bytes(content)
        place = "," if row % 12 == 7 else f"{lon},{lat}"
        lines.append(f"{row:02}.jpg,{CLASSES[row % 7 // 2]},{place},2023-{row % 12 + 1:02}-15")
    path = folder / "photos.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def _published(folder: Path, layout: Layout) -> Path:
    for part, number in {"train": 150, "val": 30}.items():
        rows = [*enumerate(_places(number, f"{layout.name} {part}"))]
        value = {
            "images": [{"id": row, "file_name": f"{row}.jpg"} for row, _ in rows],
            "annotations": [{"image_id": r, "category_id": r % 7 // 2} for r, _ in rows if r % 29],
        }
        places = [
            {
                "id": row,
                "lon": None if row % 13 == 5 else lon,
                "lat": None if row % 13 == 5 else lat,
                "user_id": None if row % 8 == 1 else row,
                "date_c": round(row / number, 3),
            }
            for row, (lon, lat) in rows
        ]
        for name, content in ((layout.annotations, value), (layout.places, places)):
            path = folder / layout.folder / name.format(part=part)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        for name in layout.features.values():
            path = folder / layout.folder / name.format(part=part)
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, np.zeros((number, 4), dtype=np.float32))
    classes = [{"id": number, "name": name} for number, name in enumerate(CLASSES)]
    (folder / layout.folder / layout.classes).write_text(json.dumps(classes))
    return folder


def fmow(folder: Path) -> Path:
    """Write annotations, places and features of an fMoW of 180 images."""
    return _published(folder, FMOW)


def inat2018(folder: Path) -> Path:
    """Write annotations, places and features of an iNaturalist 2018 of 180 images."""
    return _published(folder, INAT)


def sets(folder: Path) -> Path:
    """Write the table of a BigEarthNet of 120 patches without images, in seven tiles."""
    rows = [
        (f"T31U{'ABCDEFG'[row % 7]}A", lon, lat, bigearthnet.NAMES_19[row % 4 : row % 4 + 2])
        for row, (lon, lat) in enumerate(_places(120, "sets"))
    ]
    return bigearthnet.write_metadata(folder, rows)


# Data set to what writes its folder, and the options without which its images would be read.
FOLDERS = {
    "bigearthnet": (sets, {"images": False, "split_method": "random"}),
    "demo": (lambda folder: None, {"size": 400, "images": False}),
    "eurosat": (patches, {"images": False}),
    "fmow": (fmow, {"images": False}),
    "inat2018": (inat2018, {"images": False}),
    "occurrences": (table, {}),
    "pastis": (pastis.make, {"split_method": "random"}),
    "phenology": (lambda folder: None, {"size": 60, "side": 8, "dates": 2, "parcels": 3}),
    "photos": (photos, {"size": 8}),
    "place_features": (place_features.make, {"test_fraction": 0.2}),
    "places": (places.make, {"size": 200, "test_fraction": 0.2}),
    "series": (series.make, {}),
    "tiles": (tiles.make, {"crop": 8, "classes": tiles.CLASSES, "ignored": [100]}),
}
