"""Baselines against their formulas written slowly in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from csp_core.baselines import BASELINES, make_baseline
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.errors import BadRecordError, ConfigError, UnknownNameError
from csp_core.evaluate import evaluate
from csp_core.infer import describe_place, location_prior
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
    ],
)
def test_options_out_of_range(name, options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        make_baseline(name, DATA, **options)


def test_unknown_baseline():
    with pytest.raises(UnknownNameError, match="class_frequency, kernel_density, nearest_records"):
        make_baseline("knn", DATA)
