"""The invented world: its closed forms against slow, independent computations."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from csp_core.data.sets.demo import NAMES, DemoWorld, load_demo
from csp_core.data.sets.demo_ranges import (
    draw_bumps,
    draw_seasons,
    log_density,
    make_components,
    stream,
)
from csp_core.errors import ConfigError
from csp_core.land import land_grid, on_land


@pytest.fixture(scope="module")
def world():
    return DemoWorld(seed=0)


@pytest.fixture(scope="module")
def records(world):
    return world.sample(40_000, seed=7, images=False)


def test_it_says_that_it_is_invented(world):
    data = world.sample(3, images=False)
    assert "synthetic" in data.name and "invented" in data.info["source"]
    assert all("synthetic" in name for name in data.classes.common_names)
    assert all(name.startswith("Demo") for name in data.classes.names)
    assert len(NAMES) == 24 and len({name.split()[0] for name in NAMES}) == 8


def test_everyone_lives_on_land(records):
    # Rounding to float32 may carry a place on the shore across it.
    assert on_land(records.lonlat.to(torch.float64)).float().mean() > 0.9999
    assert records.date.min() >= 0 and records.date.max() < 1
    assert not on_land(torch.tensor([[-30.0, 0.0], [150.0, 0.0]])).any()


def test_land_is_29_percent_of_the_earth():
    assert land_grid(0.5)[1].sum().item() == pytest.approx(0.29, abs=0.005)
    assert land_grid(0.5)[1].sum().item() == pytest.approx(land_grid(1.0)[1].sum().item(), rel=2e-3)


def test_bumps_follow_their_law():
    kappa, centre = 40.0, torch.nn.functional.normalize(torch.tensor([[0.3, -0.5, 0.6]]).double())
    drawn = draw_bumps(centre.expand(5000, 3), torch.full((5000,), kappa).double(), stream(1))
    lon, lat = np.radians(drawn.numpy()).T
    xyz = np.stack((np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)), 1)
    cosine = xyz @ centre.numpy()[0]
    law = lambda w: (np.exp(kappa * (w - 1)) - np.exp(-2 * kappa)) / -np.expm1(-2 * kappa)  # noqa: E731
    assert stats.kstest(cosine, law).pvalue > 0.001
    mean = xyz.mean(0)
    length = 1 / math.tanh(kappa) - 1 / kappa
    assert np.abs(mean - length * centre.numpy()[0]).max() < 0.01


def test_seasons_follow_their_law():
    peak, beta = 0.9, 2.5
    drawn = draw_seasons(torch.full((5000,), peak).double(), torch.full((5000,), beta), stream(2))
    angle = 2 * np.pi * (drawn.numpy() - peak)
    angle = (angle + np.pi) % (2 * np.pi) - np.pi
    assert stats.kstest(angle, stats.vonmises(beta).cdf).pvalue > 0.001


def test_densities_sum_to_the_class_probabilities(world):
    """Summed over a finer grid of land and over the year, a density gives P(class)."""
    centres, area = land_grid(0.25)
    mass = (log_density(world.components, centres, None).exp() * area[:, None]).sum(0)
    assert torch.allclose(mass, world.class_probability, rtol=0.02)
    assert world.class_probability.sum().item() == pytest.approx(1)
    place = torch.tensor([[36.8, -1.3]])
    here = log_density(world.components, place, None).exp()[0].numpy()
    year, _ = integrate.quad_vec(
        lambda t: log_density(world.components, place, torch.tensor([t])).exp()[0].numpy(), 0, 1
    )
    assert np.allclose(year, here)


def test_density_of_one_class_by_hand(world):
    """One place, one date, one component after another, in plain Python."""
    parts = world.components
    lon, lat, date = 20.0, 10.0, 0.3
    x = (
        math.cos(math.radians(lat)) * math.cos(math.radians(lon)),
        math.cos(math.radians(lat)) * math.sin(math.radians(lon)),
        math.sin(math.radians(lat)),
    )
    centres, area = (t.numpy() for t in land_grid(0.5))
    lam, phi = np.radians(centres).T
    grid = np.stack((np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)), 1)
    total = np.zeros(24)
    for c in range(len(parts.label)):
        centre, kappa = parts.centre[c].numpy(), parts.kappa[c].item()
        land = (np.exp(kappa * (grid @ centre - 1)) * area).sum()
        bump = math.exp(kappa * (float(centre @ x) - 1)) / land
        turn = 2 * math.pi * (date - parts.peak[c].item())
        season = 2 * math.pi * stats.vonmises(parts.beta[c].item()).pdf(turn)
        total[int(parts.label[c])] += parts.weight[c].item() * bump * season
    posterior = world.location_posterior(torch.tensor([[lon, lat]]), torch.tensor([date]))
    assert np.allclose(posterior[0].numpy(), total / total.sum(), rtol=1e-6)


def check_calibrated(posterior: torch.Tensor, label: torch.Tensor) -> None:
    """Of all (record, class) pairs given a probability near p, a share p must be right."""
    truth = torch.nn.functional.one_hot(label, 24).to(torch.float64)
    bins = (posterior * 20).long().clamp(max=19)
    for b in range(20):
        hit = bins == b
        expected, seen = posterior[hit].sum(), truth[hit].sum()
        spread = (posterior[hit] * (1 - posterior[hit])).sum().sqrt() + 1
        assert abs(expected - seen) < 4.5 * spread, f"bin {b}: {expected} expected, {seen} seen"
    for k in range(24):
        spread = (posterior[:, k] * (1 - posterior[:, k])).sum().sqrt() + 1
        assert abs(posterior[:, k].sum() - truth[:, k].sum()) < 4.5 * spread


def test_posteriors_are_calibrated(world, records):
    check_calibrated(world.location_posterior(records.lonlat), records.label)
    check_calibrated(world.location_posterior(records.lonlat, records.date), records.label)


def test_posterior_equals_a_count_of_neighbours(world):
    """Near the busiest place, class shares in a small box are those of the closed form."""
    drawn = world.sample(300_000, seed=3, images=False)
    boxes = (drawn.lonlat / 2).floor()
    box = boxes.unique(dim=0, return_counts=True)
    busiest = box[0][box[1].argmax()]
    inside = (boxes == busiest).all(1)
    want = world.location_posterior(drawn.lonlat[inside]).mean(0)
    seen = torch.bincount(drawn.label[inside], minlength=24) / inside.sum()
    assert inside.sum() > 500
    assert (want - seen).abs().max() < 4.5 * 0.5 / math.sqrt(int(inside.sum()))


def test_posteriors_with_images_are_calibrated(world):
    data = world.sample(3000, seed=11)
    assert data.image is not None
    check_calibrated(world.image_posterior(data.image), data.label)
    check_calibrated(world.posterior(data.lonlat, data.date, data.image), data.label)


def test_image_posterior_by_hand(world):
    data = world.sample(4, seed=5)
    assert data.image is not None
    for i in range(4):
        logs = []
        for k in range(24):
            gap = data.image[i].double().numpy() - world.templates[k].double().numpy()
            logs.append(stats.norm(0, world.noise).logpdf(gap).sum())
        weight = np.exp(np.array(logs) - max(logs)) * world.class_probability.numpy()
        found = world.image_posterior(data.image[i : i + 1])[0].numpy()
        assert np.allclose(found, weight / weight.sum(), atol=1e-6)


def test_look_alikes_are_equally_far_from_each_other_and_far_from_the_rest(world):
    gap = torch.cdist(world.templates.flatten(1).double(), world.templates.flatten(1).double())
    near = gap.view(8, 3, 8, 3).diagonal(dim1=0, dim2=2)
    sides = torch.stack((near[0, 1], near[0, 2], near[1, 2]))
    assert torch.allclose(sides, torch.full_like(sides, 0.9 * 0.2), rtol=1e-3)
    apart = gap + 1e9 * torch.block_diag(*[torch.ones(3, 3)] * 8)
    assert apart.min() > 10 * 0.2


def test_noise_has_the_stated_size():
    world = DemoWorld(seed=0, noise=0.35)
    data = world.sample(200, seed=1)
    assert data.image is not None and data.image.dtype == torch.float32
    noise = data.image - world.templates[data.label]
    assert noise.std().item() == pytest.approx(0.35, rel=1e-3)
    assert noise.mean().item() == pytest.approx(0, abs=1e-3)


def test_bayes_rates_are_as_designed(world):
    rates = world.bayes_rate(3000)
    assert 0.40 < rates["image"][0] < 0.60
    assert 0.85 < rates["all"][0] < 0.95
    assert rates["place"][0] + 0.1 < rates["place+date"][0] < rates["all"][0]
    data = world.sample(3000, seed=21)
    assert data.image is not None
    posterior = world.posterior(data.lonlat, data.date, data.image)
    right = (posterior.argmax(1) == data.label).double().mean().item()
    assert abs(right - rates["all"][0]) < 4 * math.sqrt(0.25 / 3000)
    genus = torch.div(world.image_posterior(data.image).argmax(1), 3, rounding_mode="floor")
    assert (genus == torch.div(data.label, 3, rounding_mode="floor")).float().mean() > 0.999


def test_what_is_unknown_is_summed_out(world):
    nowhere, never = torch.full((1, 2), math.nan), torch.tensor([math.nan])
    place = torch.tensor([[10.0, 50.0]])
    assert torch.allclose(world.location_posterior(nowhere)[0], world.class_probability)
    assert torch.equal(world.location_posterior(place, never), world.location_posterior(place))


def test_a_record_is_the_same_whichever_part_it_is_read_through():
    whole = load_demo("all", size=600)
    index = {tuple(row): i for i, row in enumerate(whole.lonlat.tolist())}
    assert len(index) == 600 and whole.image is not None
    for split in ("train", "val", "test"):
        part = load_demo(split, size=600)
        rows = torch.tensor([index[tuple(row)] for row in part.lonlat.tolist()])
        assert torch.equal(part.image, whole.image[rows])
        assert torch.equal(part.date, whole.date[rows])


def test_seeds_give_other_worlds_and_other_draws():
    assert load_demo(size=50, seed=0, images=False).content_hash() != (
        load_demo(size=50, seed=1, images=False).content_hash()
    )
    world = DemoWorld(seed=0)
    assert not torch.equal(world.sample(9, 0).lonlat, world.sample(9, 1).lonlat)
    assert world.sample(9, 2**40).content_hash() == DemoWorld(0).sample(9, 2**40).content_hash()


def first_templates(seed: int) -> torch.Tensor:
    """Draw templates as they were drawn before there was another look than waves."""
    generator = stream("world", seed)
    make_components(generator)
    ramp = (torch.arange(64, dtype=torch.float64) + 0.5) / 64

    def smooth(count: int, waves: int) -> torch.Tensor:
        basis = torch.cos(math.pi * torch.arange(waves + 1)[:, None] * ramp)
        shape = (count, 3, waves + 1, waves + 1)
        weight = torch.randn(shape, generator=generator, dtype=torch.float64)
        return basis.T @ weight @ basis

    genus = smooth(8, 6)
    genus = 0.5 + 0.2 * genus / genus.flatten(1).std(1)[:, None, None, None]
    plane = torch.linalg.qr(smooth(16, 1).view(8, 2, -1).mT)[0].mT
    angle = 2 * math.pi * torch.arange(3, dtype=torch.float64) / 3
    corner = torch.stack((angle.cos(), angle.sin()), 1) / math.sqrt(3)
    marks = 0.9 * 0.2 * corner @ plane
    return (genus[:, None] + marks.view(8, 3, 3, 64, 64)).flatten(0, 1).to(torch.float32)


@pytest.mark.parametrize(
    ("seed", "sums"),
    [
        (0, (6.204137582487645, 0.3278315108161895, 1.4648144856016037)),
        (5, (6.286984427286022, 0.33523664421518895, 1.441930752246543)),
    ],
)
def test_waves_are_to_the_byte_what_they_were_before_there_was_another_look(seed, sums):
    """Bytes against the former code, as hashes would tell one processor from another."""
    world = DemoWorld(seed)
    assert torch.equal(world.templates, first_templates(seed))
    pixels, features = (world.sample(300, 7, features=f) for f in (False, True))
    noise = torch.cat(
        [torch.randn(256, 3, 64, 64, generator=stream("images", 7, i)) for i in (0, 1)]
    )
    assert torch.equal(pixels.image, noise[:300] * 0.2 + world.templates[pixels.label])
    weighted = world.templates.double() * torch.arange(1, 25).view(-1, 1, 1, 1)
    found = weighted, pixels.image.double() ** 2, features.image.double().abs()
    assert [float(part.mean()) for part in found] == pytest.approx(sums, rel=1e-7)
    assert features.image.shape == (300, 147) and "look" not in pixels.info


def test_refusals(world):
    with pytest.raises(ConfigError, match="noise is 0"):
        DemoWorld(noise=0)
    with pytest.raises(ConfigError, match="1 or more"):
        world.sample(0)


def test_five_thousand_records_are_made_in_seconds():
    start = time.process_time()
    data = load_demo("all", size=5000)
    assert data.image is not None and data.image.shape == (5000, 3, 64, 64)
    # Not a benchmark: this catches a loop over records, which would take minutes.
    assert time.process_time() - start < 30
