"""``csp make-animals``, and a picture's answer whose place another model hears."""

from __future__ import annotations

import json
import math
from importlib import util

import pytest
from PIL import Image

from csp_core.evaluation.report import _side
from csp_core.image.wheels import WHEELS
from csp_core.importers.animals import BACKBONE
from csp_core.store import load_model, made_folder
from tests.animals import NAMES, save_few_animals

PLACE = ("-93.6", "42")
IOWA = ("--lon", "-93.6", "--lat", "42", "--date", "2024-06-12")
KNOWN = WHEELS[BACKBONE]


@pytest.fixture
def bird(tmp_path):
    save_few_animals(made_folder())
    Image.new("RGB", (64, 48), (90, 120, 200)).save(tmp_path / "bird.jpg")
    return tmp_path / "bird.jpg"


def test_image_alone_stands_beside_image_and_place(csp, bird):
    code, out, err = csp("predict", "animals", "--image", bird, *IOWA)
    assert code == 0, err
    said = " ".join(out.split())
    assert "image alone" in said and "image and place" in said and "Date: 2024-06-12" in said
    assert "world_birds hears the place: it knows 3 of 5 classes" in said
    assert "It names 4 kinds and no others" in said


def test_as_data_the_prior_stands_apart(csp, bird):
    code, out, err = csp("predict", "animals", "--image", bird, *IOWA, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["model"] == "animals" and told["lat"] == 42.0
    assert told["place_prior"]["model"] == "world_birds"
    both = {line["taxon"]: line["value"] for line in told["combined"]}
    alone = {line["taxon"]: line["value"] for line in told["image_only"]}
    assert sum(both[name] for name in NAMES[:3]) == pytest.approx(0.75, rel=1e-4)
    assert both["Puma concolor"] == pytest.approx(alone["Puma concolor"])
    assert both[NAMES[0]] > 0.7 > alone[NAMES[0]]


def test_without_a_place_it_is_the_picture_alone(csp, bird):
    code, out, err = csp("predict", "animals", "--image", bird)
    assert code == 0, err
    assert "No place" in out


@pytest.fixture
def photos(tmp_path):
    """A bunting and a goldfinch in Iowa, a puma there, and a bunting without a place."""
    save_few_animals(made_folder())
    Image.new("RGB", (64, 48), (90, 120, 200)).save(tmp_path / "one.jpg")
    rows = [(NAMES[0], *PLACE), (NAMES[1], *PLACE), (NAMES[3], *PLACE), (NAMES[0], "", ""),
            ("Nobody known", *PLACE)]  # fmt: skip
    lines = [f"one.jpg,{label},{lon},{lat},2024-06-12" for label, lon, lat in rows]
    table = tmp_path / "photos.csv"
    table.write_text("\n".join(["path,label,lon,lat,date", *lines]) + "\n")
    return table


def test_evaluate_uses_the_borrowed_prior_as_predict_does(csp, photos):
    asked = []
    for where in (IOWA, ()):
        code, out, err = csp("predict", "animals", "--image", photos.with_name("one.jpg"), *where,
                             "--json")  # fmt: skip
        assert code == 0, err
        asked.append({one["taxon"]: one["value"] for one in json.loads(out)["combined"]})
    iowa, nowhere = asked
    code, out, err = csp("evaluate", "animals", "photos", "--root", photos, "--json")
    assert code == 0, err
    report = json.loads(out)
    found = report["splits"]["all"]
    assert list(found) == ["image", "image+place"]
    both, alone = found["image+place"], found["image"]
    own = [iowa[NAMES[0]], iowa[NAMES[1]], iowa[NAMES[3]], nowhere[NAMES[0]]]
    assert both["n"] == 4 and both["unmatched"] == 1
    assert both["log_loss"] == pytest.approx(-sum(map(math.log, own)) / 4, rel=1e-4)
    assert alone["log_loss"] == pytest.approx(
        -sum(math.log(nowhere[name]) for name in (NAMES[0], NAMES[1], NAMES[3], NAMES[0])) / 4
    )
    assert "world_birds hears the place" in report["note"]
    assert "3 of the 4 records measured have a place" in report["note"]
    assert "Left out: 1 without a label or of no class of that name." in report["note"]


def test_species_inside_a_class_count_for_it(csp, photos):
    head, *rows = photos.read_text().splitlines()
    # Of the two that the class lists, of its genus, a form of one, and of a species of its own.
    species = ("Junco hyemalis", "Junco  PHAEONOTUS", "Junco insularis", "Junco hyemalis oreganus",
               "Puma concolor couguar", "Passerina ciris", "Junco")  # fmt: skip
    photos.write_text("\n".join([head, *(rows[0].replace(NAMES[0], one) for one in species)]))
    code, out, err = csp("evaluate", "animals", "photos", "--root", photos, "--json")
    assert code == 0, err
    report = json.loads(out)
    both = report["splits"]["all"]["image+place"]
    assert (both["n"], both["unmatched"]) == (6, 1)
    held = "5 of them count for a class that holds the taxon, such as Junco hyemalis for Junco."
    assert held in report["note"]
    photos.write_text("\n".join([head, *(rows[0].replace(NAMES[0], "Junco") for _ in range(6))]))
    code, out, err = csp("evaluate", "animals", "photos", "--root", photos, "--json")
    plain = json.loads(out)
    own = plain["splits"]["all"]["image"]["log_loss"]
    juncos = report["splits"]["all"]["image"]["log_loss"]
    # Five are told as juncos are, and the puma as one.
    alone = -math.log(0.15)
    assert juncos == pytest.approx((5 * own + alone) / 6, rel=1e-4)
    assert "holds the taxon" not in plain["note"]


def test_one_photo_is_enough_to_be_measured(csp, photos):
    head, first, *_ = photos.read_text().splitlines()
    photos.write_text(f"{head}\n{first}\n")
    code, out, err = csp("evaluate", "animals", "photos", "--root", photos, "--json")
    assert code == 0, err
    assert json.loads(out)["splits"]["all"]["image+place"]["n"] == 1
    photos.write_text(f"{head}\n{first.replace(NAMES[0], 'Nobody known')}\n")
    code, out, err = csp("evaluate", "animals", "photos", "--root", photos)
    assert code == 1 and "No record is left to evaluate" in err


def test_photos_are_as_large_as_the_encoder_wants_them(photos):
    model = load_model("animals")
    model.image.size = 96
    assert _side(model, "photos") == {"size": 96} and _side(model, "eurosat") == {}


def test_what_stands_in_a_folder_is_not_taken_away(csp, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.txt").write_text("x")
    code, _, err = csp("make-animals", tmp_path / "own")
    assert code == 1 and "there already and not empty" in err
    assert (tmp_path / "own" / "mine.txt").read_text() == "x"


@pytest.mark.skipif(util.find_spec(KNOWN.module) is None, reason=f"needs {KNOWN.package}")
def test_the_command_makes_a_model_that_is_listed(csp, tmp_path):
    code, out, err = csp("make-animals")
    assert code == 0, err
    assert str(made_folder() / "animals") in out.replace("\n", "")
    code, out, _ = csp("models", "--json")
    (row,) = [row for row in json.loads(out) if row["name"] == "animals"]
    assert code == 0 and row["num_classes"] == 276 and row["problem"] is None
    assert row["license"] == "cc-by-nc-sa-4.0"
    Image.new("RGB", (640, 480), (90, 120, 200)).save(tmp_path / "blue.jpg")
    code, out, _ = csp("predict", "animals", "--image", tmp_path / "blue.jpg", "--json", *IOWA)
    told = json.loads(out)
    assert code == 0 and len(told["combined"]) == 10
    assert told["fits"] is False and "none of the 275 kinds" in told["fits_reason"]
