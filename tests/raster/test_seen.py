"""A scene that a model has looked at as a whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import torch

from csp_core import load_model
from csp_core.data.pictures.ground import Ground
from csp_core.data.pictures.scene import HeldScene, open_scene
from csp_core.errors import BadRecordError, ConfigError
from csp_core.inference.segment import segment
from csp_core.raster.scenes import (
    PROBABILITIES,
    SeenScene,
    check_takes,
    learn,
    legend_of,
    see,
    unlike,
    write_seen,
)
from tests.pixel_model import CLASSES, MASK, VALLEY, save_pixel_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pixel_model(tmp_path_factory.mktemp("seen"))


@pytest.fixture(scope="module")
def scene() -> HeldScene:
    with open_scene(VALLEY) as opened:
        return opened.hold(10**6)


@pytest.fixture(scope="module")
def seen(folder: Path, scene: HeldScene) -> SeenScene:
    model = load_model(folder)
    return see(model, scene, Ground.of(scene.facts), legend_of(folder, model.classes))


def part(scene: HeldScene, values: Any = None, **facts: Any) -> HeldScene:
    values = scene.values[:, :64, :64].copy() if values is None else values
    facts = {"height": 64, "width": 64, "bands": len(values)} | facts
    return HeldScene(replace(scene.facts, **facts), values, np.ones((64, 64), bool))


def test_it_says_what_segment_says(folder: Path, scene: HeldScene, seen: SeenScene) -> None:
    model = load_model(folder)
    found = segment(model, torch.from_numpy(scene.values))
    assert torch.equal(seen.found.classes.long(), found.classes)
    assert torch.allclose(seen.found.probs.float(), found.probs, atol=1e-3)
    with open_scene(MASK) as mask:
        values = mask.hold(10**6).values[0]
    names = model.classes.names
    truth = np.select(
        [values == value for value in CLASSES], [names.index(n) for n in CLASSES.values()]
    )
    # It has learned from this very scene, so this says that classes stand where they belong.
    assert (seen.found.classes.numpy() == truth).mean() > 0.85
    ranked = seen.at(100, 200)
    assert ranked[0][0] == int(found.classes[100, 200])
    assert sum(share for _, share in ranked) == pytest.approx(1, abs=0.005)
    areas = seen.report.areas
    assert sum(area.counted for area in areas) == pytest.approx(352 * 352 * 100.06, rel=1e-4)


def test_what_is_alike_lies_apart_and_is_of_one_kind(folder: Path, scene: HeldScene) -> None:
    learned = learn(load_model(folder), scene)
    assert learned.cell == 2 and learned.colours.shape == (3, 176, 176)
    places = [(one.row, one.column) for one in learned.like(20, 20)]
    assert len(places) == 6
    for i, one in enumerate(places):
        for other in [(20, 20), *places[:i]]:
            assert max(abs(a - b) for a, b in zip(one, other, strict=True)) >= 14
    with open_scene(MASK) as mask:
        values = mask.hold(10**6).values[0]
    assert values[20, 20] == 70 and [int(values[one]) for one in places].count(70) >= 5


def test_the_last_cell_of_an_odd_scene_is_within_it(folder: Path, scene: HeldScene) -> None:
    values, valid = scene.values[:, :257, :300].copy(), scene.valid[:257, :300]
    odd = HeldScene(replace(scene.facts, height=257, width=300), values, valid)
    learned = learn(load_model(folder), odd)
    assert all(one.row < 257 and one.column < 300 for one in learned.like(256, 299, count=60))


def test_pixels_without_data_have_no_answer(folder: Path, scene: HeldScene) -> None:
    model, valid = load_model(folder), np.ones((64, 64), bool)
    valid[:16] = False
    holed = replace(part(scene), valid=valid)
    found = see(model, holed, None, legend_of(folder, model.classes))
    assert found.at(3, 3) == [] and found.at(40, 3) and found.report.no_data == 0.25
    assert not found.report.placed and sum(a.counted for a in found.report.areas) == 48 * 64
    assert learn(model, holed).like(3, 3) == ()


def test_files_agree_with_each_other(seen: SeenScene, scene: HeldScene, tmp_path: Path) -> None:
    ground, coloured = Ground.of(scene.facts), seen.coloured(("#010203",) * 5)
    beside = tmp_path / "map.tif"
    for name in ("map.tif", f"map{PROBABILITIES}", "map.gpkg", "map.geojson", "map.csv"):
        write_seen(coloured, ground, tmp_path / name)
    with rasterio.open(beside) as file:
        classes = file.read(1)
        assert file.bounds == rasterio.open(VALLEY).bounds and file.colormap(1)[0][:3] == (1, 2, 3)
    with rasterio.open(tmp_path / f"map{PROBABILITIES}") as file:
        assert np.abs(file.read() / 200 - seen.found.probs.float().numpy()).max() < 0.004
    counts = [area.pixels for area in seen.report.areas]
    assert np.bincount(classes.ravel(), minlength=5).tolist() == counts
    for name in ("map.gpkg", "map.geojson"):
        frame = geopandas.read_file(tmp_path / name)
        sums = frame.groupby("class").area_m2.sum()
        for area in seen.report.areas:
            if area.pixels:
                assert sums[area.name] == pytest.approx(area.counted, rel=1e-3)
    with pytest.raises(ConfigError, match="has another ending than"):
        write_seen(seen, ground, tmp_path / "map.jpg")


def test_scenes_that_a_model_is_not_for(folder: Path, scene: HeldScene) -> None:
    model, ground = load_model(folder), Ground.of(scene.facts)
    assert unlike(model, scene, ground, 10.0) == () == unlike(model, scene, None, None)
    (said,) = unlike(model, scene, ground, 0.5)
    assert "10 m wide on the ground" in said and "are 0.5 m" in said
    with pytest.raises(BadRecordError, match="has 2 bands, and model 'valley' takes 3"):
        check_takes(model, part(scene, scene.values[:2, :64, :64].copy()))
    with pytest.raises(BadRecordError, match="has one band"):
        see(model, part(scene, scene.values[:1, :64, :64].copy()), None,
            legend_of(folder, model.classes))  # fmt: skip
