"""Label sets from the command line: measured, asked about a place and a picture, and the card."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image

from csp_core.cli.photo import set_line
from csp_core.config import parse_config
from csp_core.data import DATASETS
from csp_core.image.stats import ImageStats
from csp_core.inference import answer_photo
from csp_core.model import PlaceSupport
from csp_core.store import load_model, read_card
from csp_core.training import train
from tests import small

PLACE = ("--lon", "10", "--lat", "50")


@pytest.fixture(scope="module", autouse=True)
def sets_of_the_demo():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, "demo", small.of_sets(DATASETS["demo"]))
        yield


def trained(folder, sides, images):
    config = {
        "name": "sets",
        "data": {"name": "demo", "size": 240 if images else 1500, "images": images,
                 "val_fraction": 0.2, "test_fraction": 0.2},
        "model": {
            "dim": 16,
            "location": {"name": "rff_sphere", "num_features": 32, "kernel_variance": [1.0, 10.0]},
            "image": {"name": "small_convnet", "dim": 8, "width": 8, "norm": "group", "size": 32}
            if images
            else None,
        },
        "objective": {"name": "label_sets", "sides": sides},
        "training": {"epochs": 3, "batch_size": 32, "learning_rate": 0.01, "device": "cpu"},
    }  # fmt: skip
    train(parse_config(config), run_dir=folder)
    return folder


@pytest.fixture(scope="module")
def of_places(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run") / "places", ["location"], images=False)


@pytest.fixture(scope="module")
def of_images(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run") / "both", ["image", "location"], images=True)


def ok(result):
    code, out, err = result
    assert code == 0, err
    return out


def test_a_model_of_places_is_measured(csp, of_places):
    report = json.loads(ok(csp("evaluate", of_places, "demo", "--json")))
    assert set(report["splits"]) >= {"all"}
    # The records are read as in training: 1,500 and not as many as the data set has by itself.
    assert report["splits"]["all"]["n"] == 1500
    values = report["splits"]["all"]
    assert {"macro_ap", "micro_ap", "macro_f1", "micro_f1", "log_loss", "ece", "n"} <= set(values)
    assert len(values["classes"]) == 24
    assert set(values["classes"][0]) == {"name", "n", "ap", "f1", "threshold"}
    out = ok(csp("evaluate", of_places, "demo"))
    assert "macro_ap" in out and "Each class" in out and "threshold" in out


def test_a_model_of_images_is_measured_by_each_answer(csp, of_images):
    report = json.loads(ok(csp("evaluate", of_images, "demo", "--json")))
    assert set(report["splits"]["all"]) == {"image", "place", "image+place"}
    out = ok(csp("evaluate", of_images, "demo"))
    assert "image+place" in out and "micro_f1" in out and "Each class" in out


def test_predict_gives_a_set_and_then_the_next(csp, of_places):
    lon, lat = load_model(of_places).support.most_recorded()
    place = ("--lon", lon, "--lat", lat)
    report = json.loads(ok(csp("predict", of_places, *place, "--json", "--top", "3")))
    assert report["kind"] == "probability"
    keys = ["rank", "taxon", "common_name", "value", "lift", "support", "in_set"]
    rows = report["results"]
    assert all(list(row) == keys for row in rows)
    assert report["set"] == [row["taxon"] for row in rows if row["in_set"]]
    assert len(rows) == max(3, len(report["set"]))
    # The set stands first; within it and behind it, probabilities fall.
    assert [row["in_set"] for row in rows] == sorted((r["in_set"] for r in rows), reverse=True)
    for part in (True, False):
        values = [row["value"] for row in rows if row["in_set"] is part]
        assert values == sorted(values, reverse=True)
    model = load_model(of_places)
    for row in rows:
        cut = model.calibration.thresholds[model.classes.label(row["taxon"])]
        assert row["in_set"] is (row["value"] >= cut)
    out = ok(csp("predict", of_places, *place))
    assert "The label set here: " in out and "in set" in out and "probability" in out
    assert "need not sum to 100 %" in " ".join(out.split())


def test_predict_names_no_set_where_nobody_looked(csp, of_places):
    out = ok(csp("predict", of_places, "--lon", "-150", "--lat", "-70"))
    assert "The label set" not in out and "extrapolates" in out
    report = json.loads(ok(csp("predict", of_places, "--lon", "-150", "--lat", "-70", "--json")))
    assert report["support"]["extrapolates"] and report["set"] is None
    assert {row["in_set"] for row in report["results"]} == {None}
    values = [row["value"] for row in report["results"]]
    assert values == sorted(values, reverse=True)


def test_predict_a_picture(csp, of_images, tmp_path):
    file = tmp_path / "patch.png"
    Image.new("RGB", (40, 40), (90, 140, 60)).save(file)
    with_place = json.loads(ok(csp("predict", of_images, "--image", file, *PLACE, "--json")))
    assert with_place["kind"] == "probability"
    for key, lines in (("image_set", "image_only"), ("combined_set", "combined")):
        assert with_place[key] == [one["taxon"] for one in with_place[lines] if one["in_set"]]
    alone = json.loads(ok(csp("predict", of_images, "--image", file, "--json")))
    assert alone["kind"] == "probability" and alone["image_set"] == alone["combined_set"]
    assert "set" not in alone
    out = " ".join(ok(csp("predict", of_images, "--image", file, *PLACE)).split())
    assert "each class by itself" in out and "9 times in 10" not in out
    # Their ranks are those of the set first, so they tell of no gain.
    assert " was " not in out.partition("The label set")[0]


def test_a_set_is_not_named_where_the_share_of_a_species_would_not_be(
    csp, of_images, tmp_path, monkeypatch
):
    file = tmp_path / "patch.png"
    Image.new("RGB", (40, 40), (90, 140, 60)).save(file)
    far = ("--lon", "-150", "--lat", "-70")
    model = load_model(of_images)
    picture = torch.full((3, 40, 40), 120, dtype=torch.uint8)
    for fits in (True, False):
        stats = ImageStats if model.image_stats is None else type(model.image_stats)
        monkeypatch.setattr(stats, "judge", lambda self, image, fits=fits: (fits, "As it is."))
        out = " ".join(ok(csp("predict", of_images, "--image", file, *far)).split())
        assert ("The label set of the image alone: " in out) is fits
        assert "The label set with the place" not in out
        with monkeypatch.context() as patch:
            # The few records of this test are enough for no place.
            patch.setattr(PlaceSupport, "extrapolates", False)
            near = " ".join(ok(csp("predict", of_images, "--image", file, *PLACE)).split())
        assert ("The label set with the place: " in near) is fits
    # With another weight than the fitted one there are no thresholds.
    weight = model.calibration.place_weight + 1
    answer = answer_photo(model, picture, lonlat=(10.0, 50.0), weight=weight)
    told = answer.to_dict()
    assert told["combined_set"] is None and told["image_set"] is not None
    assert "is not known" in set_line("with the place", answer.combined)


def test_the_card_tells_of_each_class(of_places, of_images):
    for folder, splits in ((of_places, ("test",)), (of_images, ("test, image+place",))):
        card = read_card(folder)
        assert "that it is in the label set given" in card and "need not sum to 100 %" in card
        assert "| split | macro AP | micro AP | macro F1 |" in card
        assert f"Each class ({splits[0]}):" in card
        assert "| class | records | AP | F1 | threshold |" in card
        assert card.count("share") == 0
        assert "none below that of all classes together" in card
        assert "fitted to these very records" in card
        assert f"training records: {load_model(folder).classes.records}" in card
    assert "picture's log-odds" in read_card(of_images)


def test_models_lists_its_kind(csp, of_places, monkeypatch, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "sets").symlink_to(of_places / "model")
    monkeypatch.setenv("CSP_MODELS", str(tmp_path / "models"))
    rows = json.loads(ok(csp("models", "--json")))
    assert next(row for row in rows if row["name"] == "sets")["kind"] == "probability"


def test_names_with_commas_stand_apart_and_classes_of_land_are_no_taxa(csp):
    place = ("--lon", "13.05", "--lat", "47.8")
    out = ok(csp("predict", "landcover", *place))
    head = out.splitlines()[1]
    assert "class" in head and "taxon" not in head
    said = " ".join(out.split())
    told = said.partition("The label set here: ")[2]
    assert "%); " in told and "%), " not in told
    report = json.loads(ok(csp("predict", "landcover", *place, "--json")))
    assert "taxon" in report["results"][0]
    head = ok(csp("predict", "birds", *place)).splitlines()[1]
    assert "taxon" in head
