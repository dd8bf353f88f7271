"""Distillation: what a teacher says of scattered places moves into the encoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from csp_core import evaluate, losses
from csp_core.config import parse_config
from csp_core.errors import ConfigError, UnknownNameError
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder, Mixture, make_baseline
from csp_core.objectives import BatchRandom, make_objective
from csp_core.objectives.supervised import distil
from csp_core.training.teachers import make_teacher
from tests import small

DATA = small.dataset()
SETS = small.label_sets(DATA)


def make(name="soft_targets", **options):
    torch.manual_seed(0)
    location = make_location_encoder("xyz", 8, network={"name": "residual_mlp", "dropout": 0.0})
    model = DualEncoder(None, location, dim=8, classes=DATA.classes)
    return make_objective(name, model, **options)


def random(total=16):
    return BatchRandom(torch.Generator().manual_seed(3), 0, total, total)


def test_soft_cross_entropy_by_hand():
    logits, target = torch.randn(5, 3), torch.rand(5, 3)
    target = target / target.sum(dim=1, keepdim=True)
    by_hand = 0.0
    for row in range(5):
        z = logits[row].double().numpy()
        log_share = z - np.log(np.exp(z).sum())
        by_hand -= sum(target[row, k].item() * log_share[k] for k in range(3)) / 5
    assert losses.soft_cross_entropy(logits, target).item() == pytest.approx(by_hand, rel=1e-5)


def test_soft_cross_entropy_of_a_label_is_the_cross_entropy():
    logits, label = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    hard = losses.class_cross_entropy(logits, label)
    soft = losses.soft_cross_entropy(logits, torch.nn.functional.one_hot(label, 3).float())
    assert torch.allclose(hard, soft)


def test_loss_mixes_labels_and_teacher():
    objective = make(hard_weight=0.25, copies=2)
    objective.fit(DATA, make_baseline("class_frequency", DATA))
    parts = objective(objective.draw(DATA.__getitems__(range(16)), random()))
    assert parts["loss"].item() == pytest.approx(
        0.25 * parts["hard"].item() + 0.75 * parts["soft"].item(), rel=1e-6
    )


def test_targets_are_the_teachers_answers_at_the_places():
    teacher = make_baseline("kernel_density", DATA)
    objective = make(copies=3)
    objective.fit(DATA, teacher)
    assert objective.places.shape == (3 * len(DATA), 2)
    drawn = objective.draw(DATA.__getitems__(range(16)), random())
    assert torch.allclose(drawn["target"].sum(dim=1), torch.ones(16), atol=1e-6)
    assert torch.allclose(drawn["target"], teacher.prior(drawn["soft_lonlat"]), atol=2e-3)


@pytest.mark.parametrize(("name", "records"), [("soft_targets", DATA), ("soft_label_sets", SETS)])
def test_the_student_comes_to_agree_with_its_teacher(name, records):
    teacher = make_baseline("kernel_density", records, bandwidths_km=[300.0])
    objective = make(name, hard_weight=0.0, copies=2, jitter_km=(5.0, 50.0))
    objective.fit(records, teacher)
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.01)
    wanted = teacher.prior(DATA.lonlat)
    before = (objective.model.prior(DATA.lonlat) - wanted).abs().mean()
    for step in range(150):
        draws = BatchRandom(torch.Generator().manual_seed(step), 0, 64, 64)
        optimizer.zero_grad()
        objective(objective.draw(records.__getitems__(range(64)), draws))["loss"].backward()
        optimizer.step()
    after = (objective.model.prior(DATA.lonlat) - wanted).abs().mean()
    assert after < 0.3 * before


def test_the_loss_of_label_sets_by_hand():
    objective = make("soft_label_sets", hard_weight=0.25, copies=2, rarity_power=0.5)
    teacher = make_baseline("kernel_density", SETS)
    objective.fit(SETS, teacher)
    batch = objective.draw(SETS.__getitems__(range(16)), random())
    # The teacher's answers need not sum to 1, and are not made to.
    wanted = teacher.prior(batch["soft_lonlat"])
    assert torch.allclose(batch["target"], wanted, atol=2e-3) and (wanted.sum(dim=1) > 1.01).any()
    parts = objective(batch)
    weight = objective.class_weight.double().numpy()

    def by_hand(places, truth, weight):
        z = objective.model.class_logits(places).detach().double().numpy()
        p, y = 1 / (1 + np.exp(-z)), truth.double().numpy()
        each = -(y * np.log(p) + (1 - y) * np.log(1 - p)) * weight
        return each[y >= 0].sum() / (y >= 0).sum()

    assert (batch["labels"] == -1).any()
    hard = by_hand(batch["lonlat"], batch["labels"], weight)
    soft = by_hand(batch["soft_lonlat"], batch["target"], np.ones_like(weight))
    assert parts["hard"].item() == pytest.approx(hard, rel=1e-5)
    assert parts["soft"].item() == pytest.approx(soft, rel=1e-5)
    assert parts["loss"].item() == pytest.approx(0.25 * hard + 0.75 * soft, rel=1e-5)
    # What is measured knows neither weights of classes nor the teacher.
    plain = SETS.__getitems__(range(16))
    measured = objective.eval()(plain)
    assert measured.keys() == {"loss"}
    hard = by_hand(plain["lonlat"], plain["labels"], np.ones_like(weight))
    assert measured["loss"].item() == pytest.approx(hard, rel=1e-5)


def test_a_teacher_is_asked_about_some_of_the_records_alone():
    teacher = make_baseline("kernel_density", SETS)
    few, same, all_of_them = (
        make("soft_label_sets", copies=2, asked=asked, jitter_km=0.0) for asked in (5, 5, 10_000)
    )
    for objective in (few, same, all_of_them):
        objective.fit(SETS, teacher)
    assert few.places.shape == (10, 2) and torch.equal(few.places, same.places)
    # Without scatter these are places of records.
    assert (few.places[:, None] == DATA.lonlat[None]).all(dim=2).any(dim=1).all()
    assert len(all_of_them.places) == 2 * len(SETS)
    with pytest.raises(ConfigError, match="asked is 0; give at least 1, or null"):
        make("soft_label_sets", asked=0)


def test_a_teacher_of_the_other_kind_of_labels_is_refused():
    shares, sets = (make_baseline("kernel_density", records) for records in (DATA, SETS))
    with pytest.raises(ConfigError, match="SoftTargets learns one label a record"):
        make().fit(DATA, sets)
    with pytest.raises(ConfigError, match="SoftLabelSets learns label sets"):
        make("soft_label_sets").fit(SETS, shares)
    with pytest.raises(ConfigError, match="has one label a record"):
        make("soft_label_sets").fit(DATA, sets)


def test_a_teacher_is_needed_and_must_know_the_classes():
    with pytest.raises(ConfigError, match="needs `teachers`"):
        make().fit(DATA)
    other = make_baseline("class_frequency", small.dataset())
    other.classes = type(other.classes)(("Another one",))
    with pytest.raises(ConfigError, match="classes of the training"):
        make().fit(DATA, other)


def test_a_teacher_for_an_objective_that_has_none_is_refused():
    model = make().model
    with pytest.raises(ConfigError, match="learns from no teacher"):
        make_objective("softmax", model).fit(DATA, make_baseline("class_frequency", DATA))


def test_answers_that_would_not_fit_in_memory_are_refused(monkeypatch):
    monkeypatch.setattr(distil, "POOL_BYTES", 1000)
    with pytest.raises(ConfigError, match=r"lower objective\.copies"):
        make().fit(DATA, make_baseline("class_frequency", DATA))


@pytest.mark.parametrize("options", [{"hard_weight": 1.0}, {"hard_weight": -0.1}, {"copies": 0}])
def test_options_out_of_range(options):
    with pytest.raises(ConfigError, match="hard_weight"):
        make(**options)


def test_teachers_are_read_from_the_configuration():
    tree = {
        "objective": "soft_targets",
        "teachers": [
            {"name": "kernel_density", "weight": 2.0, "bandwidths_km": [100, 400]},
            {"name": "class_frequency"},
        ],
    }
    config = parse_config(tree)
    teacher = make_teacher(config.teachers, DATA)
    assert isinstance(teacher, Mixture) and teacher.weights == (2.0, 1.0)
    assert teacher.priors[0].bandwidths_km == (100.0, 400.0)
    assert make_teacher((), DATA) is None
    assert evaluate(teacher, DATA).mrr > evaluate(teacher.priors[1], DATA).mrr


def test_wrong_teachers_are_named():
    with pytest.raises(ConfigError, match=r"no option 'bandwidth'"):
        parse_config({"teachers": [{"name": "kernel_density", "bandwidth": 3}]})
    with pytest.raises((ConfigError, UnknownNameError), match="Unknown teacher 'forest'"):
        parse_config({"teachers": [{"name": "forest"}]})
    with pytest.raises(ConfigError, match="needs the option 'path'"):
        parse_config({"teachers": [{"name": "model"}]})
