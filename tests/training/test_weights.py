"""How far the weights go in a step: encoders and the rest, matrices and vectors."""

from __future__ import annotations

import pytest

from csp_core.config import TrainingConfig
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from csp_core.objectives import make_objective
from csp_core.store import load_model
from csp_core.training import train
from csp_core.training.weights import ENCODERS, PART, make_optimizer
from tests import small


def grouped(**options):
    model = DualEncoder(None, make_location_encoder("xyz", 4), dim=4, classes=["a", "b"])
    objective = make_objective("softmax", model)
    names, optimizer = make_optimizer(objective, TrainingConfig(weight_decay=0.1, **options))
    named, found = dict(objective.named_weights()), {}
    for group in optimizer.param_groups:
        for weight in group["params"]:
            name = names[len(found)]
            assert weight is named[name]
            found[name] = group[PART], group["weight_decay"]
    assert set(found) == set(named) and len(names) == len(named)
    return named, found


def test_all_weights_learn_alike_if_nothing_else_is_asked():
    named, found = grouped()
    assert list(found) == list(named)
    assert set(found.values()) == {(1.0, 0.1)}


@pytest.mark.parametrize("decay_vectors", [True, False])
def test_encoders_learn_at_their_part_of_the_rate(decay_vectors):
    named, found = grouped(encoder_rate=0.25, decay_vectors=decay_vectors)
    parts = {name: 0.25 if name.startswith(ENCODERS) else 1.0 for name in named}
    assert set(parts.values()) == {0.25, 1.0}
    assert found == {
        name: (parts[name], 0.1 if decay_vectors or named[name].ndim > 1 else 0.0) for name in named
    }


def test_a_run_goes_that_far(records_csv, tmp_path, model_dir):
    """The first step of Adam is as long as the rate, whatever the gradient."""
    training = {"epochs": 1, "learning_rate": 1e-3, "encoder_rate": 0.1, "schedule": "constant",
                "batch_size": 10_000, "keep": "last"}  # fmt: skip
    config = small.config(records_csv, training=training, model={"init_from": str(model_dir)})
    model = train(config, run_dir=tmp_path / "run").model
    before = load_model(model_dir).state_dict()
    moved = {name: float((weight.detach() - before[name]).abs().max())
             for name, weight in model.named_parameters()}  # fmt: skip
    for name, far in moved.items():
        within = 1e-4 if f"model.{name}".startswith(ENCODERS) else 1e-3
        assert far == pytest.approx(within, rel=0.05), name
