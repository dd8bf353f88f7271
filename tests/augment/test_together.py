"""What moves a picture moves its mask pixel for pixel."""

from __future__ import annotations

import pytest
import torch

from csp_core.augment.together import (
    DRAWS,
    TOGETHER,
    add_noise,
    change_together,
    find_together,
    relight,
    turn_together,
)
from csp_core.errors import ConfigError, UnknownNameError


def coordinates(number, height, width):
    """Give pictures that hold their own rows and columns, and masks that number the pixels."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    image = torch.stack((rows, columns)).float().expand(number, -1, -1, -1).clone()
    mask = (rows * width + columns).expand(number, -1, -1).clone()
    return image, mask


@pytest.mark.parametrize(("height", "width"), [(6, 6), (4, 7)])
def test_masks_follow_pictures_that_hold_their_own_coordinates(height, width):
    image, mask = coordinates(400, height, width)
    uniform = torch.rand(400, generator=torch.Generator().manual_seed(0))
    turned, moved = turn_together(image, mask[:, None], uniform)
    want = turned[:, 0].long() * width + turned[:, 1].long()
    assert torch.equal(moved[:, 0], want) and moved.dtype == torch.int64
    ways = {tuple(one.flatten().tolist()) for one in moved}
    assert len(ways) == (8 if height == width else 4)
    # Nothing is lost and nothing comes twice.
    assert all(sorted(way) == list(range(height * width)) for way in ways)


def test_dates_of_a_series_turn_alike():
    image, mask = coordinates(8, 5, 5)
    series = torch.stack((image, image + 100), dim=1)
    turned, moved = turn_together(series, mask[:, None], torch.arange(8) / 8)
    assert torch.equal(turned[:, 1], turned[:, 0] + 100)
    assert torch.equal(moved[:, 0], turned[:, 0, 0].long() * 5 + turned[:, 0, 1].long())


@pytest.mark.parametrize("name", sorted(TOGETHER))
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float32])
def test_light_and_noise_change_pictures_alone(name, dtype):
    draws = torch.Generator().manual_seed(1)
    image = torch.randint(20, 200, (64, 3, 8, 8), generator=draws).to(dtype)
    mask = torch.randint(-1, 4, (64, 1, 8, 8), generator=draws)
    uniform = torch.rand(64, DRAWS, generator=draws)
    normal = torch.randn(image.shape, generator=draws) if TOGETHER[name].noise else None
    before = image.clone(), mask.clone()
    changed, moved = change_together(image, mask, name, uniform, normal)
    assert torch.equal(image, before[0]) and torch.equal(mask, before[1])
    assert changed.dtype == dtype and changed.shape == image.shape
    turned, followed = turn_together(image, mask, uniform[:, 0])
    assert torch.equal(moved, followed)
    assert torch.equal(changed, turned) is (name == "weak")


def test_relight_by_hand():
    image = torch.tensor([[[[10.0, 30.0]]]])
    assert relight(image, torch.tensor([[0.5, 0.5]])).tolist() == image.tolist()
    brighter = relight(image, torch.tensor([[1.0, 0.0]]))
    # 15 % more, less 15 % of a spread of 10.
    assert brighter.flatten().tolist() == pytest.approx([10.0, 33.0])
    full = relight(torch.full((1, 1, 2, 2), 250, dtype=torch.uint8), torch.tensor([[1.0, 0.5]]))
    assert (full == 255).all()


def test_noise_is_as_strong_as_said():
    draws = torch.Generator().manual_seed(2)
    image = (
        torch.randn(4, 2, 64, 64, generator=draws)
        * torch.tensor([1.0, 2, 3, 4])[:, None, None, None]
    )
    noisy = add_noise(image, torch.randn(image.shape, generator=draws), 0.05)
    ratio = (noisy - image).flatten(1).std(dim=1) / image.flatten(1).std(dim=1)
    torch.testing.assert_close(ratio, torch.full((4,), 0.05), rtol=0.05, atol=0)


def test_unknown_names_and_missing_numbers():
    with pytest.raises(UnknownNameError, match="medium, strong, weak"):
        find_together("rand_augment")
    image, mask = coordinates(1, 4, 4)
    with pytest.raises(ConfigError, match="adds noise"):
        change_together(image, mask[:, None], "strong", torch.zeros(1, DRAWS))
