"""Maps of scenes: their files lie where the scenes lie and say the same of areas."""

from __future__ import annotations

import csv
import json
import sys

import geopandas
import numpy as np
import pyproj
import pytest
import rasterio
import rasterio.errors
import shapely
from rasterio.control import GroundControlPoint

from csp_core.data import load_dataset
from csp_core.data.pictures.ground import Ground
from csp_core.data.records import ClassTable
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from csp_core.raster.scenes import (
    Drawing,
    MapLegend,
    Wanted,
    draw_map,
    draw_maps,
    legend_of,
    list_scenes,
    make_legend,
    outline,
    write_areas,
)
from tests import scenes

ABOUT = {
    "class_numbers": {"field": 50, "road": 30, "wood": 70},
    "class_colours": {"field": "#FFCC00", "wood": "#006400", "road": "red"},
}
SMALL = Drawing(window=64, overlap=32)


@pytest.fixture
def model():
    return scenes.ColourModel()


@pytest.fixture
def legend(model):
    return make_legend(model.classes, ABOUT)


@pytest.fixture
def classes():
    return scenes.blocks(150, 200)


@pytest.fixture
def scene(classes, tmp_path):
    return scenes.write(tmp_path / "scene.tif", scenes.colours(classes), nodata=0)


def numbers(classes, legend):
    return np.array(legend.numbers)[classes]


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


# the map


def test_a_map_lies_on_its_scene(model, legend, classes, scene, tmp_path):
    seen = []
    path = tmp_path / "deep" / "map.tif"
    report = draw_map(model, scene, path, legend, drawing=SMALL,
                      progress=lambda done, total: seen.append((done, total)))  # fmt: skip
    with rasterio.open(path) as file, rasterio.open(scene) as own:
        assert file.crs == own.crs and file.transform == own.transform
        assert file.dtypes == ("uint8",) and file.nodata == 255 and file.profile["tiled"]
        assert np.array_equal(file.read(1), numbers(classes, legend))
        assert file.colormap(1)[50] == (255, 204, 0, 255) and file.colormap(1)[70] == (
            0,
            100,
            0,
            255,
        )
        tags = file.tags()
    assert (tags["class_50"], tags["class_70"], tags["model"]) == ("field", "wood", "colours")
    assert tags["colour_50"] == "#ffcc00" and tags["source"] == "scene.tif"
    assert tags["software"].startswith("csp_core ")
    assert seen[-1][0] == seen[-1][1] == len(seen)
    assert report.placed and report.unit == "m²" and report.no_data == 0 and report.notes == ()
    assert {p.name for p in path.parent.iterdir()} == {"map.tif"}


def test_large_maps_have_overviews_and_probabilities(model, legend, tmp_path):
    classes = scenes.blocks(600, 700, 40)
    values = scenes.colours(classes)
    values[:, :50] = 0
    scene = scenes.write(tmp_path / "a.tif", values, nodata=0)
    for bits, kind, none, one in ((8, "uint8", 255, 200), (16, "uint16", 65535, 10_000)):
        drawing = Drawing(window=256, bits=bits)
        draw_map(model, scene, tmp_path / "m.tif", legend, drawing=drawing,
                 probabilities=tmp_path / "p.tif")  # fmt: skip
        with rasterio.open(tmp_path / "m.tif") as file, rasterio.open(tmp_path / "p.tif") as probs:
            found = file.read(1)
            assert (
                file.overviews(1)
                and probs.overviews(1)
                and set(np.unique(found)) == {30, 50, 70, 255}
            )
            assert (found[:50] == 255).all() and np.array_equal(
                found[50:], numbers(classes, legend)[50:]
            )
            assert probs.descriptions == scenes.NAMES and set(probs.dtypes) == {kind}
            stored = probs.read()
            assert probs.nodata == none and (stored[:, :50] == none).all()
            sums = stored[:, 50:].sum(axis=0) * probs.scales[0]
            assert probs.scales[0] == pytest.approx(1 / one) and np.abs(sums - 1).max() <= 1.5 / one
            assert np.array_equal(
                np.array(legend.numbers)[stored[:, 50:].argmax(axis=0)], found[50:]
            )
    with pytest.raises(ConfigError, match="12 bits are not stored; give 8 or 16"):
        Drawing(bits=12)


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
def test_dask_draws_the_same(scheduler, model, legend, scene, tmp_path):
    from dataclasses import replace

    reports, maps = [], []
    for drawing in (SMALL, replace(SMALL, scheduler=scheduler)):
        seen = []
        reports.append(
            draw_map(model, scene, tmp_path / "m.tif", legend, drawing=drawing,
                     probabilities=tmp_path / "p.tif",
                     progress=lambda done, total, seen=seen: seen.append((done, total)))
        )  # fmt: skip
        assert seen[-1][0] == seen[-1][1]
        with rasterio.open(tmp_path / "m.tif") as one, rasterio.open(tmp_path / "p.tif") as other:
            maps.append((one.read(), other.read()))
    assert all(np.array_equal(*pair) for pair in zip(*maps, strict=True))
    for one, other in zip(reports[0].areas, reports[1].areas, strict=True):
        assert vars(one) == pytest.approx(vars(other))


