"""Clusters as files, opened again by what people open them with."""

from __future__ import annotations

import csv
import json

import geopandas
import numpy as np
import polars
import pytest
import rasterio
import torch
from PIL import Image

from csp_core import embedding_clusters, load_model
from csp_core.errors import BadRecordError, ConfigError
from csp_core.inference import clusters as room
from csp_core.inference.clusters.written import NO_DATA, labels_on_grid
from csp_core.land import on_land

FIJI = (165.0, -50.0, -175.0, -10.0)


@pytest.fixture(scope="module")
def found():
    return embedding_clusters(load_model("birds"), count=4, points=400)


@pytest.fixture(scope="module")
def fiji():
    return embedding_clusters(load_model("birds"), count=3, points=60, bounds=FIJI)


def check_points(frame, found):
    assert frame.crs.to_epsg() == 4326 and len(frame) == 400
    assert set(frame.geom_type) == {"Point"}
    assert frame["cluster"].tolist() == found.labels.tolist()
    at = np.stack((frame.geometry.x, frame.geometry.y), axis=1)
    assert np.allclose(at, found.sample.lonlat.numpy(), atol=1e-5)
    assert frame["area_km2"].sum() == pytest.approx(float(found.sample.area_km2.sum()), rel=1e-5)
    assert frame["colour"][0] == found.colours[int(found.labels[0])]


def check_areas(frame, found):
    assert frame.crs.to_epsg() == 4326 and len(frame) == len(found.facts)
    assert frame.geometry.is_valid.all() and set(frame.geom_type) == {"MultiPolygon"}
    assert frame["name"].tolist() == [fact.name for fact in found.facts]
    # Every place lies in the area of its cluster.
    points = geopandas.points_from_xy(*found.sample.lonlat.double().numpy().T, crs=4326)
    inside = [
        bool(frame.geometry[label].intersects(point))
        for label, point in zip(found.labels.tolist(), points, strict=True)
    ]
    assert np.mean(inside) > 0.95


def test_geoparquet(found, tmp_path):
    found.to_files(tmp_path / "points.parquet", license="CC0-1.0")
    check_points(geopandas.read_parquet(tmp_path / "points.parquet"), found)
    table = polars.read_parquet(tmp_path / "points.parquet")
    assert table["lon"].len() == 400 and table["cluster"].to_list() == found.labels.tolist()
    room.write_clusters(found, tmp_path / "areas.parquet", polygons=True)
    check_areas(geopandas.read_parquet(tmp_path / "areas.parquet"), found)


def test_geojson(found, tmp_path):
    room.write_clusters(found, tmp_path / "points.geojson", attribution="Records by nobody.")
    check_points(geopandas.read_file(tmp_path / "points.geojson"), found)
    plain = json.loads((tmp_path / "points.geojson").read_text("utf-8"))
    assert "Records by nobody." in plain["description"] and "model: birds" in plain["description"]
    room.write_clusters(found, tmp_path / "areas.geojson", polygons=True)
    check_areas(geopandas.read_file(tmp_path / "areas.geojson"), found)


def test_geopackage(found, tmp_path):
    room.write_clusters(found, tmp_path / "both.gpkg")
    assert set(geopandas.list_layers(tmp_path / "both.gpkg")["name"]) == {"places", "clusters"}
    check_points(geopandas.read_file(tmp_path / "both.gpkg", layer="places"), found)
    check_areas(geopandas.read_file(tmp_path / "both.gpkg", layer="clusters"), found)


def test_geotiff(found, tmp_path):
    room.write_clusters(found, tmp_path / "labels.tif", license="CC0-1.0")
    with rasterio.open(tmp_path / "labels.tif") as file:
        assert file.crs.to_epsg() == 4326 and file.dtypes == ("int16",) and file.nodata == NO_DATA
        assert tuple(file.bounds) == (-180, -90, 180, 90)
        labels, tags = file.read(1), file.tags()
        at = [value[0] for value in file.sample(found.sample.lonlat.tolist())]
    # A place and its cell's middle may lie on two sides of a border or a shore.
    same = np.array(at) == found.labels.numpy()
    assert same[np.array(at) != NO_DATA].mean() > 0.97 and (np.array(at) == NO_DATA).mean() < 0.05
    assert set(np.unique(labels)) == {NO_DATA, 0, 1, 2, 3}
    assert tags["model"] == "birds" and tags["seed"] == "0" and tags["license"] == "CC0-1.0"
    assert tags["cluster_2"] == found.facts[2].name and tags["colour_2"] == found.colours[2]


