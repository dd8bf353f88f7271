"""Background points lie where their name says and follow from their generator; continents."""

from __future__ import annotations

import pytest
import torch

from csp_core import geo
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.errors import BadRecordError, ConfigError, UnknownNameError
from csp_core.land import CONTINENTS, continent_of, land_grid, on_land
from csp_core.objectives.background import BACKGROUNDS, make_background
from csp_core.training import train
from tests import small

NAMES = sorted(BACKGROUNDS)
DATA = small.dataset()


def fitted(name):
    background = make_background(name)
    background.fit(DATA)
    return background


def source(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", NAMES)
def test_places_follow_from_the_generator(name):
    background = fitted(name)
    state = torch.get_rng_state()
    first, again, other = (background.draw(source(seed), 500) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())
    assert first.shape == (500, 2) and first.dtype == torch.float32
    geo.check_lonlat(first)
    assert background.draw(source(), 0).shape == (0, 2)


def test_the_sphere_is_covered_evenly():
    unit = geo.unit_vectors(make_background("sphere").draw(source(), 40000).double())
    assert unit.mean(dim=0).abs().max() < 0.015
    assert ((unit**2).mean(dim=0) - 1 / 3).abs().max() < 0.01


def test_land_is_covered_evenly():
    places = make_background("land").draw(source(), 20000)
    assert on_land(places).all()
    centres, area = land_grid(1.0)
    # Bands of latitude hold land in very different amounts; 20,000 draws know each to 0.01.
    for south in range(-90, 90, 20):
        inside = (centres[:, 1] >= south) & (centres[:, 1] < south + 20)
        want = (area[inside].sum() / area.sum()).item()
        drawn = (places[:, 1] >= south) & (places[:, 1] < south + 20)
        assert drawn.double().mean().item() == pytest.approx(want, abs=0.015)


def test_the_target_group_shares_the_bias_of_the_records():
    lonlat = torch.tensor([[10.0, 50.0]] * 3 + [[20.0, 5.0], [float("nan")] * 2])
    records = RecordDataset(lonlat, torch.zeros(5).long(), ClassTable(("a",)))
    background = make_background("target_group")
    background.fit(records)
    drawn = background.draw(source(), 8000)
    assert torch.equal(drawn.unique(dim=0), lonlat[:4].unique(dim=0))
    assert (drawn[:, 0] == 10).double().mean().item() == pytest.approx(0.75, abs=0.02)


def test_the_target_group_needs_records():
    with pytest.raises(ConfigError, match="fit"):
        make_background("target_group").draw(source(), 3)
    nowhere = RecordDataset(torch.full((2, 2), float("nan")), torch.zeros(2).long(), DATA.classes)
    with pytest.raises(BadRecordError, match="none have"):
        make_background("target_group").fit(nowhere)


def test_unknown_background():
    with pytest.raises(UnknownNameError, match="land, sphere, target_group"):
        make_background("see")


def test_training_fits_the_background_to_its_records(records_csv, tmp_path):
    objective = {"name": "an_full", "background": "target_group"}
    config = small.config(records_csv, objective=objective, training={"epochs": 1})
    result = train(config, run_dir=tmp_path / "run")
    assert result.state == "finished" and result.model.prior_kind == "relative"


# Continents

CITIES = {
    "Africa": [(36.8, -1.3), (31.2, 30.0), (10.2, 36.8), (-5.8, 35.8), (47.5, -18.9)],
    "Antarctica": [(0.0, -90.0), (166.7, -77.8)],
    "Asia": [(32.9, 39.9), (139.7, 35.7), (106.8, -6.2), (34.8, 32.1), (73.1, 49.8), (177.5, 64.7),
             (-172.0, 66.0), (54.0, 12.5), (44.8, 41.7), (60.6, 56.8), (33.4, 35.2), (121.0, 14.6)],
    "Europe": [(2.3, 48.9), (-21.9, 64.1), (23.7, 38.0), (37.6, 55.8), (14.5, 35.9), (-9.1, 38.7),
               (25.1, 35.3), (-25.7, 37.7), (-4.4, 36.7), (15.6, 78.2), (28.2, 61.0)],
    "North America": [(-74.0, 40.7), (-79.5, 9.0), (-51.7, 64.2), (-149.9, 61.2), (-66.1, 18.5),
                      (-82.4, 23.1), (-84.1, 9.9), (-61.0, 14.6)],
    "Oceania": [(151.2, -33.9), (178.4, -18.1), (-157.9, 21.3), (147.2, -9.5), (115.9, -32.0),
                (174.8, -41.3), (-149.6, -17.5), (134.5, 7.5)],
    "South America": [(-74.1, 4.7), (-58.4, -34.6), (-90.3, -0.7), (-70.9, -53.2), (-66.9, 10.5),
                      (-35.0, -8.0), (-57.9, -51.7)],
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CITIES))
def test_continents_of_cities(name):
    places = torch.tensor(CITIES[name])
    assert [CONTINENTS[i] for i in continent_of(places)] == [name] * len(places)


def test_all_land_is_on_a_continent_and_the_seas_far_out_on_none():
    assert set(CITIES) == set(CONTINENTS)
    centres, area = land_grid(1.0)
    assert area[continent_of(centres) < 0].sum() / area.sum() < 0.001
    nowhere = torch.tensor([[-40.0, 20.0], [80.0, -40.0], [float("nan"), 0.0]])
    assert continent_of(nowhere).tolist() == [-1, -1, -1]
    # Parts of the land in percent, as atlases give them, to a percent or two.
    share = {
        name: 100 * (area[continent_of(centres) == i].sum() / area.sum()).item()
        for i, name in enumerate(CONTINENTS)
    }
    known = {"Africa": 20.3, "Asia": 29.8, "Europe": 6.8, "North America": 16.5, "Oceania": 5.8,
             "South America": 12.0}  # fmt: skip
    assert {k: pytest.approx(v, abs=1.5) for k, v in known.items()} == {k: share[k] for k in known}