def test_schedulers_that_are_none(model, legend, scene, tmp_path, monkeypatch):
    def draw(scheduler):
        draw_map(model, scene, tmp_path / "m.tif", legend, drawing=Drawing(scheduler=scheduler))

    with pytest.raises(ConfigError, match="no scheduler 'fast'; give threads, processes"):
        draw("fast")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"needs distributed: .*requirements-large\.txt"):
        draw("tcp://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(ConfigError, match=r"needs dask: .*requirements-large\.txt"):
        draw("threads")
    assert [p.name for p in tmp_path.iterdir()] == ["scene.tif"]


def test_series_are_drawn_from_their_dates(legend, classes, tmp_path):
    model = scenes.ColourModel(series=True)
    dates = [
        scenes.write(tmp_path / f"{i}.tif", scenes.colours(classes, seed=i), nodata=0)
        for i in range(3)
    ]
    draw_map(model, dates, tmp_path / "m.tif", legend, days=(0.1, None, 0.5))
    with rasterio.open(tmp_path / "m.tif") as file:
        assert np.array_equal(file.read(1), numbers(classes, legend))
        assert file.tags()["source"] == "0.tif, 1.tif, 2.tif"
    assert model.days.shape[1] == 3 and model.days[0].isnan().tolist() == [False, True, False]
    with pytest.raises(ConfigError, match="2 dates were given for 3 scenes"):
        draw_map(model, dates, tmp_path / "m.tif", legend, days=(0.1, 0.2))
    moved = scenes.write(tmp_path / "moved.tif", scenes.colours(classes),
                         grid=(10.0, 0, 340_010.0, 0, -10.0, 3_830_000.0))  # fmt: skip
    with pytest.raises(BadRecordError, match=r"moved\.tif: It lies on other pixels than 0\.tif"):
        draw_map(model, [dates[0], moved], tmp_path / "m.tif", legend)
    deep = scenes.write(tmp_path / "deep.tif", scenes.colours(classes).astype(np.uint16))
    with pytest.raises(BadRecordError, match=r"deep\.tif: It holds uint16 and 0\.tif uint8"):
        draw_map(model, [dates[0], deep], tmp_path / "m.tif", legend)
    with pytest.raises(ConfigError, match="3 scenes were given for one map"):
        draw_map(scenes.ColourModel(), dates, tmp_path / "m.tif", legend)


def test_notes_say_what_a_scene_is_unlike(legend, classes, tmp_path):
    grid = (40.0, 0.0, 340_000.0, 0.0, -40.0, 3_830_000.0)
    values = scenes.colours(classes).astype(np.uint16)
    scene = scenes.write(tmp_path / "a.tif", values, grid=grid)
    report = draw_map(
        scenes.ColourModel(), scene, tmp_path / "m.tif", legend, drawing=Drawing(metres=10.0)
    )
    assert "is 40 m wide on the ground" in report.notes[0] and "far darker" in report.notes[2]


# areas


def test_shares_are_those_of_the_map_exactly(model, legend, classes, tmp_path):
    values = scenes.colours(classes)
    values[:, 100:, 50:] = 0
    scene = scenes.write(tmp_path / "a.tif", values, nodata=0)
    wanted = Wanted(tmp_path / "m.tif", areas=tmp_path / "deep" / "a.csv")
    report = draw_maps(model, [scene], wanted, legend, drawing=SMALL).maps[0]
    rows = rows_of(tmp_path / "deep" / "a.csv")
    with rasterio.open(tmp_path / "m.tif") as file:
        found, nodata = file.read(1), file.nodata
    with_data = (found != nodata).sum()
    ground = Ground.of(report.facts).areas(0, 0, *found.shape)
    for row in rows:
        mine = found == int(row["number"])
        assert float(row["share"]) == mine.sum() / with_data and int(row["pixels"]) == mine.sum()
        assert float(row["area"]) == pytest.approx(ground[mine].sum(), rel=1e-9)
        assert float(row["hectares"]) == pytest.approx(float(row["area"]) / 1e4, rel=1e-6)
        assert float(row["low"]) <= float(row["expected_area"]) <= float(row["high"])
        assert row["unit"] == "m²" and row["file"] == "a.tif"
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1)
    assert report.no_data == (found == nodata).mean()


