"""Odd records and weights in the CLIP family: nothing to compare, padding, long captions."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch

from csp_core.errors import ConfigError
from csp_core.model import DualEncoder
from csp_core.objectives.clip.compare import _whose
from csp_core.text import make_text_encoder
from tests import clip


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("slip", {"clip": 0}),
        ("clip", {"clip": 0, "random": 1}),
        ("declip", {"clip": 0, "image": 0, "neighbour": 0}),
    ],
)
def test_retrieval_is_measured_whatever_has_a_weight(name, weights):
    made = clip.make(name, weights=weights)
    assert clip.step(made, 0)["loss"].isfinite()
    made.eval()
    with torch.no_grad():
        found = made(made.draw(clip.batch(), clip.source()))
    assert "clip" not in found and 0 <= found["recall_at_10"] <= 1


@pytest.mark.parametrize("name", ["slip", "declip", "defilip"])
def test_a_part_without_complete_records_measures_nothing(name):
    made = clip.make(name, clip.model(text=True)).eval()
    nowhere = replace(clip.CAPTIONED, lonlat=torch.full_like(clip.CAPTIONED.lonlat, torch.nan))
    drawn = made.draw(clip.batch(data=nowhere), clip.source())
    assert made.counted(drawn) == 0
    assert made(drawn)["loss"] == 0


def test_padding_is_never_to_be_guessed():
    text = make_text_encoder("open_clip", 16, width=64, layers=1, context=24)
    torch.manual_seed(0)
    made = clip.make("declip", DualEncoder(clip.model().image, None, text=text, dim=16))
    drawn = made.draw(clip.batch(), clip.source())
    asked = drawn["hidden_target"] != -100
    assert asked.any() and not asked[~text.real(drawn["tokens"])].any()
    # What stands behind the end is as it was.
    assert not drawn["hidden_tokens"][~text.real(drawn["tokens"])].any()


def test_long_captions_are_told_once(caplog):
    with caplog.at_level(logging.WARNING):
        made = clip.make("declip", clip.model(text=True))
        for number in range(3):
            clip.step(made, number)
    assert caplog.text.count("captions are longer") == 1


@pytest.mark.parametrize(
    "options",
    [
        {"views": {"km": 5}},
        {"views": {"km": ["a", "b"]}},
        {"views": {"days": "a week"}},
        {"random": {"number": 1.5}},
        {"random": {"columns": "many"}},
    ],
)
def test_groups_of_options_say_what_is_wrong(options):
    (group, values), *_ = options.items()
    with pytest.raises(ConfigError, match=rf"{group}\.{next(iter(values))} is "):
        clip.make("declip", **options)


def test_groups_of_options_take_what_yaml_reads_as_words():
    made = clip.make("declip", views={"km": ["1e-1", 5], "days": "1e-1"})
    assert made.spec.views.km == (0.1, 5.0) and made.spec.views.days == 0.1


def test_a_weight_of_a_pair_that_the_model_lacks_is_refused():
    with pytest.raises(ConfigError, match=r"image_text 2, and the model has no captions"):
        clip.make("clip", pair_weights={"image_text": 2})
    assert set(clip.make("clip", pair_weights={"image_text": 0}).pairs) == {"image_place"}


def test_numbers_of_many_captions_are_told_apart():
    many = torch.tensor([2**24, 2**24 + 1, 2**30 + 3, 2**30 + 4])
    assert len(torch.unique(_whose({"caption": many}, "text"), dim=0)) == 4
