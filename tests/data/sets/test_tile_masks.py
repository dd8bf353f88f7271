"""Tiles with masks: pixels are those of the ground, parts share none of it, labels are blocks."""

from __future__ import annotations

import pytest
import torch

from csp_core.data import collate, load_dataset
from csp_core.data.records import join_records
from csp_core.data.sets.facts import facts_of
from csp_core.data.tiles.footprints import check_ground, footprints, share_ground
from csp_core.data.tiles.ground import (
    blocks_of,
)
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from tests.data.sets import tiles
from tests.data.sets.tiles import load

PARTS = ("train", "val", "test")
CLASSES = tiles.ALL
NAMES = tuple(sorted(CLASSES.values()))
NUMBERS = torch.tensor([next(n for n, name in CLASSES.items() if name == one) for one in NAMES])


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    return tiles.masked(tmp_path_factory.mktemp("tiles"))


def corners(data):
    """Give the row and column of each crop on the ground of the fake."""
    left, _, _, top = data.footprint.unbind(1)
    row, column = (tiles.TOP - top) / tiles.PIXEL, (left - tiles.LEFT) / tiles.PIXEL
    return torch.stack((row, column), dim=1).round().long()


# What a crop holds


def test_masks_and_pixels_are_those_of_the_ground(options):
    data = load(options)
    ground = torch.from_numpy(tiles.ground()).long()
    ground = torch.nn.functional.pad(ground, (16, 0, 16, 0), value=-1)
    assert data.classes.names == NAMES and data.valid is not None
    assert (data.label == -1).all() and data.labels is None and data.labelled().all()
    assert 0.5 <= float(data.valid.float().mean(dim=(1, 2)).min()) < 1
    for at, (row, column) in enumerate(corners(data).tolist()):
        sample = data[at]
        want = ground[row + 16 : row + 32, column + 16 : column + 32]
        assert sample["mask"].dtype == torch.int64 and sample["valid"].dtype == torch.bool
        valid = sample["valid"]
        assert torch.equal(NUMBERS[sample["mask"][valid]], want[valid])
        assert (sample["mask"][~valid] == -1).all()
        assert torch.equal(sample["image"][0].long()[valid], want[valid])
        # What lies beyond a tile is mirrored, so that its values are those of the ground.
        assert set(sample["image"][0].unique().tolist()) <= set(CLASSES)


def test_ground_is_counted_once_a_day(options):
    data = load(options)
    days = ((data.date * 365).nan_to_num(nan=-1).round()).tolist()
    places = [(*corner, day) for corner, day in zip(corners(data).tolist(), days, strict=True)]
    assert len(set(places)) == len(places)
    assert data.info["crops_of_one_ground_and_date_left_out"] > 0
    assert data.info["of_them_with_another_mask"] == 0
    train = load(options, "train")
    assert sum(train.classes.counts) == int((train.masks >= 0).sum())


def test_batches_hold_masks(options):
    data = load(options)
    one, many = collate([data[at] for at in (0, 3, 1)]), data.__getitems__([0, 3, 1])
    assert set(one) == set(many) >= {"mask", "valid", "image"}
    for key in one:
        torch.testing.assert_close(one[key], many[key], rtol=0, atol=0, equal_nan=True)


def test_whole_crops_alone_have_data_everywhere(options):
    data = load(options, min_valid=1.0)
    assert data.valid is None and "valid" not in data[0] and len(data) < len(load(options))


def test_masks_are_part_of_the_hash(options):
    data = load(options)
    assert data.content_hash() == load(options).content_hash()
    swapped = dict(zip(CLASSES, reversed(CLASSES.values()), strict=True))
    other = load(options, classes=swapped)
    assert other.classes.names == NAMES and other.content_hash() != data.content_hash()
    assert other.test_hash != data.test_hash


def test_two_parts_are_joined(options):
    train, val = (load(options, part) for part in ("train", "val"))
    both = join_records(train, val)
    assert len(both) == len(both.masks) == len(both.footprint) == len(train) + len(val)
    found = torch.bincount(both.masks[both.masks >= 0].long(), minlength=len(NAMES))
    assert list(both.classes.counts) == found.tolist()
    assert torch.equal(both[len(train)]["mask"], val[0]["mask"])


# Parts


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("method", ["block", "lines", "random"])
def test_no_ground_is_in_two_parts_and_a_gap_lies_between(options, method, seed):
    more = {"split_method": method, "seed": seed, "gap": 0 if method == "random" else 1}
    data = {part: load(options, part, **more) for part in PARTS}
    for one in PARTS:
        for other in PARTS:
            if one != other:
                assert not share_ground(data[one], data[other]).any()
                check_ground(data[one], data[other])
                between = (corners(data[one])[:, None] - corners(data[other])[None]).abs().amax(2)
                assert int(between.min()) >= 16 * (1 + more["gap"])
    assert data["train"].info["overlaps_between_parts"] == 0
    assert set(data["train"].info["pixel_shares"]) == set(PARTS)