def test_a_square_kilometre_and_a_degree(model, legend, tmp_path):
    one_class = np.zeros((100, 100), dtype=np.int64)
    geod = pyproj.Geod(ellps="WGS84")
    for crs, grid, expected in (
        ("EPSG:32652", (10.0, 0, 499_500.0, 0, -10.0, 4e6), 1e6 / 0.9996**2),
        ("EPSG:4326", (0.01, 0, 127.0, 0, -0.01, 35.0), None),
    ):
        scene = scenes.write(tmp_path / "a.tif", scenes.colours(one_class), crs=crs, grid=grid)
        wanted = Wanted(tmp_path / "m.tif", polygons=tmp_path / "p.gpkg")
        area = draw_maps(model, [scene], wanted, legend).maps[0].areas[0]
        (shape,) = geopandas.read_file(tmp_path / "p.gpkg").itertuples()
        if expected is None:
            edge = shapely.segmentize(shapely.box(127, 34, 128, 35), 0.001)
            expected = abs(geod.geometry_area_perimeter(edge)[0])
        assert area.counted == pytest.approx(expected, rel=1e-7 if crs.endswith("4326") else 1e-6)
        assert shape.area_m2 == pytest.approx(area.counted, rel=1e-6)


def test_only_tables_hold_areas(tmp_path):
    with pytest.raises(ConfigError, match=r"give \.csv"):
        write_areas([], tmp_path / "a.xlsx")


# polygons


@pytest.mark.parametrize("ending", [".gpkg", ".geojson"])
def test_polygons(ending, model, legend, classes, scene, tmp_path):
    path = tmp_path / f"p{ending}"
    report = draw_maps(model, [scene], Wanted(tmp_path / "m.tif", polygons=path), legend)
    frame = geopandas.read_file(path)
    assert frame.crs.to_epsg() == 4326 and len(frame) == report.polygons > 10
    assert frame.is_valid.all() and set(frame["class"]) == set(scenes.NAMES)
    by_class = frame.groupby("number").area_m2.sum()
    for number, area in zip(legend.numbers, report.maps[0].areas, strict=True):
        assert by_class[number] == pytest.approx(area.counted, rel=1e-5)
    back = frame.to_crs(scenes.UTM)
    assert np.allclose(back.total_bounds, (340_000, 3_828_500, 342_000, 3_830_000), atol=0.01)
    # The middle of each block lies in a polygon of its class.
    x, y = 340_000 + 10 * 12.0, 3_830_000 - 10 * 12.0
    inside = back[back.contains(shapely.Point(x, y))]
    assert inside["class"].tolist() == [scenes.NAMES[classes[12, 12]]]
    assert set(frame["colour"]) == set(legend.colours) and set(frame["file"]) == {"scene.tif"}


def test_small_parts_join_what_is_beside_them(model, legend, tmp_path):
    classes = np.zeros((64, 64), dtype=np.int64)
    classes[10, 10] = classes[20:24, 20:24] = 2
    scene = scenes.write(tmp_path / "a.tif", scenes.colours(classes))
    counts = [
        draw_maps(model, [scene], Wanted(tmp_path / "m.tif", polygons=tmp_path / "p.gpkg",
                                         smallest=smallest), legend).polygons
        for smallest in (1, 2, 17)
    ]  # fmt: skip
    assert counts == [3, 2, 1]
    with pytest.raises(ConfigError, match="smallest polygon has 0 pixels"):
        draw_maps(model, [scene], Wanted(tmp_path / "m.tif", smallest=0), legend)


