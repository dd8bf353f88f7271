"""Temperatures, thresholds and the place's weight of label sets, against slow searches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score

from csp_core.calibrate import (
    add_place,
    fit_class_temperatures,
    fit_set_thresholds,
    fit_set_weight,
    fit_thresholds,
)


def drawn(n=4000, k=4, seed=0, temperature=(0.5, 1.0, 2.0, 3.0)):
    draws = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, k, generator=draws)
    share = (logits / torch.tensor(temperature[:k])).sigmoid()
    return logits, (torch.rand(n, k, generator=draws) < share).to(torch.int8)


def test_each_class_finds_its_own_temperature():
    logits, labels = drawn()
    labels[::7, 1] = -1
    one, each = fit_class_temperatures(logits, labels)
    np.testing.assert_allclose(each, [0.5, 1.0, 2.0, 3.0], rtol=0.15)
    grid = torch.linspace(math.log(0.2), math.log(5), 400, dtype=torch.float64)
    for k in range(4):
        known = labels[:, k] >= 0
        x, y = logits[known, k].double(), labels[known, k].double()
        loss = [F.binary_cross_entropy_with_logits(x / t.exp(), y) for t in grid]
        assert math.log(each[k]) == pytest.approx(
            float(grid[int(torch.stack(loss).argmin())]), abs=0.01
        )
    known = labels >= 0
    loss = [
        F.binary_cross_entropy_with_logits(logits[known].double() / t.exp(), labels[known].double())
        for t in grid
    ]
    assert math.log(one) == pytest.approx(float(grid[int(torch.stack(loss).argmin())]), abs=0.01)


def test_a_class_without_both_kinds_takes_the_common_temperature():
    logits, labels = drawn()
    labels[:, 0], labels[:, 2] = 0, -1
    labels[labels[:, 3] == 0, 3] = -1
    one, each = fit_class_temperatures(logits, labels)
    assert each[[0, 2, 3]].tolist() == pytest.approx([one] * 3)
    assert each[1] != pytest.approx(one)
    nothing = fit_class_temperatures(logits, torch.full_like(labels, -1))
    assert nothing[0] == 1.0 and nothing[1].tolist() == [1.0] * 4
    assert fit_class_temperatures(logits[:0], labels[:0])[1].tolist() == [1.0] * 4


def test_thresholds_are_those_of_the_highest_f1():
    logits, labels = drawn(300)
    probs = (logits.sigmoid() * 25).round() / 25  # many ties
    labels[::5, 2] = -1
    found = fit_thresholds(probs, labels)
    for k in range(4):
        known = labels[:, k] >= 0
        p, y = probs[known, k].numpy(), labels[known, k].numpy()
        steps = np.unique(p)
        scores = [f1_score(y, p >= t) for t in steps]
        best = max(scores)
        assert f1_score(y, p >= float(found[k])) == pytest.approx(best)
        # Of equals the lowest, in the middle between two probabilities.
        lowest = steps[min(i for i, score in enumerate(scores) if score >= best - 1e-12)]
        below = max([step for step in steps if step < lowest], default=0.0)
        assert float(found[k]) == pytest.approx((lowest + below) / 2, abs=1e-6)


def test_ties_go_to_the_lower_threshold():
    # From 0.9 on: 2 / (1 + 2); from 0.3 on: 4 / (4 + 2). Both are two thirds.
    probs = torch.tensor([[0.9], [0.6], [0.5], [0.3]])
    assert fit_thresholds(probs, torch.tensor([[1], [0], [0], [1]])).item() == pytest.approx(0.15)


def test_classes_without_anything_have_half():
    probs = torch.rand(6, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[0, -1, 1]] * 6)
    found = fit_thresholds(probs, labels)
    assert found[:2].tolist() == [0.5, 0.5] and found[2] < probs[:, 2].min()
    assert fit_thresholds(probs[:0], labels[:0]).tolist() == [0.5] * 3


def test_a_place_adds_what_it_says_beyond_the_frequency():
    image, frequency = torch.tensor([[0.4, 0.8]]), torch.tensor([0.2, 0.5])
    same = add_place(image, frequency[None], frequency, 1.0).sigmoid()
    torch.testing.assert_close(same, image.double())
    odds = 0.4 / 0.6 * (0.3 / 0.7) / (0.2 / 0.8)
    found = add_place(image, torch.tensor([[0.3, math.nan]]), frequency, 1.0).sigmoid()
    np.testing.assert_allclose(found, [[odds / (1 + odds), 0.8]], rtol=1e-6)
    sure = add_place(torch.tensor([[0.0, 1.0]]), frequency[None], frequency, 1.0)
    assert sure.isfinite().all()


def test_bayes_is_weight_one():
    # A class that is there in a fifth of the records; image and place are independent given it.
    draws = torch.Generator().manual_seed(1)
    there = (torch.rand(20000, 1, generator=draws) < 0.2).double()
    sides = []
    for _ in range(2):
        shift = 1.5 * there + torch.randn(20000, 1, generator=draws).double()
        # The exact log-odds of two normal laws, with those of the fifth.
        sides.append((1.5 * shift - 1.125 + math.log(0.25)).sigmoid())
    frequency = torch.tensor([0.2])
    assert fit_set_weight(*sides, there.to(torch.int8), frequency) == pytest.approx(1.0, abs=0.06)
    noise = torch.rand(20000, 1, generator=draws)
    assert fit_set_weight(sides[0], noise, there.to(torch.int8), frequency) < 0.05
    unknown = torch.full((20000, 1), -1)
    assert fit_set_weight(sides[0], noise, unknown, frequency) == 1.0


def test_rare_classes_that_nothing_foretells_are_not_in_every_set():
    draws = torch.Generator().manual_seed(3)
    share = torch.rand(4000, 4, generator=draws) ** 2
    share = torch.cat((share, torch.full((4000, 12), 0.01)), dim=1)
    labels = (torch.rand(share.shape, generator=draws) < share).to(torch.int8)
    # What a model says of the rare ones is their frequency and noise.
    said = torch.cat((share[:, :4], 0.01 + 0.005 * torch.rand(4000, 12, generator=draws)), dim=1)
    labels[::9, 2] = -1
    truth = float((labels == 1).sum(dim=1).double().mean())

    def size(thresholds):
        return float((said.double() >= thresholds).sum(dim=1).double().mean())

    own, found = fit_thresholds(said, labels), fit_set_thresholds(said, labels)
    assert size(own) > 2 * truth
    assert truth / 1.6 < size(found) < 1.6 * truth
    common = fit_thresholds(said.reshape(-1, 1), labels.reshape(-1, 1))
    assert torch.equal(found, own.maximum(common)) and (found[:4] == own[:4]).any()
    assert fit_set_thresholds(said[:0], labels[:0]).tolist() == [0.5] * 16
