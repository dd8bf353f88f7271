"""Baselines against their formulas written slowly in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from csp_core.data.records import ClassTable, RecordDataset
from csp_core.errors import BadRecordError, ConfigError, UnknownNameError
from csp_core.evaluation import evaluate
from csp_core.inference import describe_place, location_prior
from csp_core.model import BASELINES, Mixture, make_baseline
from csp_core.store import load_model
from tests import small

NAMES = sorted(BASELINES)
DATA = small.dataset()
PLACES = torch.tensor([[36.8, -1.3], [16.4, 48.2], [-179.9, -18], [180, -18], [0, 90], [-70, -30]])
FREQUENCY = np.array([150, 50, 150, 50, 150, 50]) / 600


def slow_km(a, b):
    lon_a, lat_a, lon_b, lat_b = map(math.radians, (*a, *b))
    square = (
        math.sin((lat_a - lat_b) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_a - lon_b) / 2) ** 2
    )
    return 2 * 6371.0088 * math.asin(math.sqrt(min(1.0, square)))


def distances(place):
    return [slow_km(place, record) for record in DATA.lonlat.double().tolist()]


def test_class_frequency():
    prior = location_prior(make_baseline("class_frequency", DATA), PLACES)
    np.testing.assert_allclose(prior.numpy(), np.tile(FREQUENCY, (len(PLACES), 1)), rtol=1e-6)


@pytest.mark.parametrize(("k", "mass"), [(1, 0.5), (20, 5.0), (10_000, 5.0)])
def test_nearest_records_against_brute_force(k, mass):
    prior = location_prior(make_baseline("nearest_records", DATA, k=k, mass=mass), PLACES)
    for row, place in zip(prior.numpy(), PLACES.tolist(), strict=True):
        nearest = np.argsort(distances(place))[:k]
        votes = np.bincount(DATA.label.numpy()[nearest], minlength=6)
        want = (votes + mass * FREQUENCY) / (min(k, len(DATA)) + mass)
        np.testing.assert_allclose(row, want, rtol=1e-5)


@pytest.mark.parametrize("bandwidths", [(150.0,), (50.0, 500.0)])
def test_kernel_density_formula(bandwidths):
    model = make_baseline("kernel_density", DATA, bandwidths_km=bandwidths, mass=2.0)
    prior = location_prior(model, PLACES)
    for row, place in zip(prior.numpy(), PLACES.tolist(), strict=True):
        want = np.zeros(6)
        for h in bandwidths:
            weights = 2.0 * FREQUENCY
            for km, label in zip(distances(place), DATA.label.tolist(), strict=True):
                weights[label] += math.exp(-km / h)
            want += weights / weights.sum() / len(bandwidths)
        np.testing.assert_allclose(row, want, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_shares_of_every_class(name):
    model = make_baseline(name, DATA)
    prior = location_prior(model, torch.cat((PLACES, DATA.lonlat)))
    assert prior.shape == (len(PLACES) + len(DATA), 6) and prior.dtype == torch.float32
    torch.testing.assert_close(prior.sum(1), torch.ones(len(prior)))
    assert (prior > 0).all()
    assert location_prior(model, PLACES[:0]).shape == (0, 6)


@pytest.mark.parametrize("name", NAMES)
def test_it_stands_where_a_model_stands(name):
    model = make_baseline(name, DATA)
    report = describe_place(model, 36.8, -1.3, top=3)
    assert report.model == name and report.kind == "share" and report.level == "some"
    assert report.results[0].taxon == "Aba alta" or name == "class_frequency"
    metrics = evaluate(model, DATA)
    assert metrics.n == len(DATA)
    if name != "class_frequency":
        assert metrics.log_loss < evaluate(model, DATA, prior=False).log_loss


@pytest.mark.parametrize("name", NAMES)
def test_records_without_place_or_label_do_not_count(name):
    nan = float("nan")
    lonlat = torch.cat((DATA.lonlat, torch.tensor([[nan, nan], [36.8, -1.3]])))
    label = torch.cat((DATA.label, torch.tensor([1, -1])))
    more = make_baseline(name, RecordDataset(lonlat, label, DATA.classes))
    torch.testing.assert_close(
        location_prior(more, PLACES), location_prior(make_baseline(name, DATA), PLACES)
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_records(name):
    empty = RecordDataset(torch.empty(0, 2), torch.empty(0).long(), ClassTable(("a", "b")))
    with pytest.raises(BadRecordError, match="none given"):
        make_baseline(name, empty)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("nearest_records", {"k": 0}),
        ("nearest_records", {"mass": 0}),
        ("kernel_density", {"bandwidths_km": []}),
        ("kernel_density", {"bandwidths_km": [100, 0]}),
        ("kernel_density", {"mass": -1}),
        ("class_frequency", {"k": 3}),
        ("random_forest", {"trees": 0}),
        ("random_forest", {"trees": 2, "min_samples_leaf": 0}),
        ("random_forest", {"trees": 2, "smoothing": 0.0}),
    ],
)
def test_options_out_of_range(name, options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        make_baseline(name, DATA, **options)


def test_unknown_baseline():
    with pytest.raises(UnknownNameError, match="kernel_density, nearest_records, random_forest"):
        make_baseline("knn", DATA)


@pytest.mark.parametrize("name", NAMES)
def test_classes_without_a_training_record_keep_a_share(name):
    classes = ClassTable((*small.NAMES, "Zeta zeta"))
    model = make_baseline(name, RecordDataset(DATA.lonlat, DATA.label, classes))
    prior = location_prior(model, PLACES)
    assert prior.shape == (len(PLACES), 7) and (prior > 0).all()
    assert (prior[:, 6] < prior[:, :6].amax(1)).all()


def test_random_forest_is_the_smoothed_mean_of_its_trees():
    model = make_baseline("random_forest", DATA, trees=7, min_samples_leaf=5, smoothing=0.3)
    features = model._features(PLACES)
    grown = np.mean([tree.predict_proba(features) for tree in model.forest.estimators_], axis=0)
    want = 0.7 * grown + 0.3 * FREQUENCY
    np.testing.assert_allclose(location_prior(model, PLACES).numpy(), want, rtol=1e-5)
    # Longitudes 180 and -180 are one place.
    both = location_prior(model, torch.tensor([[180.0, -18.0], [-180.0, -18.0]]))
    assert torch.equal(both[0], both[1])


def test_random_forest_follows_from_its_seed():
    first, again, other = (
        location_prior(make_baseline("random_forest", DATA, trees=5, seed=seed), PLACES)
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("weights", [None, (0.5, 0.5), (1.0, 0.25), (2.0, 0.0)])
def test_mixture_is_the_normalised_product_of_powers(weights):
    parts = [make_baseline(name, DATA) for name in ("kernel_density", "nearest_records")]
    model = Mixture(parts, weights)
    a, b = (location_prior(part, PLACES).double().numpy() for part in parts)
    power = weights or (0.5, 0.5)
    want = a ** power[0] * b ** power[1]
    want /= want.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(location_prior(model, PLACES).numpy(), want, rtol=1e-5)
    assert model.classes is parts[0].classes and model.support is parts[0].support
    assert evaluate(model, DATA).n == len(DATA)
    assert describe_place(model, 36.8, -1.3).model == "mixture" and not model.uses_date


def test_a_mixture_of_models_and_baselines(model_dir):
    model = load_model(model_dir)
    mixed = Mixture([model, make_baseline("kernel_density", DATA)], [0.7, 0.3], name="teacher")
    prior = location_prior(mixed, PLACES)
    torch.testing.assert_close(prior.sum(1), torch.ones(len(PLACES)))
    assert mixed.name == "teacher"


def test_mixtures_that_do_not_fit():
    kernel = make_baseline("kernel_density", DATA)
    with pytest.raises(ConfigError, match="0 priors"):
        Mixture([])
    with pytest.raises(ConfigError, match="1 priors and 2 weights"):
        Mixture([kernel], [1.0, 2.0])
    for weights in ([-1.0], [0.0], [float("nan")], [float("inf")]):
        with pytest.raises(ConfigError, match="weights are"):
            Mixture([kernel], weights)
    other = RecordDataset(DATA.lonlat, DATA.label, ClassTable(tuple("abcdef")))
    with pytest.raises(ConfigError, match="same classes"):
        Mixture([kernel, make_baseline("class_frequency", other)])