def test_too_many_polygons(model, legend, scene, tmp_path, monkeypatch):
    draw_map(model, scene, tmp_path / "m.tif", legend)
    monkeypatch.setattr("csp_core.raster.scenes.outlines.MOST", 5)
    with pytest.raises(BadRecordError, match="more than 5 polygons: give --smallest"):
        outline(tmp_path / "m.tif", legend, None, "scene.tif")


@pytest.mark.parametrize("west", [-180.0, 0.0])
def test_polygons_larger_than_half_the_earth(west, model, legend, tmp_path):
    classes = np.zeros((90, 180), dtype=np.int64)
    classes[20:50, 40:90] = 2
    scene = scenes.write(tmp_path / "a.tif", scenes.colours(classes), crs="EPSG:4326",
                         grid=(2.0, 0, west, 0, -2.0, 90.0))  # fmt: skip
    wanted = Wanted(tmp_path / "m.tif", polygons=tmp_path / "p.gpkg")
    report = draw_maps(model, [scene], wanted, legend).maps[0]
    frame = geopandas.read_file(wanted.polygons).set_index("class")
    for area in report.areas:
        if area.pixels:
            assert frame.area_m2[area.name] == pytest.approx(area.counted, rel=1e-9)
    assert tuple(frame.total_bounds) == (west, -90, west + 360, 90)


def test_longitudes_counted_on_are_those_that_maps_know(model, legend, tmp_path):
    scene = scenes.write(tmp_path / "a.tif", scenes.colours(scenes.blocks(40, 40)),
                         crs="EPSG:4326", grid=(0.001, 0, 350.0, 0, -0.001, 5.0))  # fmt: skip
    wanted = Wanted(tmp_path / "m.tif", polygons=tmp_path / "p.gpkg")
    draw_maps(model, [scene], wanted, legend)
    bounds = geopandas.read_file(wanted.polygons).total_bounds
    assert bounds == pytest.approx((-10, 4.96, -9.96, 5))


@pytest.mark.parametrize(
    ("crs", "grid", "says"),
    [
        ("EPSG:3413", (10_000.0, 0, -300_000.0, 0, -10_000.0, 300_000.0), "holds a pole"),
        ("ESRI:54009", (6e5, 0, -18e6, 0, -3e5, 9e6), "beyond the Earth"),
    ],
)
def test_polygons_that_degrees_cannot_hold(crs, grid, says, model, legend, tmp_path):
    values = scenes.colours(np.zeros((60, 60), dtype=np.int64))
    scene = scenes.write(tmp_path / "a.tif", values, crs=crs, grid=grid)
    wanted = Wanted(tmp_path / "m.tif", polygons=tmp_path / "p.gpkg")
    with pytest.raises(BadRecordError, match=says):
        draw_maps(model, [scene], wanted, legend)
    assert wanted.output.is_file() and not wanted.polygons.exists()


def without_place(kind, values, path):
    if kind == "control points":
        corners = ((0, 0, 127, 35), (0, 200, 127.2, 35), (150, 0, 127, 34.9))
        points = [GroundControlPoint(*corner) for corner in corners]
        return scenes.write(path, values, crs="EPSG:4326", grid=None, gcps=points)
    return scenes.write(path, values, crs=None, grid=None)


@pytest.mark.parametrize("kind", ["control points", "nothing"])
@pytest.mark.parametrize("ending", [".gpkg", ".geojson"])
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_scenes_without_a_grid(kind, ending, model, legend, classes, tmp_path):
    scene = without_place(kind, scenes.colours(classes), tmp_path / "a.tif")
    wanted = Wanted(tmp_path / "m.tif", polygons=tmp_path / f"p{ending}", areas=tmp_path / "a.csv")
    report = draw_maps(model, [scene], wanted, legend).maps[0]
    assert (
        not report.placed and report.unit == "pixels" and "Areas are in pixels" in report.notes[0]
    )
    frame = geopandas.read_file(wanted.polygons)
    assert frame.area_pixels.sum() == classes.size and tuple(frame.total_bounds) == (0, 0, 200, 150)
    rows = rows_of(wanted.areas)
    assert all(row["unit"] == "pixels" and not row["hectares"] for row in rows)
    assert sum(float(row["area"]) for row in rows) == classes.size
    with rasterio.open(wanted.output) as file:
        assert np.array_equal(file.read(1), numbers(classes, legend)) and file.crs is None
        assert len(file.gcps[0]) == (3 if kind == "control points" else 0)


