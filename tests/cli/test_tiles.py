"""Maps from a folder of tiles of one's own: trained, measured, drawn and opened, by commands alone.

The folder is as the README describes it, and nothing but the number of epochs is shortened.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.warp import transform_bounds

from tests import scenes
from tests.workers import once

CONFIG = Path(__file__).parents[2] / "configs" / "dense" / "tiles.yaml"
SIDE, PIXEL, LEFT, TOP = 160, 10.0, 340_000.0, 3_840_000.0
QUICK = ("training.epochs=15", "pretrain.training.epochs=1", "training.device=cpu")
# Values in the masks: in another order than the names of the classes.
VALUES = (50, 30, 70)
TABLE = """value,name,colour,ignored
50,field,#e6c229,false
30,road,#4d4d4d,false
70,wood,#1b7837,false
0,outside,,true
"""


def make_folder(folder: Path) -> None:
    """Write eight tiles a way apart, six of them with masks, part of which is ignored."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    (folder / "classes.csv").write_text(TABLE)
    for at in range(8):
        grid = (PIXEL, 0.0, LEFT + 6_000.0 * (at % 4), 0.0, -PIXEL, TOP - 6_000.0 * (at // 4))
        classes = scenes.blocks(SIDE, SIDE, seed=at)
        name = f"202406_{at}.tif"
        scenes.write(folder / "images" / name, scenes.colours(classes, seed=at), grid=grid)
        if at < 6:
            mask = np.array(VALUES, dtype=np.uint8)[classes]
            mask[:4] = 0
            scenes.write(folder / "masks" / name, mask[None], grid=grid)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return once(tmp_path_factory, "land", make_folder)


def ok(result):
    code, out, err = result
    assert code == 0, err
    return out


def test_a_folder_of_tiles_becomes_maps(csp, folder, tmp_path):
    run, name = tmp_path / "mine", "202406_7.tif"
    ok(csp("train", CONFIG, f"data.root={folder}", *QUICK, "--run-dir", run))
    report = json.loads(ok(csp("evaluate", run, "tiles", "--root", folder, "--json")))
    test = report["splits"]["test"]
    assert [one["name"] for one in test["classes"]] == ["field", "road", "wood"]
    assert test["n"] == sum(map(sum, test["confusion"])) and 0 <= test["miou"] <= 1
    tile = folder / "images" / name
    out, areas, polygons = (tmp_path / name for name in ("out.tif", "areas.csv", "out.gpkg"))
    ok(csp("segment", run, tile, out, "--areas", areas, "--polygons", polygons))
    with rasterio.open(out) as file, rasterio.open(tile) as source:
        values, colours = file.read(1), file.colormap(1)
        assert (file.crs, file.transform, file.shape) == (
            source.crs, source.transform, source.shape,
        )  # fmt: skip
        edges = transform_bounds(file.crs, "EPSG:4326", *file.bounds)
    assert set(np.unique(values)) <= set(VALUES) and colours[70][:3] == (0x1B, 0x78, 0x37)
    with areas.open(newline="") as stream:
        rows = {int(row["number"]): float(row["share"]) for row in csv.DictReader(stream)}
    assert rows == {number: (values == number).mean() for number in rows} and len(rows) == 3
    frame = geopandas.read_file(polygons)
    assert frame.total_bounds == pytest.approx(edges, abs=2e-5)
    assert frame["area_m2"].sum() == pytest.approx((SIDE * PIXEL) ** 2, rel=2e-3)
    # The tile has no mask, but we know what it shows.
    truth = np.array(VALUES)[scenes.blocks(SIDE, SIDE, seed=7)]
    assert (truth == values).mean() > 0.7
