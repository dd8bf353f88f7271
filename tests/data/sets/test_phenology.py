"""Invented series: what is drawn is what the formulas say, and the same each time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from csp_core.data import load_dataset
from csp_core.data.series.growth import CURVES, GREEN, SLOPE, SOIL, Landscape, greenness, grow
from csp_core.data.series.growth import voronoi as divide
from csp_core.errors import ConfigError

SMALL = {"size": 40, "side": 16, "dates": 6, "parcels": 5}


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


@pytest.mark.parametrize("name", CURVES)
def test_greenness_is_a_rise_and_a_fall_in_a_circle(name):
    start, end, _ = CURVES[name]
    for day in (0.0, 0.05, start, 0.4, end, 0.99):
        want = sum(
            logistic((day + turn - start) / SLOPE) - logistic((day + turn - end) / SLOPE)
            for turn in (-1, 0, 1)
        )
        found = greenness(*map(torch.tensor, (day, start, end)))
        assert float(found) == pytest.approx(want, abs=1e-5)


def test_parcels_are_the_pixels_nearest_to_a_point():
    points = torch.rand(2, 4, 2, generator=torch.Generator().manual_seed(0))
    found = divide(points, 9)
    for tile in range(2):
        for row in range(9):
            for column in range(9):
                apart = (points[tile] - (torch.tensor([row, column]) + 0.5) / 9).norm(dim=1)
                assert int(found[tile, row, column]) == int(apart.argmin())


def test_without_noise_and_clouds_pixels_are_mixtures_of_soil_and_green():
    grown = grow(Landscape(12, 4, 3, 0.0, 0.0), 3, torch.Generator().manual_seed(1))
    assert not grown.cloudy.any()
    soil, green = np.array(SOIL), np.array(GREEN)
    for tile in range(3):
        for date in range(4):
            pixels = grown.image[tile, date].flatten(1).T.double().numpy() / 10_000
            # Light times a mixture: two numbers explain four bands.
            left = pixels - np.linalg.lstsq(np.stack((soil, green)).T, pixels.T, rcond=None)[
                0
            ].T @ (np.stack((soil, green)))
            assert np.abs(left).max() < 2e-4
            assert len(np.unique(pixels, axis=0)) <= 3
    assert (grown.days.diff(dim=1) > 0).all() and (grown.days < 1).all()


def test_clouds_hide_their_share_and_are_bright():
    grown = grow(Landscape(32, 8, 6, 0.02, 0.3), 8, torch.Generator().manual_seed(2))
    share = grown.cloudy.flatten(1).double().mean(dim=1)
    torch.testing.assert_close(share, torch.full((8,), 0.3, dtype=share.dtype), atol=1e-3, rtol=0)
    red = grown.image[:, :, 1]
    assert red[grown.cloudy].double().mean() > 3 * red[~grown.cloudy].double().mean()


def test_tiles_are_the_same_each_time_and_others_with_another_seed():
    one, again, other = (
        load_dataset("phenology", "all", **SMALL, world_seed=seed) for seed in (0, 0, 1)
    )
    assert one.content_hash() == again.content_hash() != other.content_hash()
    assert one.classes.names == tuple(sorted(CURVES)) == tuple(CURVES)
    sample = one[3]
    assert sample["image"].shape == (6, 4, 16, 16) and sample["mask"].shape == (16, 16)


def test_few_masks_are_seen():
    few = load_dataset("phenology", **SMALL, label_fraction=0.1, unlabelled=True)
    full = load_dataset("phenology", **SMALL)
    assert len(few) == len(full) and int(few.labelled().sum()) == round(0.1 * len(full))
    assert sum(few.classes.counts) == int((few.masks >= 0).sum()) == 256 * round(0.1 * len(full))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"dates": 1}, "2 dates"),
        ({"side": 4}, "8 pixels"),
        ({"clouds": 1.0}, "clouds 1.0"),
        ({"noise": -0.1}, "noise is -0.1"),
        ({"size": 10**6, "side": 64}, "fewer or smaller"),
    ],
)
def test_options_out_of_range(options, says):
    with pytest.raises(ConfigError, match=says):
        load_dataset("phenology", **SMALL | options)
