"""The real tiles of Korea: their facts, that no part shares ground with another, few labels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from csp_core.data import load_dataset
from csp_core.data.tiles.footprints import check_ground, footprints
from tests.data.sets import tiles

ROOT = Path(__file__).parents[2].parent / "shared" / "data"
ROOT = Path(os.environ.get("CSP_SHARED_DATA", ROOT)) / "korea_landcover"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not ROOT.is_dir(),
        reason="needs the real data: put it beside the project as ../shared/data, or name its"
        " folder in CSP_SHARED_DATA",
    ),
]
OPTIONS = {"masks": True, "classes": tiles.ALL, "block_crops": 8}
PARTS = ("train", "val", "test")


@pytest.fixture(scope="module")
def every():
    """Keep the crops, so that parts share them."""
    return load_dataset("tiles", "all", root=ROOT, **OPTIONS)


def test_facts_of_the_tiles(every):
    assert every.info["tiles"] == 30 and every.info["tiles_left_out"] == 0
    assert every.info["pairs_of_tiles_that_overlap"] == 34
    assert every.info["most_tiles_joined_by_overlaps"] == 17
    assert every.info["ground_in_tiles"] == 23.1
    # Masks of one ground are equal, on one date and on two.
    assert every.info["crops_of_one_ground_and_other_dates"] == 256
    assert every.info["of_them_with_another_mask"] == 0
    pixels = torch.bincount(every.masks[every.masks >= 0].long(), minlength=5).double()
    shares = dict(zip(every.classes.names, (pixels / pixels.sum()).tolist(), strict=True))
    want = {"background": 0.522, "forest": 0.328, "field": 0.117, "road": 0.026, "building": 0.007}
    assert shares == pytest.approx(want, abs=0.001)
    assert len(every) == 1747 and every.store.array.dtype == torch.uint8


def test_masks_are_those_of_the_files(every):
    import rasterio

    numbers = np.array([next(n for n, name in tiles.ALL.items() if name == one)
                        for one in every.classes.names])  # fmt: skip
    for at in range(0, len(every), 97):
        name, _, corner = every.store.names[at].rpartition("/")
        top, left = map(int, corner.split("_"))
        with rasterio.open(ROOT / "masks" / f"{name}.tif") as file:
            want = file.read(1, window=((max(top, 0), top + 64), (max(left, 0), left + 64)))
            x, y = file.xy(top + 31.5, left + 31.5)
        valid = every.valid[at].numpy()
        assert (numbers[every.masks[at].numpy()[valid].astype(int)] == want.ravel()).all()
        one, _, other, _ = every.footprint[at].tolist()
        assert one < x < other and abs((one + other) / 2 - x) < 1e-6 and y > 3e6


@pytest.mark.parametrize("more", [{"seed": 0}, {"seed": 1}, {"split_method": "lines", "seed": 3}])
def test_no_ground_is_in_two_parts(every, more):
    data = {part: load_dataset("tiles", part, root=ROOT, **OPTIONS, **more) for part in PARTS}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        check_ground(data[one], data[other])
        # 64 pixels of 10 m lie between.
        first, second = (data[part].footprint for part in (one, other))
        low, high = (
            first[:, None, :2] - second[None, :, 2:],
            second[None, :, :2] - first[:, None, 2:],
        )
        assert float(torch.maximum(low, high).amax(dim=2).min()) > 639
    assert all(
        min(shares.values()) > 0.001 for shares in data["train"].info["pixel_shares"].values()
    )
    assert bool((footprints(data["test"])[:, 0] > 126).all())


@pytest.mark.parametrize("number", [4, 16, 64])
@pytest.mark.parametrize("seed", range(3))
def test_few_labels_hold_every_class(every, number, seed):
    few = {**OPTIONS, "labels": number, "label_seed": seed, "unlabelled": True}
    data = load_dataset("tiles", root=ROOT, **few)
    assert min(data.classes.counts) > 0 and 4 * number <= int(data.labelled().sum())
    assert len(data) == len(load_dataset("tiles", root=ROOT, **OPTIONS))


def test_another_name_of_the_folder_changes_nothing(every, tmp_path):
    (tmp_path / "images").symlink_to(ROOT / "images")
    (tmp_path / "masks").symlink_to(ROOT / "masks")
    again = load_dataset("tiles", "all", root=tmp_path, **OPTIONS)
    assert again.content_hash() == every.content_hash() and again.test_hash == every.test_hash
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "images").symlink_to(ROOT / "images")
    alone = load_dataset("tiles", root=bare, masks=True, unlabelled=True)
    assert not alone.labelled().any() and alone.classes.names == ()
