"""Dropout drops the share it says, keeps means, and leaves evaluation alone."""

from __future__ import annotations

import pytest
import torch

from csp_core.location import make_location_encoder
from csp_core.location.dropout import LEVELS, Dropout


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_share_and_scale(rate):
    torch.manual_seed(0)
    out = Dropout(rate)(torch.ones(1000, 1000))
    spread = (rate * (1 - rate) / 1e6) ** 0.5
    assert (out == 0).double().mean().item() == pytest.approx(rate, abs=4 * spread + 1 / LEVELS)
    assert out.max().item() == pytest.approx(1 / (1 - rate), rel=1e-3)
    assert out.double().mean().item() == pytest.approx(1, abs=4 * spread / (1 - rate))


def test_neighbours_are_independent():
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(1 << 20)) > 0).double() - 0.5
    for shift in (1, 2, 3, 4, 8, 64):
        assert abs(4 * (kept[shift:] * kept[:-shift]).mean().item()) < 4 / 2**10


@pytest.mark.parametrize("shape", [(), (1,), (3,), (0, 4), (5, 7, 3)])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
def test_any_shape_and_kind(shape, kind):
    out = Dropout(0.25)(torch.ones(shape, dtype=kind))
    assert out.shape == shape and out.dtype == kind


def test_gradients_pass_where_values_do():
    values = torch.randn(50, 7, requires_grad=True)
    out = Dropout(0.5)(values)
    out.sum().backward()
    assert torch.equal(out, values * values.grad)
    assert sorted(values.grad.unique().tolist()) == [0.0, 2.0]


def test_masks_follow_from_the_seed():
    def draw(seed):
        torch.manual_seed(seed)
        return Dropout()(torch.ones(1000))

    assert torch.equal(draw(1), draw(1)) and not torch.equal(draw(1), draw(2))


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_evaluation_and_the_ends(rate):
    values = torch.randn(100)
    assert torch.equal(Dropout(rate).eval()(values), values)
    if rate in (0.0, 1.0):
        assert torch.equal(Dropout(rate)(values), values * (1 - rate))


@pytest.mark.parametrize("count", [0, 1, 1024, 5000])
def test_an_encoder_takes_many_places_in_parts(count):
    encoder = make_location_encoder("grid", 8, num_scales=4, time=True).eval()
    places = (torch.rand(count, 2) - 0.5) * torch.tensor([360.0, 180.0])
    date = torch.rand(count)
    with torch.no_grad():
        parts = encoder(places, date)
    torch.testing.assert_close(parts, encoder(places, date).detach())
    assert parts.shape == (count, 8)
