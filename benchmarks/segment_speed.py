"""How fast scenes are mapped, in what memory, and whether the cost grows as the pixels do."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from rasterio import Affine
from rasterio.windows import Window
from report import arguments, markdown, write_report

from csp_core import load_model
from csp_core.files import read_json, write_json
from csp_core.image import make_image_encoder
from csp_core.model import DualEncoder, Heads
from csp_core.raster.scenes import Wanted, draw_maps, make_legend
from csp_core.store import save_model

CLASSES = ("background", "building", "field", "forest", "road")
TILE, TILES = 512, 12
# The sides of scenes: ten times the pixels from the first to the third, and the aim's.
SIDES, QUICK = (1000, 1778, 3162, 10_000), (256, 448, 800)
AIM_TILES, AIM_MB = 60, 1500
ROWS = 512


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", help="a model of three bands; an untrained U-Net if left out")
    parser.add_argument("--cells", type=Path, help="folder of what is measured already")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)


def make_model(folder: Path) -> Path:
    """Store a U-Net of the usual size, whose speed does not depend on what it has learned."""
    torch.manual_seed(0)
    encoder = make_image_encoder("unet", dim=16, bands=3)
    heads = Heads(image=None, classifiers=(), pixels=True)
    model = DualEncoder(encoder, None, dim=16, classes=CLASSES, heads=heads, name="unet")
    return save_model(model.eval(), folder / "model")


def write_scene(path: Path, side: int, seed: int = 0) -> None:
    """Write an invented scene of patches of colour under noise, some rows at a time."""
    draws = np.random.default_rng(seed)
    colours = draws.integers(30, 220, (8, 3))
    with rasterio.open(
        path, "w", driver="GTiff", count=3, height=side, width=side, dtype="uint8",
        crs="EPSG:32652", transform=Affine(10, 0, 340_000, 0, -10, 3_830_000), tiled=True,
        blockxsize=256, blockysize=256, compress="DEFLATE", zlevel=1, interleave="pixel",
    ) as file:  # fmt: skip
        for top in range(0, side, ROWS):
            high = min(ROWS, side - top)
            coarse = draws.integers(0, 8, (-(-high // 32), -(-side // 32)))
            patches = coarse.repeat(32, 0).repeat(32, 1)[:high, :side]
            noise = draws.integers(-20, 20, (1, high, side))
            values = (colours[patches].transpose(2, 0, 1) + noise).astype(np.uint8)
            file.write(values, window=Window(0, top, side, high))


def peak_mb() -> float:
    """Give the most memory that this process has held, megabytes.

    It is no less than what its parent held when it began, so it may be told too high.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def measure(model: Path, source: Path, threads: int) -> dict[str, float]:
    """Map a scene, or a folder of them, and say what it took; in a process of its own."""
    torch.set_num_threads(threads)
    loaded = load_model(model)
    scenes = sorted(source.iterdir()) if source.is_dir() else [source]
    with tempfile.TemporaryDirectory() as folder:
        wanted = Wanted(Path(folder) / "maps", areas=Path(folder) / "areas.csv")
        wall, cpu = time.perf_counter(), time.process_time()
        report = draw_maps(loaded, scenes, wanted, make_legend(loaded.classes))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    pixels = sum(area.pixels for one in report.maps for area in one.areas)
    return {"pixels": pixels, "seconds": wall, "cpu_seconds": cpu, "peak_mb": peak_mb()}


def cell(name: str, side: int, options: argparse.Namespace, model: Path) -> dict[str, float]:
    """Measure one case, unless that was done before."""
    kept = None if options.cells is None else options.cells / f"{name}.json"
    if kept is not None and kept.is_file():
        return dict(read_json(kept))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "scene.tif"
        if name == "tiles":
            source = Path(folder) / "tiles"
            source.mkdir()
            for number in range(2 if options.quick else TILES):
                write_scene(source / f"{number}.tif", side, number)
        else:
            write_scene(source, side)
        command = [sys.executable, __file__, "--threads", str(options.threads)]
        command += ["--child", str(model), str(source)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    if kept is not None:
        write_json(kept, found)
    return found


def row(name: str, found: dict[str, Any]) -> list[str]:
    """Write the numbers of one case."""
    mega = found["pixels"] / 1e6
    tiles = found["pixels"] / TILE**2
    return [
        name,
        f"{mega:,.2f}",
        f"{found['seconds']:,.1f}",
        f"{found['cpu_seconds']:,.1f}",
        f"{found['cpu_seconds'] / mega:.2f}",
        f"{60 * tiles / found['seconds']:,.0f}",
        f"{60 * tiles / found['cpu_seconds']:,.0f}",
        f"{found['peak_mb']:,.0f}",
    ]


def main() -> None:
    options = arguments(__doc__ or "", add_options)
    if options.child:
        print(json.dumps(measure(*map(Path, options.child), options.threads)))
        return
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(options.model) if options.model else make_model(Path(folder))
        weights = sum(part.numel() for part in load_model(model).parameters())
        cases = {"tiles": TILE // 2 if options.quick else TILE}
        cases |= {str(side): side for side in (QUICK if options.quick else SIDES)}
        found = {name: cell(name, side, options, model) for name, side in cases.items()}
    head = (
        *("scene", "million pixels", "seconds", "processor seconds", "of these a million pixels"),
        *(f"tiles of {TILE}² a minute", "of one processor's", "peak MB"),
    )
    rows = [
        row(f"tiles of {side}²" if name == "tiles" else f"{side:,} × {side:,}", found[name])
        for name, side in cases.items()
    ]
    largest = found[str(max(side for name, side in cases.items() if name != "tiles"))]
    body = (
        f"A U-Net of {weights:,} weights maps invented scenes of three bands by windows of 512"
        f" pixels that share 64: GeoTIFF in, GeoTIFF with overviews and CSV out, {options.threads}"
        f" thread(s).\n\n{markdown(head, rows)}\n\nAims: {AIM_TILES} tiles a minute, a scene of 10,000"
        f" × 10,000 in at most {AIM_MB:,} MB, processor seconds a million pixels alike. The largest"
        f" scene here took {largest['peak_mb']:,.0f} MB, Python and its libraries counted. Seconds"
        " depend on what else the machine does; processor seconds less so."
    )
    write_report("segment_speed", "Maps of scenes: speed and memory", body,
                 {"weights": weights, "cells": found}, options)  # fmt: skip


if __name__ == "__main__":
    main()
