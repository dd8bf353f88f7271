"""What the CLIP family needs is asked of the settings alone, before data are loaded."""

from __future__ import annotations

from typing import Any

import pytest

from csp_core.config import parse_config
from csp_core.config.compared import hints
from csp_core.errors import ConfigError
from csp_core.objectives.clip import FAMILY
from csp_core.objectives.clip.spec import PRESETS, part_weight

IMAGE = {"image": "small_convnet"}
TOKENS = {"location": {"name": "sphere_c", "network": "tokens"}}


def tree(name: str, data: dict[str, Any] | None = None, **model: Any) -> dict[str, Any]:
    return {"objective": name, "model": model, "data": {"name": "demo", **(data or {})}}


@pytest.mark.parametrize("name", FAMILY)
def test_a_pair_of_sides_is_asked_for(name: str) -> None:
    with pytest.raises(ConfigError, match=r"the model has places: give model\.image"):
        parse_config(tree(name))
    assert "give an image encoder" in hints(tree(name))["model.image"]
    config = parse_config(tree(name, **IMAGE, **TOKENS))
    assert config.objective.name == name


def test_scales_to_hide_are_asked_for_where_no_words_are_read() -> None:
    with pytest.raises(ConfigError, match=r"DeCLIP hides scales.*network: tokens"):
        parse_config(tree("declip", **IMAGE))
    assert "hides scales" in hints(tree("declip", **IMAGE))["model.location.network"]
    parse_config(tree("declip", {"captions": "facts"}, **IMAGE, text="transformer"))
    off = tree("declip", **IMAGE) | {"objective": {"name": "declip", "weights": {"masked": 0}}}
    parse_config(off)
    assert "model.location.network" not in hints(off)


def test_words_are_asked_for_where_they_are_read() -> None:
    text = {**IMAGE, "text": "transformer"}
    with pytest.raises(ConfigError, match=r"'demo' has none of its own: give data\.captions"):
        parse_config(tree("clip", **text))
    # Photos may bring theirs, a model that the run starts from what it knows of words.
    parse_config(tree("clip", {"name": "photos"}, **text))
    parse_config(tree("clip", **text, init_from="other"))
    with pytest.raises(ConfigError, match="model has no captions"):
        asked = {"objective": {"name": "clip", "pair_weights": {"image_text": 1}}}
        parse_config(tree("clip", **IMAGE) | asked)


def test_weights_are_read_before_they_are_checked() -> None:
    assert all(part_weight(name, "fine", None) == PRESETS[name].fine for name in PRESETS)
    assert part_weight("filip", "fine", {"fine": "much"}) == 1
    assert part_weight("clip", "fine", [1]) == part_weight("clip", "random", {}) == 0
