"""Draw the example pictures of the Photo page from the invented world ``demo``, in both looks.

Usage: python assets/examples/make_examples.py [OUT]. The same files come out every time.
"""

from __future__ import annotations

import csv
import datetime
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from torch import Tensor

from csp_core.data.records import RecordDataset
from csp_core.data.sets.demo import DemoWorld
from csp_core.data.sets.demo_looks import LOOKS
from csp_core.geo import great_circle_km

HERE = Path(__file__).resolve().parent
# Records of a draw of their own, so that no model has learned from them.
SEED, RECORDS = 1000, 20_000
YEAR = 2024
# The look-alikes, by label: the first lives on the coast of the Gulf of Mexico, the second in the
# Rockies.
PAIR = (1, 2)
# The clear one lives in Angola.
CLEAR = 21
HOMES = {1: (-91.0, 31.0), 2: (-110.0, 38.0), CLEAR: (18.0, -12.0)}
# A picture is taken this near to there.
NEAR_KM = 400


@dataclass(frozen=True)
class Example:
    """One picture.

    Args:
        file: Its name.
        label: What to call it on the page.
        row: Number of its record.
        placed: Whether its place is written into it.
    """

    file: str
    label: str
    row: int
    placed: bool = True


@dataclass(frozen=True)
class Series:
    """The examples of one look: a pair of look-alikes, a clear picture, the first without a place.

    Args:
        look: What they show.
        model: The bundled model that knows them.
        files: Their names.
        labels: What to call them on the page.
    """

    look: str
    model: str
    files: tuple[str, str, str, str]
    labels: tuple[str, str, str, str]


SERIES = (
    Series(
        "butterflies",
        "butterflies",
        ("kite-gulf.png", "kite-rockies.png", "ember-angola.png", "kite-no-place.png"),
        (
            "Blue Kite from the Gulf coast",
            "Its look-alike from the Rockies",
            "Dusk Ember, in Angola",
            "Blue Kite without a place",
        ),
    ),
    Series(
        "waves",
        "demo",
        ("lookalike-gulf.png", "lookalike-rockies.png", "clear.png", "no-place.jpg"),
        (
            "Look-alike from the Gulf coast",
            "Look-alike from the Rockies",
            "Another genus, in Angola",
            "Without a place",
        ),
    ),
)


def choose(world: DemoWorld) -> tuple[int, int, int]:
    """Choose the pair, which the places tell apart and the images do not, and a clear picture.

    Args:
        world: The invented world.

    Returns:
        Numbers of three records.
    """
    drawn = world.sample(RECORDS, SEED, images=False)
    logs = [world.location_posterior(drawn.lonlat, when).log() for when in (None, drawn.date)]
    found = []
    for a, b in (PAIR, PAIR[::-1]):
        decided = torch.stack([log[:, a] - log[:, b] > 4 for log in logs]).all(dim=0)
        likely = torch.stack([log[:, a] > -0.25 for log in logs]).all(dim=0)
        # At that time of the year the other one would be found at its home.
        there = torch.tensor([HOMES[b]]).expand(len(drawn), 2)
        away = world.location_posterior(there, drawn.date).log()
        flips = away[:, b] - away[:, a] > 4
        rows = (at_home(drawn, a) & decided & likely & flips).nonzero().flatten()
        share = world.image_posterior(pixels(world, rows))
        # The image alone is for either: as near to even as it gets, others far behind.
        even = (share[:, a] - share[:, b]).abs() + share.sum(1) - share[:, a] - share[:, b]
        found.append(int(rows[even.argmin()]))
    rows = ((drawn.label == CLEAR) & (logs[0][:, CLEAR] > -0.5)).nonzero().flatten()[:200]
    rows = rows[at_home(drawn, CLEAR)[rows]]
    share = world.image_posterior(pixels(world, rows))[:, CLEAR]
    return found[0], found[1], int(rows[share.argmax()])


def at_home(drawn: RecordDataset, label: int) -> Tensor:
    """Tell which records are of a class and near its home: ``(N,)``."""
    home = torch.tensor([HOMES[label]])
    return (drawn.label == label) & (great_circle_km(drawn.lonlat, home) < NEAR_KM)


def pixels(world: DemoWorld, rows: Tensor) -> Tensor:
    """Draw records' images as a file of 8 bits holds them: ``(N, 3, 64, 64)`` in [0, 1]."""
    drawn = world.sample(RECORDS, SEED, rows=rows).image
    assert drawn is not None
    return (drawn.clamp(0, 1) * 255).round() / 255


def write(world: DemoWorld, example: Example, folder: Path) -> dict[str, str]:
    """Write a picture with its place and date.

    Args:
        world: The invented world.
        example: Which picture.
        folder: Where to.

    Returns:
        Its row of ``examples.csv``.
    """
    rows = torch.tensor([example.row])
    record = world.sample(RECORDS, SEED, rows=rows)
    values = (pixels(world, rows)[0] * 255).to(torch.uint8).permute(1, 2, 0).numpy()
    taken = datetime.datetime(YEAR, 1, 1, 12) + datetime.timedelta(
        days=int(float(record.date[0]) * 366)
    )
    exif = Image.Exif()
    exif[Base.Make] = "CSP Explorer"
    exif[Base.ImageDescription] = "Invented picture of the data set demo"
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = taken.strftime("%Y:%m:%d %H:%M:%S")
    if example.placed:
        exif.get_ifd(IFD.GPSInfo).update(position(*record.lonlat[0].tolist()))
    stream = io.BytesIO()
    kind = "PNG" if example.file.endswith(".png") else "JPEG"
    # Colour at full size: what tells these species apart is faint.
    options = {} if kind == "PNG" else {"quality": 95, "subsampling": 0}
    Image.fromarray(values).save(stream, kind, exif=exif, **options)
    (folder / example.file).write_bytes(stream.getvalue())
    label = int(record.label[0])
    return {
        "file": example.file,
        "label": example.label,
        "truth": world.names[label],
        "common_name": world.common_names[label],
    }


def position(lon: float, lat: float) -> dict[int, object]:
    """Write a place as EXIF has it: degrees, minutes, seconds, and an error of 10 m."""
    block: dict[int, object] = {GPS.GPSVersionID: b"\x02\x03\x00\x00"}
    block[GPS.GPSHPositioningError] = 10.0
    for value, letters, tag, ref in (
        (lat, "NS", GPS.GPSLatitude, GPS.GPSLatitudeRef),
        (lon, "EW", GPS.GPSLongitude, GPS.GPSLongitudeRef),
    ):
        minutes = abs(value) * 60
        block[ref] = letters[value < 0]
        block[tag] = (minutes // 60, minutes % 60 // 1, round(minutes % 1 * 60, 2))
    return block


def draw(series: Series, folder: Path) -> list[dict[str, str]]:
    """Write the pictures of one look.

    Args:
        series: Which.
        folder: Where to.

    Returns:
        Their rows of ``examples.csv``.
    """
    world = DemoWorld(0, LOOKS[series.look].noise, look=series.look)
    first, second, clear = choose(world)
    numbers = first, second, clear, first
    found = []
    for file, label, row in zip(series.files, series.labels, numbers, strict=True):
        example = Example(file, label, row, placed="no-place" not in file)
        found.append(write(world, example, folder) | {"model": series.model})
    return found


def main(folder: Path) -> None:
    """Write all pictures and their list."""
    rows = [row for series in SERIES for row in draw(series, folder)]
    with (folder / "examples.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
