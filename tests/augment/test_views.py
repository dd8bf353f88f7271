"""Second views of places and captions, and what is hidden of them to be guessed."""

from __future__ import annotations

import math

import pytest
import torch

from csp_core import geo
from csp_core.augment import views
from csp_core.augment.words import GROUPS, SYNONYMS, change_caption

CAPTION = "A picture of a small forest, near the river, in Switzerland"


def uniform(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("latitude", [0.0, 85.0, 90.0])
@pytest.mark.parametrize("longitude", [0.0, 179.9999])
def test_places_move_as_far_at_the_pole_as_at_the_equator(latitude, longitude):
    places = torch.tensor([[longitude, latitude]], dtype=torch.float64).expand(20_000, -1)
    for sigma in (0.5, 20.0):
        moved = views.scatter_places(places, sigma, sigma, uniform(20_000, 3).double())
        assert moved.isfinite().all()
        assert moved[:, 0].abs().max() <= 180 and moved[:, 1].abs().max() <= 90
        km = geo.great_circle_km(moved, places).mean().item()
        assert km == pytest.approx(sigma * math.sqrt(math.pi / 2), rel=0.02)
    # Wrapped at the antimeridian, half of them lie on its other side.
    if longitude > 0 and latitude == 0:
        assert 0.45 < (moved[:, 0] < 0).double().mean() < 0.55


def test_how_far_is_uniform_in_its_logarithm():
    places = torch.zeros(20_000, 2, dtype=torch.float64)
    moved = views.scatter_places(places, 0.1, 50.0, uniform(20_000, 3).double())
    km = geo.great_circle_km(moved, places).log()
    want = math.log(0.1 * 50) / 2 + (math.log(2) - 0.577216) / 2
    assert km.mean().item() == pytest.approx(want, abs=0.04)
    nowhere = views.scatter_places(torch.full((2, 2), torch.nan), 1.0, 2.0, uniform(2, 3))
    assert nowhere.isnan().all()


def test_dates_move_over_new_year():
    dates = torch.full((10_000,), 1 / 365.25, dtype=torch.float64)
    moved = views.shift_dates(dates, 7.0, uniform(10_000).double())
    assert (moved >= 0).all() and (moved < 1).all()
    days = ((moved - dates + 0.5) % 1 - 0.5) * 365.25
    assert days.abs().max() <= 7 and days.mean().abs() < 0.15
    assert days.std().item() == pytest.approx(7 / math.sqrt(3), rel=0.02)
    assert 0.35 < (moved > 0.5).double().mean() < 0.5
    assert views.shift_dates(torch.tensor([torch.nan]), 7.0, uniform(1)).isnan().all()
    least = views.shift_dates(torch.tensor([0.0]), 1e-6, torch.tensor([0.0]))
    assert 0 <= least.item() < 1
    forgotten = views.forget(dates, 0.1, uniform(10_000)).isnan().double().mean().item()
    assert forgotten == pytest.approx(0.1, abs=0.01)


def test_scales_are_hidden_by_the_rule():
    codes = views.hide_scales(0.15, uniform(20_000, 50, 2))
    shares = torch.bincount(codes.flatten(), minlength=4) / codes.numel()
    want = torch.tensor([0.85, 0.12, 0.015, 0.015])
    torch.testing.assert_close(shares, want, atol=0.005 * 0.15, rtol=0)
    assert (views.hide_scales(0.0, uniform(9, 9, 2)) == views.KEPT).all()


def test_tokens_are_hidden_by_the_rule():
    specials, vocabulary = (0, 1, 2, 3), 40
    tokens = (uniform(20_000, 50, seed=1) * vocabulary).long()
    seen, target = views.hide_tokens(
        tokens, 0.15, uniform(20_000, 50, 3), specials=specials, mask=3, vocabulary=vocabulary
    )
    chosen, special = target != views.IGNORED, tokens < 4
    assert not (chosen & special).any()
    assert (target[chosen] == tokens[chosen]).all() and (seen[~chosen] == tokens[~chosen]).all()
    rate = (chosen.sum() / (~special).sum()).item()
    assert rate == pytest.approx(0.15, abs=0.005 * 0.15 * 4)
    hidden, same = seen[chosen] == 3, seen[chosen] == tokens[chosen]
    assert hidden.double().mean().item() == pytest.approx(0.8, abs=0.005)
    other = ~hidden & ~same
    # One in 36 of those that are any other token is by chance the one that was there.
    assert other.double().mean().item() == pytest.approx(0.1 * 35 / 36, abs=0.005)
    assert same.double().mean().item() == pytest.approx(0.1 + 0.1 / 36, abs=0.005)
    words = seen[chosen][other]
    assert words.min() == 4 and words.max() == vocabulary - 1


def test_a_caption_changes_in_three_ways():
    before, kinds = CAPTION.split(), set()
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)
        words = change_caption(CAPTION, generator).split()
        again = change_caption(CAPTION, torch.Generator().manual_seed(seed)).split()
        assert words == again
        if len(words) == len(before) - 1:
            kinds.add("drop")
        elif sorted(words) == sorted(before):
            kinds.add("swap")
        else:
            (pair,) = [(a, b) for a, b in zip(before, words, strict=True) if a != b]
            bare, other = (word.strip(",").lower() for word in pair)
            assert other in SYNONYMS[bare] and pair[0].endswith(",") == pair[1].endswith(",")
            kinds.add("replace")
    assert kinds == {"drop", "swap", "replace"}


def test_captions_of_few_words_stay():
    generator = torch.Generator().manual_seed(0)
    assert change_caption("forest", generator) == "forest"
    assert change_caption("", generator) == ""
    words = [word for group in GROUPS for word in group]
    assert len(words) == len(set(words)), "a word means one thing"
