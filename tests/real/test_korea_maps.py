"""The tiles of Korea become maps by the bundled configuration, a few steps long."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.warp import transform_bounds

ROOT = Path(__file__).parents[2].parent / "shared" / "data"
ROOT = Path(os.environ.get("CSP_SHARED_DATA", ROOT)) / "korea_landcover"
CONFIG = Path(__file__).parents[2] / "configs" / "dense" / "korea.yaml"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not ROOT.is_dir(),
        reason="needs the real data: put it beside the project as ../shared/data, or name its"
        " folder in CSP_SHARED_DATA",
    ),
]
# Four blocks of labels and no other crops: a step or two, of a network that is half as wide.
QUICK = (
    *("data.labels=4", "data.unlabelled=false", "training.epochs=1", "pretrain.training.epochs=1"),
    *("training.device=cpu", "model.image.width=8", "model.image.backbone.width=8"),
)


def ok(result):
    code, out, err = result
    assert code == 0, err
    return out


def test_train_evaluate_and_segment(csp, tmp_path):
    run, tile = tmp_path / "korea", min((ROOT / "images").glob("*.tif"))
    ok(csp("train", CONFIG, f"data.root={ROOT}", *QUICK, "--run-dir", run))
    report = json.loads(ok(csp("evaluate", run, "tiles", "--root", ROOT, "--json")))
    names = [one["name"] for one in report["splits"]["test"]["classes"]]
    assert names == ["background", "building", "field", "forest", "road"]
    out, areas, polygons = (tmp_path / name for name in ("out.tif", "areas.csv", "out.gpkg"))
    ok(csp("segment", run, tile, out, "--areas", areas, "--polygons", polygons))
    with rasterio.open(out) as file, rasterio.open(tile) as source:
        values = file.read(1)
        same = ("crs", "transform", "shape")
        assert [getattr(file, one) for one in same] == [getattr(source, one) for one in same]
        edges = transform_bounds(file.crs, "EPSG:4326", *file.bounds)
    assert set(np.unique(values)) <= {10, 30, 50, 70, 100, 255}
    with areas.open(newline="") as stream:
        rows = {int(row["number"]): float(row["share"]) for row in csv.DictReader(stream)}
    known = values[values != 255]
    assert rows == {number: (known == number).mean() for number in (100, 10, 50, 70, 30)}
    frame = geopandas.read_file(polygons)
    assert frame.total_bounds == pytest.approx(edges, abs=1e-4)
