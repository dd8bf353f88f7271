"""Policies: published numbers, each rule written slowly in NumPy, and what their state does."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import torch

from csp_core.errors import ConfigError, UnknownNameError
from csp_core.losses import consistency
from csp_core.objectives.semisup.adjusted import debias
from csp_core.objectives.semisup.quantiles import ascending, order_statistic
from csp_core.objectives.semisup.thresholds import POLICIES, Policy, Task
from csp_core.tables import construct


def wave(*shape, k):
    """The deterministic tensor that the published numbers were computed with."""
    index = torch.arange(math.prod(shape), dtype=torch.float64)
    return torch.sin(0.37 * index**2 + k).reshape(shape)


def floats(*values):
    return torch.tensor(values, dtype=torch.float64)


def normal(seed, *shape):
    made = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, generator=made)


WEAK, STRONG = 3 * wave(6, 4, k=1), 3 * wave(6, 4, k=2)
WHITE = wave(1, 4, k=9)
EVEN, RATES, SHARES = floats(*[0.25] * 4), floats(0.1, 0.3, 0.5, 0.7), floats(0.1, 0.2, 0.3, 0.4)
LABELS = torch.tensor([0, 1, 2, 3])
FORMS = [(name, several) for name in POLICIES for several in (False, True)]
FORMS = [(name, several) for name, several in FORMS if several or not POLICIES[name].several_only]
LEARNING = [(name, several) for name, several in FORMS if POLICIES[name].unlabelled]
SMALL = {"cap": {"queue": 20}}


def policy(name, several=False, frequency=None, steps=100, **options) -> Policy:
    if frequency is None:
        frequency = RATES if several else EVEN
    return construct("policy", POLICIES, name, Task(4, several, frequency, steps), **options)


def judged(it, weak=WEAK):
    state = it.after(weak)
    return it.judge(weak, state, white=WHITE), state


def close(found, wanted, digits=7):
    wanted = floats(*np.ravel(wanted)).reshape(np.shape(wanted))
    torch.testing.assert_close(found.double(), wanted, atol=0.6 * 10**-digits, rtol=0)


def rows(text):
    return floats(*[int(c) for c in text.replace(" ", "")]).reshape(-1, 4)


# Published numbers.


@pytest.mark.parametrize(
    ("threshold", "loss"),
    [(0.5, 1.4172004470), (0.6, 1.2334221768), (0.7, 0.3961157793), (0.95, 0.0)],
)
def test_fixmatch(threshold, loss):
    it = policy("fixmatch", threshold=threshold)
    made, state = judged(it)
    assert made.target.tolist() == [1, 2, 3, 1, 2, 3]
    close(it.unlabelled_loss(STRONG, made, state), loss, 10)


def test_fixmatch_of_sets():
    it = policy("fixmatch", several=True)
    assert it.threshold == (0.05, 0.70)
    made, state = judged(it)
    assert torch.equal(made.target, (WEAK >= 0).double())
    assert torch.equal(made.weight, rows("1110 1010 0011 0101 1111 0101"))
    close(it.unlabelled_loss(STRONG, made, state), 0.2585809302, 10)


def test_freematch():
    it = policy("freematch", momentum=0.9, fairness=1.0)
    made, state = judged(it)
    close(state["level"], 0.2851856458, 8)
    close(state["model"], [0.2400977, 0.2530686, 0.2470169, 0.2598167])
    close(state["guessed"], [0.225, 0.2583333, 0.2583333, 0.2583333])
    assert (made.weight == 1).all() and made.target.tolist() == [1, 2, 3, 1, 2, 3]
    close(it.further_loss(STRONG, made, state), -7.7619573838, 7)


def test_freematch_of_sets():
    it = policy("freematch", several=True, momentum=0.9, fairness=1.0)
    made, state = judged(it)
    close(state["level"], [0.5396601, 0.5390373, 0.5391194, 0.5363441])
    close(state["model"], [0.5014708, 0.5161900, 0.5100311, 0.5216185])
    assert (made.weight == 1).all()
    close(it.further_loss(STRONG, made, state), -2.7992359017, 7)


def test_softmatch():
    it = policy("softmatch", momentum=0.9)
    made, state = judged(it)
    close(state["mean"], 0.2845335583, 8)
    close(state["variance"], 0.9016106745, 8)
    assert (made.weight == 1).all()
    close(it.unlabelled_loss(STRONG, made, state), 1.6589449677, 10)


def test_softmatch_of_sets():
    it = policy("softmatch", several=True, momentum=0.9)
    made, state = judged(it)
    close(state["model"], WEAK.sigmoid().mean(dim=0), 10)
    close(state["mean"], [0.5302302, 0.5291149, 0.5366094, 0.5356089])
    assert torch.equal(made.target, (WEAK >= 0).double())


def test_defixmatch():
    it = policy("defixmatch", threshold=0.6)
    assert it.labelled_strong and it.unlabelled_weight == 0.5
    weak, strong = 3 * wave(4, 4, k=5), 3 * wave(4, 4, k=6)
    made, state = judged(it)
    labelled = sum(it.labelled_loss(x, LABELS, state) for x in (weak, strong)) / 2
    taken = it.correction(weak, strong, state)
    close(labelled, 2.4752725946, 10)
    close(taken, 0.8554486389, 10)
    loss = labelled + 0.5 * (it.unlabelled_loss(STRONG, made, state) - taken)
    close(loss, 2.6642593635, 10)


def test_cdmad():
    it = policy("cdmad", threshold=0.6)
    made, state = judged(it)
    torch.testing.assert_close(made.target, (WEAK - WHITE).softmax(dim=1))
    close(it.unlabelled_loss(STRONG, made, state), 1.0267144351, 10)


def test_cap():
    it = policy("cap", several=True)
    made, state = judged(it)
    assert torch.equal(made.target, rows("0110 0011 0001 0001 1111 0001"))
    assert (made.weight == 1).all() and state["rows"].shape == (4, 64_000)
    ones = torch.ones_like(made.target)
    wanted = consistency.asymmetric_loss(STRONG, made.target, ones)
    assert torch.equal(it.unlabelled_loss(STRONG, made, state), wanted)


@pytest.mark.parametrize(
    ("step", "flatness", "one", "several"),
    [
        (0, 1.0, [1, 1, 1, 1], [1, 1, 1, 1]),
        (5, 0.875, [0.881265, 0.961026, 1.010990, 1.048007], None),
        (10, 0.5, [0.614626, 0.869213, 1.064564, 1.229253], [0.4, 0.6, 0.758258, 0.889899]),
    ],
)
def test_udal(step, flatness, one, several):
    for sets, ratio in ((False, one), (True, several)):
        it = policy("udal", several=sets, frequency=SHARES, steps=10)
        for _ in range(step):
            it.commit(it.after(WEAK))
        assert it.flatness().item() == pytest.approx(flatness, abs=1e-12)
        if ratio is not None:
            close(it.adjustment(SHARES).exp(), ratio, 5)


# Each rule, slowly.


def softmax(row):
    total = sum(math.exp(x) for x in row)
    return np.array([math.exp(x) / total for x in row])


def two_batches(it):
    """Feed two batches and give the shares of both, slowly, and the state after the second."""
    weak = [normal(1, 6, 4).double(), normal(2, 6, 4).double()]
    it.double().commit(it.after(weak[0]))
    make = (lambda r: 1 / (1 + np.exp(-np.array(r)))) if it.several else softmax
    shares = [np.array([make(row) for row in batch.tolist()]) for batch in weak]
    return weak, shares, it.after(weak[1])


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("quantile", [False, True])
def test_freematch_slowly(quantile, clip):
    it = policy("freematch", momentum=0.2, quantile=quantile, clip=clip)
    weak, shares, state = two_batches(it)
    level, model, guessed = 0.25, np.full(4, 0.25), np.full(4, 0.25)
    for p in shares:
        sure = p.max(axis=1)
        new = np.quantile(sure, 0.8) if quantile else sure.mean()
        level = 0.2 * level + 0.8 * new
        level = min(level, 0.95) if clip else level
        model = 0.2 * model + 0.8 * p.mean(axis=0)
        guessed = 0.2 * guessed + 0.8 * np.bincount(p.argmax(axis=1), minlength=4) / 6
    close(state["level"], level, 10)
    close(state["model"], model, 10)
    close(state["guessed"], guessed, 10)
    slow = [p.max() >= level * model[p.argmax()] / model.max() for p in shares[1]]
    made = it.judge(weak[1], state)
    assert made.weight.tolist() == [float(x) for x in slow] and 0 < sum(slow) < 6


def test_freematch_at_its_bounds():
    # One row is exactly as sure as the mean of one row, and its class the most frequent.
    it = policy("freematch", momentum=0.0)
    assert judged(it, WEAK[:1])[0].weight.tolist() == [1]
    for clip, level in ((False, 1.0), (True, 0.95)):
        it = policy("freematch", momentum=0.0, clip=clip)
        close(it.after(100 * torch.eye(4).double())["level"], level, 5)


def test_freematch_of_sets_slowly():
    it = policy("freematch", several=True, momentum=0.2)
    weak, shares, state = two_batches(it)
    level, model, guessed = np.full(4, 0.5), np.full(4, 0.5), np.full(4, 0.5)
    for p in shares:
        level = 0.2 * level + 0.8 * np.maximum(p, 1 - p).mean(axis=0)
        model = 0.2 * model + 0.8 * p.mean(axis=0)
        guessed = 0.2 * guessed + 0.8 * (p >= 0.5).mean(axis=0)
    close(state["guessed"], guessed, 10)
    made, counted = it.judge(weak[1], state), 0
    for i in range(6):
        for c in range(4):
            p, larger = shares[1][i, c], max(model[c], 1 - model[c])
            asked = level[c] * (model[c] if p >= 0.5 else 1 - model[c]) / larger
            assert made.weight[i, c].item() == float(max(p, 1 - p) >= asked)
            assert made.target[i, c].item() == float(p >= 0.5)
            counted += max(p, 1 - p) >= asked
    assert 0 < counted < 24


@pytest.mark.parametrize("target", ["uniform", "labelled"])
@pytest.mark.parametrize("several", [False, True])
def test_softmatch_slowly(several, target):
    frequency = RATES if several else SHARES
    it = policy("softmatch", several, frequency, momentum=0.2, target=target, sigmas=3.0)
    weak, shares, state = two_batches(it)
    start = 0.5 if several else 0.25
    wanted = np.full(4, start) if target == "uniform" else frequency.numpy()
    model, mean, variance = None, start, 1.0
    for p in shares:
        model = p.mean(axis=0) if model is None else 0.2 * model + 0.8 * p.mean(axis=0)
        moved = p * (wanted + 1e-6) / (model + 1e-6)
        if several:
            absent = (1 - p) * (1 - wanted + 1e-6) / (1 - model + 1e-6)
            moved = moved / (moved + absent)
            sure = np.maximum(moved, 1 - moved)
        else:
            sure = (moved / moved.sum(axis=1, keepdims=True)).max(axis=1)
        mean = 0.2 * mean + 0.8 * sure.mean(axis=0)
        variance = 0.2 * variance + 0.8 * sure.var(axis=0, ddof=1)
    close(state["mean"], mean, 10)
    close(state["variance"], variance, 10)
    slow = np.exp(-(np.minimum(sure - mean, 0) ** 2) / (2 * variance / 9))
    made = it.judge(weak[1], state)
    close(made.weight, slow, 10)
    # Labels come from shares as they are.
    plain = (weak[1] >= 0).double() if several else weak[1].argmax(dim=1)
    assert torch.equal(made.target, plain) and ((slow < 1).any() and (slow == 1).any())


def test_softmatch_aims_as_published_unless_told():
    assert not policy("softmatch", frequency=SHARES).labelled
    assert policy("softmatch", several=True).labelled


@pytest.mark.parametrize("several", [False, True])
def test_udal_slowly(several):
    options = {"threshold": 0.8, "steps": 4, "momentum": 0.2, "least": 0.3, "power": 1.5}
    it = policy("udal", several, SHARES, **options)
    weak, shares, state = two_batches(it)
    model = 0.2 * shares[0].mean(axis=0) + 0.8 * shares[1].mean(axis=0)
    close(state["model"], model, 10)
    flatness, data = 1 - 0.7 * 0.25**1.5, SHARES.numpy()
    aim = data**flatness
    aim = aim / (aim + (1 - data) ** flatness) if several else aim / aim.sum()
    target = torch.tensor([[1, 0, -1, 1]] * 6) if several else torch.tensor([0, 1, 2, 3, 0, 1])
    plain = policy("fixmatch", several, threshold=0.8)
    adjusted = STRONG + torch.from_numpy(np.log(data / aim))
    wanted = plain.labelled_loss(adjusted, target, {})
    assert it.labelled_loss(STRONG, target, state).item() == pytest.approx(wanted.item(), rel=1e-9)
    made, same = it.judge(weak[1], state), plain.judge(weak[1], {})
    assert torch.equal(made.target, same.target) and torch.equal(made.weight, same.weight)
    adjusted = STRONG + torch.from_numpy(np.log(model / aim))
    wanted = plain.unlabelled_loss(adjusted, same, {}).item()
    assert wanted > 0
    assert it.unlabelled_loss(STRONG, made, state).item() == pytest.approx(wanted, rel=1e-9)


def test_udal_leaves_labelled_logits_at_the_start():
    for several in (False, True):
        it, plain = (policy(n, several, SHARES) for n in ("udal", "fixmatch"))
        target = LABELS if not several else torch.tensor([[1, 0, -1, 1]] * 4)
        losses = [x.labelled_loss(STRONG[:4], target, x.after(WEAK)).item() for x in (it, plain)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-12)
        assert it.adjustment(SHARES).abs().max() < 1e-12


def test_udal_with_a_class_that_no_label_has():
    for several in (False, True):
        it = policy("udal", several, floats(0, 0.2, 0.3, 0.5), steps=1)
        it.commit(it.after(WEAK))
        target = torch.ones(6, 4) if several else torch.tensor([1, 2, 3, 1, 2, 3])
        assert it.labelled_loss(STRONG, target, it.after(WEAK)).isfinite()


def test_cap_slowly():
    it = policy("cap", True, positive_part=0.6, negative_part=0.8, queue=10)
    weak, shares, state = two_batches(it)
    kept = np.sort(np.concatenate(shares)[-10:], axis=0)
    made = it.judge(weak[1], state)
    for c, rate in enumerate(RATES.tolist()):
        label, present, absent = (
            kept[min(int(10 * q + 1e-3), 9), c]
            for q in (1 - rate, 1 - 0.6 * rate, 0.8 * (1 - rate))
        )
        p = shares[1][:, c]
        close(made.target[:, c], p >= label, 10)
        close(made.weight[:, c], (p >= present) | (p <= absent), 10)
    assert 0 < made.weight.sum() < 24
    target = torch.tensor([[1, 0, -1, 1]] * 6)
    known = consistency.asymmetric_loss(
        STRONG[:, [0, 1, 3]], rows("1011" * 6)[:, [0, 1, 3]], torch.ones(6, 3)
    )
    assert it.labelled_loss(STRONG, target, state).item() == pytest.approx(known.item(), rel=1e-12)


def test_cap_labels_a_class_as_often_as_the_records_have_it():
    it = policy("cap", True, RATES.float(), queue=200)
    weak = normal(5, 300, 4)
    for start in range(0, 300, 50):
        it.commit(it.after(weak[start : start + 50]))
    made = it.judge(weak[-200:], it.current())
    close(made.target.mean(dim=0), RATES)
    # The oldest rows have left, whatever the sizes.
    held = it.rows.sort(dim=1).values
    assert torch.equal(held, weak[-200:].T.sort(dim=1).values)


@pytest.mark.parametrize("sizes", [(3, 3, 3, 3), (7, 7), (25,), (1, 30, 2), (20, 20, 1)])
def test_cap_keeps_the_last_rows(sizes):
    it, fed = policy("cap", True, queue=20), []
    for i, size in enumerate(sizes):
        fed.append(normal(i, size, 4))
        state = it.after(fed[-1])
        it.commit(state)
    last = torch.cat(fed)[-20:]
    held = it.rows[:, : len(last)]
    assert torch.equal(held.sort(dim=1).values, last.T.sort(dim=1).values)
    wanted = order_statistic(last.T.sort(dim=1).values, 1 - RATES)
    assert torch.equal(it.label, wanted) and int(it.seen) == sum(sizes)


def test_ascending():
    values = normal(1, 3, 50)
    before = values.clone()
    assert torch.equal(ascending(values[:, :40]), values[:, :40].sort(dim=1).values)
    assert torch.equal(values, before)


def test_pseudo_label():
    it = policy("pseudo_label", threshold=0.6, steps=10, ramp=0.5)
    assert not it.strong
    made, state = judged(it)
    sure, label = WEAK.softmax(dim=1).max(dim=1)
    assert torch.equal(made.target, label) and torch.equal(made.weight, (sure >= 0.6).double())
    weights, plain = [], policy("fixmatch", threshold=0.6).unlabelled_loss(WEAK, made, state)
    for _ in range(8):
        weights.append((it.unlabelled_loss(WEAK, made, state) / plain).item())
        it.commit(state)
    assert weights == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1])
    at_once = policy("pseudo_label", threshold=0.6, ramp=0)
    assert torch.equal(at_once.unlabelled_loss(WEAK, made, state), plain)


@pytest.mark.parametrize("several", [False, True])
def test_the_floor_learns_from_labels_alone(several):
    it = policy("supervised", several)
    assert not it.unlabelled and not it.ready() and it.unlabelled_weight == 0
    made, state = judged(it)
    assert (made.weight == 0).all() and it.unlabelled_loss(STRONG, made, state) == 0


@pytest.mark.parametrize("several", [False, True])
def test_defixmatch_cancels_where_the_labelled_records_are_the_unlabelled_ones(several):
    it = policy("defixmatch", several, threshold=0.6)
    made, state = judged(it)
    loss = it.unlabelled_loss(STRONG, made, state)
    assert loss > 0 and torch.equal(loss, it.correction(WEAK, STRONG, state))


@pytest.mark.parametrize("several", [False, True])
def test_cdmad_takes_off_what_is_said_of_white(several):
    it = policy("cdmad", several, threshold=0.6)
    moved = 2 * wave(1, 4, k=12)
    plain, state = judged(it)
    shifted = it.judge(WEAK + moved, state, white=(WHITE + moved)[0])
    torch.testing.assert_close(shifted.target, plain.target)
    assert torch.equal(shifted.weight, plain.weight) and 0 < plain.weight.sum()
    torch.testing.assert_close(debias(WEAK + moved, WHITE + moved), WEAK - WHITE)
    without = it.judge(WEAK, state, white=torch.zeros(4))
    make = torch.sigmoid if several else lambda x: x.softmax(dim=1)
    torch.testing.assert_close(without.target, make(WEAK))
    with pytest.raises(ConfigError, match="white picture"):
        it.judge(WEAK, state)


@pytest.mark.parametrize("several", [False, True])
def test_soft_pseudo_labels(several):
    it = policy("fixmatch", several, threshold=0.6, hard=False, temperature=0.5)
    made, state = judged(it)
    make = torch.sigmoid if several else lambda x: x.softmax(dim=1)
    torch.testing.assert_close(made.target, make(2 * WEAK))
    p = np.clip(make(STRONG).numpy(), 1e-300, 1)
    terms = made.target.numpy() * np.log(p)
    if several:
        terms = terms + (1 - made.target.numpy()) * np.log(1 - p)
    slow = (-terms if several else -terms.sum(axis=1)) * made.weight.numpy()
    assert it.unlabelled_loss(STRONG, made, state).item() == pytest.approx(slow.mean(), rel=1e-9)


def test_a_pair_of_thresholds_counts_labels_above_and_absences_below():
    p = WEAK.sigmoid()
    it = policy("fixmatch", True, threshold=(p.flatten()[3].item(), p.flatten()[0].item()))
    made, _ = judged(it)
    low, high = it.threshold
    slow = [[float(x <= low or x >= high) for x in row] for row in p.tolist()]
    assert made.weight.tolist() == slow
    assert all(made.weight[p == bound].item() == 1 for bound in it.threshold)
    assert made.weight[p < 0.5].sum() > 1 and (made.weight == 0).any()


def test_one_threshold_of_sets_counts_labels_and_absences():
    it = policy("fixmatch", True, threshold=0.8)
    p = WEAK.sigmoid()
    made, _ = judged(it)
    assert torch.equal(made.weight, ((p >= 0.8) | (1 - p >= 0.8)).double())


# State.


@pytest.mark.parametrize(("name", "several"), FORMS)
def test_after_changes_nothing_and_commit_takes_over(name, several):
    it = policy(name, several, **SMALL.get(name, {}))
    it.commit(it.after(normal(1, 6, 4)))
    before = {key: value.clone() for key, value in it.state_dict().items()}
    state = it.after(normal(2, 6, 4).requires_grad_())
    made = it.judge(normal(2, 6, 4), state, white=WHITE)
    it.unlabelled_loss(normal(3, 6, 4), made, state)
    it.further_loss(normal(3, 6, 4), made, state)
    assert all(torch.equal(value, before[key]) for key, value in it.state_dict().items())
    assert not any(value.requires_grad for value in state.values())
    assert list(state) == list(it.current()) and int(it.step) == 1
    it.commit(state)
    assert int(it.step) == 2
    for key, value in it.current().items():
        assert torch.equal(value, state[key]), key
        assert not torch.equal(value, before[key]), key
    it.commit({})
    assert int(it.step) == 3
    assert all(torch.equal(value, state[key]) for key, value in it.current().items())


@pytest.mark.parametrize(("name", "several"), FORMS)
def test_state_survives_saving_to_the_bit(name, several):
    options = SMALL.get(name, {})
    it, again = policy(name, several, **options), policy(name, several, **options)
    for i in range(3):
        it.commit(it.after(normal(i, 6, 4)))
    again.load_state_dict({key: value.clone() for key, value in it.state_dict().items()})
    for i in range(3, 6):
        for one in (it, again):
            one.commit(one.after(normal(i, 6, 4)))
        pair = [x.judge(normal(i, 6, 4), x.current(), white=WHITE.float()) for x in (it, again)]
        assert torch.equal(pair[0].weight, pair[1].weight)
        assert torch.equal(pair[0].target, pair[1].target)
    held = again.state_dict()
    assert all(torch.equal(value, held[key]) for key, value in it.state_dict().items())
    assert "frequency" not in held and "wanted" not in held


@pytest.mark.parametrize(("name", "several"), LEARNING)
def test_gradients_reach_the_views_that_learn_and_not_those_that_judge(name, several):
    it = policy(name, several, **SMALL.get(name, {}))
    for _ in range(50):
        it.commit({})
    weak = (3 * normal(1, 16, 4)).requires_grad_()
    strong = normal(2, 16, 4).requires_grad_()
    state = it.after(weak)
    made = it.judge(weak, state, white=WHITE.float())
    it.unlabelled_loss(strong, made, state).backward()
    assert weak.grad is None and strong.grad.abs().sum() > 0
    assert made.weight.shape == ((16, 4) if several else (16,))
    assert ((made.weight >= 0) & (made.weight <= 1)).all()


FIXED = [x for x in LEARNING if "threshold" in inspect.signature(POLICIES[x[0]]).parameters]


@pytest.mark.parametrize(("name", "several"), FIXED)
def test_where_nothing_is_sure_the_loss_is_0(name, several):
    it = policy(name, several, threshold=1.0)
    strong = normal(2, 6, 4).requires_grad_()
    state = it.after(normal(1, 6, 4))
    made = it.judge(normal(1, 6, 4), state, white=WHITE.float())
    loss = it.unlabelled_loss(strong, made, state)
    loss.backward()
    assert loss == 0 and (strong.grad == 0).all()


@pytest.mark.parametrize(("name", "several"), FORMS)
def test_half_precision_is_computed_in_single(name, several):
    it = policy(name, several, (RATES if several else EVEN).float(), **SMALL.get(name, {}))
    target = torch.tensor([[1, 0, -1, 1]] * 6) if several else torch.tensor([0, 1, 2, 3, 0, 1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        weak, strong = WEAK.bfloat16(), STRONG.bfloat16()
        state = it.after(weak)
        made = it.judge(weak, state, white=WHITE.bfloat16())
        losses = [it.unlabelled_loss(strong, made, state), it.labelled_loss(strong, target, state)]
        losses += [it.further_loss(strong, made, state), it.correction(weak, strong, state)]
    assert {loss.dtype for loss in losses if loss is not None} == {torch.float32}
    assert {x.dtype for x in state.values()} <= {torch.float32, torch.int64}
    assert made.weight.dtype == torch.float32


@pytest.mark.parametrize("name", ["freematch", "cdmad"])
def test_first_steps_with_labels_alone(name):
    assert policy(name).ready()
    it, ready = policy(name, warmup_steps=3), []
    for _ in range(5):
        ready.append(it.ready())
        it.commit({})
    assert ready == [False, False, False, True, True]


# What is refused.


@pytest.mark.parametrize(
    ("name", "several", "options", "says"),
    [
        ("fixmatch", False, {"threshold": 1.2}, r"threshold is 1.2; give a probability"),
        ("fixmatch", False, {"threshold": math.nan}, "threshold is nan"),
        ("fixmatch", False, {"threshold": (0.05, 0.7)}, "a pair for label sets"),
        ("fixmatch", True, {"threshold": (0.7, 0.05)}, "in order"),
        ("fixmatch", True, {"threshold": [0.1, 0.5, 0.9]}, "give a pair"),
        ("udal", True, {"threshold": (-0.1, 0.5)}, "give a pair"),
        ("fixmatch", False, {"temperature": 0.0}, "temperature is 0.0; give more than 0"),
        ("fixmatch", False, {"steps": 0}, "steps is 0"),
        ("fixmatch", False, {"frequency": floats(0.5, 0.5)}, "each of the 4 classes"),
        ("fixmatch", True, {"frequency": floats(0.5, 0.5, 2, 0)}, r"a share in \[0, 1\]"),
        ("fixmatch", False, {"frequency": RATES}, "sum to 1.6"),
        ("freematch", False, {"momentum": 1.0}, "momentum is 1.0"),
        ("softmatch", False, {"momentum": -0.1}, "momentum is -0.1"),
        ("udal", False, {"momentum": math.nan}, "momentum is nan"),
        ("freematch", False, {"fairness": -1.0}, "fairness is -1.0"),
        ("freematch", False, {"warmup_steps": -1}, "warmup_steps is -1"),
        ("cdmad", False, {"warmup_steps": 1.5}, "whole number of at least 0"),
        ("softmatch", False, {"sigmas": 0.0}, "sigmas is 0.0"),
        ("softmatch", False, {"target": "labeled"}, "'uniform' or 'labelled'"),
        ("pseudo_label", False, {"ramp": 1.5}, "ramp is 1.5"),
        ("udal", False, {"least": 1.5}, "least is 1.5"),
        ("udal", False, {"power": 0.0}, "power is 0.0"),
        ("cap", False, {}, "CAP is for label sets"),
        ("cap", True, {"queue": 0}, "queue is 0; give a whole number of at least 1"),
        ("cap", True, {"positive_part": 1.5}, "positive_part is 1.5"),
        ("cap", True, {"negative_part": -1}, "negative_part is -1"),
        ("cap", True, {"gamma_negative": 0.5}, "gamma_negative is 0.5"),
        ("cap", True, {"margin": 1.0}, "margin is 1.0"),
        ("cap", True, {"hard": False}, "has no option 'hard'"),
    ],
)
def test_refused(name, several, options, says):
    with pytest.raises(ConfigError, match=says):
        policy(name, several, **options)


def test_unknown_policy():
    with pytest.raises(UnknownNameError, match="fixmatch"):
        policy("fixmach")


def test_one_row_has_no_variance():
    it = policy("softmatch")
    assert it.fewest == 2
    with pytest.raises(ConfigError, match="1 unlabelled pictures; SoftMatch needs at least 2, as"):
        it.after(WEAK[:1])
    for name, several in LEARNING:
        with pytest.raises(ConfigError, match="needs at least"):
            policy(name, several, **SMALL.get(name, {})).after(WEAK[:0])
        if name != "softmatch":
            it = policy(name, several, **SMALL.get(name, {}))
            assert all(value.isfinite().all() for value in it.after(WEAK[:1]).values())


def test_what_a_policy_needs_stands_in_its_class():
    needs = ("several_only", "averaged", "white", "labelled_strong", "apart")
    found = {need: [n for n, kind in POLICIES.items() if getattr(kind, need)] for need in needs}
    assert found == {
        "several_only": ["cap"],
        "averaged": ["cap"],
        "white": ["cdmad"],
        "labelled_strong": ["defixmatch"],
        "apart": ["udal"],
    }
    for name, several in FORMS:
        it = policy(name, several, **SMALL.get(name, {}))
        state = it.after(WEAK)
        made = it.judge(WEAK, state, white=WHITE)
        assert (it.correction(WEAK, STRONG, state) is None) == (name != "defixmatch")
        assert (it.further_loss(STRONG, made, state) is None) == (name != "freematch")
    it = policy("freematch", fairness=0.0)
    assert it.further_loss(STRONG, *judged(it)) is None


@pytest.mark.parametrize(("name", "several"), FORMS)
def test_how_frequent_classes_are_may_be_told_later(name, several):
    start = floats(*[0.5] * 4) if several else EVEN
    early, late = SHARES, policy(name, several, start, **SMALL.get(name, {}))
    it = policy(name, several, early, **SMALL.get(name, {}))
    late.take_frequency(early)
    target = torch.tensor([[1, 0, -1, 1]] * 6) if several else torch.tensor([0, 1, 2, 3, 0, 1])
    found = []
    for one in (it, late):
        one.commit(one.after(normal(1, 6, 4)))
        state = one.after(normal(2, 6, 4))
        made = one.judge(normal(2, 6, 4), state, white=WHITE)
        found.append((*state.values(), made.target, made.weight))
        found[-1] += (one.labelled_loss(STRONG, target, state),)
        found[-1] += (one.unlabelled_loss(STRONG, made, state),)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
