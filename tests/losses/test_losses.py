"""Each loss against its formula written slowly in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from csp_core.geo import great_circle_km
from csp_core.losses import (
    an_slds,
    an_ssdl,
    binary_nce,
    binary_negatives,
    class_cross_entropy,
    feature_regression,
    geo_prior,
    info_nce,
    negative_weight,
    similarities,
)


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


# The parts of CSP

TOY = torch.tensor([[0.9, 0.1, -0.4], [0.2, 0.5, 0.3], [-0.7, 0.6, 1.0]], dtype=torch.float64)
OWN = torch.arange(3)


def slow_info_nce(similarity, target, temperature, weight=None):
    total = 0.0
    for i, row in enumerate(similarity.tolist()):
        scores = [math.exp(s / temperature) for s in row]
        if weight is not None:
            scores = [
                s if j == target[i] else w * s
                for j, (s, w) in enumerate(zip(scores, weight[i].tolist(), strict=True))
            ]
        total -= math.log(scores[target[i]] / sum(scores)) / len(similarity)
    return total


def slow_binary_nce(similarity, target, temperature, exact, weight=None):
    total = 0.0
    for i, row in enumerate(similarity.tolist()):
        terms, weights = [], []
        for j, s in enumerate(row):
            x = s / temperature
            if j == target[i]:
                total += slow_minus_log(sigmoid(x), x, exact) / len(similarity)
            else:
                terms.append(slow_minus_log(1 - sigmoid(x), -x, exact))
                weights.append(1.0 if weight is None else weight[i, j].item())
        if sum(weights):
            total += np.average(terms, weights=weights) / len(similarity)
    return total


@pytest.mark.parametrize("target", [OWN, torch.tensor([2, 0, 1])])
@pytest.mark.parametrize("temperature", [0.07, 1.0, 20.0])
def test_info_nce(temperature, target):
    want = slow_info_nce(TOY, target, temperature)
    assert info_nce(TOY, target, temperature=temperature).item() == pytest.approx(want, rel=1e-12)
    learned = torch.tensor(temperature, dtype=torch.float64)
    assert info_nce(TOY, target, temperature=learned).item() == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("temperature", [0.07, 1.0, 20.0])
def test_binary_nce(temperature, exact):
    want = slow_binary_nce(TOY, OWN, temperature, exact)
    got = binary_nce(TOY, OWN, temperature=temperature, exact=exact).item()
    assert got == pytest.approx(want, rel=1e-12)


def test_golden_numbers_of_the_toy_matrix():
    # By hand: the rows' softmaxes at temperature 1 give the partners 0.5808, 0.3907 and 0.5397.
    e = math.exp
    rows = [
        e(0.9) / (e(0.9) + e(0.1) + e(-0.4)),
        e(0.5) / (e(0.2) + e(0.5) + e(0.3)),
        e(1.0) / (e(-0.7) + e(0.6) + e(1.0)),
    ]
    assert [round(r, 4) for r in rows] == [0.5808, 0.3907, 0.5397]
    assert info_nce(TOY, OWN).item() == pytest.approx(0.70001, abs=1e-5)
    assert info_nce(TOY, OWN).item() == pytest.approx(-np.log(rows).mean(), rel=1e-12)
    assert info_nce(TOY, OWN, temperature=1e9).item() == pytest.approx(math.log(3), rel=1e-8)


def test_bounds_at_temperature_20():
    # A cosine divided by 20 spans 0.1 in all: with 1024 pairs the loss hardly moves.
    n = 1024
    best = 2 * torch.eye(n).double() - 1
    own = torch.arange(n)
    least, most = (info_nce(s, own, temperature=20.0).item() for s in (best, -best))
    assert (round(least, 2), round(most, 2)) == (6.83, 7.03)
    assert least < math.log(n) < most and round(math.log(n), 2) == 6.93


@pytest.mark.parametrize("exact", [False, True])
def test_bounds_of_a_decision_about_a_cosine(exact):
    # The sigmoid of a cosine lies in [0.269, 0.731], so no term goes under 0.313.
    best = 2 * torch.eye(3).double() - 1
    got = binary_nce(best, OWN, exact=exact).item()
    assert got == pytest.approx(2 * math.log1p(math.exp(-1)), abs=1e-4)
    assert round(got / 2, 3) == 0.313
    assert round(binary_negatives(-torch.ones(3, 2), exact=exact).item(), 3) == 0.313
    most = binary_nce(-best, OWN, exact=exact).item()
    assert most == pytest.approx(2 * math.log1p(math.exp(1)), abs=1e-4)
    assert sigmoid(1) == pytest.approx(0.731, abs=1e-3)


def test_the_published_form_saturates_where_the_exact_one_does_not():
    far = torch.tensor([[-1.0]]).double()
    one = torch.zeros(1, dtype=torch.int64)
    got = [binary_nce(far, one, temperature=0.02, exact=exact).item() for exact in (False, True)]
    assert got[0] == pytest.approx(-math.log(1e-5), abs=1e-6)
    assert got[1] == pytest.approx(50.0, rel=1e-12)


@pytest.mark.parametrize("exact", [False, True])
def test_binary_negatives(exact):
    away = TOY[:, :2]
    want = np.mean(
        [
            slow_minus_log(1 - sigmoid(s / 0.5), -s / 0.5, exact)
            for row in away
            for s in row.tolist()
        ]
    )
    got = binary_negatives(away, temperature=0.5, exact=exact).item()
    assert got == pytest.approx(want, rel=1e-12)
    weight = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 0.0]])
    rows = [
        slow_minus_log(1 - sigmoid(0.9), -0.9, exact),
        (slow_minus_log(1 - sigmoid(0.2), -0.2, exact)
         + slow_minus_log(1 - sigmoid(0.5), -0.5, exact)) / 2,
        0.0,
    ]  # fmt: skip
    got = binary_negatives(away, weight=weight, exact=exact).item()
    assert got == pytest.approx(np.mean(rows), rel=1e-6)


WEIGHT = torch.tensor([[0.0, 0.0, 1.0], [0.25, 0.3, 0.5], [1.0, 1.0, 7.0]])


def test_weighted_candidates():
    got = info_nce(TOY, OWN, temperature=0.5, weight=WEIGHT).item()
    assert got == pytest.approx(slow_info_nce(TOY, OWN, 0.5, WEIGHT), rel=1e-6)
    got = binary_nce(TOY, OWN, temperature=0.5, weight=WEIGHT).item()
    assert got == pytest.approx(slow_binary_nce(TOY, OWN, 0.5, True, WEIGHT), rel=1e-6)
    ones = torch.ones(3, 3)
    for loss in (info_nce, binary_nce):
        assert loss(TOY, OWN, weight=ones).item() == pytest.approx(loss(TOY, OWN).item(), rel=1e-12)


@pytest.mark.parametrize("loss", [info_nce, binary_nce])
def test_a_candidate_of_weight_zero_is_not_there(loss):
    weight = torch.ones(3, 4)
    weight[:, 3] = 0.0
    for foe in (0.0, 1.0):
        wide = torch.cat((TOY, torch.full((3, 1), foe).double()), dim=1)
        assert loss(wide, OWN, weight=weight).item() == pytest.approx(loss(TOY, OWN).item())
    similarity = torch.cat((TOY, torch.ones(3, 1).double()), dim=1).requires_grad_()
    loss(similarity, OWN, weight=weight).backward()
    assert similarity.grad.isfinite().all() and (similarity.grad[:, 3] == 0).all()


def test_a_batch_of_one_has_no_negatives():
    one, own = torch.tensor([[0.5]]).double(), torch.zeros(1, dtype=torch.int64)
    assert info_nce(one, own).item() == 0.0
    assert binary_nce(one, own).item() == pytest.approx(math.log1p(math.exp(-0.5)))


def test_similarities():
    a, b = normal(4, 6), normal(4, 6).flip(0) + 1
    want = [
        [np.dot(x, y) / np.linalg.norm(x) / np.linalg.norm(y) for y in b.numpy()] for x in a.numpy()
    ]
    torch.testing.assert_close(similarities(a, b), torch.tensor(np.array(want)))
    # As published a vector of zeros, which dropout makes of a small embedding, gives NaN.
    zero = torch.zeros(1, 6, dtype=torch.float64, requires_grad=True)
    similarities(zero, b).sum().backward()
    assert (similarities(zero, b) == 0).all() and zero.grad.isfinite().all()


def test_negative_weight():
    places = torch.tensor([[179.9995, 10.0], [-179.9995, 10.0], [0.0, 90.0], [120.0, 90.0], [0, 0]])
    km = great_circle_km(places[:, None].double(), places[None].double())
    for limit in (0.05, 0.2, 500.0, 9000.0):
        got = negative_weight(places, places, mask_km=limit, near=0.25)
        assert torch.equal(got, torch.where(km < limit, 0.25, 1.0).float())
    assert negative_weight(places, places, mask_km=0.2).tolist()[0] == [0, 0, 1, 1, 1]
    rows = negative_weight(places[:, None], places[:, None], mask_km=1.0)
    assert rows.shape == (5, 1, 1) and (rows == 0).all()


def test_feature_regression():
    a, b = normal(3, 5), normal(3, 5) * 2
    assert feature_regression(a, b).item() == pytest.approx(np.mean((a - b).numpy() ** 2))


@pytest.mark.parametrize("loss", [info_nce, binary_nce])
def test_gradients_of_the_parts_of_csp(loss):
    temperature = torch.tensor(0.5).double().requires_grad_()
    similarity = TOY.clone().requires_grad_()
    for weight in (None, WEIGHT.double()):
        assert torch.autograd.gradcheck(
            lambda s, t, w=weight: loss(s, OWN, temperature=t, weight=w), (similarity, temperature)
        )
    a, b = normal(3, 4).requires_grad_(), (normal(3, 4) + 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: loss(similarities(x, y), OWN), (a, b))
