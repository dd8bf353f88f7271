"""EuroSAT as it is published: archive or folder, table of places, GeoTIFFs of 13 bands."""

from __future__ import annotations

import pickle
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch

from csp_core.data import load_dataset
from csp_core.data.image_files import FileImages
from csp_core.data.records import join_records
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError, UnknownNameError
from csp_core.geo import great_circle_km
from tests.data.sets import eurosat

ALL = {"val_fraction": 0.2, "test_fraction": 0.2}


def test_pictures_meet_their_places(tmp_path):
    data = load_dataset("eurosat", "all", root=eurosat.make(tmp_path), **ALL)
    assert len(data) == 24 and data.classes.names == eurosat.CLASSES
    for i in range(len(data)):
        lon, _ = data.lonlat[i].tolist()
        row = round(lon - 5.5)
        assert abs(float(data[i]["image"].float().mean()) - (5 * row + 20)) < 2
        assert data.classes.names[data.label[i]] == eurosat.names()[row].split("/")[0]
    assert data[0]["image"].dtype == torch.uint8 and data.info["images_left_out"] == 0


def test_archive_folder_and_reading_on_demand_agree(tmp_path):
    first = load_dataset("eurosat", root=eurosat.make(tmp_path / "zip"), **ALL)
    second = load_dataset("eurosat", root=eurosat.make(tmp_path / "dir", unpacked=True), **ALL)
    third = load_dataset("eurosat", root=tmp_path / "zip", in_memory=False, **ALL)
    assert first.content_hash() == second.content_hash() == third.content_hash()
    again = pickle.loads(pickle.dumps(third.store))
    assert torch.equal(again.take(third.rows), first.store.take(first.rows))
    assert first.store.digest() != third.store.digest()


def test_parts_share_their_images_and_can_be_joined(tmp_path):
    root = eurosat.make(tmp_path)
    train, val = (load_dataset("eurosat", part, root=root, **ALL) for part in ("train", "val"))
    assert train.store is val.store
    both = join_records(train, val)
    assert len(both) == len(train) + len(val)
    assert torch.equal(both[len(train)]["image"], val[0]["image"])


def test_blocks_with_a_buffer_stay_apart(tmp_path):
    options = {**ALL, "split_method": "block", "buffer_km": 100.0}
    root = eurosat.make(tmp_path)
    with pytest.warns(UserWarning, match="within 100 km of one held out by the 'block' split"):
        train, val, test = (
            load_dataset("eurosat", s, root=root, **options) for s in ("train", "val", "test")
        )
    for held_out in (val, test):
        assert great_circle_km(train.lonlat[:, None], held_out.lonlat[None]).min() > 100
    assert train.info["left_out_by_buffer"] > 0


def test_few_labels_are_stratified_and_have_a_seed_of_their_own(tmp_path):
    root = eurosat.make(tmp_path)
    few = load_dataset("eurosat", root=root, label_fraction=0.01, **ALL)
    assert few.classes.counts == (1, 1, 1)
    more = [
        load_dataset("eurosat", root=root, label_fraction=0.4, label_seed=seed, **ALL)
        for seed in range(3)
    ]
    assert len({data.content_hash() for data in more}) > 1
    assert len(load_dataset("eurosat", "test", root=root, label_fraction=0.01, **ALL)) == len(
        load_dataset("eurosat", "test", root=root, **ALL)
    )


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path):
    root = eurosat.make(tmp_path, unpacked=True)
    (root / "2750" / "Forest" / "Forest_2.jpg").write_bytes(eurosat.jpeg(3)[:400])
    (root / "2750" / "Forest" / "Forest_3.jpg").write_bytes(b"no picture")
    data = load_dataset("eurosat", "all", root=root, **ALL)
    assert len(data) == 22 and data.info["images_left_out"] == 2
    assert "Forest_2.jpg: The picture is cut short" in data.info["first_left_out"][0]
    late = load_dataset("eurosat", "all", root=root, in_memory=False, **ALL)
    with pytest.raises(BadRecordError, match="Forest_2"):
        late.__getitems__(range(len(late)))


def test_images_without_a_place_are_kept_for_the_test(tmp_path):
    root = eurosat.make(tmp_path)
    table = root / "eurosat_coordinates.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:5], *lines[6:], "Forest/Forest_99.jpg,Forest,1,1"]) + "\n")
    train, val, test = (
        load_dataset("eurosat", s, root=root, **ALL) for s in ("train", "val", "test")
    )
    assert not train.lonlat.isnan().any() and not val.lonlat.isnan().any()
    assert int(test.lonlat.isnan().any(dim=1).sum()) == 1
    assert test.info["images_without_place"] == 1 and test.info["places_without_image"] == 1


def test_geotiffs_say_where_they_are(tmp_path):
    root = eurosat.make_tiffs(tmp_path / "tif")
    data = load_dataset("eurosat", "all", root=tmp_path, bands="all", **ALL)
    assert data[0]["image"].shape == (13, 64, 64) and data[0]["image"].dtype == torch.int16
    assert data[0]["image"].unique().tolist() == [1000]
    # 320 m east and south of (500 km, 5,000 km) in zone 31, whose middle is 3° E.
    assert data.lonlat[0].tolist() == pytest.approx([3.0041, 45.1507], abs=1e-3)
    eurosat.make_tiffs(root, crs=None)
    with pytest.raises(BadRecordError, match="No image has a place"):
        load_dataset("eurosat", "all", root=root, bands="all", **ALL)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda root: (root / "EuroSAT_RGB.zip").unlink(), DataNotFoundError, "Neither"),
        (lambda root: (root / "EuroSAT_RGB.zip").write_bytes(b"x"), BadRecordError, "archive"),
        (lambda root: (root / "eurosat_coordinates.csv").unlink(), DataNotFoundError, "No file"),
        (
            lambda root: (root / "eurosat_coordinates.csv").write_text("a,b\n1,2\n"),
            BadRecordError,
            "give the columns",
        ),
        (
            lambda root: (root / "eurosat_coordinates.csv").write_text(
                "filepath,class,latitude,longitude\nForest/Forest_1.jpg,Forest,120,5\n"
            ),
            BadRecordError,
            "not a place",
        ),
    ],
)
def test_folders_that_do_not_fit(tmp_path, change, error, match):
    root = eurosat.make(tmp_path)
    change(root)
    with pytest.raises(error, match=match):
        load_dataset("eurosat", root=root, **ALL)


def test_options_that_do_not_fit(tmp_path):
    with pytest.raises(ConfigError, match="needs root"):
        load_dataset("eurosat")
    with pytest.raises(UnknownNameError, match="all, rgb"):
        load_dataset("eurosat", root=eurosat.make(tmp_path), bands="nir")
    with pytest.raises(DataNotFoundError, match=r"Forest_1\.tif"):
        load_dataset("eurosat", root=tmp_path, bands="all")


def test_members_of_archives_are_not_trusted(tmp_path, monkeypatch):
    names = ["Forest_1.jpg", "Forest_2.jpg"]
    with ZipFile(tmp_path / "a.zip", "w", ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, bytes(10_000))
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[45:50] = b"\xff" * 5  # within the first member's data
    (tmp_path / "a.zip").write_bytes(content)
    files = FileImages(tmp_path / "a.zip", names, 64)
    with pytest.raises(BadRecordError, match=r"Forest_1\.jpg: damaged in a\.zip"):
        files.read(0)
    monkeypatch.setattr("csp_core.data.image_files.MOST_BYTES", 9_999)
    with pytest.raises(BadRecordError, match="unpacks to 10,000 bytes"):
        files.read(1)
