"""Covariates of tables and rasters: values by hand, missing ones, saving, and files that fail."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
import rasterio
import torch
from rasterio import Affine

from csp_core.config import load_config, parse_config
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from csp_core.inference import location_prior
from csp_core.location import Covariates, make_location_encoder, surfaces
from csp_core.location.surfaces import read_surface, whole_cells
from csp_core.location.warped import met
from csp_core.model import DualEncoder
from csp_core.raster import GridPrior
from csp_core.store import load_model, save_model
from csp_core.training import train
from tests import small

NAN = float("nan")


def write_table(path, lon=(0.5, 1.5, 2.5), lat=(10.5, 9.5), **columns):
    """Write a table of cell centres, west to east and then north to south."""
    x, y = np.meshgrid(lon, lat)
    values = columns or {"warm": [1.0, 2, 3, 4, 5, 6]}
    table = pl.DataFrame({"lon": x.ravel(), "lat": y.ravel(), **values})
    table.write_parquet(path) if path.suffix == ".parquet" else table.write_csv(path)
    return path


def write_raster(path, values, west=0.0, north=10.0, step=1.0, crs="EPSG:4326", **options):
    """Write bands ``(C, H, W)``."""
    bands, height, width = values.shape
    names = options.pop("names", ())
    profile = {"driver": "GTiff", "count": bands, "height": height, "width": width, "crs": crs}
    profile |= {"dtype": str(values.dtype), "transform": Affine(step, 0, west, 0, -step, north)}
    with rasterio.open(path, "w", **profile, **options) as target:
        target.write(values)
        for number, name in enumerate(names, 1):
            target.set_band_description(number, name)
    return path


def at(covariates, *places):
    """Give the values in their own units, NaN where there is none."""
    value, missing = covariates(torch.tensor(places, dtype=torch.float32)).chunk(2, dim=1)
    own = value * covariates.deviation + covariates.mean
    assert (value[missing == 1] == 0).all()
    return torch.where(missing == 1, NAN, own)


def test_a_table_by_hand(tmp_path):
    made = Covariates(write_table(tmp_path / "c.csv"), step=1.0)
    assert made.columns == ("warm",) and made.bounds == (0, 9, 3, 11) and made.out_dim == 2
    got = at(made, (0.5, 10.5), (2.5, 9.5), (1.0, 10.5), (1.5, 10.0), (0.0, 11.0))
    assert got[:, 0].tolist() == pytest.approx([1, 6, 1.5, 3.5, 1], abs=1e-5)
    # Standardised over the cells: mean 3.5, deviation √(35/12).
    assert float(made.mean) == 3.5
    assert float(made.deviation) == pytest.approx(math.sqrt(35 / 12), rel=1e-6)
    feature = made(torch.tensor([[0.5, 10.5], [50.0, 0.0]]))
    assert feature[0].tolist() == pytest.approx([-2.5 / math.sqrt(35 / 12), 0])
    assert feature[1].tolist() == [0, 1]


def test_several_rows_of_a_cell_are_averaged_and_holes_have_no_value(tmp_path):
    file = tmp_path / "c.parquet"
    rows = {
        "Longitude": [0.2, 0.8, 2.5, 2.5],
        "Latitude": [0.5, 0.5, 0.5, 0.4],
        "a": [1.0, 3.0, 7.0, None],
        "word": ["x"] * 4,
    }
    pl.DataFrame(rows).write_parquet(file)
    made = Covariates(file, step=1.0, bounds=(0, 0, 4, 1))
    assert made.columns == ("a",)
    got = at(made, (0.5, 0.5), (1.5, 0.5), (2.5, 0.5), (3.5, 0.5), (1.2, 0.5))[:, 0]
    # Next to a hole the neighbour that has a value counts alone.
    assert got[0] == 2 and got[2] == 7 and got[4] == 2
    assert got[1].isnan() and got[3].isnan()


def test_columns_are_missing_one_by_one(tmp_path):
    file = write_table(tmp_path / "c.csv", a=[1.0, 2, 3, 4, 5, 6], b=[NAN, 1, 1, 1, 1, 2])
    made = Covariates(file, columns=["b", "a"], step=1.0)
    got = made(torch.tensor([[0.5, 10.5]]))[0]
    assert got[2:].tolist() == [1, 0] and got[0] == 0 and got[1] != 0


def test_a_column_that_is_the_same_everywhere_says_nothing(tmp_path):
    made = Covariates(write_table(tmp_path / "c.csv", a=[7.0] * 6), step=1.0)
    assert made(torch.tensor([[1.0, 10.0]])).tolist() == [[0, 0]]


def test_gradients_are_finite_and_reach_places(tmp_path):
    made = Covariates(write_table(tmp_path / "c.csv"), step=1.0)
    places = torch.tensor([[1.1, 10.2], [99.0, 0.0], [0.5, 10.5]], requires_grad=True)
    made(places).sum().backward()
    assert places.grad.isfinite().all() and places.grad[0].abs().min() > 0
    assert (places.grad[1] == 0).all()


def test_the_world_closes_at_the_antimeridian(tmp_path):
    lon, lat = np.arange(-175, 180, 10.0), np.arange(85, -90, -10.0)
    wave = np.tile(np.cos(np.deg2rad(lon)), len(lat))
    made = Covariates(write_table(tmp_path / "c.csv", lon, lat, wave=wave), step=10.0)
    west, east = at(made, (-179.9999, 12.0), (179.9999, 12.0))
    assert abs(float(west - east)) < 1e-4
    assert at(made, (0.0, 90.0), (0.0, -90.0), (180.0, 0.0)).isfinite().all()


def test_a_raster_by_hand(tmp_path):
    values = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    values[1, 0, 0] = -9999
    file = write_raster(tmp_path / "c.tif", values, nodata=-9999, names=["warm", ""])
    made = Covariates(file, step=1.0)
    assert made.columns == ("warm", "band_2") and made.bounds == (0, 8, 3, 10)
    got = at(made, (0.5, 9.5), (2.5, 8.5), (1.0, 9.5))
    assert got[:, 0].tolist() == pytest.approx([0, 5, 0.5], abs=1e-5)
    assert got[0, 1].isnan() and got[1:, 1].tolist() == pytest.approx([11, 7], abs=1e-5)
    assert Covariates(file, columns=[2], step=1.0).columns == ("band_2",)
    assert Covariates(file, columns=["warm"], step=1.0).columns == ("warm",)


def test_what_is_finer_than_a_cell_is_averaged(tmp_path):
    values = np.arange(16, dtype=np.int16).reshape(1, 4, 4)
    made = Covariates(write_raster(tmp_path / "c.tif", values, step=0.5), step=1.0)
    got = at(made, (0.5, 9.5), (1.5, 8.5))[:, 0]
    assert got.tolist() == pytest.approx([2.5, 12.5], abs=1e-4)


def test_longitudes_from_0_to_360(tmp_path):
    lon = np.arange(5, 360, 10.0)
    values = np.broadcast_to(lon, (1, 18, 36)).astype(np.float32).copy()
    file = write_raster(tmp_path / "c.tif", values, north=90.0, step=10.0)
    made = Covariates(file, step=10.0)
    assert made.bounds == (-180, -90, 180, 90) and made.known.all()
    assert at(made, (5.0, 0.0), (-5.0, 0.0), (-175.0, 0.0))[:, 0].tolist() == pytest.approx(
        [5, 355, 185], abs=1e-3
    )


def test_a_raster_in_another_reference_system(tmp_path):
    # Equal-area of Europe; the value is the easting, in thousand kilometres.
    values = np.broadcast_to(np.linspace(3.0, 6.0, 60), (1, 40, 60)).astype(np.float32).copy()
    file = write_raster(
        tmp_path / "c.tif", values, 3_000_000, 4_000_000, 3_000_000 / 59, crs="EPSG:3035"
    )
    made = Covariates(file, step=0.5)
    # The origin of EPSG:3035, 10° E 52° N, lies at the easting 4,321,000.
    near = at(made, (10.0, 52.0))
    west, south, east, north = made.bounds
    assert west < 10 < east and south < 52 < north
    lon = at(made, (10.0, 45.0), (14.0, 45.0))[:, 0]
    assert 4.2 < float(lon[0]) < 4.45 and lon[1] > lon[0]
    assert near.isnan().all() or 4.2 < float(near) < 4.45


def test_a_saved_model_needs_no_file(tmp_path):
    file = write_table(tmp_path / "c.csv")
    network = {"name": "residual_mlp", "hidden_dim": 16}
    options = {"source": str(file), "step": 1.0}
    encoder = make_location_encoder("xyz", 8, network=network, time=True, covariates=options)
    model = DualEncoder(None, encoder, dim=8, classes=["a", "b"]).eval()
    save_model(model, tmp_path / "m")
    file.unlink()
    again = load_model(tmp_path / "m")
    places = torch.tensor([[0.7, 10.1], [2.2, 9.6], [100.0, 0.0]])
    assert torch.equal(location_prior(again, places), location_prior(model, places))
    assert again.location.spec["covariates"] == {
        "columns": ["warm"], "step": 1.0, "bounds": [0.0, 9.0, 3.0, 11.0]
    }  # fmt: skip
    assert "source" not in (tmp_path / "m" / "config.json").read_text(encoding="utf-8")
    assert again.location.covariates.mean == 3.5


@pytest.mark.parametrize("encoding", ["harmonics", "tile", "rff_sphere"])
def test_a_map_equals_place_by_place(encoding, tmp_path):
    lon, lat = np.arange(-179, 180, 2.0), np.arange(59, -60, -2.0)
    x, y = np.meshgrid(lon, lat)
    hole = np.where(x > 100, NAN, np.sin(np.deg2rad(2 * x)))
    file = write_table(tmp_path / "c.csv", lon, lat, a=np.cos(y).ravel(), b=hole.ravel())
    torch.manual_seed(0)
    options = {"source": str(file), "step": 2.0}
    encoder = make_location_encoder(encoding, 12, time=True, covariates=options)
    model = DualEncoder(None, encoder, dim=12, classes=list("abcd")).eval()
    grid = GridPrior(model, step=10.0, date=0.2)
    places = grid.grid.lonlat()
    when = torch.full((len(places),), 0.2)
    want = location_prior(model, places, date=when)[:, 1].view(grid.grid.shape)
    torch.testing.assert_close(grid.values(1), want, rtol=1e-3, atol=1e-7)


def test_training_from_a_configuration(tmp_path, records_csv):
    lon, lat = np.arange(-175, 180, 10.0), np.arange(85, -90, -10.0)
    warm = np.repeat(np.cos(np.deg2rad(lat)), len(lon))
    write_table(tmp_path / "climate.csv", lon, lat, warm=warm)
    tree = small.tree(records_csv, training={"epochs": 1})
    tree["model"]["location"]["covariates"] = {"source": "climate.csv", "step": 10.0}
    import yaml

    (tmp_path / "run.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    config = load_config(tmp_path / "run.yaml")
    assert config.model.location.options["covariates"]["source"] == str(tmp_path / "climate.csv")
    # Cut to its last part in the model's own files, which name no folder.
    kept = config.without_folders()["model"]["location"]["covariates"]
    assert kept["source"] == "climate.csv"
    model = train(config, run_dir=tmp_path / "run").model
    assert model.location.covariates.columns == ("warm",)
    (tmp_path / "climate.csv").unlink()
    assert load_model(tmp_path / "run").location.covariates.known.all()
    text = (tmp_path / "run" / "model" / "config.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "need a source"),
        ("climate.tif", "give options, such as"),
        ({"source": "x.csv", "steps": 1}, "no option 'steps'"),
        ({"source": "x.csv", "step": "wide"}, "step is 'wide'"),
    ],
)
def test_a_configuration_with_wrong_covariates_is_refused(tmp_path, options, says):
    location = {"name": "xyz", "covariates": options}
    with pytest.raises(ConfigError, match=says):
        parse_config(small.tree(tmp_path, model={"location": location}))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"columns": ["cold"]}, "no column of numbers 'cold'.* warm"),
        ({"columns": []}, "no column of numbers"),
        ({"step": 0.7}, "divide 180"),
        ({"step": 0.0}, "divide 180"),
        ({"bounds": (10, 0, 5, 1)}, "west below east"),
        ({"bounds": (0, 0, 400, 1)}, "west below east"),
        ({"bounds": (-180, -90, 180, 90), "step": 0.01}, "at most 32,000,000.*larger step"),
    ],
)
def test_wrong_options(tmp_path, options, says):
    with pytest.raises(ConfigError, match=says):
        Covariates(write_table(tmp_path / "c.csv"), **{"step": 1.0} | options)


def test_a_raster_without_a_reference_system_is_refused(tmp_path):
    values = np.ones((1, 2, 2), dtype=np.float32)
    file = write_raster(tmp_path / "bare.tif", values, crs=None)
    with pytest.raises(BadRecordError, match="names no coordinate reference system"):
        Covariates(file, step=1.0)


def test_unknown_bands_are_refused(tmp_path):
    file = write_raster(tmp_path / "c.tif", np.ones((2, 2, 2), dtype=np.float32))
    for band in (0, 3, "warm"):
        with pytest.raises(ConfigError, match="its bands are 1 to 2"):
            Covariates(file, columns=[band], step=1.0)


def test_files_that_fail(tmp_path):
    with pytest.raises(DataNotFoundError, match="not there"):
        Covariates(tmp_path / "none.tif")
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(BadRecordError, match="cannot be read as a raster"):
        Covariates(tmp_path / "text.tif")
    (tmp_path / "broken.parquet").write_text("no table")
    with pytest.raises(BadRecordError, match="cannot be read as a table"):
        Covariates(tmp_path / "broken.parquet")
    (tmp_path / "places.csv").write_text("x,y,a\n1,2,3\n")
    with pytest.raises(BadRecordError, match=r"'lon'.*x, y, a"):
        Covariates(tmp_path / "places.csv")
    (tmp_path / "far.csv").write_text("lon,lat,a\n200,2,3\n")
    with pytest.raises(BadRecordError, match="-180, 180"):
        Covariates(tmp_path / "far.csv")
    (tmp_path / "empty.csv").write_text("lon,lat,a\n1,2,3.5\n2,2,\n")
    with pytest.raises(BadRecordError, match="'a' has no value"):
        Covariates(tmp_path / "empty.csv", bounds=(100, 0, 110, 10))


def test_an_empty_grid_needs_its_shape():
    with pytest.raises(ConfigError, match="need a source"):
        Covariates()
    made = Covariates(**Covariates.example_options)
    assert made(torch.tensor([[0.0, 0.0]])).tolist() == [[0, 0, 1, 1]]


def test_bounds_grow_to_whole_cells():
    assert whole_cells((-179.9, -89.9, 179.9, 89.9), 1.0) == (-180, -90, 180, 90)
    assert whole_cells((5.0, 45.0, 10.0, 48.0), 0.5) == (5, 45, 10, 48)


def test_the_limit_is_told_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(surfaces, "MAX_VALUES", 5)
    with pytest.raises(ConfigError, match="are 6 values"):
        read_surface(write_table(tmp_path / "c.csv"), None, 1.0, None)


CODED = {
    "int16": (-32768, -9999, -999),
    "float32": (-9999, -999.9, -3.4028234663852886e38, 9.969209968386869e36, 1e20, -99999, 9999),
    "float64": (-9999, -1.7976931348623157e308),
    "uint8": (255,),
    "uint16": (65535,),
    "int32": (-2147483648, -9999),
}


@pytest.mark.parametrize(("kind", "code"), [(k, c) for k, each in CODED.items() for c in each])
def test_a_raster_that_does_not_declare_its_holes(tmp_path, caplog, kind, code):
    """Elevations beside a code that no header names: the code is never an elevation."""
    values = np.arange(16, dtype=kind).reshape(1, 4, 4) * 10
    values[0, :, 2:] = code
    made = Covariates(write_raster(tmp_path / "a.tif", values, names=("height",)), step=2.0)
    got = at(made, (1.0, 9.0), (1.0, 7.0), (3.0, 9.0), (3.0, 7.0))[:, 0].tolist()
    assert got[:2] == pytest.approx([25, 105]) and all(map(math.isnan, got[2:]))
    assert "'height' holds" in caplog.text and "8 times" in caplog.text


def test_each_band_has_a_code_of_its_own(tmp_path):
    values = np.arange(32, dtype="float32").reshape(2, 4, 4)
    values[0, 0], values[1, 3] = -9999, -999
    made = Covariates(write_raster(tmp_path / "a.tif", values), step=1.0)
    assert made.known.sum(dim=(1, 2)).tolist() == [12, 12]
    assert made.mean.tolist() == pytest.approx([values[0, 1:].mean(), values[1, :3].mean()])


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("int16", [-999, -998, -950, 12]),  # a depth
        ("int16", [-11000, -9999, -9000, 8000]),
        ("uint8", [255, 254, 250, 3]),
        ("float32", [99, 98.5, 97, 3]),
        ("float32", [999, 400, 300, 3]),  # a single one may be the largest value
        ("int16", [255, 254, 2, 3]),
    ],
)
def test_values_near_a_code_are_values(tmp_path, caplog, kind, values):
    grid = np.array(values, dtype=kind).reshape(1, 2, 2)
    made = Covariates(write_raster(tmp_path / "a.tif", grid), step=1.0)
    assert made.known.all() and float(made.mean) == pytest.approx(np.mean(values))
    assert not caplog.text


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("uint8", [0, 255, 0, 255]),
        ("uint8", [0, 1, 255, 255]),
        ("uint8", [0, 85, 170, 255] * 2),
        ("uint8", [0, 64, 128, 191, 255, 255]),
        ("uint16", [0, 65535, 0, 65535]),
        ("float32", [40, 60, 85, 99, 99]),
        ("float32", [0.5, 2, 3, 99.9, 99.9, 99.99, 99.99]),
        ("int16", [5, 300, -99]),
        ("int16", [5, 300, 12, -99, -99]),
        ("int16", [5, 300, 12, 40, -999]),
        ("int16", [0, 1, 1, -999, -999]),
        ("float64", [1e18, 5e18, 8e18, 3e18]),  # molecules of ozone above a square centimetre
    ],
)
def test_values_that_might_be_codes_stay(tmp_path, caplog, kind, values):
    grid = np.array(values, dtype=kind).reshape(1, 1, -1)
    made = Covariates(write_raster(tmp_path / "a.tif", grid), step=1.0)
    assert made.known.all() and float(made.mean) == pytest.approx(np.mean(values))
    assert not caplog.text
    lon = np.arange(0.5, len(values))
    made = Covariates(write_table(tmp_path / "c.csv", lon, [10.5], a=values), step=1.0)
    assert made.known.all() and not caplog.text


def test_the_largest_of_8_bits_beside_shares_is_no_value(tmp_path):
    grid = np.array([[0, 20, 55, 100, 255, 255]], dtype="uint8")[None]
    made = Covariates(write_raster(tmp_path / "a.tif", grid), step=1.0)
    assert made.known.sum() == 4 and float(made.mean) == 43.75


def row(made):
    """The values of one row of cells of 1°, from 0° on."""
    width = made.known.shape[-1]
    return at(made, *((x + 0.5, 9.5) for x in range(width)))[:, 0].tolist()


@pytest.mark.parametrize(
    ("kind", "values", "nodata", "right"),
    [
        ("uint8", [0, 1, 2, 99], 0, [NAN, 1, 2, 99]),
        ("uint8", [0, 1, 2, 255], 0, [NAN, 1, 2, 255]),
        ("uint8", [0, 1, 2, 3, 255, 255], 0, [NAN, 1, 2, 3, 255, 255]),
        ("int16", [5, 300, 12, -99, -9999], -9999, [5, 300, 12, -99, NAN]),
        ("int16", [5, 300, 12, -9999, -32768], -32768, [5, 300, 12, NAN, NAN]),
        ("float32", [5, 300, 12, -9999, NAN], NAN, [5, 300, 12, NAN, NAN]),
        ("float32", [5, 300, 12, 1e20, 1e20, NAN], NAN, [5, 300, 12, NAN, NAN, NAN]),
        ("float32", [5, 300, 12, -9999, -3.4e38, 1e35], None, [5, 300, 12, NAN, NAN, NAN]),
        ("int16", [5, 300, 12, -999, -999, -9999], None, [5, 300, 12, -999, -999, NAN]),
        ("float32", [5, -200, -9999, -9500, -32768], -32768, [5, -200, -9999, -9500, NAN]),
    ],
)
def test_several_codes_and_codes_beside_the_declared(tmp_path, kind, values, nodata, right):
    grid = np.array(values, dtype=kind)[None, None]
    made = Covariates(write_raster(tmp_path / "a.tif", grid, nodata=nodata), step=1.0)
    assert row(made) == pytest.approx(right, abs=0.02, nan_ok=True)


def test_fill_values_that_were_averaged_are_no_values(tmp_path, caplog):
    values = np.arange(64, dtype="float32").reshape(1, 8, 8)
    values[0, 0], values[0, 7, 1:] = np.linspace(-3.4e38, -1e31, 8), -9999
    made = Covariates(write_raster(tmp_path / "a.tif", values), step=1.0)
    # 8 to 56 remain.
    assert made.known.sum() == 49 and float(made.mean) == pytest.approx(32)
    assert caplog.text.count("holds") == 4


def test_codes_that_stay_are_told(tmp_path, caplog):
    grid = np.array([5, 300, 12, -999, -999, -9999], dtype="int16")[None, None]
    Covariates(write_raster(tmp_path / "a.tif", grid), step=1.0)
    assert "holds -9999 1 times, far from all its other values; it is taken for" in caplog.text
    assert "holds -999 2 times, far from all its other values; it stays" in caplog.text


@pytest.mark.parametrize("blocks", [{}, {"tiled": True, "blockxsize": 16, "blockysize": 16}])
def test_a_mask_of_the_file_counts_beside_a_code(tmp_path, blocks):
    values = np.arange(40 * 40, dtype="float32").reshape(1, 40, 40)
    values[0, 0, :3] = -9999, 77, 9
    file = write_raster(tmp_path / "a.tif", values, **blocks)
    with rasterio.open(file, "r+") as target:
        target.write_mask(values[0] != 77)
    made = Covariates(file, step=1.0, bounds=(0, 8, 4, 10))
    # The 77 of the second row is masked, too.
    assert row(made) == pytest.approx([NAN, NAN, 9, 3], abs=1e-3, nan_ok=True)
    assert at(made, (1.5, 8.5), (3.5, 8.5))[:, 0].tolist() == pytest.approx([41, 43], abs=1e-3)


def test_codes_of_longitudes_from_0_to_360(tmp_path):
    values = np.broadcast_to(np.arange(5, 360, 10.0), (1, 18, 36)).astype("float32").copy()
    values[0, ::2, 30], values[0, 1::2, 31] = -9999, -32768
    blocks = {"tiled": True, "blockxsize": 16, "blockysize": 16}
    file = write_raster(tmp_path / "c.tif", values, north=90.0, step=10.0, **blocks)
    made = Covariates(file, step=10.0, bounds=(-70, 0, -30, 20))
    got = at(made, (-55.0, 15.0), (-55.0, 5.0), (-45.0, 15.0), (-45.0, 5.0), (-35.0, 5.0))[:, 0]
    assert got.tolist() == pytest.approx([305, NAN, NAN, 315, 325], abs=1e-3, nan_ok=True)


def test_only_blocks_of_the_bounds_are_looked_at(tmp_path):
    blocks = {"tiled": True, "blockxsize": 16, "blockysize": 16}
    file = write_raster(tmp_path / "a.tif", np.ones((1, 90, 180), "uint8"), -180, 90, 2.0, **blocks)
    with rasterio.open(file) as source:
        assert len([*met(source, 1, [(-180, -90, 180, 90)])]) == 6 * 12
        found = [(w.col_off, w.row_off) for w in met(source, 1, [(0, 0, 6, 6)])]
        # Two cells beside an edge are needed to average what lies on it.
        assert found == [(80, 32)]
        assert len([*met(source, 1, [(0, 0, 6, 6), (-20, 0, -19, 6)])]) == 2


@pytest.mark.parametrize(
    ("crs", "west", "north", "step", "place"),
    [
        ("EPSG:3995", -3e6, 3e6, 5e4, (10.0, 75.0)),  # around the pole
        ("EPSG:3035", 2.5e6, 5.5e6, 5e4, (10.0, 52.0)),
        ("EPSG:4807", -10, 70, 0.5, (2.4, 46.8)),  # grads from Paris
    ],
)
def test_bounds_of_other_systems_miss_no_block(
    tmp_path, monkeypatch, crs, west, north, step, place
):
    """What is read near a place is the same whether all or a part is looked at."""
    values = np.random.default_rng(0).uniform(0, 9, (1, 128, 128)).astype("float32")
    values[0, ::3], values[0, 1, 1] = -9999, -32768
    blocks = {"tiled": True, "blockxsize": 16, "blockysize": 16}
    file = write_raster(tmp_path / "a.tif", values, west, north, step, crs=crs, **blocks)
    lon, lat = place
    near = read_surface(file, None, 1.0, (lon - 3, lat - 3, lon + 3, lat + 3))
    monkeypatch.setattr("csp_core.location.warped._pixels", lambda source, area: None)
    whole = read_surface(file, None, 1.0, near.bounds)
    assert near.values.isfinite().any() and float(near.values.nan_to_num().min()) >= 0
    torch.testing.assert_close(near.values, whole.values, equal_nan=True)


def test_codes_in_a_table_are_no_values(tmp_path, caplog):
    table = write_table(tmp_path / "c.csv", warm=[1.0, 2, -9999, 4, 5, -9999])
    made = Covariates(table, step=1.0)
    assert made.known.sum() == 4 and float(made.mean) == 3
    assert "'warm' holds -9999 2 times" in caplog.text
