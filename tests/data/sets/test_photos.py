"""Folders and tables of photos: classes, places, and what is said of files that do not fit."""

from __future__ import annotations

import pytest
import torch

from csp_core.data import load_dataset
from csp_core.data.image_files import FileImages
from csp_core.data.sets.photos import _scan
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from tests.data.sets.photos import encode, exif, gps, pixels, write_folder

HALVES = {"val_fraction": 0.2, "test_fraction": 0.2}


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "own")


def test_a_folder_a_class(folder):
    data = load_dataset("photos", "all", root=folder, size=32, **HALVES)
    assert data.name == "own" and data.classes.names == ("Aus bus", "Cus dus", "Eus fus")
    assert len(data) == 14 and data[0]["image"].shape == (3, 32, 32)
    assert data[0]["image"].dtype == torch.uint8
    placed = ~data.lonlat.isnan().any(dim=1)
    assert torch.equal(data.lonlat[placed, 1].round().long() - 40, data.label[placed])
    assert data.date[placed].min() == pytest.approx(14 / 365) and data.hour[placed].unique() == 0.5


def test_what_does_not_fit_is_told(folder):
    (folder / "loose.jpg").write_bytes(encode())
    info = load_dataset("photos", "all", root=folder, **HALVES).info
    assert info["photos_left_out"] == 1 and "Aus bus/damaged.jpg: " in info["first_left_out"][0]
    assert info["photos_without_place"] == 1 and info["other_files"] == 1
    assert info["classes_with_one_photo"] == 1 and info["first_with_one_photo"] == ["Eus fus"]
    assert info["places_in_files"] == {"EXIF": 13, "none": 1}
    assert info["pictures_outside_class_folders"] == 1


def test_photos_without_a_place_are_tested_on_alone(folder):
    for split in ("train", "val"):
        assert not load_dataset("photos", split, root=folder, **HALVES).lonlat.isnan().any()
    test = load_dataset("photos", "test", root=folder, **HALVES)
    assert test.lonlat.isnan().any(dim=1).sum() == 1
    dealt = load_dataset("photos", "all", root=folder, without_place="train", **HALVES)
    assert len(dealt) == 14


def test_reading_on_demand_gives_the_same_pixels(folder):
    first = load_dataset("photos", root=folder, **HALVES)
    second = load_dataset("photos", root=folder, in_memory=False, **HALVES)
    assert torch.equal(first.__getitems__([0, 1])["image"], second.__getitems__([0, 1])["image"])
    assert load_dataset("photos", "val", root=folder, **HALVES).store is first.store


def test_a_changed_file_is_read_again(folder):
    first = load_dataset("photos", "all", root=folder, **HALVES)
    (folder / "Eus fus" / "0.jpg").write_bytes(encode(pixels(50, 50, seed=5), exif=exif(gps(1, 2))))
    second = load_dataset("photos", "all", root=folder, **HALVES)
    assert first.content_hash() != second.content_hash()


def test_classes_with_few_photos_can_be_left_out(folder):
    data = load_dataset("photos", "all", root=folder, min_photos=2, **HALVES)
    assert data.classes.names == ("Aus bus", "Cus dus")
    with pytest.raises(BadRecordError, match=r"damaged|no class"):
        load_dataset("photos", root=folder, min_photos=99)


def test_a_table_says_more_than_the_files(folder):
    rows = ["File,Species,Longitude,Latitude,Date"]
    rows += [f"Aus bus/{i}.jpg,Zea mays,{100 + i},20,2024-07-01" for i in range(4)]
    rows += [f"Cus dus/{i}.jpg,Mus musculus,,," for i in range(4)]
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    data = load_dataset("photos", "all", root=folder / "table.csv", **HALVES)
    assert data.classes.names == ("Mus musculus", "Zea mays")
    zea = data.label == 1
    assert data.lonlat[zea, 0].tolist() == [100, 101, 102, 103]
    assert data.date[zea].unique().item() == pytest.approx(182 / 366)
    assert data.lonlat[~zea, 1].tolist() == pytest.approx([41.0] * 4)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a,b\n1,2\n", "no column for the path or the label"),
        ("path,label\n../x.jpg,A\n", "line 2.*below the table"),
        ("path,label\na/../../x.jpg,A\n", "line 2.*below the table"),
        ("path,label\nx.jpg,A\n", "1 photos are not there, the first x.jpg"),
        ("path,label,lon,lat\nx.jpg,A,10,95\n", "line 2.*not a place"),
        ("path,label,lon,lat\nx.jpg,A,east,5\n", "line 2.*no place"),
    ],
)
def test_tables_that_do_not_fit(tmp_path, text, match):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises((BadRecordError, DataNotFoundError), match=match):
        load_dataset("photos", root=tmp_path / "t.csv")


def test_folders_and_options_that_do_not_fit(tmp_path, folder):
    with pytest.raises(DataNotFoundError, match="No photos"):
        (tmp_path / "empty").mkdir()
        load_dataset("photos", root=tmp_path / "empty")
    with pytest.raises(DataNotFoundError, match="No folder or table"):
        load_dataset("photos", root=tmp_path / "none")
    with pytest.raises(ConfigError, match="root is None"):
        load_dataset("photos")
    (tmp_path / "t.xlsx").write_text("x")
    with pytest.raises(BadRecordError, match="CSV, TSV or Parquet"):
        load_dataset("photos", root=tmp_path / "t.xlsx")
    for path in folder.rglob("?.jpg"):
        path.unlink()
    with pytest.raises(BadRecordError, match="without_place=train"):
        load_dataset("photos", root=folder)


