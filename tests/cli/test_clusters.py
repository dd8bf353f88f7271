"""`csp clusters`: files, what is said of them, and one sentence where it cannot be done."""

from __future__ import annotations

import csv
import json

import geopandas
import pytest
import rasterio

from csp_core import embedding_clusters, load_model
from csp_core.image import make_image_encoder
from csp_core.model import DualEncoder, Heads
from csp_core.raster import read_credit
from csp_core.store import save_model
from csp_core.training import train
from tests import small
from tests.toy import save_strange_models

QUICK = ("--points", "150", "--clusters", "3")


def test_the_command_gives_what_the_call_gives(csp, tmp_path):
    path = tmp_path / "places.parquet"
    code, said, complaint = csp("clusters", "birds", path, *QUICK, "--seed", "2", "--json")
    assert code == 0, complaint
    told = json.loads(said)
    found = embedding_clusters(load_model("birds"), count=3, points=150, seed=2)
    assert {key: told[key] for key in found.to_dict()} == json.loads(json.dumps(found.to_dict()))
    assert told["path"] == str(path) and told["ignored_date"] is False
    assert geopandas.read_parquet(path)["cluster"].tolist() == found.labels.tolist()


def test_what_is_said(csp, tmp_path):
    path = tmp_path / "places.tif"
    code, said, complaint = csp("clusters", "birds", path, *QUICK, "--date", "2025-05-01")
    assert code == 0, complaint
    assert "what it is" in said and "adjusted Rand index" in said and " % of " in said
    assert "This model has no time input" in said and f"150 places of birds to {path}" in said
    with rasterio.open(path) as file:
        tags = file.tags()
    assert tags["license"] and tags["attribution"] and tags["method"] == "kmeans"


def test_a_region_as_areas(csp, tmp_path):
    path = tmp_path / "areas.geojson"
    options = ("--bounds", "-20", "-40", "55", "40", "--step", "10", "--polygons")
    code, _, complaint = csp("clusters", "birds", path, "--clusters", "2", *options)
    assert code == 0, complaint
    assert set(geopandas.read_file(path).geom_type) == {"MultiPolygon"}


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("a.shp", [], "has no known ending; give one of .parquet"),
        ("a.tif", ["--polygons"], "written to .geojson or .parquet"),
        ("a.tif", ["--clusters", "1"], "clusters is 1; give from 2 to 100"),
        ("a.tif", ["--points", "5", "--clusters", "6"], "6 clusters of 5 points: give more points"),
        ("a.tif", ["--points", "1"], "points is 1; give from 2"),
        ("a.tif", ["--method", "ward"], "give one of kmeans, hdbscan"),
        ("a.tif", ["--projection", "tsne"], "one of pca, umap"),
        ("a.tif", ["--where", "sea"], "give one of land, world"),
        ("a.tif", ["--seed", "-1"], "The seed is -1"),
        ("a.tif", ["--bounds", "-40", "-40", "-30", "-30"], "There is no land within"),
        (
            "a.tif",
            ["--method", "hdbscan", "--points", "60", "--min-size", "55"],
            "HDBSCAN finds no",
        ),
    ],
)
def test_what_cannot_be_done(csp, tmp_path, name, options, says):
    code, said, complaint = csp("clusters", "birds", tmp_path / name, *options)
    assert code == 1 and says in complaint and not said
    assert len(complaint.strip().splitlines()) <= 2 and "Traceback" not in complaint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [("unreal", "150 of 150 vectors of model"), ("uniform", "Only 1 of 150 vectors differ")],
)
def test_embeddings_that_cannot_be_grouped(csp, tmp_path, name, says):
    save_strange_models(tmp_path)
    code, said, complaint = csp("clusters", tmp_path / name, tmp_path / "a.tif", *QUICK)
    assert code == 1 and says in complaint.replace("\n", " ") and not said
    assert "Traceback" not in complaint and not (tmp_path / "a.tif").exists()


def test_one_class_and_no_places(csp, tmp_path):
    save_strange_models(tmp_path)
    code, said, complaint = csp("clusters", tmp_path / "unary", tmp_path / "a.csv", *QUICK,
                                "--json")  # fmt: skip
    assert code == 0, complaint
    assert {fact["evidence"] for fact in json.loads(said)["facts"]} == {
        "The model ranks one class only, so none is typical."
    }
    heads = Heads(classifiers=("image",))
    image = make_image_encoder("features", 5)
    save_model(DualEncoder(image, None, classes=("a", "b"), heads=heads, name="blind").eval(),
               tmp_path / "blind")  # fmt: skip
    code, _, complaint = csp("clusters", tmp_path / "blind", tmp_path / "b.csv", *QUICK)
    assert code == 1 and "has no location encoder" in complaint.replace("\n", " ")


def test_no_such_model(csp, tmp_path):
    code, _, complaint = csp("clusters", "nothing", tmp_path / "a.tif")
    assert code == 1 and "nothing" in complaint


def test_a_series_of_a_run(csp, tmp_path, records_csv):
    run = tmp_path / "run"
    asked = small.config(records_csv, training={"epochs": 2, "threads": 1, "space_every": 1})
    train(asked, run_dir=run)
    path = tmp_path / "film.csv"
    for name in (run, run / "model"):
        code, said, complaint = csp("clusters", name, path, "--series", "--clusters", "3", "--json")
        assert code == 0, complaint
        told = json.loads(said)
        assert [frame["epoch"] for frame in told["frames"]] == [0, 1, 2]
        assert told["frames"][-1]["agreement"] == 1.0
    with path.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3 * told["points"] and {row["cluster"] for row in rows} == {"0", "1", "2"}
    assert {(row["model"], row["license"]) for row in rows} == {("run", read_credit(run).license)}
    code, said, _ = csp("clusters", run, path, "--series")
    assert code == 0 and "before training" in said and "Agreement" in said
    code, _, complaint = csp("clusters", "birds", path, "--series")
    assert code == 1 and "training.space_every=1" in complaint.replace("\n", " ")
    code, _, complaint = csp("clusters", run, tmp_path / "a.tif", "--series")
    assert code == 1 and "is written as .csv" in complaint
    assert csp("clusters", tmp_path / "nobody", path, "--series")[0] == 1
