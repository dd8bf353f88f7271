"""A prior from elsewhere, brought to the classes and counts of the training records."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from csp_core import train
from csp_core.config import parse_config
from csp_core.data.records import ClassTable
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from csp_core.importers import import_checkpoint
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder, Heads, Mixture, OutsidePrior, make_baseline
from csp_core.model.outside import filled
from csp_core.store import save_model
from csp_core.training.teachers import make_teacher
from tests import small

DATA = small.dataset()
# In another order, one class missing and one more than the records have.
THEIRS = ("Dora bassa", "ceta  ALTA", "Aba alta", "Elsewhere alba", "Ceta bassa", "Aba bassa")


class Outside:
    """Scores that depend on the place, over other classes."""

    name, prior_kind, support, uses_date, uses_hour = "theirs", "relative", None, True, False
    classes = ClassTable(THEIRS)

    def prior(self, lonlat, date=None, hour=None):
        assert date is None, "it is asked for the whole year"
        k = torch.arange(len(THEIRS))
        return torch.sigmoid(torch.sin(lonlat[:, :1] / 40 + k) * 3 + lonlat[:, 1:] / 60 - k)


def test_the_shares_are_those_of_the_formula_in_slow_numpy():
    prior = OutsidePrior(DATA, Outside(), power=1.5, floor=0.01)
    mine = [[i for i, n in enumerate(THEIRS) if n.lower().split() == m.lower().split()]
            for m in small.NAMES]  # fmt: skip
    known = [k for k, found in enumerate(mine) if found]
    assert prior.unknown == ["Dora alta"]
    columns = [mine[k][0] for k in known]

    def scores(lonlat):
        return (Outside().prior(lonlat).double().numpy()[:, columns] + 0.01) ** 1.5

    # Factors by plain iteration until every class has its number of training records.
    counts = np.bincount(DATA.label.numpy(), minlength=len(small.NAMES)).astype(float)
    at_records, factor = scores(DATA.lonlat), np.ones(len(known))
    for _ in range(3000):
        expected = np.zeros(len(known))
        for row in at_records:
            expected += row * factor / (row * factor).sum()
        # Of 600 records 150 are of a class it does not know; the rest keep their proportions.
        wanted = counts[known] * (expected.sum() / counts[known].sum())
        change = wanted / expected
        factor = factor * change
        if abs(change - 1).max() < 1e-9:
            break
    places = torch.tensor([[16.4, 48.2], [36.8, -1.3], [179.0, -18.0], [-60.0, 10.0]])
    weighted = scores(places) * factor
    share = weighted / weighted.sum(axis=1, keepdims=True)
    found = prior.prior(places)
    assert torch.allclose(found.sum(dim=1), torch.ones(4), atol=1e-6)
    frequency = counts / counts.sum()
    assert np.allclose(found[:, 4], frequency[4], atol=1e-6)
    assert np.allclose(found[:, known], share * (1 - frequency[4]), atol=2e-3)


def test_shares_sum_to_the_numbers_of_records_though_most_are_of_unknown_classes():
    drawn = torch.rand(len(DATA.label), generator=torch.Generator().manual_seed(0))
    data = replace(DATA, label=DATA.label.where(drawn > 0.85, torch.tensor(4)))
    found = OutsidePrior(data, Outside()).prior(data.lonlat).double().sum(dim=0)
    counts = torch.bincount(data.label, minlength=6)
    assert counts[4] > 500 and torch.allclose(found, counts.double(), atol=0.02)


def test_in_a_mixture_the_others_decide_what_it_does_not_know():
    outside, near = OutsidePrior(DATA, Outside()), make_baseline("kernel_density", DATA)
    wide = make_baseline("kernel_density", DATA, bandwidths_km=[2000.0])
    places = DATA.lonlat[:5]
    found = Mixture([outside, near, wide], [0.4, 0.4, 0.2]).prior(places).double().numpy()
    a, b, c = (p.prior(places).double().numpy() for p in (outside, near, wide))
    own = a.copy()
    others = (b**0.4 * c**0.2) ** (1 / 0.6)
    others /= others.sum(axis=1, keepdims=True)
    known = outside.known.numpy()
    own[:, ~known] = others[:, ~known]
    left = others[:, known].sum(axis=1, keepdims=True)
    own[:, known] = left * a[:, known] / a[:, known].sum(axis=1, keepdims=True)
    mixed = own**0.4 * b**0.4 * c**0.2
    assert np.allclose(found, mixed / mixed.sum(axis=1, keepdims=True), atol=1e-6)
    alone = Mixture([outside], [1.0]).prior(places)
    assert torch.allclose(alone, outside.prior(places), atol=1e-6)
    assert filled(torch.from_numpy(a), outside.known, torch.from_numpy(others)).sum() == (
        pytest.approx(5.0)
    )


def test_a_class_without_records_is_small_and_no_places_give_no_rows():
    prior = OutsidePrior(replace(DATA, label=DATA.label.clamp(min=1)), Outside())
    found = prior.prior(DATA.lonlat)
    assert 0 < float(found[:, 0].sum()) < 3
    assert prior.prior(torch.zeros(0, 2)).shape == (0, len(small.NAMES))


def test_records_without_places_are_refused():
    lost = replace(DATA, lonlat=torch.full_like(DATA.lonlat, torch.nan))
    with pytest.raises(BadRecordError, match="needs records with a place"):
        OutsidePrior(lost, Outside())


@pytest.mark.parametrize("options", [{"power": 0}, {"power": float("inf")}, {"floor": 0.0}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ConfigError, match="give values above 0"):
        OutsidePrior(DATA, Outside(), **options)


def test_who_knows_none_of_the_classes_or_answers_with_sets_is_refused():
    stranger = Outside()
    stranger.classes = ClassTable(("Elsewhere alba",))
    with pytest.raises(ConfigError, match="knows none of the 6 classes"):
        OutsidePrior(DATA, stranger)
    with pytest.raises(ConfigError, match="label sets"):
        OutsidePrior(small.label_sets(DATA), Outside())


def config_with(path, **options):
    teacher = {"name": "outside_prior", "path": str(path), "weight": 0.4, **options}
    return parse_config({"objective": "soft_targets", "teachers": ["kernel_density", teacher]})


def saved(folder):
    """Save a small model of other classes."""
    torch.manual_seed(0)
    location = make_location_encoder("xyz", 8, network={"name": "residual_mlp"})
    heads = Heads(image=None, classifiers=("location",))
    model = DualEncoder(None, location, dim=8, classes=ClassTable(THEIRS), heads=heads)
    return save_model(model, folder)


def test_it_is_read_from_the_configuration_and_tells_what_it_does_not_know(tmp_path, caplog):
    config = config_with(saved(tmp_path / "theirs"), power=2.0)
    with caplog.at_level(logging.INFO):
        teacher = make_teacher(config.teachers, DATA)
    assert teacher.weights == (1.0, 0.4) and teacher.priors[1].power == 2.0
    said = next(r for r in caplog.records if "outside prior" in r.getMessage())
    assert "knows 5 of 6 classes" in said.getMessage() and said.tell
    assert said.getMessage().endswith("decide alone: Dora alta")


def test_a_model_that_is_not_there_is_told_in_one_sentence(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"is not there\. Make it first, as `csp import"):
        train(config_with(tmp_path / "birdnet"), run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists(), "it is told before anything is trained"
    with pytest.raises(ConfigError, match="needs the option 'path'"):
        parse_config({"teachers": ["outside_prior"]})


def test_birdnet_knows_blackbirds_where_they_live():
    try:
        other = import_checkpoint("birdnet")
    except DataNotFoundError as error:
        pytest.skip(str(error))
    names = ("Turdus merula", "Turdus migratorius", "Nobody novus")
    few = replace(DATA, label=DATA.label % 3, classes=ClassTable(names))
    prior = OutsidePrior(few, other)
    vienna, boston = prior.prior(torch.tensor([[16.4, 48.2], [-71.1, 42.4]]))
    assert vienna[0] > 10 * vienna[1] and boston[1] > 10 * boston[0]
    assert float(vienna[2]) == pytest.approx(float(prior.frequency[2]))
