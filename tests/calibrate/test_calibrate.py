"""Calibration finds what was put in, and sets hold the truth as often as they promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from csp_core.calibrate import (
    crossfit_sets,
    fit_class_bias,
    fit_class_slope,
    fit_set_level,
    fit_temperature,
    measure_sets,
    prediction_sets,
    reliability_bins,
    wilson_interval,
)
from csp_core.errors import ConfigError


def draw(n=4000, classes=5):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(n, classes, generator=generator, dtype=torch.float64)
    return logits, torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
def test_a_scale_is_undone(scale):
    logits, label = draw()
    base = fit_temperature(logits, label)
    assert base == pytest.approx(1.0, rel=0.1)
    assert fit_temperature(scale * logits, label) == pytest.approx(scale * base, rel=1e-4)


def test_no_temperature_is_better():
    logits, label = draw(300)
    best = fit_temperature(logits, label)
    least = F.cross_entropy(logits / best, label)
    for temperature in torch.linspace(0.2, 5, 400).double():
        assert least <= F.cross_entropy(logits / temperature, label) + 1e-12


def test_it_stays_between_a_fifth_and_five():
    sure = torch.eye(3).double()
    assert fit_temperature(sure, torch.arange(3)) == pytest.approx(0.2, rel=1e-4)
    assert fit_temperature(sure, torch.tensor([1, 2, 0])) == pytest.approx(5.0, rel=1e-4)


def test_without_records_nothing_changes():
    assert fit_temperature(torch.empty(0, 4), torch.empty(0).long()) == 1.0


# Biases of classes


def test_class_biases_are_found_from_many_records():
    logits, label = draw(40000)
    bias = torch.tensor([0.5, -0.5, 0.2, 0.0, -0.2]).double()
    found = fit_class_bias(logits - bias, label, spread=1.0)
    torch.testing.assert_close(found - found.mean(), bias, atol=0.06, rtol=0)


def test_class_biases_minimise_their_penalised_loss():
    logits, label = draw(200)

    def loss(bias):
        return F.cross_entropy(logits + bias, label, reduction="sum") + bias.square().sum() / 0.18

    found = fit_class_bias(logits, label, spread=0.3)
    best = loss(found)
    for step in torch.randn(50, 5, generator=torch.Generator().manual_seed(1)).double() / 100:
        assert best < loss(found + step)


def test_class_biases_stay_small_without_evidence():
    logits, label = draw(3)
    assert fit_class_bias(logits, label).abs().max() < 0.25
    assert fit_class_bias(logits, label, spread=1e-3).abs().max() < 1e-5
    assert torch.equal(fit_class_bias(logits[:0], label[:0]), torch.zeros(5).double())
    unseen = fit_class_bias(logits, torch.full((3,), 2))
    assert unseen[2] == unseen.max() and unseen.sum().item() == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(ConfigError, match="spread"):
        fit_class_bias(logits, label, spread=0.0)


def test_class_biases_bear_wrong_and_certain_logits():
    sure = 500 * torch.eye(4).double()
    assert fit_class_bias(sure, torch.tensor([1, 2, 3, 0])).isfinite().all()


# Reliability


def test_reliability_bins_against_a_slow_count():
    logits, label = draw(500)
    share = logits.softmax(1)
    bins = reliability_bins(share, label, bins=8)
    assert sum(line.n for line in bins) == 500
    for line in bins:
        rows = [i for i in range(500) if line.low < share[i].max() <= line.high]
        right = [share[i].argmax() == label[i] for i in rows]
        assert line.n == len(rows)
        assert line.confidence == pytest.approx(np.mean([share[i].max() for i in rows]))
        assert line.accuracy == pytest.approx(np.mean(right))
        assert line.accuracy_low <= line.accuracy <= line.accuracy_high
    assert [line.low for line in bins] == sorted(line.low for line in bins)


def test_reliability_of_certainty_and_of_nothing():
    (line,) = reliability_bins(torch.eye(3), torch.tensor([0, 1, 1]), bins=10)
    assert (line.low, line.high, line.n) == (0.9, 1.0, 3)
    assert line.accuracy == pytest.approx(2 / 3)
    assert reliability_bins(torch.empty(0, 3), torch.empty(0).long()) == ()
    with pytest.raises(ConfigError, match="bins is 0"):
        reliability_bins(torch.eye(3), torch.arange(3), bins=0)


def test_wilson_interval_by_its_quadratic():
    # The ends p solve (hits/n - p)^2 = z^2 p (1 - p) / n.
    for hits, n in ((0, 7), (3, 7), (7, 7), (450, 500)):
        for end in wilson_interval(hits, n):
            gap = (hits / n - end) ** 2 - 1.96**2 * end * (1 - end) / n
            assert gap == pytest.approx(0.0, abs=1e-12)
    assert wilson_interval(0, 7)[0] == pytest.approx(0, abs=1e-12)


# Sets


def slow_set(row, level):
    """Take classes from the top while the shares of those before them stay within the level."""
    chosen, ahead = set(), 0.0
    for k in np.argsort(-row, kind="stable"):
        if ahead > level:
            break
        chosen.add(int(k))
        ahead += row[k]
    return chosen


@pytest.mark.parametrize("level", [0.0, 0.3, 0.8, 0.99, 1.0])
def test_sets_against_a_slow_walk_down_the_ranks(level):
    share = draw(200)[0].softmax(1)
    sets = prediction_sets(share, level)
    for row, got in zip(share.numpy(), sets, strict=True):
        assert set(got.nonzero()[:, 0].tolist()) == slow_set(row, level)
    assert (sets.sum(1) >= 1).all()
    assert (sets | ~prediction_sets(share, level / 2)).all()


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_sets_hold_the_truth_as_often_as_promised_even_of_miscalibrated_shares(coverage, scale):
    logits, label = draw(8000, classes=20)
    share = (scale * logits).softmax(1)
    level = fit_set_level(share[:4000], label[:4000], coverage)
    report = measure_sets(prediction_sets(share[4000:], level), label[4000:])
    assert report.coverage == pytest.approx(coverage, abs=0.02) and report.n == 4000
    assert 1 <= report.mean_size <= 20


def test_where_the_first_class_is_nearly_always_right_a_doubtful_set_is_still_larger():
    share = torch.tensor([[0.98, 0.01, 0.01]]).repeat(200, 1)
    level = fit_set_level(share, torch.zeros(200, dtype=torch.int64), 0.9)
    assert level == 0.9
    doubtful = torch.tensor([[0.4, 0.35, 0.2, 0.05], [0.95, 0.03, 0.01, 0.01]])
    assert prediction_sets(doubtful, level).sum(dim=1).tolist() == [3, 1]


def test_the_level_is_the_smallest_that_covers_the_records_given():
    logits, label = draw(999)
    share = logits.softmax(1)
    level = fit_set_level(share, label, 0.9)
    assert measure_sets(prediction_sets(share, level), label).coverage == pytest.approx(
        0.9, abs=0.002
    )
    below = measure_sets(prediction_sets(share, level - 1e-9), label)
    assert below.coverage < 0.9 + 1e-9


def test_few_records_promise_nothing():
    logits, label = draw(8)
    assert fit_set_level(logits.softmax(1), label) == 1.0
    assert fit_set_level(torch.empty(0, 4), torch.empty(0).long()) == 1.0
    assert prediction_sets(logits.softmax(1), 1.0).all()
    for coverage in (0.0, 1.0, float("nan")):
        with pytest.raises(ConfigError, match="coverage"):
            fit_set_level(logits.softmax(1), label, coverage)


def test_equal_shares_keep_the_order_of_the_classes():
    assert prediction_sets(torch.full((1, 4), 0.25), 0.3).tolist() == [[True, True, False, False]]


def test_sets_of_one_group_are_fitted_to_other_groups():
    logits, label = draw(600)
    share, group = logits.softmax(1), torch.arange(600) % 7
    sets = crossfit_sets(share, label, group)
    halves = torch.tensor([0, 2, 4, 6]), torch.tensor([1, 3, 5])
    for own, other in (halves, halves[::-1]):
        mine, theirs = torch.isin(group, own), torch.isin(group, other)
        level = fit_set_level(share[theirs], label[theirs])
        assert torch.equal(sets[mine], prediction_sets(share[mine], level))
    # One group alone has no other to learn from, so it promises nothing.
    assert crossfit_sets(share, label, torch.zeros(600).long()).all()


def test_class_slopes_undo_a_class_drawn_too_boldly():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(4000, 4, generator=generator, dtype=torch.float64)
    label = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    bold = logits * torch.tensor([1.0, 2.0, 1.0, 0.5], dtype=torch.float64)
    slope = fit_class_slope(bold, label, spread=2.0)
    assert torch.allclose(slope, torch.tensor([1.0, 0.5, 1.0, 2.0]).double(), rtol=0.15)
    # Strongly shrunk, they stay where they were.
    assert torch.allclose(
        fit_class_slope(bold, label, spread=1e-4), torch.ones(4).double(), atol=1e-3
    )


def test_class_slopes_are_at_the_minimum():
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(60, 3, generator=generator, dtype=torch.float64)
    label = torch.randint(3, (60,), generator=generator)
    slope = fit_class_slope(logits, label, spread=0.5)

    def loss(s):
        fit = F.cross_entropy(logits * s, label, reduction="sum")
        return fit + s.log().square().sum() / (2 * 0.25)

    for step in (0.99, 1.01):
        for k in range(3):
            moved = slope.clone()
            moved[k] *= step
            assert loss(moved) > loss(slope)


def test_class_slopes_without_records_and_with_bad_spread():
    assert torch.equal(fit_class_slope(torch.zeros(0, 3), torch.zeros(0)), torch.ones(3).double())
    with pytest.raises(ConfigError, match="spread is 0"):
        fit_class_slope(torch.zeros(1, 3), torch.zeros(1), spread=0)
