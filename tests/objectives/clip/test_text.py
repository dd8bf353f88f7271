"""Captions in the CLIP family: two and three towers, equal captions, what is hidden of them."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from csp_core import losses
from csp_core.errors import ConfigError
from csp_core.objectives.clip import FAMILY
from tests import clip

PLAIN = {"augmentation": None, "mask_km": 0.0}
THREE = ("image_place", "image_text", "place_text")


@pytest.mark.parametrize("name", sorted(FAMILY))
@pytest.mark.parametrize("place", [True, False])
def test_each_learns_from_captions(name, place):
    made = clip.make(name, clip.model(text=True, place=place))
    assert sorted(made.pairs) == (sorted(THREE) if place else ["image_text"])
    optimizer = torch.optim.Adam([p for p in made.parameters() if p.requires_grad], lr=0.003)
    for number in range(2):
        found = clip.step(made, number, optimizer=optimizer)
    assert found["loss"].isfinite()
    if FAMILY[name].preset.neighbour:
        assert set(made.queues) == ({"text"} if not place else {"location", "text"}) - (
            set() if place else {"location"}
        )
        assert "neighbour" in found
    made.eval()
    with torch.no_grad():
        measured = made(made.draw(clip.batch(), clip.source()))
    suffixes = [f"_{pair}" for pair in THREE] if place else [""]
    assert {f"recall_at_10{end}" for end in suffixes} <= set(measured)


@pytest.mark.parametrize("name", ["clip", "declip", "defilip"])
def test_every_weight_has_a_gradient(name):
    made = clip.make(name, clip.model(text=True))
    clip.step(made, 0)
    made.zero_grad()
    made(made.draw(clip.batch(), clip.source()))["loss"].backward()
    resting = {id(w) for part in made.resting() for w in part.parameters()}
    left = [n for n, w in made.named_parameters() if (w.grad is None) != (id(w) in resting)]
    assert left == []


def test_three_towers_are_their_pairs():
    weights = {"image_place": 1.0, "image_text": 0.5, "place_text": 0.25}
    made = clip.make("clip", clip.model(text=True), pair_weights=weights, compat="reference",
                     **PLAIN)  # fmt: skip
    drawn = made.draw(clip.batch(), clip.source())
    image, place = (
        made.model.embed_image(drawn["image"]),
        made.model.embed_location(drawn["lonlat"]),
    )
    text = made.model.embed_text(drawn["tokens"])
    said = [clip.CAPTIONED.captions[row] for row in drawn["caption"].tolist()]
    torch.testing.assert_close(made.model.embed_text(said), text, atol=1e-5, rtol=1e-4)
    scale = made.scale(0)
    terms = [losses.clip_loss(a, b, scale) for a, b in ((image, place), (image, text),
                                                        (place, text))]  # fmt: skip
    want = sum(w * term for w, term in zip(weights.values(), terms, strict=True))
    torch.testing.assert_close(made(drawn)["clip"], want)
    # A side of no weight is not looked at, and rests.
    some = clip.make("clip", clip.model(text=True),
                     pair_weights={"image_place": 0.0, "place_text": 0.0})  # fmt: skip
    assert some.sides == ["image", "text"] and some.model.location in some.resting()
    with pytest.raises(ConfigError, match="pair_weights are"):
        clip.make("clip", clip.model(text=True), pair_weights=dict.fromkeys(THREE, 0.0))


def test_equal_captions_are_all_right():
    made = clip.make("clip", clip.model(text=True, place=False), **PLAIN)
    drawn = made.draw(clip.batch(), clip.source())
    number = drawn["caption"]
    same = number[:, None] == number
    assert same.sum() > len(number), "some are equal"
    image, text = made.model.embed_image(drawn["image"]), made.model.embed_text(drawn["tokens"])
    want = losses.clip_loss(image, text, made.scale(0), positives=same)
    torch.testing.assert_close(made(drawn)["loss"], want)
    released = clip.make("clip", made.model, compat="reference", **PLAIN)
    assert released(drawn)["loss"] > made(drawn)["loss"]
    # Found is who finds any that is right: three captions of one are always found.
    few = {**clip.batch(), "caption": torch.arange(24) % 3}
    made.eval()
    assert made(made.draw(few, clip.source()))["recall_at_10"] > 0.4


def test_hidden_words_are_guessed_from_the_others():
    made = clip.make("declip", clip.model(text=True, place=False), hidden_share=0.5)
    drawn = made.draw(clip.batch(), clip.source())
    target, text = drawn["hidden_target"], made.model.text
    chosen = target >= 0
    assert drawn["tokens"].shape == (24, clip.TEXT["context"])
    assert (drawn["tokens"][chosen] == target[chosen]).all()
    assert not torch.isin(target[chosen], torch.tensor(text.specials)).any()
    assert (drawn["hidden_tokens"] == text.mask_token).sum() > 0.3 * chosen.sum()
    states = text.see(drawn["hidden_tokens"])[1]
    want = F.cross_entropy(made.guesses["text"](states)[chosen], target[chosen])
    found = made(drawn)
    torch.testing.assert_close(found["masked"], want)
    # The first view is the one of which words are hidden; the second has words changed.
    seen = made._see(drawn)["text"]
    torch.testing.assert_close(seen.views[0], text(drawn["hidden_tokens"]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(seen.views[1], text(drawn["view_tokens"]), atol=1e-5, rtol=1e-4)
    assert (drawn["view_tokens"] != drawn["tokens"]).any(dim=1).float().mean() > 0.5
    apart = clip.make("declip", made.model, hidden_share=0.5, masked_view=False)
    seen = apart._see(drawn)["text"]
    torch.testing.assert_close(seen.views[0], text(drawn["tokens"]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(seen.hidden, states, atol=1e-5, rtol=1e-4)


def test_padding_of_captions_counts_nothing():
    made = clip.make("filip", clip.model(text=True, place=False), augmentation=None)
    drawn = made.draw(clip.batch(), clip.source())
    want = made(drawn)["loss"]
    shorter = {**drawn, "tokens": drawn["tokens"][:, : int((drawn["tokens"] > 0).sum(1).max())]}
    torch.testing.assert_close(made(shorter)["loss"], want, atol=1e-5, rtol=1e-5)


def test_many_captions_are_cut_anew(monkeypatch):
    kept = clip.make("declip", clip.model(text=True))
    monkeypatch.setattr("csp_core.objectives.clip.views.MOST_KEPT", 10)
    anew = clip.make("declip", clip.model(text=True))
    assert anew.captions.kept is None and kept.captions.kept is not None
    one, other = (made.draw(clip.batch(), clip.source()) for made in (kept, anew))
    assert all(torch.equal(one[key], other[key]) for key in one if "tokens" in key)


def test_captions_that_tell_nothing(caplog):
    with pytest.raises(ConfigError, match=r"has no captions: give data\.captions"):
        clip.make("clip", clip.model(text=True), clip.PAIRS)
    one = replace(clip.CAPTIONED, caption=torch.zeros(600, dtype=torch.int64))
    with pytest.raises(ConfigError, match="the same caption"):
        clip.make("clip", clip.model(text=True), one)
    some = replace(clip.CAPTIONED, caption=clip.CAPTIONED.caption.clone())
    some.caption[:50] = -1
    with caplog.at_level(logging.WARNING):
        made = clip.make("clip", clip.model(text=True), some)
    assert (
        "50 of 600 training records are left out: they have no place or no caption" in caplog.text
    )
    assert made.stream(some, 10).steps == 55
    drawn = made.eval().draw(clip.batch(40, 64, data=some), clip.source())
    assert len(drawn["caption"]) == 14


def test_long_and_foreign_captions(caplog):
    said = ("forest " * 40, "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \u2603 森", "a river")
    odd = replace(clip.CAPTIONED, captions=said, caption=torch.arange(600) % 3)
    with caplog.at_level(logging.WARNING):
        made = clip.make("declip", clip.model(text=True), odd)
    assert "longer than" in caplog.text
    given = {**clip.batch(data=odd), "caption": torch.arange(24) % 2}
    drawn = made.draw(given, clip.source())
    end = made.model.text.end_token
    assert (drawn["tokens"] == end).any(dim=1).all()
    assert made(drawn)["loss"].isfinite()
