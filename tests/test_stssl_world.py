"""The invented world of look-alikes and its table: likelihoods are those of brute force."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def home(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("stssl_world")


def slow_evidence(home, world, image):
    """Average the density of one image over directions and a fine grid of phases, in NumPy."""
    row, column = np.mgrid[: home.SIDE, : home.SIDE]
    patterns, found = world.patterns().numpy(), []
    variance = world.noise**2 + home.ROUNDING
    for label in range(home.CLASSES):
        logs = []
        for across, down in home.FINE if label % 2 else home.COARSE:
            for phase in 2 * np.pi * (np.arange(720) + 0.5) / 720:
                angle = 2 * np.pi * (across * column + down * row) / home.SIDE + phase
                mean = patterns[label // 2] + world.amplitude * np.cos(angle)
                logs.append(-((image - mean) ** 2).sum() / (2 * variance))
        found.append(np.logaddexp.reduce(logs) - np.log(len(logs)))
    return np.array(found)


@pytest.mark.parametrize("amplitude", [0.4, 2.0])
def test_evidence_is_that_of_numerical_integration(home, amplitude):
    world = home.World(3, amplitude=amplitude, noise=16.0)
    images = world.images(torch.tensor([2, 5]), torch.Generator().manual_seed(0))
    fast = world.image_evidence(images)
    for image, logs in zip(images, fast, strict=True):
        slow = torch.from_numpy(slow_evidence(home, world, image.double().numpy()))
        assert torch.allclose(logs - logs[0], slow - slow[0], rtol=1e-6, atol=1e-6)


def test_place_evidence_is_that_of_a_normal_distribution(home):
    world = home.World(0, latitude=40.0, spread=15.0)
    lonlat = torch.tensor([[10.0, 31.0], [-120.0, -4.0]])
    found = world.place_evidence(lonlat)
    normal = torch.distributions.Normal(world.homes().double(), 15.0)
    slow = normal.log_prob(lonlat[:, 1:].double())
    assert torch.allclose(found - found[:, :1], slow - slow[:, :1], atol=1e-9)


def test_best_rates_are_those_of_answering_by_the_largest_evidence(home):
    world = home.World(1, amplitude=0.6, noise=16.0, latitude=20.0, spread=20.0)
    rates = home.bayes_rates(world, 2000, 7)
    image, lonlat, label = world.draw(2000, 8)
    seen, place = world.image_evidence(image), world.place_evidence(lonlat)
    logs = {"image": seen, "place": place, "image + place": seen + place}
    for name, some in logs.items():
        hits = (some.argmax(dim=1) == label).float()
        rate, error = rates[name]
        assert abs(float(hits.mean()) - rate) < 4 * math.hypot(float(hits.std()) / 45, error), name
    # So faint a grating leaves a doubt that the place takes away; a place alone names no kind.
    assert 0.5 < rates["image"][0] < 0.95 and rates["look"][0] > rates["image"][0] - 1e-6
    assert rates["place"][0] < 0.3 and rates["image + place"][0] > rates["image"][0] + 0.03


def test_rounding_and_the_bright_patterns_hide_no_grating(home):
    waves = torch.exp(1j * home._angles(home.COARSE + home.FINE)).flatten(1)
    patterns = home.World(2).patterns().flatten(2).to(waves.dtype)
    assert (patterns @ waves.T).abs().max() < 1e-9
    image, _, _ = home.World(2).draw(500, 0)
    assert image.dtype == torch.uint8
    assert ((image == 0) | (image == 255)).float().mean() < 1e-5
    fine = min(math.hypot(*wave) for wave in home.FINE)
    assert fine > 2.5 * max(math.hypot(*wave) for wave in home.COARSE)


def test_records_have_few_labels_and_places_that_say_little_alone(home):
    records = home.load_stssl_world("train", seed=4, size=400, labels=2)
    assert int((records.label >= 0).sum()) == 2 * home.CLASSES
    assert set(records.classes.counts) == {2} and records.date.isnan().all()
    whole = home.load_stssl_world("train", seed=4, size=400, labels=0)
    known = records.label >= 0
    assert torch.equal(whole.label[known], records.label[known])
    north = whole.lonlat[:, 1] > 0
    for kind in range(home.KINDS):
        here = whole.label // 2 == kind
        same = north[here] == (whole.label[here] % 2 == kind % 2)
        assert same.float().mean() > 0.95
    assert 0.4 < north.float().mean() < 0.6


def test_permuted_and_shifted_places(home):
    options = {"seed": 4, "size": 400, "labels": 0}
    own = home.load_stssl_world("train", **options)
    other = home.load_stssl_world("train", permuted=True, **options)
    assert torch.equal(own.label, other.label)
    batches = [some.__getitems__(range(400)) for some in (own, other)]
    assert torch.equal(batches[0]["image"], batches[1]["image"])
    assert torch.equal(own.lonlat.sort(dim=0).values, other.lonlat.sort(dim=0).values)
    assert (own.lonlat == other.lonlat).all(dim=1).float().mean() < 0.05
    moved = home.shifted(own)
    assert torch.equal(moved.lonlat[:, 1], -own.lonlat[:, 1])
    test = home.load_stssl_world("test", seed=4, size=400, test_size=100, labels=0)
    image = test.__getitems__(range(100))["image"]
    assert not (image[0] == batches[0]["image"]).flatten(1).all(dim=1).any()
    again = home.load_stssl_world("test", seed=4, size=300, test_size=100, permuted=True)
    assert torch.equal(again.lonlat, test.lonlat)


def outcome_of(tables, common, gains, shifted):
    """Make an outcome in which the knowing teacher's student gains so much, draw by draw."""
    rows = {tables.IMAGES: 0.6, tables.PERMUTED: 0.58, tables.KNOWS: 0.6}
    cells = [common.Cell(row, "1", draw, {}) for draw in range(len(gains)) for row in rows]
    found = {}
    for cell in cells:
        top = rows[cell.row] + (gains[cell.draw] if cell.row == tables.KNOWS else 0.0)
        found[cell.key] = {"top1": top, "look": top, "shifted": top, "pseudo": top, "kept": 0.9}
        if cell.row == tables.KNOWS:
            found[cell.key] |= {"taught_top1": 0.9, "taught_look": 0.9, "taught_shifted": shifted}
    return tables.with_teachers(common.Outcome(tuple(cells), found))


