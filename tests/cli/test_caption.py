"""The command that writes captions of a data set."""

from __future__ import annotations

import csv
import json

import pytest

from csp_core.data import load_dataset
from csp_core.gazetteer.index import connect
from tests.data.sets import eurosat, photos

pytestmark = pytest.mark.skipif(
    connect() is None, reason="needs the list of places (sh tools/setup.sh test builds it)"
)


def rows(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_captions_of_a_named_set_are_read_again(csp, tmp_path):
    root, out = eurosat.make(tmp_path / "eurosat"), tmp_path / "out.csv"
    code, said, err = csp("caption", "eurosat", out, "--root", root, "--with-class")
    assert code == 0, err
    assert "24 captions of 24 records" in said and "by files and places" in said
    assert "Without a date, and so without a month: 24." in said and "a place:" not in said
    data = load_dataset("eurosat", "train", root=root, captions=out)
    assert (data.caption >= 0).all() and len(rows(out)) == 24
    told = [row["caption"] for row in rows(out) if "Forest" in row["file"]]
    assert len(told) == 8 and all("forest" in text for text in told)
    assert csp("caption", "eurosat", tmp_path / "b.csv", "--root", root, "--seed", "1")[0] == 0
    assert not any("forest" in row["caption"] for row in rows(tmp_path / "b.csv"))


def test_a_folder_of_photos_tells_of_those_without_a_place(csp, tmp_path):
    folder, out = photos.write_folder(tmp_path / "photos"), tmp_path / "out.csv"
    code, said, err = csp("caption", folder, out, "--json")
    assert code == 0, err
    report = json.loads(said)
    assert report == {
        "records": 14, "captions": 13, "distinct": report["distinct"], "without_place": 1,
        "without_caption": 1, "undated": 1, "files": True, "rows": 13, "not_found_again": 0,
    }  # fmt: skip
    assert {row["file"] for row in rows(out)} >= {"Aus bus/0.jpg", "Eus fus/0.jpg"}
    code, said, _ = csp("caption", folder, out)
    assert code == 0 and "Without a place: 1. Without a caption, as no place" in said


def test_a_file_of_records_is_found_again_by_places(csp, tmp_path):
    path, out = tmp_path / "records.csv", tmp_path / "out.csv"
    places = ["2.35,48.86,2023-05-17", "2.35,48.86,2023-05-17", "2.35,48.86,", "-140,-45,"]
    names = ("Aus bus", "Cus dus", "Aus bus", "Aus bus")
    lines = [f"{name},{place}" for name, place in zip(names, places, strict=True)]
    path.write_text("species,lon,lat,date\n" + "\n".join(lines))
    code, said, err = csp("caption", path, out)
    assert code == 0, err
    # What is known of the first two is the same, so they have one caption.
    assert "3 captions of 4 records, 2 of them different, to be found again by places" in said
    assert "Without a caption, as no place that has a name is near: 1." in said
    assert len(rows(out)) == 2 and sum("May" in row["caption"] for row in rows(out)) == 1
    code, said, err = csp("caption", path, out, "--with-class")
    assert code == 0 and "Not to be found again, as another caption" in said and "own): 1." in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("demo", "out.txt"), "ends in .csv"),
        (("demo", "out.csv", "size"), "give key=value"),
        (("demo", "out.csv", "sizes=3"), "no option 'sizes'"),
        (("demo", "out.csv", "size=abc"), "size is 'abc'; Input should be a valid integer"),
        (("demo", "out.csv", "size=[1, 2]"), "Input should be a valid integer"),
        (("demo", "out.csv", "size=0"), "give 1 or more"),
        (("demo", "out.csv", "noise=nan"), "give a standard deviation above 0"),
        (("demo", "out.csv", "name=x"), "name is no option here"),
        (("demo", "out.csv", "split=test"), "split is no option here"),
        (("nothing", "out.csv"), "No file"),
        (("nothing", "out.csv", "--root", "."), "data set's name"),
        (("eurosat", "out.csv"), "needs root"),
    ],
)
def test_what_cannot_be_described_is_refused_in_a_sentence(
    csp, tmp_path, monkeypatch, arguments, says
):
    monkeypatch.chdir(tmp_path)
    code, _, err = csp("caption", *arguments)
    assert code == 1 and says in " ".join(err.split())
    assert list(tmp_path.glob("out*")) == []


def test_records_at_sea_alone_leave_no_file(csp, tmp_path):
    path, out = tmp_path / "sea.csv", tmp_path / "out.csv"
    path.write_text("species,lon,lat\n" + "Aus bus,-140,-45\n" * 3)
    code, _, err = csp("caption", path, out)
    assert code == 1 and "Not one of" in err and not out.exists()
