"""Distillation of relative scores at random places, through a classifier of low rank."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from csp_core import load_model, save_model
from csp_core.config import parse_config
from csp_core.data import load_dataset
from csp_core.errors import CheckpointError, ConfigError
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder, Heads, LowRank, Mixture
from csp_core.objectives import BatchRandom, heads_for, make_objective
from csp_core.training import train
from tests.data.sets import places

DATED = {"name": "xyz", "network": {"name": "dense", "hidden_dims": [16], "activation": "tanh"},
         "time": {"weeks": 12, "missing_rate": 0.0}}  # fmt: skip


def model(seed=0, heads=None, name="teacher"):
    torch.manual_seed(seed)
    location = make_location_encoder(dim=12, **DATED)
    made = DualEncoder(
        None, location, dim=12, classes=places.NAMES, prior_kind="relative", heads=heads, name=name
    )
    return made.eval()


@pytest.fixture
def teacher(tmp_path):
    return save_model(model(), tmp_path / "teacher")


def random(total=16):
    return BatchRandom(torch.Generator().manual_seed(3), 0, total, total)


def test_the_loss_by_hand(tmp_path):
    data = load_dataset("places", "all", root=places.make(tmp_path), size=16)
    asked, student = model(), model(seed=1)
    objective = make_objective("soft_scores", student)
    objective.fit(data, Mixture([asked]))
    batch = objective.draw(data.__getitems__(range(16)), random())
    assert torch.equal(batch["target"], asked.prior(data.lonlat, data.date))
    logits = student.class_logits(data.lonlat, data.date).detach().double().numpy()
    share, want = 1 / (1 + np.exp(-logits)), batch["target"].double().numpy()
    by_hand = -(want * np.log(share) + (1 - want) * np.log(1 - share)).sum() / 16
    assert objective(batch)["loss"].item() == pytest.approx(by_hand, rel=1e-5)


def test_the_teacher_is_no_part_of_what_trains(tmp_path):
    data = load_dataset("places", "all", root=places.make(tmp_path), size=16)
    objective = make_objective("soft_scores", model(seed=1))
    before = len(list(objective.parameters()))
    objective.fit(data, model())
    assert len(list(objective.parameters())) == before and not objective.own_state()


def test_scattered_places_are_asked_anew(tmp_path):
    data = load_dataset("places", "all", root=places.make(tmp_path), size=16)
    asked = model()
    objective = make_objective("soft_scores", model(seed=1), jitter_km=500.0).train()
    objective.fit(data, asked)
    batch = objective.draw(data.__getitems__(range(16)), random())
    assert not torch.equal(batch["lonlat"], data.lonlat)
    assert torch.equal(batch["target"], asked.prior(batch["lonlat"], data.date))


def test_teachers_that_do_not_fit(tmp_path):
    data = load_dataset("places", "all", root=places.make(tmp_path), size=16)
    objective = make_objective("soft_scores", model(seed=1))
    other = DualEncoder(None, make_location_encoder("xyz", 4), dim=4, classes=("a", "b"))
    for wrong in (None, other):
        with pytest.raises(ConfigError, match="with the classes of the training records"):
            objective.fit(data, wrong)


def test_a_mixture_of_scores_is_mixed_by_class():
    first, second = model(), model(seed=2)
    lonlat = torch.tensor([[36.8, -1.3], [10.0, 50.0]])
    assert torch.equal(Mixture([first]).by_class().prior(lonlat), first.prior(lonlat))
    mixed = Mixture([first, second]).by_class()
    odds = (first.prior(lonlat).double().logit() + second.prior(lonlat).double().logit()) / 2
    torch.testing.assert_close(mixed.prior(lonlat), odds.sigmoid().float())
    assert mixed.prior_kind == "relative"


def test_what_learns_labels_says_that_there_are_none(tmp_path):
    data = load_dataset("places", "all", root=places.make(tmp_path), size=16)
    for name in ("softmax", "geo_prior"):
        with pytest.raises(ConfigError, match="take the objective soft_scores"):
            make_objective(name, model()).fit(data)


# The classifier of low rank


def test_heads_with_a_rank(tmp_path):
    assert heads_for("soft_scores", {"rank": 2}) == Heads(rank=2)
    assert "rank" not in Heads().to_dict() and Heads(rank=2).to_dict()["rank"] == 2
    assert Heads.from_dict(Heads(rank=2).to_dict()) == Heads(rank=2)
    assert Heads(rank=2).beside(Heads()).rank == 2 and Heads().beside(Heads(rank=2)).rank == 0
    for wrong in (-1, 4097, 1.5, True):
        with pytest.raises(ConfigError, match="rank is"):
            Heads(rank=wrong)
    few = model(heads=Heads(rank=2))
    assert isinstance(few.classifier, LowRank) and few.classifier.weight.shape == (3, 12)
    again = load_model(save_model(few, tmp_path / "few"))
    lonlat = torch.tensor([[36.8, -1.3], [10.0, 50.0]])
    assert torch.equal(again.prior(lonlat), few.prior(lonlat)) and again.heads.rank == 2
    halved = load_model(save_model(few, tmp_path / "half", dtype="float16"))
    torch.testing.assert_close(halved.prior(lonlat), few.prior(lonlat), atol=2e-3, rtol=0)


def test_a_rank_that_the_file_does_not_have(tmp_path):
    folder = save_model(model(heads=Heads(rank=2)), tmp_path / "few")
    text = (folder / "config.json").read_text()
    assert '"rank": 2' in text
    (folder / "config.json").write_text(text.replace('"rank": 2', '"rank": 3'))
    with pytest.raises(CheckpointError, match="does not fit together"):
        load_model(folder)


def test_the_nearest_of_its_rank_on_what_is_seen():
    torch.manual_seed(0)
    weight, bias = torch.randn(30, 10), torch.randn(30)
    seen = torch.randn(400, 10) * torch.logspace(0, -2, 10)
    few, plain = LowRank(10, 30, 3), LowRank(10, 30, 3)
    few.approximate(weight, bias, seen)
    left, sizes, right = torch.linalg.svd(weight, full_matrices=False)
    with torch.no_grad():
        plain.up.weight.copy_(left[:, :3] * sizes[:3])
        plain.down.weight.copy_(right[:3])
        plain.up.bias.copy_(bias)
    want = seen @ weight.T + bias
    off, more = ((one(seen) - want).square().mean() for one in (few, plain))
    assert off < 0.5 * more
    # No matrix of rank 3 is nearer: its error is what the other directions of the logits hold.
    logits = seen @ weight.T
    best = torch.linalg.svdvals(logits)[3:].square().sum() / logits.numel()
    assert off.item() == pytest.approx(best.item(), rel=0.02)


def test_a_rank_above_what_there_is():
    few = LowRank(4, 3, 8)
    weight, bias, seen = torch.randn(3, 4), torch.randn(3), torch.randn(20, 4)
    few.approximate(weight, bias, seen)
    torch.testing.assert_close(few(seen), seen @ weight.T + bias, atol=1e-3, rtol=1e-3)


# A whole run


def settings(teacher, **more):
    return parse_config(
        {
            "name": "student",
            "data": {"name": "places", "root": str(teacher), "size": 300, "val_fraction": 0.2},
            "model": {"dim": 12, "location": DATED, **more},
            "objective": {"name": "soft_scores", "rank": 3, "jitter_km": 100},
            "teachers": [{"name": "model", "path": str(teacher)}],
            "training": {"epochs": 2, "batch_size": 32, "learning_rate": 0.003, "device": "cpu",
                         "threads": 1, "saved_as": "float16"},
        }
    )  # fmt: skip


def test_a_run_starts_from_the_full_classifier_and_keeps_no_counts(teacher, tmp_path):
    result = train(settings(teacher, init_from=str(teacher)), run_dir=tmp_path / "run")
    student, asked = load_model(tmp_path / "run"), load_model(teacher)
    lonlat = torch.tensor([[36.8, -1.3], [10.0, 50.0], [-60.0, -10.0]])
    for date in (None, torch.tensor([0.1, 0.5, 0.9])):
        torch.testing.assert_close(
            student.prior(lonlat, date), asked.prior(lonlat, date), atol=0.01, rtol=0
        )
    assert student.support is None and result.state == "finished"
    assert student.prior_kind == "relative" and isinstance(student.classifier, LowRank)
    card = (tmp_path / "run" / "model" / "README.md").read_text(encoding="utf-8")
    assert "training records: 0" not in card


def test_without_a_start_it_learns(teacher, tmp_path):
    result = train(settings(teacher), run_dir=tmp_path / "run")
    first, last = result.history[0], result.history[-1]
    assert last["val_objective"] < first["val_objective"]
