"""Losses on pseudo-labels: each formula written slowly in NumPy, and published numbers."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch

from csp_core.losses import binary_cross_entropy
from csp_core.losses import consistency as of


def wave(*shape, k):
    """The deterministic tensor that the published numbers were computed with."""
    index = torch.arange(math.prod(shape), dtype=torch.float64)
    return torch.sin(0.37 * index**2 + k).reshape(shape)


WEAK, STRONG = 3 * wave(6, 4, k=1), 3 * wave(6, 4, k=2)
SETS = (WEAK >= 0).double()
RATES = torch.tensor([0.1, 0.3, 0.5, 0.7], dtype=torch.float64)
FLOAT = partial(torch.tensor, dtype=torch.float64)
ONES = torch.ones(6, dtype=torch.float64)


def numbers(count, *shape, low=0.0, high=1.0):
    made = torch.Generator().manual_seed(count)
    return low + (high - low) * torch.rand(*shape, generator=made, dtype=torch.float64)


def softmax(row):
    total = sum(math.exp(x) for x in row)
    return [math.exp(x) / total for x in row]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def nats(x, y):
    """Binary cross-entropy of one logit."""
    return -(y * math.log(sigmoid(x)) + (1 - y) * math.log(1 - sigmoid(x)))


@pytest.mark.parametrize("soft", [False, True])
def test_weighted_cross_entropy(soft):
    weight = numbers(1, 6)
    target = numbers(2, 6, 4).softmax(dim=1) if soft else torch.tensor([0, 3, 1, 2, 2, 0])
    total = 0.0
    for row, y, w in zip(STRONG.tolist(), target.tolist(), weight.tolist(), strict=True):
        wanted = y if soft else [float(c == y) for c in range(4)]
        total -= w * sum(t * math.log(p) for t, p in zip(wanted, softmax(row), strict=True))
    loss = of.weighted_cross_entropy(STRONG, target, weight).item()
    assert loss == pytest.approx(total / 6, rel=1e-12)


@pytest.mark.parametrize(
    ("threshold", "loss"),
    [(0.5, 1.4172004470), (0.6, 1.2334221768), (0.7, 0.3961157793), (0.95, 0.0)],
)
def test_pseudo_labels_as_published(threshold, loss):
    sure, label = WEAK.softmax(dim=1).max(dim=1)
    found = of.weighted_cross_entropy(STRONG, label, (sure >= threshold).double())
    assert found.item() == pytest.approx(loss, abs=1e-10)


def test_weighted_binary_cross_entropy():
    weight, target = numbers(1, 6, 4), numbers(2, 6, 4)
    every = zip(*(x.flatten().tolist() for x in (STRONG, target, weight)), strict=True)
    slow = sum(w * nats(x, y) for x, y, w in every) / 24
    found = of.weighted_binary_cross_entropy(STRONG, target, weight)
    assert found.item() == pytest.approx(slow, rel=1e-12)


def test_unknown_entries_are_left_out():
    target = SETS.masked_fill(wave(6, 4, k=3) > 0.8, -1).long()
    every = zip(STRONG.flatten().tolist(), target.flatten().tolist(), strict=True)
    known = [nats(x, y) for x, y in every if y != -1]
    assert 0 < len(known) < 24
    found = binary_cross_entropy(STRONG, target).item()
    assert found == pytest.approx(sum(known) / len(known), rel=1e-12)
    assert found == pytest.approx(0.3055604863, abs=1e-10)
    # What the network says of them changes nothing, and pulls at nothing.
    logits = STRONG.where(target >= 0, torch.full_like(STRONG, 7.0)).requires_grad_()
    loss = binary_cross_entropy(logits, target)
    loss.backward()
    assert loss.item() == found
    assert ((logits.grad != 0) == (target >= 0)).all()


def slow_asymmetric(logits, target, weight, negative, positive, margin):
    total = 0.0
    every = zip(*(x.flatten().tolist() for x in (logits, target, weight)), strict=True)
    for x, y, w in every:
        p = sigmoid(x)
        absent = min(1 - p + margin, 1)
        right, gamma = (p, positive) if y == 1 else (absent, negative)
        total -= w * (1 - right) ** gamma * math.log(right)
    return total / weight.sum().item()


@pytest.mark.parametrize("options", [(4.0, 1.0, 0.05), (0.0, 0.0, 0.0), (2.0, 0.0, 0.2)])
def test_asymmetric_loss(options):
    weight = (numbers(1, 6, 4) > 0.4).double()
    named = dict(zip(("gamma_negative", "gamma_positive", "margin"), options, strict=True))
    found = of.asymmetric_loss(STRONG, SETS, weight, **named).item()
    assert found == pytest.approx(slow_asymmetric(STRONG, SETS, weight, *options), rel=1e-12)


def test_asymmetric_loss_as_published():
    found = of.asymmetric_loss(STRONG, SETS, torch.ones_like(SETS)).item()
    assert found == pytest.approx(0.2039382830, abs=1e-10)
    plain = {"gamma_negative": 0.0, "gamma_positive": 0.0, "margin": 0.0}
    same = binary_cross_entropy(STRONG, SETS).item()
    found = of.asymmetric_loss(STRONG, SETS, torch.ones_like(SETS), **plain).item()
    assert found == pytest.approx(same, rel=1e-12)


def slow_fairness(logits, weight, model, guessed):
    rows = [softmax(row) for row, w in zip(logits.tolist(), weight.tolist(), strict=True) if w]
    mean = np.mean(rows, axis=0)
    hist = np.bincount(np.argmax(rows, axis=1), minlength=4) / len(rows)
    inverse = [1 / h if h else 0.0 for h in hist]
    a, b = model.numpy() / guessed.numpy(), mean * inverse
    a, b = a / a.sum(), b / b.sum()
    return float((a * np.log(b + 1e-12)).sum())


def test_fairness():
    model, guessed = numbers(1, 4).softmax(dim=0), numbers(2, 4).softmax(dim=0)
    for weight in (ONES, torch.tensor([1, 0, 1, 1, 0, 0]).double()):
        found = of.fairness(STRONG, weight, model, guessed).item()
        slow = slow_fairness(STRONG, weight, model, guessed)
        assert found == pytest.approx(slow, rel=1e-10)


def slow_fairness_of_sets(logits, weight, model, guessed):
    total = 0.0
    for c in range(logits.shape[1]):
        kept = [i for i in range(len(logits)) if weight[i, c] > 0]
        if not kept:
            continue
        p = [sigmoid(logits[i, c].item()) for i in kept]
        mean, often = np.mean(p), np.mean([x >= 0.5 for x in p])

        def pair(pm, h):
            one = pm / h if h > 0 else 0.0
            none = (1 - pm) / (1 - h) if h < 1 else 0.0
            return one / (one + none)

        a, b = pair(model[c].item(), guessed[c].item()), pair(mean, often)
        total += a * math.log(b + 1e-12) + (1 - a) * math.log(1 - b + 1e-12)
    return total


def test_fairness_of_sets():
    model, guessed = numbers(1, 4), numbers(2, 4)
    some = (numbers(3, 6, 4) > 0.5).double()
    some[:, 2] = 0
    for weight in (torch.ones(6, 4), some):
        found = of.fairness_of_sets(STRONG, weight.double(), model, guessed).item()
        slow = slow_fairness_of_sets(STRONG, weight, model, guessed)
        assert found == pytest.approx(slow, rel=1e-10)


# Of 10 rows as many are of each class.
COUNTS = (5, 2, 2, 1)
LABELS = [c for c, count in enumerate(COUNTS) for _ in range(count)]


def leaning(sure):
    """Give the logits of rows that are that sure of their classes, as one label and as sets."""
    one = sure * torch.eye(4, dtype=torch.float64)[LABELS]
    return one, 2 * one - sure


def both_fairnesses(sure):
    even, half = torch.full((4,), 0.25).double(), torch.full((4,), 0.5).double()
    one, sets = (x.requires_grad_() for x in leaning(sure))
    ones = torch.ones(10, 4).double()
    return (
        (one, of.fairness(one, ones[:, 0], even, even)),
        (sets, of.fairness_of_sets(sets, ones, half, half)),
    )


def test_fairness_falls_as_predictions_spread():
    values = [[loss.item() for _, loss in both_fairnesses(s)] for s in (4.0, 3.0, 2.0, 1.0, 0.5)]
    assert (np.diff(values, axis=0) < 0).all()


@pytest.mark.parametrize("sure", [0.5, 1.0, 3.0])
def test_fairness_pulls_away_from_the_class_that_is_predicted_most(sure):
    (one, loss), (sets, loss_of_sets) = both_fairnesses(sure)
    loss.backward()
    # Downhill the most frequent class loses and the rarest gains.
    before, after = (x.softmax(dim=1).mean(dim=0) for x in (one, one - 0.1 * one.grad))
    assert after[0] < before[0] and after[3] > before[3]
    loss_of_sets.backward()
    before, after = (x.sigmoid().mean(dim=0) for x in (sets, sets - 0.1 * sets.grad))
    assert (after[1:] > before[1:]).all()


def test_align():
    shares, model = WEAK.softmax(dim=1), numbers(1, 4).softmax(dim=0)
    target = RATES / RATES.sum()
    slow = shares.numpy() * (target.numpy() + 1e-6) / (model.numpy() + 1e-6)
    slow /= slow.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(of.align(shares, target, model).numpy(), slow, rtol=1e-12)
    np.testing.assert_allclose(of.align(shares, model, model).numpy(), shares.numpy(), rtol=1e-12)


def test_align_sets():
    shares, model = WEAK.sigmoid(), WEAK.sigmoid().mean(dim=0)
    found = of.align_sets(shares, RATES, model)
    for i in range(6):
        for c in range(4):
            p, t, m = shares[i, c].item(), RATES[c].item(), model[c].item()
            one = p * (t + 1e-6) / (m + 1e-6)
            none = (1 - p) * (1 - t + 1e-6) / (1 - m + 1e-6)
            assert found[i, c].item() == pytest.approx(one / (one + none), rel=1e-12)
    row = torch.tensor([0.5666874, 0.8054415, 0.8078906, 0.0540825], dtype=torch.float64)
    torch.testing.assert_close(found[0], row, atol=1e-7, rtol=0)


def test_gaussian_weight():
    sure = WEAK.softmax(dim=1).amax(dim=1)
    mean, variance = FLOAT(0.6), FLOAT(0.01)
    found = of.gaussian_weight(sure, mean, variance)
    slow = [math.exp(-(min(c - 0.6, 0) ** 2) / (2 * 0.01 / 4)) for c in sure.tolist()]
    np.testing.assert_allclose(found.numpy(), slow, rtol=1e-12)
    published = [0.1388809, 1, 1, 0.8088804, 1.1033e-6, 1]
    np.testing.assert_allclose(found.numpy(), published, atol=5e-8)
    assert found[4].item() == pytest.approx(published[4], rel=5e-5)


def test_weight_is_1_above_the_mean_and_continuous_there():
    mean, variance = FLOAT(0.6), FLOAT(0.02)
    sure = torch.tensor([0.6 - 1e-9, 0.6, 0.6 + 1e-9, 0.8, 1.0], dtype=torch.float64)
    weight = of.gaussian_weight(sure, mean, variance)
    assert (weight[1:] == 1).all() and 1 - weight[0] < 1e-12
    # Confidences that are all alike have no variance.
    alike = of.gaussian_weight(torch.ones(3), torch.tensor(1.0), torch.tensor(0.0))
    assert (alike == 1).all()


@pytest.mark.parametrize(
    ("power", "one", "several"),
    [
        (1.0, [1, 1, 1, 1], [1, 1, 1, 1]),
        (0.875, [0.881265, 0.961026, 1.010990, 1.048007], None),
        (0.5, [0.614626, 0.869213, 1.064564, 1.229253], [0.4, 0.6, 0.758258, 0.889899]),
    ],
)
def test_flatten_as_published(power, one, several):
    shares = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    slow = np.array([p**power for p in shares.tolist()])
    flat, sets = of.flatten(shares, power), of.flatten_sets(shares, power)
    np.testing.assert_allclose(flat.numpy(), slow / slow.sum(), rtol=1e-12)
    absent = np.array([(1 - p) ** power for p in shares.tolist()])
    np.testing.assert_allclose(sets.numpy(), slow / (slow + absent), rtol=1e-12)
    np.testing.assert_allclose((shares / flat).numpy(), one, atol=1.1e-6)
    if several is not None:
        np.testing.assert_allclose((shares / sets).numpy(), several, atol=1.1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: of.weighted_cross_entropy(x, torch.tensor([0, 1, 2, 3, 0, 1]), 0 * ONES),
        lambda x: of.weighted_binary_cross_entropy(x, SETS, 0 * SETS),
        lambda x: binary_cross_entropy(x, torch.full((6, 4), -1)),
        lambda x: of.asymmetric_loss(x, SETS, 0 * SETS),
        lambda x: of.fairness(x, 0 * ONES, RATES / RATES.sum(), RATES / RATES.sum()),
        lambda x: of.fairness_of_sets(x, 0 * SETS, RATES, RATES),
    ],
)
def test_where_nothing_counts_the_loss_is_0_and_pulls_at_nothing(loss):
    logits = STRONG.clone().requires_grad_()
    value = loss(logits)
    value.backward()
    assert value.item() == 0 and logits.grad is not None and (logits.grad == 0).all()


@pytest.mark.parametrize("sure", [40.0, 1000.0])
def test_sure_predictions_have_finite_gradients(sure):
    logits = (sure * torch.sign(STRONG)).float().requires_grad_()
    sets, ones = SETS.float(), torch.ones(6, 4)
    even = torch.full((4,), 0.25)
    losses = (
        of.weighted_cross_entropy(logits, torch.tensor([0, 1, 2, 3, 0, 1]), ones[:, 0]),
        of.weighted_binary_cross_entropy(logits, sets, ones),
        binary_cross_entropy(logits, sets),
        of.asymmetric_loss(logits, sets, ones),
        of.fairness(logits, ones[:, 0], even, even),
        of.fairness_of_sets(logits, ones, even, even),
    )
    sum(losses).backward()
    assert all(loss.isfinite() for loss in losses) and logits.grad.isfinite().all()


def test_half_precision_is_computed_in_single():
    logits, weight = STRONG.bfloat16(), torch.ones(6, 4)
    even = torch.full((4,), 0.25)
    for given, wanted in ((logits, torch.float32), (STRONG, torch.float64)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            losses = (
                of.weighted_cross_entropy(given, WEAK.argmax(dim=1), weight[:, 0]),
                of.weighted_cross_entropy(given, WEAK.softmax(dim=1), weight[:, 0]),
                of.weighted_binary_cross_entropy(given, SETS, weight),
                binary_cross_entropy(given, SETS),
                of.asymmetric_loss(given, SETS, weight),
                of.fairness(given, weight[:, 0], even, even),
                of.fairness_of_sets(given, weight, even, even),
            )
        assert [loss.dtype for loss in losses] == [wanted] * len(losses)


def test_fairness_of_sets_pulls_at_nothing_where_all_is_said_of_a_class():
    # Every entry is taken for present: the gradient is 0 but for rounding, in any kind of float.
    generator = torch.Generator().manual_seed(0)
    logits = 2 + torch.rand(8, 19, generator=generator)
    found = []
    for kind in (torch.float32, torch.float64):
        given = logits.clone().to(kind).requires_grad_()
        some = torch.full((19,), 0.5, dtype=kind)
        of.fairness_of_sets(given, torch.ones(8, 19, dtype=kind), some, some).backward()
        found.append(given.grad.double())
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-3)


def test_the_asymmetric_loss_has_gradients_without_a_margin():
    logits = torch.tensor([[20.0, 30.0, -30.0]], requires_grad=True)
    target = torch.tensor([[1.0, 1.0, 0.0]])
    of.asymmetric_loss(logits, target, torch.ones(1, 3), margin=0.0).backward()
    assert logits.grad.isfinite().all()
