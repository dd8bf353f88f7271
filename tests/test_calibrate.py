"""Calibration finds the temperature that was put in."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from csp_core.calibrate import fit_temperature


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
