"""Fine classes summed up to coarser ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from csp_core.errors import ConfigError
from csp_core.model import DualEncoder, Grouped, Heads, group_logits


def test_the_softmax_over_groups_is_the_sum_over_their_classes():
    logits = torch.randn(7, 20, generator=torch.Generator().manual_seed(0)).mul(30)
    group = torch.arange(20) % 6
    fine = np.exp(logits.double().numpy())
    fine /= fine.sum(axis=1, keepdims=True)
    slow = np.stack([fine[:, (group == k).numpy()].sum(axis=1) for k in range(6)], axis=1)
    found = group_logits(logits, group, 6).softmax(dim=1)
    np.testing.assert_allclose(found.numpy(), slow, rtol=1e-4, atol=1e-9)


def test_no_group_underflows_beside_another_and_gradients_are_shares():
    logits = torch.tensor([[500.0, 499.0, -500.0]], requires_grad=True)
    found = group_logits(logits, torch.tensor([0, 0, 1]), 2)
    assert found[0, 1].item() == -500.0
    found[0, 0].backward()
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx([0.7311, 0.2689, 0.0], abs=1e-4)


def test_groups_that_leave_a_class_out_are_refused():
    head = Grouped(2, 4, 3)
    head.check()
    head.group.copy_(torch.tensor([0, 1, 1, 1]))
    with pytest.raises(ConfigError, match="3 classes"):
        head.check()


@pytest.mark.parametrize("fine", [-1, 1 << 20, True, 2.0])
def test_a_number_of_fine_classes_that_is_none_is_refused(fine):
    with pytest.raises(ConfigError, match="fine"):
        Heads(fine=fine)


def test_a_model_keeps_its_fine_classes_when_more_heads_are_asked_for():
    class Image(torch.nn.Module):
        out_dim = 3

    heads = Heads(image=None, classifiers=("image",), fine=8)
    model = DualEncoder(Image(), None, classes=["a", "b"], heads=heads)
    before = model.image_classifier
    model.equip(Heads(classifiers=("image",)))
    assert isinstance(before, Grouped) and model.image_classifier is before
    assert model.heads.fine == 8 and Heads.from_dict(model.heads.to_dict()) == model.heads
