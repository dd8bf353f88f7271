"""Draw the example scene of the Segment page: an invented valley as a satellite might see it.

Usage: python assets/examples/make_scene.py [OUT]. The same files come out every time.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from PIL import Image, ImageDraw
from rasterio import Affine

HERE = Path(__file__).resolve().parent
SEED = 7
# Pixels, metres, and how many times finer it is drawn before it is brought to pixels.
SIDE, METRES, FINER = 352, 10.0, 4
# Open water of the East Sea, where there is no such land; the north-western corner.
CRS, WEST, NORTH = "EPSG:32652", 588_400.0, 4_150_700.0
# The classes' values in the mask, as in the tiles of Korea that it looks like.
BUILDING, ROAD, FIELD, FOREST, BACKGROUND = 10, 30, 50, 70, 100
Floats = npt.NDArray[np.float64]
ABOUT = (
    "Invented: drawn by assets/examples/make_scene.py to look like a contrast-stretched picture of"
    " Sentinel-2. No such land exists; the place is open sea. CC0 1.0."
)


def smooth(side: int, scale: float, generator: np.random.Generator) -> Floats:
    """Draw a smooth field of chance.

    Args:
        side: Its rows and columns.
        scale: About how far apart its hills are, pixels.
        generator: Where chance comes from.

    Returns:
        ``(side, side)`` with mean 0 and standard deviation 1.
    """
    waves = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    weight = np.exp(-((waves * scale) ** 2) / 2)
    noise = generator.standard_normal((side, side))
    field = np.fft.ifft2(np.fft.fft2(noise) * weight).real
    return np.asarray((field - field.mean()) / field.std())


def valley(at: Floats) -> Floats:
    """Give how far to the east the valley's middle lies in a row, as parts of the scene."""
    return 0.5 + 0.17 * np.sin(2.3 * np.pi * at + 0.4) + 0.06 * np.sin(6 * np.pi * at)


def lines(
    draw: list[ImageDraw.ImageDraw], side: int
) -> list[tuple[list[tuple[float, float]], float]]:
    """Draw the roads.

    Args:
        draw: Of the layer of roads.
        side: Of the fine drawing.

    Returns:
        The course of each, and how wide it is, fine pixels.
    """
    at = np.linspace(-0.02, 1.02, 160)
    main = [(float(x) * side, float(y) * side) for x, y in zip(valley(at) + 0.02, at, strict=True)]
    found = [(main, 2.2 * FINER)]
    for start, dx, dy in ((0.22, -0.36, 0.10), (0.44, 0.42, -0.16), (0.66, -0.30, -0.07),
                          (0.80, 0.30, 0.12)):  # fmt: skip
        x, y = float(valley(np.array(start))) + 0.02, start
        bend = [(x + dx * t, y + dy * t + 0.03 * np.sin(4 * t)) for t in np.linspace(0, 1, 40)]
        found.append(([(a * side, b * side) for a, b in bend], 1.3 * FINER))
    for course, width in found:
        for one in draw:
            one.line(course, fill=255, width=round(width), joint="curve")
    return found


def parcels(side: int, generator: np.random.Generator) -> tuple[npt.NDArray[np.int64], Floats]:
    """Divide the ground into parcels, long ones in rows.

    Args:
        side: Of the fine drawing.
        generator: Where chance comes from.

    Returns:
        ``(side, side)`` number of each parcel, and how near its edge is, fine pixels.
    """
    rows, columns = np.indices((side, side)).astype(np.float64)
    turn = np.deg2rad(24)
    along = columns * np.cos(turn) + rows * np.sin(turn) + 12 * smooth(side, 240, generator)
    across = rows * np.cos(turn) - columns * np.sin(turn) + 12 * smooth(side, 240, generator)
    long, short = 15.0 * FINER, 6.0 * FINER
    strip = np.floor(across / short)
    along = along + long * ((strip * 0.618) % 1)
    piece = np.floor(along / long)
    edge = np.minimum((across % short), (along % long))
    number = (strip * 7919 + piece * 104_729).astype(np.int64)
    return number, edge


def houses(
    draw: ImageDraw.ImageDraw,
    colours: ImageDraw.ImageDraw,
    roads: list[tuple[list[tuple[float, float]], float]],
    generator: np.random.Generator,
) -> None:
    """Draw houses along the roads, in villages.

    Args:
        draw: Of the layer of houses.
        colours: Of their roofs.
        roads: As ``lines`` gives them.
        generator: Where chance comes from.
    """
    roofs = [(236, 232, 226), (196, 92, 74), (88, 120, 190), (172, 170, 168), (250, 250, 248)]
    villages = [(0, 0.24, 70), (0, 0.62, 110), (1, 0.7, 36), (2, 0.55, 44), (4, 0.5, 40)]
    for road, part, count in villages:
        course = roads[road][0]
        x, y = course[int(part * (len(course) - 1))]
        for dx, dy in generator.normal(0, 13 * FINER, (count, 2)):
            wide, high = generator.uniform(0.8, 2.6, 2) * FINER
            box = (x + dx, y + dy, x + dx + wide, y + dy + high)
            draw.rectangle(box, fill=255)
            colours.rectangle(box, fill=roofs[int(generator.integers(len(roofs)))])


