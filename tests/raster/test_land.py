"""Maps without the sea: which cells hold land, against points and known areas."""

import numpy as np
import pytest
import torch

from csp_core.grid import make_grid
from csp_core.land import on_land
from csp_core.model import Support
from csp_core.raster import (
    heatmap,
    land_cells,
    mostly_at_sea,
    only_land,
    read_geotiff,
    write_geotiff,
)
from csp_core.store import load_model

WORLD = (-180.0, -90.0, 180.0, 90.0)


def test_fine_cells_have_the_lands_area():
    grid = make_grid(WORLD, 0.1)
    # The land of the Earth is 148.9 million km², inland waters counted.
    assert grid.area_km2(land_cells(grid)) / 1e6 == pytest.approx(148.9, abs=0.5)


def test_places_on_land_are_in_cells_of_land():
    generator = torch.Generator().manual_seed(0)
    lat = torch.rad2deg(torch.asin(2 * torch.rand(4000, generator=generator) - 1))
    lonlat = torch.stack([torch.rand(4000, generator=generator) * 360 - 180, lat], 1)
    for step in (0.25, 0.5, 1.0):
        grid = make_grid(WORLD, step)
        cells = land_cells(grid)
        found = torch.tensor([bool(cells[grid.cell(*place)]) for place in lonlat.tolist()])
        land = on_land(lonlat)
        # The outlines that `on_land` goes by are coarser, so the shores differ.
        assert found[land].float().mean() > 0.995
        assert found[~land].float().mean() < 0.02 + 0.08 * step


@pytest.mark.parametrize(
    ("name", "lon", "lat", "land"),
    [
        *(("Malta", 14.4, 35.9, True), ("Mauritius", 57.6, -20.3, True)),
        *(("Lake Victoria", 33.0, -1.0, True), ("Caspian Sea", 50.5, 41.5, False)),
        *(("Mid-Atlantic", -30.0, 0.0, False), ("Fiji, east of 180°", -179.9, -16.7, True)),
        ("South Pole", 0.0, -89.9, True),
    ],
)
def test_small_islands_lakes_and_seas(name, lon, lat, land):
    grid = make_grid(WORLD, 0.5)
    assert bool(land_cells(grid)[grid.cell(lon, lat)]) is land


def test_a_part_of_the_world_is_cut_from_the_whole_over_the_antimeridian():
    whole, part = make_grid(WORLD, 0.5), make_grid((170.0, -25.0, -170.0, -10.0), 0.5)
    cells, cut = land_cells(whole), land_cells(part)
    columns = (part.first_column + np.arange(part.columns)) % whole.columns
    rows = part.first_row + np.arange(part.rows)
    assert torch.equal(cut, cells[rows][:, columns])
    assert 0 < cut.sum() < cut.numel()


def test_only_land_keeps_the_values_of_land_and_is_told_in_files(tmp_path):
    model = load_model("demo")
    whole = heatmap(model, model.classes.names[0], step=2.0, date=0.5)
    raster = only_land(whole)
    land = land_cells(whole.grid)
    assert torch.equal(raster.values[land], whole.values[land])
    assert raster.values[~land].isnan().all() and not raster.extrapolated[~land].any()
    assert raster.area_km2(0.01) <= whole.area_km2(0.01)
    write_geotiff(raster, tmp_path / "land.tif")
    again = read_geotiff(tmp_path / "land.tif")
    assert again.land_only and again.to_dict() == raster.to_dict()
    assert torch.equal(again.values.isnan(), raster.values.isnan())


def test_a_class_at_sea_is_told():
    model = load_model("demo")
    assert not mostly_at_sea(model, 0)
    places = torch.tensor([[-30.0, 0.0], [-31.0, 2.0], [36.8, -1.3], [36.8, -1.3], [-30.0, 0.0]])
    label = torch.tensor([0, 0, 0, 1, 1])
    model.support = Support.from_records(places, label, len(model.classes))
    # Two of three at sea; one of two is no majority.
    assert mostly_at_sea(model, 0) and not mostly_at_sea(model, 1)
    model.support = None
    assert not mostly_at_sea(model, 0)


@pytest.mark.parametrize("only_supported", [False, True])
def test_land_alone_is_computed_as_all_of_the_map_is(model_dir, only_supported):
    model = load_model(model_dir)
    where = {"step": 2.0, "date": 0.5, "only_supported": only_supported}
    for taxon in (0, 1, 0):
        whole = only_land(heatmap(model, taxon, **where))
        land = heatmap(model, taxon, land_only=True, **where)
        assert land.land_only and torch.equal(land.extrapolated, whole.extrapolated)
        torch.testing.assert_close(land.values, whole.values, equal_nan=True, rtol=1e-6, atol=1e-6)
        assert land.area_km2(0.1) == pytest.approx(whole.area_km2(0.1))