def test_cells_keep_their_labels(tmp_path):
    found = embedding_clusters(load_model("birds"), count=3, step=5.0)
    grid, labels = labels_on_grid(found)
    land = on_land(grid.lonlat()).numpy().reshape(grid.shape)
    assert grid.step == 5.0 and labels[land].tolist() == found.labels.tolist()
    assert set(labels[~land].tolist()) == {NO_DATA}


def test_over_the_antimeridian(fiji, tmp_path):
    for name in ("a.tif", "a.geojson", "a.png"):
        room.write_clusters(fiji, tmp_path / name, polygons=name.endswith("json"))
    with rasterio.open(tmp_path / "a.tif") as file:
        assert file.bounds.left == 165 and file.bounds.right == 185
    frame = geopandas.read_file(tmp_path / "a.geojson")
    assert frame.total_bounds[0] >= -180 and frame.total_bounds[2] <= 180


def test_csv(found, tmp_path):
    named = {"license": "CC0-1.0", "attribution": "=Records by nobody.", "people": "Ada, Ben"}
    room.write_clusters(found, tmp_path / "points.csv", **named)
    with (tmp_path / "points.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["cluster"]) for row in rows] == found.labels.tolist()
    assert list(rows[0]) == [
        *("lon", "lat", "cluster", "name", "colour", "area_km2", "x", "y", "rgb"),
        *("model", "license", "attribution"),
    ]
    assert rows[0] == rows[0] | {"model": "birds", "license": "CC0-1.0"}
    assert rows[-1]["attribution"] == "'=Records by nobody."


def test_files_name_everybody(found, tmp_path):
    named = {"license": "CC0-1.0", "attribution": "Records by two.", "people": "Ada, Ben"}
    for ending in (".parquet", ".geojson", ".gpkg", ".tif", ".png"):
        room.write_clusters(found, tmp_path / f"a{ending}", **named)
    frame = geopandas.read_parquet(tmp_path / "a.parquet")
    with rasterio.open(tmp_path / "a.tif") as file:
        for notes in (frame.attrs, file.tags()):
            kept = (notes["license"], notes["attribution"], notes["recorders"])
            assert kept == tuple(named.values())
    told = json.loads((tmp_path / "a.geojson").read_text("utf-8"))["description"]
    assert "attribution: Records by two.; recorders: Ada, Ben" in told
    assert b"recorders: Ada, Ben" in (tmp_path / "a.gpkg").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        texts = picture.info
    assert texts["Author"] == "Ada, Ben" and texts["Copyright"] == "CC0-1.0"
    assert texts["Source"] == "model birds" and texts["Description"] == "Records by two."


def test_picture(found, tmp_path):
    room.write_clusters(found, tmp_path / "map.png", attribution="Records by $nobody$.")
    with Image.open(tmp_path / "map.png") as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}
    for colour in found.colours.values():
        assert tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) in colours


def test_noise_is_told_from_no_data(found, tmp_path):
    from dataclasses import replace

    labels = found.labels.clone()
    labels[found.sample.lonlat[:, 1] > 40] = -1
    facts = tuple(room.describe(load_model("birds"), found.sample, labels))
    noisy = replace(found, labels=labels, facts=facts)
    for name in ("n.tif", "n.gpkg", "n.png", "n.csv"):
        room.write_clusters(noisy, tmp_path / name)
    with rasterio.open(tmp_path / "n.tif") as file:
        assert {NO_DATA, -1} <= set(np.unique(file.read(1)).tolist())
        assert file.tags()["cluster_noise"] == "in no cluster"
    frame = geopandas.read_file(tmp_path / "n.gpkg", layer="clusters")
    assert frame["cluster"].tolist()[-1] == -1


@pytest.mark.parametrize("ending", sorted(room.WRITERS))
def test_a_file_is_there_whole_or_not_at_all(found, tmp_path, ending, monkeypatch):
    path = tmp_path / f"out{ending}"
    path.write_text("before")
    room.write_clusters(found, path)
    assert path.stat().st_size > 1000
    assert [file.name for file in tmp_path.iterdir()] == [path.name]

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    whole = path.read_bytes()
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(BadRecordError, match=r"Cannot write .*No space left"):
        room.write_clusters(found, path)
    assert path.read_bytes() == whole
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_files_that_are_refused(found, tmp_path):
    with pytest.raises(ConfigError, match=r"no known ending; give one of \.parquet"):
        room.write_clusters(found, tmp_path / "a.shp")
    with pytest.raises(ConfigError, match=r"written to \.geojson or \.parquet, not to \.tif"):
        room.write_clusters(found, tmp_path / "a.tif", polygons=True)
    with pytest.raises(BadRecordError, match="it is a folder"):
        (tmp_path / "b.csv").mkdir()
        room.write_clusters(found, tmp_path / "b.csv")
    assert torch.equal(found.labels, found.labels.clamp(min=0))
