"""The range map of a bundled species, as files that other programs open."""

from __future__ import annotations

import json

import pyproj
import pytest
import rasterio
import shapely
import torch

from csp_core import heatmap, load_model, location_prior

NAIROBI = (36.8, -1.3)
AFRICA = ("--bounds", -20, -36, 55, 38)
CROW = "Corvus albus"


@pytest.fixture
def crow(csp, tmp_path):
    """Write the pied crow's map of Africa: a path for each ending."""

    def write(ending, *options):
        path = tmp_path / f"crow{ending}"
        code, _, err = csp("heatmap", "birds", CROW, path, *AFRICA, *options)
        assert code == 0, err
        return path

    return write


def test_the_value_at_nairobi_is_what_predict_says(csp, crow):
    with rasterio.open(crow(".tif")) as raster:
        assert raster.crs.to_epsg() == 4326 and raster.dtypes[0] == "float32"
        row, column = raster.index(*NAIROBI)
        value = raster.read(1)[row, column]
        lon, lat = raster.xy(row, column)
        assert raster.tags()["taxon"] == CROW and raster.tags()["model"] == "birds"
    code, out, err = csp("predict", "birds", "--lon", lon, "--lat", lat, "--top", 330, "--json")
    assert code == 0, err
    (line,) = (line for line in json.loads(out)["results"] if line["taxon"] == CROW)
    assert value == pytest.approx(line["value"], abs=1e-6) and value > 0.001


def test_its_outline_is_valid_and_has_the_area_of_an_equal_area_map(crow):
    told = json.loads(crow(".geojson", "--threshold", 0.02).read_text())
    area = shapely.union_all([shapely.geometry.shape(f["geometry"]) for f in told["features"]])
    assert area.is_valid and not area.is_empty
    cylindrical = pyproj.Transformer.from_crs(4326, 6933, always_xy=True).transform
    # Edges along parallels are straight there too; those of one cell need no more points.
    flat = shapely.transform(shapely.segmentize(area, 0.1), cylindrical, interleaved=False)
    measured = flat.area / 1e6
    assert told["about"]["area_above_threshold_km2"] == pytest.approx(measured, rel=0.01)


def test_the_map_equals_the_prior_at_every_tenth_cell():
    model = load_model("birds")
    raster = heatmap(model, CROW, bounds=(20, -20, 50, 20), step=0.5)
    rows, columns = torch.meshgrid(torch.arange(5, 80, 10), torch.arange(5, 60, 10), indexing="ij")
    lon = 20 + (columns.flatten() + 0.5) * 0.5
    lat = 20 - (rows.flatten() + 0.5) * 0.5
    want = location_prior(model, torch.stack((lon, lat), 1))[:, model.classes.label(CROW)]
    found = raster.values[rows.flatten(), columns.flatten()]
    assert torch.allclose(found, want, rtol=0, atol=1e-6)
