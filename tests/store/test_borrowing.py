"""A model's directory names whose prior it borrows."""

from __future__ import annotations

import json

import pytest
import torch

from csp_core.errors import CheckpointError
from csp_core.store import list_models, load_model, made_folder, save_model
from tests.animals import TAXA, save_few_animals


@pytest.fixture
def folder(tmp_path):
    return save_few_animals(made_folder())


def change(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    config["place_prior"] |= values
    (folder / "config.json").write_text(json.dumps(config))


def test_it_is_listed_found_and_written_again(folder, tmp_path):
    (info,) = [one for one in list_models() if one.name == "animals"]
    assert info.borrows == "world_birds" and info.sees_images and not info.knows_places
    model = load_model("animals")
    again = load_model(save_model(model, tmp_path / "again"))
    assert again.borrowed.taxa == model.borrowed.taxa == TAXA
    assert again.places.name == "world_birds" and again.rest == 4
    assert not any("borrowed" in name or "birdnet" in name for name in model.state_dict())


def test_without_taxa_each_class_is_what_it_is_named_by(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["place_prior"]["taxa"]
    (folder / "config.json").write_text(json.dumps(config))
    assert load_model("animals").borrowed.known.tolist() == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"model": "nobody"}, "Unknown model 'nobody'"),
        ({"model": "../world_birds"}, "Unknown model"),
        ({"model": "animals"}, "borrows one itself"),
        ({"model": 3}, "place_prior"),
        ({"taxa": {"Junco": "Junco hyemalis"}}, "no list of names"),
        ({"taxa": {"Junco": ["Nobody known"]}}, "knows none"),
        ({"model": "eurosat_words"}, "knows nothing of places"),
    ],
)
def test_what_cannot_be_borrowed_is_one_sentence(folder, values, says):
    change(folder, **values)
    with pytest.raises(CheckpointError, match=says):
        load_model("animals")


def test_only_the_classes_that_are_asked_for_are_scored(folder):
    whole, few = load_model("world_birds"), load_model("animals").places
    assert few.classes.names == tuple(sorted(name for taxa in TAXA for name in taxa))
    at = [whole.classes.names.index(name) for name in few.classes.names]
    place, date = torch.tensor([[-93.6, 42.0]]), torch.tensor([0.45])
    said, all_of_it = few.prior(place, date), whole.prior(place, date)
    assert said[0].tolist() == pytest.approx(all_of_it[0, at].tolist(), rel=1e-5)
    assert few.classes.common_names == tuple(whole.classes.common_names[k] for k in at)


def test_label_sets_hear_no_borrowed_prior(folder):
    config = json.loads((folder / "config.json").read_text())
    config["prior_kind"] = "probability"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="label sets, which hear no borrowed prior"):
        load_model("animals")
