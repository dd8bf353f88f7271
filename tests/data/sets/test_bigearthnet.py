"""BigEarthNet as it is published: table or descriptions, patches of bands, lists of labels."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import polars as pl
import pytest
import torch

from csp_core.data import load_dataset
from csp_core.data.sets.bigearthnet_labels import NAMES_19, NAMES_43, TO_19, classes_of, to_19
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError, UnknownNameError
from tests.data.sets import bigearthnet

V1 = {"version": "v1", "split_method": "random", "test_fraction": 0.2}
REAL = Path(__file__).parents[4] / "shared" / "data" / "bigearthnet"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/data/bigearthnet")


def load(root, split="all", **options):
    return load_dataset("bigearthnet", split, root=root, **options)


def test_the_classes_are_those_published():
    assert (len(set(NAMES_43)), len(set(NAMES_19)), len(TO_19)) == (43, 19, 32)
    assert set(TO_19) < set(NAMES_43) and set(TO_19.values()) == set(NAMES_19)
    # What the publication leaves out of the 19.
    assert set(NAMES_43) - set(TO_19) == {
        *("Airports", "Bare rock", "Burnt areas", "Construction sites", "Dump sites"),
        *("Green urban areas", "Intertidal flats", "Mineral extraction sites", "Port areas"),
        *("Road and rail networks and associated land", "Sport and leisure facilities"),
    }
    lists, outside, emptied = to_19(
        pl.Series([["Salines", "Rice fields", "Airports"], ["Burnt areas"], []])
    )
    assert lists.to_list() == [["Coastal wetlands", "Arable land"], [], []]
    assert (outside, emptied) == (2, 1)


def test_patches_meet_their_labels_places_and_dates(tmp_path):
    data = load(bigearthnet.make(tmp_path))
    assert len(data) == 16 and data.classes.names == classes_of(19) and data.name == "bigearthnet"
    for row in range(16):
        sample = data[row]
        n = round(float(sample["lonlat"][0]) - 5.5)
        assert sample["image"].shape == (3, 120, 120) and sample["image"].dtype == torch.int16
        assert sample["image"][:, 5, 5].tolist() == [100 * n + band for band in (4, 3, 2)]
        has = {data.classes.names[k] for k in sample["labels"].nonzero().flatten().tolist()}
        assert has == set(NAMES_19[n % 4 : n % 4 + 2]) and sample["label"] == -1
        month = 6 + n % 6
        assert 12 * float(sample["date"]) == pytest.approx(month - 0.5, abs=0.15)
    assert data.info["license"] == "CDLA-Permissive-1.0"


def test_coarse_bands_are_brought_to_ten_metres(tmp_path):
    bigearthnet.make(tmp_path)
    (name,) = pl.read_parquet(tmp_path / "metadata_lonlat.parquet")["patch_id"][:1]
    bigearthnet.patch(tmp_path / "BigEarthNet-S2" / name.rsplit("_", 2)[0], name, 0)
    image = load(tmp_path, bands="all")[0]["image"]
    assert image.shape == (12, 120, 120) and image.dtype == torch.int16
    for band, side in ((0, 6), (4, 2), (9, 6), (11, 2)):  # B01, B05, B09, B12
        assert (image[band, :side, :side] == 9_999).all()
        assert (image[band] == 9_999).sum() == side * side
    assert image[1].unique().tolist() == [2] and image[8, 50, 50] == 80  # B02, B8A


def test_official_parts_tiles_and_blocks(tmp_path):
    root = bigearthnet.make(tmp_path)
    official = [load(root, part, images=False) for part in ("train", "val", "test")]
    assert [len(part) for part in official] == [8, 4, 4]
    assert official[0].classes.counts == tuple((official[0].labels == 1).sum(0).tolist())
    shares = {"images": False, "val_fraction": 0.2, "test_fraction": 0.2}
    tiles = [load(root, p, split_method="tile", **shares) for p in ("train", "val", "test")]
    lons = [{round(lon - 5.5) % 8 for lon in part.lonlat[:, 0].tolist()} for part in tiles]
    assert sum(map(len, tiles)) == 16 and sum(map(len, lons)) == 8  # no tile in two
    assert tiles[0].info["split"].startswith("train of tile: val 0.2")
    assert len(load(root, "test", split_method="block", **shares)) == 4
    with pytest.raises(UnknownNameError, match="official"):
        load(root, split_method="recorder")


def test_snow_and_clouds_are_left_out_and_counted(tmp_path):
    root = bigearthnet.make(tmp_path)
    data = load(root, images=False, without_snow=True, without_clouds=True)
    # Rows 0 and 10 show snow; those and 1 and 11 clouds.
    assert len(data) == 12
    assert (data.info["left_out_snow"], data.info["left_out_clouds"]) == (2, 2)
    assert data.info["left_out_without_labels"] == 0
    assert len(load(root, images=False, without_clouds=True)) == 12


@pytest.fixture
def first(tmp_path):
    """Twelve patches of the first version; three of them are of none of the 19."""
    labels = [["Airports"] if n % 4 == 3 else [NAMES_43[n], "Salines"] for n in range(12)]
    names = [bigearthnet.patch_v1(tmp_path / "patches", n, labels[n], n) for n in range(12)]
    return tmp_path, names, labels


def test_descriptions_of_the_first_version(first):
    root, _, labels = first
    data = load(root, **V1, classes=43)
    assert len(data) == 12 and data.classes.names == classes_of(43)
    # 600 m east and north of (500 km, 5,000 km) in zone 31, whose middle is 3° E.
    assert data.lonlat[0].tolist() == pytest.approx([3.0076, 45.1589], abs=1e-3)
    assert float(data.date[0]) == pytest.approx(167 / 365)
    has = [{data.classes.names[k] for k in row.nonzero().flatten().tolist()} for row in data.labels]
    assert sorted(map(sorted, has)) == sorted(map(sorted, labels))
    few = load(root, **V1)
    assert len(few) == 9 and few.info["emptied_label_sets"] == 3
    assert few.info["labels_outside_19"] == few.info["left_out_without_labels"] == 3
    tiles = load(root, "train", **V1 | {"split_method": "tile"})
    assert 0 < len(tiles) < 12
    with pytest.raises(ConfigError, match="no official parts"):
        load(root, version="v1")


def test_descriptions_that_cannot_be_read_are_told(first):
    root, names, _ = first
    path = root / "patches" / names[0] / f"{names[0]}_labels_metadata.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "coordinates": {}}))
    data = load(root, **V1, classes=43)
    assert len(data) == 11 and data.info["descriptions_left_out"] == 1
    assert "gives no labels and place" in data.info["first_left_out"][0]
    path.write_text(json.dumps({**said, "labels": ["Lava"]}))
    with pytest.raises(BadRecordError, match="the first 'Lava'"):
        load(root, **V1, classes=43)


def lists(root, names, labels, spelling: str = "train_0.25_{}_43"):
    """Write converted lists: eight patches for training, one of them labelled, and one absent."""
    folder = root / "splits"
    folder.mkdir()
    rows = {"patch_id": [*names, "absent"], "labels_43": [*labels, ["Pastures"]]}
    n = len(names)
    places = {"lon": [5.0 + 0.1 * k for k in range(n + 1)], "lat": [45.0] * (n + 1)}
    table = pl.DataFrame(rows | places | {"date": ["2017-06-17 11:33:21"] * (n + 1)})
    for part, where in {"train": [*range(8), n], "val": [8, 9], "test": [10, 11]}.items():
        table[where].write_parquet(folder / f"{part}.parquet")
    table[[1]].write_parquet(folder / f"{spelling.format('lb')}.parquet")
    table[[1, 2, 3, 4]].write_parquet(folder / f"{spelling.format('ulb')}.parquet")


@pytest.mark.parametrize("spelling", ["train_0.25_{}_43", "train0.25_{}_43"])
def test_published_lists_say_parts_and_labels(first, spelling):
    root, names, labels = first
    lists(root, names, labels, spelling)
    options = {"version": "v1", "classes": 43}
    assert [len(load(root, part, **options)) for part in ("train", "val", "test")] == [8, 2, 2]
    whole = load(root, "train", **options)
    assert whole.info["patches_without_images"] == 1 and whole.labelled().all()
    assert len(load(root, "train", **options, images=False)) == 9
    few = load(root, "train", **options, published_labels=0.25)
    # The rest of the training part is in neither list.
    assert len(few) == 4 and few.labelled().tolist() == [True, False, False, False]
    assert (few.labels[1:] == -1).all() and sum(few.classes.counts) == 2
    assert load(root, "test", **options, published_labels=0.25).labelled().all()
    assert few.test_hash == whole.test_hash
    with pytest.raises(DataNotFoundError, match=r"Neither train_0\.5_lb_43\.parquet nor train0\.5"):
        load(root, "train", **options, published_labels=0.5)


def test_snow_of_the_first_version_is_told_by_lists(first):
    root, names, labels = first
    lists(root, names, labels)
    options = {"version": "v1", "classes": 43, "without_snow": True}
    with pytest.raises(ConfigError, match=r"patches_with_seasonal_snow\.csv"):
        load(root, **options)
    (root / "patches_with_seasonal_snow.csv").write_text(f"{names[2]}\n{names[11]}\nelsewhere\n")
    data = load(root, **options)
    assert len(data) == 10 and data.info["left_out_snow"] == 2


def test_pickles_are_named_with_what_converts_them(first):
    root, names, labels = first
    lists(root, names, labels)
    (root / "splits" / "train_0.5_lb_43.pkl").write_bytes(b"")
    with pytest.raises(DataNotFoundError, match="csp import-splits"):
        load(root, "train", version="v1", classes=43, published_labels=0.5)
    (root / "splits" / "val.parquet").rename(root / "splits" / "val.pkl")
    with pytest.raises(DataNotFoundError, match=r"val\.pkl is a pickle"):
        load(root, "train", version="v1", classes=43)


def test_images_in_memory_and_on_demand_agree(tmp_path):
    root = bigearthnet.make(tmp_path)
    late, early = load(root), load(root, in_memory=True)
    assert late.content_hash() == early.content_hash()
    again = pickle.loads(pickle.dumps(late.store))
    assert torch.equal(again.take(late.rows), early.store.take(early.rows))
    assert again.digest() == late.store.digest() != early.store.digest()
    broken = next((root / "BigEarthNet-S2").rglob("*_03_7_B03.tif"))
    broken.write_bytes(broken.read_bytes()[:200])
    told = load(root, in_memory=True)
    assert len(told) == 15 and told.info["images_left_out"] == 1
    with pytest.raises(BadRecordError, match=r"_03_7_B03\.tif"):
        load(root).__getitems__(range(16))
    broken.unlink()
    with pytest.raises(BadRecordError, match="cannot be read"):
        load(root).__getitems__(range(16))


def test_a_band_of_another_size_is_refused(tmp_path):
    root = bigearthnet.make(tmp_path)
    folder = next((root / "BigEarthNet-S2").rglob("*_00_7"))
    odd = bigearthnet.SIDES | {"B04": 119}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bigearthnet, "SIDES", odd)
        bigearthnet.patch(folder.parent, folder.name, 5, ["B04"])
    with pytest.raises(BadRecordError, match="119 × 119"):
        load(root)[0]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"version": "v3"}, UnknownNameError, "v1, v2"),
        ({"classes": 43}, ConfigError, "v2 has 19"),
        ({"bands": "nir"}, UnknownNameError, "all, rgb"),
        ({"published_labels": 0.01}, ConfigError, "with version v1"),
        ({"buffer_km": 5.0}, ConfigError, "as they are published"),
        ({"version": "v1", "images": False}, BadRecordError, "of 43 classes|none of the classes"),
        ({"root": None}, ConfigError, "needs root"),
        ({"root": Path("nowhere")}, DataNotFoundError, "No folder"),
    ],
)
def test_options_that_do_not_fit(tmp_path, options, error, said):
    with pytest.raises((error, DataNotFoundError), match=f"{said}|No patch of BigEarthNet"):
        load_dataset("bigearthnet", **{"root": bigearthnet.make(tmp_path)} | options)


def test_folders_that_do_not_fit(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"metadata_lonlat\.parquet"):
        load(tmp_path)
    bigearthnet.write_metadata(tmp_path, [("T31UAA", 5.0, 45.0, ["Pastures"])])
    with pytest.raises(DataNotFoundError, match="images: false"):
        load(tmp_path)
    bigearthnet.write_metadata(tmp_path, [("T31UAA", 500.0, 45.0, ["Pastures"])])
    with pytest.raises(BadRecordError, match="not a place"):
        load(tmp_path, images=False)
    pl.DataFrame({"patch_id": ["a"]}).write_parquet(tmp_path / "metadata_lonlat.parquet")
    with pytest.raises(BadRecordError, match="no column labels"):
        load(tmp_path, images=False)
    (tmp_path / "metadata_lonlat.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadRecordError, match="no Parquet file"):
        load(tmp_path, images=False)


@needs_real
def test_the_whole_table_and_real_patches():
    parts = [load(REAL, part, images=False) for part in ("train", "val", "test")]
    assert [len(part) for part in parts] == [272_544, 139_577, 137_367]
    assert (parts[0].labels == 1).any(dim=1).all()
    data = load(REAL, **V1, bands="all", classes=43)
    assert len(data) == 8 and data[0]["image"].shape == (12, 120, 120)
    assert data[0]["image"].float().mean() > 100
    # The same patch in both versions stands at the same place.
    second = torch.cat([part.lonlat for part in parts])
    near = torch.cdist(data.lonlat.double(), second.double()).min(dim=1).values
    assert (near < 1e-4).sum() >= 6


@pytest.mark.parametrize("method", ["official", "tile"])
def test_few_labels_are_seen_and_the_other_patches_stay_without(tmp_path, method):
    root = bigearthnet.make(tmp_path)
    options = {"images": False, "split_method": method, "label_fraction": 0.5}
    whole = load(root, "train", **{**options, "label_fraction": 1.0})
    few = load(root, "train", **options, unlabelled=True)
    alone = load(root, "train", **options)
    assert len(few) == len(whole) and len(alone) == int(few.labelled().sum()) < len(whole)
    assert (few.labels[~few.labelled()] == -1).all()
    assert torch.equal(few.labels[few.labelled()], alone.labels)
    assert few.classes.records == len(alone) and few.classes.counts == alone.classes.counts
    tests = [load(root, "test", **options), load(root, "test", **options, unlabelled=True)]
    assert all(one.labelled().all() and one.test_hash == whole.test_hash for one in tests)
