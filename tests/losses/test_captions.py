"""Losses of the CLIP family: written slowly, published numbers, and those of other packages."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from csp_core import losses

SCALE = 1 / 0.07


def t(shape, k):
    """Give the tensor on which the released code was run."""
    index = torch.arange(math.prod(shape), dtype=torch.float64)
    return torch.sin(0.37 * index * index + k).view(shape)


A, B = t((4, 8), 1), t((4, 8), 2)
X, Y = t((3, 5, 4), 7), t((3, 6, 4), 8)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow_match(logits, right, weight):
    total = 0.0
    for i in range(len(logits)):
        against = sum(
            weight[i, j] * math.exp(logits[i, j])
            for j in range(logits.shape[1])
            if not right[i, j] and weight[i, j] > 0
        )
        terms = [
            math.log(math.exp(logits[i, j]) + against) - logits[i, j]
            for j in range(logits.shape[1])
            if right[i, j]
        ]
        total += sum(terms) / len(terms)
    return total / len(logits)


def slow_agreement(x, y, xmask, ymask):
    found = np.zeros((len(x), len(y)))
    for i in range(len(x)):
        for j in range(len(y)):
            own = [v / np.linalg.norm(v) for v, real in zip(x[i], xmask[i], strict=True) if real]
            other = [v / np.linalg.norm(v) for v, real in zip(y[j], ymask[j], strict=True) if real]
            if own and other:
                found[i, j] = np.mean([max(float(a @ b) for b in other) for a in own])
    return found


def test_golden_rows():
    assert losses.clip_loss(A, B, SCALE).item() == pytest.approx(0.5698254552484, abs=1e-12)
    views = [t((4, 8), k) for k in (3, 4, 5, 6)]
    assert losses.simsiam(*views).item() == pytest.approx(0.1448456817449, abs=1e-12)
    both, own = torch.cat((A, B)), torch.arange(8)
    found = losses.nt_xent(both, both, own.roll(4), own, temperature=0.1)
    assert found.item() == pytest.approx(0.7623089608289, abs=1e-12)


def test_golden_rows_of_late_interaction():
    there, back = losses.late_interaction(X, Y)
    want = [
        [10.880905, 7.842506, 7.422106],
        [8.898667, 11.221604, 5.966987],
        [8.600273, 12.063026, 10.795212],
    ]
    np.testing.assert_allclose(there * SCALE, want, atol=1e-6)
    want = [
        [11.911533, 9.799194, 8.317039],
        [9.775702, 12.186148, 8.281447],
        [8.930689, 6.830814, 8.420364],
    ]
    np.testing.assert_allclose(back * SCALE, want, atol=1e-6)
    assert losses.fine_loss(there, back, SCALE).item() == pytest.approx(0.5019202547167, abs=1e-12)


def test_golden_rows_of_the_best_tokens():
    (few_x, _), (few_y, _) = (losses.prune_tokens(a, b, None, None, 3) for a, b in ((X, Y), (Y, X)))
    there, back = losses.token_agreement(X, few_y), losses.token_agreement(Y, few_x)
    np.testing.assert_allclose(there[0] * SCALE, [7.703899, 7.146446, 7.389605], atol=1e-6)
    np.testing.assert_allclose(back[0] * SCALE, [11.304225, 5.632113, 5.222210], atol=1e-6)
    assert losses.fine_loss(there, back, SCALE).item() == pytest.approx(0.1693319509428, abs=1e-12)


def test_one_token_is_clip():
    there, back = losses.late_interaction(A[:, None], B[:, None])
    torch.testing.assert_close(there, losses.similarities(A, B), atol=4e-15, rtol=0)
    torch.testing.assert_close(back, there.mT, atol=4e-15, rtol=0)
    found = losses.fine_loss(there, back, SCALE)
    torch.testing.assert_close(found, losses.clip_loss(A, B, SCALE), atol=1e-13, rtol=0)


def test_clip_is_that_of_open_clip():
    from open_clip.loss import ClipLoss, SigLipLoss

    leaves = [some.float().requires_grad_() for some in (A, B)]
    a, b = (F.normalize(some, dim=1) for some in leaves)
    ours = losses.clip_loss(*leaves, SCALE)
    theirs = ClipLoss()(a, b, torch.tensor(SCALE))
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    gradients = [torch.autograd.grad(one, leaves, retain_graph=True) for one in (ours, theirs)]
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-5)
    scale, bias = torch.tensor(10.0), torch.tensor(-10.0)
    found = losses.sigmoid_loss(a, b, scale, bias)
    torch.testing.assert_close(found, SigLipLoss()(a, b, scale, bias), atol=1e-6, rtol=0)


def test_nt_xent_and_simsiam_are_those_of_lightly():
    from lightly.loss import NegativeCosineSimilarity, NTXentLoss

    both, own = torch.cat((A, B)), torch.arange(8)
    ours = losses.nt_xent(both, both, own.roll(4), own, temperature=0.1)
    torch.testing.assert_close(ours, NTXentLoss(temperature=0.1)(A, B), atol=1e-6, rtol=0)
    swapped = torch.cat((B, A))
    again = losses.nt_xent(swapped, swapped, own.roll(4), own, temperature=0.1)
    torch.testing.assert_close(again, ours)
    p, z, q, y = (t((4, 8), k) for k in (3, 4, 5, 6))
    theirs = NegativeCosineSimilarity()
    want = (theirs(p, y.detach()) + theirs(q, z.detach())) / 2
    torch.testing.assert_close(losses.simsiam(p, z, q, y), want, atol=1e-6, rtol=0)


def test_what_is_known_without_computing():
    same = torch.ones(6, 4, dtype=torch.float64)
    assert losses.clip_loss(same, same, SCALE).item() == pytest.approx(math.log(6))
    own = torch.arange(12)
    both = torch.cat((same, same))
    found = losses.nt_xent(both, both, own.roll(6), own, temperature=0.1)
    assert found.item() == pytest.approx(math.log(11))
    assert losses.simsiam(A, A, A, A).item() == pytest.approx(-1)
    assert losses.simsiam(A, -A, A, -A).item() == pytest.approx(1)


def test_what_is_predicted_gets_no_gradient():
    p, z, q, y = (t((4, 8), k).requires_grad_() for k in (3, 4, 5, 6))
    losses.simsiam(p, z, q, y).backward()
    assert z.grad is None and y.grad is None
    assert p.grad.abs().sum() > 0 and q.grad.abs().sum() > 0


@pytest.mark.parametrize("seed", range(3))
def test_matching_is_its_sums(seed):
    logits, chance = drawn(5, 8, seed=seed), torch.Generator().manual_seed(seed)
    target = torch.randperm(8, generator=chance)[:5]
    positives = torch.rand(5, 8, generator=chance) < 0.2
    weight = (torch.rand(5, 8, generator=chance) * 1.5 - 0.5).clamp_min(0).double()
    extra = drawn(5, 3, seed=seed + 10)
    right = positives.scatter(1, target[:, None], True)
    joined = torch.cat((logits, extra), dim=1).numpy()
    wide = np.concatenate((right.numpy(), np.zeros((5, 3), dtype=bool)), axis=1)
    weights = np.concatenate((weight.numpy(), np.ones((5, 3))), axis=1)
    found = losses.match_loss(logits, target, positives=positives, negative=weight, extra=extra)
    assert found.item() == pytest.approx(slow_match(joined, wide, weights), rel=1e-9)
    # Without either it is the softmax that everybody knows, to the same number.
    plain = losses.match_loss(logits, target)
    nothing = losses.match_loss(logits, target, positives=torch.zeros_like(positives))
    torch.testing.assert_close(plain, F.cross_entropy(logits, target))
    torch.testing.assert_close(nothing, plain)


def test_what_is_right_too_is_not_pushed_away():
    logits = drawn(4, 4).requires_grad_()
    same = torch.zeros(4, 4, dtype=torch.bool)
    same[0, 1] = same[1, 0] = True
    losses.match_loss(logits, torch.arange(4), positives=same).backward()
    assert logits.grad[0, 1] < 0 and logits.grad[1, 0] < 0
    assert (logits.grad[same.logical_not().fill_diagonal_(False)] > 0).all()
    # Left out altogether, it is neither pushed nor pulled; and all of them, there is nothing to do.
    for left in ((~same).double(), torch.eye(4).double()):
        logits.grad = None
        loss = losses.match_loss(logits, torch.arange(4), negative=left)
        loss.backward()
        assert logits.grad.isfinite().all() and (logits.grad[left == 0] == 0).all()
    assert loss.item() == pytest.approx(0, abs=1e-12)


def test_rows_of_a_batch_make_its_loss():
    chance = torch.Generator().manual_seed(0)
    positives = torch.rand(4, 4, generator=chance) < 0.3
    positives = positives | positives.mT
    weight = torch.rand(4, 4, generator=chance).double()
    weight = weight + weight.mT
    for same in ({}, {"positives": positives}, {"negative": weight}):
        whole = losses.clip_loss(A, B, SCALE, **same)
        sigmoid = losses.sigmoid_loss(A, B, 10.0, -10.0, **same)
        parts, others = [], []
        for rows in (slice(0, 2), slice(2, 4)):
            some = {name: value[rows] for name, value in same.items()}
            given = {"start": rows.start, **some}
            parts.append(losses.clip_loss(A[rows], B[rows], SCALE, everyone=(A, B), **given))
            others.append(losses.sigmoid_loss(A[rows], B[rows], 10.0, -10.0, everyone=B, **given))
        torch.testing.assert_close(torch.stack(parts).mean(), whole)
        torch.testing.assert_close(torch.stack(others).mean(), sigmoid)


def test_the_sigmoid_loss_is_its_sum():
    logits = 10 * losses.similarities(A, B).numpy() - 10
    right, weight = np.eye(4, dtype=bool), np.ones((4, 4))
    right[0, 2] = True
    weight[1, 3] = 0.25
    extra = drawn(4, 2).numpy()
    signed = np.where(right, logits, -logits)
    terms = np.log1p(np.exp(-signed)) * np.where(right, 1, weight)
    want = (terms.sum() + np.log1p(np.exp(10 * extra - 10)).sum()) / 4
    found = losses.sigmoid_loss(
        A, B, 10.0, -10.0, positives=torch.tensor(right), negative=torch.tensor(weight),
        extra=torch.tensor(extra),
    )  # fmt: skip
    assert found.item() == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize("chunk", [1, 2, 64])
def test_late_interaction_is_its_sums(chunk):
    chance = torch.Generator().manual_seed(3)
    xmask, ymask = (torch.rand(3, n, generator=chance) < 0.6 for n in (5, 6))
    ymask[1] = False
    there, back = losses.late_interaction(X, Y, xmask, ymask, chunk=chunk)
    np.testing.assert_allclose(there, slow_agreement(X.numpy(), Y.numpy(), xmask, ymask))
    np.testing.assert_allclose(back, slow_agreement(Y.numpy(), X.numpy(), ymask, xmask))


def test_late_interaction_does_not_depend_on_order_or_padding():
    there, back = losses.late_interaction(X, Y)
    mixed = losses.late_interaction(X[:, [3, 1, 4, 0, 2]], Y[:, [5, 0, 2, 1, 4, 3]])
    torch.testing.assert_close(mixed, (there, back))
    assert not torch.allclose(back, there.mT)
    longer = torch.cat((Y, 9 * drawn(3, 4, 4)), dim=1).requires_grad_()
    mask = torch.arange(10).expand(3, -1) < 6
    padded = losses.late_interaction(X, longer, None, mask)
    torch.testing.assert_close(tuple(one.detach() for one in padded), (there, back))
    losses.fine_loss(*padded, SCALE).backward()
    assert (longer.grad[:, 6:] == 0).all() and longer.grad[:, :6].abs().sum() > 0
    # Padding is not among the tokens that are kept either.
    kept, real = losses.prune_tokens(longer, X, mask, None, 4)
    assert real.all()
    torch.testing.assert_close(kept, losses.prune_tokens(Y, X, None, None, 4)[0])
    assert losses.prune_tokens(X, Y, None, None, 5)[0] is X


def test_the_nearest_neighbour_of_an_oracle_is_the_partner():
    found = losses.neighbour_loss(A, B, SCALE)
    want = F.cross_entropy(SCALE * losses.similarities(A, B), torch.arange(4))
    torch.testing.assert_close(found, want)
    near = B.clone().requires_grad_()
    assert not losses.neighbour_loss(A, near, SCALE).requires_grad


def test_hidden_tokens_and_values():
    logits, target = drawn(3, 5, 7), torch.full((3, 5), losses.IGNORED)
    assert losses.masked_token_loss(logits, target).item() == 0
    target[0, 1], target[2, 4] = 3, 6
    want = -(logits[0, 1].log_softmax(0)[3] + logits[2, 4].log_softmax(0)[6])
    torch.testing.assert_close(losses.masked_token_loss(logits, target), want / 2)
    torch.testing.assert_close(losses.masked_token_loss(logits, target, count=8.0), want / 8)
    prediction, value = drawn(2, 3, 4), drawn(2, 3, 4, seed=1)
    chosen = torch.zeros(2, 3, dtype=torch.bool)
    assert losses.masked_value_loss(prediction, value, chosen).item() == 0
    chosen[0, 2] = chosen[1, 1] = True
    want = (prediction - value)[chosen].square().mean()
    torch.testing.assert_close(losses.masked_value_loss(prediction, value, chosen), want)
