"""Real scenes: a tile of Sentinel-2 in UTM, and a raster of MODIS in its sinusoidal grid."""

from __future__ import annotations

import os
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio

from csp_core.data.pictures.ground import Ground
from csp_core.data.pictures.scene import open_scene
from csp_core.raster.scenes import Drawing, Wanted, draw_maps, make_legend
from tests import scenes

DATA = Path(__file__).parents[3] / "shared" / "data"


def folder(*parts):
    path = DATA.joinpath(*parts)
    if not path.is_dir():
        pytest.skip(f"needs {os.path.relpath(path, Path(__file__).parents[2])}")
    return path


def test_a_tile_of_korea_keeps_its_place(tmp_path):
    tile = sorted(folder("korea_landcover", "images").glob("*.tif"))[0]
    model = scenes.ColourModel()
    wanted = Wanted(tmp_path / "m.tif", polygons=tmp_path / "p.gpkg", smallest=20)
    drawing = Drawing(window=256)
    (report,) = draw_maps(model, [tile], wanted, make_legend(model.classes), drawing=drawing).maps
    with rasterio.open(tile) as own, rasterio.open(wanted.output) as drawn:
        assert (
            own.crs == drawn.crs and own.transform == drawn.transform and own.shape == drawn.shape
        )
        bounds, crs = own.bounds, own.crs
    frame = geopandas.read_file(wanted.polygons).to_crs(crs)
    assert np.allclose(frame.total_bounds, bounds, atol=0.01)
    total = sum(area.counted for area in report.areas)
    assert total == pytest.approx(5120**2, rel=2e-3) and total != 5120**2
    assert frame.area_m2.sum() == pytest.approx(total, rel=1e-5)


def test_a_raster_of_modis_is_read_by_windows():
    files = sorted(folder("series", "sinop_ndvi").glob("*.jp2"))
    with open_scene(files[0]) as scene, rasterio.open(files[0]) as own:
        values, valid = scene.read(20, 30, 50, 60)
        assert np.array_equal(values, own.read(window=((20, 70), (30, 90)))) and valid.all()
        ground = Ground.of(scene.facts)
    # The grid is one of a sphere; on the ellipsoid degrees near the equator are a little smaller.
    assert ground.pixel_metres == pytest.approx(231.656, rel=0.003)
    lon, lat = ground.lonlat(0, 0)
    assert -57 < lon < -54 and -13 < lat < -11
