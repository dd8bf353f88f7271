"""The stack of rasters as a map of four classes, in its own grid.

    python benchmarks/series_map.py [--out docs/benchmarks] [--map runs/benchmarks/sinop.tif]

Labelled series of the block of 1° that the stack lies in are not learned from, so the labelled
points in the stack are a test.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import real_series
import torch
from real_series import CHANCE, CLASSES, CONTRAST, FOREST, raw
from report import arguments, markdown, write_report
from series_data import POINTS, STACK, WHOLE, load_real, read_all, register
from series_runs import train
from sklearn.ensemble import RandomForestClassifier
from stssl_common import ROOT

from csp_core.data.sets.series import load_series
from csp_core.image import to_unit

BLOCK = (-56, -12)
COLOURS = {"Cerrado": (214, 182, 86), "Forest": (31, 102, 53), "Pasture": (160, 200, 110),
           "Soy_Corn": (200, 84, 60)}  # fmt: skip
NO_DATA = 255
CHUNK = 4096
LOADED: dict[str, Any] = {"test_fraction": 0.0, "without_block": list(BLOCK)}


def model_of(row: str, quick: bool) -> Any:
    """Train a classifier of series on all that lies outside the stack's block."""
    steps = 4 if quick else real_series.SIZES["steps"]
    data = {"seed": 0, **LOADED}
    number = len(load_real(root=real_series.here("root"), **data))
    training = {"epochs": max(1, round(steps * 64 / number)), "batch_size": 64,
                "learning_rate": real_series.SIZES["learning_rate"]}  # fmt: skip
    start = str(real_series.pretrained(row, 0, quick, **LOADED)) if row != CHANCE else None
    objective = {"name": "image_softmax", "sides": ["image"]}
    tree = real_series.tree_of(objective, data, training, start=start)
    with tempfile.TemporaryDirectory(prefix="series-") as folder:
        return train(tree, Path(folder) / "run")


def shares(row: str, image: torch.Tensor, days: torch.Tensor, quick: bool) -> np.ndarray:
    """Give the probabilities of the classes for each pixel, ``(N, K)``."""
    if row == FOREST:
        learned = load_real(root=real_series.here("root"), seed=0, **LOADED)
        trees = RandomForestClassifier(real_series.SIZES["trees"], random_state=0)
        seen = learned.__getitems__(range(len(learned)))
        trees.fit(raw(seen["image"]), learned.label.numpy())
        return np.asarray(trees.predict_proba(raw(image)))
    model = model_of(row, quick)
    parts = zip(image.split(CHUNK), days.split(CHUNK), strict=True)
    found = [model.image_prior(some, days=dates) for some, dates in parts]
    return torch.cat(found).numpy()


def write_map(path: Path, source: Path, cells: np.ndarray, said: np.ndarray, names: Any) -> None:
    """Write classes as a GeoTIFF in the grid of a raster, and look that it lies there."""
    with rasterio.open(source) as file:
        crs, transform, size = file.crs, file.transform, (file.height, file.width)
    classes = np.full(size, NO_DATA, dtype=np.uint8)
    classes[cells[:, 0], cells[:, 1]] = said
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": NO_DATA,
            "compress": "deflate"}  # fmt: skip
    with rasterio.open(
        path, "w", height=size[0], width=size[1], crs=crs, transform=transform, **kind
    ) as file:
        file.write(classes, 1)
        file.write_colormap(1, {at: COLOURS[name] for at, name in enumerate(names)})
        file.update_tags(**{f"class_{at}": name for at, name in enumerate(names)})
    with rasterio.open(path) as file:
        if file.crs != crs or file.transform != transform or (file.read(1) != classes).any():
            raise SystemExit(f"{path} is not in the grid of {source}.")


def main() -> None:
    """Train, draw the map, and measure it at the labelled points."""
    options = arguments(__doc__.splitlines()[0], extend)
    for name in ("root", "cells"):
        os.environ[f"SERIES_{name.upper()}"] = str(getattr(options, name).resolve())
    torch.set_num_threads(1)
    register()
    stack = load_series("all", root=options.root / STACK, points=options.root / POINTS, **WHOLE)
    names = read_all(Path(real_series.here("root")), True)[4]
    image, known = to_unit(stack.store.array), stack.label >= 0
    truth = np.array([names.index(stack.classes.names[at]) for at in stack.label[known]])
    table, drawn = [], {}
    for row in (CHANCE, CONTRAST, FOREST):
        share = shares(row, image, stack.days, options.quick)
        said = share.argmax(axis=1)
        drawn[row] = said
        right = int((said[known.numpy()] == truth).sum())
        parts = np.bincount(said, minlength=CLASSES) / len(said)
        told = [f"{right} of {len(truth)}", *(f"{100 * part:.1f}" for part in parts)]
        table.append([row, *told])
    first = sorted((options.root / STACK).glob("*.jp2"))[0]
    write_map(options.map, first, stack.store.cells.numpy(), drawn[CONTRAST], names)
    alike = float((drawn[CONTRAST] == drawn[FOREST]).mean())
    head = ["classifier", "points right", *(f"{name}, %" for name in names)]
    text = PAGE.format(table=markdown(head, table), alike=f"{100 * alike:.0f}", pixels=len(image))
    data = {"rows": [dict(zip(head, line, strict=True)) for line in table], "alike": alike}
    write_report("series_map", "A stack of rasters as a map of four classes", text, data, options)


def extend(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    home = ROOT / "runs" / "benchmarks"
    parser.add_argument("--root", type=Path, default=ROOT / "../shared/data/series")
    parser.add_argument("--cells", type=Path, default=home / "real_series",
                        help="folder of the pre-training")  # fmt: skip
    parser.add_argument("--map", type=Path, default=home / "sinop.tif", help="the map to write")


PAGE = """\
All {pixels:,} pixels of 12 MODIS NDVI rasters (Sinop, Brazil, September 2013 to August 2014) by
classifiers of series that learned from labelled series elsewhere: none of the 1° block that the
stack lies in. The 18 labelled points of the stack so are a test, a small one. The pre-training has
seen every fourth row and column of the stack's pixels, without labels. It made no difference that
18 points could tell. The map (of the pre-trained
encoder) is written in the stack's own sinusoidal grid, and opened anew: reference system, grid and
pixels are those that were written. Columns of classes are parts of the map.

{table}

The pre-trained encoder and the forest say the same of {alike} % of the pixels.
"""


if __name__ == "__main__":
    main()
