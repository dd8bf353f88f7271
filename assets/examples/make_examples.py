"""Draw the example pictures of the Photo page from the invented world ``demo``.

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

from csp_core.data.sets.demo import COMMON_NAMES, NAMES, DemoWorld

HERE = Path(__file__).resolve().parent
# Records of a draw of their own, so that no model has learned from them.
SEED, RECORDS = 1000, 20_000
YEAR = 2024
# The look-alikes: the first lives on the coast of the Gulf of Mexico, the second in the Rockies.
PAIR = ("Demofabula beta", "Demofabula gamma")
HOMES = {"Demofabula beta": (-91.0, 31.0), "Demofabula gamma": (-110.0, 38.0)}
CLEAR = "Demoxenia alpha"


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
    for own, other in (PAIR, PAIR[::-1]):
        a, b = NAMES.index(own), NAMES.index(other)
        decided = torch.stack([log[:, a] - log[:, b] > 4 for log in logs]).all(dim=0)
        likely = torch.stack([log[:, a] > -0.25 for log in logs]).all(dim=0)
        # At that time of the year the other one would be found at its home.
        there = torch.tensor([HOMES[other]]).expand(len(drawn), 2)
        away = world.location_posterior(there, drawn.date).log()
        flips = away[:, b] - away[:, a] > 4
        rows = ((drawn.label == a) & decided & likely & flips).nonzero().flatten()
        share = world.image_posterior(pixels(world, rows))
        # The image alone is for either: as near to even as it gets, others far behind.
        even = (share[:, a] - share[:, b]).abs() + share.sum(1) - share[:, a] - share[:, b]
        found.append(int(rows[even.argmin()]))
    a = NAMES.index(CLEAR)
    rows = ((drawn.label == a) & (logs[0][:, a] > -0.5)).nonzero().flatten()[:200]
    share = world.image_posterior(pixels(world, rows))[:, a]
    return found[0], found[1], int(rows[share.argmax()])


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
        "truth": NAMES[label],
        "common_name": COMMON_NAMES[label],
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


def main(folder: Path) -> None:
    """Write all pictures and their list."""
    world = DemoWorld(0)
    first, second, clear = choose(world)
    examples = (
        Example("lookalike-gulf.png", "Look-alike from the Gulf coast", first),
        Example("lookalike-rockies.png", "Look-alike from the Rockies", second),
        Example("clear.png", "Another genus, in Angola", clear),
        Example("no-place.jpg", "Without a place", first, placed=False),
    )
    rows = [write(world, example, folder) for example in examples]
    with (folder / "examples.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
