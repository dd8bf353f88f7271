import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from csp_core.errors import ConfigError, UnknownNameError
from csp_core.evaluation.probes import (
    PENALTIES,
    STRENGTHS,
    Nearest,
    Probe,
    embed_frozen,
    make_splits,
    with_bank,
)
from csp_core.evaluation.probes.fitting import ridge_path
from csp_core.geo import great_circle_km, sphere_points
from csp_core.inference.few_shot import few_shot
from csp_core.inference.retrieval import embed_all
from csp_core.location import ENCODINGS, make_location_encoder
from csp_core.store import load_model, save_model


@pytest.fixture
def world():
    return sphere_points(torch.rand(150, 2, generator=torch.Generator().manual_seed(0)))


def drawn(world, dims=6):
    """Features of different sizes, and two targets, one of them told by the features."""
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(len(world), dims)) * 10.0 ** np.arange(dims) + 5
    told = vectors @ (rng.normal(size=dims) / 10.0 ** np.arange(dims)) + rng.normal(size=150) * 0.3
    return vectors, np.stack((told, rng.normal(size=len(world))), axis=1)


def test_the_path_of_strengths_is_that_of_ridge():
    rng = np.random.default_rng(0)
    x, y, asked = rng.normal(size=(40, 7)), rng.normal(size=(40, 2)) + 9, rng.normal(size=(5, 7))
    x -= x.mean(axis=0)
    for strength, found in zip(STRENGTHS, ridge_path(x, y, asked), strict=True):
        want = Ridge(alpha=strength * 40).fit(x, y).predict(asked)
        assert np.allclose(found, want, atol=1e-8)


def test_ridge_by_a_slow_search(world):
    vectors, values = drawn(world)
    for degrees in (None, 20.0):
        split = make_splits(world, degrees)[1]
        found = Probe(vectors).numbers(split, values)

        def fit(train, test, strength, column):
            scaler = StandardScaler().fit(vectors[train])
            ridge = Ridge(alpha=strength * len(train))
            ridge.fit(scaler.transform(vectors[train]), values[train, column])
            return ridge.predict(scaler.transform(vectors[test]))

        for column in range(2):
            errors = [
                sum(((fit(a, b, s, column) - values[b, column]) ** 2).sum() for a, b in split.inner)
                for s in STRENGTHS
            ]
            want = fit(split.train, split.test, STRENGTHS[int(np.argmin(errors))], column)
            assert np.allclose(found[:, column], want, atol=1e-8)


def test_what_is_asked_is_never_looked_at(world):
    vectors, values = drawn(world)
    split = make_splits(world, 10)[0]
    codes = (values[:, 0] > np.median(values[:, 0])).astype(np.int64)
    hidden, other = values.copy(), codes.copy()
    hidden[split.test], other[split.test] = 1e9, 1 - codes[split.test]
    far = vectors.copy()
    far[split.test[1:]] *= 1000  # one place's answer does not depend on who else is asked
    beside = with_bank(vectors, world, 0.5)
    ways = (Probe(vectors), Nearest(world, by_distance=True), Probe(beside))
    for way in ways:
        assert np.array_equal(way.numbers(split, values), way.numbers(split, hidden))
        assert np.array_equal(way.classes(split, codes, 2), way.classes(split, other, 2))
    first = Probe(vectors).numbers(split, values)[0]
    assert np.allclose(Probe(far).numbers(split, values)[0], first, atol=1e-10)


def test_logistic_regression_by_a_slow_search(world):
    vectors, values = drawn(world)
    codes = np.digitize(values[:, 0], np.quantile(values[:, 0], [0.3, 0.7]))
    split = make_splits(world, 10)[0]
    found = Probe(vectors).classes(split, codes, 3)

    def fit(train, test, penalty):
        scaler = StandardScaler().fit(vectors[train])
        model = LogisticRegression(C=1 / (penalty * len(train)), max_iter=2000, tol=1e-8)
        model.fit(scaler.transform(vectors[train]), codes[train])
        return model.predict_proba(scaler.transform(vectors[test]))

    losses = [
        -sum(np.log(fit(a, b, p)[np.arange(len(b)), codes[b]]).sum() for a, b in split.inner)
        for p in PENALTIES
    ]
    want = fit(split.train, split.test, PENALTIES[int(np.argmin(losses))]).argmax(axis=1)
    assert (found == want).mean() > 0.95 and (found == codes[split.test]).mean() > 0.7


