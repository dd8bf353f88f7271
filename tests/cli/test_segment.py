"""`csp segment`: a stored model's maps, what is said of them, one sentence where there is none."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time

import geopandas
import numpy as np
import pytest
import rasterio
import torch

from csp_core import load_model
from csp_core.image import make_image_encoder
from csp_core.inference.segment import segment
from csp_core.model import DualEncoder, Heads
from csp_core.store import save_model
from tests import scenes
from tests.workers import once

PIXELS = Heads(image=None, classifiers=(), pixels=True)
ABOUT = {"class_numbers": {"field": 50, "road": 30, "wood": 70}, "pixel_metres": 10.0}
CARD = """---
title: fields
license: cc-by-4.0
---

# fields

Invented.
"""


def make_model(name, path, bands=3, encoder="unet", **options):
    """Store a small network that has learned nothing."""
    torch.manual_seed(0)
    image = make_image_encoder(encoder, dim=8, bands=bands, **options)
    image.fit_bands(torch.from_numpy(scenes.colours(scenes.blocks(64, 64)))[None, :bands])
    model = DualEncoder(image, None, dim=8, classes=scenes.NAMES, heads=PIXELS, name=name)
    save_model(model.eval(), path / name, provenance={"data": ABOUT}, texts={"README.md": CARD})


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    def make(folder):
        make_model("fields", folder, width=8)

    return once(tmp_path_factory, "pixels", make)


@pytest.fixture
def scene(tmp_path):
    values = scenes.colours(scenes.blocks(90, 120))
    values[:, :, 100:] = 0
    return scenes.write(tmp_path / "a.tif", values, nodata=0)


def fails(result, *says):
    code, _, complaint = result
    assert code == 1 and complaint.startswith("Error: ") and complaint.count("\n") == 1
    for part in says:
        assert part in complaint
    return result


def test_a_stored_model_draws_a_map(csp, models, scene, tmp_path):
    code, said, complaint = csp(
        "segment", models / "fields", scene, tmp_path / "m.tif", "--probabilities", "--polygons",
        tmp_path / "p.gpkg", "--areas", tmp_path / "a.csv", "--window", 64, "--overlap", 32,
        "--smallest", 4, "--json",
    )  # fmt: skip
    assert code == 0, complaint
    told = json.loads(said)
    found = segment(
        load_model(models / "fields"),
        torch.from_numpy(scenes.colours(scenes.blocks(90, 120))),
        valid=torch.arange(120).expand(90, 120) < 100,
        window=64,
        overlap=32,
    )
    with rasterio.open(tmp_path / "m.tif") as file, rasterio.open(scene) as own:
        values, tags = file.read(1), file.tags()
        assert file.transform == own.transform and file.crs == own.crs
    # The scene is dark where it has no data, which windows with data see too.
    inside = (slice(None), slice(0, 40))
    expected = np.array([50, 30, 70])[found.classes.numpy()[inside]]
    assert (values[inside] == expected).mean() > 0.99 and (values[:, 100:] == 255).all()
    assert tags["license"] == "cc-by-4.0" and tags["model"] == "fields"
    (one,) = told["maps"]
    assert one["unit"] == "m²" and one["no_data"] == pytest.approx(1 / 6) and told["failed"] == {}
    with (tmp_path / "a.csv").open(newline="") as stream:
        for row, area in zip(csv.DictReader(stream), one["classes"], strict=True):
            mine = (values == int(row["number"])).sum()
            assert float(row["share"]) == area["share"] == mine / (values != 255).sum()
            assert float(row["area"]) == pytest.approx(area["counted"], abs=1e-5)
    frame = geopandas.read_file(tmp_path / "p.gpkg")
    assert len(frame) == told["polygons"] and frame.crs.to_epsg() == 4326
    assert (tmp_path / "m_probabilities.tif").is_file()


def test_what_is_said(csp, models, scene, tmp_path):
    code, said, complaint = csp("segment", models / "fields", scene, tmp_path / "m.tif",
                                "--areas", tmp_path / "a.csv")  # fmt: skip
    assert code == 0, complaint
    assert f"Wrote {tmp_path / 'm.tif'} by fields." in said and "wood" in said and "ha" in said
    assert "16.7% of the pixels have no data" in said and "is doubtful" in said
    assert (
        "enclose it 9 times in 10" in said and f"Wrote the areas to {tmp_path / 'a.csv'}." in said
    )


def test_one_pixel_has_an_area_and_one_polygon(csp, models, tmp_path):
    scene = scenes.write(tmp_path / "a.tif", scenes.colours(np.zeros((1, 1), dtype=np.int64)))
    code, said, complaint = csp("segment", models / "fields", scene, tmp_path / "m.tif",
                                "--polygons", tmp_path / "p.gpkg")  # fmt: skip
    assert code == 0, complaint
    assert "m²" in said and "100.0" in said and "Wrote 1 polygon to " in said


def test_through_dask(csp, models, scene, tmp_path):
    for name, more in (("a", ()), ("b", ("--dask", "threads"))):
        result = csp("segment", models / "fields", scene, tmp_path / f"out-{name}.tif",
                     "--window", 64, "--overlap", 32, *more)  # fmt: skip
        assert result[0] == 0, result[2]
    maps = []
    for name in ("a", "b"):
        with rasterio.open(tmp_path / f"out-{name}.tif") as file:
            maps.append(file.read(1))
    assert np.array_equal(*maps)


def test_one_damaged_scene_among_several(csp, models, scene, tmp_path):
    (tmp_path / "b.tif").write_text("no picture")
    result = fails(
        csp("segment", models / "fields", scene, tmp_path / "b.tif", tmp_path / "out", "--json"),
        "1 of 2 scenes failed", "b.tif", "no picture that can be read",
    )  # fmt: skip
    told = json.loads(result[1])
    assert len(told["maps"]) == 1 and list(told["failed"]) == [str(tmp_path / "b.tif")]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.tif"]


def test_a_folder(csp, models, scene, tmp_path):
    code, _, complaint = csp("segment", models / "fields", tmp_path, tmp_path / "out")
    assert code == 0, complaint
    assert (tmp_path / "out" / "a.tif").is_file()


def test_what_cannot_be_drawn(csp, models, scene, tmp_path):
    def draw(*words, model=models / "fields"):
        return csp("segment", model, *words)

    out = tmp_path / "m.tif"
    fails(draw(scene, out, model="birds"), "no classifier of pixels", "segmentation")
    fails(draw(scene, out, model="nobody"), "nobody")
    fails(draw(tmp_path / "none.tif", out), "No file", "none.tif")
    (tmp_path / "text.tif").write_text("hello")
    fails(draw(tmp_path / "text.tif", out), "text.tif", "no picture that can be read")
    grey = scenes.write(tmp_path / "grey.png", np.zeros((1, 40, 40), np.uint8), crs=None, grid=None)
    fails(draw(grey, out), "one band", "takes 3 (red, green, blue)")
    fails(draw(scene, scene), "is one of the scenes")
    fails(draw(scene, scene / "m.tif"), "is a file, not a folder")
    fails(draw(scene, out, "--window", "100"), "multiple of 32")
    fails(draw(scene, out, "--doubtful", "2"), "least probability")
    fails(draw(scene, out, "--bits", "4"), "give 8 or 16")
    fails(draw(scene, out, "--polygons", tmp_path / "p.shp"), ".gpkg")
    fails(draw(scene, out, "--areas", tmp_path / "p.json"), "give .csv")
    fails(draw(scene, out, "--dask", "fast"), "no scheduler 'fast'")
    assert not out.exists()


def test_dates_of_a_series(csp, tmp_path):
    make_model("series", tmp_path, encoder="over_dates", backbone={"name": "unet", "width": 8})
    values = scenes.colours(scenes.blocks(40, 40))
    names = [f"S2_2024-{month}-10.tif" for month in ("11", "02", "07")]
    for name in names:
        scenes.write(tmp_path / name, values)
    dates = [tmp_path / name for name in names]
    code, said, complaint = csp(
        "segment", tmp_path / "series", *dates, tmp_path / "m.tif", "--json"
    )
    assert code == 0, complaint
    (one,) = json.loads(said)["maps"]
    assert one["file"] == "S2_2024-02-10.tif"
    with rasterio.open(tmp_path / "m.tif") as file:
        assert file.tags()["source"] == ", ".join(sorted(names))
    bare = scenes.write(tmp_path / "bare.tif", values)
    fails(csp("segment", tmp_path / "series", *dates, bare, tmp_path / "m.tif"),
          "bare.tif names no day")  # fmt: skip


def killed_while_it_writes(arguments, folder):
    """Start the command, and kill it as soon as a part of a map is in its file."""
    command = [sys.executable, "-m", "csp_core", "segment", *arguments]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not any(file.stat().st_size for file in folder.glob(".map.tif.*/raw.tif")):
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == -signal.SIGKILL


def test_killed_in_mid_run_it_leaves_nothing_half_written_and_runs_again(csp, models, tmp_path):
    scene = scenes.write(tmp_path / "a.tif", scenes.colours(scenes.blocks(320, 400)), nodata=0)
    names = ("map.tif", "map_probabilities.tif", "fields.gpkg", "areas.csv")
    out, probabilities, polygons, areas = (tmp_path / "out" / name for name in names)
    out.parent.mkdir()
    areas.write_text("of an earlier run")
    arguments = [models / "fields", scene, out, "--window", "64", "--overlap", "32"]
    arguments += ["--polygons", polygons, "--areas", areas, "--probabilities"]
    killed_while_it_writes(list(map(str, arguments)), out.parent)
    assert not any(file.exists() for file in (out, probabilities, polygons))
    assert areas.read_text() == "of an earlier run"
    code, _, _ = csp("segment", *arguments)
    assert code == 0
    with rasterio.open(out) as file:
        found = file.read(1)
    assert found.shape == (320, 400) and set(np.unique(found)) <= {30, 50, 70}
    with rasterio.open(probabilities) as file:
        assert file.count == 3 and (file.read().sum(axis=0, dtype=int) > 190).all()
    for row in csv.DictReader(areas.read_text().splitlines()):
        assert float(row["share"]) == (found == int(row["number"])).mean()
    assert len(geopandas.read_file(polygons))