def test_a_picture_over_the_antimeridian(model, legend, tmp_path):
    classes = scenes.blocks(60, 80, 30)
    convert = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:32760", always_xy=True)
    x, y = convert.transform(179.999, -17.0)
    scene = scenes.write(tmp_path / "a.tif", scenes.colours(classes), crs="EPSG:32760",
                         grid=(10.0, 0, x, 0, -10.0, y))  # fmt: skip
    wanted = Wanted(tmp_path / "m.tif", polygons=tmp_path / "p.gpkg")
    report = draw_maps(model, [scene], wanted, legend).maps[0]
    frame = geopandas.read_file(wanted.polygons)
    low, _, high, _ = frame.total_bounds
    assert abs(high - low) < 0.02 and frame.area_m2.sum() == pytest.approx(
        sum(area.counted for area in report.areas), rel=1e-5
    )


# Reference system, grid but for its corner, and the place of that corner.
OVER = {
    "utm west": ("EPSG:32601", (30.0, 0, 0.0, 0, -30.0, 0.0), (179.995, 52.0)),
    "utm east": ("EPSG:32660", (30.0, 0, 0.0, 0, -30.0, 0.0), (179.98, -16.0)),
    "pacific mercator": ("EPSG:3832", (40.0, 0, 0.0, 0, -40.0, 0.0), (179.99, 60.0)),
    "fiji": ("EPSG:3460", (50.0, 3.0, 0.0, 4.0, -50.0, 0.0), (179.985, -17.0)),
    "degrees beyond 180": ("EPSG:4326", (0.001, 0, 0.0, 0, -0.001, 0.0), (179.97, -16.0)),
    "degrees before -180": ("EPSG:4326", (0.001, 0, 0.0, 0, -0.001, 0.0), (-180.02, -16.0)),
}


@pytest.mark.parametrize("name", OVER)
def test_geojson_is_cut_at_the_antimeridian(name, model, legend, tmp_path):
    crs, (a, b, _, d, e, _), corner = OVER[name]
    x, y = corner
    if crs != "EPSG:4326":
        convert = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True)
        x, y = convert.transform(*corner)
    classes = scenes.blocks(60, 80, 20)
    classes[20:60, 10:70], classes[30:35, 15:65] = 2, 0  # a large one with a hole
    scene = scenes.write(tmp_path / "a.tif", scenes.colours(classes), crs=crs,
                         grid=(a, b, x, d, e, y))  # fmt: skip
    frames = {}
    for ending in (".gpkg", ".geojson"):
        wanted = Wanted(tmp_path / "m.tif", polygons=tmp_path / f"p{ending}")
        draw_maps(model, [scene], wanted, legend)
        frames[ending] = geopandas.read_file(wanted.polygons)
    whole, cut = frames[".gpkg"], frames[".geojson"]
    assert whole.total_bounds[2] > 180 or whole.total_bounds[0] < -180
    low, _, high, _ = cut.total_bounds
    assert low == -180 and high == 180 and cut.is_valid.all()
    assert cut.area_m2.tolist() == pytest.approx(whole.area_m2.tolist(), rel=1e-12)
    flat = [shapely.area(frame.geometry.array) for frame in (cut, whole)]
    assert flat[0] == pytest.approx(flat[1], rel=1e-4)
    # Pieces lie at the antimeridian, and none goes around the Earth.
    pieces = cut.geometry.explode()
    assert (pieces.bounds.maxx - pieces.bounds.minx).max() < 0.2
    assert (pieces.bounds.maxx > 0).any() and (pieces.bounds.minx < 0).any()
    ground = Ground(pyproj.CRS(crs).to_wkt(), (a, b, x, d, e, y), 60, 80)
    for row in (2, 25, 32, 50):
        for column in range(2, 80, 11):
            lon, lat = map(float, ground.lonlat(row + 0.5, column + 0.5))
            here = cut[cut.contains(shapely.Point((lon + 180) % 360 - 180, lat))]
            assert here["class"].tolist() == [legend.names[classes[row, column]]]


