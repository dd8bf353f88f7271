"""``csp heatmap``: what it writes and prints, and that it fails in one line."""

from __future__ import annotations

import json

import pytest
import rasterio
import shapely
import zarr

from csp_core import heatmap, load_model
from tests import small

HERE = ("--bounds", 20, -20, 50, 20, "--step", 2)


@pytest.fixture
def draw_map(csp, model_dir):
    """Run ``csp heatmap MODEL …`` in this process: exit code, output, errors."""
    return lambda *arguments: csp("heatmap", model_dir, *arguments)


def ok(result):
    code, out, err = result
    assert code == 0, err
    return out


def fails(result, *says):
    code, out, err = result
    assert code == 1 and out == ""
    assert err.startswith("Error: ") and err.count("\n") == 1 and "Traceback" not in err
    for part in says:
        assert part in err


def test_geotiff(draw_map, model_dir, tmp_path):
    out = ok(draw_map("High Aba", tmp_path / "map.tif", *HERE))
    assert out.startswith("Wrote Aba alta by tiny to ") and "not the chance" in out
    raster = heatmap(load_model(model_dir), "Aba alta", bounds=(20, -20, 50, 20), step=2.0)
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.read(1).tolist() == raster.values.tolist()
        assert file.tags()["model"] == "tiny"


def test_json(draw_map, tmp_path):
    path = tmp_path / "map.png"
    options = (*HERE, "--threshold", 0.2, "--date", "2024-05-01", "--json")
    told = json.loads(ok(draw_map("0", path, *options)))
    assert list(told) == [
        "path", "model", "taxon", "common_name", "kind", "unit", "date", "bounds", "step", "width",
        "height", "land_only", "largest_value", "extrapolated_share_of_cells",
        "area_above_threshold_km2", "of_which_extrapolated_km2", "threshold", "ignored_date",
    ]  # fmt: skip
    assert path.is_file() and told["taxon"] == "Aba alta" and told["bounds"] == [20, -20, 50, 20]
    assert told["threshold"]["value"] == 0.2 and told["threshold"]["method"] == "given"
    assert told["ignored_date"] is True and told["date"] is None
    assert 0 < told["of_which_extrapolated_km2"] < told["area_above_threshold_km2"]


def test_a_date_that_changes_nothing_is_told(draw_map, tmp_path):
    out = ok(draw_map("0", tmp_path / "map.tif", *HERE, "--date", "2024-02-29"))
    assert "This model has no time input: the date changes nothing." in out


@pytest.mark.parametrize("method", ["max_tss", "recall_90"])
def test_a_fitted_threshold(draw_map, records_csv, tmp_path, method):
    path = tmp_path / "area.geojson"
    fitted = ("--threshold", method, "--records", records_csv)
    out = ok(draw_map("Aba alta", path, *HERE, *fitted))
    assert f"({method}): of " in out and "held-out records of it" in out
    assert "It is not the size of a range." in out
    content = json.loads(path.read_text())
    assert content["about"]["threshold_method"] == method
    assert shapely.geometry.shape(content["features"][0]["geometry"]).is_valid
    told = json.loads(ok(draw_map("Aba alta", path, *HERE, *fitted, "--tolerance", 2, "--json")))
    # Of 600 records, 60 are held out.
    assert told["threshold"]["presences"] + told["threshold"]["background"] == 60
    assert told["threshold"]["recall"] >= 0.5


def test_no_cell_above_the_threshold(draw_map, tmp_path):
    out = ok(draw_map("Aba alta", tmp_path / "area.geojson", *HERE, "--threshold", 0.9999))
    assert "No cell reaches the threshold of 0.9999; the largest value is" in out
    assert "The area is 0 km²." in out
    assert json.loads((tmp_path / "area.geojson").read_text())["features"] == []


def test_zarr(draw_map, tmp_path):
    told = json.loads(ok(draw_map("Dora alta", tmp_path / "map.zarr", "--step", 5, "--json")))
    assert (told["taxon"], told["width"], told["height"]) == ("Dora alta", 72, 36)
    assert zarr.open_group(tmp_path / "map.zarr", mode="r")["value"].shape == (36, 72)
    assert "Wrote Dora alta" in ok(draw_map("Dora alta", tmp_path / "map.zarr", "--step", 10))


@pytest.mark.parametrize(
    ("taxon", "file", "options", "says"),
    [
        ("Aba alta", "map.gif", (), "give one of .tif, .tiff, .geojson, .png, .zarr"),
        ("Aba alta", "map", (), "no known ending"),
        ("Aba ata", "map.tif", (), "Did you mean 'Aba alta'?"),
        ("77", "map.tif", (), "Unknown class number 77. Known: 0 to 5"),
        ("0", "map.geojson", (), "give --threshold, such as 0.02"),
        ("0", "map.tif", ("--threshold", 1.5), "give a value from 0 to 1"),
        ("0", "map.tif", ("--threshold", "best"), "Unknown threshold 'best'"),
        ("0", "map.tif", ("--threshold", "max_tss"), "give them by --records FILE"),
        ("0", "map.tif", ("--records", "x.csv"), "add --threshold max_tss"),
        ("0", "map.tif", ("--threshold", 0.1, "--records", "x.csv"), "leave one of the two out"),
        ("0", "map.tif", ("--threshold", "max_tss", "--records", "absent.csv"), "absent.csv"),
        ("0", "map.tif", ("--tolerance", 1), "only .geojson has"),
        ("0", "map.geojson", ("--threshold", 0.1, "--tolerance", -1), "tolerance is -1"),
        ("0", "map.tif", ("--step", 0.7), "divides 180"),
        ("0", "map.tif", ("--bounds", 0, 10, 10, 5), "south below north"),
        ("0", "map.tif", ("--date", "2023-02-29"), "'2023-02-29' is no date"),
        ("0", "file/map.tif", (), "is a file, not a folder"),
        ("0", "file/map.zarr", (), "is a file, not a folder"),
        ("0", "map.tif", ("--step", 0.001), "are too many to hold"),
    ],
)
def test_what_does_not_fit(draw_map, tmp_path, taxon, file, options, says):
    (tmp_path / "file").touch()
    fails(draw_map(taxon, tmp_path / file, "--step", 10, *options), says)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_no_held_out_record_of_the_class(draw_map, tmp_path):
    records = tmp_path / "records.csv"
    records.write_text("species,lon,lat\nAba bassa,36,-1\nCeta alta,16,48\n")
    options = ("--threshold", "max_tss", "--records", records)
    fails(draw_map("Aba alta", tmp_path / "map.tif", *HERE, *options), "None of 2 held-out records")


def test_help(draw_map):
    assert small.NAMES[0] == "Aba alta"
    out = ok(draw_map("--help"))
    assert "W above E crosses the antimeridian" in out
