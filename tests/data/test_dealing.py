"""Every data set deals its records as it always did, to the last one."""

from __future__ import annotations

import hashlib

import pytest
import torch

from csp_core.data import DATASETS, load_dataset
from csp_core.data.parts import LEFT_OUT
from csp_core.data.splits import Split, deal
from csp_core.errors import ConfigError, CspError
from tests.data import dealt

BLOCKS = {"split_method": "block", "block_degrees": 1.0, "val_fraction": 0.2}
WIDE = BLOCKS | {"test_fraction": 0.3, "buffer_km": 60.0}
SITES = {"split_method": "site", "seed": 3}
TENTH = {"label_fraction": 0.1}
# Data set, options, records in train, val and test, which they were before `Split`, and in words.
BEFORE = [
    ("demo", {}, (320, 40, 40), "4e74dd8ea10cfee0", "random: val 0.1, test 0.1, seed 0"),
    ("demo", SITES, (320, 40, 40), "c63a8bcc27c9e250", "site: val 0.1, test 0.1, seed 3"),
    ("demo", WIDE | {"buffer_km": 150.0}, (172, 80, 120), "ab3b28a89ed31961",
     "block: val 0.2, test 0.3, seed 0"),
    ("demo", TENTH | {"val_fraction": 0.3}, (28, 120, 40), "87ec4065cfb0f8b5",
     "random: val 0.3, test 0.1, seed 0, 0.1 of the labels"),
    ("demo", {"test_fraction": 0.0, "noise": 0.7}, (360, 40, 0), "c8cf4fc6c9b0f941",
     "random: val 0.1, test 0, seed 0"),
    ("eurosat", {}, (77, 12, 31), "d7b0e6920d5602ff",
     "random: val 0.1, test 0.2, blocks of 1°, buffer 0 km, 1 of the labels, seed 0"),
    ("eurosat", SITES, (77, 12, 31), "1af9d98fbb472a1b",
     "site: val 0.1, test 0.2, blocks of 1°, buffer 0 km, 1 of the labels, seed 3"),
    ("eurosat", WIDE, (53, 23, 42), "4df420f9f588e930",
     "block: val 0.2, test 0.3, blocks of 1°, buffer 60 km, 1 of the labels, seed 0"),
    ("eurosat", TENTH, (8, 12, 31), "86dc943e85d16cff",
     "random: val 0.1, test 0.2, blocks of 1°, buffer 0 km, 0.1 of the labels, seed 0"),
    ("eurosat", TENTH | {"label_seed": 5, "buffer_km": 60.0}, (6, 12, 31), "d70e40b0959b1d2d",
     "random: val 0.1, test 0.2, blocks of 1°, buffer 60 km, 0.1 of the labels, seed 0"),
    ("eurosat", {"test_fraction": 0.0}, (100, 12, 8), "3b5bfa169492b465",
     "random: val 0.1, test 0, blocks of 1°, buffer 0 km, 1 of the labels, seed 0"),
    ("fmow", {}, (131, 7, 30), "9a4098d9bf744daa",
     "random: val 0.05 of the published training part, 1 of the labels, seed 0"),
    ("fmow", SITES | {"with_user": True}, (113, 7, 30), "fabfc095f686ea9b",
     "site: val 0.05 of the published training part, 1 of the labels, seed 3"),
    ("fmow", BLOCKS, (109, 29, 30), "1b3e8551c360139c",
     "block: val 0.2 of the published training part, 1 of the labels, seed 0"),
    ("fmow", TENTH, (13, 7, 30), "971a6be49b622399",
     "random: val 0.05 of the published training part, 0.1 of the labels, seed 0"),
    ("inat2018", {}, (131, 7, 30), "9a4098d9bf744daa",
     "random: val 0.05 of the published training part, 1 of the labels, seed 0"),
    ("inat2018", SITES | {"with_user": True}, (114, 6, 30), "c7bf0e088e515899",
     "site: val 0.05 of the published training part, 1 of the labels, seed 3"),
    ("inat2018", BLOCKS, (110, 28, 30), "c4c5346f26a0d31a",
     "block: val 0.2 of the published training part, 1 of the labels, seed 0"),
    ("inat2018", TENTH, (13, 7, 30), "971a6be49b622399",
     "random: val 0.05 of the published training part, 0.1 of the labels, seed 0"),
    ("occurrences", {}, (270, 30, 0), "ac9aeb6a59e40352", "site: val 0.1, test 0, seed 0"),
    ("occurrences", SITES | {"split_method": "recorder", "test_fraction": 0.2}, (135, 38, 127),
     "601ac3c149265399", "recorder: val 0.1, test 0.2, seed 3"),
    ("occurrences", WIDE | {"max_uncertainty_m": 1000.0}, (96, 47, 71), "d725ff2b05c8c901",
     "block, 1°, 60 km buffer: val 0.2, test 0.3, seed 0"),
    ("occurrences", TENTH | {"split_method": "random"}, (28, 30, 0), "e8eedfd4354c13fb",
     "random, 0.1 of the labels: val 0.1, test 0, seed 0"),
    ("occurrences", {"max_per_class": 20, "min_records": 12, "test_fraction": 0.1}, (60, 30, 30),
     "1c2b04e4d357454c", "site, at most 20 of a class: val 0.1, test 0.1, seed 0"),
    ("occurrences", {"label_fraction": 0.5, "max_per_class": 9, "seed": 2, "buffer_km": 30.0},
     (29, 30, 0), "4f309db645d8e3fa",
     "site, 30 km buffer, 0.5 of the labels, at most 9 of a class: val 0.1, test 0, seed 2"),
    ("photos", {}, (38, 6, 16), "f157cbe90b81f41d",
     "random: val 0.1, test 0.2, seed 0"),
    ("photos", SITES, (38, 6, 16), "0ab3465030e42889",
     "site: val 0.1, test 0.2, seed 3"),
    ("photos", WIDE, (23, 12, 22), "523aa89cb569651b",
     "block, 1°, 60 km buffer: val 0.2, test 0.3, seed 0"),
    ("photos", {"label_fraction": 0.2}, (7, 6, 16), "9b44c17295e8250b",
     "random, 0.2 of the labels: val 0.1, test 0.2, seed 0"),
    ("photos", {"without_place": "train", "seed": 4}, (42, 6, 12), "0aee0da850055e2e",
     "random: val 0.1, test 0.2, seed 4"),
    ("photos", {"min_photos": 12, "test_fraction": 0.0}, (43, 5, 4), "ec881f6eb9bc364d",
     "random: val 0.1, test 0, seed 0"),
]  # fmt: skip