@pytest.mark.parametrize(
    ("gains", "shifted", "expected"),
    [
        ([0.3, 0.2, 0.25], 0.1, [True, True, True, True]),
        ([0.03, 0.02, 0.04], 0.1, [False, True, True, True]),
        ([0.5, -0.2, -0.1], 0.95, [False, True, False, True]),
        ([0.3], 0.1, [None] * 4),
    ],
)
def test_aims_are_judged_by_paired_draws(home, gains, shifted, expected):
    tables, common = (importlib.import_module(f"stssl_{n}") for n in ("demo_tables", "common"))
    outcome = outcome_of(tables, common, gains, shifted)
    text, data = tables.judge(outcome, "1")
    assert [one["met"] for one in data.values()] == expected
    assert text.count("**missed**") == expected.count(False)
    best = {key: [0.9, 0.001] for key in ("image", "look", "place", "image + place")}
    page = tables.table(outcome, "1", best)
    assert f"| {tables.AT_TEST} | 90.0" in page and tables.FLOOR not in page
    told = tables.reading(outcome)
    assert tables.AT_TEST in told and "nan" not in told and tables.FLOOR not in told


def test_the_student_that_moves_with_the_places_would_be_told(home):
    tables, common = (importlib.import_module(f"stssl_{n}") for n in ("demo_tables", "common"))
    outcome = outcome_of(tables, common, [0.3, 0.2], 0.1)
    for key, told in outcome.found.items():
        if key[0] == tables.KNOWS:
            told["shifted"] -= 0.0005
    _, data = tables.judge(outcome, "1")
    assert [one["met"] for one in data.values()] == [True, True, True, False]


def test_what_was_not_run_is_told_and_columns_stand_apart(home):
    tables, common = (importlib.import_module(f"stssl_{n}") for n in ("demo_tables", "common"))
    outcome = outcome_of(tables, common, [0.3, 0.2], 0.1)
    for draw in range(2):
        del outcome.found[tables.PERMUTED, "1", draw]
    text, data = tables.judge(outcome, "1")
    assert [one["met"] for one in data.values()] == [True, None, True, True]
    assert "not judged" in text
    best = {key: [0.9, 0.001] for key in ("image", "look", "place", "image + place")}
    assert f"| {tables.PERMUTED} | not run" in tables.table(outcome, "1", best)
    other = tables.part_of(outcome, "2")
    assert not other.planned and not other.found and not tables.reading(other)
    assert tables.part_of(outcome, "1").found == outcome.found
