"""A picture's answer with a place that another model hears: what moves and what stays."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from csp_core import rerank
from csp_core.data.records import ClassTable
from csp_core.errors import ConfigError
from csp_core.inference import answer_photo, image_fits, location_prior, posterior_within
from csp_core.model import Borrowed, match_taxa
from csp_core.model.combine import DOUBT
from csp_core.raster import winning_map
from csp_core.store import load_model
from tests.animals import NAMES, PROBS, TAXA, save_few_animals

IOWA, BAVARIA = (-93.6, 42.0), (11.6, 48.1)
PICTURE = torch.zeros(3, 40, 60, dtype=torch.uint8)
BIRDS = slice(0, 3)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(save_few_animals(tmp_path_factory.mktemp("few")))


def by_hand(model, place, date, weight=1.0):
    """Work the formula out slowly, in NumPy."""
    said = location_prior(model.places, torch.tensor([place]), date=torch.tensor([date]))[0].numpy()
    names = model.places.classes.names
    score = [max(said[names.index(taxon)] for taxon in taxa) for taxa in TAXA[:3]]
    doubted = np.array([(1 - DOUBT) * s + DOUBT for s in score], dtype=np.float64)
    product = np.array(PROBS[:3]) * doubted**weight
    return [*(product / product.sum() * sum(PROBS[:3])), *PROBS[3:]]


@pytest.mark.parametrize("place", [IOWA, BAVARIA])
@pytest.mark.parametrize("weight", [0.5, 1.0])
def test_the_place_says_which_bird_and_not_whether_it_is_one(model, place, weight):
    answer = answer_photo(model, PICTURE, lonlat=place, date=0.45, weight=weight)
    assert answer.image_probs.tolist() == pytest.approx(PROBS, rel=1e-5)
    assert answer.probs.tolist() == pytest.approx(by_hand(model, place, 0.45, weight), rel=1e-4)
    assert answer.probs[BIRDS].sum().item() == pytest.approx(sum(PROBS[:3]), rel=1e-5)
    assert answer.probs[3:].tolist() == pytest.approx(PROBS[3:], rel=1e-5)


def test_the_bird_of_the_place_comes_first(model):
    iowa, bavaria = (answer_photo(model, PICTURE, lonlat=p, date=0.45) for p in (IOWA, BAVARIA))
    assert iowa.combined[0].taxon == NAMES[0] and bavaria.combined[0].taxon == NAMES[1]
    assert iowa.combined[0].log_odds.season != 0
    assert model.places.uses_date and not model.uses_date


def test_without_a_place_the_answer_is_the_pictures(model):
    answer = answer_photo(model, PICTURE)
    assert answer.probs.tolist() == answer.image_probs.tolist()


def test_what_is_mostly_something_else_is_not_named(model, tmp_path):
    assert image_fits(model, PICTURE) == (
        True,
        "By the picture, it is one of the 4 kinds of its list: 90%.",
    )
    other = load_model(save_few_animals(tmp_path, (0.1, 0.1, 0.1, 0.1, 0.6)))
    fits, reason = image_fits(other, PICTURE)
    assert not fits and reason.endswith("none of the 4 kinds of its list: 60%.")


def test_over_the_earth_others_win_elsewhere(model):
    world = winning_map(model, torch.tensor(PROBS), step=20.0, date=0.45)
    assert {0, 1} <= set(world.classes)


def test_rerank_takes_several_names_for_a_class(model):
    names = [[*taxa] or name for taxa, name in zip(TAXA, NAMES, strict=True)]
    found = rerank([PROBS], [IOWA], model=model.places, date=[0.45], names=names)
    assert found.probs[0].tolist() == pytest.approx(by_hand(model, IOWA, 0.45), rel=1e-4)
    assert found.unmatched == NAMES[3:] and "Junco hyemalis; Junco phaeonotus" in found.matched


def test_bounds_of_the_formula():
    nan = float("nan")
    picture = torch.tensor([[0.2, 0.0, 0.8], [0.2, 0.0, 0.8]])
    prior = torch.tensor([[0.1, 0.9, nan], [nan, nan, nan]])
    found = posterior_within(picture, prior)
    assert found.tolist()[0] == pytest.approx([0.2, 0.0, 0.8])
    assert found[1].tolist() == picture[1].tolist()
    # Where no known class has a share there is none to share out.
    none = posterior_within(torch.tensor([[0.0, 0.0, 1.0]]), prior[:1])
    assert none.tolist() == [[0.0, 0.0, 1.0]]
    with pytest.raises(ConfigError, match="equal shapes"):
        posterior_within(picture, prior[:1])


def test_taxa_inside_classes_are_matched_where_one_class_holds_them(model):
    names = ["Junco hyemalis", "junco PHAEONOTUS", "Junco", "Puma yagouaroundi", "Aba alta", ""]
    label, inside = match_taxa(model, names)
    assert label.tolist() == [2, 2, 2, -1, -1, -1]
    assert inside.tolist() == [True, True, False, False, False, False]
    # A species that two classes hold is of neither, nor of the genus that holds it besides.
    both = (TAXA[0], (NAMES[1], "Junco hyemalis"), *TAXA[2:])
    lent = model.borrowed
    try:
        model.borrowed = Borrowed(lent.prior, both)
        assert match_taxa(model, names)[0].tolist()[:2] == [-1, 2]
        # A model that borrows nothing has no classes of several taxa.
        model.borrowed = None
        label, inside = match_taxa(model, names)
        assert label.tolist() == model.classes.match(names).tolist() and not inside.any()
    finally:
        model.borrowed = lent


def test_forms_are_of_the_class_named_by_them_and_hybrids_of_none(model):
    names = ("Junco", "Canis familiaris", "Canis lupus", "Canis dingo", "Sus domesticus",
             "Sus scrofa", "Lynx")  # fmt: skip
    lent = Borrowed(model.borrowed.prior, (("Junco hyemalis",), *[()] * 6))
    model = SimpleNamespace(classes=ClassTable(names), borrowed=lent)
    named = {
        "Canis lupus familiaris": "Canis familiaris",  # a dog is no wolf, though one of its forms
        "Canis lupus subsp. dingo": "Canis dingo",
        "Canis lupus arctos": "Canis lupus",
        "Sus scrofa domesticus": "Sus domesticus",
        "Junco hyemalis oreganus": "Junco",
        "Lynx lynx carpathicus": "Lynx",
        "Canis lupus x Canis latrans": None,
        "Canis lupus × familiaris": None,
        "Canis lupus ×familiaris": None,
        "Canis lupus/latrans": None,
        "Lynx or Puma": None,
        "Canis": None,
    }
    label, inside = match_taxa(model, list(named))
    found = [model.classes.names[k] if k >= 0 else None for k in label.tolist()]
    assert found == list(named.values())
    assert inside.tolist() == [name is not None for name in found]