@pytest.fixture(scope="module")
def fakes(tmp_path_factory):
    folders = {name: tmp_path_factory.mktemp(name) for name in DATASETS}
    return {n: {"root": make(folders[n]), **more} for n, (make, more) in dealt.FOLDERS.items()}


def columns(dataset) -> list[str]:
    rows = torch.column_stack((dataset.lonlat, dataset.date, dataset.label)).tolist()
    return [str(row) for row in rows]


# A random split leaves little beyond a buffer, and says so.
@pytest.mark.filterwarnings("ignore:.* training records lie within")
@pytest.mark.parametrize(("name", "options", "sizes", "rows", "words"), BEFORE)
def test_records_are_dealt_as_before(fakes, name, options, sizes, rows, words):
    whole = load_dataset(name, "all", **fakes[name], **options)
    number: dict[str, int] = {}
    for row, record in enumerate(columns(whole)):
        number.setdefault(record, row)
    found, told = [], hashlib.sha256()
    for split in ("train", "val", "test"):
        try:
            part = load_dataset(name, split, **fakes[name], **options)
        except ConfigError:
            found.append(0)
            told.update(b"none")
            continue
        found.append(len(part))
        told.update(str([number[record] for record in columns(part)]).encode())
        told.update(str(part.classes.counts).encode())
        assert part.info["split"] == f"{split} of {words}"
    assert (tuple(found), told.hexdigest()[:16]) == (sizes, rows)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"method": "blok"}, "Did you mean 'block'"),
        ({"val": 0.6, "test": 0.4}, "leave some for training"),
        ({"method": "block", "block_degrees": 0.0}, "block_degrees is 0"),
        ({"buffer_km": -1.0}, "buffer_km is -1"),
        ({"label_fraction": 0.0}, "label_fraction is 0"),
        ({"max_per_class": 0}, "max_per_class is 0"),
    ],
)
def test_a_split_refuses_what_does_not_fit_before_anything_is_read(option, told):
    with pytest.raises(CspError, match=told):
        Split(**option)


def test_records_without_a_place_go_where_the_loader_says():
    lonlat = torch.stack((torch.arange(40.0), torch.zeros(40)), dim=1)
    lonlat[::4] = float("nan")
    label, nowhere = torch.arange(40) % 2, lonlat[:, 0].isnan()
    split = Split(val=0.2, test=0.2)
    tested, unused, dealt_too = (
        deal(split, lonlat, label, without_place=where) for where in ("test", "none", "train")
    )
    assert (tested.parts[nowhere] == 2).all() and (unused.parts[nowhere] == LEFT_OUT).all()
    assert torch.equal(tested.parts[~nowhere], unused.parts[~nowhere])
    assert torch.bincount(dealt_too.parts).tolist() == [24, 8, 8]
    first = deal(split, lonlat, label, among=torch.arange(40) < 20)
    assert (first.parts[20:][~nowhere[20:]] == LEFT_OUT).all() and first.near == 0
    with pytest.raises(ConfigError, match="needs split_method='random'"):
        deal(Split("site", test=0.2), lonlat, label, without_place="train")
    with pytest.raises(CspError, match="record"):
        deal(split, lonlat, label, without_place="nowhere")


def test_the_hash_of_a_test_tells_records_and_files():
    lonlat, label = torch.rand(40, 2), torch.arange(40) % 2
    assert deal(Split(), lonlat, label).test_hash(("a", "b"), lonlat, label) == ""
    dealt = deal(Split(test=0.2), lonlat, label)
    files = [f"{row}.jpg" for row in range(40)]
    plain = dealt.test_hash(("a", "b"), lonlat, label)
    moved = lonlat.clone()
    moved[dealt.rows("train")] = 0.5
    assert len(plain) == 64 and dealt.test_hash(("a", "b"), moved, label) == plain
    moved[dealt.rows("test")[0]] = 0.5
    others = [
        dealt.test_hash(("a", "b"), moved, label),
        dealt.test_hash(("a", "c"), lonlat, label),
        dealt.test_hash(("a", "b"), lonlat, label, files=files),
        dealt.test_hash(("a", "b"), lonlat, label, files=files[::-1]),
    ]
    assert len({plain, *others}) == 5
