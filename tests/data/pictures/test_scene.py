"""Scenes read by windows, and where on Earth their pixels lie and how large they are there."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp

from csp_core.data.pictures.ground import Ground
from csp_core.data.pictures.scene import open_scene
from csp_core.errors import BadRecordError, DataNotFoundError
from tests import scenes

EARTH = pyproj.Geod(ellps="WGS84")


def facts_of(path):
    with open_scene(path) as scene:
        return scene.facts


def test_a_window_of_a_geotiff(tmp_path):
    values = scenes.colours(scenes.blocks(70, 90))
    path = scenes.write(
        tmp_path / "a.tif", values, nodata=0, tiled=True, blockxsize=16, blockysize=16
    )
    for source in (path, path.read_bytes()):
        with open_scene(source) as scene:
            part, valid = scene.read(10, 20, 30, 40)
            assert np.array_equal(part, values[:, 10:40, 20:60]) and valid.all()
            assert (
                scene.facts.bands == 3 and scene.facts.kind == "uint8" and not scene.facts.unplaced
            )
            held = scene.hold(70 * 90)
            with pytest.raises(BadRecordError, match="up to 6,299 are taken here"):
                scene.hold(6299)
        assert np.array_equal(held.read(10, 20, 30, 40)[0], part)


def test_kinds_of_numbers(tmp_path):
    for kind, taken in (("uint8", "uint8"), ("int16", "int16"), ("uint16", "int32"),
                        ("int32", "int32"), ("uint32", "int32"), ("int8", "int16"),
                        ("float32", "float32"), ("float64", "float32")):  # fmt: skip
        values = np.full((2, 5, 6), 100, dtype=kind)
        if kind == "uint16":
            values[0] = 60_000
        path = scenes.write(tmp_path / f"{kind}.tif", values)
        with open_scene(path) as scene:
            found, _ = scene.read(0, 0, 5, 6)
        assert found.dtype == taken == scene.facts.kind and scene.facts.stored == kind
        assert (found == values).all()


def test_no_data(tmp_path):
    values = np.full((2, 4, 4), 7, dtype=np.float32)
    values[0, 0, 0] = np.nan
    values[:, 1, 1] = -1
    values[0, 2, 2] = -1  # a value like any other in one band of two
    with open_scene(scenes.write(tmp_path / "a.tif", values, nodata=-1)) as scene:
        found, valid = scene.read(0, 0, 4, 4)
    assert (~valid).nonzero()[0].tolist() == [0, 1] and np.isfinite(found).all()
    assert (found[:, ~valid] == 0).all() and found[1, 2, 2] == 7


def test_transparency_is_no_band(tmp_path):
    values = np.full((4, 6, 6), 9, dtype=np.uint8)
    values[3, :, :2] = 0
    path = scenes.write(tmp_path / "a.png", values, crs=None, grid=None)
    with open_scene(path) as scene:
        found, valid = scene.read(1, 1, 3, 3)
    assert found.shape == (3, 3, 3) and valid.tolist() == [[False, True, True]] * 3


def test_indexed_colours_become_colours(tmp_path):
    numbers = np.array([[[0, 1, 2], [2, 1, 0]]], dtype=np.uint8)
    path = scenes.write(tmp_path / "a.tif", numbers)
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {0: (1, 2, 3, 255), 1: (40, 50, 60, 255), 2: (7, 8, 9, 255)})
        assert file.colorinterp == (ColorInterp.palette,)
    with open_scene(path) as scene:
        found, _ = scene.read(0, 0, 2, 3)
    assert scene.facts.bands == 3 and found[:, 0, 1].tolist() == [40, 50, 60]


@pytest.mark.parametrize("content", [b"", b"no picture", b"II*\0 and no more", b"GRIB"])
def test_no_picture(content, tmp_path):
    (tmp_path / "a.tif").write_bytes(content)
    for source in (tmp_path / "a.tif", content):
        with pytest.raises(BadRecordError, match="no picture that can be read"):
            facts_of(source)


def test_formats_that_name_other_files_are_not_read(tmp_path):
    inner = scenes.write(tmp_path / "a.tif", np.zeros((1, 4, 4), np.uint8))
    (tmp_path / "b.tif").write_text(
        f'<VRTDataset rasterXSize="4" rasterYSize="4"><VRTRasterBand dataType="Byte" band="1">'
        f"<SimpleSource><SourceFilename>{inner}</SourceFilename></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(BadRecordError, match="no picture"):
        facts_of(tmp_path / "b.tif")


def test_a_file_that_is_cut_short(tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (3, 400, 400)).astype(np.uint8)
    path = scenes.write(tmp_path / "a.tif", values, compress="deflate")
    path.write_bytes(path.read_bytes()[:200_000])
    with (
        pytest.raises(BadRecordError, match=r"a\.tif: .*(damaged|whole)"),
        open_scene(path) as scene,
    ):
        scene.read(0, 0, 400, 400)
    with pytest.raises(DataNotFoundError, match="No file"):
        facts_of(tmp_path / "none.tif")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("part", [0.3, 0.9])
def test_a_png_that_is_cut_short(dtype, bands, part, tmp_path):
    values = np.random.default_rng(0).integers(1, 255, (bands, 90, 90)).astype(dtype)
    path = scenes.write(tmp_path / "a.png", values, crs=None, grid=None)
    with open_scene(path) as scene:
        assert np.array_equal(scene.read(0, 0, 90, 90)[0], values)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    for source in (path, path.read_bytes()):
        with pytest.raises(BadRecordError, match="cut short or damaged"):
            facts_of(source)


def test_numbers_that_32_bits_cannot_hold_are_no_data(tmp_path):
    values = np.ones((2, 8, 8), np.float64)
    values[0, 2, 3], values[1, 4, 5], values[1, 6, 7] = 1e300, np.nan, -np.inf
    with open_scene(scenes.write(tmp_path / "a.tif", values)) as scene:
        found, valid = scene.read(0, 0, 8, 8)
    assert np.argwhere(~valid).tolist() == [[2, 3], [4, 5], [6, 7]]
    assert found.dtype == np.float32 and np.array_equal(found, np.stack([valid, valid]))


def test_complex_numbers(tmp_path):
    path = scenes.write(tmp_path / "a.tif", np.zeros((1, 4, 4), np.complex64))
    with pytest.raises(BadRecordError, match="complex64 numbers: give real ones"):
        facts_of(path)


def test_scenes_without_a_place(tmp_path):
    values = np.zeros((1, 4, 5), np.uint8)
    grid = (2.0, 0.0, 5.0, 0.0, -2.0, 9.0)
    no_crs = facts_of(scenes.write(tmp_path / "a.tif", values, crs=None, grid=grid))
    assert no_crs.crs is None and "names no coordinate" in no_crs.unplaced
    assert no_crs.transform == grid and Ground.of(no_crs) is None
    nothing = facts_of(scenes.write(tmp_path / "b.png", values, crs=None, grid=None))
    assert nothing.unplaced == "The picture does not say where it lies."
    corners = ((0, 0, 10, 50), (0, 5, 11, 50), (4, 0, 10, 49))
    points = [GroundControlPoint(*corner) for corner in corners]
    path = scenes.write(tmp_path / "c.tif", values, crs="EPSG:4326", grid=None, gcps=points)
    placed = facts_of(path)
    assert "by 3 ground control points" in placed.unplaced and len(placed.points) == 3
    assert placed.points[1] == (0, 5, 11, 50, 0) and "4326" in placed.points_crs


# the ground


def ground(crs, grid, height=60, width=90):
    return Ground(pyproj.CRS.from_user_input(crs).to_wkt(), grid, height, width)


def measured(grid, crs, height, width, pieces=400):
    """Measure the outline of a grid by geodesics between many points along its edges."""
    a, b, c, d, e, f = grid
    side = np.linspace(0, 1, pieces, endpoint=False)
    columns = width * np.concatenate([side, np.ones(pieces), 1 - side, np.zeros(pieces)])
    rows = height * np.concatenate([np.zeros(pieces), side, np.ones(pieces), 1 - side])
    convert = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    lon, lat = convert.transform(a * columns + b * rows + c, d * columns + e * rows + f)
    return abs(EARTH.polygon_area_perimeter(lon, lat)[0])


GRIDS = {
    "UTM": ("EPSG:32652", (10.0, 0, 340_000.0, 0, -10.0, 3_830_000.0)),
    "UTM, turned": ("EPSG:32652", (8.0, 6.0, 340_000.0, 6.0, -8.0, 3_830_000.0)),
    "Mercator": ("EPSG:3857", (10.0, 0, 1_200_000.0, 0, -10.0, 6_000_000.0)),
    "equal areas": ("EPSG:3035", (10.0, 0, 4_321_000.0, 0, -10.0, 3_210_000.0)),
    "kilometres": ("EPSG:3857", (1000.0, 0, 1_200_000.0, 0, -1000.0, 8_000_000.0)),
    "degrees": ("EPSG:4326", (1e-4, 0, 10.0, 0, -1e-4, 46.0)),
    "degrees of another datum": ("EPSG:4258", (1e-4, 0, 10.0, 0, -1e-4, 46.0)),
    "degrees, southwards": ("EPSG:4326", (0.01, 0, 10.0, 0, 0.01, -46.0)),
}


@pytest.mark.parametrize("name", GRIDS)
def test_areas_against_geodesics(name):
    crs, grid = GRIDS[name]
    found = ground(crs, grid, 75, 101).areas(0, 0, 75, 101)
    assert found.shape == (75, 101)
    assert found.sum() == pytest.approx(measured(grid, crs, 75, 101), rel=2e-7)


def test_a_square_in_utm():
    # 1 km by 1 km on the central meridian, where the grid is 0.9996 of the ground.
    square = ground("EPSG:32652", (10.0, 0, 499_500.0, 0, -10.0, 4_000_000.0), 100, 100)
    assert square.areas(0, 0, 100, 100).sum() == pytest.approx(1e6 / 0.9996**2, rel=1e-6)
    assert square.pixel_metres == pytest.approx(10 / 0.9996, rel=1e-6)


@pytest.mark.parametrize("cells", [1, 4, 360])
def test_a_cell_of_one_degree(cells):
    # Snyder's closed form, eq. 3-12, in decimals of its own.
    e2 = 0.006694379990141317
    sine = np.sin(np.radians([45.0, 46.0]))
    e = np.sqrt(e2)
    q = (1 - e2) * (sine / (1 - e2 * sine**2) + np.arctanh(e * sine) / e)
    expected = 6_378_137.0**2 / 2 * (q[1] - q[0]) * np.radians(1)
    step = 1 / cells
    cell = ground("EPSG:4326", (step, 0, 10.0, 0, -step, 46.0), cells, cells)
    assert cell.areas(0, 0, cells, cells).sum() == pytest.approx(expected, rel=1e-9)


def test_areas_of_a_part():
    for crs, grid in GRIDS.values():
        here = ground(crs, grid, 200, 200)
        part = here.areas(64, 32, 50, 60)
        assert np.allclose(part, here.areas(0, 0, 200, 200)[64:114, 32:92], rtol=1e-3)


def test_pixels_beyond_the_earth_have_no_area():
    far = ground("EPSG:3857", (1000.0, 0, 0.0, 0, -1000.0, 2e8), 4, 4)
    assert np.isfinite(far.areas(0, 0, 4, 4)).all()
    globe = "+proj=ortho +lat_0=0 +lon_0=0 +ellps=WGS84"
    seen = ground(globe, (1e5, 0, -8e6, 0, -1e5, 8e6), 160, 160).areas(0, 0, 160, 160)
    assert seen[0, 0] == 0 and seen[80, 80] == pytest.approx(1e10, rel=0.001)


@pytest.mark.parametrize("name", GRIDS)
def test_places_and_pixels(name):
    here = ground(*GRIDS[name])
    lon, lat = here.lonlat([10.5, 0.5], [20.5, 89.5])
    assert here.pixel(lon[0], lat[0]) == (10, 20) and here.pixel(lon[1], lat[1]) == (0, 89)
    assert here.pixel(lon[0] + 20, lat[0]) is None


def test_a_grid_beyond_180_degrees():
    here = ground("EPSG:4326", (0.1, 0, 175.0, 0, -0.1, 0.0), 50, 100)
    assert here.pixel(-179.95, -0.05) == (0, 50) and here.pixel(175.05, -0.05) == (0, 0)


def test_an_unknown_reference_system(tmp_path):
    facts = facts_of(scenes.write(tmp_path / "a.tif", np.zeros((1, 4, 4), np.uint8)))
    local = 'LOCAL_CS["mine",UNIT["metre",1]]'
    with pytest.raises(BadRecordError, match="is unknown"):
        Ground.of(type(facts)(**{**vars(facts), "crs": local}))


def test_a_grid_in_another_system_than_it_names(tmp_path):
    path = scenes.write(tmp_path / "a.tif", np.zeros((1, 4, 4), np.uint8), crs="EPSG:4326")
    with pytest.raises(BadRecordError, match="places that are not on Earth: name the coordinate"):
        Ground.of(facts_of(path))


def test_middles_of_pixels_on_the_poles():
    world = ground("EPSG:4326", (1.0, 0, -180.5, 0, -1.0, 90.5), 181, 360)
    assert world.lonlat([0, 181], [0, 0])[1].tolist() == [90, -90]
    assert world.areas(0, 0, 181, 360).sum() == pytest.approx(510_065_621_724_088, rel=1e-9)


def test_a_pole_in_the_middle():
    around = ground("EPSG:3413", (10_000.0, 0, -500_000.0, 0, -10_000.0, 500_000.0), 100, 100)
    assert around.pixel_metres == pytest.approx(10_300, rel=0.01)


def test_a_palette_of_wide_numbers(tmp_path):
    values = np.full((1, 16, 16), 300, np.uint16)
    path = scenes.write(tmp_path / "a.tif", values, photometric="palette")
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {0: (0, 0, 0, 255), 44: (9, 9, 9, 255), 300: (20, 100, 30, 255)})
    with open_scene(path) as scene:
        assert scene.read(0, 0, 1, 1)[0].ravel().tolist() == [20, 100, 30]