def test_what_learns_without_labels_never_sees_ground_of_the_test(options):
    few = {"labels": 3, "unlabelled": True, "split_method": "lines"}
    learned, test = load(options, "train", **few), load(options, "test", **few)
    assert int(learned.labelled().sum()) < len(learned)
    check_ground(learned, test)
    # The labels of another seed are on its ground.
    other = load(options, "train", split_method="lines", seed=3)
    with pytest.raises(ConfigError, match=r"records show ground of the .* that are held out"):
        check_ground(other, test)
    west, south, east, north = footprints(test).unbind(1)
    lon, lat = test.lonlat.double().unbind(1)
    assert bool(((west < lon) & (lon < east) & (south < lat) & (lat < north)).all())


def test_footprints_of_other_records_are_their_places(options):
    demo, test = load_dataset("demo", size=50, images=False), load(options, "test")
    assert not share_ground(demo, test).any() and footprints(demo).shape == (len(demo), 4)
    place = torch.tensor([footprints(test)[0, :2].tolist()]) + 1e-4
    near = type(demo)(place.float(), torch.tensor([-1]), demo.classes)
    assert share_ground(near, test).tolist() == [True]


@pytest.mark.parametrize("seed", range(4))
def test_blocks_are_labelled_as_a_whole_with_every_class(options, seed):
    few = {"labels": 3, "label_seed": seed, "unlabelled": True, "gap": 0}
    full, kept = load(options, "train", gap=0), load(options, "train", **few)
    alone = load(options, "train", **few | {"unlabelled": False})
    seen = kept.labelled()
    assert len(kept) == len(full) and len(alone) == int(seen.sum()) > 0
    assert min(kept.classes.counts) > 0 and kept.classes == alone.classes
    assert torch.equal(kept.masks[seen], full.masks[seen]) and (kept.masks[~seen] == -1).all()
    blocks = blocks_of(kept.store.cells[kept.rows], 2)
    chosen = set(blocks[seen].tolist())
    assert len(chosen) == 3
    assert all(bool(seen[blocks == block].all()) for block in chosen)
    more = load(options, "train", **few | {"labels": 5})
    assert bool((more.labelled() | ~seen).all())
    assert load(options, "test", **few).test_hash == load(options, "test", gap=0).test_hash
    half = load(options, "train", label_fraction=0.5, label_seed=seed, gap=0)
    assert len(alone) < len(half) < len(full)


@pytest.mark.filterwarnings("ignore:.* training records lie within")
@pytest.mark.parametrize(
    "more",
    [
        {"labels": 3}, {"labels": 3, "label_seed": 5}, {"label_fraction": 0.5}, {"buffer_km": 0.3},
        {"labels": 3, "label_crops": 1}, {"labels": 3, "unlabelled": True},
    ],
)  # fmt: skip
def test_what_is_said_to_keep_the_test_keeps_it_with_masks(options, more):
    assert set(more) <= facts_of("tiles").keeps_test and facts_of("tiles").masks
    before, after = load(options, "test", gap=0), load(options, "test", gap=0, **more)
    assert before.test_hash == after.test_hash and torch.equal(before.masks, after.masks)
    assert load(options, "test", gap=0, seed=4).test_hash != before.test_hash


def test_too_few_labels_say_how_many_are_needed(options):
    with pytest.raises(BadRecordError, match=r"500 blocks are to be .*2 × 2 crops are lea"):
        load(options, "train", labels=500, gap=0)
    with pytest.raises(BadRecordError, match=r"leave .* empty .*gap of 9"):
        load(options, "train", gap=9)


# Masks for some, or none


def test_masks_for_some(options, tmp_path):
    root = tiles.make(tmp_path)
    for name in ("202309_b", "202412_f"):
        (root / "masks" / f"{name}.tif").unlink()
    given = options | {"root": root, "gap": 0}
    every = load(given)
    assert every.info["images_without_a_mask"] == 2 and not every.labelled().all()
    bare, train = (load(given, "train", unlabelled=flag) for flag in (False, True))
    assert len(train) > len(bare) == int(train.labelled().sum())
    assert (
        0
        < int((~train.labelled()).sum())
        == int((~every.labelled()).sum()) - (train.info["left_out_with_block"])
    )
    for part in ("val", "test"):
        held_out = load(given, part, unlabelled=True)
        assert held_out.labelled().all()
        check_ground(train, held_out)
        assert held_out.test_hash == load(given, part).test_hash
    with pytest.raises(DataNotFoundError, match=r"2 of 7 images have no mask.*unlabelled: true"):
        load(given, masks=False)
    sets = load(given, "train", masks=False, unlabelled=True)
    assert 0 < int(sets.labelled().sum()) < len(sets)


@pytest.mark.parametrize("masks", [True, False])
def test_tiles_without_any_mask_are_pictures_of_ground(options, tmp_path, masks):
    root = tiles.make(tmp_path)
    for path in (root / "masks").iterdir():
        path.unlink()
    given = options | {"root": root, "classes": None, "masks": masks, "unlabelled": True}
    data = {part: load(given, part) for part in PARTS}
    assert not any(part.labelled().any() for part in data.values())
    assert data["train"].classes.names == () and data["train"][0]["image"].shape == (3, 16, 16)
    check_ground(data["train"], data["test"])
