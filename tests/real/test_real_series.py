"""Real series: tables of MODIS and a stack of rasters in a sinusoidal grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from csp_core.data import load_dataset

ROOT = Path(__file__).parents[3] / "shared" / "data" / "series"
pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason="needs ../shared/data/series")
NAMES = ("Cerrado", "Forest", "Pasture", "Soy_Corn")
WHOLE = {"split_method": "random", "val_fraction": 0.0, "test_fraction": 0.0}


def test_the_labelled_table_is_read_whole_and_dealt_by_blocks():
    root = ROOT / "modis_ndvi_mato_grosso.parquet"
    parts = [load_dataset("series", part, root=root) for part in ("train", "val", "test")]
    assert sum(map(len, parts)) == 962 and parts[0].classes.names == NAMES
    blocks = [{tuple(block) for block in part.lonlat.floor().tolist()} for part in parts]
    assert not blocks[0] & blocks[2] and not blocks[0] & blocks[1] and not blocks[1] & blocks[2]
    sample = parts[0][0]
    assert sample["image"].shape == (12, 1, 1, 1) and sample["days"].shape == (12,)
    assert 0 < float(sample["image"].min()) and float(sample["image"].max()) < 1


def test_two_bands_of_23_dates():
    data = load_dataset("series", "all", root=ROOT / "modis_cerrado_2classes.parquet", **WHOLE)
    assert len(data) == 746 and data[0]["image"].shape == (23, 2, 1, 1)
    assert data.info["bands"] == ["ndvi", "evi"] and not data.days.isnan().any()


def test_the_stack_lies_where_its_points_say():
    pytest.importorskip("rasterio")
    data = load_dataset(
        "series", "all", root=ROOT / "sinop_ndvi", points=ROOT / "sinop_points.csv", **WHOLE
    )
    assert len(data) == 147 * 255 and data[0]["image"].shape == (12, 1, 1, 1)
    assert data[0]["image"].dtype == torch.int16
    known = data.label >= 0
    assert int(known.sum()) == 18 and data.info["points_outside"] == 0
    lines = (ROOT / "sinop_points.csv").read_text().splitlines()[1:]
    points = {tuple(float(cell) for cell in line.split(",")[1:3]): line.split(",")[5].strip('"')
              for line in lines}  # fmt: skip
    for place, label in zip(data.lonlat[known].tolist(), data.label[known].tolist(), strict=True):
        near = min(points, key=lambda point: np.hypot(point[0] - place[0], point[1] - place[1]))
        # A pixel is 232 m, so its middle is at most 164 m from a point in it.
        assert np.hypot(near[0] - place[0], near[1] - place[1]) * 111 < 0.17
        assert points[near] == data.classes.names[label]
    # Clouds aside, forest is green throughout the year, and fields are not.
    green = data.__getitems__(known.nonzero().flatten().tolist())["image"].flatten(1)
    usual = green.float().median(dim=1).values
    forest = torch.tensor([data.classes.names[k] == "Forest" for k in data.label[known]])
    assert usual[forest].mean() > 1.2 * usual[~forest].mean()
