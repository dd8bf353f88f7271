"""Two views of each image: where their pixels are from, where they meet, and what is drawn how."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from csp_core.augment.dense import Views, match_cells, to_cells
from csp_core.augment.dense.dates import choose_dates, drop_dates, take_dates
from csp_core.augment.dense.geometry import turned, ways, window
from csp_core.errors import ConfigError
from csp_core.objectives import BatchRandom

PLAIN = {"gain": 0.0, "offset": 0.0, "noise": 0.0, "clouds": 0.0, "blur": 0.0, "date_dropout": 0.0}


def source(rows, seed=0, start=0, stop=None):
    generator = torch.Generator().manual_seed(seed)
    return BatchRandom(generator, start, rows if stop is None else stop, rows)


def coordinate_images(rows, height=32, width=32):
    """Give images whose two bands are the row and the column of each pixel."""
    along = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack(along).float().expand(rows, -1, -1, -1).clone()


def images(rows, bands=3, side=32, seed=1):
    return torch.rand(rows, bands, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("zoom", [(1.0, 1.0), (0.7, 1.4)])
def test_an_image_of_coordinates_stays_one_and_matched_pixels_agree(seed, zoom):
    image = coordinate_images(8)
    pair = Views(**PLAIN, zoom=zoom).pair(image, source(8, seed))
    for view in pair:
        assert view.valid.all()
        # Half a pixel beyond the middle of the outermost ones there is nothing to be between.
        inside = view.coordinates.clamp(0, 31)
        torch.testing.assert_close(view.image, inside, atol=2e-4, rtol=0)
        if zoom[0] == 1:
            assert torch.equal(view.image, view.coordinates)
    first, second = pair
    chance = source(8, seed + 50).uniform(first.valid[0].numel())
    cells = match_cells(first.coordinates, second.coordinates, chance, points=64)
    assert (cells[..., 0] >= 0).float().mean() > 0.5
    for row, found in enumerate(cells):
        a, b = found[found[:, 0] >= 0].T
        apart = first.image[row].flatten(1)[:, a] - second.image[row].flatten(1)[:, b]
        assert apart.norm(dim=0).max() < (1e-6 if zoom[0] == 1 else 0.76)


@pytest.mark.parametrize("stride", [1, 4])
def test_matches_are_the_nearest_cells_and_no_cell_comes_twice(stride):
    pair = Views(**PLAIN, crop=(16, 16)).pair(coordinate_images(5), source(5, 3))
    first, second = (to_cells(view.coordinates, view.valid, stride)[0] for view in pair)
    chance = source(5, 9).uniform(first[0, 0].numel())
    within = max(0.75, stride / 2)
    cells = match_cells(first, second, chance, points=300, within=within)
    for row in range(5):
        a, b = (some[row].flatten(1).T for some in (first, second))
        apart = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
        nearest = apart.amin(dim=1)
        found = cells[row][cells[row, :, 0] >= 0]
        assert set(found[:, 0].tolist()) == set((nearest < within).nonzero()[:, 0].tolist())
        assert len(found) == len(found[:, 0].unique())
        torch.testing.assert_close(apart[found[:, 0], found[:, 1]], nearest[found[:, 0]])
        order = chance[row, found[:, 0]]
        assert torch.equal(order, order.sort(descending=True).values)


def test_pixels_without_data_are_not_matched():
    valid = torch.ones(4, 32, 32, dtype=torch.bool)
    valid[:, :, :20] = False
    image = coordinate_images(4)
    pair = Views(**PLAIN, zoom=(0.8, 1.25)).pair(image, source(4, 1), valid=valid)
    for view in pair:
        assert (view.coordinates[:, 1][view.valid] > 19).all()
        assert view.valid.any()
        cells, seen = to_cells(view.coordinates, view.valid, 4)
        assert seen.shape == cells[:, 0].shape and (cells[:, 1][seen] > 20).all()
    chance = torch.rand(4, pair[0].valid[0].numel(), generator=torch.Generator().manual_seed(0))
    both = (pair[0].valid, pair[1].valid)
    cells = match_cells(pair[0].coordinates, pair[1].coordinates, chance, points=16, valid=both)
    for row, found in enumerate(cells):
        a, b = found[found[:, 0] >= 0].T
        assert both[0][row].flatten()[a].all() and both[1][row].flatten()[b].all()
    none = torch.zeros_like(both[0]), both[1]
    cells = match_cells(pair[0].coordinates, pair[1].coordinates, chance, points=16, valid=none)
    assert (cells == -1).all()


def test_all_ways_of_turning_are_drawn_and_only_those_asked_for():
    place = window(torch.zeros(400, 2), 4, 1.0)
    for flip, rotate, number in ((True, True, 8), (True, False, 4), (False, True, 4), (0, 0, 1)):
        assert len(ways(flip=bool(flip), rotate=bool(rotate))) == number
        found = turned(place, source(400).uniform(1)[:, 0], flip=bool(flip), rotate=bool(rotate))
        assert len(found.flatten(1).unique(dim=0)) == number
        assert torch.equal(found.flatten(2).sort(dim=2).values, place.flatten(2).sort(dim=2).values)


def test_views_lie_where_they_may():
    views = Views(**PLAIN, crop=(16, 16), zoom=(1.0, 1.0), shift=0.25)
    first, second = views.pair(coordinate_images(300, 64, 48), source(300))
    begins = [view.coordinates.flatten(2).amin(dim=2) for view in (first, second)]
    assert (begins[0] - begins[1]).abs().max() == 4
    assert begins[0].amin(dim=0).tolist() == [0, 0] and begins[0].amax(dim=0).tolist() == [48, 32]
    assert (begins[1] >= 0).all() and (begins[1] <= torch.tensor([48, 32])).all()


def test_batch_level_is_drawn_once_and_sample_level_for_each():
    image = coordinate_images(6)
    sizes = set()
    for seed in range(20):
        first, second = Views(**PLAIN, crop=(8, 32)).pair(image, source(6, seed))
        assert first.image.shape == second.image.shape and first.image.shape[2] % 8 == 0
        sizes.add(first.image.shape[2])
        step = first.coordinates[:, :, 1, 0] - first.coordinates[:, :, 0, 0]
        assert step.abs().sum(dim=1).std() < 1e-4  # one zoom
    assert sizes == {8, 16, 24, 32}
    batch = Views(levels=("batch",), crop=(8, 24)).pair(image, source(6, 1))
    assert all(len(view.image.unique(dim=0)) == 1 for view in batch)
    assert not torch.equal(batch[0].coordinates, batch[1].coordinates)
    sample = [Views(levels=("sample",), crop=(16, 32)).pair(image, source(6, s)) for s in range(9)]
    assert {view.image.shape[2] for pair in sample for view in pair} == {16}
    assert all(torch.equal(v.coordinates, v.coordinates.floor()) for pair in sample for v in pair)
    assert all(len(view.image.unique(dim=0)) == 6 for pair in sample for view in pair)
    neither = Views(levels=(), crop=(16, 32)).pair(image, source(6))
    assert torch.equal(neither[0].image, neither[1].image)
    assert torch.equal(neither[0].image, image[:, :, 8:24, 8:24])


@pytest.mark.parametrize(
    ("name", "value"),
    [("gain", 0.1), ("offset", 0.1), ("noise", 0.1), ("clouds", 0.9), ("blur", 0.9)],
)
def test_each_shading_can_be_taken_apart(name, value):
    still = Views(**PLAIN, crop=(1.0, 1.0), zoom=(1.0, 1.0), flip=False, rotate=False)
    image = images(64)
    assert torch.equal(still.pair(image, source(64))[0].image, image)
    view = replace(still, **{name: value}).pair(image, source(64))[0].image
    changed = (view - image).abs()
    assert changed.amax(dim=(1, 2, 3)).gt(1e-3).float().mean() > 0.8
    if name == "gain":
        ratio = (view / image).flatten(2)
        torch.testing.assert_close(ratio.amin(dim=2), ratio.amax(dim=2))
        assert 0.9 <= ratio.min() and ratio.max() <= 1.1 and ratio.mean(dim=2).std() > 0.02
    elif name == "offset":
        assert changed.max() <= 0.1 + 1e-6
    elif name == "noise":
        assert (view - image).std().item() == pytest.approx(0.1, rel=0.02)
    elif name == "clouds":
        covered = (changed.amax(dim=1) > 1e-3).float().mean(dim=(1, 2))
        assert (view >= image - 1e-6).all() and covered[covered > 0].max() < 0.3


def test_bands_are_lost_for_the_whole_batch():
    still = {"crop": (1.0, 1.0), "zoom": (1.0, 1.0), "flip": False, "rotate": False}
    lost = set()
    for seed in range(30):
        for view in Views(**PLAIN, **still, lost_bands=2).pair(images(4), source(4, seed)):
            flat = view.image.flatten(2).std(dim=2) < 1e-6
            assert torch.equal(flat, flat[:1].expand(4, -1))
            lost.add(int(flat[0].sum()))
    assert lost == {0, 1, 2}
    one = Views(**PLAIN, lost_bands=5).pair(images(2, bands=1), source(2))
    assert one[0].image.std() > 0.1


@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.float32])
def test_kinds_of_numbers_stay(kind):
    top = {torch.uint8: 255, torch.int16: 3558}.get(kind, 1)
    image = (images(4) * top).to(kind)
    first, _ = Views().pair(image, source(4))
    assert first.image.dtype == kind
    assert 0.3 < first.image.float().mean() / top < 0.7


@pytest.mark.parametrize("series", [False, True])
def test_two_processes_draw_what_one_draws(series):
    image = torch.rand(6, 5, 2, 24, 24) if series else images(6)
    days = {"days": torch.rand(6, 5)} if series else {}
    whole = Views(lost_bands=1).pair(image, source(6), **days)
    for a, b in ((0, 2), (2, 6)):
        part = {key: value[a:b] for key, value in days.items()}
        halves = Views(lost_bands=1).pair(image[a:b], source(6, 0, a, b), **part)
        for view, half in zip(whole, halves, strict=True):
            torch.testing.assert_close(half.image, view.image[a:b])
            assert torch.equal(half.coordinates, view.coordinates[a:b])


def test_dates_are_apart_where_there_are_enough_and_sorted():
    known = torch.ones(50, 10, dtype=torch.bool)
    known[::2, 7:] = False
    chance = source(50).uniform(10)
    for number in (2, 3, 5, 8, 12):
        pair = choose_dates(known, chance, number)
        for row in range(50):
            there = 7 if row % 2 == 0 else 10
            sets = []
            for dates in pair:
                real = dates[row][dates[row] >= 0].tolist()
                assert real == sorted(set(real)) and max(real) < there
                assert len(real) == min(number, there)
                assert (dates[row][len(real) :] == -1).all()
                sets.append(set(real))
            assert len(sets[0] & sets[1]) == max(0, 2 * len(sets[0]) - there)
    free = choose_dates(known, chance, 5, source(50, 1).uniform(10))
    assert any(set(a.tolist()) & set(b.tolist()) for a, b in zip(*free, strict=True))


def test_dates_left_out_are_black_and_have_no_day():
    series = torch.rand(40, 8, 2, 16, 16) + 0.5
    days = torch.linspace(0, 0.9, 8).expand(40, -1).clone()
    days[:, 6:] = torch.nan
    pair = Views(dates=[3], date_dropout=0.5).pair(series, source(40), days=days)
    for view in pair:
        assert view.image.shape[:2] == (40, 3) and view.days is not None
        gone = view.days.isnan()
        assert 0.2 < gone.float().mean() < 0.6 and not gone.all(dim=1).any()
        assert (view.image[gone] == 0).all() and (
            view.image[~gone].abs().amax(dim=(1, 2, 3)) > 0
        ).all()
        assert not (view.days > 0.7).any()
    shared = (pair[0].days[:, :, None] == pair[1].days[:, None]).any()
    assert not shared
    dates = torch.tensor([[0, 2, -1], [1, -1, -1]])
    image, own = take_dates(series[:2], days[:2], dates)
    assert torch.equal(image[0, 1], series[0, 2]) and own.isnan().tolist() == [
        [False, False, True],
        [False, True, True],
    ]
    assert torch.equal(drop_dates(dates, torch.zeros(2, 3), 0.5), dates.where(
        torch.tensor([[True, True, False], [True, False, False]]), -1
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"crop": (0.0, 1.0)}, "crop is"),
        ({"zoom": (2.0, 1.0)}, "zoom is"),
        ({"zoom": 1.0}, "zoom is 1.0; give a list"),
        ({"blur": 1.0}, "give shares"),
        ({"noise": -0.1}, "give 0 or more"),
        ({"lost_bands": -1}, "lost_bands -1"),
        ({"dates": [0]}, "dates are"),
        ({"levels": ["pixel"]}, "levels"),
    ],
)
def test_options_out_of_range(options, says):
    with pytest.raises(ConfigError, match=says):
        Views(**options)
