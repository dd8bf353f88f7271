"""Losses over pixels, against themselves written slowly in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from csp_core.losses import overlap_sums, pixel_cross_entropy, pixel_sums, soft_dice


def given(seed=0, classes=4, unknown=0.3):
    draws = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(3, classes, 5, 7, generator=draws)
    # The last class is in no mask.
    mask = torch.randint(0, classes - 1, (3, 5, 7), generator=draws)
    mask[torch.rand(mask.shape, generator=draws) < unknown] = -1
    mask[1] = -1
    return logits.requires_grad_(), mask


def shares(logits):
    scores = np.exp(logits.detach().double().numpy())
    return scores / scores.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("weight", [None, (0.5, 2.0, 1.0, 0.5)])
def test_cross_entropy_is_the_mean_over_known_pixels(weight):
    logits, mask = given()
    class_weight = None if weight is None else torch.tensor(weight)
    loss = pixel_cross_entropy(*pixel_sums(logits, mask, class_weight=class_weight))
    share, total, mass = shares(logits), 0.0, 0.0
    for picture, row, column in np.argwhere(mask.numpy() >= 0):
        label = int(mask[picture, row, column])
        own = 1.0 if weight is None else weight[label]
        total -= own * np.log(share[picture, label, row, column])
        mass += own
    assert loss.item() == pytest.approx(total / mass, rel=1e-5)
    loss.backward()
    assert (logits.grad[(mask < 0)[:, None].expand_as(logits)] == 0).all()
    assert (logits.grad[0] != 0).any()


def test_dice_is_the_mean_over_the_classes_that_are_present():
    logits, mask = given(1)
    loss = soft_dice(*overlap_sums(logits, mask))
    share, known, parts = shares(logits), mask.numpy() >= 0, []
    for label in range(3):
        true = (mask.numpy() == label) & known
        said = share[:, label] * known
        parts.append(1 - 2 * (said * true).sum() / (said.sum() + true.sum()))
    assert loss.item() == pytest.approx(np.mean(parts), rel=1e-5)
    loss.backward()
    assert logits.grad.isfinite().all() and (logits.grad != 0).any()


def test_dice_of_a_right_and_of_a_wrong_map():
    mask = torch.tensor([[[0, 0, 1, -1]]])
    right = torch.tensor([[[[50.0, 50.0, -50.0, 0.0]], [[-50.0, -50.0, 50.0, 0.0]]]])
    assert soft_dice(*overlap_sums(right, mask)).item() == pytest.approx(0.0, abs=1e-6)
    assert soft_dice(*overlap_sums(-right, mask)).item() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_where_nothing_is_known_loss_and_gradient_are_nothing(dtype):
    logits = torch.randn(2, 3, 4, 4, dtype=dtype, requires_grad=True)
    mask = torch.full((2, 4, 4), -1)
    for loss in (
        pixel_cross_entropy(*pixel_sums(logits, mask, class_weight=torch.ones(3))),
        soft_dice(*overlap_sums(logits, mask)),
    ):
        assert loss.item() == 0.0
        (gradient,) = torch.autograd.grad(loss, logits)
        assert (gradient == 0).all()


def test_sums_of_pictures_put_together_are_those_of_all():
    logits, mask = given(2)
    whole = pixel_sums(logits, mask), overlap_sums(logits, mask)
    parts = [
        (pixel_sums(a, b), overlap_sums(a, b))
        for a, b in zip(logits.split(1), mask.split(1), strict=True)
    ]
    for which in range(2):
        for number, column in enumerate(whole[which]):
            joined = torch.cat([part[which][number] for part in parts])
            torch.testing.assert_close(joined, column)
