"""What a card says to people is within bounds, or left out."""

from __future__ import annotations

import pytest
import yaml

from csp_core.config.sections import CardConfig
from csp_core.errors import ConfigError
from csp_core.files import ASSETS
from csp_core.store import check_introduction, list_models
from csp_core.store.introduction import Introduction, read_introduction

GOOD = {
    "headline": "Crops of Kenya: 9 kinds",
    "singular": "kind of crop",
    "plural": "kinds of crop",
    "examples": [{"name": "Nairobi", "lon": 36.8, "lat": -1.3}],
}


def test_each_part_is_read():
    found = check_introduction(GOOD)
    assert (found.headline, found.plural) == ("Crops of Kenya: 9 kinds", "kinds of crop")
    assert (found.examples[0].lon, found.examples[0].lat) == (36.8, -1.3)
    assert check_introduction({}) == Introduction()


@pytest.mark.parametrize(
    "part",
    [
        {"headline": "x" * 121},
        {"headline": ["x"]},
        {"singular": "<b>"},
        {"singular": "a" * 41},
        {"singular": "*bold*"},
        {"singular": "kind:red[x]"},
        {"singular": ""},
        {"examples": GOOD["examples"] * 7},
        {"examples": "Nairobi"},
        {"examples": [{"name": "Nairobi", "lon": 36.8}]},
        {"examples": [{"name": "Nairobi", "lon": 361, "lat": 0}]},
        {"examples": [{"name": "Nairobi", "lon": float("nan"), "lat": 0}]},
        {"examples": [{"name": "Nairobi", "lon": True, "lat": 0}]},
        {"examples": [{"name": "Nairobi", "lon": "1", "lat": 0}]},
        {"examples": [{"name": "N" * 41, "lon": 1, "lat": 0}]},
        {"script": "alert(1)"},
    ],
)
def test_what_is_out_of_bounds_is_refused_by_a_run_and_left_out_of_a_card(part):
    with pytest.raises(ConfigError, match=r"introduction|example"):
        check_introduction(GOOD | part)
    assert read_introduction({"introduction": GOOD | part}) == Introduction()
    with pytest.raises(ValueError):
        CardConfig(introduction=GOOD | part)


@pytest.mark.parametrize("given", ["text", 7, ["a"], {"introduction": "text"}])
def test_no_mapping_says_nothing(given):
    assert read_introduction({"introduction": given}) == Introduction()


def test_a_headline_does_nothing_but_be_read():
    found = check_introduction({"headline": "A\x1b[2J\n line \u202eof it"})
    assert "\x1b" not in found.headline and "\n" not in found.headline


def test_the_bundled_models_introduce_themselves_as_their_recipes_do():
    bundled = {info.name: info.introduction for info in list_models()}
    assert bundled["birds"].headline.startswith("Birds of Africa and Europe: 330 species")
    assert bundled["eurosat"].plural == "kinds of land cover"
    for name, said in bundled.items():
        file = {"korea_landuse": "dense/korea", "eurosat_words": "clip/eurosat_words"}.get(
            name, name
        )
        recipe = yaml.safe_load((ASSETS.parent / "configs" / f"{file}.yaml").read_text("utf-8"))
        assert check_introduction(recipe["card"]["introduction"]) == said
