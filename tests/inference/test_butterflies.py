"""The bundled model of invented butterflies, its example photos, and what the known world says."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from csp_core import load_model
from csp_core.config import load_config, parse_config
from csp_core.data.pictures import read_photo
from csp_core.data.sets.demo import DemoWorld
from csp_core.data.sets.demo_looks import WINGS_NOISE
from csp_core.files import read_json
from csp_core.inference import answer_photo
from csp_core.store import find_model, list_models
from csp_core.store.catalog import model_size

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "assets" / "examples"
# Where the look-alikes live.
GULF, ROCKIES = (-91.0, 31.0), (-110.0, 38.0)


@pytest.fixture(scope="module")
def model():
    return load_model("butterflies")


@pytest.fixture(scope="module")
def world():
    return DemoWorld(0, WINGS_NOISE, look="butterflies")


def rows():
    with (EXAMPLES / "examples.csv").open(encoding="utf-8", newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["model"] == "butterflies"]


def test_the_model_is_small_and_knows_the_world_s_names(model, world):
    assert model_size(find_model("butterflies")) <= 1_500_000
    assert model.classes.names == world.names
    assert model.classes.common_names == world.common_names


def test_pages_about_places_still_open_on_real_records():
    names = [info.name for info in list_models() if info.problem is None]
    assert names[0] == "birds" and {"butterflies", "demo"} < set(names)


def test_its_configuration_is_that_of_the_patterns_but_for_the_look():
    wings, waves = (load_config(ROOT / "configs" / f"{n}.yaml") for n in ("butterflies", "demo"))
    assert wings.data.options == waves.data.options | {"look": "butterflies", "noise": WINGS_NOISE}
    assert wings.recipe_hash() == waves.recipe_hash()
    kept = read_json(find_model("butterflies") / "config.json")["provenance"]["config"]
    # Options that came later are what nobody asked for.
    assert parse_config(kept).without_folders() == wings.without_folders()


def test_the_card_states_what_is_best_possible_as_it_is(world):
    card = (find_model("butterflies") / "README.md").read_text()
    limits = load_config(ROOT / "configs" / "butterflies.yaml").card.limits
    assert limits.strip() in card
    rates = world.bayes_rate(3000)
    for key, told in (("image", 0.548), ("place+date", 0.728), ("all", 0.901)):
        assert f"{told} ± 0.001" in card
        assert abs(rates[key][0] - told) < 4 * rates[key][1] + 0.001


def test_it_comes_as_near_to_the_best_as_its_card_says():
    told = read_json(find_model("butterflies") / "metrics.json")["test"]
    assert told["image"]["top1"] < 0.55 and told["image"]["top3"] > 0.999
    assert 0.85 < told["image+place"]["top1"] < 0.91


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["file"])
def test_examples_are_known_and_named_rightly(model, world, row):
    photo = read_photo(EXAMPLES / row["file"])
    answer = answer_photo(model, photo.image, lonlat=photo.lonlat, date=photo.date)
    assert answer.fits and photo.taken
    assert (photo.lonlat is None) == ("no-place" in row["file"])
    if photo.lonlat is not None:
        assert answer.combined[0].common_name == row["common_name"]
    kind = row["common_name"].rsplit(" ", 1)[0]
    assert all(line.common_name.startswith(kind) for line in answer.image_only[:3])
    assert world.common_names[world.names.index(row["truth"])] == row["common_name"]


@pytest.mark.parametrize("file", ["kite-gulf.png", "kite-rockies.png"])
def test_the_answer_flips_by_the_place_as_the_known_world_says_it_must(model, world, file):
    photo = read_photo(EXAMPLES / file)
    image = photo.image[None] / 255
    date = torch.tensor([photo.date])
    beta, gamma = (world.names.index(f"Demokite {name}") for name in ("beta", "gamma"))
    share = world.image_posterior(image)[0]
    assert (share[beta] - share[gamma]).abs() < 0.1 and share[beta] + share[gamma] > 0.5
    for place, label in ((GULF, beta), (ROCKIES, gamma)):
        known = world.posterior(torch.tensor([place]), date, image)[0]
        assert known.argmax() == label and known[label] > 0.6
        answer = answer_photo(model, photo.image, lonlat=place, date=photo.date)
        assert answer.combined[0].taxon == world.names[label]
