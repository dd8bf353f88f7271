"""Each loss against its formula written slowly in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from csp_core.losses import an_slds, an_ssdl, class_cross_entropy, geo_prior


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


LOGITS, BACKGROUND = 2 * normal(5, 4), normal(7, 4) - 1
LABEL = torch.tensor([0, 3, 1, 1, 2])


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def slow_cross_entropy(logits, label, smoothing):
    total = 0.0
    for row, y in zip(logits.numpy(), label.tolist(), strict=True):
        log_total = math.log(sum(math.exp(x) for x in row))
        for k, x in enumerate(row):
            target = (1 - smoothing) * (k == y) + smoothing / len(row)
            total -= target * (x - log_total)
    return total / len(logits)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_class_cross_entropy(smoothing):
    loss = class_cross_entropy(LOGITS, LABEL, smoothing=smoothing).item()
    assert loss == pytest.approx(slow_cross_entropy(LOGITS, LABEL, smoothing), rel=1e-12)


def test_class_cross_entropy_of_equal_scores_is_log_of_the_classes():
    assert class_cross_entropy(torch.zeros(3, 8), torch.tensor([0, 4, 7])).item() == pytest.approx(
        math.log(8), rel=1e-6
    )


def slow_geo_prior(logits, background, label, weight, background_weight, exact):
    def minus_log(p, logit_of_p):
        return math.log1p(math.exp(-logit_of_p)) if exact else -math.log(p + 1e-5)

    data = np.zeros(logits.shape)
    for i, row in enumerate(logits.tolist()):
        for k, x in enumerate(row):
            if k == label[i]:
                data[i, k] = weight * minus_log(sigmoid(x), x)
            else:
                data[i, k] = minus_log(1 - sigmoid(x), -x)
    empty = [[minus_log(1 - sigmoid(x), -x) for x in row] for row in background.tolist()]
    return data.mean() + background_weight * np.mean(empty)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("weight", "background_weight"), [(None, 1.0), (2.5, 0.25), (1.0, 0.0)])
def test_geo_prior(exact, weight, background_weight):
    loss = geo_prior(
        LOGITS,
        BACKGROUND,
        LABEL,
        positive_weight=weight,
        background_weight=background_weight,
        exact=exact,
    ).item()
    used = LOGITS.shape[1] if weight is None else weight
    want = slow_geo_prior(LOGITS, BACKGROUND, LABEL, used, background_weight, exact)
    assert loss == pytest.approx(want, rel=1e-12)


def test_geo_prior_weighs_the_recorded_class_by_the_number_of_classes():
    # At score 0 every term is log 2: one recorded class of weight K and K - 1 others of weight 1.
    k = 10
    loss = geo_prior(
        torch.zeros(1, k).double(), torch.zeros(1, k).double(), torch.tensor([3]), exact=True
    )
    assert loss.item() == pytest.approx(math.log(2) * ((k + k - 1) / k + 1), rel=1e-12)


def test_geo_prior_bounds():
    right = torch.full((2, 3), -60.0).double()
    right[torch.arange(2), torch.tensor([0, 2])] = 60.0
    label, empty = torch.tensor([0, 2]), torch.full((4, 3), -60.0).double()
    least = geo_prior(right, empty, label).item()
    assert least == pytest.approx((1 + 2 / 3 + 1) * -math.log(1 + 1e-5), rel=1e-9)
    assert geo_prior(right, empty, label, exact=True).item() == pytest.approx(0.0, abs=1e-20)
    # Wrong everywhere: the published form saturates at -log 1e-5 = 11.51, the exact one does not.
    most = geo_prior(-right, -empty, label).item()
    assert most == pytest.approx((1 + 2 / 3 + 1) * -math.log(1e-5), rel=1e-9)
    assert geo_prior(-right, -empty, label, exact=True).item() == pytest.approx(
        (1 + 2 / 3 + 1) * 60, rel=1e-9
    )


def test_both_forms_agree_where_scores_are_moderate():
    forms = [geo_prior(LOGITS, BACKGROUND, LABEL, exact=exact).item() for exact in (False, True)]
    assert forms[0] != forms[1]
    assert forms[0] == pytest.approx(forms[1], rel=1e-3)


@pytest.mark.parametrize(("exact", "vanishes"), [(False, True), (True, False)])
def test_gradient_at_very_wrong_scores(exact, vanishes):
    logits = torch.tensor([[-30.0, -30.0]], requires_grad=True)
    geo_prior(logits, torch.full((1, 2), -30.0), torch.tensor([0]), exact=exact).backward()
    gradient = abs(logits.grad[0, 0].item())
    assert gradient < 1e-6 if vanishes else gradient == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("exact", [False, True])
def test_gradients_are_those_of_the_formula(exact):
    def loss(logits, background):
        return geo_prior(logits, background, LABEL, exact=exact)

    inputs = (LOGITS.clone().requires_grad_(), BACKGROUND.clone().requires_grad_())
    assert torch.autograd.gradcheck(loss, inputs)


# The losses of SINR


def slow_minus_log(p, logit_of_p, exact):
    return math.log1p(math.exp(-logit_of_p)) if exact else -math.log(p + 1e-5)


def test_an_full_is_geo_prior_with_weight_2048():
    got = geo_prior(LOGITS, BACKGROUND, LABEL, positive_weight=2048.0).item()
    terms = []
    for row, y in zip(LOGITS.tolist(), LABEL.tolist(), strict=True):
        for k, x in enumerate(row):
            p = sigmoid(x)
            terms.append(-2048 * math.log(p + 1e-5) if k == y else -math.log(1 - p + 1e-5))
    empty = [-math.log(1 - sigmoid(x) + 1e-5) for row in BACKGROUND.tolist() for x in row]
    assert got == pytest.approx(np.mean(terms) + np.mean(empty), rel=1e-12)


@pytest.mark.parametrize("exact", [False, True])
def test_an_ssdl(exact):
    there = BACKGROUND[:5]
    want = 0.0
    for i, y in enumerate(LABEL.tolist()):
        here, away = LOGITS[i, y].item(), there[i, y].item()
        want += slow_minus_log(sigmoid(here), here, exact) / 5
        want += slow_minus_log(1 - sigmoid(away), -away, exact) / 5
    assert an_ssdl(LOGITS, there, LABEL, exact=exact).item() == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("exact", [False, True])
def test_an_slds(exact):
    absent = torch.tensor([2, 0, 3, 0, 1])
    want = 0.0
    for i, (y, k) in enumerate(zip(LABEL.tolist(), absent.tolist(), strict=True)):
        here, other = LOGITS[i, y].item(), LOGITS[i, k].item()
        want += slow_minus_log(sigmoid(here), here, exact) / 5
        want += slow_minus_log(1 - sigmoid(other), -other, exact) / 5
    assert an_slds(LOGITS, LABEL, absent, exact=exact).item() == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("exact", [False, True])
def test_gradients_of_the_losses_of_sinr(exact):
    inputs = (LOGITS.clone().requires_grad_(), BACKGROUND[:5].clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: an_ssdl(a, b, LABEL, exact=exact), inputs)
    absent = (LABEL + 1) % 4
    assert torch.autograd.gradcheck(lambda a: an_slds(a, LABEL, absent, exact=exact), inputs[:1])