def test_the_world_from_greenwich_on_is_cut_in_geojson(model, legend, tmp_path):
    classes = np.zeros((90, 180), dtype=np.int64)
    classes[20:50, 40:90], classes[10:15, 80:100] = 2, 1
    scene = scenes.write(tmp_path / "a.tif", scenes.colours(classes), crs="EPSG:4326",
                         grid=(2.0, 0, 0.0, 0, -2.0, 90.0))  # fmt: skip
    wanted = Wanted(tmp_path / "m.tif", polygons=tmp_path / "p.geojson")
    report = draw_maps(model, [scene], wanted, legend).maps[0]
    frame = geopandas.read_file(wanted.polygons)
    assert tuple(frame.total_bounds) == (-180, -90, 180, 90) and frame.is_valid.all()
    assert shapely.area(frame.geometry.array).sum() == pytest.approx(360 * 180)
    assert frame.area_m2.sum() == pytest.approx(sum(area.counted for area in report.areas))
    road = frame[frame["class"] == "road"].geometry.item()
    assert road.equals(
        shapely.union(shapely.box(160, 60, 180, 70), shapely.box(-180, 60, -160, 70))
    )
    wood = frame[frame["class"] == "wood"].geometry.item()
    assert wood.equals(shapely.box(80, -10, 180, 50))


# several scenes


