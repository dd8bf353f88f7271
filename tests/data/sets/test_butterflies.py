"""The invented world drawn as butterflies: all that was true of it still is, and of `waves` too."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from csp_core.data.sets.demo import DemoWorld, load_demo
from csp_core.data.sets.demo_images import FEATURES, WAVES, _cosines, image_features
from csp_core.data.sets.demo_looks import LOOKS, WINGS_NOISE
from csp_core.data.sets.demo_wings import KINDS, draw_wings
from csp_core.errors import UnknownNameError

DRAWN = 3000


@pytest.fixture(scope="module")
def world():
    return DemoWorld(0, WINGS_NOISE, look="butterflies")


@pytest.fixture(scope="module")
def records(world):
    return world.sample(DRAWN, seed=21)


def low(image: torch.Tensor, waves: int) -> torch.Tensor:
    """Project pictures onto their lowest cosine waves, and back."""
    basis = torch.nn.functional.normalize(_cosines(waves), dim=1)
    return basis.T @ (basis @ image.double() @ basis.T) @ basis


def test_names_can_be_kept_apart_and_are_no_waves(world):
    kinds = [kind.name for kind in KINDS]
    assert len(set(kinds)) == 8 and all(len(name.split()) == 2 for name in kinds)
    for part in (0, 1):
        assert len({name.split()[part] for name in kinds}) == 8
    assert world.common_names[:3] == ("Blue Kite alpha", "Blue Kite beta", "Blue Kite gamma")
    assert world.names[1] == "Demokite beta" and all(n.startswith("Demo") for n in world.names)
    assert len(set(world.names)) == 24 and not set(world.names) & set(LOOKS["waves"].names)


def test_it_says_what_it_is(world):
    data = world.sample(3, images=False)
    assert "synthetic" in data.name and "invented" in data.info["source"]
    assert data.info["look"] == "butterflies" and data.info["noise"] == WINGS_NOISE
    assert data.classes.names == world.names
    with pytest.raises(UnknownNameError, match="Did you mean 'butterflies'"):
        load_demo(look="butterfly")


def test_they_live_where_and_when_the_patterns_live():
    wings, waves = (load_demo("all", size=400, look=look, images=False) for look in LOOKS)
    for column in ("lonlat", "date", "label"):
        assert torch.equal(getattr(wings, column), getattr(waves, column))
    parts = DemoWorld(3).components, DemoWorld(3, look="butterflies").components
    assert all(torch.equal(getattr(parts[0], k), getattr(parts[1], k)) for k in vars(parts[0]))


def test_wings_are_drawn_the_same_every_time_smooth_and_within_the_range():
    drawn = draw_wings(64)
    assert torch.equal(drawn, draw_wings(64)) and drawn.shape == (8, 3, 64, 64)
    assert drawn.min() > 0 and drawn.max() < 1
    # Both halves are alike, and no step between neighbours is that of a sawn edge.
    torch.testing.assert_close(drawn, drawn.flip(3), atol=1e-12, rtol=0)
    larger = torch.nn.functional.avg_pool2d(draw_wings(128), 2)
    assert (larger - drawn).abs().mean() < 0.002


def test_kinds_differ_in_silhouette_pattern_and_colour():
    outline = torch.tensor([kind.outline for kind in KINDS])
    assert torch.pdist(outline / outline.norm(dim=1, keepdim=True)).min() > 0.1
    assert len({kind.pattern for kind in KINDS}) == 8
    colour = torch.tensor([kind.inner + kind.outer for kind in KINDS])
    assert torch.pdist(colour).min() > 0.25


def test_look_alikes_are_equally_far_from_each_other_and_far_from_the_rest(world):
    flat = world.templates.flatten(1).double()
    gap = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
    near = gap.view(8, 3, 8, 3).diagonal(dim1=0, dim2=2)
    sides = torch.stack((near[0, 1], near[0, 2], near[1, 2]))
    assert torch.allclose(sides, torch.full_like(sides, 0.9 * WINGS_NOISE), rtol=1e-3)
    apart = gap + 1e9 * torch.block_diag(*[torch.ones(3, 3)] * 8)
    assert apart.min() > 50 * WINGS_NOISE


def test_look_alikes_differ_wholly_in_the_lowest_waves(world):
    three = world.templates.double().view(8, 3, 3, 64, 64)
    shades = (three - three.mean(1, keepdim=True)).flatten(0, 1)
    # What is left is the rounding of the templates to single precision.
    rest = (shades - low(shades, waves=1)).flatten(1).norm(dim=1)
    assert rest.max() < 1e-4 * shades.flatten(1).norm(dim=1).min()
    # The kinds themselves, with their edges, do not lie there.
    kinds = three.mean(1)
    assert (kinds - low(kinds, WAVES)).flatten(1).norm(dim=1).min() > 1


def test_details_are_an_orthonormal_basis_beside_the_waves(world):
    details = world.details
    assert details.shape == (8, 3, 64, 64) and len(DemoWorld(0).details) == 0
    flat = details.flatten(1)
    torch.testing.assert_close(flat @ flat.T, torch.eye(8).double(), atol=1e-12, rtol=0)
    assert low(details, WAVES).abs().max() < 1e-6
    centred = world.templates.double() - 0.5
    beside = torch.einsum("kchw,dchw->kd", centred, details)
    rest = centred - low(centred, WAVES) - torch.einsum("kd,dchw->kchw", beside, details)
    assert rest.abs().max() < 1e-6


def test_the_posterior_of_features_is_that_of_pixels(world, records):
    features = world.sample(DRAWN, seed=21, features=True).image
    assert features.shape == (DRAWN, FEATURES + 8) and features.dtype == torch.float32
    torch.testing.assert_close(
        features, image_features(records.image, world.details), atol=1e-5, rtol=1e-5
    )
    known = image_features(world.templates.double(), world.details)
    gap = features.double()[:, None] - known
    logits = -(gap**2).sum(2) / (2 * world.noise**2) + world.class_probability.log()
    torch.testing.assert_close(
        logits.softmax(1), world.image_posterior(records.image), atol=2e-4, rtol=0
    )
    # The basis is orthonormal, so the noise of a feature is that of a pixel, and no two share any.
    noise = gap[torch.arange(DRAWN), records.label]
    spread = torch.cov(noise.T) / world.noise**2
    assert spread.diagonal().mean().item() == pytest.approx(1, abs=0.01)
    assert (spread - torch.eye(len(spread))).abs().max() < 6 / math.sqrt(DRAWN)


def test_features_of_a_part_are_those_of_the_whole():
    options = {"size": 600, "features": True, "look": "butterflies", "noise": WINGS_NOISE}
    whole, part = (load_demo(split, **options) for split in ("all", "val"))
    row = {tuple(place): i for i, place in enumerate(whole.lonlat.tolist())}
    rows = [row[tuple(place)] for place in part.lonlat.tolist()]
    assert torch.equal(part.image, whole.image[rows])


def test_image_posterior_by_hand(world):
    data = world.sample(4, seed=5)
    for i in range(4):
        logs = torch.tensor([
            stats.norm(0, world.noise).logpdf((data.image[i].double() - one.double()).numpy()).sum()
            for one in world.templates
        ])  # fmt: skip
        want = (logs + world.class_probability.log()).softmax(0)
        found = world.image_posterior(data.image[i : i + 1])[0]
        assert torch.allclose(found, want, atol=1e-6)


def test_simulated_rates_are_those_of_the_closed_form(world, records):
    """What the best classifier gets right by count, against the mean of its own certainty."""
    label = records.label
    answers = {
        "image": world.image_posterior(records.image),
        "place": world.location_posterior(records.lonlat),
        "place+date": world.location_posterior(records.lonlat, records.date),
        "all": world.posterior(records.lonlat, records.date, records.image),
    }
    expected = world.bayes_rate(3000)
    for name, answer in answers.items():
        rate, error = expected[name]
        right = (answer.argmax(1) == label).double()
        spread = math.hypot(error, float(right.std()) / math.sqrt(DRAWN))
        assert abs(float(right.mean()) - rate) < 4 * spread, name
        assert 0 < error < 0.01
    assert 0.40 < expected["image"][0] < 0.60
    assert expected["place"][0] + 0.1 < expected["place+date"][0] < expected["all"][0] - 0.1
    kind = torch.div(answers["image"].argmax(1), 3, rounding_mode="floor")
    assert (kind == torch.div(label, 3, rounding_mode="floor")).all()


def test_noise_has_the_stated_size(world, records):
    noise = records.image[:200] - world.templates[records.label[:200]]
    assert noise.std().item() == pytest.approx(WINGS_NOISE, rel=1e-3)
    assert noise.mean().item() == pytest.approx(0, abs=1e-3)
    # A file of 8 bits holds nearly all of it.
    assert ((records.image < 0) | (records.image > 1)).float().mean() < 0.02
