"""Files of rasters: read back, they hold the same values, say what they are, and appear whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import dask
import numpy as np
import pytest
import rasterio
import rasterio.shutil
import shapely
import torch
import zarr
from PIL import Image

from csp_core import heatmap, load_model
from csp_core.errors import BadRecordError, ConfigError, UnknownNameError
from csp_core.raster import (
    WRITERS,
    Credit,
    Raster,
    given_threshold,
    make_grid,
    read_credit,
    read_geotiff,
    write_geojson,
    write_geotiff,
    write_png,
    write_zarr,
)
from csp_core.raster.polygons import cell_polygons, polygons_area_km2, simplify
from tests import toy

CREDIT = Credit("cc-by-4.0", "Records by many, whom the data names.")


def make_raster(values, bounds=(20, -20, 50, 20), step=2.0, extrapolated=None, **fields):
    """Give a raster of an invented class."""
    values = torch.as_tensor(values, dtype=torch.float32)
    mask = torch.zeros(values.shape, dtype=torch.bool) if extrapolated is None else extrapolated
    facts = {"taxon": "Inventa alta", "common_name": "High $Inventor$", "kind": "share"}
    facts |= {"model": "toy", "date": None} | fields
    return Raster(values=values, bounds=bounds, step=step, extrapolated=mask, **facts)


def slope(rows=20, columns=15):
    """Values that differ in every cell."""
    return torch.arange(rows * columns).view(rows, columns) / (rows * columns)


def world(step=1.0):
    grid = make_grid(step=step)
    values = torch.rand(grid.shape, generator=torch.Generator().manual_seed(0))
    return make_raster(values, grid.bounds, step, extrapolated=values > 0.9)


# GeoTIFF


def test_geotiff(tmp_path):
    raster, path = world(), tmp_path / "deep" / "map.tif"
    write_geotiff(raster, path, threshold=given_threshold(0.25), credit=CREDIT)
    with rasterio.open(path) as file:
        assert file.crs.to_epsg() == 4326 and file.dtypes == ("float32", "float32")
        assert tuple(file.bounds) == (-180, -90, 180, 90) and file.res == (1, 1)
        assert (
            np.isnan(file.nodata) and file.profile["tiled"] and file.compression.name == "deflate"
        )
        assert file.overviews(1) and file.descriptions == ("share", "extrapolated")
        assert np.array_equal(file.read(1), raster.values.numpy())
        assert np.array_equal(file.read(2) == 1, raster.extrapolated.numpy())
        places = [(36.8, -1.3), (-0.1, 51.5), (178.4, -18.1), (-179.9, 89.9)]
        read = [value[0] for value in file.sample(places)]
        tags, first, second = file.tags(), file.tags(1), file.tags(2)
    assert read == [raster.at(*place) for place in places]
    assert (tags["model"], tags["taxon"], tags["kind"]) == ("toy", "Inventa alta", "share")
    assert (tags["threshold"], tags["threshold_method"]) == ("0.25", "given")
    assert (tags["license"], tags["attribution"]) == (CREDIT.license, CREDIT.attribution)
    assert "share of the recordings" in tags["unit"] and first["unit"] == tags["unit"]
    assert "date" not in tags and "fewer than 10 training records" in second["meaning"]


def test_geotiff_over_the_antimeridian(tmp_path):
    raster = make_raster(slope(3, 4), (170, -25, -170, -10), 5.0, date=0.5, kind="relative")
    write_geotiff(raster, tmp_path / "fiji.tif")
    with rasterio.open(tmp_path / "fiji.tif") as file:
        assert tuple(file.bounds) == (170, -25, 190, -10)
        assert np.array_equal(file.read(1), raster.values.numpy())
        assert [value[0] for value in file.sample([(187.5, -12.5)])] == [raster.at(-172.5, -12.5)]
        assert file.tags()["date"] == "0.5" and "no percentage" in file.tags()["unit"]
        assert "license" not in file.tags() and "threshold" not in file.tags()


# polygons


def test_a_band_of_cells_by_its_closed_form(tmp_path):
    values = torch.zeros(180, 360)
    values[80:100] = 0.5  # 10° N to 10° S
    about = write_geojson(
        make_raster(values, (-180, -90, 180, 90), 1.0),
        tmp_path / "band.geojson",
        threshold=given_threshold(0.5),
    )
    # 2π b² (sin φ / (2 (1 - e² sin² φ)) + atanh(e sin φ) / 2e), twice
    e, b, sine = 0.0818191908426215, 6356.752314245, np.sin(np.radians(10))
    half = 2 * np.pi * b**2 * (sine / (2 * (1 - (e * sine) ** 2)) + np.arctanh(e * sine) / (2 * e))
    assert about["area_above_threshold_km2"] == pytest.approx(2 * half, rel=1e-6)
    assert about["area_of_polygons_km2"] == pytest.approx(2 * half, rel=1e-6)


def test_polygon_areas_against_geodesics():
    geod = pytest.importorskip("pyproj").Geod(ellps="WGS84")
    slanted = shapely.Polygon([(10, 40), (25, 42), (18, 61), (11, 50)])
    holed = shapely.box(-60, -40, -20, -10).difference(shapely.box(-50, -30, -45, -20))
    for shape in (slanted, *shapely.orient_polygons([holed])):
        area, _ = geod.geometry_area_perimeter(shapely.segmentize(shape, 0.05))
        assert polygons_area_km2([shape]) == pytest.approx(area / 1e6, rel=1e-5)
    assert polygons_area_km2([]) == 0.0


def geojson(tmp_path, raster, threshold=0.5, **options):
    path = tmp_path / "area.geojson"
    about = write_geojson(raster, path, threshold=given_threshold(threshold), **options)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["about"] == about and set(content) == {"type", "about", "features"}
    return content


def test_geojson_keeps_rfc_7946(tmp_path):
    raster = world(2.0)
    content = geojson(tmp_path, raster, credit=CREDIT)
    (feature,) = content["features"]
    assert content["type"] == "FeatureCollection" and "crs" not in content
    assert feature["geometry"]["type"] == "MultiPolygon"
    area = shapely.geometry.shape(feature["geometry"])
    assert area.is_valid and not shapely.has_z(area)
    for part in shapely.get_parts(area):
        assert part.exterior.is_ccw and not any(hole.is_ccw for hole in part.interiors)
    assert area.bounds == (-180, -90, 180, 90)
    facts = feature["properties"]
    assert facts["license"] == "cc-by-4.0" and facts["threshold"] == 0.5 and facts["step"] == 2.0
    assert not any("range" in name for name in facts)
    assert facts["area_above_threshold_km2"] == pytest.approx(raster.area_km2(0.5), rel=1e-9)
    assert facts["area_of_polygons_km2"] == pytest.approx(raster.area_km2(0.5), rel=1e-6)
    assert facts["of_which_extrapolated_km2"] == pytest.approx(
        raster.area_km2(0.5, extrapolated=True), rel=1e-9
    )


def test_polygons_hold_the_cells_and_nothing_else():
    for seed in range(5):
        chance = torch.Generator().manual_seed(seed)
        mask = torch.rand(18, 36, generator=chance) < 0.2 + 0.15 * seed
        grid = make_grid(step=10.0)
        shape = shapely.MultiPolygon(cell_polygons(mask, grid))
        assert shape.is_valid
        lonlat = grid.lonlat().numpy()
        inside = shapely.contains_xy(shape, lonlat[:, 0], lonlat[:, 1])
        assert np.array_equal(inside.reshape(18, 36), mask.numpy())
        assert shape.area == pytest.approx(float(mask.sum()) * 100)


def test_geojson_is_split_at_the_antimeridian(tmp_path):
    raster = make_raster(torch.ones(3, 4), (170, -25, -170, -10), 5.0)
    (feature,) = geojson(tmp_path, raster)["features"]
    parts = shapely.get_parts(shapely.geometry.shape(feature["geometry"]))
    assert sorted(part.bounds for part in parts) == [(-180, -25, -170, -10), (170, -25, 180, -10)]
    assert feature["properties"]["bounds"] == [170, -25, -170, -10]


def test_no_cell_above_the_threshold(tmp_path):
    content = geojson(tmp_path, make_raster(slope()), threshold=1.0)
    assert content["features"] == []
    assert content["about"]["area_above_threshold_km2"] == 0
    assert content["about"]["area_of_polygons_km2"] == 0


def test_simplified_polygons_stay_valid_and_apart(tmp_path):
    chance = torch.Generator().manual_seed(1)
    values = torch.nn.functional.avg_pool2d(torch.rand(1, 1, 60, 80, generator=chance), 5, 1, 2)[
        0, 0
    ]
    raster = make_raster(values, (0, 0, 80, 60), 1.0)
    threshold = float(values.median())
    plain = geojson(tmp_path, raster, threshold)
    simple = geojson(tmp_path, raster, threshold, tolerance=1.5)
    shapes = [shapely.geometry.shape(found["features"][0]["geometry"]) for found in (plain, simple)]
    assert all(shape.is_valid for shape in shapes)
    assert shapely.get_num_coordinates(shapes[1]) < 0.6 * shapely.get_num_coordinates(shapes[0])
    for part in shapely.get_parts(shapes[1]):
        assert part.exterior.is_ccw
    assert simple["about"]["tolerance_degrees"] == 1.5
    areas = [found["about"]["area_of_polygons_km2"] for found in (plain, simple)]
    assert areas[1] == pytest.approx(areas[0], rel=0.15) and areas[1] != areas[0]
    # The cells' area is what it was.
    assert simple["about"]["area_above_threshold_km2"] == pytest.approx(areas[0], rel=1e-6)
    with pytest.raises(ConfigError, match="tolerance is -1"):
        simplify([], -1)


def test_polygons_need_a_threshold(tmp_path):
    with pytest.raises(ConfigError, match="need a threshold"):
        write_geojson(make_raster(slope()), tmp_path / "a.geojson", threshold=None)


# PNG


@pytest.mark.parametrize(
    ("raster", "threshold"),
    [
        (make_raster(slope()), 0.4),
        (make_raster(slope(), extrapolated=slope() > 0.5), 2 / 3),
        (make_raster(slope(3, 4), (170, -25, -170, -10), 5.0, slope(3, 4) > 0.3), 0.2),
        (make_raster(slope(), kind="relative", date=0.25, common_name=""), 1.0),
        (make_raster([[0.0]], (0, 0, 1, 1), 1.0), None),
        (make_raster(slope(1, 60), (0, 0, 60, 1), 1.0), 0.5),
        (make_raster(slope(60, 1), (0, 0, 1, 60), 1.0), 0.5),
    ],
)
def test_png(raster, threshold, tmp_path):
    limit = None if threshold is None else given_threshold(threshold)
    write_png(raster, tmp_path / "map.png", threshold=limit, credit=CREDIT)
    with Image.open(tmp_path / "map.png") as picture:
        picture.load()
        assert picture.format == "PNG" and picture.width == 1500 and 500 < picture.height < 2300
        colours = picture.convert("RGB").getcolors(maxcolors=1 << 20)
    assert colours is not None and len(colours) > 20


def pixels(raster, tmp_path, **options):
    write_png(raster, tmp_path / "map.png", **options)
    with Image.open(tmp_path / "map.png") as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_png_shows_values_hatching_and_threshold(tmp_path):
    plain = pixels(make_raster(torch.full((20, 15), 0.1)), tmp_path)
    other = pixels(make_raster(torch.full((20, 15), 0.5)), tmp_path)
    bare = pixels(make_raster(torch.full((20, 15), 1e-6)), tmp_path)
    mask = torch.zeros(20, 15, dtype=torch.bool)
    mask[:10] = True
    hatched = pixels(make_raster(torch.full((20, 15), 0.1), extrapolated=mask), tmp_path)
    middle = slice(plain.shape[0] // 3, plain.shape[0] // 2), slice(600, 900)
    assert abs(plain - other)[middle].max() > 20
    assert (bare[middle] == 255).all(axis=-1).mean() > 0.9
    assert len(np.unique(plain[middle].reshape(-1, 3), axis=0)) < 40
    # Only the northern half is hatched.
    changed = (plain != hatched).any(axis=-1)[:, 200:1300]
    rows = np.flatnonzero(changed[: int(plain.shape[0] * 0.8)].mean(axis=1) > 0.5)
    assert 0.03 < rows.min() / plain.shape[0] and rows.max() / plain.shape[0] < 0.5
    outlined = pixels(make_raster(slope()), tmp_path, threshold=given_threshold(0.5))
    orange = (abs(outlined - [213, 94, 0]) < 30).all(axis=-1)
    assert orange[: int(plain.shape[0] * 0.8)].sum() > 500


# Zarr


@pytest.fixture
def model(model_dir):
    return load_model(model_dir)


@pytest.mark.parametrize("block", [7, 1000])
@pytest.mark.parametrize(("bounds", "step"), [((20, -20, 50, 20), 2.0), ((150, -45, -150, 5), 5.0)])
def test_zarr_equals_the_raster_in_memory(model, bounds, step, block, tmp_path):
    about = write_zarr(
        model, "High Dora", tmp_path / "map.zarr", bounds=bounds, step=step, block=block,
        credit=CREDIT, threshold=given_threshold(0.1), date=0.5,
    )  # fmt: skip
    raster = heatmap(model, "Dora alta", bounds=bounds, step=step)
    group = zarr.open_group(tmp_path / "map.zarr", mode="r")
    values = torch.from_numpy(group["value"][:])
    torch.testing.assert_close(values, raster.values, rtol=1e-5, atol=1e-9)
    assert np.array_equal(group["extrapolated"][:], raster.extrapolated.numpy())
    assert group["value"].chunks == tuple(min(block, n) for n in raster.grid.shape)
    assert group["value"].metadata.dimension_names == ("lat", "lon")
    assert np.allclose(group["lat"][:], raster.grid.lat)
    assert np.allclose((group["lon"][:] + 180) % 360 - 180, raster.grid.lon)
    assert (np.diff(group["lon"][:]) > 0).all()
    assert dict(group.attrs) == about
    assert about["bounds"] == list(raster.bounds) and about["width"] == raster.grid.columns
    assert (about["taxon"], about["threshold"], about["license"]) == ("Dora alta", 0.1, "cc-by-4.0")
    assert "date" not in about


def test_zarr_takes_the_scheduler_that_is_set(model, tmp_path):
    with dask.config.set(scheduler="threads"):
        write_zarr(model, 0, tmp_path / "a.zarr", bounds=(0, 0, 60, 60), step=5.0, block=4)
    write_zarr(model, 0, tmp_path / "b.zarr", bounds=(0, 0, 60, 60), step=5.0, block=4)
    a, b = (zarr.open_group(tmp_path / name, mode="r")["value"][:] for name in ("a.zarr", "b.zarr"))
    assert np.allclose(a, b, rtol=1e-5)


def test_zarr_replaces_only_zarr(model, tmp_path):
    path = tmp_path / "map.zarr"
    for step in (5.0, 10.0):
        write_zarr(model, 0, path, step=step)
    assert zarr.open_group(path, mode="r")["value"].shape == (18, 36)
    for other in ("precious.zarr", "file.zarr"):
        (tmp_path / other).mkdir() if other == "precious.zarr" else (tmp_path / other).touch()
        with pytest.raises(BadRecordError, match="is no Zarr group"):
            write_zarr(model, 0, tmp_path / other, step=10.0)
    with pytest.raises(ConfigError, match="block is 0"):
        write_zarr(model, 0, path, step=10.0, block=0)
    with pytest.raises(UnknownNameError):
        write_zarr(model, "Nobody", path)
    assert {p.name for p in tmp_path.iterdir()} == {"map.zarr", "precious.zarr", "file.zarr"}


def test_zarr_without_dask(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(ConfigError, match=r"Writing Zarr needs dask.*requirements-large\.txt"):
        write_zarr(model, 0, tmp_path / "map.zarr", step=10.0)
    assert list(tmp_path.iterdir()) == []


# all of them


@pytest.mark.parametrize("ending", sorted(WRITERS))
def test_what_cannot_be_written(ending, tmp_path):
    raster, limit = make_raster(slope()), given_threshold(0.5)
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadRecordError, match=r"Cannot write .*: .*file is a file, not a folder"):
        WRITERS[ending](raster, tmp_path / "file" / f"map{ending}", threshold=limit)
    folder = tmp_path / f"folder{ending}"
    folder.mkdir()
    with pytest.raises(BadRecordError, match=r"Cannot write .*: it is a folder"):
        WRITERS[ending](raster, folder, threshold=limit)
    assert {p.name for p in tmp_path.iterdir()} == {"file", folder.name}


@pytest.mark.parametrize("ending", sorted(WRITERS))
def test_a_disk_that_fills_up_leaves_no_half_file(ending, tmp_path, monkeypatch):
    path = tmp_path / f"map{ending}"
    path.write_text("before")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(BadRecordError, match=r"Cannot write .*No space left on device"):
        WRITERS[ending](make_raster(slope()), path, threshold=given_threshold(0.5))
    assert [p.name for p in tmp_path.iterdir()] == [path.name] and path.read_text() == "before"


def test_gdals_own_errors_are_told(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise rasterio.errors.RasterioError("TIFFAppendToStrip: write error")

    monkeypatch.setattr(rasterio.shutil, "copy", fail)
    with pytest.raises(BadRecordError, match=r"Cannot write .*TIFFAppendToStrip"):
        write_geotiff(make_raster(slope()), tmp_path / "map.tif")
    assert list(tmp_path.iterdir()) == []


def test_every_file_names_the_recorders(tmp_path):
    people = "By Ana Ruíz; 渡辺 誠."
    raster = make_raster(slope())
    for suffix in (".tif", ".geojson", ".png"):
        limit = given_threshold(0.2)
        WRITERS[suffix](raster, tmp_path / f"map{suffix}", threshold=limit,
                        credit=replace(CREDIT, people=people))  # fmt: skip
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.tags()["recorders"] == people
    assert json.loads((tmp_path / "map.geojson").read_text())["about"]["recorders"] == people
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.text["Author"] == people and picture.text["Title"] == raster.label
        assert picture.text["Copyright"] == CREDIT.license


def test_credit_comes_from_the_card(tmp_path):
    found = read_credit("birds")
    assert found.license == "cc-by-nc-sa-4.0" and "xeno-canto" in found.attribution
    assert "#" not in found.attribution and "\n" not in found.attribution
    assert "below" not in found.attribution, "nothing stands below it in a file"
    assert "1588 recorders" in found.people and "4.0: 21643 records" in found.people
    folder = toy.save_toy_model(tmp_path, train_steps=1)
    assert read_credit(folder) == Credit("none", "Records by nobody.")
    (folder / "ATTRIBUTION").unlink()
    (folder / "README.md").write_text("---\nlicense: [\n---\n\nBroken.\n")
    assert read_credit(folder) == Credit()
    (folder / "README.md").write_text("---\nlicense: unstated\n---\n")
    assert read_credit(folder) == Credit()
    with pytest.raises(UnknownNameError):
        read_credit("unheard-of")


def test_importing_rasters_loads_none_of_the_heavy_libraries():
    code = "import csp_core.raster, sys; print(*sorted({n.split('.')[0] for n in sys.modules}))"
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert not {"rasterio", "matplotlib", "dask", "zarr", "pyproj"} & set(done.stdout.split())


def test_a_raster_has_a_value_for_every_cell():
    with pytest.raises(BadRecordError, match=r"\(3, 3\) .* make \(20, 15\) cells"):
        make_raster(torch.zeros(3, 3))


def test_replacing_values_keeps_the_grid():
    raster = make_raster(slope())
    assert replace(raster, values=1 - raster.values).grid == raster.grid


def test_a_geotiff_is_read_back_as_it_was_written(tmp_path):
    mask = torch.zeros(20, 15, dtype=torch.bool)
    mask[3, 4] = True
    for fields in ({}, {"date": 0.25, "kind": "relative", "common_name": ""}):
        raster = make_raster(slope(), extrapolated=mask, **fields)
        write_geotiff(raster, tmp_path / "map.tif", threshold=given_threshold(0.25), credit=CREDIT)
        found = read_geotiff(tmp_path / "map.tif")
        assert torch.equal(found.values, raster.values) and torch.equal(found.extrapolated, mask)
        assert found.to_dict() == raster.to_dict()


def test_other_files_are_not_taken_for_maps_of_a_class(tmp_path):
    (tmp_path / "text.tif").write_text("no picture")
    Image.new("LA", (2, 2)).save(tmp_path / "other.tif")
    for name in ("text.tif", "other.tif"):
        with pytest.raises(BadRecordError, match="map of a class"):
            read_geotiff(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="No file"):
        read_geotiff(tmp_path / "missing.tif")


def test_a_geotiff_of_more_cells_than_are_asked_for_is_not_read(tmp_path):
    write_geotiff(make_raster(slope()), tmp_path / "map.tif")
    assert read_geotiff(tmp_path / "map.tif", most_cells=300).values.numel() == 300
    with pytest.raises(BadRecordError, match=r"has 15 x 20 cells; at most 299 are read"):
        read_geotiff(tmp_path / "map.tif", most_cells=299)
