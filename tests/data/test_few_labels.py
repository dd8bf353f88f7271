"""Few labels are drawn evenly; the other training records stay without, if they are asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from csp_core.data import load_dataset
from csp_core.data.labels import balanced
from csp_core.data.parts import LEFT_OUT
from csp_core.data.splits import Split, deal
from csp_core.errors import BadRecordError, ConfigError
from csp_core.geo import cell_ids, nearest_km, sphere_points
from tests.data import dealt
from tests.data.sets import photos

# Data set to a number of labels that its fake has enough records for, and to its classes.
FAKES = {"demo": (24, 24), "eurosat": (12, 3), "photos": (8, 4)}
PUBLISHED = ("fmow", "inat2018")
DRAWS = {"labels": 8, "unlabelled": True}


@pytest.fixture(scope="module")
def fakes(tmp_path_factory):
    folders = {name: tmp_path_factory.mktemp(name) for name in (*FAKES, *PUBLISHED)}
    found = {n: dealt.FOLDERS[n] for n in folders}
    return {n: {"root": make(folders[n]), **more} for n, (make, more) in found.items()}


def places(n: int, seed: int = 0) -> torch.Tensor:
    return sphere_points(torch.rand(n, 2, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("seed", range(5))
def test_labels_are_shared_out_evenly_and_more_hold_fewer(seed):
    label = torch.arange(400) % 10 - 1
    few, more = (set(balanced(label, n, 9, seed).tolist()) for n in (9, 36))
    assert few < more and len(few) == 9 and len(more) == 36
    for rows, each in ((few, 1), (more, 4)):
        assert torch.bincount(label[sorted(rows)], minlength=9).tolist() == [each] * 9
    assert few != set(balanced(label, 9, 9, seed + 1).tolist())


@pytest.mark.parametrize("name", sorted(FAKES))
def test_those_unseen_stay_and_nothing_else_changes(fakes, name):
    number, classes = FAKES[name]
    full, few, kept = (
        {part: load_dataset(name, part, **fakes[name], **more) for part in ("train", "val", "test")}
        for more in ({}, {"labels": number}, {"labels": number, "unlabelled": True})
    )
    seen = kept["train"].labelled()
    assert int(seen.sum()) == number == len(few["train"])
    assert torch.equal(kept["train"].lonlat, full["train"].lonlat)
    assert torch.equal(kept["train"].lonlat[seen], few["train"].lonlat)
    assert torch.equal(kept["train"].label[seen], few["train"].label)
    assert torch.equal(kept["train"].label[seen], full["train"].label[seen])
    assert (kept["train"].label[~seen] == -1).all() and len(seen) > number
    for part, data in kept.items():
        assert data.classes.counts == (number // classes,) * classes == few[part].classes.counts
        if part != "train":
            assert data.content_hash() == full[part].content_hash()
        assert data.test_hash == full[part].test_hash
    assert f"{number} labels, the others unseen" in str(kept["val"].info["split"])
    every = load_dataset(name, "all", **fakes[name], labels=number, unlabelled=True)
    left = sum(int((~data.labelled()).sum()) for data in kept.values())
    assert int((~every.labelled()).sum()) == left


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_records_without_a_label_are_trained_on_alone(fakes, name):
    data = {part: load_dataset(name, part, **fakes[name], labels=8, unlabelled=True)
            for part in ("train", "val", "test")}  # fmt: skip
    assert int(data["train"].labelled().sum()) == 8 and len(data["train"]) > 100
    assert data["val"].labelled().all() and data["val"].classes.counts == (2, 2, 2, 2)
    plain = load_dataset(name, "test", **fakes[name])
    assert data["test"].content_hash() == plain.content_hash()


def test_a_part_of_the_labels_leaves_the_others_unseen_too(fakes):
    few, kept = (
        load_dataset("eurosat", **fakes["eurosat"], label_fraction=0.2, label_seed=3, unlabelled=on)
        for on in (False, True)
    )
    assert torch.equal(kept.label[kept.labelled()], few.label)
    assert kept.classes.counts == few.classes.counts and len(kept) > 2 * len(few)


def test_draws_differ_by_the_seed_of_labels_alone(fakes):
    drawn = [load_dataset("demo", **fakes["demo"], labels=24, unlabelled=True, label_seed=seed)
             for seed in range(5)]  # fmt: skip
    assert len({str(data.label.tolist()) for data in drawn}) == 5
    assert len({str(data.lonlat.tolist()) for data in drawn}) == 1


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"labels": 2}, ConfigError, "Fewer labels than classes: 2 labels for 3 classes; give 3"),
        ({"labels": 7}, ConfigError, "cannot be shared out evenly among 3 classes; give 6 or 9"),
        ({"labels": 0}, ConfigError, "labels is 0; give as many"),
        ({"labels": 300}, BadRecordError, r"100 of each, but 3 have fewer.*'Forest' has \d+"),
        ({"labels": 6, "label_fraction": 0.5}, ConfigError, "label_fraction or max_per_class"),
        ({"unlabelled": True}, ConfigError, "unlabelled is on, but each of the 77 training"),
    ],
)
def test_numbers_that_do_not_fit(fakes, options, error, match):
    with pytest.raises(error, match=match):
        load_dataset("eurosat", **fakes["eurosat"], **options)


def test_a_class_without_a_record_left_is_named():
    label = torch.tensor([0] * 20 + [1] * 2)
    how = Split("random", val=0.0, labels=4, keep_unlabelled=True)
    with pytest.raises(BadRecordError, match="Every training record of 'Zus' is labelled"):
        deal(how, places(22), label, names=("Aus", "Zus"))
    # A record whose label nobody knows may be of that class.
    assert deal(how, places(23), torch.cat((label, torch.tensor([-1])))).labelled.sum() == 4
    with pytest.raises(BadRecordError, match=r"3 labels for 3 classes need .*'Eus' has 0"):
        deal(Split(val=0.0, labels=3), places(22), label, names=("Aus", "Zus", "Eus"))


@pytest.mark.parametrize("method", ["random", "site", "block"])
def test_records_without_a_label_keep_away_from_those_held_out(method):
    lonlat, label = places(300), torch.arange(300) % 3
    lonlat[200:] = lonlat[:100] + torch.tensor([0.0, 0.001]) * (lonlat[:100, 1:] < 80)
    lonlat[5], lonlat[250] = float("nan"), float("nan")
    label[200:] = -1
    how = {"val": 0.2, "test": 0.2, "block_degrees": 20.0, "buffer_km": 50.0, "seed": 4}
    plain = deal(Split(method, **how), lonlat[:200], label[:200])
    kept = deal(Split(method, **how, keep_unlabelled=True), lonlat, label)
    assert torch.equal(kept.parts[:200], plain.parts) and not kept.labelled[200:].any()
    assert set(kept.parts[200:].tolist()) == {0, LEFT_OUT} and kept.parts[250] == LEFT_OUT
    held = lonlat[(kept.parts > 0) & ~lonlat.isnan().any(dim=1)]
    assert nearest_km(lonlat[kept.parts == 0], held).min() > 50
    if method == "block":
        cells = cell_ids(lonlat, 20.0)
        assert not torch.isin(cells[kept.parts == 0], cells[kept.parts > 0]).any()


def test_what_is_left_out_with_a_block_is_told_apart_from_what_the_buffer_leaves_out():
    lonlat = torch.rand(300, 2, generator=torch.Generator().manual_seed(1)) * 20
    label = torch.arange(300) % 3
    label[200:] = -1
    how = {"val": 0.2, "test": 0.2, "block_degrees": 2.0, "keep_unlabelled": True, "labels": 6}
    cells = cell_ids(lonlat, 2.0)
    for buffer_km in (0.0, 60.0):
        dealt = deal(Split("block", buffer_km=buffer_km, **how), lonlat, label)
        shared = torch.isin(cells, cells[dealt.parts > 0]) & (label < 0)
        gone = dealt.parts == LEFT_OUT
        assert dealt.beside == int(shared.sum()) > 0 and gone[shared].all()
        assert dealt.near == int((gone & ~shared).sum()) and (dealt.near > 0) == (buffer_km > 0)
        told = {"left_out_by_buffer": dealt.near, "left_out_with_block": dealt.beside}
        assert dealt.left_out() == told
    # Those outside are left out for no buffer either.
    dealt = deal(Split(val=0.2, split_longitude=10.0, keep_unlabelled=True, labels=6),
                 lonlat, label)  # fmt: skip
    assert dealt.near == 0 and dealt.beside == int((lonlat[200:, 0] >= 10).sum()) > 0


SMALLER = [("label_fraction", 0.3), ("labels", 9), ("max_per_class", 3)]


@pytest.mark.parametrize(("option", "value"), SMALLER)
def test_in_all_the_records_left_out_keep_their_labels(option, value):
    lonlat, label = places(300), torch.arange(300) % 3
    sets = torch.nn.functional.one_hot(label, 3).to(torch.int8)
    how = Split(val=0.2, test=0.2, buffer_km=50.0, **{option: value})
    few = deal(how, lonlat, label)
    assert (few.parts == LEFT_OUT).sum() > 100
    assert torch.equal(few.shown(label), label) and torch.equal(few.shown(sets), sets)
    kept = deal(replace(how, keep_unlabelled=True), lonlat, label)
    hidden = (kept.parts == 0) & ~kept.labelled
    assert hidden.any() and torch.equal(kept.shown(label), label.masked_fill(hidden, -1))
    assert few.counts(label, 3) == kept.counts(label, 3)


# Of places drawn at random none has a label.
@pytest.mark.parametrize("name", sorted(dealt.FOLDERS.keys() - {"places", "place_features"}))
def test_all_of_a_data_set_has_its_labels_however_few_are_learned_from(tmp_path, name):
    make, options = dealt.FOLDERS[name]
    root = make(tmp_path)
    options = options | {"root": root}
    whole = load_dataset(name, "all", **options)
    few = load_dataset(name, "all", **options, label_fraction=0.3)
    assert torch.equal(few.label, whole.label) and torch.equal(few.labelled(), whole.labelled())
    assert (few.labels is None) == (whole.labels is None)
    assert few.labels is None or torch.equal(few.labels, whole.labels)
    assert sum(few.classes.counts) < sum(whole.classes.counts)


# Photos that never had a label


def blank(path, rows):
    """Remove the labels of some rows of a table of photos."""
    head, *lines = path.read_text().splitlines()
    for row in rows:
        name, _, rest = lines[row].split(",", 2)
        lines[row] = f"{name},,{rest}"
    path.write_text("\n".join([head, *lines]) + "\n")


def test_labels_that_are_not_seen_can_be_removed_from_the_table(tmp_path):
    path = dealt.photos(tmp_path)
    options = {"root": path, "size": 8, "val_fraction": 0.0, "test_fraction": 0.0, **DRAWS,
               "without_place": "train"}  # fmt: skip
    before = load_dataset("photos", **options)
    hidden = before.rows[~before.labelled()].tolist()
    blank(path, hidden)
    after = load_dataset("photos", **options)
    assert len(hidden) == 52 and before.content_hash() == after.content_hash()
    first, second = before.__getitems__(range(60)), after.__getitems__(range(60))
    assert first.keys() == second.keys()
    for key in first:
        torch.testing.assert_close(first[key], second[key], rtol=0, atol=0, equal_nan=True)
    assert after.classes == before.classes and after.info["photos_without_label"] == 52


def test_photos_without_a_label_are_trained_on_and_nothing_else(tmp_path):
    path = dealt.photos(tmp_path)
    with pytest.raises(ConfigError, match="unlabelled is on, but each of"):
        load_dataset("photos", root=path, size=8, unlabelled=True)
    blank(path, range(1, 60, 6))
    with pytest.raises(BadRecordError, match=r"line 3.*with unlabelled: true, photos without"):
        load_dataset("photos", root=path, size=8)
    parts = [load_dataset("photos", s, root=path, size=8, unlabelled=True)
             for s in ("train", "val", "test")]  # fmt: skip
    assert all(part.labelled().all() for part in parts[1:])
    missing = ~parts[0].labelled()
    # Half of them have no place, so they are neither tested nor learned from.
    assert int(missing.sum()) == 5 and parts[0].info["without_label_left_out"] == 5
    assert sum(parts[0].classes.counts) == int((~missing).sum())


def test_a_folder_of_photos_without_a_label(tmp_path):
    root = photos.write_folder(tmp_path / "photos")
    (root / "Aus bus" / "damaged.jpg").unlink()
    options = {"root": root, "val_fraction": 0.2, "test_fraction": 0.2, "min_photos": 2}
    before = {s: load_dataset("photos", s, **options) for s in ("train", "val", "test")}
    (root / "unlabelled").mkdir()
    for row in range(3):
        data = photos.exif(photos.gps(40.0 + row, 10.0), taken="2023:05:15 12:00:00")
        (root / "unlabelled" / f"{row}.jpg").write_bytes(photos.encode(exif=data))
    after = {s: load_dataset("photos", s, **options, unlabelled=True) for s in before}
    assert len(after["train"]) == len(before["train"]) + 3
    assert int((~after["train"].labelled()).sum()) == 3
    for part, data in after.items():
        assert data.classes == before[part].classes and data.test_hash == before[part].test_hash
        if part != "train":
            assert data.content_hash() == before[part].content_hash()
    # A folder of that name is a class unless it is said not to be.
    assert "unlabelled" in load_dataset("photos", **options).classes.names
