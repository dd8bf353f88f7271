"""Training records changed on purpose: done, told, left out of tests, known again by evaluation."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from csp_core.config import load_config, parse_config
from csp_core.data import load_dataset
from csp_core.data.captions.table import write_captions
from csp_core.errors import BadRecordError, ConfigError
from csp_core.evaluation.report import evaluate_splits
from csp_core.training.quality import prepare_records
from csp_core.training.setup import make_parts
from tests import photo_model, small

DATA = {"size": 200, "buffer_km": 0.0}


def config(**quality):
    return photo_model.config(data={**DATA, "quality": quality})


@pytest.fixture(scope="module")
def train_set():
    return load_dataset("demo", "train", **config().data.loading())


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A run whose model compares images with places."""
    folder = tmp_path_factory.mktemp("run") / "compared"
    return photo_model.run(folder, data=DATA, objective={"name": "csp_mc"}, training={"epochs": 1})


def test_nothing_asked_for_changes_nothing(train_set):
    assert prepare_records(photo_model.config(data=DATA), train_set) is train_set
    plain = prepare_records(config(), train_set)
    assert plain.content_hash() == train_set.content_hash() == plain.info["hash_as_loaded"]
    assert "changed_on_purpose" not in plain.info


def test_what_is_done_is_told_and_the_same_for_every_seed_of_the_run(train_set, caplog):
    asked = {"shuffled": 0.3, "near_duplicates": 0.9, "at_random": 0.1}
    with caplog.at_level("INFO"):
        found = prepare_records(config(**asked), train_set)
    told = str(found.info["changed_on_purpose"])
    assert "quality: " in caplog.text and told.count(" records are left out") == 2
    assert f"{round(0.3 * len(train_set))} of {len(train_set)} records have the place" in told
    assert found.info["hash_as_loaded"] == train_set.content_hash() != found.content_hash()
    assert len(found) < len(train_set) and sum(found.classes.counts) == len(found)
    other = photo_model.config(data={**DATA, "quality": asked}, seed=5)
    assert prepare_records(other, train_set).content_hash() == found.content_hash()
    again = config(**asked, seed=1)
    assert prepare_records(again, train_set).content_hash() != found.content_hash()


def test_as_many_at_random_as_near_duplicates(train_set):
    alike = {"near_duplicates": 0.8}
    without = prepare_records(config(**alike), train_set)
    chance = prepare_records(config(**alike, at_random="as near_duplicates"), train_set)
    assert len(without) == len(chance) < len(train_set)
    assert without.content_hash() != chance.content_hash()
    assert "near-duplicates" in str(chance.info["changed_on_purpose"])


def test_models_choose_among_records(train_set, compared):
    model = str(compared / "model")
    kept = prepare_records(config(disagreeing=0.25, model=model), train_set)
    assert len(kept) == len(train_set) - round(0.25 * len(train_set))
    # What was shuffled agrees less, hardly trained though the model is.
    told = str(kept.info["changed_on_purpose"])
    assert "agree least by model" in told and str(compared) not in told
    few = prepare_records(config(near_duplicates=0.9, embedding=model), train_set)
    assert 0 < len(few) < len(train_set)
    chance = config(disagreeing=0.25, model=model, at_random="as disagreeing")
    assert len(prepare_records(chance, train_set)) == len(kept)


def test_pairs_without_a_place_are_kept(train_set, compared):
    nowhere = replace(train_set, lonlat=torch.full_like(train_set.lonlat, torch.nan))
    asked = config(disagreeing=0.5, model=str(compared / "model"))
    assert len(prepare_records(asked, nowhere)) == len(nowhere)