def brought(fine: Floats) -> Floats:
    """Bring a fine drawing to pixels: ``(..., side)`` to means of ``FINER`` by ``FINER``."""
    shape = (SIDE, FINER, SIDE, FINER, *fine.shape[2:])
    return np.asarray(fine.reshape(shape).mean(axis=(1, 3)))


def draw_scene(seed: int = SEED) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Draw the scene and what stands where.

    Args:
        seed: Of chance.

    Returns:
        ``(3, SIDE, SIDE)`` red, green, blue, and the ``(SIDE, SIDE)`` values of the classes.
    """
    generator = np.random.default_rng(seed)
    fine = SIDE * FINER
    layers = {name: Image.new("L", (fine, fine)) for name in ("roads", "houses", "water")}
    roof = Image.new("RGB", (fine, fine))
    drawn = {name: ImageDraw.Draw(layer) for name, layer in layers.items()}
    roads = lines([drawn["roads"]], fine)
    houses(drawn["houses"], ImageDraw.Draw(roof), roads, generator)
    drawn["water"].polygon(
        [(fine * x, fine * y) for x, y in ((0.80, 0.20), (0.86, 0.17), (0.90, 0.22), (0.95, 0.23),
                                           (0.91, 0.27), (0.87, 0.33), (0.83, 0.29))], fill=255)  # fmt: skip
    rows, columns = (np.indices((fine, fine)) + 0.5) / fine
    away = np.abs(columns - valley(rows)) + 0.035 * smooth(fine, 130, generator)
    field, forest = away < 0.11, away > 0.17
    field |= (smooth(fine, 300, generator) > 1.15) & ~forest
    number, edge = parcels(fine, generator)
    # Each parcel has its crop, from bare to deep green.
    crop = np.random.default_rng(np.abs(number.min()) + seed).uniform(0, 1, 4096)[number % 4096]
    green = np.stack([64 + 60 * crop**2, 118 + 55 * crop, 92 + 34 * crop], -1)
    green[edge < FINER] *= 0.72
    hills = smooth(fine, 120, generator)
    shade = 1 + 3 * np.clip(np.roll(hills, 6, 1) - hills, -0.25, 0.25)
    leaves = smooth(fine, 9, generator)
    wood = np.stack([24 + 6 * leaves, 28 + 6 * leaves, 17 + 4 * leaves], -1) * shade[..., None]
    open_ground = smooth(fine, 30, generator)
    colour = np.stack([92 + 22 * open_ground, 104 + 18 * open_ground, 84 + 20 * open_ground], -1)
    colour[field], colour[forest] = green[field], wood[forest]
    on = {name: np.asarray(layer) > 127 for name, layer in layers.items()}
    colour[on["water"]] = (62, 24, 16)
    colour[on["roads"]] = (176, 178, 172)
    colour[on["houses"]] = np.asarray(roof, np.float64)[on["houses"]]
    picture = brought(colour) + generator.normal(0, 3, (SIDE, SIDE, 3))
    kinds = {FOREST: forest, FIELD: field, ROAD: on["roads"], BUILDING: on["houses"]}
    share = {kind: brought(there.astype(np.float64)) for kind, there in kinds.items()}
    mask = np.full((SIDE, SIDE), BACKGROUND, np.uint8)
    for kind, least in ((FOREST, 0.5), (FIELD, 0.5), (ROAD, 0.45), (BUILDING, 0.4)):
        mask[share[kind] >= least] = kind
    mask[brought(on["water"].astype(np.float64)) >= 0.5] = BACKGROUND
    return np.moveaxis(picture.round().clip(0, 255).astype(np.uint8), -1, 0), mask


def main(folder: Path) -> None:
    """Write the scene as a GeoTIFF, and what stands where as another."""
    picture, mask = draw_scene()
    grid = {"driver": "GTiff", "width": SIDE, "height": SIDE, "crs": CRS, "compress": "deflate",
            "transform": Affine(METRES, 0, WEST, 0, -METRES, NORTH), "dtype": "uint8"}  # fmt: skip
    with rasterio.open(folder / "invented-valley.tif", "w", count=3, photometric="RGB", predictor=2,
                       **grid) as file:  # fmt: skip
        file.write(picture)
        file.update_tags(TIFFTAG_IMAGEDESCRIPTION=ABOUT)
    with rasterio.open(folder / "invented-valley-mask.tif", "w", count=1, **grid) as file:
        file.write(mask, 1)
        file.update_tags(TIFFTAG_IMAGEDESCRIPTION=ABOUT)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
