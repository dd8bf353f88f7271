"""Values of a class at records that the model has not learned from."""

from __future__ import annotations

import math

import pytest
import torch

from csp_core.data.records import ClassTable, RecordDataset
from csp_core.errors import BadRecordError, UnknownNameError
from csp_core.inference import location_prior
from csp_core.raster import HeldOut, fit_class_threshold, held_out, values_at_records


class Places:
    """A prior that answers with place and date."""

    name, prior_kind, support, uses_date = "places", "relative", None, True
    classes = ClassTable(("A b", "C d", "E f"))

    def prior(self, lonlat, date=None):
        when = torch.zeros(len(lonlat)) if date is None else date
        return torch.stack(((lonlat[:, 0] + 180) / 360, (lonlat[:, 1] + 90) / 180, when), dim=1)


@pytest.fixture
def records():
    # Of a class that the model does not know, one of its own twice, no place, no label, another.
    lonlat = torch.tensor([[0, 0], [36, 0], [72, 0], [math.nan, 0], [108, 0], [144, 9.0]])
    label = torch.tensor([0, 1, 1, 1, -1, 2])
    date = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    return RecordDataset(lonlat, label, ClassTable(("G h", "A b", "C d")), date=date)


def test_records_of_the_class_and_of_all_others(records):
    found = values_at_records(Places(), "A b", records)
    assert found.presence.tolist() == pytest.approx([0.6, 0.7])
    assert found.background.tolist() == pytest.approx([0.5, 0.9])
    assert found.above(0.65) == (0.5, 0.5) and found.above(0.0) == (1, 1)
    dated = values_at_records(Places(), "E f", records)
    assert not len(dated.presence)
    assert dated.background.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.6])
    own, others = dated.above(0.25)
    assert math.isnan(own) and others == 0.5
    with pytest.raises(UnknownNameError, match="X y"):
        values_at_records(Places(), "X y", records)


def test_a_threshold_is_fitted_to_the_very_values(records):
    found = values_at_records(Places(), "A b", records)
    assert found.fit() == fit_class_threshold(Places(), "A b", records)
    assert found.fit("recall_90").value == pytest.approx(0.6)
    with pytest.raises(BadRecordError, match="0 records of the class and 1 of others"):
        HeldOut(torch.zeros(0), torch.zeros(1)).fit()


def test_no_usable_record_gives_no_values(records):
    nowhere = RecordDataset(
        torch.full((2, 2), math.nan), torch.tensor([0, 1]), records.classes
    )  # fmt: skip
    found = values_at_records(Places(), "A b", nowhere)
    assert len(found.presence) == len(found.background) == 0


@pytest.mark.parametrize("dated", [True, False])
def test_a_place_is_asked_about_once(dated, monkeypatch):
    chance = torch.Generator().manual_seed(3)
    spots = torch.rand(7, 2, generator=chance) * 80
    which = torch.randint(0, 7, (500,), generator=chance)
    date = torch.randint(0, 3, (500,), generator=chance) / 4
    records = RecordDataset(
        spots[which], which % 3, ClassTable(("A b", "C d", "E f")), date=date
    )  # fmt: skip
    model = Places()
    monkeypatch.setattr(Places, "uses_date", dated)
    asked = []
    monkeypatch.setattr(
        held_out,
        "location_prior",
        lambda m, lonlat, date=None: (
            asked.append(len(lonlat)) or location_prior(m, lonlat, date=date)
        ),
    )
    for label, name in enumerate(model.classes.names):
        found = values_at_records(model, name, records)
        whole = model.prior(records.lonlat, date if dated else None)[:, label]
        own = records.label == label
        assert torch.allclose(found.presence, whole[own])
        assert torch.allclose(found.background, whole[~own])
    assert asked == [7 * 3 if dated else 7] * 3


def test_records_of_one_site_are_all_held_out(tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("species,lon,lat\n" + "A b,1,2\n" * 30, encoding="utf-8")
    assert len(held_out.read_held_out("demo", path)) == 30


def test_names_that_a_model_does_not_know_are_counted():
    names = ClassTable(("Mira ignota", "Mira rara", "a  B", "c d", "E f"))
    label = torch.tensor([1, 0, 0, 2, 4, -1, 4])
    odd = RecordDataset(torch.zeros(7, 2), label, names)
    found = held_out.names_known(Places(), odd)
    assert (found.known, found.unknown, found.records) == (2, 2, 3)
    assert list(found.named.items()) == [("Mira ignota", 2), ("Mira rara", 1)]
    assert list(held_out.names_known(Places(), odd, most=1).named) == ["Mira ignota"]
