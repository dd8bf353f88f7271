"""PASTIS as published: series, masks, dates and folds, and patches that do not fit."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
import torch

from csp_core.data import load_dataset
from csp_core.errors import BadRecordError, ConfigError, CspError, DataNotFoundError
from tests.data.sets import pastis

PARTS = ("train", "val", "test")


@pytest.fixture
def root(tmp_path):
    return pastis.make(tmp_path)


def test_series_masks_days_and_places(root):
    pytest.importorskip("pyproj")
    data = load_dataset("pastis", "all", root=root)
    assert len(data) == 20 and len(data.classes) == 19
    assert data.classes.names[:3] == ("Background", "Meadow", "Soft winter wheat")
    for at in (0, 7, 19):
        sample, dates = data[at], pastis.dates_of(at)
        assert sample["image"].shape == (6, 10, 8, 8) and sample["image"].dtype == torch.int16
        assert sample["image"][: len(dates), 1, 0, 0].tolist() == [
            100 * at + step for step in range(len(dates))
        ]
        assert (sample["image"][len(dates) :] == 0).all()
        day = datetime.datetime.strptime(str(dates[1]), "%Y%m%d").timetuple().tm_yday
        assert float(sample["days"][1]) == pytest.approx((day - 1) / 365)
        assert sample["days"].isnan().tolist() == [False] * len(dates) + [True] * (6 - len(dates))
        want = torch.from_numpy(pastis.mask_of(at).astype(np.int64))
        # Void is ignored, background is a class.
        assert torch.equal(sample["mask"], want.masked_fill(want == 19, -1))
        lon, lat = sample["lonlat"].tolist()
        assert -2 < lon < 7 and 44 < lat < 50


def test_folds_are_those_that_were_published(root):
    folds = {
        fold: [load_dataset("pastis", part, root=root, test_fold=fold) for part in PARTS]
        for fold in (1, 5)
    }
    assert [len(part) for part in folds[5]] == [12, 4, 4]
    for fold, (_, val, test) in folds.items():
        before = 5 if fold == 1 else fold - 1
        for part, which in ((val, before), (test, fold)):
            found = {int(part[row]["image"][0, 1, 0, 0]) // 100 % 5 + 1 for row in range(4)}
            assert found == {which}
    train = folds[5][0]
    counted = torch.bincount(train.masks[train.masks >= 0].long(), minlength=19)
    assert train.classes.counts == tuple(counted.tolist())
    assert folds[5][0].test_hash == folds[5][2].test_hash != folds[1][0].test_hash
    assert "published folds, test 5" in train.info["split"]


def test_crops_of_a_patch_stay_together_and_dates_are_spread(root):
    data = load_dataset("pastis", "all", root=root, crop=4, dates=3)
    assert len(data) == 80 and data[0]["image"].shape == (3, 10, 4, 4)
    # Of six dates the first, the middle and the last; rows of the first band tell the window.
    assert data[4 * 2]["image"][:, 1, 0, 0].tolist() == [200, 202, 205]
    assert [int(data[row]["image"][0, 0, 0, 0]) for row in range(4)] == [0, 0, 40, 40]
    assert torch.unique(data[3]["mask"]).tolist() == [-1]
    parts = [load_dataset("pastis", part, root=root, crop=4, split_method="random")
             for part in PARTS]  # fmt: skip
    places = [{tuple(place) for place in part.lonlat.tolist()} for part in parts]
    assert sum(map(len, places)) == 20 and sum(map(len, parts)) == 80


def test_few_masks_are_seen_and_the_others_stay(root):
    options = {"root": root, "label_fraction": 0.25, "label_seed": 1}
    kept = load_dataset("pastis", **options, unlabelled=True, crop=4)
    assert len(kept) == 48
    # A quarter of twelve patches, of whose four crops one is void.
    assert int(kept.labelled().sum()) == 9
    assert (kept.masks[~kept.labelled()] == -1).all()
    alone = load_dataset("pastis", **options, crop=4)
    assert len(alone) == 12 and alone.classes.counts == kept.classes.counts


def test_what_does_not_fit_is_left_out_and_told(root):
    features = [pastis.feature(at) for at in range(20)]
    (root / "DATA_S2" / "S2_10000.npy").write_bytes(b"\x93NUMPY and no more")
    whole = (root / "DATA_S2" / "S2_10001.npy").read_bytes()
    (root / "DATA_S2" / "S2_10001.npy").write_bytes(whole[:-100])
    (root / "ANNOTATIONS" / "TARGET_10002.npy").unlink()
    np.save(root / "DATA_S2" / "S2_10003.npy", np.array([object()]), allow_pickle=True)
    np.save(root / "ANNOTATIONS" / "TARGET_10004.npy", np.full((3, 8, 8), 40, dtype=np.uint8))
    del features[5]["properties"]["dates-S2"]["0"]
    features[6]["properties"]["Fold"] = 9
    shuffled = features[7]["properties"]["dates-S2"]
    shuffled["0"], shuffled["3"] = shuffled["3"], shuffled["0"]
    twice = features[8]["properties"]["dates-S2"]
    twice["1"] = twice["0"]
    del features[9]["properties"]["dates-S2"]
    pastis.write_table(root, features)
    data = load_dataset("pastis", "all", root=root, split_method="random")
    assert len(data) == 12 and data.info["patches_left_out"] == 8
    assert data.info["series_sorted_by_date"] == 1
    assert data.info["dates_seen_before_left_out"] == 1
    first = data[0]["image"][:, 1, 0, 0].tolist()
    assert first[0] == 703 and first[3] == 700
    told = " ".join(map(str, data.info["first_patches_left_out"]))
    assert "S2_10000.npy" in told and "TARGET_10002.npy" in told and "class 40" in told


def test_options_and_folders_that_do_not_fit(root, tmp_path):
    for options, says in (
        ({"test_fold": 6}, "fold from 1 to 5"),
        ({"dates": 1}, "2 dates or more"),
        ({"crop": 3}, "can be divided by"),
        ({"buffer_km": 5.0}, "split_method=block"),
    ):
        with pytest.raises(ConfigError, match=says):
            load_dataset("pastis", root=root, **options)
    with pytest.raises(DataNotFoundError, match=r"No metadata\.geojson"):
        load_dataset("pastis", root=tmp_path / "none")
    (root / "metadata.geojson").write_text('{"features": 5}')
    with pytest.raises(BadRecordError, match="not of the published form"):
        load_dataset("pastis", root=root)
    pastis.write_table(root, [])
    with pytest.raises(CspError, match="the table is empty"):
        load_dataset("pastis", root=root)
