"""What a model starts from has not seen the test, whatever option the test depends on."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from csp_core.config import RunConfig, parse_config
from csp_core.data import DATASETS, load_dataset
from csp_core.data.records import join_records
from csp_core.data.sets.facts import FACTS, facts_of
from csp_core.errors import ConfigError
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from csp_core.training.finish import finish_model
from csp_core.training.unseen import check_unseen
from tests.data import dealt
from tests.data.sets import photos

# A random split leaves little beyond a buffer, and says so.
pytestmark = pytest.mark.filterwarnings("ignore:.* training records lie within")
BLOCKS = {"split_method": "block", "block_degrees": 1.0, "val_fraction": 0.2}
SHARE = {"test_fraction": 0.2}
SPLIT = {"split_method": "site"} | SHARE
# Another value than the default and than that of the fakes; where data sets differ, of each.
OTHERS: dict[str, Any] = {
    "block_degrees": 5.0,
    "buffer_km": {**dict.fromkeys(DATASETS, 60.0), "tiles": 0.09},
    "features": {"demo": True, "fmow": "pixels", "inat2018": "finetuned"},
    "images": True,
    "in_memory": False,
    "label_crops": 1,
    "dates": 2,
    "families": {"place_features": {"sines": 2.0}},
    "label_fraction": 0.1,
    "label_seed": 5,
    "labels": {
        "demo": 24,
        "eurosat": 6,
        "fmow": 4,
        "inat2018": 4,
        "phenology": 8,
        "photos": 8,
        "series": 6,
        "tiles": 12,
    },
    "max_per_class": 9,
    "noise": 0.7,
    "seed": 7,
    "size": 32,
    "split_method": "site",
    "unlabelled": True,
    "val_fraction": 0.3,
    "with_user": True,
}
# Lists that go with published parts, and a number that a fake folder has too few patches of each
# class for, are shown where these data sets are tested.
LISTS = {
    "eurosat": {"index_file"},
    "bigearthnet": {"published_labels", "labels"},
    "pastis": {"labels"},
}
DECLARED = [
    (name, option)
    for name, facts in FACTS.items()
    for option in sorted(facts.keeps_test - LISTS.get(name, set()))
]


@pytest.fixture(scope="module")
def fakes(tmp_path_factory):
    folders = {name: tmp_path_factory.mktemp(name) for name in DATASETS}
    return {n: {"root": make(folders[n]), **more} for n, (make, more) in dealt.FOLDERS.items()}


# What data sets promise


def test_every_data_set_has_facts_about_options_it_has():
    assert set(FACTS) == set(DATASETS)
    for name, facts in FACTS.items():
        known = set(inspect.signature(DATASETS[name]).parameters) - {"split", "root"}
        assert facts.keeps_test | facts.reads <= known, name
        assert not facts.keeps_test & facts.reads, name
    assert not facts_of("a new one").keeps_test and not facts_of("a new one").taxa


@pytest.mark.parametrize(("name", "option"), DECLARED)
def test_what_is_said_to_keep_the_test_keeps_it(fakes, name, option):
    value = OTHERS[option]
    value = value[name] if isinstance(value, dict) else value
    base = fakes[name] | (SHARE if name == "occurrences" else {})
    # A seed of labels says nothing as long as all of them are kept, nor do those unseen.
    base |= {"label_fraction": 0.1} if option in ("label_seed", "unlabelled") else {}
    before = load_dataset(name, "test", **base)
    after = load_dataset(name, "test", **base | {option: value})
    assert before.classes.names == after.classes.names and before.test_hash == after.test_hash
    for column in ("lonlat", "date", "label"):
        found, want = getattr(after, column), getattr(before, column)
        torch.testing.assert_close(found, want, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_part_tells_the_same_test(fakes, name):
    base = fakes[name] | (SHARE if name == "occurrences" else {})
    parts = [load_dataset(name, split, **base) for split in ("train", "val", "test", "all")]
    (found,) = {part.test_hash for part in parts}
    # Invented and published tests follow from the options alone.
    hashed = ("bigearthnet", "eurosat", "occurrences", "pastis", "photos", "series", "tiles")
    assert len(found) == (64 if name in hashed else 0)
    assert join_records(*parts[:2]).test_hash == found
    if found:
        assert load_dataset(name, "train", **base, seed=1).test_hash != found


# What a run may start from


def settings(name: str, root: Path | None, options: dict[str, Any]) -> RunConfig:
    return parse_config({"name": "start", "data": {"name": name, "root": root, **options}})


def start(folder: Path, name: str, root: Path | None, **options: Any) -> Path:
    """Leave a model as a run on these records would leave it."""
    config = settings(name, root, options)
    records = load_dataset(name, "train", root=root, **options)
    location = make_location_encoder("direct", dim=4)
    model = DualEncoder(None, location, dim=4, classes=records.classes, name="start")
    finish_model(model, records, None, config, folder / "start", epochs=1)
    return folder / "start"


def check(source: Path, name: str, root: Path | None, **options: Any) -> None:
    """Ask whether a run on these records may start from a model."""
    config = settings(name, root, options)
    check_unseen(config, load_dataset(name, "train", root=root, **options), None, str(source))


def change(model: Path, *, forget: bool = True, drop: str = "", **data: Any) -> Path:
    """Make a model one of before: without the hash of its test, or with other options."""
    path = model / "config.json"
    config = json.loads(path.read_text())
    provenance = config["provenance"]
    if forget:
        provenance["data"].pop("test_hash", None)
    provenance["config"]["data"].update(data)
    provenance["config"]["data"].pop(drop, None)
    path.write_text(json.dumps(config))
    return model


@pytest.fixture(params=["with the hash", "a model of before"])
def aged(request):
    return change if request.param == "a model of before" else lambda model: model


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"max_uncertainty_m": 1000.0}, r"max_uncertainty_m None \(now 1000.0\)"),
        ({"min_records": 12}, r"min_records 1 \(now 12\)"),
        ({"mapping": {"scientific_name": "recordedBy"}}, "mapping None"),
        ({"seed": 5}, r"seed 0 \(now 5\)"),
        ({"val_fraction": 0.2}, "val_fraction"),
        ({"test_fraction": 0.3}, "test_fraction"),
        (BLOCKS, "split_method 'site'.*block_degrees"),
    ],
)
def test_a_start_trained_on_another_test_is_refused(tmp_path, aged, option, told):
    root = dealt.table(tmp_path)
    source = aged(start(tmp_path, "occurrences", root, **SPLIT))
    with pytest.raises(ConfigError, match=f"another split of the same data: .*{told}"):
        check(source, "occurrences", root, **SPLIT | option)
    back = aged(start(tmp_path / "back", "occurrences", root, **SPLIT | option))
    with pytest.raises(ConfigError, match="give both the same split"):
        check(back, "occurrences", root, **SPLIT)


def test_the_records_of_such_a_test_were_learned_from(tmp_path):
    root = dealt.table(tmp_path)
    learned = load_dataset("occurrences", "train", root=root, **SPLIT)
    test = load_dataset("occurrences", "test", root=root, **SPLIT, max_uncertainty_m=1000.0)
    assert (test.lonlat[:, None] == learned.lonlat).all(dim=2).any(dim=1).float().mean() > 0.5


@pytest.mark.parametrize(
    "option",
    [{}, {"label_fraction": 0.1}, {"max_per_class": 9}, {"block_degrees": 2.0, "mapping": None}],
)
def test_a_start_that_held_out_the_same_test_is_not(tmp_path, aged, option):
    root = dealt.table(tmp_path)
    source = aged(start(tmp_path, "occurrences", root, **SPLIT))
    check(source, "occurrences", root, **SPLIT | option)
    # Folders move, and files get other names.
    moved = tmp_path / "elsewhere" / "other.csv"
    moved.parent.mkdir()
    shutil.move(root, moved)
    check(source, "occurrences", moved, **SPLIT | option)


def test_a_default_counts_whether_it_was_written_out_or_not(tmp_path):
    root = dealt.table(tmp_path)
    source = change(start(tmp_path, "occurrences", root, **SPLIT), drop="max_uncertainty_m")
    check(source, "occurrences", root, **SPLIT, max_uncertainty_m=None)
    with pytest.raises(ConfigError, match="max_uncertainty_m None"):
        check(source, "occurrences", root, **SPLIT, max_uncertainty_m=1000.0)


def test_an_option_counts_even_where_it_happens_to_change_nothing(tmp_path):
    root = dealt.table(tmp_path)
    source = start(tmp_path, "occurrences", root, **SPLIT)
    none_vaguer = SPLIT | {"max_uncertainty_m": 50_000.0}
    with pytest.raises(ConfigError, match=r"max_uncertainty_m.*both tests hold the same records"):
        check(source, "occurrences", root, **none_vaguer)
    with pytest.raises(ConfigError, match=r"max_uncertainty_m.*may have been seen"):
        check(change(source), "occurrences", root, **none_vaguer)


def test_records_that_were_added_may_have_been_seen(tmp_path):
    root = dealt.table(tmp_path)
    source = start(tmp_path, "occurrences", root, **SPLIT)
    lines = root.read_text().splitlines()
    root.write_text("\n".join([*lines, *lines[1:9]]) + "\n")
    with pytest.raises(ConfigError, match=r"added, removed or changed since.*test_fraction 0"):
        check(source, "occurrences", root, **SPLIT)
    # Nothing is asked where nothing is tested.
    check(source, "occurrences", root, **SPLIT | {"test_fraction": 0.0})
    # A model of before cannot tell.
    check(change(source), "occurrences", root, **SPLIT)


def test_a_start_keeps_as_far_from_the_test(tmp_path, aged):
    root = dealt.table(tmp_path)
    source = aged(start(tmp_path, "occurrences", root, **SPLIT, buffer_km=10.0))
    for buffer_km in (0.0, 10.0):
        check(source, "occurrences", root, **SPLIT, buffer_km=buffer_km)
    with pytest.raises(ConfigError, match=r"buffer_km 10.0 \(now 60.0\).*Train it with 60.0"):
        check(source, "occurrences", root, **SPLIT, buffer_km=60.0)


def test_photos_without_places_are_told_apart_by_their_names(tmp_path):
    for row in range(40):
        path = tmp_path / "photos" / ("a", "b")[row % 2] / f"{row:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photos.encode(photos.pixels(16, 16)))
    options = {"size": 8, "without_place": "train"}
    source = start(tmp_path, "photos", tmp_path / "photos", **options)
    seeds = [load_dataset("photos", "test", root=tmp_path / "photos", **options, seed=s)
             for s in range(9)]  # fmt: skip
    assert len({part.test_hash for part in seeds}) == 9
    assert len({str(part.label.tolist()) for part in seeds}) < 9
    (tmp_path / "photos").rename(tmp_path / "moved")
    check(source, "photos", tmp_path / "moved", **options, label_fraction=0.5, in_memory=False)
    with pytest.raises(ConfigError, match=r"another split of the same data: seed 0 \(now 1\)"):
        check(source, "photos", tmp_path / "moved", **options, seed=1)


def test_images_of_eurosat_that_may_be_left_out_count(tmp_path):
    root, options = dealt.patches(tmp_path / "data"), {"images": False}
    source = start(tmp_path, "eurosat", root, **options)
    # With the hash of the test, how the images were read matters no more; their bands do.
    check(change(source, forget=False, images=True, in_memory=False), "eurosat", root, **options)
    with pytest.raises(ConfigError, match=r"bands 'all' \(now 'rgb'\)"):
        check(change(source, forget=False, bands="all"), "eurosat", root, **options)
    with pytest.raises(ConfigError, match=r"bands 'all' \(now 'rgb'\), images True"):
        check(change(source), "eurosat", root, **options)
    same = change(source, images=False, in_memory=True, bands="rgb", label_seed=4)
    check(same, "eurosat", root, **options)


@pytest.mark.parametrize(
    ("option", "told"),
    [({"size": 300}, "size 400"), ({"seed": 1}, "seed 0"), ({"noise": 0.5}, None),
     ({"features": True}, None), ({"images": True}, None)],
)  # fmt: skip
def test_an_invented_world_follows_from_its_options(tmp_path, option, told):
    source = start(tmp_path, "demo", None, size=400, images=False)
    options = {"size": 400, "images": False} | option
    if told is None:
        check(source, "demo", None, **options)
    else:
        with pytest.raises(ConfigError, match=told):
            check(source, "demo", None, **options)


def test_a_published_test_is_one_for_all(fakes, tmp_path):
    root = fakes["fmow"]["root"]
    source = start(tmp_path, "fmow", root, images=False)
    check(source, "fmow", root, images=False, seed=3, **BLOCKS, with_user=True, label_fraction=0.1)


def test_nothing_is_said_of_other_data_sets_and_of_models_made_elsewhere(fakes, tmp_path):
    root = dealt.table(tmp_path)
    source = start(tmp_path, "occurrences", root)
    check(source, "demo", None, size=400, images=False)
    path = source / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "provenance": {"imported": {}}}))
    check(source, "occurrences", root, **SPLIT, seed=9)


def test_a_new_option_is_guarded_until_somebody_has_thought_about_it(tmp_path, monkeypatch):
    def load_new(split="train", *, root=None, test_fraction=0.2, novelty=1, buffer_km=0.0):
        return load_dataset("demo", split, size=400, images=False, test_fraction=test_fraction)

    monkeypatch.setitem(DATASETS, "new", load_new)
    source = start(tmp_path, "new", None)
    check(source, "new", None)
    with pytest.raises(ConfigError, match=r"novelty 1 \(now 2\)"):
        check(source, "new", None, novelty=2)


def test_a_model_keeps_the_hash_of_its_test_where_there_is_one(tmp_path):
    root = dealt.table(tmp_path)
    for part, options in {"with": SPLIT, "without": {}}.items():
        source = start(tmp_path / part, "occurrences", root, **options)
        kept = json.loads((source / "config.json").read_text())["provenance"]["data"]
        want = load_dataset("occurrences", "train", root=root, **options).test_hash
        assert kept.get("test_hash", "") == want and ("test_hash" in kept) == (part == "with")


def test_a_teacher_has_not_seen_the_test_either(tmp_path):
    root = dealt.table(tmp_path)
    source = start(tmp_path, "occurrences", root, **SPLIT | {"test_fraction": 0.0})
    tree = {"data": {"name": "occurrences", "root": root, **SPLIT}, "objective": "soft_targets"}
    config = parse_config(tree | {"teachers": [{"name": "model", "path": str(source)}]})
    with pytest.raises(ConfigError, match=r"that this run learns from.*test_fraction 0.0"):
        check_unseen(config, load_dataset("occurrences", "train", root=root, **SPLIT), None, None)


@pytest.mark.parametrize("file", ["", "model.safetensors"])
@pytest.mark.parametrize("inside", [False, True])
def test_the_weights_of_an_image_encoder_have_not_seen_the_test_either(tmp_path, file, inside):
    root = dealt.table(tmp_path)
    source = start(tmp_path, "occurrences", root, **SPLIT)
    image: dict[str, Any] = {"name": "small_convnet", "weights": str(source / file)}
    model = {"image": {"name": "unet", "backbone": image} if inside else image}

    def ask(**options: Any) -> None:
        tree = {"data": {"name": "occurrences", "root": root, **options}, "model": model}
        records = load_dataset("occurrences", "train", root=root, **options)
        check_unseen(parse_config(tree), records, None, None)

    ask(**SPLIT)
    with pytest.raises(ConfigError, match=r"that this run's image encoder starts from.*seed 0"):
        ask(**SPLIT, seed=5)
    # Weights of another program do not say what they learned from.
    (source / "config.json").write_text('{"architecture": "resnet18"}')
    ask(**SPLIT, seed=5)


def test_what_numbers_in_masks_are_called_changes_no_test_that_has_the_same_hash(fakes, tmp_path):
    given = {k: v for k, v in fakes["tiles"].items() if k != "root"} | {"masks": True, "gap": 0}
    root = fakes["tiles"]["root"]
    source = start(tmp_path, "tiles", root, **given)
    classes = {n: {"name": name, "colour": "#ff0000"} for n, name in given["classes"].items()}
    check(source, "tiles", root, **given | {"classes": classes})
    with pytest.raises(ConfigError, match="another split of the same data: classes"):
        check(source, "tiles", root, **given | {"classes": classes | {30: "street"}})


def test_blocks_of_tiles_are_kept_apart_by_the_lattice(fakes):
    given = fakes["tiles"] | {"split_method": "block", "test_fraction": 0.2}
    config = parse_config({"data": {"name": "tiles", **given}, "objective": "csp_mc"})
    # Its blocks have no side in degrees, and no ground is shared, whatever is learned from.
    val = load_dataset("tiles", "val", **given)
    check_unseen(config, load_dataset("tiles", **given), val, None)
    other = load_dataset("tiles", **given, seed=1)
    with pytest.raises(ConfigError, match=r"show ground of the .* that are held out, the first at"):
        check_unseen(config, other, val, None)
    with pytest.raises(ConfigError, match="show ground of"):
        check_unseen(config, load_dataset("tiles", **given), other, None)
