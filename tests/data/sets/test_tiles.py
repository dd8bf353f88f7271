"""Tiles cut into crops: their label sets, places and dates, and that no two parts overlap."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from csp_core.data import load_dataset
from csp_core.data.labels import few_sets
from csp_core.data.tiles.ground import overlapping_pairs, overlaps
from csp_core.errors import BadRecordError, ConfigError, CspError, DataNotFoundError
from tests.data.sets import tiles

REAL = Path(__file__).parents[4] / "shared" / "data" / "korea_landcover"
PARTS = ("train", "val", "test")


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    return tiles.options(tmp_path_factory.mktemp("tiles"))


def ground_of(data, zone="EPSG:32652"):
    """Give the middle of each crop on the ground, in metres."""
    pyproj = pytest.importorskip("pyproj")
    to_ground = pyproj.Transformer.from_crs("EPSG:4326", zone, always_xy=True)
    return np.stack(to_ground.transform(*data.lonlat.double().numpy().T), axis=1)


def apart(first, second, side):
    """Tell whether no square of the one overlaps one of the other; float32 places are 1 m off."""
    return not (np.abs(first[:, None] - second[None]) < side - 3).all(axis=2).any()


def test_label_sets_places_and_pixels_are_those_of_the_ground(options):
    data = load_dataset("tiles", "all", **options)
    assert data.classes.names == ("building", "field", "forest", "road")
    ground = tiles.ground()
    for (x, y), sets, at in zip(ground_of(data), data.labels, range(len(data)), strict=True):
        row = round((tiles.TOP - y) / tiles.PIXEL - 4)
        column = round((x - tiles.LEFT) / tiles.PIXEL - 4)
        mask = ground[row : row + 8, column : column + 8]
        assert mask.shape == (8, 8)
        assert torch.equal(data[at]["image"][0], torch.from_numpy(mask))
        want = [int((mask == number).mean() >= 0.01) for number in (10, 50, 70, 30)]
        assert sets.tolist() == want
    assert (data.label == -1).all() and data[0]["image"].dtype == torch.uint8
    known = ~data.date.isnan()
    days = torch.unique((data.date[known] * 365).round())
    # 15 September and 15 December; a tile without a month has no date.
    assert set(days.tolist()) <= {257.0, 258.0, 348.0, 349.0} and len(days) == 2
    assert int((~known).sum()) > 0 and "6 of 7 tiles" in str(data.info["dates"])


def test_a_class_counts_from_the_part_that_it_covers(options):
    some, more = (
        load_dataset("tiles", "all", **options | {"crop": 16, "min_cover": cover})
        for cover in (0.01, 0.4)
    )
    assert len(some) == len(more)
    assert (more.labels <= some.labels).all() and more.labels.sum() < some.labels.sum()


@pytest.mark.parametrize("method", ["block", "random"])
@pytest.mark.parametrize("seed", range(3))
def test_no_crops_of_different_parts_overlap(options, method, seed):
    data = [load_dataset("tiles", part, **options, split_method=method, seed=seed)
            for part in PARTS]  # fmt: skip
    where = [ground_of(part) for part in data]
    for one in range(3):
        for other in range(one):
            assert apart(where[one], where[other], 80)
    assert data[0].info["overlaps_between_parts"] == 0
    # Some crops are of one ground on two dates, and these are in one part.
    assert data[0].info["crops_of_one_ground_and_other_dates"] > 20
    assert data[0].info["of_them_with_another_mask"] == 0
    assert data[0].info["crops_of_one_ground_and_date_left_out"] > 0
    assert data[0].info["pairs_of_tiles_that_overlap"] >= 4


@pytest.mark.parametrize("seed", range(5))
def test_overlaps_are_counted_as_pair_by_pair(seed):
    chance = np.random.default_rng(seed)
    places = np.concatenate((chance.integers(-9, 9, (60, 2)), chance.integers(1, 6, (60, 2))), 1)
    top, left, height, width = places.T
    meet = (top[:, None] < top + height) & (top < (top + height)[:, None])
    meet &= (left[:, None] < left + width) & (left < (left + width)[:, None])
    wanted = (int(meet.sum()) - len(places)) // 2
    assert overlapping_pairs([tuple(row) for row in places.tolist()]) == wanted > 0
    cells = torch.from_numpy(chance.integers(0, 5, (200, 2)))
    parts = torch.from_numpy(chance.integers(-1, 3, 200))
    same = (cells[:, None] == cells).all(dim=2) & (parts[:, None] != parts)
    same &= (parts >= 0)[:, None] & (parts >= 0)
    assert overlaps(cells, parts) == int(same.sum()) // 2 > 0


def test_tens_of_thousands_of_crops_are_counted():
    number = 64_000
    # All of one ground, in two parts: pair by pair these would be 4 billion.
    cells, parts = torch.zeros(number, 2, dtype=torch.int64), torch.arange(number) % 2
    assert overlaps(cells, parts) == (number // 2) ** 2
    cells[:, 0] = torch.arange(number)
    assert overlaps(cells, parts) == 0
    assert overlapping_pairs([(0, 10 * row, 5, 11) for row in range(number)]) == number - 1


def test_tiles_that_overlap_share_no_ground_between_parts_but_would_by_tile(options):
    every = load_dataset("tiles", "all", **options)
    where = ground_of(every)
    # Had one tile gone to another part, its crops would have met those of its neighbour.
    assert not apart(where[:30], where[-30:], 80) or not apart(where[:60], where[60:], 80)


def test_a_buffer_keeps_training_away(options):
    near = load_dataset("tiles", "train", **options)
    assert near.info["split"] == "train of block, 2 crops a side: val 0.2, test 0.2, seed 0"
    with pytest.warns(UserWarning, match="held out by the 'block' split"):
        far = load_dataset("tiles", "train", **options, buffer_km=0.09)
    test = ground_of(load_dataset("tiles", "test", **options))
    assert 0 < len(far) < len(near) and far.info["left_out_by_buffer"] > 0
    gaps = np.linalg.norm(ground_of(far)[:, None] - test[None], axis=2)
    assert gaps.min() > 88


@pytest.mark.parametrize("seed", range(5))
def test_few_labels_hold_each_class_twice_and_the_others_stay(options, seed):
    few = {"labels": 12, "label_seed": seed}
    full, kept, alone = (
        load_dataset("tiles", **options, **more) for more in ({}, few | {"unlabelled": True}, few)
    )
    seen = kept.labelled()
    assert int(seen.sum()) == 12 == len(alone) and min(kept.classes.counts) >= 2
    assert torch.equal(kept.labels[seen], full.labels[seen]) and (kept.labels[~seen] == -1).all()
    assert torch.equal(kept.lonlat, full.lonlat) and torch.equal(alone.labels, kept.labels[seen])
    assert kept.classes.counts == tuple((kept.labels == 1).sum(dim=0).tolist())
    test = load_dataset("tiles", "test", **options, **few, unlabelled=True)
    assert test.labelled().all() and test.test_hash == full.test_hash
    part = load_dataset("tiles", **options, label_fraction=0.1, label_seed=seed)
    assert len(part) == round(0.1 * len(full))


def test_few_label_sets_say_which_class_is_in_too_few():
    sets = torch.zeros((30, 3), dtype=torch.int8)
    sets[:, 0], sets[:2, 1], sets[4, 2] = 1, 1, 1
    with pytest.raises(BadRecordError, match=r"2 training records of each class.*'c' is in 1"):
        few_sets(sets, 10, names=("a", "b", "c"))
    sets[9, 2] = 1
    assert few_sets(sets, 4, seed=1).tolist() == [0, 1, 4, 9]
    with pytest.raises(ConfigError, match=r"Fewer labels than classes need: 3 labels.*give 4"):
        few_sets(sets, 3)
    with pytest.raises(BadRecordError, match="31 labels of 30"):
        few_sets(sets, 31)
    sets[5] = -1
    assert 5 not in few_sets(sets, 29).tolist()


def broken(folder, name="202309_a", **more):
    """Write a folder of two tiles, and give one of its masks another form."""
    tiles.pair(folder, "202309_a", 0, 0)
    tiles.pair(folder, "202309_b", 0, 64)
    mask = more.pop("mask", np.full((1, 64, 64), 10, dtype=np.uint8))
    tiles.write(folder / "masks" / f"{name}.tif", mask, 0, more.pop("column", 0), **more)
    return folder


LOAD = {"crop": 8, "classes": tiles.CLASSES, "ignored": [100]}
BAD = {
    "no mask": (
        lambda root: (root / "masks" / "202309_b.tif").unlink(),
        DataNotFoundError,
        r"1 of 2 images have no mask .*202309_b\.tif",
    ),
    "no image": (
        lambda root: [path.unlink() for path in (root / "images").glob("*")],
        DataNotFoundError,
        "No images/",
    ),
    "size": (
        lambda root: broken(root, mask=np.full((1, 32, 64), 10, dtype=np.uint8)),
        BadRecordError,
        "64 × 32 pixels, but its image has 64 × 64",
    ),
    "crs": (lambda root: broken(root, crs="EPSG:32651"), BadRecordError, "its CRS is EPSG:32651"),
    "place": (lambda root: broken(root, column=3), BadRecordError, "elsewhere on the ground"),
    "bands": (
        lambda root: broken(root, mask=np.full((2, 64, 64), 10, dtype=np.uint8)),
        BadRecordError,
        "a mask of 2 bands",
    ),
    "kind": (
        lambda root: broken(root, mask=np.full((1, 64, 64), 10, dtype=np.float32)),
        BadRecordError,
        "of float32; give one of whole numbers",
    ),
    "numbers": (
        lambda root: broken(root, mask=np.full((1, 64, 64), 11, dtype=np.uint8)),
        BadRecordError,
        "labels do not match: 11 is neither in classes nor ignored",
    ),
    "all damaged": (
        lambda root: [path.write_bytes(b"II*\0 no") for path in (root / "masks").glob("*")],
        BadRecordError,
        "No tile of 2 can be read; the first: .*cut short or damaged",
    ),
    "between": (
        lambda root: _shifted(root),
        BadRecordError,
        r"its pixels lie between those of 202309_a\.tif",
    ),
    "other crs": (
        lambda root: tiles.pair(root, "202309_x", 0, 0, crs="EPSG:32651"),
        BadRecordError,
        "its reference system or the size of its pixels",
    ),
    "no crs": (
        lambda root: [tiles.pair(root, f"202309_{n}", 0, 0, crs=None) for n in "ab"],
        BadRecordError,
        "no grid on the ground",
    ),
    "16 bits": (
        lambda root: tiles.write(
            root / "images" / "202309_a.tif", np.ones((3, 64, 64), dtype=np.uint16), 0, 0
        ),
        BadRecordError,
        r"202309_b\.tif: uint8 values, but 202309_a\.tif has uint16; give one kind",
    ),
    "fewer bands": (
        lambda root: tiles.write(
            root / "images" / "202309_b.tif", np.ones((1, 64, 64), dtype=np.uint8), 0, 64
        ),
        BadRecordError,
        r"1 bands, but 202309_a\.tif has 3",
    ),
    "no data": (
        lambda root: (
            [tiles.pair(root, f"202309_{n}", 0, 64 * (n == "b"), nodata=10) for n in "ab"]
            and [_empty(root, n) for n in "ab"]
        ),
        BadRecordError,
        "No crop of 8 pixels is left of 2 tiles: 128 have pixels without data",
    ),
}


def _shifted(root):
    from rasterio import Affine

    grid = Affine(10, 0, tiles.LEFT + 5, 0, -10, tiles.TOP)
    tiles.pair(root, "202309_x", 0, 0, transform=grid)


def _empty(root, name):
    column = 64 * (name == "b")
    values = np.full((1, 64, 64), 200, dtype=np.uint8)
    tiles.write(root / "masks" / f"202309_{name}.tif", values, 0, column, nodata=200)


@pytest.mark.parametrize("case", BAD)
def test_folders_that_do_not_fit(tmp_path, case):
    change, error, match = BAD[case]
    broken(tmp_path)
    change(tmp_path)
    with pytest.raises(error, match=match) as caught:
        load_dataset("tiles", "all", root=tmp_path, **LOAD)
    assert isinstance(caught.value, CspError) and "\n" not in str(caught.value)


def test_pixels_without_data_leave_crops_out(tmp_path):
    root = tiles.make(tmp_path)
    whole = load_dataset("tiles", "all", root=root, **LOAD)
    mask = tiles.ground()[:64, :64].copy()
    mask[3, 3] = 255
    tiles.write(root / "masks" / "202309_a.tif", mask[None], 0, 0, nodata=255)
    holed = load_dataset("tiles", "all", root=root, **LOAD)
    assert holed.info["crops_with_holes_left_out"] == 1 and len(holed) == len(whole) - 1


@pytest.mark.parametrize(("kind", "code"), [("int16", -9999), ("float32", -9999.0)])
def test_a_number_for_no_data_that_is_not_declared_is_none(tmp_path, kind, code):
    root = tiles.make(tmp_path)

    def told(value, **more):
        for name, row, column in tiles.TILES:
            mask = tiles.ground()[row : row + 64, column : column + 64]
            image = np.stack([mask, mask + 1, mask // 2]).astype(kind)
            if name == "202309_a":
                image[:, 3, 3] = value
            tiles.write(root / "images" / f"{name}.tif", image, row, column, **more)
        return load_dataset("tiles", "all", root=root, **LOAD)

    found, declared = told(code), told(code, nodata=code)
    assert found.info["images_with_no_data_undeclared"] == 1
    assert declared.info["images_with_no_data_undeclared"] == 0
    assert found.info["crops_with_holes_left_out"] == 1
    assert found.info["crops_with_holes_left_out"] == declared.info["crops_with_holes_left_out"]
    assert len(found) == len(declared) and float(found[0]["image"].min()) >= 0
    assert told(5).info["images_with_no_data_undeclared"] == 0


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"classes": None}, "give classes their names"),
        ({"classes": {"a": "b"}}, "give whole numbers of the masks"),
        ({"classes": {10: "a", 30: "a"}}, "each class a name of its own"),
        ({"ignored": [10]}, "give each number once"),
        ({"crop": 4}, "at least 8 pixels"),
        ({"min_cover": 0.0}, r"parts in \(0, 1\]"),
        ({"masks": True, "min_valid": 1.5}, r"min_valid 1\.5; give .*parts in \(0, 1\]"),
        ({"block_crops": 0}, "block_crops is 0"),
        ({"gap": -1}, "a gap of 0 or more"),
        ({"masks": True, "label_crops": 0}, "label_crops 0"),
        ({"bands": []}, "give numbers from 1"),
        ({"bands": [1, "red"]}, "give numbers from 1"),
        ({"classes": {10: {"name": "a", "color": "#ffffff"}}}, "give a name, or"),
        ({"classes": {10: {"name": "a", "colour": "red"}}}, "one such as #1f7a3d"),
        ({"classes": {10: "a", "10": "b"}}, "10 twice"),
        ({"classes": {10**7: "a"}}, "up to 1,000,000"),
        ({"split_method": "lines", "val_fraction": 0.6, "test_fraction": 0.5}, "leave some"),
        ({"root": None}, "needs root"),
    ],
)
def test_options_that_do_not_fit(options, more, match):
    with pytest.raises(ConfigError, match=match):
        load_dataset("tiles", **options | more)


def test_classes_may_come_from_json(options):
    kept = json.loads(json.dumps({"classes": tiles.CLASSES}))
    one, two = (load_dataset("tiles", **options | more) for more in ({}, kept))
    assert one.content_hash() == two.content_hash()


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the tiles of Korea are not in ../shared/data")
def test_the_tiles_of_korea():
    options = {"root": REAL, "classes": tiles.CLASSES, "ignored": [100]}
    every = load_dataset("tiles", "all", **options)
    assert len(every) == 1402 and every.info["of_them_with_another_mask"] == 0
    shares = dict(zip(every.classes.names, (every.labels == 1).double().mean(dim=0), strict=True))
    assert shares["building"] == pytest.approx(0.21, abs=0.01)
    assert shares["road"] == pytest.approx(0.48, abs=0.01)
    where = [ground_of(load_dataset("tiles", part, **options)) for part in PARTS]
    assert apart(where[0], where[1], 640) and apart(where[0], where[2], 640)
    few = load_dataset("tiles", **options, labels=20, unlabelled=True)
    assert min(few.classes.counts) >= 2 and int(few.labelled().sum()) == 20
