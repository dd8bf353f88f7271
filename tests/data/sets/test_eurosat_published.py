"""The published protocol of EuroSAT: its counts, its draws, its lists of labels as written."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
import torch

from csp_core.config import parse_config
from csp_core.data import load_dataset
from csp_core.data.sets.eurosat_published import COUNTS, learned_names, published_names, shuffled
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError, UnknownNameError
from csp_core.evaluation.report import evaluate_splits
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from csp_core.training.finish import finish_model
from tests.data.sets import eurosat
from tests.data.sets.photos import encode, pixels

PUBLISHED = {"protocol": "published", "images": False}
CLASSES = sorted(COUNTS)


def fake(folder, leave_out=()):
    """Make all files of EuroSAT, each another name of one small picture, and a list of places."""
    folder.mkdir(parents=True, exist_ok=True)
    first, lines = folder / "one.jpg", []
    first.write_bytes(encode(pixels(8, 8)))
    for name in CLASSES:
        (folder / "2750" / name).mkdir(parents=True)
    for row, name in enumerate(published_names()):
        if name not in leave_out:
            os.link(first, folder / "2750" / name.split("_")[0] / f"{name}.jpg")
        lines.append(f"{name}: [{-10 + row / 1000:.3f}, 47.5, '326{31 + row % 5}']")
    (folder / "eurosat_meta.yaml").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return fake(tmp_path_factory.mktemp("eurosat"))


def released(labels, seed):
    """Draw as the published code does, step by step, and give what it writes into its files."""
    np.random.seed(seed)
    targets = np.array([CLASSES.index(name.split("_")[0]) for name in learned_names()])
    order = list(range(len(targets)))
    np.random.shuffle(order)
    targets = targets[order]
    lb, ulb = [], []
    for number in range(10):
        idx = np.where(targets == number)[0]
        np.random.shuffle(idx)
        lb.extend(idx[: labels // 10])
        ulb.extend(idx[labels // 10 :])
    return np.asarray(lb), np.asarray(ulb), [learned_names()[at] for at in order]


def names_of(data):
    """Name the images of a part by their place, which tells each from the others."""
    rows = ((data.lonlat[:, 0].double() + 10) * 1000).round().long()
    return [published_names()[row] for row in rows.tolist()]


def test_the_published_order_is_that_of_the_files_names():
    names = published_names()
    assert len(names) == len(set(names)) == 27_000 and len(learned_names()) == 21_600
    assert names[:5] == (
        *("AnnualCrop_1", "AnnualCrop_10", "AnnualCrop_100", "AnnualCrop_1000", "AnnualCrop_1001"),
    )
    by_hand = sorted(f"{c}/{c}_{n}.jpg" for c in COUNTS for n in range(1, COUNTS[c] + 1))
    assert [f"{name.split('_')[0]}/{name}.jpg" for name in names] == by_hand


def test_four_fifths_of_each_class_are_learned_from_and_a_fifth_is_tested(whole):
    train, val, test = (
        load_dataset("eurosat", part, root=whole, **PUBLISHED) for part in ("train", "val", "test")
    )
    assert (len(train), len(val), len(test)) == (19_440, 2_160, 5_400)
    assert (
        len(load_dataset("eurosat", "train", root=whole, val_fraction=0.0, **PUBLISHED)) == 21_600
    )
    told = [set(names_of(part)) for part in (train, val, test)]
    assert told[0] | told[1] == set(learned_names()) and not told[0] & told[1]
    assert not told[2] & set(learned_names()) and len(told[2]) == 5_400
    sizes = [COUNTS[name] for name in CLASSES]
    assert torch.bincount(test.label).tolist() == [size // 5 for size in sizes]
    assert torch.bincount(val.label).tolist() == [size * 8 // 100 for size in sizes]
    assert "2,160 others are held out for validation" in str(train.info["protocol"])
    assert load_dataset("eurosat", "test", root=whole, seed=5, **PUBLISHED).test_hash == (
        test.test_hash
    )


@pytest.mark.parametrize(("labels", "seed"), [(10, 0), (20, 1), (40, 2), (40, 4), (80, 3)])
def test_labels_are_those_that_the_published_code_draws(whole, labels, seed):
    options = {"labels": labels, "label_seed": seed, "unlabelled": True, "val_fraction": 0.0}
    train = load_dataset("eurosat", root=whole, **options, **PUBLISHED)
    assert train.classes.counts == (labels // 10,) * 10 and len(train) == 21_600
    lb, _, order = released(labels, seed)
    seen = train.labelled().tolist()
    assert {n for n, one in zip(names_of(train), seen, strict=True) if one} == {
        order[at] for at in lb
    }
    again = load_dataset("eurosat", root=whole, **options | {"val_fraction": 0.1}, **PUBLISHED)
    assert again.classes.counts == train.classes.counts


def test_shuffling_arrays_is_shuffling_lists():
    order, classes = shuffled(3)
    lb, ulb, names = released(40, 3)
    assert [learned_names()[at] for at in order] == names
    assert np.array_equal(np.concatenate([places[:4] for places in classes]), lb)
    assert np.array_equal(np.concatenate([places[4:] for places in classes]), ulb)


SPELLINGS = (
    *("lb_labels_20_1_seed1_idx.npy", "labeled_idx/lb_labels20_1_seed1_idx.npy"),
    *("splits/eurosat/lb_labels_20_1.0_seed1_idx.npy",
      "splits/eurosat/labeled_idx/lb_labels20_1_seed1_idx.npy"),
)  # fmt: skip


@pytest.fixture(scope="module")
def holed(tmp_path_factory):
    """Make a folder that lacks eight images of a list, which labels the last that a draw would."""
    order, classes = shuffled(1)
    last = np.concatenate([places[-2:] for places in classes])
    rest = np.concatenate([places[100:-2] for places in classes])
    gone = [learned_names()[order[at]] for at in (*last[:1], *rest[:7])]
    return fake(tmp_path_factory.mktemp("holed"), leave_out=gone), last, rest, gone


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_list_is_found_in_either_spelling_and_is_obeyed(holed, spelling):
    root, last, rest, gone = holed
    order, _ = shuffled(1)
    path = root / spelling
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"u{path.name}")
    np.save(path, last)
    np.save(beside, rest)
    options = {"root": root, "labels": 20, "label_seed": 1, "unlabelled": True, **PUBLISHED}
    train, val = (load_dataset("eurosat", part, **options) for part in ("train", "val"))
    seen = {n for n, one in zip(names_of(train), train.labelled().tolist(), strict=True) if one}
    assert seen == {learned_names()[order[at]] for at in last[1:]}
    assert train.classes.counts == (1, *[2] * 9) and not seen & set(names_of(val))
    assert set(names_of(train)) <= {learned_names()[order[at]] for at in (*last, *rest)}
    info = train.info
    assert info["index_file"] == path.name and "shuffles with seed 1" in info["index_counts"]
    assert info["labelled_images_absent"] == 1 and info["unlabelled_images_absent"] == 7
    assert info["first_labelled_images_absent"] == gone[:1]
    assert info["published_images_absent"] == 8
    # Another draw has no list here.
    other = load_dataset("eurosat", **options | {"label_seed": 2})
    assert "index_file" not in other.info and other.classes.counts == (2,) * 10
    assert other.test_hash == train.test_hash
    path.unlink()
    beside.unlink()


def test_a_list_may_count_the_files_in_their_order(whole, tmp_path):
    firsts = [learned_names().index(f"{name}_1") for name in CLASSES]
    np.save(tmp_path / "mine.npy", np.array(firsts))
    train = load_dataset("eurosat", root=whole, index_file=tmp_path / "mine.npy", **PUBLISHED)
    assert sorted(names_of(train)) == [f"{name}_1" for name in CLASSES]
    assert "in the order of file names" in str(train.info["index_counts"])


def test_a_class_without_a_label_is_told(tmp_path):
    root = fake(tmp_path / "data", leave_out=["Forest_1"])
    np.save(tmp_path / "mine.npy", [learned_names().index(f"{name}_1") for name in CLASSES])
    with pytest.warns(UserWarning, match=r"those of Forest are absent, so no label"):
        load_dataset("eurosat", root=root, index_file=tmp_path / "mine.npy", **PUBLISHED)


def header(shape):
    """Write the head of a file of an array that is not there."""
    stream = io.BytesIO()
    head = {"descr": "<i8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, head)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (np.arange(20), "its labels do not match: neither as places in the list"),
        (np.array([0, 21_600]), r"give numbers from 0 to 21,599"),
        (np.array([-1, 0]), r"give numbers from 0 to 21,599"),
        (np.zeros((2, 2), dtype=int), "in one dimension"),
        (np.array([0.5]), "whole numbers"),
        (np.array([{"a": 1}], dtype=object), "no array of whole numbers"),
        (b"not an array", "no array of whole numbers"),
        (header((10**13,)), "no array of whole numbers"),
        (header((10**30,)), "no array of whole numbers"),
    ],
)
def test_lists_that_do_not_fit(whole, tmp_path, content, match):
    path = tmp_path / "lb_labels20_1_seed0_idx.npy"
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    with pytest.raises(BadRecordError, match=match):
        load_dataset("eurosat", root=whole, index_file=path, **PUBLISHED)


def test_options_that_do_not_go_with_the_protocol(whole, tmp_path):
    for more in ({"split_method": "block"}, {"buffer_km": 1.0}, {"split_longitude": 9.0}):
        with pytest.raises(ConfigError, match="protocol: published says what is tested"):
            load_dataset("eurosat", root=whole, **PUBLISHED, **more)
    with pytest.raises(ConfigError, match="give protocol: published too"):
        load_dataset("eurosat", root=whole, images=False, index_file="a.npy")
    with pytest.raises(UnknownNameError, match="published"):
        load_dataset("eurosat", root=whole, images=False, protocol="publshed")
    with pytest.raises(DataNotFoundError, match=r"No file .*none\.npy"):
        load_dataset("eurosat", root=whole, index_file=tmp_path / "none.npy", **PUBLISHED)
    with pytest.raises(ConfigError, match="Fewer labels than classes: 9 labels for 10 classes"):
        load_dataset("eurosat", root=whole, labels=9, **PUBLISHED)
    np.save(tmp_path / "mine.npy", [learned_names().index(f"{name}_1") for name in CLASSES])
    with pytest.raises(ConfigError, match=r"labels is 20, but mine\.npy lists 10"):
        load_dataset(
            "eurosat", root=whole, index_file=tmp_path / "mine.npy", labels=20, **PUBLISHED
        )


def test_other_images_are_none_of_the_published(tmp_path):
    root = eurosat.make(tmp_path, unpacked=True)
    (root / "2750" / "Forest" / "Forest_3001.jpg").write_bytes(b"")
    with pytest.raises(BadRecordError, match=r"1 images are none of .*the first Forest_3001"):
        load_dataset("eurosat", root=root, **PUBLISHED)


# The list of places that goes with it


def test_the_published_list_of_places_is_read_where_there_is_no_table(tmp_path):
    root = eurosat.make(tmp_path)
    want = load_dataset("eurosat", "all", root=root, images=False)
    (root / "eurosat_coordinates.csv").unlink()
    stems = [name.split("/")[1][:-4] for name in eurosat.names()]
    rows = [(stem, *eurosat.place(row)) for row, stem in enumerate(stems)]
    for form in ("{}: [{}, {}, 32631]", "{}:\n- {}\n- {}\n- EPSG", "{}:\n  - {}\n  - {}\n  - 1"):
        text = "\n".join(form.format(*row) for row in rows)
        (root / "eurosat_meta.yaml").write_text(text + "\n")
        found = load_dataset("eurosat", "all", root=root, images=False)
        assert torch.equal(found.lonlat, want.lonlat)
    (root / "eurosat_meta.yaml").write_text(text + "\nForest_99: [x, 2, 1]\nForest_98: 4\n")
    with pytest.raises(BadRecordError, match="Forest_99 and 1 more of 26 have no longitude"):
        load_dataset("eurosat", root=root, images=False)


# West and east


def test_what_lies_east_of_a_longitude_is_outside(tmp_path):
    root = eurosat.make(tmp_path)
    options = {"root": root, "images": False, "split_longitude": 20.0, "buffer_km": 100.0,
               "test_fraction": 0.1, "seed": 1}  # fmt: skip
    parts = {part: load_dataset("eurosat", part, **options)
             for part in ("train", "val", "test", "outside", "all")}  # fmt: skip
    assert (parts["outside"].lonlat[:, 0] >= 20).all() and len(parts["outside"]) == 9
    for part in ("train", "val", "test"):
        assert (parts[part].lonlat[:, 0] < 20).all() and len(parts[part])
    # Places lie 78 km apart, so the last one in the west is too near to what is outside.
    assert float(parts["train"].lonlat[:, 0].max()) < 19
    assert "west of 20°" in str(parts["train"].info["split"])
    assert len({part.test_hash for part in parts.values()}) == 1
    for longitude, error in ((90.0, BadRecordError), (-20.0, BadRecordError), (200.0, ConfigError)):
        with pytest.raises(error, match="split_longitude"):
            load_dataset("eurosat", **options | {"split_longitude": longitude})
    with pytest.raises(ConfigError, match="outside part has no records; give split_longitude"):
        load_dataset("eurosat", "outside", root=root, images=False)


def test_a_model_is_measured_outside_too(tmp_path):
    root, options = eurosat.make(tmp_path), {"images": False, "split_longitude": 20.0}
    shares = {"val_fraction": 0.2, "test_fraction": 0.2}
    records = load_dataset("eurosat", root=root, **options, **shares)
    location = make_location_encoder("direct", dim=4)
    model = DualEncoder(None, location, dim=4, classes=records.classes, name="west")
    config = parse_config({"data": {"name": "eurosat", "root": root, **options, **shares}})
    finish_model(model, records, None, config, tmp_path / "west", epochs=1)
    report = evaluate_splits(str(tmp_path / "west"), "eurosat", root=root)
    assert set(report["splits"]) == {"all", "train", "val", "test", "outside"}
    assert "outside: records it has never seen, where it has learned from none" in report["note"]