def test_one_damaged_file_among_many(model, legend, classes, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    values = scenes.colours(classes)
    for name in ("b.tif", "a.tif"):
        scenes.write(folder / name, values)
    (folder / "c.tif").write_text("no picture")
    scenes.write(folder / "d.tif", values[:2])
    (folder / "read me.txt").write_text("not looked at")
    wanted = Wanted(tmp_path / "out", True, tmp_path / "p.gpkg", tmp_path / "a.csv")
    found = list_scenes([folder])
    assert [path.name for path in found] == ["a.tif", "b.tif", "c.tif", "d.tif"]
    report = draw_maps(model, found, wanted, legend)
    assert [one.name for one in report.maps] == ["a.tif", "b.tif"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("a.tif", "a_probabilities.tif", "b.tif", "b_probabilities.tif")
    }
    assert report.complaint().startswith("2 of 4 scenes failed: ")
    assert "no picture that can be read" in report.failed[str(folder / "c.tif")]
    assert "takes 3 (red, green, blue)" in report.failed[str(folder / "d.tif")]
    assert {row["file"] for row in rows_of(tmp_path / "a.csv")} == {"a.tif", "b.tif"}
    assert set(geopandas.read_file(tmp_path / "p.gpkg")["file"]) == {"a.tif", "b.tif"}
    json.dumps(report.to_dict())


def test_one_scene_without_a_grid_among_others(model, legend, classes, tmp_path):
    values = scenes.colours(classes)
    found = [
        scenes.write(tmp_path / "a.tif", values),
        scenes.write(tmp_path / "b.tif", values, crs=None),
    ]
    wanted = Wanted(tmp_path / "out", polygons=tmp_path / "p.gpkg", areas=tmp_path / "a.csv")
    report = draw_maps(model, found, wanted, legend)
    assert [one.name for one in report.maps] == ["a.tif", "b.tif"]
    assert report.complaint() == (
        f"1 of 2 scenes failed: {found[1]} (its map is drawn, its polygons are not: it has no grid"
        " on the ground, and a.tif in the same file has one)."
    )
    assert set(geopandas.read_file(wanted.polygons)["file"]) == {"a.tif"}
    assert {row["file"] for row in rows_of(wanted.areas)} == {"a.tif", "b.tif"}


def test_names_of_what_is_written(model, legend, scene, tmp_path):
    other = tmp_path / "other" / "scene.tif"
    other.parent.mkdir()
    other.write_bytes(scene.read_bytes())

    def fails(says, inputs, output, **options):
        with pytest.raises((ConfigError, BadRecordError), match=says):
            draw_maps(model, inputs, Wanted(output, **options), legend)

    fails("2 scenes do not go into one file", [scene, other], tmp_path / "m.tif")
    fails("Two scenes would both become", [scene, other], tmp_path / "out")
    fails("has no ending of a GeoTIFF", [scene], tmp_path / "m.jpg")
    fails("is one of the scenes", [scene], scene)
    fails("is one of the scenes", [scene], tmp_path)
    fails(
        r"give one of \.gpkg, \.geojson", [scene], tmp_path / "m.tif", polygons=tmp_path / "p.shp"
    )
    fails("is a file, not a folder", [scene], scene / "m.tif")
    fails(r"give \.csv", [scene], tmp_path / "m.tif", areas=tmp_path / "a.txt")
    draw_maps(model, [scene], Wanted(tmp_path / "new"), legend)
    assert (tmp_path / "new" / "scene.tif").is_file()


def test_one_scene_that_fails(model, legend, tmp_path):
    (tmp_path / "a.tif").write_text("no picture")
    with pytest.raises(BadRecordError, match="no picture that can be read"):
        draw_maps(model, [tmp_path / "a.tif"], Wanted(tmp_path / "m.tif"), legend)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


def test_nothing_to_draw(tmp_path):
    with pytest.raises(DataNotFoundError, match="No picture in"):
        list_scenes([tmp_path])
    with pytest.raises(DataNotFoundError, match="No scene was given"):
        list_scenes([])


def test_a_failure_leaves_what_stood_there(model, legend, scene, tmp_path, monkeypatch):
    (tmp_path / "m.tif").write_text("before")

    def fail(*_):
        raise BadRecordError("no more")

    monkeypatch.setattr(model, "pixel_prior", fail)
    with pytest.raises(BadRecordError, match="no more"):
        draw_map(model, scene, tmp_path / "m.tif", legend)
    assert (tmp_path / "m.tif").read_text() == "before"
    assert {p.name for p in tmp_path.iterdir()} == {"m.tif", "scene.tif"}


# legends


def test_legends():
    table = ClassTable(("a", "b"))
    plain = make_legend(table)
    assert plain.numbers == (0, 1) and plain.nodata == 255 and len(set(plain.colours)) == 2
    for odd in ({"a": 3}, {"a": 3, "b": 3}, {"a": -1, "b": 2}, {"a": True, "b": 2}, "none"):
        assert make_legend(table, {"class_numbers": odd}).numbers == (0, 1)
    far = make_legend(table, {"class_numbers": {"a": 255, "b": 254}})
    assert far.nodata == 253 and far.encode(np.array([-1, 0, 1])).tolist() == [253, 255, 254]
    wide = make_legend(table, {"class_numbers": {"a": 1000, "b": 65_534}})
    assert wide.dtype == "uint16" and wide.nodata == 65_535
    many = make_legend(ClassTable(tuple(f"class {i}" for i in range(300))))
    assert many.dtype == "uint16" and len(set(many.colours)) == 300
    assert MapLegend(("a",), (255,), ("#010203",)).rgb(0) == (1, 2, 3)


def test_wide_numbers_are_written(model, classes, scene, tmp_path):
    legend = make_legend(model.classes, {"class_numbers": {"field": 1000, "road": 2, "wood": 300}})
    draw_map(model, scene, tmp_path / "m.tif", legend)
    with rasterio.open(tmp_path / "m.tif") as file:
        assert file.dtypes == ("uint16",) and file.nodata == 65_535
        assert np.array_equal(file.read(1), numbers(classes, legend))


def test_the_legend_of_a_stored_model(model_dir):
    table = ClassTable(("a", "b"))
    assert legend_of(model_dir, table).numbers == (0, 1)
    assert legend_of("no such model", table).numbers == (0, 1)


def test_what_tiles_tell_is_what_a_legend_reads(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    classes = scenes.blocks(128, 256, 16)
    table = {50: {"name": "field", "colour": "#ffcc00"}, 30: "road", 70: "wood"}
    scenes.write(tmp_path / "images" / "a.tif", scenes.colours(classes))
    mask = np.array([50, 30, 70], dtype=np.uint8)[classes][None]
    scenes.write(tmp_path / "masks" / "a.tif", mask)
    data = load_dataset(
        "tiles", root=tmp_path, masks=True, crop=16, classes=table, block_crops=2, gap=0
    )
    found = make_legend(data.classes, data.info)
    assert found.names == scenes.NAMES and found.numbers == (50, 30, 70)
    assert found.colours[0] == "#ffcc00" and len(set(found.colours)) == 3
    # On the edge of its zone, where the grid is a little larger than the ground.
    assert data.info["pixel_metres"] == pytest.approx(10.001, abs=0.002)