def test_records_that_do_not_fit_are_refused(train_set, compared, model_dir):
    bare = replace(train_set, image=None)
    with pytest.raises(ConfigError, match="these records have none"):
        prepare_records(config(near_duplicates=0.9), bare)
    with pytest.raises(ConfigError, match="features in the place"):
        prepare_records(config(near_duplicates=0.9), small.pairs())
    with pytest.raises(BadRecordError, match=r"give data\.captions"):
        prepare_records(config(caption_noise=0.5), train_set)
    with pytest.raises(ConfigError, match="does not compare images with places"):
        prepare_records(config(disagreeing=0.5, model=str(model_dir)), train_set)
    with pytest.raises(ConfigError, match="without images"):
        prepare_records(config(near_duplicates=0.5, embedding=str(model_dir)), train_set)


def test_captions_are_exchanged_and_the_hash_as_loaded_knows_nothing_of_them(tmp_path):
    whole = load_dataset("demo", "all", **config().data.loading())
    path = tmp_path / "captions.csv"
    write_captions(whole, [f"text {row % 50}" for row in range(len(whole))], path)
    data = {**DATA, "captions": str(path), "quality": {"caption_noise": 0.5}}
    asked = photo_model.config(data=data)
    parts = make_parts(asked)
    plain = load_dataset("demo", "train", **asked.data.loading())
    assert (parts.train_set.caption != plain.caption).any()
    assert parts.val_set.captions == parts.train_set.captions == plain.captions
    val = load_dataset("demo", "val", **asked.data.loading())
    assert parts.val_set.content_hash() == val.content_hash()
    without = load_dataset("demo", "train", **config().data.loading())
    assert parts.train_set.info["hash_as_loaded"] == without.content_hash()


def test_a_finished_model_is_measured_on_the_records_as_they_were(tmp_path):
    quality = {"shuffled": 0.5, "at_random": 0.2}
    run = photo_model.run(tmp_path / "run", data={**DATA, "quality": quality})
    kept = json.loads((run / "model" / "config.json").read_text())["provenance"]
    assert kept["config"]["data"]["quality"]["shuffled"] == 0.5
    assert "captions" not in kept["config"]["data"]
    assert kept["data"]["hash"] != kept["data"]["hash_as_loaded"]
    assert "changed on purpose" in (run / "model" / "README.md").read_text()
    report = evaluate_splits(str(run / "model"), "demo")
    assert set(report["splits"]) == {"all", "train", "val", "test"}
    assert "data.quality changed them" in report["note"]
    # What the run keeps can be read again, and says the same.
    assert load_config(run / "config.yaml").data.quality.at_random == 0.2


def test_a_model_that_has_seen_the_test_may_not_choose(compared):
    other = photo_model.config(
        data={**DATA, "seed": 3, "quality": {"disagreeing": 0.2, "model": str(compared / "model")}}
    )
    with pytest.raises(ConfigError, match="chooses among this run's records was trained on anoth"):
        make_parts(other)


@pytest.mark.parametrize(
    ("quality", "says"),
    [
        ({"shuffled": 1.5}, "data.quality.shuffled"),
        ({"shufled": 0.5}, "Did you mean 'shuffled'"),
        ({"disagreeing": 0.2}, "needs a model"),
        ({"at_random": 1.0}, "at_random is 1.0"),
        ({"at_random": "as duplicates"}, "at_random"),
        ({"at_random": "as near_duplicates"}, "near_duplicates is not given"),
        ({"model": "birds"}, "model needs disagreeing"),
        ({"embedding": "birds"}, "embedding needs near_duplicates"),
        ({"near_duplicates": 2}, "near_duplicates"),
        (3, "data.quality"),
    ],
)
def test_a_section_that_does_not_fit(quality, says):
    with pytest.raises(ConfigError, match=says):
        parse_config({"data": {"name": "demo", "quality": quality}})


def test_runs_without_are_told_as_before():
    tree = parse_config({"data": {"name": "demo"}}).model_dump(mode="json")
    assert not {"captions", "quality"} & set(tree["data"])
    full = parse_config({"data": {"name": "demo", "captions": "facts", "quality": {"seed": 2}}})
    assert parse_config(full.model_dump(mode="json")).data == full.data
    assert full.data.loading()["captions"] == "facts" and "quality" not in full.data.loading()
