"""Learning label sets: the formula, what is unknown, and data of another kind."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from csp_core.errors import ConfigError
from csp_core.image import make_image_encoder
from csp_core.location import make_location_encoder
from csp_core.losses import binary_cross_entropy
from csp_core.model import DualEncoder, make_baseline
from csp_core.objectives import OBJECTIVES, make_objective
from csp_core.objectives.semisup import METHODS
from tests import small

NETWORK = {"name": "residual_mlp", "hidden_dim": 16, "dropout": 0.0}
ONE = small.pairs()
SETS = small.label_sets(ONE)


def objective(name="label_sets", data=SETS, **options):
    torch.manual_seed(0)
    model = DualEncoder(
        make_image_encoder("features", dim=12),
        make_location_encoder("rff_sphere", 16, num_features=32, network=NETWORK),
        dim=16,
        classes=data.classes,
    )
    return make_objective(name, model, **options)


def slowly(logits, labels):
    total, known = 0.0, 0
    for row, truth in zip(logits.tolist(), labels.tolist(), strict=True):
        for logit, one in zip(row, truth, strict=True):
            if one >= 0:
                share = 1 / (1 + math.exp(-logit))
                total -= math.log(share if one else 1 - share)
                known += 1
    return total / known


def test_the_formula_against_itself_written_slowly():
    draws = torch.Generator().manual_seed(0)
    logits = torch.randn(40, 7, generator=draws, dtype=torch.float64) * 3
    labels = torch.randint(-1, 2, (40, 7), generator=draws).to(torch.int8)
    assert binary_cross_entropy(logits, labels).item() == pytest.approx(slowly(logits, labels))
    unknown = torch.full_like(labels, -1)
    logits.requires_grad_()
    nothing = binary_cross_entropy(logits, unknown)
    nothing.backward()
    assert nothing == 0 and (logits.grad == 0).all()


def test_unknown_entries_pull_nowhere():
    logits = torch.zeros(2, 3, requires_grad=True)
    labels = torch.tensor([[1, 0, -1], [-1, -1, -1]], dtype=torch.int8)
    binary_cross_entropy(logits, labels).backward()
    np.testing.assert_allclose(logits.grad, [[-0.25, 0.25, 0], [0, 0, 0]])


def test_each_side_has_its_loss():
    made = objective().eval()
    batch = SETS.__getitems__(list(range(64)))
    batch["lonlat"][5] = math.nan
    losses = made(batch)
    image = slowly(made.model.image_logits(batch["image"]), batch["labels"])
    labels = batch["labels"].clone()
    labels[5] = -1
    places = batch["lonlat"].nan_to_num(0.0)
    place = slowly(made.model.class_logits(places), labels)
    assert losses["image"].item() == pytest.approx(image, rel=1e-5)
    assert losses["location"].item() == pytest.approx(place, rel=1e-5)
    assert losses["loss"].item() == pytest.approx(image + place, rel=1e-5)


@pytest.mark.parametrize("sides", [["image"], ["location"]])
def test_one_side_alone(sides):
    made = objective(sides=sides)
    assert set(made(SETS.__getitems__([0, 1, 2]))) == {"loss", *sides}
    assert made.model.heads.classifiers == tuple(sides)
    assert made.model.prior_kind == "probability"


def test_rarity_weighs_presences_and_absences_alike():
    plain, rare = objective(sides=["location"]), objective(sides=["location"], rarity_power=0.5)
    batch = SETS.__getitems__(list(range(1, 10)))
    weight = SETS.classes.frequency() ** -0.5
    weight = weight / weight.mean()
    want = 0.0
    for k in range(6):
        only = torch.full_like(batch["labels"], -1)
        only[:, k] = batch["labels"][:, k]
        part = plain({**batch, "labels": only})["loss"] * (only >= 0).sum()
        want += weight[k] * part / (batch["labels"] >= 0).sum()
    assert rare(batch)["loss"].item() == pytest.approx(want.item(), rel=1e-5)
    assert rare.eval()(batch)["loss"] == plain.eval()(batch)["loss"]


def test_labels_of_another_kind_are_refused():
    with pytest.raises(ConfigError, match=r"learns label sets.*one label a record.*softmax"):
        objective(data=ONE).fit(ONE)
    for name, kind in OBJECTIVES.items():
        # The methods of two streams, and those that learn masks, have tests of their own.
        if "labels" not in kind.learns_from or name in METHODS or kind.masks:
            continue
        made = objective(name, data=ONE)
        if kind.label_sets is False:
            teacher = make_baseline("class_frequency", ONE) if kind.taught else None
            with pytest.raises(ConfigError, match="label sets: take the objective label_sets"):
                made.fit(SETS, teacher)
        else:
            made.fit(SETS, make_baseline("class_frequency", SETS) if kind.taught else None)


def test_options_out_of_range():
    with pytest.raises(ConfigError, match="rarity_power is 2"):
        objective(rarity_power=2)
    with pytest.raises(ConfigError, match="give some of image, location"):
        objective(sides=[])
    with pytest.raises(ConfigError, match="no option 'label_smoothing'"):
        objective(label_smoothing=0.1)
