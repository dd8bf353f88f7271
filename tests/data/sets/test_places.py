"""Places drawn at random, where a model is asked."""

from __future__ import annotations

import pytest
import torch

from csp_core.data import load_dataset
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from csp_core.land import on_land
from tests.data.sets import places


def load(folder, **options):
    return load_dataset("places", "all", root=places.make(folder), **options)


def test_land_is_asked_more_often_and_some_without_a_time(tmp_path):
    data = load(tmp_path, size=4000, land=0.7, undated=0.25)
    # What is not on land on purpose lies there by chance in 29 of 100 cases.
    assert on_land(data.lonlat).float().mean().item() == pytest.approx(0.7 + 0.3 * 0.29, abs=0.03)
    assert data.date.isnan().float().mean().item() == pytest.approx(0.25, abs=0.03)
    weeks = (data.date[~data.date.isnan()] * 48).floor().long()
    assert torch.bincount(weeks, minlength=48).min() > 30
    assert (data.lonlat[:, 1].abs() > 60).any() and (data.lonlat[:, 0] < 0).float().mean() > 0.3
    assert data.classes.names == places.NAMES and (data.label == -1).all()


def test_all_land_or_none(tmp_path):
    assert on_land(load(tmp_path, size=300, land=1.0).lonlat).all()
    assert on_land(load(tmp_path, size=300, land=0.0).lonlat).float().mean() < 0.4
    assert not load(tmp_path, size=300, undated=0.0).date.isnan().any()


def test_seeds(tmp_path):
    first, again, other = (load(tmp_path, size=50, world_seed=s).lonlat for s in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_the_table_itself_may_be_named(tmp_path):
    table = places.make(tmp_path) / "classes.csv"
    assert load_dataset("places", "all", root=table, size=20).classes.names == places.NAMES


@pytest.mark.parametrize("wrong", [{"size": 0}, {"land": 1.5}, {"undated": -0.1}])
def test_options_out_of_range(tmp_path, wrong):
    with pytest.raises(ConfigError, match="give 1 to"):
        load(tmp_path, **wrong)


def test_a_root_without_classes(tmp_path):
    with pytest.raises(ConfigError, match="needs root"):
        load_dataset("places", "all")
    with pytest.raises(DataNotFoundError, match="model's directory"):
        load_dataset("places", "all", root=tmp_path)
    for content in ("name\nAus\n", "scientific_name,common_name\n"):
        (tmp_path / "classes.csv").write_text(content)
        with pytest.raises(BadRecordError, match=r"classes\.csv"):
            load_dataset("places", "all", root=tmp_path)
