"""Numbers and colours that stay with clusters, whatever they are found by."""

from __future__ import annotations

import pytest
import torch

from csp_core import load_model
from csp_core.geo import unit_vectors
from csp_core.inference import clusters as room
from csp_core.inference.clusters import reference as place
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder


# The invented world, and the model with which the page opens.
@pytest.fixture(scope="module", params=["demo", "earth"])
def model(request):
    return load_model(request.param)


@pytest.fixture(scope="module")
def tree(model):
    found = room.make_reference(model)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def labels_of(model, tree):
    known = {}

    def give(points=500, count=8, seed=0, method="kmeans", where="land"):
        key = (points, count, seed, method, where)
        if key not in known:
            sample = room.make_sample(points, where=where)
            vectors = room.embed(model, sample.lonlat)
            labels = room.cluster(vectors, method=method, count=count, seed=seed)
            known[key] = sample, room.numbered(labels, sample, vectors, tree, method=method)
        return known[key]

    return give


def kept(one, other):
    """Give which part of the places has the same number, and which could have at best."""
    sample, labels = one
    where = unit_vectors(sample.lonlat.double()) @ unit_vectors(other[0].lonlat.double()).T
    theirs = other[1][where.argmax(dim=1)]
    both = (labels >= 0) & (theirs >= 0)
    best = room.match(labels[both], theirs[both]) == theirs[both]
    same = labels[both] == theirs[both]
    return same.double().mean().item(), best.double().mean().item()


def test_a_group_splits_while_all_others_stay(tree):
    for count in range(1, 40):
        coarse, fine = tree.parts(count), tree.parts(count + 1)
        assert sorted({*fine.tolist()}) == list(range(count + 1))
        (moved,) = {*coarse[coarse != fine].tolist()}
        new = int((fine == count).sum())
        assert new == int((coarse != fine).sum()) <= int((fine == moved).sum())
    assert len({*tree.parts(5000).tolist()}) == len(tree.lonlat)


@pytest.mark.parametrize(
    ("first", "other", "least"),
    [
        ({}, {"points": 1500}, 0.7),
        ({}, {"seed": 3}, 0.6),
        ({}, {"count": 9}, 0.6),
        ({"count": 6}, {"count": 7}, 0.6),
        ({"points": 1500, "count": 12, "seed": 2}, {"count": 12}, 0.6),
        ({}, {"where": "world", "points": 1500}, 0.5),
    ],
)
def test_colours_stay_as_far_as_clusters_do(model, labels_of, first, other, least):
    # What the whole Earth is like has more groups than eight, which part otherwise as points go.
    least = min(least, 0.6) if model.name == "earth" else least
    same, best = kept(labels_of(**first), labels_of(**other))
    assert same >= least and same >= best - 0.12


def test_methods_share_colours(labels_of):
    same, best = kept(labels_of(method="hdbscan"), labels_of())
    assert same >= best - 0.15 and same > 0.3


@pytest.mark.parametrize("count", [2, 4, 8, 13])
def test_numbers_of_k_means_leave_none_out(labels_of, count):
    assert sorted({*labels_of(count=count)[1].tolist()}) == list(range(count))


def test_more_clusters_than_places_of_the_reference(model, monkeypatch):
    monkeypatch.setattr(place, "PLACES", 5)
    sample = room.make_sample(100)
    vectors = room.embed(model, sample.lonlat)
    labels = room.cluster(vectors, count=8)
    shown = room.numbered(labels, sample, vectors, room.make_reference(model))
    assert sorted({*shown.tolist()}) == list(range(8))


def test_the_sea_and_noise(model, tree):
    open_sea = (-150.0, -40.0, -110.0, -10.0)
    assert room.make_reference(model, bounds=open_sea) is None
    sea = room.make_reference(model, bounds=open_sea, where="world")
    assert sea is not None and len(sea.lonlat) == place.PLACES
    sample = room.make_sample(50)
    vectors, noise = room.embed(model, sample.lonlat), torch.full((50,), -1)
    assert room.numbered(noise, sample, vectors, tree).tolist() == noise.tolist()
    far = room.make_sample(60, where="world", bounds=open_sea)
    at_sea = room.embed(model, far.lonlat)
    labels = room.cluster(at_sea, count=3)
    # None is near land, so how alike they are to its groups decides.
    assert sorted({*room.numbered(labels, far, at_sea, tree).tolist()}) == [0, 1, 2]


def test_a_model_that_cannot_be_asked_keeps_its_numbers():
    encoder = make_location_encoder("sphere_c", dim=4)
    broken = DualEncoder(None, encoder, dim=4, name="broken").eval()
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    assert room.make_reference(broken) is None
    sample = room.make_sample(4)
    labels = torch.tensor([2, 0, 1, -1])
    assert room.numbered(labels, sample, torch.eye(4), None).tolist() == labels.tolist()