def test_pixels_are_not_kept_where_they_are_read_anew(folder):
    files = FileImages(folder, ["Aus bus/0.jpg", "Cus dus/0.jpg"], 16)
    assert len(_scan(files, keep=False)) == 0 and len(_scan(files, keep=True)) == 2
    assert all(photo is not None for photo in _scan(files, keep=False).photos)


def test_empty_cells_of_a_table_are_no_places(folder):
    rows = [f"Aus bus/{i}.jpg,{'ab'[i % 2]},NaN,nan,NaT" for i in range(4)]
    (folder / "t.csv").write_text("\n".join(["path,label,lon,lat,date", *rows]) + "\n")
    data = load_dataset("photos", "all", root=folder / "t.csv", **HALVES)
    assert sorted(data.lonlat[:, 0].tolist()) == pytest.approx([10, 11, 12, 13])


def table_of(folder, header, rows):
    listed = [f"Aus bus/{i}.jpg,{'ab'[i % 2]},{row}" for i, row in enumerate(rows)]
    (folder / "t.csv").write_text("\n".join([f"path,label,{header}", *listed]) + "\n")
    return load_dataset("photos", "all", root=folder / "t.csv", **HALVES)


def test_dates_of_a_table_that_cannot_be_read_are_told(folder):
    told = ["17.05.2024", "5/17/2024", "May 2024", "2024-13-40"]
    data = table_of(folder, "date", [*told, "2024-05-17", "NaT"])
    assert data.info["dates_not_read"] == 4
    said = data.info["first_dates_not_read"]
    assert said == [f"line {i + 2}: {text}" for i, text in enumerate(told)]
    # There the file is asked, whose dates are the 15th of one month after the other.
    days = (data.date[:4] * 365 + 1).round().tolist()
    assert days == [15, 46, 74, 105] and (data.hour[:4] == 0.5).all()


def test_a_longitude_without_latitude_is_told(folder):
    data = table_of(folder, "lon,lat", ["100,", "100,20", ",20", "100,NaN", ",", "NaN,nan"])
    assert data.info["places_not_complete"] == 3
    assert data.info["first_places_not_complete"] == [
        "line 2: lon 100 alone",
        "line 4: lat 20 alone",
        "line 5: lon 100 alone",
    ]
    assert data.lonlat[:, 0].tolist() == pytest.approx([10, 100, 12, 13, 14, 15])
    lone = table_of(folder, "lon", ["100"] * 6)
    assert lone.info["places_not_complete"] == 6 and lone.info["dates_not_read"] == 0


def test_a_date_of_a_table_has_no_hour_of_the_file(folder):
    data = table_of(folder, "date", ["2024-07-01", "2023-07-01 09:30", "", "", "", ""])
    assert data.date[:2].tolist() == pytest.approx([182 / 366, 181 / 365])
    assert data.hour[:2].isnan().all() and (data.hour[2:] == 0.5).all()


@pytest.mark.parametrize(
    ("header", "row", "place"),
    [
        ("lon,lat", '"12,5","-3,25"', (12.5, -3.25)),
        ("lon,lat", "12.5 W,33.9 S", (-12.5, -33.9)),
        ("lon,lat,lon_ref,lat_ref", "12.5,33.9,W,S", (-12.5, -33.9)),
        ("lon,lat,geodeticDatum", "139.77,35.68,Tokyo", (139.766766, 35.683239)),
        # The files say where, which is 10 and more degrees east.
        ("lon,lat", "0,0.0", None),
        ("lon,lat,lat_ref", "12.5,-33.9,N", None),
    ],
)
def test_places_of_a_table_are_read_as_those_of_records(folder, header, row, place):
    data = table_of(folder, header, [row] * 4)
    assert data.info["places_not_complete"] == (4 if place is None else 0)
    if place is None:
        assert sorted(data.lonlat[:, 0].tolist()) == pytest.approx([10, 11, 12, 13])
        return
    assert data.lonlat[0].tolist() == pytest.approx(place, abs=1e-3)
    assert data.info["places_read_otherwise"]


def test_the_date_of_an_event_comes_before_a_plain_one(folder):
    data = table_of(folder, "date,eventDate", ["2024-07-01,2023-01-01"] * 4)
    assert data.date.tolist() == [0.0] * 4


def test_authors_make_no_class_of_a_table_or_of_folders(folder):
    names = ["Mus musculus Linnaeus, 1758", "Mus musculus"] * 2
    rows = [f"Aus bus/{i}.jpg\t{name}\t1\t2" for i, name in enumerate(names)]
    (folder / "t.tsv").write_text("\n".join(["path\tlabel\tlon\tlat", *rows]) + "\n")
    data = load_dataset("photos", "all", root=folder / "t.tsv", **HALVES)
    assert data.classes.names == ("Mus musculus",) and data.info["authors_left_out"] == 1
    (folder / "Aus bus").rename(folder / "Aus bus Linnaeus, 1758")
    data = load_dataset("photos", "all", root=folder, **HALVES)
    assert "Aus bus" in data.classes.names and data.info["authors_left_out"] == 1
