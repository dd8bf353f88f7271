"""Places with what describes them: drawn, written, weighed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from csp_core.data import load_dataset
from csp_core.data.sets.place_features import draw_places
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from csp_core.land import on_land
from tests.data.sets import place_features


def load(folder, **options):
    root = place_features.make(folder)
    return load_dataset("place_features", "all", root=root, **options)


def test_families_are_standardised_and_weighed(tmp_path):
    data = load(tmp_path, families={"sines": 3.0, "heights": 1.0})
    image = data.__getitems__(range(len(data)))["image"].double()
    assert image.shape == (80, 5)
    variance = image.var(dim=0, correction=0)
    # The mean variance is 1, of columns that vary; sines have three quarters of it.
    assert variance[:3].sum().item() == pytest.approx(5 * 0.75, rel=2e-3)
    assert variance[3].item() == pytest.approx(5 * 0.25 / 2, rel=2e-3) and variance[4] == 0
    assert image.mean(dim=0).abs().max() < 1e-3
    found = np.corrcoef(image[:, 0].numpy(), place_features.sines(data.lonlat)[:, 0].numpy())
    assert found[0, 1] > 0.99999


def test_many_places_are_standardised_as_few_are(tmp_path):
    count = 300_000
    drawn = np.random.default_rng(0).normal(1013, 2, (count, 2)).astype(np.float16)
    drawn[:, 1] = 1013
    np.save(tmp_path / "places.npy", np.full((count, 2), 10, np.float32))
    np.save(tmp_path / "pressure.npy", drawn)
    data = load_dataset("place_features", "all", root=tmp_path)
    image = data.__getitems__(range(0, count, 10))["image"].double()
    assert image[:, 0].var().item() == pytest.approx(1, rel=0.03)
    assert image[:, 0].mean().abs() < 0.02 and image[:, 1].abs().max() == 0


def test_rows_stay_with_their_places(tmp_path):
    whole = load(tmp_path)
    part = load_dataset("place_features", "val", **place_features.options(tmp_path))
    sample = part[0]
    at = (whole.lonlat == sample["lonlat"]).all(dim=1).nonzero()[0].item()
    torch.testing.assert_close(sample["image"], whole[at]["image"], rtol=0, atol=0)
    assert not len(part.classes) and (part.label == -1).all()


def test_fewer_families_and_places(tmp_path):
    data = load(tmp_path, families={"sines": 1.0}, size=30)
    assert len(data) == 30 and data[0]["image"].shape == (3,)
    torch.testing.assert_close(data.lonlat, load(tmp_path).lonlat[:30])


def test_places_lie_on_land_and_near_coasts():
    places = draw_places(600, land=0.9, seed=3)
    ashore = on_land(places)
    assert len(places) == 600 and ashore.sum() == 540 and not ashore[:60].all()
    assert torch.equal(places, draw_places(600, land=0.9, seed=3))
    assert not torch.equal(places, draw_places(600, land=0.9, seed=4))
    assert on_land(draw_places(20, land=1.0)).all()
    with pytest.raises(ConfigError, match="give 1 to"):
        draw_places(10, land=0.0)


def test_few_places_far_inland_do_not_keep_the_sea_from_being_found():
    # The only place on land that seed 1 draws lies where no sea is within ten deviations.
    for seed in range(8):
        places = draw_places(3, land=0.4, seed=seed)
        assert on_land(places).sum() == 1 and len(places) == 3


@pytest.mark.parametrize("seed", [-1, 2**70])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(ConfigError, match="give 0 to"):
        draw_places(10, seed=seed)


@pytest.mark.parametrize("families", [{}, {"sines": 0.0}, {"rivers": 1.0}, {"sines": float("nan")}])
def test_families_that_do_not_fit(tmp_path, families):
    with pytest.raises(ConfigError, match="heights, sines"):
        load(tmp_path, families=families)


@pytest.mark.parametrize("wrong", [np.nan, 1e6])
def test_numbers_that_are_none_are_refused(tmp_path, wrong):
    folder = place_features.make(tmp_path)
    found = np.load(folder / "sines.npy").astype(np.float32)
    found[3, 1] = wrong
    with np.errstate(over="ignore"):
        np.save(folder / "sines.npy", found.astype(np.float16))
    with pytest.raises(BadRecordError, match=r"sines\.npy: column 2 holds NaN or infinity"):
        load(tmp_path)


def test_a_folder_of_something_else(tmp_path):
    with pytest.raises(ConfigError, match="import-places"):
        load_dataset("place_features", "all")
    with pytest.raises(DataNotFoundError, match=r"places\.npy"):
        load_dataset("place_features", "all", root=tmp_path)
    with pytest.raises(ConfigError, match="at least 1"):
        load(tmp_path, size=0)
    folder = place_features.make(tmp_path)
    np.save(folder / "sines.npy", np.zeros((4, 2), np.float16))
    with pytest.raises(BadRecordError, match=r"sines\.npy"):
        load(tmp_path)
