"""Each preset learns 64 pairs of picture and place by heart."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from csp_core import geo, losses
from csp_core.objectives.clip import FAMILY, parts
from tests import clip

NUMBER, RATE = 64, 0.004


def pairs():
    """Give pictures of coarse patterns, each at a place of its own, all over the Earth."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(NUMBER, 3, 4, 4, generator=generator)
    columns = ("label", "date", "hour", "recorder", "caption")
    return replace(
        clip.PAIRS,
        **{name: getattr(clip.PAIRS, name)[:NUMBER] for name in columns},
        lonlat=geo.sphere_points(torch.rand(NUMBER, 2, generator=generator)),
        image=torch.nn.functional.interpolate(coarse, scale_factor=2),
    )


@torch.no_grad()
def found_first(made, given):
    """Give the share of places whose own picture is the first that is found."""
    made.eval()
    seen = made._see(made.draw(given, clip.source(0, 0, NUMBER, NUMBER)))
    if made.spec.has("clip"):
        similarity = losses.similarities(seen["location"].views[0], seen["image"].views[0])
    else:
        tokens = made._tokens(seen)
        there, back, _ = parts.agreements(
            tokens["image"], tokens["location"], made._join, keep=None
        )
        similarity = (there.mT + back) / 2
    made.train()
    return (similarity.argmax(dim=1) == torch.arange(NUMBER)).float().mean().item()


@pytest.mark.parametrize("name", sorted(FAMILY))
def test_it_learns_64_pairs_by_heart(name):
    data = pairs()
    image = {"name": "small_convnet", "dim": 32, "width": 8, "norm": "group"}
    made = clip.make(
        name, clip.model(image=image, dim=32), data, augmentation=None, masked_view=False,
        views={"km": (0.1, 1.0), "scale_drop": 0.0, "strong": "weak"},
    )  # fmt: skip
    optimizer = torch.optim.Adam([p for p in made.parameters() if p.requires_grad], lr=RATE)
    given = data.__getitems__(list(range(NUMBER)))
    for number in range(500):
        clip.step(made, number, given, optimizer)
        if number % 20 == 19 and found_first(made, given) == 1:
            return
    assert found_first(made, given) == 1
