"""Rasters: grids of cells, a class on them, what is kept for the next class, and thresholds."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch

from csp_core import geo, heatmap, load_model, location_prior
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.errors import BadRecordError, ConfigError, UnknownNameError
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder, make_baseline
from csp_core.raster import (
    GridPrior,
    fit_class_threshold,
    fit_threshold,
    forget_grids,
    given_threshold,
    make_grid,
    prior,
    read_geotiff,
    read_held_out,
    write_geojson,
    write_geotiff,
    write_zarr,
)
from tests import small

FIJI = (170, -25, -170, -10)


@pytest.fixture
def model(model_dir):
    return load_model(model_dir)


@pytest.fixture(autouse=True)
def _no_grids():
    forget_grids()
    yield
    forget_grids()


class Places:
    """A prior that answers with the place and the date, so that order shows."""

    name, prior_kind, support = "places", "relative", None
    classes = ClassTable(("lon", "lat", "date"))

    def __init__(self, uses_date=False):
        self.uses_date, self.asked = uses_date, 0

    def prior(self, lonlat, date=None):
        self.asked += 1
        when = torch.zeros(len(lonlat)) if date is None else date
        return torch.stack(((lonlat[:, 0] + 180) / 360, (lonlat[:, 1] + 90) / 180, when), dim=1)


# grids


def test_the_world():
    grid = make_grid()
    assert grid.shape == (360, 720) and grid.bounds == (-180, -90, 180, 90) and not grid.crosses
    assert (grid.lon[0], grid.lon[-1]) == (-179.75, 179.75)
    assert (grid.lat[0], grid.lat[-1]) == (89.75, -89.75)
    assert grid.lonlat()[1].tolist() == [-179.25, 89.75]


@pytest.mark.parametrize(
    ("bounds", "step", "found", "shape"),
    [
        ((5.9, 45.8, 10.5, 47.8), 0.5, (5.5, 45.5, 10.5, 48), (5, 10)),
        ((0.3, 0.1, 0.6, 0.2), 0.1, (0.3, 0.1, 0.6, 0.2), (1, 3)),
        ((170, -20, -175, -10), 1, (170, -20, -175, -10), (10, 15)),
        ((180, -20, -175, -10), 1, (-180, -20, -175, -10), (10, 5)),
        ((170, -20, -180, -10), 1, (170, -20, 180, -10), (10, 10)),
        ((0.1, -90, 0, 90), 0.5, (-180, -90, 180, 90), (360, 720)),
        ((-180, -90, 180, 90), 90, (-180, -90, 180, 90), (2, 4)),
    ],
)
def test_bounds_grow_to_whole_cells(bounds, step, found, shape):
    grid = make_grid(bounds, step)
    assert (grid.bounds, grid.shape) == (found, shape)
    assert make_grid(grid.bounds, grid.step) == grid


def test_bounds_give_the_same_grid_again():
    chance = torch.Generator().manual_seed(0)
    for step in (0.1, 1 / 3, 0.5, 1.0, 2.5):
        for row in torch.rand(40, 4, generator=chance).tolist():
            west, east = row[0] * 360 - 180, row[1] * 360 - 180
            south, north = sorted((row[2] * 180 - 90, row[3] * 180 - 90))
            grid = make_grid((west, south, east, north), step)
            assert make_grid(grid.bounds, grid.step) == grid
            assert grid.lon.abs().max() < 180 and grid.lat.abs().max() < 90


@pytest.mark.parametrize(
    ("bounds", "step", "says"),
    [
        ((0, 10, 10, 5), 0.5, "south below north"),
        ((0, -91, 10, 5), 0.5, "from -90 to 90"),
        ((10, 0, 10, 5), 0.5, "two different ones"),
        ((170, 0, 190, 5), 0.5, "west is above east"),
        ((0, 0, math.nan, 5), 0.5, "in degrees"),
        ((0, 0, 5), 0.5, "west, south, east, north"),
        ((0, 0, 10, 5), 0.7, "divides 180, such as 0.700389"),
        ((0, 0, 10, 5), 0.0, "above 0"),
        ((0, 0, 10, 5), math.nan, "above 0"),
    ],
)
def test_no_grid(bounds, step, says):
    with pytest.raises(ConfigError, match=says):
        make_grid(bounds, step)


@pytest.mark.parametrize(
    ("lon", "lat", "cell"),
    [
        (170, -10, (0, 0)),
        (170.9, -10.9, (0, 0)),
        (180, -11, (1, 10)),
        (-180, -11, (1, 10)),
        (-170, -25, (14, 19)),
        (-170.1, -24.9, (14, 19)),
    ],
)
def test_the_cell_of_a_place(lon, lat, cell):
    assert make_grid(FIJI, 1.0).cell(lon, lat) == cell


@pytest.mark.parametrize(
    ("lon", "lat"),
    [(0, -15), (169.9, -15), (-169.9, -15), (175, -9.9), (175, -25.1), (math.nan, 0), (175, 91)],
)
def test_a_place_outside(lon, lat):
    with pytest.raises(BadRecordError, match=r"outside the map, .* 170 to -170 \(over"):
        make_grid(FIJI, 1.0).cell(lon, lat)


def test_cell_areas_on_the_ellipsoid():
    # The whole ellipsoid, from its closed form, and a degree at the equator.
    a, e = 6378.137, math.sqrt(0.00669437999014)
    whole = 2 * math.pi * a**2 * (1 + (1 - e**2) / e * math.atanh(e))
    grid = make_grid(step=1.0)
    assert float(grid.cell_areas_km2().sum() * 360) == pytest.approx(whole, rel=1e-9)
    assert float(grid.cell_areas_km2()[90]) == pytest.approx(12308.8, rel=1e-4)
    geod = pytest.importorskip("pyproj").Geod(ellps="WGS84")
    for row in (0, 20, 60, 89):
        north, south = 90 - row, 89 - row
        lon = [i / 100 for i in range(101)]
        ring = [(x, south) for x in lon] + [(x, north) for x in reversed(lon)]
        area, _ = geod.polygon_area_perimeter(*zip(*ring, strict=True))
        assert float(grid.cell_areas_km2()[row]) == pytest.approx(area / 1e6, rel=1e-3)


# a class on a grid


def test_values_are_those_at_the_centres(model):
    raster = heatmap(model, "Aba alta", bounds=(20, -20, 50, 20), step=2.0)
    want = location_prior(model, raster.grid.lonlat())[:, 0].view(20, 15)
    torch.testing.assert_close(raster.values, want, rtol=1e-4, atol=1e-9)
    assert raster.values.dtype == torch.float32 and raster.values.shape == (20, 15)
    assert raster.at(37.2, -1.9) == pytest.approx(want[10, 8].item(), rel=1e-4)
    assert (raster.taxon, raster.common_name, raster.kind) == ("Aba alta", "High Aba", "share")
    assert (raster.model, raster.date, raster.step) == ("tiny", None, 2.0)
    raster.values.add_(1)  # a tensor like any other


def test_row_0_is_north_and_the_antimeridian_is_crossed():
    lon = heatmap(Places(), "lon", bounds=FIJI, step=5.0).values * 360 - 180
    lat = heatmap(Places(), "lat", bounds=FIJI, step=5.0).values * 180 - 90
    assert lon[0].tolist() == pytest.approx([172.5, 177.5, -177.5, -172.5], abs=1e-3)
    assert lat[:, 0].tolist() == pytest.approx([-12.5, -17.5, -22.5], abs=1e-3)


@pytest.mark.parametrize("taxon", ["Ceta alta", "ceta ALTA", "High Ceta", 2, "2", " 2 "])
def test_names_of_a_class(model, taxon):
    assert heatmap(model, taxon, bounds=(0, 40, 10, 50), step=5.0).taxon == "Ceta alta"


@pytest.mark.parametrize(
    ("taxon", "says"),
    [
        ("Ceta alba", "Did you mean 'Ceta alta'"),
        ("High Cetta", "Did you mean 'High Ceta'"),
        (6, "class number 6. Known: 0 to 5, or names such as 'Aba alta'"),
        (-1, "class number -1"),
        ("", "Unknown taxon ''"),
    ],
)
def test_no_such_class(model, taxon, says):
    with pytest.raises(UnknownNameError, match=says):
        heatmap(model, taxon)


def test_a_name_of_digits_is_a_name():
    model = Places()
    model.classes = ClassTable(("2", "0", "1"))
    assert heatmap(model, "0", bounds=FIJI, step=5.0).taxon == "0"
    assert heatmap(model, 0, bounds=FIJI, step=5.0).taxon == "2"


def test_a_date_reaches_the_models_that_have_one(model):
    dated = heatmap(Places(uses_date=True), "date", bounds=FIJI, step=5.0, date=0.25)
    assert dated.date == 0.25 and (dated.values == 0.25).all()
    ignored = heatmap(model, 0, bounds=FIJI, step=5.0, date=0.25)
    plain = heatmap(model, 0, bounds=FIJI, step=5.0)
    assert ignored.date is None and torch.equal(ignored.values, plain.values)
    with pytest.raises(ConfigError, match="part of the year"):
        heatmap(model, 0, date=1.0)


def test_months_are_grids_of_their_own():
    model = Places(uses_date=True)
    values = [heatmap(model, "date", bounds=FIJI, step=5.0, date=d).values[0, 0] for d in (0, 0.5)]
    assert values == [0, 0.5]


def test_too_many_cells(model):
    with pytest.raises(ConfigError, match=r"64,800,000,000 cells of 0.001° .* \.zarr"):
        heatmap(model, 0, step=0.001)


def test_support_is_that_of_the_place_report(model):
    raster = heatmap(model, 0, bounds=(20, -20, 50, 20), step=2.0)
    for row, column in ((10, 8), (0, 0), (10, 7), (13, 9), (8, 10)):
        lon, lat = raster.grid.lon[column].item(), raster.grid.lat[row].item()
        assert raster.extrapolated[row, column] == model.support.near(lon, lat).extrapolates
    assert not raster.extrapolated.all() and raster.extrapolated.any()
    unknown = heatmap(Places(), 0, bounds=FIJI, step=5.0)
    assert raster.support_known and not unknown.support_known and not unknown.extrapolated.any()


def test_a_file_says_that_support_is_not_known(tmp_path):
    unknown = heatmap(Places(), 0, bounds=FIJI, step=5.0)
    write_geotiff(unknown, tmp_path / "x.tif")
    with rasterio.open(tmp_path / "x.tif") as file:
        assert np.isnan(file.read(2)).all() and "not known" in file.tags(2)["meaning"]
        assert "not known" in file.tags()["support"]
    again = read_geotiff(tmp_path / "x.tif")
    assert not again.support_known and not again.extrapolated.any()
    about = write_geojson(unknown, tmp_path / "x.geojson", threshold=given_threshold(0.1))
    assert about["of_which_extrapolated_km2"] is None and "not known" in about["support"]


def test_a_baseline_answers_too():
    counted = make_baseline("kernel_density", small.dataset())
    raster = heatmap(counted, "Aba alta", bounds=(30, -10, 45, 10), step=5.0)
    want = location_prior(counted, raster.grid.lonlat())[:, 0].view(4, 3)
    torch.testing.assert_close(raster.values, want)
    assert raster.model == "kernel_density"


def test_a_model_in_training_stays_so_and_answers_without_dropout(model):
    calm = heatmap(model, 0, bounds=FIJI, step=5.0).values
    model.train()
    forget_grids()
    assert torch.equal(heatmap(model, 0, bounds=FIJI, step=5.0).values, calm) and model.training


def test_areas(model):
    raster = heatmap(model, 0, bounds=(20, -20, 50, 20), step=2.0)
    areas = raster.grid.cell_areas_km2()
    assert raster.area_km2(0.0) == pytest.approx(float(areas.sum() * 15))
    assert raster.area_km2(1.1) == 0
    one = replace(raster, values=torch.zeros(20, 15))
    one.values[3, 4] = 0.5
    assert one.area_km2(0.5) == pytest.approx(float(areas[3]))
    parts = [raster.area_km2(0.1, extrapolated=yes) for yes in (True, False)]
    assert sum(parts) == pytest.approx(raster.area_km2(0.1)) and min(parts) > 0


# what is kept


def test_the_next_class_asks_the_model_for_less(model, monkeypatch):
    calls, each = [], prior.GridFeatures.each
    monkeypatch.setattr(prior.GridFeatures, "each", lambda *a: calls.append(1) or each(*a))
    first = heatmap(model, 0, bounds=FIJI, step=5.0)
    assert calls
    calls.clear()
    second = heatmap(model, 1, bounds=FIJI, step=5.0)
    assert not calls
    want = location_prior(model, second.grid.lonlat())
    torch.testing.assert_close(second.values, want[:, 1].view(3, 4), rtol=1e-4, atol=1e-9)
    torch.testing.assert_close(first.values, want[:, 0].view(3, 4), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("keep", [0, 10**9])
def test_the_next_class_is_right_with_and_without_kept_embeddings(model, keep):
    grid = GridPrior(model, FIJI, 5.0, keep_bytes=keep)
    found = torch.stack([grid.heatmap(k).values.flatten() for k in range(6)], dim=1)
    torch.testing.assert_close(
        found, location_prior(model, grid.grid.lonlat()), rtol=1e-4, atol=1e-9
    )
    assert (grid.kept_bytes > 12 * 4) == bool(keep)


@pytest.mark.parametrize("keep", [0, 10**9])
def test_the_next_class_of_a_baseline(keep):
    model = Places()
    grid = GridPrior(model, FIJI, 5.0, keep_bytes=keep)
    for name in ("lon", "lat", "lat"):
        label = model.classes.label(name)
        want = location_prior(model, grid.grid.lonlat())[:, label].view(3, 4)
        model.asked = 0
        assert torch.equal(grid.heatmap(name).values, want)
    assert model.asked == (0 if keep else 1)


def test_a_changed_model_is_asked_again(model):
    before = heatmap(model, 0, bounds=FIJI, step=5.0).values
    with torch.no_grad():
        model.classifier.bias[0] += 1
    after = heatmap(model, 0, bounds=FIJI, step=5.0).values
    assert (after > before).all()
    twice = 2 * model.calibration.temperature
    model.calibration = replace(model.calibration, temperature=twice)
    assert not torch.equal(heatmap(model, 0, bounds=FIJI, step=5.0).values, after)


def both(model, taxon, **where):
    """Map a class where it is supported, and everywhere."""
    return [heatmap(model, taxon, only_supported=only, **where) for only in (True, False)]


@pytest.mark.parametrize("kind", ["relative", "share"])
def test_where_it_is_supported_it_is_the_whole_map(model, kind):
    model.prior_kind = kind
    where = {"bounds": (20, -20, 50, 20), "step": 2.0}
    for taxon in (0, 4, 0):
        some, whole = both(model, taxon, **where)
        beyond = whole.extrapolated
        assert torch.equal(some.extrapolated, beyond) and 0 < beyond.sum() < beyond.numel()
        assert some.values[beyond].isnan().all() and not whole.values.isnan().any()
        torch.testing.assert_close(
            some.values[~beyond], whole.values[~beyond], rtol=1e-6, atol=1e-6
        )
        assert some.area_km2(0.1) == pytest.approx(whole.area_km2(0.1, extrapolated=False))
        some.values.add_(1)  # a tensor like any other, and no part of what is kept
    assert len(prior._grids) == 2


def test_only_supported_cells_are_computed(model, monkeypatch):
    cells, at = [], prior.grid_features

    def counted(*args, **options):
        found = at(*args, **options)
        cells.append(found.cuts[-1].own.stop)
        return found

    monkeypatch.setattr(prior, "grid_features", counted)
    raster = heatmap(model, 0, bounds=(20, -20, 50, 20), step=2.0, only_supported=True)
    assert cells == [(~raster.extrapolated).sum()] and cells[0] < raster.values.numel() / 2
    (grid,) = prior._grids.values()
    # Of every computed cell, the sum of all classes and 16 features.
    assert grid.kept_bytes == cells[0] * 4 * (1 + 16)


def test_a_baseline_is_asked_where_it_is_supported():
    counted = make_baseline("kernel_density", small.dataset())
    where = {"bounds": (0, -40, 60, 40), "step": 5.0}
    for taxon in ("Aba alta", "Ceta alta"):
        some, whole = both(counted, taxon, **where)
        assert 0 < whole.extrapolated.sum() < whole.values.numel()
        want = whole.values.masked_fill(whole.extrapolated, math.nan)
        torch.testing.assert_close(some.values, want, equal_nan=True, rtol=1e-6, atol=1e-6)


def test_without_a_supported_cell_there_is_no_value(model):
    some, whole = both(model, 0, bounds=(-30, -80, -20, -70), step=5.0)
    assert whole.extrapolated.all() and some.values.isnan().all()
    assert not whole.values.isnan().any()


def test_without_counts_of_records_everything_is_computed(model):
    some, whole = both(Places(), "lon", bounds=FIJI, step=5.0)
    assert torch.equal(some.values, whole.values) and len(prior._grids) == 1


def test_grids_of_two_models_are_kept(model, model_dir):
    others = [load_model(model_dir), load_model(model_dir)]
    for one in (model, *others, others[0]):
        heatmap(one, 0, bounds=FIJI, step=5.0)
    assert [grid.model for grid in prior._grids.values()] == [others[1], others[0]]


def test_few_grids_are_kept_within_a_limit(model, monkeypatch):
    monkeypatch.setattr(prior, "KEEP_GRIDS", 2)
    for step in (5.0, 1.0, 2.5):
        heatmap(model, 0, bounds=FIJI, step=step)
    assert [grid.grid.step for grid in prior._grids.values()] == [1.0, 2.5]
    heatmap(model, 1, bounds=FIJI, step=1.0)
    assert [grid.grid.step for grid in prior._grids.values()] == [2.5, 1.0]
    monkeypatch.setattr(prior, "KEEP_BYTES", 1000)
    heatmap(model, 0, bounds=FIJI, step=5.0)
    assert [grid.grid.step for grid in prior._grids.values()] == [5.0]


# thresholds


def test_max_tss_by_hand():
    presence, background = torch.tensor([0.2, 0.6, 0.7]), torch.tensor([0.1, 0.3, 0.65, 0.0])
    # 0.2: 3/3 + 2/4 - 1 = 0.5; 0.6: 2/3 + 3/4 - 1 = 0.417; 0.7: 1/3 + 4/4 - 1 = 0.333
    found = fit_threshold(presence, background, "max_tss")
    assert found.value == pytest.approx(0.2) and found.method == "max_tss"
    assert (found.recall, found.specificity) == (1.0, 0.5)
    assert (found.presences, found.background) == (3, 4)


def test_max_tss_against_a_slow_loop():
    chance = torch.Generator().manual_seed(0)
    for _ in range(20):
        presence = torch.rand(15, generator=chance).sqrt()
        background = torch.rand(40, generator=chance)
        background[:5] = presence[:5]
        best = max(
            float((presence >= t).double().mean() + (background < t).double().mean()) - 1
            for t in torch.cat((presence, background, torch.tensor([0.0, 1.0])))
        )
        found = fit_threshold(presence, background, "max_tss")
        assert found.recall + found.specificity - 1 == pytest.approx(best)


@pytest.mark.parametrize(("count", "lost"), [(1, 0), (9, 0), (10, 1), (19, 1), (20, 2), (100, 10)])
def test_recall_90_loses_a_tenth(count, lost):
    presence = torch.arange(1, count + 1) / 200
    found = fit_threshold(presence.flip(0), torch.tensor([0.5]), "recall_90")
    assert found.value == pytest.approx((lost + 1) / 200)
    assert found.recall == pytest.approx((count - lost) / count) and found.recall >= 0.9


def test_thresholds_that_cannot_be_fitted():
    some, none = torch.tensor([0.5]), torch.empty(0)
    with pytest.raises(BadRecordError, match="0 records of the class and 1 of others"):
        fit_threshold(none, some)
    with pytest.raises(BadRecordError, match="1 records of the class and 0 of others"):
        fit_threshold(some, none)
    with pytest.raises(BadRecordError, match="no numbers"):
        fit_threshold(some, torch.tensor([math.nan]))
    with pytest.raises(UnknownNameError, match="max_tss, recall_90"):
        fit_threshold(some, some, "youden")
    with pytest.raises(ConfigError, match="from 0 to 1"):
        given_threshold(2.0)
    with pytest.raises(ConfigError, match="from 0 to 1"):
        given_threshold(math.nan)


def test_the_threshold_of_a_class():
    classes = ClassTable(("unknown", "lat", "lon"))
    lonlat = torch.tensor([[0.0, 0], [0, 45], [0, 63], [90, -90], [90, 90], [math.nan, 0], [0, 0]])
    label = torch.tensor([1, 1, 1, 0, 2, 1, -1])
    found = fit_class_threshold(Places(), "lat", RecordDataset(lonlat, label, classes))
    # Presences at 0.5, 0.75 and 0.85, background at 0 and 1.
    assert (found.value, found.recall, found.specificity) == (0.5, 1.0, 0.5)
    assert (found.presences, found.background) == (3, 2)
    with pytest.raises(BadRecordError, match="None of 5 held-out records is of 'date'"):
        fit_class_threshold(Places(), "date", RecordDataset(lonlat, label, classes))


def test_only_held_out_records_of_a_models_own_file_count(model_dir, records_csv, tmp_path):
    assert len(read_held_out(model_dir, records_csv)) == 60
    other = small.write_csv(tmp_path / "other.csv", seed=9)
    assert len(read_held_out(model_dir, other)) == 600
    with pytest.raises(FileNotFoundError):
        read_held_out(model_dir, tmp_path / "absent.csv")


def test_a_model_that_learned_from_the_whole_file(tmp_path, records_csv):
    from csp_core.training import train

    config = small.config(records_csv, data={"val_fraction": 0.0}, training={"epochs": 1})
    train(config, run_dir=tmp_path / "run")
    with pytest.raises(BadRecordError, match=r"has learned from records\.csv"):
        read_held_out(tmp_path / "run", records_csv)


def test_dates_of_records_reach_a_model_that_has_one():
    classes = ClassTable(("date", "lat"))
    dates = torch.tensor([0.75, 0.25])
    records = RecordDataset(torch.zeros(2, 2), torch.tensor([0, 1]), classes, date=dates)
    assert fit_class_threshold(Places(uses_date=True), "date", records).value == 0.75


def test_a_model_without_classes():
    bare = DualEncoder(None, make_location_encoder("xyz", 4), dim=4)
    with pytest.raises(UnknownNameError):
        heatmap(bare, 0, bounds=FIJI, step=5.0)
    assert geo.WORLD == (-180, -90, 180, 90)


@pytest.mark.parametrize(
    ("bounds", "shape"),
    [
        ((10, 0, 10 + 1e-10, 1), (2, 1)),
        ((0, 90 - 1e-10, 1, 90), (1, 2)),
        ((0, -90, 1, 1e-10 - 90), (1, 2)),
        ((180 - 1e-10, 0, -180, 1), (2, 1)),
        ((180 - 1e-10, 0, 180, 1), (2, 1)),
        ((10.2, 0, 10.1, 1), (2, 720)),
    ],
)
def test_what_is_thinner_than_a_cell_lies_in_one(bounds, shape):
    assert make_grid(bounds, 0.5).shape == shape


@pytest.mark.parametrize("step", [1e-320, 1e-9, 5e-324])
def test_a_step_that_no_number_of_cells_fits(step):
    with pytest.raises(ConfigError, match="smallest"):
        make_grid(step=step)


def test_bounds_of_one_meridian_written_twice():
    with pytest.raises(ConfigError, match="different"):
        make_grid((180, 0, -180, 1))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"step": 1e-4}, "too many"),
        ({"step": 0.05, "block": 1}, "blocks"),
        ({"step": 0.01, "block": 18_000}, "cannot be held"),
    ],
)
def test_zarr_that_is_too_large_is_refused_before_it_is_begun(tmp_path, options, says):
    with pytest.raises(ConfigError, match=says):
        write_zarr(load_model("birds"), 0, tmp_path / "deep" / "m.zarr", **options)
    assert list(tmp_path.iterdir()) == []


def test_zarr_that_no_disk_holds(tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(ConfigError, match="free"):
        write_zarr(load_model("birds"), 0, tmp_path / "m.zarr", step=1)
    assert list(tmp_path.iterdir()) == []