def test_a_training_fold_of_one_class_answers_with_it(world):
    vectors, _ = drawn(world)
    split = make_splits(world, 20)[0]
    codes = np.zeros(150, np.int64)
    codes[split.test] = 2
    for way in (Probe(vectors), Nearest(world, by_distance=False)):
        assert way.classes(split, codes, 3).tolist() == [0] * len(split.test)


def test_a_constant_embedding_gives_the_mean(world):
    split = make_splits(world)[0]
    values = np.random.default_rng(0).normal(size=(150, 1))
    said = Probe(np.ones((150, 4))).numbers(split, values)
    assert np.allclose(said, values[split.train].mean())


@pytest.mark.parametrize("by_distance", [True, False])
def test_the_nearest_by_hand(world, by_distance):
    values = np.random.default_rng(0).normal(size=(150, 2))
    codes = np.random.default_rng(1).integers(0, 3, 150)
    split = make_splits(world, 10)[0]
    way = Nearest(world, by_distance=by_distance, counts=(4,))
    km = great_circle_km(world[split.test][:, None].double(), world[split.train][None].double())
    for row, (said, code) in enumerate(
        zip(way.numbers(split, values), way.classes(split, codes, 3), strict=True)
    ):
        near = km[row].argsort()[:4].numpy()
        weight = 1 / km[row].numpy()[near] ** 2 if by_distance else np.ones(4)
        own = split.train[near]
        assert np.allclose(said, weight @ values[own] / weight.sum())
        assert code == np.bincount(codes[own], weight, 3).argmax()


def test_how_many_neighbours_is_chosen_for_each_target(world):
    smooth = np.sin(np.deg2rad(world[:, 1].numpy()))
    noise = np.random.default_rng(0).normal(size=150)
    split = make_splits(world)[0]
    both = np.stack((smooth, noise), axis=1)
    way = Nearest(world, by_distance=False, counts=(1, 3, 100))
    found = way.numbers(split, both)
    for column, counts in ((0, (3,)), (1, (100,))):
        alone = Nearest(world, by_distance=False, counts=counts).numbers(split, both)
        assert np.array_equal(found[:, column], alone[:, column])


def test_embeddings_of_every_kind(world, model_dir):
    lon, lat = world.double().numpy().T
    assert np.array_equal(embed_frozen("raw", world).vectors, np.stack((lon, lat), axis=1))
    both = np.deg2rad(np.stack((lon, lat), axis=1))
    want = np.concatenate((np.sin(both), np.cos(both)), axis=1)
    assert np.allclose(embed_frozen("sincos", world).vectors, want)
    found = embed_frozen(str(model_dir), world)
    assert found.vectors.shape[0] == 150 and np.ptp(found.vectors) > 0


def test_a_species_model_is_probed_without_its_places(world, model_dir, tmp_path):
    base = load_model(model_dir)
    found = few_shot(base, [(13.4, 52.5), (2.3, 48.8), (16.3, 48.2)])
    told = embed_frozen(str(save_model(found.model, tmp_path / "species")), world)
    assert np.allclose(told.vectors, embed_frozen(str(model_dir), world).vectors)
    assert told.about.endswith(", without how near its species' places lie")
    assert embed_all(found.model, "places", world).space.endswith("the places of its species lie")
    assert "places" not in embed_all(base, "places", world).space


def test_untrained_encoders_follow_from_the_seed_alone(world):
    state = torch.random.get_rng_state()
    first, again = (embed_frozen("grid", world[:9], seed=4) for _ in range(2))
    assert np.array_equal(first.vectors, again.vectors) and first.vectors.shape == (9, 256)
    assert not np.allclose(first.vectors, embed_frozen("grid", world[:9], seed=5).vectors)
    assert torch.equal(state, torch.random.get_rng_state())
    torch.manual_seed(4)
    with torch.inference_mode():
        want = make_location_encoder("grid", dim=256).eval()(world[:9].double())
    assert np.allclose(first.vectors, want.double().numpy())
    assert "untrained" in first.name and "not trained" in first.about


@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_every_encoding_can_be_probed(name, world):
    assert np.isfinite(embed_frozen(name, world[:20]).vectors).all()


def test_names_that_are_none():
    with pytest.raises(UnknownNameError, match="Did you mean 'sphere_c'"):
        embed_frozen("spherec", torch.zeros(1, 2))
    with pytest.raises(ConfigError, match="no location encoder"):
        embed_frozen("korea_landuse", torch.zeros(1, 2))
